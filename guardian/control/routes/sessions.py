"""`/v1/sessions`: what control knows of them, and what people do to them."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from guardian.control.acts_under import revoked_with_it
from guardian.control.authentication.caller import (
    Before,
    Caller,
    Deps,
    IdempotencyKey,
    Limit,
    NameFilter,
    Seen,
    SessionId,
    TenantFilter,
    TenantId,
    Writer,
    page,
)
from guardian.control.authority.asking import may_read
from guardian.control.cases.case import case_key
from guardian.control.cases.view import taken_by
from guardian.control.people import acts
from guardian.control.problems import READS, absent, check_span, documented
from guardian.domain.identity import SessionKey
from guardian.store.control.cases import StoredCase
from guardian.store.control.sessions import StoredSession
from guardian.wire.base import SessionOrder, SessionStatus
from guardian.wire.sessions import (
    ActRequest,
    ActResult,
    ProtectionRequest,
    SessionDetail,
    SessionPage,
    SessionView,
)

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

_ACTS = documented(400, 401, 403, 404, 412, 413, 422, 503)
_TWO = _ACTS | {
    202: {"model": ActResult, "description": "Nothing is done yet: it waits for a second person, see `approval`"}
}


@router.get("", responses=READS)
def list_sessions(
    deps: Deps,
    caller: Caller,
    before: Before,
    tenant_id: TenantFilter = None,
    status: Annotated[SessionStatus | None, Query()] = None,
    session_id: NameFilter = None,
    agent_id: NameFilter = None,
    delegator_id: NameFilter = None,
    task_id: NameFilter = None,
    since: Annotated[AwareDatetime | None, Query(description="Met from this time on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Met before this time.")] = None,
    order: Annotated[SessionOrder, Query()] = "met",
    limit: Limit = 50,
) -> SessionPage:
    """Sessions that control has met: those with a finding or a person's word. The latest met come first.

    Where those that are flagged are asked for, each says how severe its worst finding is. In the order `pressing`
    the most severe of these come first, and then, as of all others, those of which there was news last. What
    changes between two of its pages can show a session twice or pass one over; in the order `met` it cannot.

    Agent, delegator and task are those that the list itself shows. A session is met at its `first_seen`.
    Where control's clock was ahead by an hour or more while sessions were met, `since` and `until` can leave some
    out.
    """
    scope = may_read(deps, caller, "read", tenant_id)
    check_span(since, until)
    wanted = {"session_id": session_id, "agent_id": agent_id, "delegator_id": delegator_id, "task_id": task_id}
    named = {name: told for name, told in wanted.items() if told is not None}
    with deps.store.read() as rows:
        if order == "pressing":
            ask = partial(rows.session_lists.pressing, after=before or 0)
        else:
            ask = partial(rows.session_lists.page, before=before)
        found = ask(scope, limit=limit + 1, status=status, named=named, since=since, until=until)
        shown, onward = page(found, limit)
        taken = rows.cases.taken(case_key(SessionKey(v.tenant_id, v.session_id)) for v in (s.view for s in shown))
    if order == "pressing" and onward is not None:
        onward = str((before or 0) + limit)
    told = status == "flagged"
    return SessionPage(items=tuple(_listed(each, taken, told=told) for each in shown), next=onward)


@router.get("/{tenant_id}/{session_id:path}", responses=READS)
def show_session(deps: Deps, caller: Caller, tenant_id: TenantId, session_id: SessionId) -> SessionDetail:
    """A session with its evidence: its newest findings and everything the ledger says about it."""
    may_read(deps, caller, "read", tenant_id)
    key = SessionKey(tenant_id, session_id)
    with deps.store.read() as rows:
        known = rows.sessions.get(key)
        if known is None:
            raise absent("session")
        findings = rows.findings.page({tenant_id}, limit=100, session_id=session_id)
        ledger = rows.ledger.of_session(key)
        also = revoked_with_it(rows, key, deps.sure(deps.clock()))
        taken = rows.cases.taken([case_key(key)])
    shown = tuple(each.view for each in findings)
    session = _listed(known, taken, told=False)
    return SessionDetail(session=session, findings=shown, ledger=tuple(ledger), also_revoked=also)


@router.post("/{tenant_id}/{session_id:path}/revoke", responses=_TWO)
def revoke_session(
    deps: Deps,
    caller: Writer,
    tenant_id: TenantId,
    session_id: SessionId,
    act: ActRequest,
    response: Response,
    seen: Seen,
    idempotency_key: IdempotencyKey = None,
) -> ActResult:
    """Refuse this session from now on, at every gateway."""
    done = acts.revoke(deps, caller, SessionKey(tenant_id, session_id), act.reason, idempotency_key, seen=seen)
    return _answer(response, done)


@router.post("/{tenant_id}/{session_id:path}/reinstate", responses=_TWO)
def reinstate_session(
    deps: Deps,
    caller: Writer,
    tenant_id: TenantId,
    session_id: SessionId,
    act: ActRequest,
    response: Response,
    seen: Seen,
    idempotency_key: IdempotencyKey = None,
) -> ActResult:
    """Give a revoked session back; its evidence starts afresh."""
    key = SessionKey(tenant_id, session_id)
    done = acts.reinstate(deps, caller, key, act.reason, idempotency_key, seen=seen)
    with deps.store.read() as rows:
        also = revoked_with_it(rows, key, deps.sure(deps.clock()))
    return _answer(response, done.model_copy(update={"also_revoked": also}))


@router.put("/{tenant_id}/{session_id:path}/protection", responses=_ACTS)
def protect_session(
    deps: Deps, caller: Writer, tenant_id: TenantId, session_id: SessionId, ask: ProtectionRequest, seen: Seen
) -> ActResult:
    """Say whether guardian may revoke this session by itself."""
    key = SessionKey(tenant_id, session_id)
    return acts.protect(deps, caller, key, ask.reason, protected=ask.protected, seen=seen)


def _listed(each: StoredSession, taken: Mapping[str, StoredCase], *, told: bool) -> SessionView:
    """With who works on its case, and where that is `told` with how severe its worst finding is."""
    holder = taken_by(taken.get(case_key(SessionKey(each.view.tenant_id, each.view.session_id))), each)
    return each.view.model_copy(update={"taken_by": holder, **({"severity": each.worst} if told else {})})


def _answer(response: Response, result: ActResult) -> ActResult:
    if result.approval is not None:
        response.status_code = 202
    return result
