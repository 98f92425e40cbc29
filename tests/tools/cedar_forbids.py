"""Cedar's own word on a text of forbids: what generated policies are held to."""

import json
import re
from collections.abc import Mapping
from typing import Any

import cedarpy

_BASE = "permit (principal, action, resource);\n"


def forbidden_by(policies: str, context: Mapping[str, Any], schema: str | None = None) -> list[str]:
    """The ids of the policies that refuse a request which everything else would permit.

    Raises ValueError where a policy errors on it, as Cedar would skip that one and permit, and where the request
    does not fit the schema of those who validate requests.
    """
    asked = {
        "principal": 'Agent::"a"',
        "action": 'Action::"call"',
        "resource": 'Tool::"t"',
        "context": dict(context),
    }
    answer = cedarpy.is_authorized(asked, _BASE + policies, [], schema=schema)
    parsed = json.loads(cedarpy.policies_to_json_str(_BASE + policies))["staticPolicies"]
    ids = {at: str((policy.get("annotations") or {}).get("id", at)) for at, policy in parsed.items()}
    if answer.diagnostics.errors:
        told = "; ".join(map(str, answer.diagnostics.errors))
        raise ValueError(re.sub(r"`(policy\d+)`", lambda found: ids.get(found[1], found[1]), told))
    return [] if answer.allowed else sorted(ids[position] for position in answer.diagnostics.reasons)
