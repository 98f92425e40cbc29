"""Any decision point that speaks the OpenID AuthZEN Authorization API 1.0 (Access Evaluation, section 6).

A denial is HTTP 200 with `decision` false. The specification leaves the answer's `context` to the decision point.
`reason` (a string), `policy_ids` (a list) and `reasons` (a sentence by policy id) are taken from it as
explanations where they have these shapes. Obligations (AuthZEN Profile for Obligations) are conditions of a
permit. Guardian can fulfil none, so a permit with obligations is no permit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guardian.domain.text import plain
from guardian.policy.facts import facts
from guardian.policy.http_line import NoAnswer
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.policy.remote import RemotePoint, decided, named

UNNAMED = "authzen"


@dataclass(frozen=True, kw_only=True)
class AuthzenPoint(RemotePoint):
    """`url` is the PDP's base URL; the rest of the path is the specification's."""

    _name = "the AuthZEN PDP"

    @property
    def version(self) -> str:
        return f"authzen {self._endpoint}"

    def _said(self, request: PolicyRequest) -> PolicyDecision:
        return _decision(self._line.ask(self._endpoint, facts(request)))

    @property
    def _endpoint(self) -> str:
        return f"{self.url.rstrip('/')}/access/v1/evaluation"


def _decision(answer: Mapping[str, Any]) -> PolicyDecision:
    allowed, context = answer.get("decision"), answer.get("context")
    if not isinstance(allowed, bool):
        raise NoAnswer("answered without a boolean decision")
    if context is None:
        return PolicyDecision(allowed)
    if not isinstance(context, dict):
        raise NoAnswer("answered with a context that is no object")
    if context.get("obligations") not in (None, []) and allowed:
        raise NoAnswer("permits only under obligations, which guardian cannot fulfil")
    return decided(_explained(context), allowed=allowed)


def _explained(context: Mapping[str, Any]) -> dict[str, str]:
    try:
        reasons = named(context.get("policy_ids"), context.get("reasons"))
    except NoAnswer:
        reasons = {}  # their context may mean something else by these names
    reason = context.get("reason")
    if isinstance(reason, str) and reason:
        silent = [name for name, sentence in reasons.items() if not sentence] if reasons else [UNNAMED]
        reasons |= dict.fromkeys(silent, plain(reason, 300))
    return reasons


plugin = AuthzenPoint
