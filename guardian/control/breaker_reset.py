"""A person closes a tenant's circuit breaker before its time."""

from guardian.control.breaker import look
from guardian.control.deps import ControlDeps
from guardian.control.granted import Act, permitted
from guardian.control.news import tell
from guardian.wire.approvals import BreakerView
from guardian.wire.principal import Principal


def reset(deps: ControlDeps, principal: Principal, tenant_id: str, reason: str) -> BreakerView:
    """Close it before its time. One that is closed stays so, and the audit trail says that nothing changed."""

    def do(act: Act) -> BreakerView:
        changed = act.rows.breakers.reset(tenant_id, by=principal.id, now=act.now)
        act.audit(result="changed" if changed else "unchanged")
        if changed:
            _tell_of_reset(act)
        return look(deps, act.rows, tenant_id, act.now)

    return permitted(deps, principal, "resetBreaker", tenant_id, None, reason, do)


def _tell_of_reset(act: Act) -> None:
    tell(
        act.deps,
        act.rows,
        topic="breaker",
        tenant_id=act.tenant_id,
        title="Circuit breaker closed: the monitor may revoke again",
        detail=f"{act.actor} reset it before its time",
        severity="info",
        once=f"reset {act.now.isoformat()}",
        now=act.now,
    )
