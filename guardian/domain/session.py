"""What guardian remembers of a session between two of its actions: plain, bounded, JSON-able."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from guardian.domain.breach import DOUBT
from guardian.domain.envelope import Envelope
from guardian.domain.gathered import Gathered


class Stage(StrEnum):
    """Where a session stands on the ladder."""

    CLEAR = "clear"
    FLAGGED = "flagged"
    REVOKED = "revoked"  # revocation was asked for; whether it was granted is control's to know


class HumanWord(StrEnum):
    """What people (or policy on their behalf) did to a session; tailed from control."""

    REVOKED = "revoked"
    REINSTATED = "reinstated"
    FALSE_POSITIVE = "false_positive"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"  # a verdict was taken back: it is as if nobody had judged the finding
    LAPSED = (
        "lapsed"  # nobody said anything of it: its revocation reached its expiry, or its parent was given back
    )
    REGISTERED = "registered"  # an envelope was registered for the session; the change's detail is its digest


def rules_told(known: Iterable[str]) -> str:
    """For the feed: rules that people know to be broken, by `Breach.remembered`; `judged` reads them back. A doubt
    stands there by its bare name too, by which monitors go that knew no doubts.

    >>> rules_told(["session_mismatch?", "tool_not_allowed"])
    'session_mismatch session_mismatch? tool_not_allowed'
    """
    named = frozenset(known)
    facts = frozenset(name for name in named if not name.endswith(DOUBT))
    doubts = frozenset(name for name in named - facts if name.removesuffix(DOUBT) not in facts)
    return " ".join(sorted(facts | doubts | {name.removesuffix(DOUBT) for name in doubts}))


def judged(detail: str) -> tuple[str, frozenset[str]]:
    """Of what the feed says beside a verdict or a reinstatement: the finding that was judged (empty where it is
    not told), and the rules that people knew to be broken, by `Breach.remembered` (empty where that is not told).

    >>> judged("fnd_1 envelope_expired")
    ('fnd_1', frozenset({'envelope_expired'}))
    """
    words = detail.split()
    finding = next((word for word in words if word.startswith("fnd_")), "")
    known = frozenset(words) - {finding}
    return finding, known - {name.removesuffix(DOUBT) for name in known if name.endswith(DOUBT)}


CARRIER = HumanWord.REGISTERED
"""In place of WITHDRAWN in the archive, beside the finding that it is about: of the words that all its readers
know the one of which they make nothing; any other would be a verdict or an act."""


def left_standing(word: HumanWord, detail: str) -> HumanWord:
    """What of a session stands as people's last word after this one on the feed: who takes a verdict back leaves
    what was confirmed beside it, which `detail` then says.

    >>> left_standing(HumanWord.WITHDRAWN, "fnd_2 - confirmed").value
    'confirmed'
    """
    confirmed = word is HumanWord.WITHDRAWN and HumanWord.CONFIRMED.value in judged(detail)[1]
    return HumanWord.CONFIRMED if confirmed else word


class SessionState(BaseModel):
    """The fold's memory. `epoch` counts fresh starts after a human decision, `transition` the findings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int = 0
    transition: int = 0
    stage: Stage = Stage.CLEAR
    stood: Stage = Stage.FLAGGED  # where it stood before revocation was asked for, or came
    actions: int = 0
    revoked_at: AwareDatetime | None = None  # control says so
    asked_at: AwareDatetime | None = None  # when revocation was last asked for, and
    asked_one_in: float = 1.0  # on how much evidence
    envelope: Envelope | None = None  # its own, from its first allowed call, or issued
    renewed: Envelope | None = None  # the first one until the latest expiry shown since, where that is later
    first_seen: AwareDatetime | None = None
    met_at: AwareDatetime | None = None  # when its first call was judged, by the reader's clock
    last_seen: AwareDatetime | None = None
    ancestors: tuple[str, ...] = ()  # session ids up the delegation chain, nearest first
    root_purpose: str = ""  # of the session at the head of that chain, as its children are told
    principals: tuple[str, ...] = ()  # delegators and agents up that chain, nearest first; "" is not told; bounded
    tools: tuple[str, ...] = ()  # the last tools used, oldest first
    value_prints: tuple[str, ...] = ()  # keyed fingerprints of allowed calls' argument values; bounded
    signals: dict[str, Any] = Field(default_factory=dict)  # each signal's own state, by its name
    evidence: Gathered = Gathered()
    calibration: str = ""  # the version of the one by which that was measured
    undivided: bool = False  # that one has measured it from the session's first call on
    peak: float | None = None  # the most evidence of any epoch before this one, in log10 units
    breaches: tuple[str, ...] = ()  # what this epoch's findings spoke of, by `Breach.remembered`; bounded
    named_at: dict[str, AwareDatetime] = Field(default_factory=dict)  # when each of these was named first
    pardoned: tuple[str, ...] = ()  # of these, what people have waved through for this session; bounded
    reported: tuple[str, ...] = ()  # side findings already made, by name
    registered: tuple[str, ...] = ()  # digests of envelopes that control knows of, the newest last; bounded

    @property
    def highest(self) -> float | None:
        """The most evidence of any epoch, log10; None before the first call that was measured."""
        now = self.evidence.top if self.evidence.n else None
        return max((value for value in (self.peak, now) if value is not None), default=None)
