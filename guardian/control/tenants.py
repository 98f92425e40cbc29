"""Every tenant within somebody's reach: its mode, budget and breaker."""

from guardian.control.deps import ControlDeps
from guardian.store.control import ControlRows
from guardian.wire.principal import EVERY_TENANT, Principal
from guardian.wire.tenants import TenantList, TenantView

_MOST = 100


def tenants(deps: ControlDeps, rows: ControlRows, caller: Principal) -> TenantList:
    """The tenants that the token names. For a token of every tenant: those that control has heard of, through a
    session, an envelope, a mode or the live token of a machine.

    When there are too many to list, those whose breaker is open come before the others.
    """
    now, named = deps.clock(), set(caller.tenants)
    if caller.every_tenant:
        named.update(rows.sessions.tenants(_MOST + 1))
        named.update(name for row in rows.tokens.of_machines(now) for name in row.tenants)
    tripped = {each.tenant_id for each in rows.breakers.tripped(now) if each.open}
    tripped = {each for each in tripped if caller.reaches(each)}
    named = (named | tripped) - {EVERY_TENANT}
    shown = sorted(sorted(named, key=lambda each: (each not in tripped, each))[:_MOST])
    return TenantList(items=tuple(_view(deps, rows, each) for each in shown), more=len(named) > _MOST)


def _view(deps: ControlDeps, rows: ControlRows, tenant_id: str) -> TenantView:
    now, settings, mode = deps.clock(), deps.settings, deps.mode_of(rows, tenant_id)
    return TenantView(
        tenant_id=tenant_id,
        mode=mode.mode,
        canary_percent=mode.canary_percent,
        set_by=mode.set_by,
        budget_total=settings.budget_total,
        budget_reserved=settings.budget_reserved,
        budget_used=rows.ledger.spent(tenant_id, now - settings.budget_window).used,
        breaker_open=rows.breakers.get(tenant_id, now).open,
    )
