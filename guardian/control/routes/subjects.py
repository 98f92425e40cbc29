"""`/v1/subjects`: agents, delegators, tasks and token ids that may not act for a while."""

from typing import Annotated

from fastapi import APIRouter, Path

from guardian.control.authentication.caller import Deps, IdempotencyKey, TenantId, Writer
from guardian.control.people.granted import Whom
from guardian.control.problems import documented
from guardian.control.revocations import subjects
from guardian.domain.identity import Identifier
from guardian.domain.revocation import SubjectType
from guardian.wire.revocations import SubjectAct, SubjectResult
from guardian.wire.sessions import ActRequest

router = APIRouter(prefix="/v1/subjects", tags=["revocations"])

Kind = Annotated[SubjectType, Path(description="agent, delegator, task or jti.")]
SubjectId = Annotated[Identifier, Path(description="Its id, within its tenant.")]
_RESPONSES = documented(400, 401, 403, 404, 413, 422, 503)


@router.post("/{tenant_id}/{subject_type}/{subject_id:path}/revoke", responses=_RESPONSES)
def revoke_subject(
    deps: Deps,
    caller: Writer,
    tenant_id: TenantId,
    subject_type: Kind,
    subject_id: SubjectId,
    act: SubjectAct,
    idempotency_key: IdempotencyKey = None,
) -> SubjectResult:
    """Revoke everything that acts under this name, for a while."""
    whom = Whom(subject_type, subject_id)
    return subjects.revoke_subject(deps, caller, tenant_id, whom, act.reason, idempotency_key, seconds=act.seconds)


@router.post("/{tenant_id}/{subject_type}/{subject_id:path}/reinstate", responses=_RESPONSES)
def reinstate_subject(
    deps: Deps,
    caller: Writer,
    tenant_id: TenantId,
    subject_type: Kind,
    subject_id: SubjectId,
    act: ActRequest,
    idempotency_key: IdempotencyKey = None,
) -> SubjectResult:
    """Give it back. Neither whoever revoked it nor the person for whom it acts can: that takes another person."""
    whom = Whom(subject_type, subject_id)
    return subjects.reinstate_subject(deps, caller, tenant_id, whom, act.reason, idempotency_key)
