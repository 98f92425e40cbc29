"""`/v1/approvals`: acts that wait for a second person."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import ValidationError

from guardian.control.authentication.caller import Before, Caller, Deps, Limit, Seen, TenantFilter, Writer, page
from guardian.control.authority.asking import may_read
from guardian.control.cases.view import case_view
from guardian.control.deps import ControlDeps
from guardian.control.people.deciding import decide
from guardian.control.problems import READS, absent, documented
from guardian.domain.identity import Identifier, SessionKey
from guardian.store.control.approvals import StoredApproval
from guardian.store.control.rows import ControlRows
from guardian.wire.approvals import ApprovalDecision, ApprovalPage, ApprovalState, ApprovalView, ListedApproval
from guardian.wire.cases import NO_CASE

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])

ApprovalId = Annotated[Identifier, Path(description="The approval.")]


@router.get("", responses=READS)
def list_approvals(
    deps: Deps,
    caller: Caller,
    before: Before,
    tenant_id: TenantFilter = None,
    session_id: Annotated[Identifier | None, Query()] = None,
    state: Annotated[ApprovalState | None, Query()] = None,
    held: Annotated[
        bool | None, Query(description="Only calls that are held, or only what else is asked.")
    ] = None,
    digests: Annotated[
        bool, Query(description="Also the digest of each session's case, for If-Match of a decision.")
    ] = False,
    limit: Limit = 50,
) -> ApprovalPage:
    """Acts within reach that wait or waited for a second person, the newest first."""
    scope = may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        found = rows.approvals.page(
            scope, limit=limit + 1, before=before, session_id=session_id, state=state, held=held
        )
        shown, onward = page(found, limit)
        seen = _digests(deps, rows, shown) if digests else {}
    items = (ListedApproval(**dict(each.view), digest=seen.get(each.view.id)) for each in shown)
    return ApprovalPage(items=tuple(items), next=onward)


def _digests(deps: ControlDeps, rows: ControlRows, shown: Sequence[StoredApproval]) -> dict[str, str]:
    """By approval. Each case is looked at once: of one session any number of calls may be held. None of one of
    which another version wrote a finding: it keeps nobody from deciding on the others."""
    named = {v.id: SessionKey(v.tenant_id, v.session_id) for v in (each.view for each in shown) if v.session_id}
    digests = dict[SessionKey, str]()
    for key in set(named.values()):
        with suppress(ValidationError):
            case = case_view(deps, rows, key)
            digests[key] = NO_CASE if case is None else case.digest
    return {name: digests[key] for name, key in named.items() if key in digests}


@router.get("/{approval_id}", responses=READS)
def show_approval(deps: Deps, caller: Caller, approval_id: ApprovalId) -> ApprovalView:
    """One act, who asked for it, and what came of it."""
    may_read(deps, caller, "read")
    with deps.store.read() as rows:
        found = rows.approvals.get(approval_id, caller.scope)
    if found is None:
        raise absent("approval")
    return found.view


@router.post("/{approval_id}/decision", responses=documented(400, 401, 403, 404, 409, 412, 413, 422, 503))
def decide_approval(
    deps: Deps, caller: Writer, approval_id: ApprovalId, decision: ApprovalDecision, seen: Seen
) -> ApprovalView:
    """Approve, deny or withdraw. What is approved is done at once, if policy permits it on the facts of now."""
    return decide(deps, caller, approval_id, decision, seen=seen)
