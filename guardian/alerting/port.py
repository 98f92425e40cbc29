"""The port every alert channel implements, and what passes through it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from guardian.bus.port import Producer
from guardian.domain.finding import Finding
from guardian.domain.identity import Identifier
from guardian.errors import AlertError
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseEvent, CaseView
from guardian.wire.findings import AlertOutcome, Became

Clock = Callable[[], float]
"""Monotonic seconds."""

Sleep = Callable[[float], object]
"""Wait that many seconds. An event's `wait` will do: it ends at once when guardian stops."""


@dataclass(frozen=True, slots=True)
class Given:
    """What channels need and cannot make: clocks, a way to wait, and the bus. `now` is aware UTC."""

    clock: Clock
    sleep: Sleep
    now: Callable[[], datetime]
    producer: Callable[[], Producer]


class RetryLater(Exception):
    """The channel cannot take the alert now; ask again in `after_s` seconds (None: as the worker sees fit).

    With `perhaps_refused` it had some of the alert when it failed: a filter on the way may have stopped its words.
    """

    def __init__(self, reason: str, *, after_s: float | None = None, perhaps_refused: bool = False) -> None:
        super().__init__(reason)
        self.after_s, self.perhaps_refused = after_s, perhaps_refused


class NeverTaken(AlertError):
    """This write is refused whatever anybody mends: what it belongs to is gone, or no form of it is taken."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Verb = Literal["post", "update", "reply", "escalate"]


class Step(_Value):
    """One write in a channel that keeps cases: a case's own message, that message brought up to date, a reply.

    `key` names the write for ever, so that it can be found again; `since` is when it was first tried. `place` is
    the reference of the case's message, as an earlier `deliver` returned it. `calls` mentions people, in Slack's
    spelling. A reply shows the events after number `told`, up to number `events`. `leaves` is the message that
    showed the case until this one; an update that has it makes that message say that the case goes on elsewhere.
    `home` is the channel of the case's message, where the step is made in another one.
    """

    verb: Verb
    key: Annotated[str, StringConstraints(max_length=160)]
    since: AwareDatetime
    channel: str = ""
    place: str | None = None
    leaves: str | None = None
    home: str = ""
    calls: str = ""
    told: int = 0
    events: int = 0


class Digest(_Value):
    """Many cases of one tenant in one message: how many of each severity, and since when. Or what became of many
    by one act, which was at that time."""

    tenant_id: Identifier
    since: AwareDatetime
    total: int
    severities: dict[str, int]


class Alert(_Value):
    """One finding and its outcome, on the way to people. `attempt` counts earlier tries; 0 is the first.

    For a channel that keeps cases it also holds the `step` to make and how the case stands: `view`, the `events`
    since the last reply, and for control's own news the `approval` that they ask for. With `digest` the case
    stands for many others, and `events` has one for each of those, or for the worst of them. With `became` it is
    what became of a finding that the channel was told of before; with both, of many by one act.
    """

    finding: Finding
    outcome: AlertOutcome
    link: Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\s<>|\"`]+$")] | None = None
    case: Identifier
    attempt: Annotated[int, Field(ge=0)] = 0
    step: Step | None = None
    view: CaseView | None = None
    events: tuple[CaseEvent, ...] = ()
    approval: ApprovalView | None = None
    digest: Digest | None = None
    nameless: bool = False
    became: Became | None = None

    @property
    def verb(self) -> Verb | None:
        return None if self.step is None else self.step.verb

    @property
    def calls(self) -> str:
        return "" if self.step is None else self.step.calls


class AlertChannel(Protocol):
    """Brings alerts to people or to their systems.

    - `deliver(alert)` returns only when the channel has it, with a reference that people can look up there.
      It raises AlertError when trying again is pointless until somebody mends something (bad token, unknown
      channel), NeverTaken when it always is, and RetryLater when it is not: an overload, a time-out, a lost
      answer. After RetryLater the alert may have arrived all the same.
    - `find(alert)` says whether an earlier try arrived: its reference, or None. It is asked before every try
      but the first, so that a crash or a lost answer between sending and noting shows a person nothing twice.
      A channel that cannot tell right now raises RetryLater, one that never can raises AlertError.
    - Everything in a finding that an agent wrote is hostile: what is shown goes through `neutralise`.

    A channel is used by one thread at a time.
    """

    @property
    def name(self) -> str: ...

    def deliver(self, alert: Alert) -> str: ...

    def find(self, alert: Alert) -> str | None: ...


@runtime_checkable
class ForPeople(Protocol):
    """An AlertChannel that people read one message after the other: by one act that concerns much of what it was
    told it gets one, of what it `shows`, with a `digest` where that is more than one case."""

    def shows(self, finding: Finding) -> bool: ...


class ChannelPlugin(Protocol):
    """A module of this folder is one channel: it exports `plugin`, a frozen dataclass of its options.

    The constructor refuses impossible options with ConfigurationError; `open` makes the channel, with what only
    the composition root has. Neither speaks to the network, so that a channel that is down delays alerts and not
    the start.
    """

    def open(self, given: Given, /) -> AlertChannel: ...
