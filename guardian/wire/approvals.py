"""Acts that wait for a second person, break-glass grants, and circuit breakers, on the wire."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from guardian.domain.identity import Identifier, TenantName
from guardian.wire.base import Ask, Body, Page, Why

ApprovalState = Literal["pending", "approved", "denied", "expired", "withdrawn", "used"]
"""`used`: the one call that was approved has passed."""

ApprovableAction = Literal["revoke", "reinstate", "setMode", "permitCall"]


class ApprovalView(Body):
    """One act that policy permits only with a second person's word.

    proposer     who asked for it; the monitor, for a session that it may not revoke by itself
    particulars  exactly what will be done: the mode and its percentage, or the call; `reason` is only what the
                 proposer says of it
    policy_ids   the policies that ask for a person
    result       a sentence on what came of it
    """

    id: Identifier
    tenant_id: Identifier
    session_id: Identifier | None = None
    action: ApprovableAction
    proposer: str
    reason: str
    particulars: dict[str, str] = Field(default_factory=dict)
    finding_id: Identifier | None = None
    policy_ids: tuple[str, ...] = ()
    state: ApprovalState = "pending"
    created_at: AwareDatetime
    expires_at: AwareDatetime
    decided_by: str | None = None
    decided_at: AwareDatetime | None = None
    decision_reason: str = ""
    result: str = ""


class ListedApproval(ApprovalView):
    """`digest`, where the list was asked for it: that of the session's case as it stands, or `none` where there is
    no case; null where another version wrote the case. A decision in whose If-Match it stands is bound to that.
    """

    digest: str | None = None


class ApprovalPage(Page[ListedApproval]):
    """Newest first."""


class ApprovalDecision(Ask):
    """The body of POST /v1/approvals/{id}/decision. A proposer may withdraw; another principal decides."""

    decision: Literal["approve", "deny", "withdraw"]
    reason: Why


class BreakGlassView(Body):
    """One person's grant, for one tenant, to act without a second person until `until`."""

    id: Identifier
    tenant_id: Identifier
    principal_id: Identifier
    reason: str
    at: AwareDatetime
    until: AwareDatetime
    ended_at: AwareDatetime | None = None
    ended_by: str | None = None


class BreakGlassTaken(BreakGlassView):
    """A grant as it is taken. `unheard` as in `ModeView`."""

    unheard: bool = False


class BreakGlassRequest(Ask):
    """The configuration caps `minutes`; a request for more is refused, not shortened."""

    tenant_id: TenantName
    reason: Why
    minutes: Annotated[int, Field(ge=1, le=1440)] = 30


class BreakGlassPage(Page[BreakGlassView]):
    """Newest first."""


class BreakerView(Body):
    """A tenant's circuit breaker: while it is open, the monitor may only flag.

    It opens when automatic revocations rise far above the tenant's usual rate, and closes at `until`, or when
    a person resets it. `unheard` as in `ModeView`.
    """

    tenant_id: Identifier
    open: bool
    recent: int = 0
    limit: int = 0
    tripped_at: AwareDatetime | None = None
    until: AwareDatetime | None = None
    reason: str = ""
    reset_at: AwareDatetime | None = None
    reset_by: str | None = None
    unheard: bool = False


class BreakerReset(Ask):
    reason: Why
