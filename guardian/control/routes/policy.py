"""`/v1/policy`: what policy would say, and why."""

from typing import Annotated

from fastapi import APIRouter, Query

from guardian.control.authentication.caller import Caller, Deps
from guardian.control.authority.asking import may_read
from guardian.control.authority.explaining import explanation
from guardian.control.problems import READS
from guardian.domain.identity import Identifier
from guardian.policy.port import PolicyAction
from guardian.wire.policies import PolicyExplanation
from guardian.wire.principal import Role

router = APIRouter(prefix="/v1/policy", tags=["policy"])


@router.get("/explain", responses=READS)
def explain_policy(
    deps: Deps,
    caller: Caller,
    tenant_id: Annotated[Identifier, Query(description="The tenant.")],
    session_id: Annotated[
        Identifier | None, Query(description="The session; without one the question is about the tenant.")
    ] = None,
    action: Annotated[PolicyAction, Query(description="What is to be done.")] = "revoke",
    role: Annotated[Role, Query(description="The role of whoever would do it.")] = "monitor",
) -> PolicyExplanation:
    """May this role do that now, and which policy decides? A question only: nothing is done, counted or audited.

    The question is asked for a principal named after its role, with a token for this tenant only: being on call,
    owning a purpose and break-glass grants are not taken into account. The evidence is that of the session's
    newest finding. `propose` and `approve` are asked about `revoke` with a session, else about `setMode`;
    `setMode` is asked for a change that gives guardian more power.
    """
    may_read(deps, caller, "read", tenant_id)
    return explanation(deps, caller, tenant_id, session_id, action, role)
