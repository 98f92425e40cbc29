"""One action as the signals see it, and what each of them says about it.

Polarity, everywhere: in [0, 1], higher means further from the declared purpose.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from guardian.domain.breach import Breach
from guardian.domain.envelope import Envelope
from guardian.domain.event import DecisionEvent


class ParentStatus(StrEnum):
    """What was known of the parent session when the child acted; recorded, so that a replay sees the same."""

    NONE = "none"  # a root session
    PENDING = "pending"  # not seen yet, and it may still come
    UNKNOWN = "unknown"  # not seen within the bounded time
    ACTIVE = "active"
    REVOKED = "revoked"


CHAIN_KEPT = 32
"""How many ancestors of a session are remembered; a limit on their number must lie below."""

Signature = Literal["absent", "unchecked", "missing", "valid", "invalid"]
"""How the signature over an envelope stood up. "absent": nobody asks for one; "missing": there is none."""


@dataclass(frozen=True, slots=True)
class ParentFact:
    """The parent's envelope as recorded, the chain above it (session ids, nearest first) and its status.

    root_purpose  what the session at the head of the chain was delegated for; empty where nobody showed it
    principals    the delegators and agents of the sessions above the parent, nearest first; `UNTOLD_AGENT` for who
                  was not told
    revoked       with status REVOKED, the nearest one of the chain that is revoked
    registered    control was told the parent's envelope, so it would be told of a renewal too
    """

    status: ParentStatus = ParentStatus.NONE
    envelope: Envelope | None = None
    chain: tuple[str, ...] = ()
    root_purpose: str = ""
    principals: tuple[str, ...] = ()
    revoked: str = ""
    registered: bool = False


@dataclass(frozen=True, slots=True)
class BaselineFact:
    """How one (tenant, purpose) behaved before: a frozen snapshot, named by its version.

    Counts are of past honest sessions; `sessions` is how many of them the snapshot has seen.
    """

    version: str
    sessions: int
    tools: Mapping[str, int]
    transitions: Mapping[str, Mapping[str, int]]  # previous tool -> tool -> count; "" starts a session
    record_sizes: tuple[int, ...]  # ascending reservoir of records per call
    hours: tuple[int, ...]  # 24 counts, UTC
    sketches: Mapping[str, int] = field(default_factory=dict)  # sketch of an act's meaning -> count
    sketched_by: str = ""  # the encoder whose sketches these are


@dataclass(frozen=True, slots=True)
class Sketch:
    """What an act means, in 256 bits (hex): acts that say the same differ in few of them.

    `encoder` made it; sketches of different encoders cannot be compared.
    """

    encoder: str
    bits: str


@dataclass(frozen=True, slots=True)
class SharedReads:
    """What one session has read, as far as other sessions of its task, or of the delegation that it belongs to,
    may know: kinds and counts, never a value.

    kinds   kind of sensitive data -> (the tool that read it first, whether a data class declares it)
    prints  keyed fingerprints of the identifying values of sensitive reads, the newest last; bounded
    weight  how much harm the most sensitive of the kinds can do, in [0, 1]: which sessions matter most
    """

    kinds: Mapping[str, tuple[str, bool]]
    reads: int
    prints: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class SiblingFact:
    """What the other sessions of the same task or delegation have read before: a frozen snapshot.

    `reads` has one entry per session, the most sensitive first; bounded.
    """

    reads: Mapping[str, SharedReads]

    @property
    def version(self) -> str:
        """Names the snapshot. It is made when it is asked for: few calls are, and it takes all that was read."""
        told = repr(list(self.reads.items()))
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class CredentialHit:
    """Something that looks like a real credential. The value itself is already gone."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One decision with everything that may be known about it, all of it recorded facts.

    event     redacted already
    redacted  the deployment's own rules for that, path -> drop, hash or shape
    now       event time where the clock can be trusted, else arrival time; never later than arrival
    fit       the drift model's reading of (purpose, history, action); None when there is no purpose
    spelling  tools whose names the rule for names changes -> the name that adapted records have instead
    below     sessions named in the call that this one delegated to
    doubtful  sessions named in the call that are not known to be another work's
    unheard   sessions named in the call of which nothing is known here, though the monitor is not behind
    issued    whoever may issue envelopes stands for this one: it is validly signed, or registered
    fingerprint  a keyed hash, by which a signal knows a value again that it must not keep; None: nothing is kept
    features_missing  the event's own, worked out once
    """

    event: DecisionEvent
    now: datetime
    fit: float | None = None
    parent: ParentFact = field(default_factory=ParentFact)
    baseline: BaselineFact | None = None
    credentials: tuple[CredentialHit, ...] = ()
    redacted: Mapping[str, str] = field(default_factory=dict)
    signature: Signature = "absent"
    other_purposes: int = 0  # distinct other purposes this agent identity served recently, in this tenant
    value_prints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # keyed, by the argument's path
    siblings: SiblingFact | None = None  # None where no other session of its task or delegation read
    sketch: Sketch | None = None
    clock_suspect: bool = False
    spelling: Mapping[str, str] = field(default_factory=dict)
    below: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    unheard: frozenset[str] = frozenset()
    issued: bool = False
    fingerprint: Callable[[str], str] | None = field(default=None, repr=False, compare=False)
    features_missing: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features_missing", self.event.features_missing)

    @property
    def parent_renewable(self) -> bool:
        """Whether the parent's envelope may have been renewed where the log did not show it: whoever may issue
        envelopes gave this session one, and of its parent's control was told nothing."""
        return self.issued and not self.parent.registered

    def surely_after(self, moment: datetime, leeway: timedelta) -> bool:
        """Whether the call was certainly made later than that. Of one whose own time is not believed nobody knows
        when it was made, only when it arrived; but if it says itself that it was later, it was."""
        return self.now - moment > leeway and (not self.clock_suspect or self.event.time - moment > leeway)


@dataclass(frozen=True, slots=True)
class Signal:
    """What one signal says about one action: a value in [0, 1], a sentence, and the rules it saw broken.

    `silent` means that the signal had nothing to go by: it neither accuses nor vouches. `argument` is the path of
    the one argument that it speaks of, None where it speaks of the whole action.
    """

    name: str
    value: float
    reason: str = ""
    breaches: tuple[Breach, ...] = ()
    silent: bool = False
    argument: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.value <= 1.0:  # also refuses NaN
            raise ValueError(f"signal {self.name} must lie in [0, 1], got {self.value}")
