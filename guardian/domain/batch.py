"""What goes into the pipeline for one batch, and what comes out: values only.

`stream/` loads a Memory, calls the pipeline, and stores the Judgement in one transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from guardian.domain.drift import Drift
from guardian.domain.envelope import Envelope, Grant, purpose_family
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.past import Vectors
from guardian.domain.record import Record
from guardian.domain.session import HumanWord, SessionState
from guardian.domain.signal import BaselineFact, CredentialHit, SharedReads, Signature

PURPOSES_KEPT = 16
"""Of an agent, the latest."""
PurposeFrom = Literal["log", "file", "registry", "static", "unknown"]


class DecisionKey(NamedTuple):
    """What a decision is known by; a record with the same key and the same digest is a repetition. When one id
    comes with several contents, the first keeps the plain id and the others get `Decoded.other_content`."""

    tenant_id: str
    gateway: str
    decision_id: str


class PurposeKey(NamedTuple):
    """A purpose family within a tenant: what baselines are kept for."""

    tenant_id: str
    purpose: str

    @classmethod
    def of(cls, envelope: Envelope) -> "PurposeKey":
        return cls(envelope.tenant_id, purpose_family(envelope.purpose))


class AgentKey(NamedTuple):
    tenant_id: str
    agent_id: str


class TaskKey(NamedTuple):
    """A task within a tenant: its sessions share the work."""

    tenant_id: str
    task_id: str


def delegation(key: SessionKey, ancestors: Sequence[str]) -> TaskKey:
    """All that was delegated from one session, at whatever depth, as a task of its own beside those that envelopes
    name: it is called after the session at the head. No log can spell it: names hold no control character."""
    return TaskKey(key.tenant_id, f"\x1f{ancestors[-1] if ancestors else key.session_id}")


class SiblingKey(NamedTuple):
    """One session of a task."""

    tenant_id: str
    task_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record that could be read. `event` is already redacted; `digest` is of the untouched bytes.

    envelope_digest  of the envelope before redaction; None where nobody could have registered one
    entry            which decision of its record it is, from 0
    purpose_from     who told the purpose
    unfilled         the event as the log has it, where the log carries no envelope and a registered one may come
    redacted         the deployment's rules that it was redacted by, path -> way
    size             bytes of the JSON that it was
    known_at         when it was certain to have happened, by the reader's clock; None where no clock was read
    """

    record: Record
    event: DecisionEvent
    digest: str
    now: datetime
    clock_suspect: bool
    credentials: tuple[CredentialHit, ...] = ()
    signature: Signature = "absent"
    envelope_digest: str | None = None
    entry: int = 0
    purpose_from: PurposeFrom = "log"
    unfilled: DecisionEvent | None = None
    redacted: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    known_at: datetime | None = None

    @property
    def our_time(self) -> datetime:
        """`now`, by our clock where the gateway's is ahead: to compare with times that others told."""
        return self.now if self.known_at is None else min(self.now, self.known_at)

    @property
    def decision(self) -> DecisionKey:
        return DecisionKey(self.event.envelope.tenant_id, self.event.gateway, self.event.id)

    @property
    def other_content(self) -> DecisionKey:
        """Its key where its id came with other content before. No log can spell it: names hold no control
        character."""
        return self.decision._replace(decision_id=f"{self.event.id}\x1f{self.digest}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read or may not be believed, with its untouched bytes.

    `gateway` is the sender as far as it is known, else "": the fuse counts by it. `judged`: only a part that an
    agent chose could not be read, and the rest of the record was judged. `sealed`: as it lies in the store, where
    its seal cannot be opened here; the record then has no value.
    """

    record: Record
    code: str
    reason: str
    tenant_id: str | None = None
    session_id: str | None = None
    gateway: str = ""
    at: datetime | None = None  # when it was given up, where the broker did not stamp it
    judged: bool = False
    entry: int = 0  # which decision of the record
    sealed: bytes | None = None

    @property
    def key(self) -> SessionKey | None:
        """The session that it belongs to, if that could be read."""
        if self.tenant_id is None or self.session_id is None:
            return None
        return SessionKey(self.tenant_id, self.session_id)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of control's session-changes feed: what people said, in order."""

    seq: int
    key: SessionKey
    word: HumanWord
    at: datetime
    detail: str = ""
    envelope: Envelope | None = None  # with REGISTERED: what was registered


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some entries of it. `feed` names the database that they are of, and each database counts its own; empty from
    a control that does not say. `next` is what to ask after then; less than was asked after where it ends before
    that."""

    items: Sequence[Change]
    next: int
    feed: str = ""


class Reading(NamedTuple):
    """How a log stands that is read while it is written: the reader's clock, and how far behind the log it is at
    most; None while it does not know."""

    now: datetime
    lag: timedelta | None


@dataclass(frozen=True, slots=True)
class Memory:
    """A frozen snapshot of everything a batch may look at. Keys that are absent were never seen. Without a
    `reading` the log counts as read in its own order: what comes first happened first.
    """

    sessions: Mapping[SessionKey, SessionState] = field(default_factory=dict)
    seen: Mapping[DecisionKey, str] = field(default_factory=dict)  # decision -> digest
    baselines: Mapping[PurposeKey, BaselineFact] = field(default_factory=dict)
    agent_purposes: Mapping[AgentKey, tuple[str, ...]] = field(default_factory=dict)  # newest last, bounded
    task_reads: Mapping[TaskKey, Mapping[str, SharedReads]] = field(default_factory=dict)  # by session id; bounded
    registered: Mapping[SessionKey, Grant] = field(default_factory=dict)  # newest of each that is wanted
    renamed: Mapping[SessionKey, Grant] = field(default_factory=dict)  # the same as adapted records spell tools
    spelling: Mapping[str, str] = field(default_factory=dict)  # a tool's name -> its name in adapted records
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the sessions of a batch: their registered envelopes, which of them have records waiting,
    and which have been judged before (these do not wait again)."""

    envelopes: Mapping[SessionKey, Grant] = field(default_factory=dict)
    waiting: frozenset[SessionKey] = frozenset()
    begun: frozenset[SessionKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `stream/` has to load into the Memory for a decoded batch."""

    sessions: frozenset[SessionKey]
    decisions: frozenset[DecisionKey]
    purposes: frozenset[PurposeKey]
    agents: frozenset[AgentKey]
    tasks: frozenset[TaskKey] = frozenset()
    registered: frozenset[SessionKey] = frozenset()  # of which it looks at the envelopes that were registered

    def above(self, sessions: Mapping[SessionKey, SessionState]) -> frozenset[SessionKey]:
        """The further sessions above these, of which their states tell."""
        named = {SessionKey(key.tenant_id, name) for key, state in sessions.items() for name in state.ancestors}
        return frozenset(named - self.sessions)

    def all_tasks(self, sessions: Mapping[SessionKey, SessionState]) -> frozenset[TaskKey]:
        """The tasks, and the delegations that the sessions belong to, of which their states tell."""
        ancestors = {key: state.ancestors for key, state in sessions.items()}
        return self.tasks | {delegation(key, ancestors.get(key, ())) for key in self.sessions}


@dataclass(frozen=True, slots=True)
class ScoredDecision:
    """One decision with its drift.

    vectors  what the score was made from, for the archive
    act      which act of its session it is as the monitor counts them, from 0
    """

    decoded: Decoded
    drift: Drift
    vectors: Vectors | None = None
    act: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything a batch changes. Stored in one transaction with the offsets, or not at all.

    A side finding is made again, with the same id, in every batch that shows its cause; `without` drops those that
    were told before.
    """

    scored: tuple[ScoredDecision, ...] = ()
    findings: tuple[Finding, ...] = ()
    sessions: Mapping[SessionKey, SessionState] = field(default_factory=dict)
    seen: Mapping[DecisionKey, str] = field(default_factory=dict)
    agent_purposes: Mapping[AgentKey, tuple[str, ...]] = field(default_factory=dict)
    dead_letters: tuple[DeadLetter, ...] = ()
    duplicates: int = 0
    task_reads: Mapping[SiblingKey, SharedReads] = field(default_factory=dict)

    def without(self, told: Collection[str]) -> "Judgement":
        """The same, without the findings of these ids."""
        return replace(self, findings=tuple(each for each in self.findings if each.id not in told))
