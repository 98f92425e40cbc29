"""How far behind the topic the monitor is, and telling control so: a monitor that is late must not look alive.

Calls are watched up to a moment: the time of the newest record that is judged and stored, or now, when there was
nothing to read. A worker that is stuck, paused or without a broker moves that moment no further. Before the first
of them nobody knows how far behind it is, and the report says that.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guardian.domain.record import Place, Record
from guardian.errors import ControlError
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("vitals")
_MOST_S = 1e9
"""No report takes more: a record stamped 1970 is older than that, and the monitor is heard of all the same."""

_AHEAD = timedelta(minutes=5)
"""So far clocks may differ: a stamp that is no further ahead of ours is of now."""


def instance_name() -> str:
    """One running monitor."""
    return f"{socket.gethostname()[:80]}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass
class Lateness:
    """Written where records are read and committed, read by whoever reports."""

    clock: Clock
    _until: datetime | None = field(default=None)
    _newest: dict[Place, datetime] = field(default_factory=dict)

    def caught_up(self) -> None:
        """There was nothing to read."""
        self._until = self.clock()
        self._newest = dict.fromkeys(self._newest, self._until)

    def handled(self, records: Sequence[Record]) -> None:
        """These are judged and stored; the partition that is furthest behind counts.

        A record older than one before it in its partition was sent again: nobody waited that long for it. One
        whose time is far from come says nothing: its partition stays where it was.
        """
        now = self.clock()
        for record in records:
            if record.timestamp is None or record.timestamp - now > _AHEAD:
                continue
            stamp = min(record.timestamp, now)
            self._newest[record.place] = max(stamp, self._newest.get(record.place, stamp))
        self._count(records, now)

    def handled_all(self, records: Sequence[Record], left: Callable[[], Mapping[Place, int]]) -> None:
        """All that was handed out is: not its last piece alone counts. Stamps far ahead are no delay where nothing
        is `left` in their partition."""
        now = self.clock()
        ahead = {r.place for r in records if r.timestamp is not None and r.timestamp - now > _AHEAD}
        if ahead:
            unread = left()
            self._newest |= {place: now for place in ahead if unread.get(place) == 0}
        if any(record.place in self._newest for record in records):
            self._count(records, now)

    def _count(self, records: Sequence[Record], now: datetime) -> None:
        places = {record.place for record in records if record.place in self._newest}
        self._until = min([now, *(self._newest[place] for place in places)])

    def lag(self) -> timedelta | None:
        """None before anything was read, or found to be empty: nobody knows yet."""
        return None if self._until is None else max(timedelta(0), self.clock() - self._until)


class Vitals:
    """Reports every `every_s`, also that the monitor leaves. `report` is (instance, lag in seconds, leaving); the
    lag is None while nobody knows it."""

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
