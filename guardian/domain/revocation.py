"""The ledger's values: an append-only list of who may no longer act, in one order."""

from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from guardian.domain.identity import Identifier

SubjectType = Literal["session", "agent", "delegator", "task", "jti"]
"""What can be revoked. Not every gateway knows sessions: some know the agent, the task or the token's id."""

ReasonCode = Literal[
    "drift",  # evidence that the session left its purpose
    "hard_breach",  # a rule of its envelope or delegation is broken
    "manual",  # a person, by hand
    "approved",  # a person approved it
    "renewed",  # a revoked session was renewed; its revocation lives on
    "expired",  # a revocation reached its expiry
    "parent_revoked",  # delegated, directly or not, by a session that is revoked
    "parent_reinstated",  # the revocation that it followed from was taken back
    "comes_back",  # the task or agent of a revoked session, so that it does not come back under a new id
    "self_test",  # the switch tests itself
]

LedgerStatus = Literal["revoked", "reinstated", "lapsed"]

LARGEST = 2**31 - 1
"""Up to here the databases count: revisions, and places in what control lists."""


class Revision(BaseModel):
    """A point in the ledger's order: restoring a backup starts a new epoch, so it never runs backwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    n: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """ "EPOCH.N". Raises ValueError for anything else."""
        epoch, dot, n = text.partition(".")
        plain = dot and epoch.isascii() and n.isascii() and epoch.isdigit() and n.isdigit()
        if not plain or len(text) > 38:
            raise ValueError(f"a revision is written EPOCH.N, got {text[:40]!r}")
        revision = cls(epoch=int(epoch), n=int(n))
        if max(revision.epoch, revision.n) > LARGEST:
            raise ValueError(f"revision {text} is beyond any ledger")
        return revision

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"

    def __lt__(self, other: "Revision") -> bool:
        return (self.epoch, self.n) < (other.epoch, other.n)

    def __le__(self, other: "Revision") -> bool:
        return (self.epoch, self.n) <= (other.epoch, other.n)


class LedgerEntry(BaseModel):
    """One line of the ledger.

    `lapsed` says that a revocation reached its expiry: nothing disappears from the list silently. `cause` is the
    revoked ancestor that this entry follows from, if it does.

    The latest entry about a subject, by revision, decides. A call that a gateway let through before it held the
    entry is not undone; the next one is refused, on the same connection too. A revocation and a reinstatement of
    one subject never share a revision, so no client sees both at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: Revision
    tenant_id: Identifier
    subject_type: SubjectType = "session"
    subject_id: Identifier
    status: LedgerStatus
    reason_code: str
    reason: str = ""
    actor: str
    finding_id: str | None = None
    cause: Identifier | None = None
    at: AwareDatetime
    expires_at: AwareDatetime
