"""Getting a batch through although a record in it crashes a room, or kills the process."""

import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath

from guardian.bus.port import Consumer
from guardian.domain.backoff import Backoff
from guardian.domain.batch import DeadLetter, Decoded, Judgement
from guardian.domain.record import Place, Record
from guardian.errors import GuardianError, StoreError, Unstorable
from guardian.store.monitor.store import MonitorStore
from guardian.stream.attempts import Lenience, Refunds, blameless
from guardian.stream.commit import Committer
from guardian.stream.pieces import Piece
from guardian.stream.poison import MAX_ATTEMPTS, halves, poisoned
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("stream")
_ASKED = 20
"""So many other records, from all over the batch, are tried before the model is said to fail."""


class Settler:
    """Bisects a batch that crashes until it finds the record. Attempts at that record are counted in the store;
    after three, over all restarts, it is dead-lettered.

    A crash that ends the process leaves no exception behind, but a partition that is claimed again and again with
    nothing committed in between. Such a partition is judged record by record for the next `cautious_for` records,
    and each attempt is counted before it is made.

    While no other record can be judged either, a model fails and no record is at fault: that counts as no attempt,
    for as long as `Lenience` says. `timer` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        committer: Committer,
        store: MonitorStore,
        clock: Clock,
        retry: Backoff,
        cautious_for: int,
        timer: Callable[[], float],
    ) -> None:
        self._committer = committer
        self._store = store
        self._clock = clock
        self._retry = retry
        self._lenience = Lenience(timer, retry)
        self._failing = False
        self._batch: Sequence[Record] = ()
        self._given_up: tuple[Record, ...] = ()  # the last that crashed: to compare with where none was judged yet
        self._cautious_for = cautious_for
        self._cautious: dict[Place, int] = {}
        self._refunds = Refunds()

    @property
    def failing(self) -> bool:
        """Whether it tries records again of which none can be judged."""
        return self._failing

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
        self._batch = records
        try:
            self._settle(records, consumer, stop)
        finally:
            self._batch = ()

    def _settle(self, records: list[Record], consumer: Consumer, stop: threading.Event) -> None:
        if any(record.place in self._cautious for record in records):
            for record in records:
                self._settle_cautiously(record, consumer, stop)
            return
        try:
            self._judge(records, consumer, stop)
        except Exception as error:  # a room crashed: find the record that did it, and judge the others
            if blameless(error):
                raise
            left = self._committer.left(records)
            if len(left) > 1:
                for half in halves(left):
                    self._settle(half, consumer, stop)
            elif left:
                self._poison(left[0], error, consumer, stop)

    def _judge(self, records: list[Record], consumer: Consumer, stop: threading.Event) -> None:
        before = self._committer.judged
        try:
            self._committer.judge(records, consumer, stop)
        finally:
            if self._committer.judged > before:  # what is skipped, waits or cannot be read proves nothing
                self._lenience.went_well()

    def left(self, records: list[Record]) -> list[Record]:
        """Those that are not settled yet. Raises StoreError."""
        return self._committer.left(records)

    def _settle_cautiously(self, record: Record, consumer: Consumer, stop: threading.Event) -> None:
        left = self._cautious.get(record.place, 0)
        if left <= 0:
            self._cautious.pop(record.place, None)
            return self._settle([record], consumer, stop)
        if left == self._cautious_for:
            _log.warning("claimed_without_progress", topic=record.topic, partition=record.partition)
        self._cautious[record.place] = left - 1
        self._refunds.pay()
        attempt = self._store.mark_attempt(record.place, record.offset)
        refunded = self._refunds.of(lambda: self._store.unmark_attempt(record.place, record.offset))
        if attempt > MAX_ATTEMPTS:
            read_again = attempt == MAX_ATTEMPTS + 1  # for its sessions; if that ended the process too, nobody's
            found = self._committer.readable(record) if read_again else ()
            with refunded:
                return self._give_up(record, "the process ended each time", found, consumer)
        try:
            with refunded:
                return self._judge([record], consumer, stop)
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
        try:
            self._try_again(record, error, consumer, stop, attempt)
        finally:
            self._failing = False

    def _try_again(
        self,
        record: Record,
        error: Exception,
        consumer: Consumer,
        stop: threading.Event,
        attempt: int | None,
    ) -> None:
        while True:
            self._refunds.pay()
            if attempt is None:
                attempt = self._store.mark_attempt(record.place, record.offset)
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            _log.error("record_crashes", **where, attempt=attempt, **sketch(error))
            with self._refunds.of(lambda: self._store.unmark_attempt(record.place, record.offset)):
                self._failing = not isinstance(error, Unstorable) and self._others_fail(record)
            pause = self._lenience.pause(judged=not self._failing)
            if self._failing and self._lenience.lasts():
                _log.error("nothing_judged", retry_in_s=pause, note="no record is blamed for it yet")
                self._refunds.owe(lambda: self._store.unmark_attempt(record.place, record.offset))
            elif attempt >= MAX_ATTEMPTS:
                self._given_up = (record,)
                return self._give_up(record, type(error).__name__, self._committer.readable(record), consumer)
            else:
                pause = self._retry.base_s
            if stop.wait(pause):
                raise StoreError("stopped before a crashing record was settled; the next start reads it again")
            try:
                return self._judge([record], consumer, stop)
            except Exception as again:
                if blameless(again):
                    raise
                error, attempt = again, None

    def _others_fail(self, record: Record) -> bool:
        others = [each for each in self._batch if each is not record]
        return self._committer.fails([*others[:: -(-len(others) // _ASKED) or 1], *self._given_up])

    def _give_up(
        self, record: Record, why: str, found: Iterable[Decoded | DeadLetter], consumer: Consumer
    ) -> None:
        letters = poisoned(record, why, found, self._clock())
        try:
            self._committer.commit(Piece([record], [], letters), consumer)
        except Exception as error:  # making the finding crashes too: keep the letter without one
            if blameless(error):
                raise
            _log.error("poisoned_without_finding", offset=record.offset, **sketch(error))
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
