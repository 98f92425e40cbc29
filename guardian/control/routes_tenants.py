"""Modes, the feed of people's words, and who the caller is."""

from typing import Annotated

from fastapi import APIRouter, Query

from guardian.control import acts
from guardian.control.authority import may_read
from guardian.control.caller import Caller, Deps, TenantId
from guardian.control.problems import documented
from guardian.wire.sessions import ChangeList, ModeRequest, ModeView, WhoAmI

router = APIRouter(prefix="/v1", tags=["tenants"])


@router.get("/session-changes", responses=documented(401, 403, 422, 503))
def list_session_changes(
    deps: Deps,
    caller: Caller,
    since: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> ChangeList:
    """What people (or policy on their behalf) said about sessions, in order, after entry `since`."""
    may_read(deps, caller, "readChanges")
    with deps.store.read() as rows:
        found = rows.sessions.changes(since, caller.scope, limit + 1)
    shown = tuple(found[:limit])
    return ChangeList(items=shown, next=shown[-1].seq if shown else since, more=len(found) > limit)


@router.get("/modes/{tenant_id}", responses=documented(401, 403, 404, 422, 503))
def show_mode(deps: Deps, caller: Caller, tenant_id: TenantId) -> ModeView:
    """The tenant's mode."""
    may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        stored = rows.modes.get(tenant_id)
    return stored or ModeView(tenant_id=tenant_id, mode=deps.settings.default_mode)


@router.put("/modes/{tenant_id}", responses=documented(400, 401, 403, 404, 413, 422, 503))
def set_mode(deps: Deps, caller: Caller, tenant_id: TenantId, ask: ModeRequest) -> ModeView:
    """Set what guardian may do by itself: shadow (nothing) or enforce (what policy permits)."""
    return acts.set_mode(deps, caller, tenant_id, ask.mode, ask.reason)


@router.get("/whoami", responses=documented(401, 503))
def who_am_i(caller: Caller) -> WhoAmI:
    """What the token says."""
    return WhoAmI(
        id=caller.id, role=caller.role, tenants=tuple(sorted(caller.tenants)), expires_at=caller.expires_at
    )
