"""Break-glass: one person does alone what otherwise takes two, for a while, with a reason, and loudly."""

from datetime import timedelta

from guardian.control.deps import ControlDeps
from guardian.control.heard import unheard_of
from guardian.control.lapse import close_run_out, tell_end
from guardian.control.people.granted import Act, permitted
from guardian.control.problems import Refusal, absent
from guardian.control.telling.news import tell
from guardian.domain.text import moment
from guardian.wire.approvals import BreakGlassRequest, BreakGlassTaken, BreakGlassView
from guardian.wire.principal import Principal


def break_glass(deps: ControlDeps, principal: Principal, wanted: BreakGlassRequest) -> BreakGlassTaken:
    """Take a grant for one tenant. Everybody hears of it at once, and again when it is over."""
    most, length = deps.settings.break_glass_most, timedelta(minutes=wanted.minutes)

    def do(act: Act) -> BreakGlassTaken | Refusal:
        if length > most:
            act.audit(result="refused", minutes=wanted.minutes)
            return Refusal(422, f"minutes: at most {int(most.total_seconds() // 60)} at a time")
        close_run_out(deps, act.rows, act.now)
        held = act.rows.break_glass.open(wanted.tenant_id, principal.id, act.now)
        if held is not None:
            act.audit(result="refused", minutes=wanted.minutes)
            return Refusal(409, f"you hold {held.id} until {held.until.isoformat()}; end it first", code="held")
        grant = BreakGlassView(
            id=f"bgl_{deps.new_id()}",
            tenant_id=wanted.tenant_id,
            principal_id=principal.id,
            reason=wanted.reason,
            at=act.now,
            until=act.now + length,
        )
        act.rows.break_glass.add(grant)
        act.audit(result="broken", break_glass=grant.id, until=grant.until.isoformat())
        tell(
            deps,
            act.rows,
            topic="break_glass",
            tenant_id=grant.tenant_id,
            title=f"{grant.principal_id} broke the glass",
            detail=f"{grant.principal_id} may act without a second person until {moment(grant.until)} "
            f"({grant.id}): {grant.reason}",
            severity="critical",
            once=grant.id,
            now=act.now,
            about=grant.id,
        )
        return BreakGlassTaken(**dict(grant), unheard=unheard_of(act))

    taken = permitted(deps, principal, "breakGlass", wanted.tenant_id, None, wanted.reason, do)
    deps.metrics.add("guardian_break_glass_total")
    return taken


def end_break_glass(deps: ControlDeps, principal: Principal, grant_id: str) -> BreakGlassView:
    """End a grant early. Whoever may take a grant may end anybody's. A grant that has ended stays as it ended."""
    with deps.store.read() as rows:
        found = rows.break_glass.get(grant_id, principal.scope)
    if found is None:
        raise absent("break-glass grant")
    tenant_id = found.tenant_id

    def do(act: Act) -> BreakGlassView:
        close_run_out(deps, act.rows, act.now)
        changed = act.rows.break_glass.end(grant_id, by=principal.id, now=act.now)
        ended = act.rows.break_glass.get(grant_id, {tenant_id})
        assert ended is not None  # noqa: S101 - grants are never removed
        act.audit(result="ended" if changed else "unchanged", break_glass=grant_id)
        if changed:
            tell_end(deps, act.rows, ended, act.now)
        return ended

    return permitted(deps, principal, "breakGlass", tenant_id, None, "ended early", do)
