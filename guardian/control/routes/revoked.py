"""`/v1/revoked`: what is revoked now, for people: until when, by whom and why."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from guardian.control.authentication.caller import Caller, Deps, Limit, TenantFilter
from guardian.control.authority.asking import may_read
from guardian.control.problems import READS, Refusal
from guardian.domain.identity import Identifier
from guardian.domain.revocation import Revision, SubjectType
from guardian.wire.revocations import RevokedPage

router = APIRouter(prefix="/v1/revoked", tags=["revocations"])


async def _before(
    cursor: Annotated[
        str | None, Query(max_length=38, pattern=r"^[0-9]+\.[0-9]+$", description="From `next`.")
    ] = None,
) -> Revision | None:
    """The revision before which a page begins."""
    try:
        return None if cursor is None else Revision.parse(cursor)
    except ValueError as error:
        raise Refusal(422, "cursor: take it from `next` of the previous page") from error


@router.get("", responses=READS)
def list_revoked(
    deps: Deps,
    caller: Caller,
    before: Annotated[Revision | None, Depends(_before)],
    tenant_id: TenantFilter = None,
    subject_type: Annotated[SubjectType | None, Query(description="Only subjects of this kind.")] = None,
    subject_id: Annotated[Identifier | None, Query(description="Only what is named so.")] = None,
    limit: Limit = 50,
) -> RevokedPage:
    """Every session, agent, delegator, task and token id within reach that is revoked now, the newest first.

    It is the list that gateways get of `/v1/revocations`, with what only people are told: by whom, and why.
    """
    scope = may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        found = rows.ledger.newest_live(
            scope, limit=limit + 1, before=before, subject_type=subject_type, subject_id=subject_id
        )
    shown = tuple(found[:limit])
    return RevokedPage(items=shown, next=str(shown[-1].revision) if len(found) > limit else None)
