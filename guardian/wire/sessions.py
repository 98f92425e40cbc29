"""Sessions as control knows them, and what people may do to one."""

from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from guardian.domain.envelope import Envelope
from guardian.domain.finding import Severity
from guardian.domain.identity import Identifier, SessionKey
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.domain.session import HumanWord
from guardian.wire.approvals import ApprovalView
from guardian.wire.base import Ask, Body, Mode, Page, SessionStatus, Why
from guardian.wire.findings import FindingView


class SessionView(Body):
    """One session. `protected` sessions are never revoked automatically.

    `severity` is that of the worst finding that still accuses it; only lists of those that are flagged say it.
    `taken_by` works on its case, as lists and the session itself say, not the answer to an act. `last_word` is the
    last one that stands: of a verdict that was taken back only `last_word_at` tells.
    """

    tenant_id: Identifier
    session_id: Identifier
    status: SessionStatus
    protected: bool = False
    delegator_id: str | None = None
    agent_id: str | None = None
    task_id: str | None = None
    purpose: str = ""
    expires_at: AwareDatetime | None = None
    findings: int = 0
    severity: Severity | None = None
    taken_by: str | None = None
    last_word: HumanWord | None = None
    last_word_at: AwareDatetime | None = None
    first_seen: AwareDatetime
    last_seen: AwareDatetime


class SessionPage(Page[SessionView]):
    pass


class SessionDetail(Body):
    """A session with its evidence: the newest findings first, the ledger entries in their order. `also_revoked` as
    in `CaseView`."""

    session: SessionView
    findings: tuple[FindingView, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    also_revoked: tuple[LedgerEntry, ...] = ()


class ActRequest(Ask):
    """The body of revoke and reinstate."""

    reason: Why


class ProtectionRequest(Ask):
    protected: bool
    reason: Why


class ActResult(Body):
    """What the act did. `changed` False: it was so already, and `revision` is the entry that made it so.

    With `approval` nothing was done yet: policy asks for a second person, and this is what waits for one.
    `unheard`: the session was not known before, which may be intended, or a typing error. `also_revoked`, after a
    reinstatement, as in `CaseView`.
    """

    session: SessionView
    changed: bool
    unheard: bool = False
    revision: Revision | None = None
    approval: ApprovalView | None = None
    also_revoked: tuple[LedgerEntry, ...] = ()


class SessionChange(Body):
    """One entry of the feed that the monitor tails."""

    seq: int
    tenant_id: Identifier
    session_id: Identifier
    word: HumanWord
    at: AwareDatetime
    detail: str = ""
    envelope: Envelope | None = None  # with REGISTERED: the version that `detail` is the digest of

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.tenant_id, self.session_id)


class ChangeList(Body):
    """Changes after `since`, in order. Ask again from `next`; `more` says that there is more already.

    `feed` names the database that they are of; another one counts anew, and is read from its first entry.
    """

    items: tuple[SessionChange, ...]
    next: int
    more: bool = False
    feed: str = ""


class ModeView(Body):
    """A tenant's mode; `set_by` is empty while the configured default holds.

    `canary_percent` is the share of sessions, by a stable hash, that guardian may act on in mode canary.
    `unheard`: nothing but modes has this tenant's name, which may be intended, or a typing error.
    """

    tenant_id: Identifier
    mode: Mode
    canary_percent: int = 0
    set_by: str = ""
    reason: str = ""
    at: AwareDatetime | None = None
    approval: ApprovalView | None = None  # the change waits for a second person; the mode is still what it was
    unheard: bool = False


class ModeRequest(Ask):
    """`canary_percent` belongs to mode canary, and must be given with it."""

    mode: Mode
    canary_percent: Annotated[int, Field(ge=1, le=99)] | None = None
    reason: Why

    @model_validator(mode="after")
    def _percent_goes_with_canary(self) -> Self:
        if (self.mode == "canary") != (self.canary_percent is not None):
            raise ValueError("canary_percent, from 1 to 99, goes with mode canary and with no other")
        return self


class WhoAmI(Body):
    id: str
    role: str
    tenants: tuple[str, ...]
    expires_at: AwareDatetime
