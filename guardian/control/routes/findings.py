"""`/v1/findings`: the monitor reports, people read and judge."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from guardian.control.authentication.caller import (
    Before,
    Caller,
    Deps,
    FindingId,
    Limit,
    NameFilter,
    Seen,
    TenantFilter,
    Writer,
    turn,
)
from guardian.control.authority.asking import may_read
from guardian.control.cases.view import case_view
from guardian.control.deps import ControlDeps
from guardian.control.findings.found import sole_finding
from guardian.control.findings.intake import receive
from guardian.control.people import acts
from guardian.control.problems import READS, documented, header
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.identity import Identifier, SessionKey
from guardian.store.control.rows import ControlRows
from guardian.wire.cases import NO_CASE
from guardian.wire.findings import (
    FindingOutcome,
    FindingPage,
    FindingView,
    Judged,
    ListedFinding,
    VerdictRequest,
)

router = APIRouter(prefix="/v1/findings", tags=["findings"])

_REPLAYED: dict[int | str, dict[str, Any]] = {
    200: {"headers": header("Idempotency-Replayed", "`true`: it was reported already.", always=True)}
}


@router.post("", responses=documented(400, 401, 403, 404, 409, 413, 422, 503) | _REPLAYED)
async def submit_finding(
    request: Request, deps: Deps, caller: Caller, finding: Finding, response: Response
) -> FindingOutcome:
    """Report a finding. The same finding again gets the same answer; its id with other content is a conflict, and
    one of more than 256 KiB as JSON is too large."""
    async with turn(request, caller, revokes=finding.wanted is Effect.REVOKE):
        received = await run_in_threadpool(receive, deps, caller, finding)
    response.headers["Idempotency-Replayed"] = str(received.replayed).lower()
    return received.outcome


@router.get("", responses=READS)
def list_findings(
    deps: Deps,
    caller: Caller,
    before: Before,
    tenant_id: TenantFilter = None,
    session_id: Annotated[Identifier | None, Query()] = None,
    kind: Annotated[Kind | None, Query()] = None,
    effect: Annotated[Effect | None, Query()] = None,
    agent_id: NameFilter = None,
    breach: NameFilter = None,
    signal: NameFilter = None,
    judged: Annotated[bool | None, Query(description="With a person's verdict, or without.")] = None,
    digests: Annotated[
        bool, Query(description="Also the digest of each session's case, for If-Match of a verdict.")
    ] = False,
    limit: Limit = 50,
) -> FindingPage:
    """Findings within reach, the newest first. A page of large ones ends before `limit`, and `next` leads on."""
    scope = may_read(deps, caller, "read", tenant_id)
    wanted = {"agent": agent_id, "breach": breach, "signal": signal}
    with deps.store.read() as rows:
        shown, more = rows.findings.window(
            scope,
            limit=limit,
            before=before,
            session_id=session_id,
            kind=None if kind is None else kind.value,
            effect=None if effect is None else effect.value,
            judged=judged,
            named={name: told for name, told in wanted.items() if told is not None},
        )
        views = [each.view for each in shown]
        seen = _digests(deps, rows, views) if digests else {}
    items = (ListedFinding(**dict(each), digest=seen.get(each.finding.key)) for each in views)
    return FindingPage(items=tuple(items), next=str(shown[-1].seq) if more else None)


def _digests(deps: ControlDeps, rows: ControlRows, views: Sequence[FindingView]) -> dict[SessionKey, str]:
    """Each session's case, looked at once; none of one of which another version wrote a finding."""
    digests = dict[SessionKey, str]()
    for key in {view.finding.key for view in views}:
        with suppress(ValidationError):
            case = case_view(deps, rows, key)
            digests[key] = NO_CASE if case is None else case.digest
    return digests


@router.get("/{finding_id:path}", responses=documented(401, 403, 404, 409, 422, 503))
def show_finding(deps: Deps, caller: Caller, finding_id: FindingId, tenant_id: TenantFilter = None) -> FindingView:
    """One finding with its outcome and people's verdict; a conflict where several tenants have one of this id."""
    scope = may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        return sole_finding(rows, scope, finding_id)


@router.post("/{finding_id:path}/verdict", responses=documented(400, 401, 403, 404, 409, 412, 413, 422, 503))
def judge_finding(
    deps: Deps,
    caller: Writer,
    finding_id: FindingId,
    verdict: VerdictRequest,
    seen: Seen,
    tenant_id: TenantFilter = None,
) -> Judged:
    """Say what a finding was. A false positive, or benign, makes the session's evidence start afresh; of its other
    findings it says something only with `case`. `withdrawn` takes back what was said: nobody has judged it."""
    return acts.judge(deps, caller, finding_id, verdict, tenant_id=tenant_id, seen=seen)
