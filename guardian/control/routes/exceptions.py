"""`/v1/exceptions`: what people said is fine, for whom, by whom and until when."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from guardian.control.authentication.caller import Before, Caller, Deps, Limit, Seen, TenantFilter, Writer, page
from guardian.control.authority.asking import may_read
from guardian.control.people.exceptions import end_exception, make_exception
from guardian.control.problems import READS, documented
from guardian.domain.identity import Identifier
from guardian.store.control.rows import ControlRows
from guardian.wire.exceptions import ExceptionEnd, ExceptionPage, ExceptionRequest, ExceptionView, ListedException

router = APIRouter(prefix="/v1/exceptions", tags=["exceptions"])

ExceptionId = Annotated[Identifier, Path(description="The exception.")]


@router.post("", responses=documented(400, 401, 403, 404, 409, 412, 413, 422, 503))
def add_exception(
    deps: Deps, caller: Writer, wanted: ExceptionRequest, seen: Seen, tenant_id: TenantFilter = None
) -> ExceptionView:
    """Say of a finding that its like is fine: for its tenant and purpose, a tool pattern, and some days."""
    return make_exception(deps, caller, wanted, tenant_id=tenant_id, seen=seen)


@router.get("", responses=READS)
def list_exceptions(
    deps: Deps,
    caller: Caller,
    before: Before,
    tenant_id: TenantFilter = None,
    ended: Annotated[bool, Query(description="Also those that are over.")] = False,
    limit: Limit = 50,
) -> ExceptionPage:
    """Exceptions within reach, the newest first. They outlive their owner's token: see `owner_withdrawn`."""
    scope = may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        found = rows.exceptions.page(scope, deps.clock(), limit=limit + 1, before=before, ended=ended)
        shown, onward = page(found, limit)
        items = tuple(_listed(rows, each.view) for each in shown)
    return ExceptionPage(items=items, next=onward)


@router.post("/{exception_id}/end", responses=documented(400, 401, 403, 404, 413, 422, 503))
def stop_exception(deps: Deps, caller: Writer, exception_id: ExceptionId, asked: ExceptionEnd) -> ExceptionView:
    """End an exception before its time."""
    return end_exception(deps, caller, exception_id, asked.reason)


def _listed(rows: ControlRows, view: ExceptionView) -> ListedException:
    withdrawn = rows.tokens.withdrawn_since(view.owner, view.created_at)
    return ListedException(**dict(view), owner_withdrawn=withdrawn)
