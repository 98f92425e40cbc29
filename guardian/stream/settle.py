"""Getting a batch through although a record in it crashes a room, or kills the process."""

import threading
import traceback
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from guardian.bus.port import Consumer
from guardian.domain.batch import Judgement
from guardian.domain.record import Place, Record
from guardian.errors import GuardianError, StoreError
from guardian.store.monitor import MonitorStore
from guardian.stream.attempts import Refunds, blameless
from guardian.stream.commit import Committer
from guardian.stream.pieces import Piece
from guardian.stream.poison import MAX_ATTEMPTS, halves, poisoned
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("stream")


class Settler:
    """Bisects a batch that crashes until it finds the record. Attempts at that record are counted in the store;
    after three, over all restarts, it is dead-lettered.

    A crash that ends the process leaves no exception behind, but a partition that is claimed again and again with
    nothing committed in between. Such a partition is judged record by record for the next `cautious_for` records,
    and each attempt is counted before it is made.
    """

    def __init__(
        self, *, committer: Committer, store: MonitorStore, clock: Clock, retry_s: float, cautious_for: int
    ) -> None:
        self._committer = committer
        self._store = store
        self._clock = clock
        self._retry_s = retry_s
        self._cautious_for = cautious_for
        self._cautious: dict[Place, int] = {}
        self._refunds = Refunds()

    def assigned(self, claims: Mapping[Place, int]) -> None:
        """Places were claimed; `claims` says how often since something was last committed there."""
        for place, count in claims.items():
            self._cautious.pop(place, None)
            if count >= MAX_ATTEMPTS:
                self._cautious[place] = self._cautious_for

    def drained(self, places: Iterable[Place]) -> None:
        """Nothing is left to read in these places, so the record that ended the process is not there, if there is
        one."""
        for place in places:
            self._cautious.pop(place, None)

    def settle(self, records: list[Record], consumer: Consumer, stop: threading.Event) -> None:
        """Every record ends up judged, dead-lettered or, when `stop` was set, uncommitted.

        Raises what is no record's fault: StoreError (also StaleMember), and BusError (FuseBlown).
        """
        if any(record.place in self._cautious for record in records):
            for record in records:
                self._settle_cautiously(record, consumer, stop)
            return
        try:
            self._committer.judge(records, consumer, stop)
        except Exception as error:  # a room crashed: find the record that did it, and judge the others
            if blameless(error):
                raise
            left = self._committer.left(records)
            if len(left) > 1:
                for half in halves(left):
                    self.settle(half, consumer, stop)
            elif left:
                self._poison(left[0], error, consumer, stop)

    def left(self, records: list[Record]) -> list[Record]:
        """Those that are not settled yet. Raises StoreError."""
        return self._committer.left(records)

    def _settle_cautiously(self, record: Record, consumer: Consumer, stop: threading.Event) -> None:
        left = self._cautious.get(record.place, 0)
        if left <= 0:
            self._cautious.pop(record.place, None)
            return self.settle([record], consumer, stop)
        if left == self._cautious_for:
            _log.warning("claimed repeatedly without progress", topic=record.topic, partition=record.partition)
        self._cautious[record.place] = left - 1
        self._refunds.pay()
        attempt = self._store.mark_attempt(record.place, record.offset)
        if attempt > MAX_ATTEMPTS:
            return self._give_up(record, "the process ended each time", consumer)
        try:
            with self._refunds.of(lambda: self._store.unmark_attempt(record.place, record.offset)):
                return self._committer.judge([record], consumer, stop)
        except Exception as error:
            if blameless(error):
                raise
            return self._poison(record, error, consumer, stop, attempt=attempt)

    def _poison(
        self,
        record: Record,
        error: Exception,
        consumer: Consumer,
        stop: threading.Event,
        *,
        attempt: int | None = None,
    ) -> None:
        """Try again until the attempts are used up, then dead-letter it. A stop keeps the count for the next
        start."""
        while True:
            if attempt is None:
                attempt = self._store.mark_attempt(record.place, record.offset)
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            _log.error("a record crashes the pipeline", **where, attempt=attempt, **sketch(error))
            if attempt >= MAX_ATTEMPTS:
                return self._give_up(record, type(error).__name__, consumer)
            if stop.wait(self._retry_s):
                raise StoreError("stopped before a crashing record was settled; the next start reads it again")
            try:
                return self._committer.judge([record], consumer, stop)
            except Exception as again:
                if blameless(again):
                    raise
                error, attempt = again, None

    def _give_up(self, record: Record, why: str, consumer: Consumer) -> None:
        letters = poisoned(record, why, self._committer.readable(record), self._clock())
        try:
            self._committer.commit(Piece([record], [], letters), consumer)
        except Exception as error:  # making the finding crashes too: keep the letter without one
            if blameless(error):
                raise
            _log.error("no finding could be made of a poisoned record", offset=record.offset, **sketch(error))
            told = Judgement(dead_letters=tuple(letters))
            self._committer.commit(Piece([record], [], letters), consumer, judgement=told)


def sketch(error: Exception) -> dict[str, str]:
    """What crashed and where, for the log. Messages and local values are left out, because they carry what agents
    wrote; only guardian's own errors are quoted."""
    if isinstance(error, GuardianError):
        return {"error": type(error).__name__, "why": str(error)[:500]}
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return {
        "error": type(error).__name__,
        "at": " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames),
    }
