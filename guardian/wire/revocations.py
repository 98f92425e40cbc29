"""The revocation list on the wire: what gateways poll."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from guardian.domain.identity import Identifier
from guardian.domain.revocation import LedgerEntry, Revision, SubjectType
from guardian.wire.base import Ask, Body, Page, Why


class RevocationEntry(Body):
    """One subject of the list. Gateways get the reason's code, not its words."""

    revision: Revision
    tenant_id: Identifier
    subject_type: str
    subject_id: Identifier
    status: Literal["revoked", "reinstated", "lapsed"]
    reason_code: str
    at: AwareDatetime
    expires_at: AwareDatetime


class RevocationList(Body):
    """The list as one caller may see it.

    `complete` True: `entries` is every live revocation, and replaces what the client holds. False: `entries` are
    the changes after `since`, in order, to be applied to it. `revision` is that of the newest entry in the
    caller's reach; a higher epoch replaces a lower one whatever the N. `issued_at` is when the list last changed,
    so that equal content has equal bytes; the `Date` header says how fresh an answer is.
    """

    revision: Revision
    issued_at: AwareDatetime
    complete: bool
    entries: tuple[RevocationEntry, ...]


class RevokedPage(Page[LedgerEntry]):
    """Every entry revokes its subject now. Newest first."""


class SubjectAct(Ask):
    """The body of revoking an agent, delegator, task or token id; `seconds` absent: as long as configured."""

    reason: Why
    seconds: Annotated[int, Field(ge=1, le=366 * 86_400)] | None = None


class SubjectResult(Body):
    """`changed` False: it was so already. `unheard`: no session or envelope of the tenant names it, which may be
    intended, or a typing error."""

    tenant_id: Identifier
    subject_type: SubjectType
    subject_id: Identifier
    revoked: bool
    changed: bool
    unheard: bool = False
    revision: Revision | None = None
    expires_at: AwareDatetime | None = None
