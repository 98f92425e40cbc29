"""What guardian never does by itself, whatever a decision point says.

Policy decides, and the shipped policies forbid all of this with a reason. But a decision point may be anybody's,
and may be wrong or lie; what the API promises of shadow, protected sessions, budgets and breakers holds even then.
"""

from collections.abc import Mapping

from guardian.policy.port import EvidenceFacts, PolicyAction, PolicyRequest
from guardian.wire.principal import Role

_WORK: Mapping[Role, frozenset[PolicyAction]] = {
    "monitor": frozenset({"flag", "revoke", "revokeSubject", "permitCall", "propose"}),
    "gateway": frozenset({"registerEnvelope"}),
    "delegation": frozenset({"registerEnvelope"}),
    "metrics": frozenset(),
    "auditor": frozenset(),
}
"""What machines and auditors may do besides reading: they decide nothing about guardian or for people."""
READING = frozenset[PolicyAction]({"read", "readRevocations", "readChanges", "readMetrics", "readAudit"})


def beyond(request: PolicyRequest) -> str:
    """The bound that a permit for this request would break; empty when there is none."""
    work = _WORK.get(request.asker.role)
    if work is not None and request.action not in work | READING:
        return f"{request.action} is not for the {request.asker.role}"
    if request.action not in ("revoke", "revokeSubject") or request.asker.role != "monitor":
        return ""
    budget, session = request.budget, request.session
    if not (request.mode == "enforce" or (request.mode == "canary" and request.in_canary)):
        return "the tenant's mode leaves this session alone"
    if request.action == "revokeSubject":
        if request.evidence == EvidenceFacts():
            return "no session of the subject was found to break anything"
        return "the tenant's breaker is open" if request.harm.breaker_open else ""
    if session is not None and session.protected and not request.act.approved:
        return "the session is protected"
    if request.harm.breaker_open:
        return "the tenant's breaker is open"
    if budget.used >= budget.total:
        return "the tenant's budget is spent"
    if not request.evidence.hard_breach and budget.used_general >= budget.total - budget.reserved:
        return "what is left of the budget is reserved for hard breaches"
    return ""
