"""What goes in and out of the monitor's store, beside a batch's own values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from guardian.domain.batch import Memory
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place
from guardian.errors import StoreError


class Conflict(StoreError):
    """Somebody else wrote a session or moved an offset since it was loaded. Load again and judge again."""


@dataclass(frozen=True, slots=True)
class Recall(Memory):
    """What was found, in one consistent snapshot. `versions` goes back into `commit` untouched."""

    versions: Mapping[SessionKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """One decision that waits. `id` is topic, partition, offset and entry; the record's value is sealed."""

    id: tuple[str, int, int, int]
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    sealed: bytes
    stamped_at: datetime | None
    since: datetime
    attempts: int
    tenant_id: str
    session_id: str

    @property
    def place(self) -> Place:
        return Place(*self.id[:2])


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """What a list says of a dead letter, all of it short.

    `id` is topic/partition/offset, with /entry behind it where it is not the record's first decision, and ~when
    where the topic was created anew since.
    """

    id: str
    topic: str
    partition: int
    offset: int
    code: str
    reason: str
    tenant_id: str | None
    session_id: str | None
    gateway: str
    at: datetime
    expires_at: datetime
    redriven_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredDeadLetter(ListedLetter):
    """A dead letter as kept; the value is sealed, key and headers are not. `timestamp` is the record's."""

    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    sealed: bytes
    timestamp: datetime | None

    @property
    def record(self) -> tuple[str, str]:
        """The same for all letters of one record, and for no other record's."""
        place = f"{self.topic}/{self.partition}/{self.offset}"
        return place, self.id.removeprefix(place).partition("~")[2]


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One thing to deliver: a finding to control (idempotency key: its id), or a dead letter to its topic.
    `due` is when it was so, before it was handed out; `unread`, why its finding cannot be read, if it cannot."""

    id: int
    kind: Literal["finding", "dead_letter"]
    attempts: int
    due: datetime
    finding: Finding | None = None
    dead_letter: StoredDeadLetter | None = None
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one finished session adds to its purpose's baseline, and how much it counts, in (0, 1]."""

    counts: Mapping[str, Any]
    weight: float
