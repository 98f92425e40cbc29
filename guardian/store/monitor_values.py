"""What goes in and out of the monitor's store. Structural: the pipeline's values fit without being imported."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from guardian.domain.event import DecisionEvent, Envelope, Grant, SessionKey
from guardian.domain.finding import Finding
from guardian.domain.session import HumanWord, SessionState
from guardian.domain.signal import BaselineFact, SharedReads
from guardian.errors import StoreError

Place = tuple[str, int]  # topic, partition


class Conflict(StoreError):
    """Somebody else wrote a session or moved an offset since it was loaded. Load again and judge again."""


class Wants(Protocol):
    """The keys to load; `pipeline.batch.Wanted` is one."""

    @property
    def sessions(self) -> AbstractSet[SessionKey]: ...
    @property
    def decisions(self) -> AbstractSet[tuple[str, str, str]]: ...
    @property
    def purposes(self) -> AbstractSet[tuple[str, str]]: ...
    @property
    def agents(self) -> AbstractSet[tuple[str, str]]: ...
    @property
    def tasks(self) -> AbstractSet[tuple[str, str]]: ...
    @property
    def parents(self) -> AbstractSet[SessionKey]: ...


@dataclass(frozen=True, slots=True)
class Recall:
    """What was found, in one consistent snapshot. `versions` goes back into `commit` untouched."""

    sessions: Mapping[SessionKey, SessionState] = field(default_factory=dict)
    seen: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    baselines: Mapping[tuple[str, str], BaselineFact] = field(default_factory=dict)
    agent_purposes: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    task_reads: Mapping[tuple[str, str], Mapping[str, SharedReads]] = field(default_factory=dict)
    registered: Mapping[SessionKey, Grant] = field(default_factory=dict)
    versions: Mapping[SessionKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registered:
    """What is known of sessions before their records are judged: their envelopes, of which records wait, and which
    of them acted before."""

    envelopes: Mapping[SessionKey, Grant] = field(default_factory=dict)
    waiting: frozenset[SessionKey] = frozenset()
    begun: frozenset[SessionKey] = frozenset()


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


class BusRecord(Protocol):
    """A record as it came from the bus, with the broker's time."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
    @property
    def timestamp(self) -> datetime | None: ...


class Waiter(Protocol):
    """A decision whose envelope is awaited; `pipeline.batch.Decoded` is one."""

    @property
    def record(self) -> BusRecord: ...
    @property
    def entry(self) -> int: ...
    @property
    def event(self) -> DecisionEvent: ...


class Refused(Protocol):
    """A record, or one decision of it, for the dead-letter queue; `pipeline.batch.DeadLetter` is one."""

    @property
    def record(self) -> BusRecord: ...
    @property
    def entry(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def tenant_id(self) -> str | None: ...
    @property
    def session_id(self) -> str | None: ...
    @property
    def gateway(self) -> str: ...


class Judged(Protocol):
    """Everything that one batch changes; `pipeline.batch.Judgement` is one.

    The `Any` keys are named tuples of strings, (tenant, gateway, decision) and the like: a Mapping
    is invariant in its key, so that a subclass of tuple cannot be said here.
    """

    @property
    def findings(self) -> Sequence[Finding]: ...
    @property
    def sessions(self) -> Mapping[SessionKey, SessionState]: ...
    @property
    def seen(self) -> Mapping[Any, str]: ...
    @property
    def agent_purposes(self) -> Mapping[Any, tuple[str, ...]]: ...
    @property
    def task_reads(self) -> Mapping[Any, SharedReads]: ...
    @property
    def dead_letters(self) -> Sequence[Refused]: ...


class Word(Protocol):
    """One thing people said; `pipeline.batch.Change` is one."""

    @property
    def seq(self) -> int: ...
    @property
    def key(self) -> SessionKey: ...
    @property
    def word(self) -> HumanWord: ...
    @property
    def at(self) -> datetime: ...
    @property
    def detail(self) -> str: ...
    @property
    def envelope(self) -> Envelope | None: ...


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter as kept; the value is sealed, key and headers are not. `timestamp` is the record's.

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
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    sealed: bytes
    timestamp: datetime | None
    at: datetime
    expires_at: datetime
    redriven_at: datetime | None

    @property
    def record(self) -> tuple[str, str]:
        """The same for all letters of one record, and for no other record's."""
        place = f"{self.topic}/{self.partition}/{self.offset}"
        return place, self.id.removeprefix(place).partition("~")[2]


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One thing to deliver: a finding to control (idempotency key: its id), or a dead letter to its topic."""

    id: int
    kind: Literal["finding", "dead_letter"]
    attempts: int
    finding: Finding | None = None
    dead_letter: StoredDeadLetter | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What one finished session adds to its purpose's baseline, and how much it counts, in (0, 1]."""

    counts: Mapping[str, Any]
    weight: float
