"""Cedar texts that others wrote, checked and asked: for proposals, which add forbids to somebody's policies."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import cedarpy

_BASE = "permit (principal, action, resource);\n"


class Problem(NamedTuple):
    """What is wrong with one policy; the id is its `@id`."""

    policy_id: str
    text: str


def forbid_problems(policies: str, schema: str) -> list[Problem]:
    """Why the policies do not parse, do not fit the schema, or are no forbids. Raises nothing."""
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


def forbidden_by(policies: str, context: Mapping[str, Any]) -> list[str]:
    """The ids of the policies that refuse a request which everything else would permit.

    Raises ValueError where a policy errors on it: Cedar would skip that one and permit.
    """
    asked = {
        "principal": 'Agent::"a"',
        "action": 'Action::"call"',
        "resource": 'Tool::"t"',
        "context": dict(context),
    }
    answer = cedarpy.is_authorized(asked, _BASE + policies, [])
    parsed = json.loads(cedarpy.policies_to_json_str(_BASE + policies))["staticPolicies"]
    ids = {at: str((policy.get("annotations") or {}).get("id", at)) for at, policy in parsed.items()}
    if answer.diagnostics.errors:
        told = "; ".join(map(str, answer.diagnostics.errors))
        raise ValueError(re.sub(r"`(policy\d+)`", lambda found: ids.get(found[1], found[1]), told))
    return [] if answer.allowed else sorted(ids[position] for position in answer.diagnostics.reasons)


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]
