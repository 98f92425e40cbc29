"""What one process remembers between requests, so that it neither repeats itself nor floods the audit trail."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple

_UNTOLD = 10
_LOGGED_EVERY = timedelta(minutes=1)


class Turn(NamedTuple):
    """The decision point went away (`away`) or came back; the outage began at `since`."""

    away: bool
    since: datetime
    why: str = ""


@dataclass
class DecisionPointWatch:
    """Whether the decision point answers. Calls may come from any thread.

    One failure begins an outage. It is over with the first answer that comes `quiet` after the last failure, so
    that a decision point which fails now and then is told of once and not with every failure.
    """

    quiet: timedelta = timedelta(minutes=5)
    _since: datetime | None = None
    _failed: datetime | None = None
    _logged: datetime | None = None
    _untold: list[Turn] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def heard(self, errors: tuple[str, ...], now: datetime) -> bool:
        """Take note of one answer; with errors it was none. Returns whether to log that: everybody asks, so once a
        minute."""
        with self._lock:
            if errors:
                self._failed = now
                if self._since is None:
                    self._since = now
                    self._turn(Turn(True, now, "; ".join(errors)[:500]))
                if self._logged is None or abs(now - self._logged) >= _LOGGED_EVERY:
                    self._logged = now
                    return True
            elif self._since is not None and self._failed is not None and now - self._failed >= self.quiet:
                self._turn(Turn(False, self._since))
                self._since = None
        return False

    def untold(self) -> tuple[Turn, ...]:
        with self._lock:
            return tuple(self._untold)

    def told(self, turns: tuple[Turn, ...]) -> None:
        """Call it when these are committed; until then they count as untold."""
        with self._lock:
            self._untold = [turn for turn in self._untold if turn not in turns]

    def _turn(self, turn: Turn) -> None:
        self._untold = [*self._untold, turn][-_UNTOLD:]


@dataclass
class Seldom:
    """Whether something is new within the hour, per principal: a caller who insists is not written down each time.

    It remembers at most `most` different things per principal and hour, of at most `principals` principals.
    """

    span: timedelta = timedelta(hours=1)
    most: int = 100
    principals: int = 4096
    _seen: OrderedDict[str, tuple[datetime, set[tuple[str, ...]]]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def first(self, principal: str, *thing: str, now: datetime) -> bool:
        with self._lock:
            begun, things = self._seen.pop(principal, (now, set[tuple[str, ...]]()))
            if not timedelta(0) <= now - begun < self.span:  # or the clock was set back
                begun, things = now, set()
            self._seen[principal] = begun, things
            while len(self._seen) > self.principals:
                self._seen.popitem(last=False)
            if thing in things or len(things) >= self.most:
                return False
            things.add(thing)
            return True
