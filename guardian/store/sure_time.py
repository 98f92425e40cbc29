"""By what time something ends for good: a clock that was ahead for a moment must not end it before its time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

_SLACK_S = 60.0
"""So far wall time may run from the stopwatch before it has jumped."""
_PATIENCE_S = 900.0
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Sure = Callable[[datetime], datetime]
"""The time now → the time that has surely come. What is deleted, or ended for good, is what was over by then."""


class SureTime:
    """`stopwatch` counts seconds. Calls may come from any thread.

    A jump of the clock is believed once it has kept step with the stopwatch for a quarter of an hour; until then
    time goes on from where it was. For as long after a start none has surely come: a machine may wake with any.
    """

    def __init__(self, clock: Callable[[], datetime], stopwatch: Callable[[], float]) -> None:
        self._clock, self._stopwatch, self._lock = clock, stopwatch, Lock()
        self._ahead = self._offset()
        self._since = stopwatch()
        self._believed: float | None = None

    def __call__(self, now: datetime) -> datetime:
        """The sure time; never after `now`, which was read a moment ago."""
        with self._lock:
            ahead, at = self._offset(), self._stopwatch()
            if abs(ahead - self._ahead) > _SLACK_S:
                self._ahead, self._since = ahead, at
            elif at - self._since >= _PATIENCE_S:
                self._believed = self._ahead
            if self._believed is None:
                return _LONG_AGO
            return min(now, datetime.fromtimestamp(self._believed + at, UTC))

    def _offset(self) -> float:
        return self._clock().timestamp() - self._stopwatch()


def none_yet(sure: datetime) -> bool:
    """Whether no time has surely come, as just after a start."""
    return sure == _LONG_AGO


def jumped(sure: datetime, now: datetime) -> timedelta | None:
    """How far `now` is ahead of the sure time; None where it is not, and just after a start."""
    ahead = now - sure
    return ahead if not none_yet(sure) and ahead.total_seconds() > _SLACK_S else None


def apart(other: datetime, before: datetime, after: datetime) -> timedelta:
    """How far another clock is from this one, which was read before and after it; zero within a minute."""
    ahead = max(other - after, timedelta(0)) + min(other - before, timedelta(0))
    return ahead if abs(ahead.total_seconds()) > _SLACK_S else timedelta(0)
