"""What guardian may do by itself in a tenant: shadow, canary, enforce. Narrowing takes one person."""

from typing import assert_never

from guardian.control.deps import ControlDeps
from guardian.control.heard import unheard_of
from guardian.control.people.granted import Act, permitted
from guardian.control.people.overtaking import overtaken
from guardian.control.problems import Refusal
from guardian.control.telling.news import tell
from guardian.policy.port import ActFacts
from guardian.store.control.rows import ControlRows
from guardian.wire.principal import Principal
from guardian.wire.sessions import ModeRequest, ModeView


def set_mode(deps: ControlDeps, principal: Principal, tenant_id: str, ask_for: ModeRequest) -> ModeView:
    """Set a tenant's mode. With `approval` in the answer the change waits for a second person."""
    wish = {"mode": ask_for.mode, "canary_percent": ask_for.canary_percent or 0}

    def facts(rows: ControlRows) -> ActFacts:
        return widening(deps, rows, tenant_id, ask_for)

    def do(act: Act) -> ModeView:
        return do_set_mode(act, ask_for).model_copy(update={"unheard": unheard_of(act)})

    def waits(act: Act) -> ModeView | Refusal | None:
        if not act.two_may:
            return None
        other = act.rows.approvals.pending(tenant_id, None, "setMode", act.now)
        lives = other is not None and overtaken(act.rows, other) is None
        if other is not None and lives and other.act["act"] != wish:
            act.audit(result="refused", approval_id=other.view.id)
            return Refusal(
                409, f"another change of the mode waits as {other.view.id}: decide or withdraw it first"
            )
        approval = act.put_up(wish)
        if approval is None:
            return None
        told = {"approval": approval, "unheard": unheard_of(act)}
        return deps.mode_of(act.rows, tenant_id).model_copy(update=told)

    return permitted(deps, principal, "setMode", tenant_id, None, ask_for.reason, do, waits=waits, facts=facts)


def do_set_mode(act: Act, wanted: ModeRequest) -> ModeView:
    """Needs a permit."""
    before = act.deps.mode_of(act.rows, act.tenant_id)
    view = ModeView(
        tenant_id=act.tenant_id,
        mode=wanted.mode,
        canary_percent=wanted.canary_percent or 0,
        set_by=act.asked.asker.id,
        reason=act.reason,
        at=act.now,
    )
    act.rows.modes.put(view)
    act.audit(
        result=view.mode,
        canary_percent=view.canary_percent,
        before=before.mode,
        before_canary_percent=before.canary_percent,
    )
    if act.second is None and (before.mode, before.canary_percent) != (view.mode, view.canary_percent):
        _tell(act, before, view)  # what two did was told with the request that one of them approved
    return view


def _tell(act: Act, before: ModeView, after: ModeView) -> None:
    was, now = _named(before), _named(after)
    tell(
        act.deps,
        act.rows,
        topic="mode",
        tenant_id=act.tenant_id,
        title=f"{act.actor} changed the mode from {was} to {now}"[:300],
        detail=f"of a hundred sessions guardian may act on {_share(after)} by itself, until now on "
        f"{_share(before)}: {act.reason}",
        severity="high" if _share(after) < _share(before) else "medium",
        once=f"{was} to {now} {act.now.isoformat()}",
        now=act.now,
    )


def _named(view: ModeView) -> str:
    return f"canary {view.canary_percent} %" if view.mode == "canary" else view.mode


def widening(deps: ControlDeps, rows: ControlRows, tenant_id: str, wanted: ModeRequest) -> ActFacts:
    """Whether this gives guardian more than the tenant's mode gives it now."""
    before = deps.mode_of(rows, tenant_id)
    after = before.model_copy(update={"mode": wanted.mode, "canary_percent": wanted.canary_percent or 0})
    return ActFacts(widens=_share(after) > _share(before))


def _share(view: ModeView) -> int:
    """Of a hundred sessions, how many guardian may act on by itself."""
    match view.mode:
        case "shadow":
            return 0
        case "canary":
            return view.canary_percent
        case "enforce":
            return 100
        case _:
            assert_never(view.mode)
