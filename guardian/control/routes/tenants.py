"""Modes, the feed of people's words, and who the caller is."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from guardian.control.authentication.caller import Caller, Deps, TenantId, Writer
from guardian.control.authority.asking import may_read
from guardian.control.heard import unheard_tenant
from guardian.control.people.modes import set_mode
from guardian.control.problems import READS, documented
from guardian.domain.revocation import LARGEST
from guardian.domain.session import HumanWord
from guardian.wire.calls import KNOWS
from guardian.wire.sessions import ChangeList, ModeRequest, ModeView, WhoAmI

router = APIRouter(prefix="/v1", tags=["tenants"])


@router.get("/session-changes", responses=documented(401, 403, 422, 503))
def list_session_changes(
    deps: Deps,
    caller: Caller,
    since: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    knows: Annotated[
        str, Header(alias=KNOWS, max_length=200, description="Words that older monitors do not know, by commas.")
    ] = "",
) -> ChangeList:
    """What people (or policy on their behalf) said about sessions, in order, after entry `since`. Who does not say
    that it knows the word `withdrawn` hears of no verdict that was taken back.

    A page may end before `limit` where it carries long envelopes: `more` says whether to ask on.
    """
    may_read(deps, caller, "readChanges")
    withdrawn = HumanWord.WITHDRAWN.value in map(str.strip, knows.split(","))
    with deps.store.read() as rows:
        told = partial(rows.sessions.changes, scope=caller.scope, withdrawn=withdrawn)
        shown = told(since, limit=limit)
        end = shown[-1].seq if shown else min(since, rows.head().change_seq)
        more = bool(shown) and bool(told(end, limit=1))
        feed = rows.audit.digest(1)  # each backup has it, and no other database
    return ChangeList(items=tuple(shown), next=end, more=more, feed=feed)


@router.get("/modes/{tenant_id}", responses=READS)
def show_mode(deps: Deps, caller: Caller, tenant_id: TenantId) -> ModeView:
    """The tenant's mode, with the change that waits for a second person, if one does."""
    may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        known, now = deps.mode_of(rows, tenant_id), deps.clock()
        waiting = rows.approvals.pending(tenant_id, None, "setMode", now)
        unheard = unheard_tenant(rows, tenant_id, caller.tenants, now)
    approval = None if waiting is None else waiting.view
    return known.model_copy(update={"approval": approval, "unheard": unheard})


@router.put(
    "/modes/{tenant_id}",
    responses=documented(400, 401, 403, 404, 409, 413, 422, 503)
    | {202: {"model": ModeView, "description": "The change waits for a second person: see `approval`"}},
)
def put_mode(deps: Deps, caller: Writer, tenant_id: TenantId, ask: ModeRequest, response: Response) -> ModeView:
    """Set what guardian may do by itself: nothing (shadow), in a share of sessions (canary), or everywhere.

    All within policy. More than it may now takes a second person; less takes one.
    """
    view = set_mode(deps, caller, tenant_id, ask)
    if view.approval is not None:
        response.status_code = 202
    return view


@router.get("/whoami", responses=documented(401, 503))
def who_am_i(caller: Caller) -> WhoAmI:
    """What the token says."""
    return WhoAmI(
        id=caller.id, role=caller.role, tenants=tuple(sorted(caller.tenants)), expires_at=caller.expires_at
    )
