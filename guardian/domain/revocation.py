"""The ledger's values: an append-only list of who may no longer act, in one order."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from guardian.domain.event import Identifier


class Revision(BaseModel):
    """A point in the ledger's order: restoring a backup starts a new epoch, so it never runs backwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"


class LedgerEntry(BaseModel):
    """One line of the ledger.

    `lapse` says that a revocation reached its expiry: nothing disappears from the list silently.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: Revision
    tenant_id: Identifier
    subject_type: Literal["session"] = "session"
    subject_id: Identifier
    status: Literal["revoked", "reinstated", "lapsed"]
    reason_code: str
    reason: str = ""
    actor: str
    finding_id: str | None = None
    at: AwareDatetime
    expires_at: AwareDatetime
