"""The dead-letter fuse: when most records of one gateway are unreadable, stopping beats draining the topic.

Pure: the state is a value, one sliding window per gateway. (The idea is arroyo's DLQ limit.)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Outcome(NamedTuple):
    """Whether one record of a gateway could be used."""

    gateway: str
    readable: bool


@dataclass(frozen=True, slots=True)
class FuseState:
    """The newest outcomes of each gateway, oldest first, as bytes of 0 (readable) and 1 (not)."""

    windows: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blown:
    """Why the fuse blew."""

    gateway: str
    bad: int
    of: int


@dataclass(frozen=True, slots=True)
class Fuse:
    """Blows when at least `ratio` of the last `window` records of one gateway, and at least `minimum` records,
    were unreadable. `gateways` bounds the memory: the longest silent gateway is forgotten first."""

    window: int = 200
    minimum: int = 50
    ratio: float = 0.5
    gateways: int = 1024

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.window or not 0 < self.ratio <= 1 or self.gateways < 1:
            raise ValueError(
                f"a fuse needs 1 ≤ minimum ≤ window and 0 < ratio ≤ 1, got minimum={self.minimum}, "
                f"window={self.window}, ratio={self.ratio}"
            )

    def fold(self, state: FuseState, outcomes: Iterable[Outcome]) -> tuple[FuseState, Blown | None]:
        """The next state, and the first gateway whose fuse blew, if any."""
        windows = dict(state.windows)
        blown: Blown | None = None
        for gateway, readable in outcomes:
            last = windows.pop(gateway, b"")
            window = (last + (b"\x00" if readable else b"\x01"))[-self.window :]
            windows[gateway] = window  # popped and put back: the order is by last word
            if blown is None and not readable:
                bad = window.count(1)
                if bad >= self.minimum and bad >= self.ratio * len(window):
                    blown = Blown(gateway, bad, len(window))
        while len(windows) > self.gateways:
            windows.pop(next(iter(windows)))
        return FuseState(windows), blown
