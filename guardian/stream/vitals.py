"""How far behind the topic the monitor is, and telling control so: a monitor that is late must not look alive.

Calls are watched up to a moment: the time of the newest record that is judged and stored, or now, if there was
nothing to read. A worker that is stuck, paused or without a broker does not move that moment on. Until there is a
first such moment nobody knows how far behind the monitor is, and the report says so.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guardian.bus.port import Consumer
from guardian.domain.record import Place, Record
from guardian.errors import ControlError
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("stream")
_MOST_S = 1e9
"""The largest lag that a report may hold. A record stamped 1970 is further behind; the report must go out
anyway."""

_AHEAD = timedelta(minutes=5)
"""How far clocks may differ: a stamp that is ahead of ours by no more counts as now."""

_LOOK_EVERY, _ASK_EVERY = timedelta(seconds=1), timedelta(seconds=10)
"""How often, while records keep coming, to look what is left in the other partitions, and to ask the broker
whether all of them can be read."""


def instance_name() -> str:
    """A name for this running monitor."""
    return f"{socket.gethostname()[:80]}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass
class Lateness:
    """Up to when calls are watched. The worker writes it, metrics and `Vitals` read it."""

    clock: Clock
    _until: datetime | None = field(default=None)
    _reached: datetime | None = field(default=None)  # by the partitions that were read, whatever others hold
    _newest: dict[Place, datetime] = field(default_factory=dict)
    _read: set[Place] = field(default_factory=set)  # whether or not their records say when they were written
    _looked: datetime | None = None
    _asked: datetime | None = None
    _answers: bool = False

    def caught_up(self) -> None:
        """There was nothing to read."""
        self._until = self.clock()
        self._newest = dict.fromkeys(self._newest, self._until)

    def handled(self, records: Sequence[Record], held: Set[Place] = frozenset()) -> None:
        """These records are judged and stored; of all partitions the one that is furthest behind counts. While of
        one that is `held` nothing was read, nor was it found empty, calls are watched no further than before.

        A record that is older than one before it in its partition was sent again, so it is no delay. One that is
        stamped far ahead of now says nothing: its partition stays where it was.
        """
        now = self.clock()
        for record in records:
            self._read.add(record.place)
            if record.timestamp is None or record.timestamp - now > _AHEAD:
                continue
            stamp = min(record.timestamp, now)
            self._newest[record.place] = max(stamp, self._newest.get(record.place, stamp))
        self._count(now, held)

    def handled_all(self, records: Sequence[Record], consumer: Consumer) -> None:
        """A whole batch is judged and stored. A partition is up to date where nothing is left in it and either no
        record of this batch is from it, or one whose stamp was far ahead. One that is gone no longer counts."""
        now = self.clock()
        here, held = {record.place for record in records}, consumer.assignment()
        ahead = {r.place for r in records if r.timestamp is not None and r.timestamp - now > _AHEAD}
        self._read &= here | held
        self._newest = {place: stamp for place, stamp in self._newest.items() if place in here | held}
        found = ahead | self._readable(held - here, consumer, now)
        if found:
            left = consumer.lag()
            self._newest |= {place: now for place in found if left.get(place) == 0}
        if not here.isdisjoint(self._newest):
            self._count(now, held)

    def _readable(self, others: Set[Place], consumer: Consumer, now: datetime) -> Set[Place]:
        """Those in which to look what is left: none, if that was done just now, or if not all can be read."""
        if not others or not _over(self._looked, now, _LOOK_EVERY):
            return frozenset()
        self._looked = now
        if _over(self._asked, now, _ASK_EVERY):
            self._asked, self._answers = now, consumer.answers()
        return others if self._answers else frozenset()

    def _count(self, now: datetime, held: Set[Place]) -> None:
        reached = min([now, *self._newest.values()])
        if self._newest:
            self._reached = reached
        if held <= self._read | self._newest.keys():
            self._until = reached

    def lag(self) -> timedelta | None:
        """How far behind; None as long as nothing was read and the topic was not found empty either."""
        return self._since(self._until)

    def at_least(self) -> timedelta | None:
        """How far behind it is for sure: also while of some partition nothing was read yet."""
        return self._since(self._until or self._reached)

    def _since(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else max(timedelta(0), self.clock() - moment)


def _over(since: datetime | None, now: datetime, wait: timedelta) -> bool:
    """Whether the wait is over; it is, too, where the clock was set back."""
    return since is None or not timedelta(0) <= now - since < wait


class Vitals:
    """Reports every `every_s`, and once more when the monitor stops. `report` is called with the instance, the lag
    in seconds (None while unknown) and whether the monitor is leaving."""

    def __init__(
        self,
        lateness: Lateness,
        report: Callable[[str, float | None, bool], None],
        *,
        instance: str,
        every_s: float = 5.0,
    ) -> None:
        self._lateness, self._report = lateness, report
        self._instance, self._every_s = instance, every_s

    def run(self, stop: threading.Event) -> None:
        while True:
            leaving, lag = stop.is_set(), self._lateness.lag()
            try:
                self._report(self._instance, None if lag is None else min(_MOST_S, lag.total_seconds()), leaving)
            except ControlError as error:
                _log.debug("vitals_not_told", error=str(error)[:200])
            if leaving:
                return
            stop.wait(self._every_s)
