"""`/v1/breakers`: each tenant's circuit breaker."""

from fastapi import APIRouter

from guardian.control.authentication.caller import Caller, Deps, TenantId, Writer
from guardian.control.authority.asking import may_read
from guardian.control.heard import unheard_of, unheard_tenant
from guardian.control.people.granted import Act, permitted
from guardian.control.problems import READS, documented
from guardian.control.revocations import breaker
from guardian.control.telling.news import tell
from guardian.wire.approvals import BreakerReset, BreakerView

router = APIRouter(prefix="/v1/breakers", tags=["breakers"])


@router.get("/{tenant_id}", responses=READS)
def show_breaker(deps: Deps, caller: Caller, tenant_id: TenantId) -> BreakerView:
    """Whether the tenant's breaker keeps the monitor from revoking, and how far off that is."""
    may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        now = deps.clock()
        view = breaker.look(deps, rows, tenant_id, now)
        unheard = unheard_tenant(rows, tenant_id, caller.tenants, now)
    return view.model_copy(update={"unheard": unheard})


@router.post("/{tenant_id}/reset", responses=documented(400, 401, 403, 404, 413, 422, 503))
def reset_breaker(deps: Deps, caller: Writer, tenant_id: TenantId, ask: BreakerReset) -> BreakerView:
    """Close the breaker before its time: what it stopped was meant, or its cause is found."""

    def do(act: Act) -> BreakerView:
        """One that is closed stays so, and the audit trail says that nothing changed."""
        changed = act.rows.breakers.reset(tenant_id, by=caller.id, now=act.now)
        act.audit(result="changed" if changed else "unchanged")
        if changed:
            _tell_of_reset(act)
        return breaker.look(deps, act.rows, tenant_id, act.now).model_copy(update={"unheard": unheard_of(act)})

    return permitted(deps, caller, "resetBreaker", tenant_id, None, ask.reason, do)


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
