"""What the evidence pages ask besides the rest: the way in, the audit trail, a session's kin, and the tenants."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from guardian.control.authentication.caller import (
    Before,
    Caller,
    Deps,
    Limit,
    NameFilter,
    SessionId,
    TenantFilter,
    TenantId,
    Writer,
    page,
)
from guardian.control.authentication.visiting import make_link
from guardian.control.authority.asking import may_read
from guardian.control.deps import ControlDeps
from guardian.control.problems import READS, check_span, documented
from guardian.control.revocations.kin import lineage
from guardian.domain.identity import Identifier, SessionKey
from guardian.store.control.audit import RawEntry, stored_json
from guardian.store.control.rows import ControlRows
from guardian.wire.audit import AuditLine, AuditPage
from guardian.wire.lineage import Lineage
from guardian.wire.principal import EVERY_TENANT, Principal
from guardian.wire.tenants import TenantList, TenantView
from guardian.wire.visits import SignInLink

router = APIRouter(tags=["evidence"])

_MOST = 100  # tenants in one list


@router.post("/v1/sign-in-links", status_code=201, responses=READS)
def make_sign_in_link(
    deps: Deps,
    caller: Writer,
    request: Request,
    path: Annotated[
        str,
        Query(max_length=2000, pattern=r"^(/[\x21-\x7e]*)?$", description="The page to come to after signing in."),
    ] = "",
) -> SignInLink:
    """A link that opens the evidence pages once, within minutes, as the caller: with this very token's reach."""
    token = request.headers["authorization"].partition(" ")[2].strip()
    return make_link(deps, caller, token, path)


@router.get("/v1/session-audit/{tenant_id}/{session_id:path}", responses=READS)
def show_session_audit(
    deps: Deps,
    caller: Caller,
    tenant_id: TenantId,
    session_id: SessionId,
    before: Before,
    action: NameFilter = None,
    limit: Limit = 50,
) -> AuditPage:
    """Every decision about this session, what was permitted and what was not, and what guardian did to its
    revocation by itself, or of these one `action`; the newest first."""
    may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        found = rows.audit.about(tenant_id, session_id, limit=limit + 1, before=before, action=action)
    shown, onward = page(found, limit)
    return AuditPage(items=tuple(map(_line, shown)), next=onward)


@router.get("/v1/audit", responses=READS)
def list_audit(
    deps: Deps,
    caller: Caller,
    before: Before,
    tenant_id: TenantFilter = None,
    actor: NameFilter = None,
    action: NameFilter = None,
    since: Annotated[AwareDatetime | None, Query(description="From this time on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this time.")] = None,
    limit: Limit = 50,
) -> AuditPage:
    """Who did what, the newest first, within the caller's tenants. What concerns no tenant, such as signing in, is
    shown to tokens of every tenant only."""
    scope = may_read(deps, caller, "readAudit", tenant_id)
    check_span(since, until)
    with deps.store.read() as rows:
        found = rows.audit.told(
            scope, limit=limit + 1, before=before, actor=actor, action=action, since=since, until=until
        )
    shown, onward = page(found, limit)
    return AuditPage(items=tuple(map(_line, shown)), next=onward)


def _line(entry: RawEntry) -> AuditLine:
    record: Any = None
    with suppress(ValueError):  # damaged: verifying the trail says so
        record = stored_json(entry.record)
    return AuditLine(
        seq=entry.seq,
        record=record if isinstance(record, dict) else {},
        hash=(entry.hash or b"").decode(errors="replace"),
    )


@router.get("/v1/lineage/{tenant_id}/{session_id:path}", responses=READS)
def show_lineage(deps: Deps, caller: Caller, tenant_id: TenantId, session_id: SessionId) -> Lineage:
    """Who delegated to this session, and to whom it delegated, as registered envelopes say."""
    may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        return lineage(rows, SessionKey(tenant_id, session_id))


@router.get("/v1/tenants", responses=documented(401, 403, 422, 503))
def list_tenants(
    deps: Deps,
    caller: Caller,
    cursor: Annotated[Identifier | None, Query(description="From `next`: those after this name.")] = None,
) -> TenantList:
    """The tenants within reach that control has met, with what guardian may do there, a hundred at a time. The
    first answer also has those whose breaker is open and that come again in their place."""
    may_read(deps, caller, "read")
    with deps.store.read() as rows:
        return _tenants(deps, rows, caller, cursor)


def _tenants(deps: ControlDeps, rows: ControlRows, caller: Principal, after: str | None) -> TenantList:
    """The tenants that the token names. For a token of every tenant: those that control has heard of, through a
    session, an envelope, a mode or the live token of a machine."""
    now, named = deps.clock(), set(caller.tenants)
    if caller.every_tenant:
        named.update(rows.session_names.tenants())
        named.update(name for row in rows.tokens.of_machines(now) for name in row.tenants)
    tripped = {each.tenant_id for each in rows.breakers.tripped(now) if each.open}
    tripped = {each for each in tripped if caller.reaches(each)}
    named = {each for each in named | tripped if each != EVERY_TENANT and (after is None or each > after)}
    shown = sorted(named)[:_MOST]
    onward = shown[-1] if len(named) > _MOST else None
    if after is None and onward is not None:
        shown += sorted(each for each in tripped if each > onward)[:_MOST]
    items = tuple(_view(deps, rows, each) for each in shown)
    return TenantList(items=items, next=onward, more=onward is not None)


def _view(deps: ControlDeps, rows: ControlRows, tenant_id: str) -> TenantView:
    now, settings, mode = deps.clock(), deps.settings, deps.mode_of(rows, tenant_id)
    return TenantView(
        tenant_id=tenant_id,
        mode=mode.mode,
        canary_percent=mode.canary_percent,
        set_by=mode.set_by,
        budget_total=settings.budget_total,
        budget_reserved=settings.budget_reserved,
        budget_used=rows.ledger.spent(tenant_id, now - settings.budget_window, now).used,
        breaker_open=rows.breakers.get(tenant_id, now).open,
    )
