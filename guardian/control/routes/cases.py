"""`/v1/cases`: one session as people decide on it, with the digest that binds a decision to what was seen."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response

from guardian.control.authentication.caller import Caller, Deps, Seen, SessionId, TenantId, Writer
from guardian.control.authority.asking import may_read
from guardian.control.cases.case import case_key
from guardian.control.cases.similar import with_similar
from guardian.control.cases.view import case_view
from guardian.control.people.granted import Act, bound, permitted
from guardian.control.problems import READS, Refusal, absent, documented, header
from guardian.domain.identity import SessionKey
from guardian.wire.cases import CaseHistory, CaseView, NoteRequest, SnoozeRequest, TakeRequest

router = APIRouter(tags=["cases"])

_NEWEST = 1000
_TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": header("ETag", "For If-Match.", always=True)}}
_ACTS = documented(400, 401, 403, 404, 412, 413, 422, 503)


@router.get("/v1/cases/{tenant_id}/{session_id:path}", responses=READS | _TAGGED)
def show_case(
    deps: Deps, caller: Caller, tenant_id: TenantId, session_id: SessionId, response: Response
) -> CaseView:
    """The case as it stands now; its digest is also the ETag."""
    may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        found = case_view(deps, rows, SessionKey(tenant_id, session_id))
        if found is None:
            raise absent("case")
        view = with_similar(rows, found)
    response.headers["ETag"] = f'"{view.digest}"'
    return view


@router.post("/v1/cases/{tenant_id}/{session_id:path}/snooze", responses=_ACTS)
def snooze_case(
    deps: Deps, caller: Writer, tenant_id: TenantId, session_id: SessionId, wanted: SnoozeRequest, seen: Seen
) -> CaseView:
    """Be quiet about a case for some hours; what guardian does is not touched by that."""
    # No reminders and no replies until then, or a more severe finding. A later snooze replaces an earlier one.

    def do(act: Act) -> CaseView | Refusal:
        view = case_view(deps, act.rows, act.key)
        if view is None:
            act.audit(result="refused")
            return absent("case")
        until = act.now + timedelta(hours=wanted.hours)
        finding = view.shown.finding
        name = case_key(act.key)
        act.rows.cases.open(name, kind="session", tenant_id=tenant_id, session_id=session_id, now=act.now)
        act.rows.cases.change(name, snoozed_until=until, snoozed_by=caller.id)
        act.audit(result="snoozed", until=until.isoformat(), finding_id=finding.id)
        return with_similar(act.rows, view).model_copy(update={"snoozed_until": until, "snoozed_by": caller.id})

    return permitted(deps, caller, "snooze", tenant_id, session_id, wanted.reason, bound(seen, do))


@router.post("/v1/cases/{tenant_id}/{session_id:path}/take", responses=_ACTS)
def take_case(
    deps: Deps, caller: Writer, tenant_id: TenantId, session_id: SessionId, wanted: TakeRequest, seen: Seen
) -> CaseView:
    """Say that one works on it. Nobody is called for help then, unless it becomes worse; who takes it later takes
    it over."""

    def do(act: Act) -> CaseView | Refusal:
        view = case_view(deps, act.rows, act.key)
        if view is None:
            act.audit(result="refused")
            return absent("case")
        if view.taken_by == caller.id:  # a second click's case was changed by the first one
            act.audit(result="unchanged")
            return with_similar(act.rows, view)
        if (stale := act.stale(seen)) is not None:
            return stale
        name = case_key(act.key)
        act.rows.cases.open(name, kind="session", tenant_id=tenant_id, session_id=session_id, now=act.now)
        act.rows.cases.change(name, taken_by=caller.id, taken_at=act.now)
        over = {} if view.taken_by is None else {"from": view.taken_by}
        act.audit(result="taken", finding_id=view.shown.finding.id, **over)
        taken = case_view(deps, act.rows, act.key)
        assert taken is not None  # noqa: S101 - there was one above
        return with_similar(act.rows, taken)

    return permitted(deps, caller, "take", tenant_id, session_id, wanted.reason or "", do)


@router.post("/v1/cases/{tenant_id}/{session_id:path}/note", responses=_ACTS)
def note_case(
    deps: Deps, caller: Writer, tenant_id: TenantId, session_id: SessionId, wanted: NoteRequest, seen: Seen
) -> CaseView:
    """Leave words on the case for whoever looks at it next. They are kept in the audit trail."""

    def do(act: Act) -> CaseView | Refusal:
        view = case_view(deps, act.rows, act.key)
        if view is None:
            act.audit(result="refused")
            return absent("case")
        act.audit(result="noted", finding_id=view.shown.finding.id)
        return with_similar(act.rows, view)

    return permitted(deps, caller, "note", tenant_id, session_id, wanted.reason, bound(seen, do))


@router.get("/v1/case-history/{tenant_id}/{session_id:path}", responses=READS)
def show_history(deps: Deps, caller: Caller, tenant_id: TenantId, session_id: SessionId) -> CaseHistory:
    """What happened in a case since people were first told of it, the newest 1,000; empty where no channel keeps
    cases."""
    may_read(deps, caller, "read", tenant_id)
    key = case_key(SessionKey(tenant_id, session_id))
    with deps.store.read() as rows:
        known = rows.cases.get(key)
        before = 0 if known is None else max(0, known.events - _NEWEST)
        return CaseHistory(items=tuple(rows.cases.events(key, before, _NEWEST)))
