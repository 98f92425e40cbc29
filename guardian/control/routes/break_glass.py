"""`/v1/break-glass`: one person, for a while, loudly."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from guardian.control.authentication.caller import Caller, Deps, Limit, TenantFilter, Writer
from guardian.control.authority.asking import may_read
from guardian.control.people.break_glass import break_glass, end_break_glass
from guardian.control.problems import READS, Refusal, documented
from guardian.domain.identity import Identifier
from guardian.wire.approvals import BreakGlassPage, BreakGlassRequest, BreakGlassTaken, BreakGlassView

router = APIRouter(prefix="/v1/break-glass", tags=["break-glass"])

GrantId = Annotated[Identifier, Path(description="The grant.")]


@router.post("", responses=documented(400, 401, 403, 404, 409, 413, 422, 503))
def take_break_glass(deps: Deps, caller: Writer, wanted: BreakGlassRequest) -> BreakGlassTaken:
    """Act without a second person in one tenant for some minutes. People are told, and every act is marked."""
    return break_glass(deps, caller, wanted)


@router.get("", responses=READS)
def list_break_glass(
    deps: Deps,
    caller: Caller,
    tenant_id: TenantFilter = None,
    holding: Annotated[bool, Query(alias="open", description="Only those that hold now.")] = False,
    cursor: Annotated[Identifier | None, Query(max_length=64, description="From `next`.")] = None,
    limit: Limit = 50,
) -> BreakGlassPage:
    """Grants within reach, the newest first."""
    scope = may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        after = None if cursor is None else rows.break_glass.get(cursor, scope)
        if cursor is not None and after is None:
            raise Refusal(422, "cursor: take it from `next` of the previous page")
        held_at = deps.clock() if holding else None
        found = rows.break_glass.page(scope, limit=limit + 1, after=after, held_at=held_at)
    shown = tuple(found[:limit])
    return BreakGlassPage(items=shown, next=shown[-1].id if len(found) > limit else None)


@router.post("/{grant_id}/end", responses=documented(401, 403, 404, 413, 422, 503))
def end_grant(deps: Deps, caller: Writer, grant_id: GrantId) -> BreakGlassView:
    """End a grant before its time."""
    return end_break_glass(deps, caller, grant_id)
