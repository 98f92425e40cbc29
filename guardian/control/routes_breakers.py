"""`/v1/breakers`: each tenant's circuit breaker."""

from fastapi import APIRouter

from guardian.control import breaker
from guardian.control.authority import may_read
from guardian.control.breaker_reset import reset
from guardian.control.caller import Caller, Deps, TenantId
from guardian.control.problems import READS, documented
from guardian.wire.approvals import BreakerReset, BreakerView

router = APIRouter(prefix="/v1/breakers", tags=["breakers"])


@router.get("/{tenant_id}", responses=READS)
def show_breaker(deps: Deps, caller: Caller, tenant_id: TenantId) -> BreakerView:
    """Whether the tenant's breaker keeps the monitor from revoking, and how far off that is."""
    may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        return breaker.look(deps, rows, tenant_id, deps.clock())


@router.post("/{tenant_id}/reset", responses=documented(400, 401, 403, 404, 413, 422, 503))
def reset_breaker(deps: Deps, caller: Caller, tenant_id: TenantId, ask: BreakerReset) -> BreakerView:
    """Close the breaker before its time: what it stopped was meant, or its cause is found."""
    return reset(deps, caller, tenant_id, ask.reason)
