"""The dead-letter fuse: when most records of one gateway are unreadable, stopping beats draining the topic.

Pure: the state is a value, one sliding window per gateway. (The idea is arroyo's DLQ limit.)
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from guardian.errors import FuseBlown

ANYBODY = "\x1f"
"""Before the session, or in its place, where whoever reaches the gateway may have made the record. No log can
spell it: names hold no control character."""


class Outcome(NamedTuple):
    """Whether one record of a gateway could be read; where not, the session that it names, if any, after `ANYBODY`
    where it is anybody's."""

    gateway: str
    readable: bool
    session: str = ""


_READABLE, _NAMELESS, _NAMED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class FuseState:
    """The newest outcomes of each gateway, oldest first: 0 is readable, 1 is unreadable and names no session, from
    2 on is unreadable, a number for each session. What is anybody's has the same numbers below 0. `known` are
    gateways that are known to name sessions and tools, as of `day`."""

    windows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Blown:
    """Why the fuse blew. `anybodys`: only since hardly a record of the window can be read; what is anybody's would
    not be enough otherwise. `read`: whether one can."""

    gateway: str
    bad: int
    of: int
    anybodys: bool = field(default=False, compare=False)
    read: bool = field(default=False, compare=False)

    def error(self) -> FuseBlown:
        return FuseBlown(
            f"{self.bad} of the last {self.of} records of gateway {self.gateway!r} are unreadable; they "
            "are in the dead-letter queue (`guardian dlq list`); mend the gateway, then start the monitor"
        )


@dataclass(frozen=True, slots=True)
class Fuse:
    """Blows when at least `ratio` of the last `window` records of one gateway, and at least `minimum` of them,
    were unreadable. An agent can make its own records unreadable, so one session counts for at most a fifth of the
    minimum, and so does all that is anybody's together; but where less than that is readable, and the gateway is
    not `known`, it is the gateway that names no sessions or tools. `gateways` bounds the memory: the gateway that
    was silent for longest is forgotten first."""

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
        for gateway, readable, session in outcomes:
            last = windows.pop(gateway, ())
            window = (*last, _READABLE if readable else _number(session))[-self.window :]
            windows[gateway] = window  # popped and put back, so that the order is by last record
            if blown is None and not readable:
                blown = self._blown(gateway, window, known=gateway in state.known)
        while len(windows) > self.gateways:
            windows.pop(next(iter(windows)))
        return replace(state, windows=windows, known=state.known & windows.keys()), blown

    def _blown(self, gateway: str, window: tuple[int, ...], *, known: bool) -> Blown | None:
        share = max(1, self.minimum // 5)
        counts = Counter(window)
        readable = counts.pop(_READABLE, 0)
        bad = [(each, n if abs(each) == _NAMELESS else min(n, share)) for each, n in counts.items()]
        anybodys = sum(n for each, n in bad if each < 0)
        surely = sum(n for each, n in bad if each > 0) + min(anybodys, share)
        enough = max(self.minimum, self.ratio * len(window))
        found = surely if known or readable >= share else surely - min(anybodys, share) + anybodys
        if found < enough:
            return None
        return Blown(gateway, found, len(window), anybodys=surely < enough, read=readable > 0)


def _number(session: str) -> int:
    name = session.removeprefix(ANYBODY)
    number = _NAMED + zlib.crc32(name.encode("utf-8", "surrogatepass")) if name else _NAMELESS
    return number if name == session else -number
