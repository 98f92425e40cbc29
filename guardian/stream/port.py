"""What the loops are given: the pipeline, the control API, and points where a test may end the process."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from guardian.domain.batch import ChangePage, DeadLetter, Decoded, Judgement, Known, Memory, Wanted
from guardian.domain.finding import Finding
from guardian.domain.record import Record

Clock = Callable[[], datetime]
"""Aware UTC now."""

CrashPoints = Callable[[str], None]
"""Called with a name before and after everything that leaves the process or the transaction:
`before_commit`, `after_commit`, `before_produce`, `after_produce`, `before_send`, `after_send`.
Does nothing in production; a kill test ends the process in it."""


def no_crash(_point: str) -> None:
    """The crash points of production."""


class Pipeline(Protocol):
    """One batch through the rooms, pure: the same records and memory always give the same judgement."""

    def each(self, record: Record) -> Iterable[Decoded | DeadLetter]:
        """One record's decisions that may be believed, as they are read, and after them its dead letters."""
        ...

    def wanted(self, decoded: Sequence[Decoded], letters: Sequence[DeadLetter] = ()) -> Wanted: ...

    def judge(
        self, decoded: Sequence[Decoded], dead_letters: Sequence[DeadLetter], memory: Memory
    ) -> Judgement: ...


class Fill(Protocol):
    """Fills in registered envelopes. Returns the decisions to judge now, and those that wait for one. Pure."""

    def __call__(
        self, decoded: Sequence[Decoded], known: Known, *, patient: bool
    ) -> tuple[list[Decoded], list[Decoded]]: ...


class Control(Protocol):
    """The control API as the monitor may use it. Both raise ControlError with the HTTP status, 0 for no answer."""

    def submit(self, finding: Finding) -> Mapping[str, object]:
        """Post a finding; idempotent by its id. Returns what policy made of it."""
        ...

    def changes(self, since: int) -> ChangePage:
        """What people said after sequence number `since`, in order; empty where there is nothing new."""
        ...
