"""Checks Cedar texts written elsewhere: what a proposal adds to somebody's policies may only forbid."""

import json
from typing import NamedTuple

import cedarpy


class Problem(NamedTuple):
    """What is wrong with one policy; the id is its `@id`."""

    policy_id: str
    text: str


def forbid_problems(policies: str, schema: str) -> list[Problem]:
    """Why the policies do not parse, do not fit the schema, or are no forbids; nothing if all is well."""
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(policies))
    except ValueError as error:
        return [Problem("cedar", f"the policies do not parse: {_line(error)}")]
    ids = {
        position: (policy.get("annotations") or {}).get("id", position)
        for position, policy in parsed["staticPolicies"].items()
    }
    found = [
        Problem(ids[position], "is not a forbid: it could allow something")
        for position, policy in parsed["staticPolicies"].items()
        if policy["effect"] != "forbid"
    ]
    result = cedarpy.validate_policies(policies, schema)  # a schema that does not parse is an error of no policy
    return found + [Problem(ids.get(each.policy_id, "schema"), _line(each.error)) for each in result.errors]


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]
