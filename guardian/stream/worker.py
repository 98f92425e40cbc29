"""The loop: poll → decode → load → judge → one transaction → tell the broker."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guardian.bus.port import Consumer
from guardian.domain.backoff import Backoff
from guardian.domain.record import Place, Record
from guardian.errors import BusError, SchemaAway, StaleMember, StoreError
from guardian.store.monitor.store import MonitorStore
from guardian.stream.commit import Committer
from guardian.stream.port import Clock
from guardian.stream.reach import within_reach
from guardian.stream.releasing import Release
from guardian.stream.settle import Settler
from guardian.stream.vitals import Lateness
from guardian.telemetry import logger

_log = logger("stream")
_HEARD_FOR = timedelta(seconds=2)
_BRIEFLY_S = 0.05
_JOINS_FOR = timedelta(seconds=10)
"""So long a member may join its group without a word; behind one that died it takes the session timeout."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How much to read at a time, and how long to wait. With `max_outbox_depth` None reading never pauses."""

    max_records: int = 500
    poll_timeout_s: float = 0.25
    backoff: Backoff = field(default=Backoff(0.5, 10))
    max_outbox_depth: int | None = 10_000


class Worker:
    """One consumer and its store. `committer` judges and stores. The loop decides when, and what to do about
    trouble: it waits for a store or broker that is away, and discards the batch when it was evicted, or when the
    store lost what was in it. `release` judges what waited for its envelope; `holds` counts what of this
    consumer's still waits. `begin` is called once, when the consumer is started and before it reads: a first start
    may store there where it begins."""

    def __init__(
        self,
        *,
        consumer: Consumer,
        store: MonitorStore,
        committer: Committer,
        clock: Clock,
        options: WorkerOptions,
        lateness: Lateness | None = None,
        release: Release | None = None,
        holds: Callable[[Consumer], int] = lambda _: 0,
        begin: Callable[[], None] = lambda: None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._release = release
        self._holds = holds
        self._begin = begin
        self._begun = False
        self._consumer = consumer
        self._store = store
        self._clock = clock
        self._options = options
        self._settler = Settler(
            committer=committer,
            store=store,
            clock=clock,
            retry=self._options.backoff,
            cautious_for=self._options.max_records,
            timer=timer,
        )
        self._paused = False
        self._lateness = lateness or Lateness(clock)
        self._heard_at: datetime | None = None
        self._silent = False  # the source neither gives records nor says that there are none
        self._joins_since: datetime | None = None  # without a place to read, and not told that none is left for it
        self._away = ""  # what else it waited for last
        self._releasing = False  # more may be due
        self._committer, self._put_off = committer, committer.put_off

    def troubles(self) -> list[str]:
        """What keeps it from its work right now, in words for everybody."""
        found = ["the log's broker does not answer"] if self._silent else []
        if (since := self._joins_since) is not None and self._clock() - since > _JOINS_FOR:
            found.append("its group has not given it anything to read yet")
        found += [self._away] if self._away else []
        return [*found, "nothing can be judged"] if self._settler.failing else found

    def run(self, stop: threading.Event) -> bool:
        """Run until `stop` is set or a bounded source ends; whether that is so. The transaction in progress is
        finished first.

        The loop waits for a broker or store that is away. Raises FuseBlown, after the piece that blew it is
        stored, and any BusError of a bounded source. The consumer is closed on the way out.
        """
        failures = 0
        try:
            started = False
            while not stop.is_set():
                try:
                    if not started:
                        self._start()
                        started = True
                    records = self._poll(stop)
                    failures = 0
                except StaleMember as error:
                    started = self._given_up(error)
                    continue
                except (BusError, StoreError) as error:
                    if isinstance(error, BusError):
                        if self._consumer.exhausted():
                            raise
                        started, self._joins_since = False, None
                        self._away = ""  # of which nothing is known while the broker is away
                    self._silent = isinstance(error, BusError)
                    self._wait(stop, failures, "source_or_store_away", error)
                    failures += 1
                    continue
                if records:
                    started = self._handle(records, stop)
                elif self._consumer.exhausted():
                    if not self._still_holds():
                        return True
                    if not self._releasing:
                        stop.wait(_BRIEFLY_S)  # a file ended; some of it still waits for envelopes
                if started:
                    started = self._let_go(stop)
            return False
        finally:
            self._consumer.close()

    def _start(self) -> None:
        self._consumer.start(self._claim)
        if not self._begun:
            self._begin()
            self._begun = True

    def _still_holds(self) -> bool:
        try:
            return self._holds(self._consumer) > 0
        except StoreError:
            return True  # nobody knows: ask again

    def _poll(self, stop: threading.Event) -> list[Record]:
        self._relieve()
        self._store.positions(self._consumer.assignment())  # also of a place where nothing more comes
        patience, briefly = self._options.poll_timeout_s, min(_BRIEFLY_S, self._options.poll_timeout_s)
        records = self._consumer.poll(
            timeout_s=briefly if self._releasing else patience, max_records=self._options.max_records
        )
        if self._paused and not records:
            stop.wait(briefly)
            self._joins_since = None
        elif records:
            self._silent, self._joins_since = False, None
        elif self._heard():  # also true of a member that has no partition
            self._silent, self._joins_since = False, None
            left = self._consumer.lag()
            self._settler.drained(place for place, count in left.items() if not count)
            if left.keys() >= self._consumer.assignment() and not any(left.values()):
                self._lateness.caught_up()  # where something is left, a fetch takes longer than the poll
        elif not self._consumer.assignment():
            self._joins_since = self._joins_since or self._clock()
        else:
            self._joins_since = None
            if not self._silent:
                _log.warning("source_away", note="it is waited for")
            self._silent = True
        return records

    def _heard(self) -> bool:
        """Whether the source answered lately: a poll that finds nothing does not prove that it is there."""
        now = self._clock()
        if self._heard_at is None or not timedelta(0) <= now - self._heard_at < _HEARD_FOR:
            if not self._consumer.answers():
                return False
            self._heard_at = now
        return True

    def _relieve(self) -> None:
        """Pause while too many findings wait, until half of the limit is left. Dead letters do not count: the
        store keeps them, and an agent can cause any number."""
        limit = self._options.max_outbox_depth
        if limit is None:
            return
        depth = self._store.outbox.depth("finding")
        if not self._paused and depth > limit:
            _log.warning("paused", depth=depth, limit=limit, note="too many findings wait for control")
            self._consumer.pause()
            self._paused = True
        elif self._paused and depth <= limit // 2:
            _log.info("resumed", depth=depth)
            self._consumer.resume()
            self._paused = False

    def _claim(self, places: Sequence[Place]) -> Mapping[Place, int]:
        owned = self._store.claim(places, self._consumer.member(), now=self._clock())
        self._settler.assigned(owned.claims)
        _log.info("assigned", places=list(map(str, places)))
        if fresh := [place for place in places if place not in owned.positions]:
            _log.info("first_start", begins=dict.fromkeys(map(str, fresh), "first record"))
        return within_reach(owned.positions, self._consumer, self._store, self._clock())

    def _handle(self, records: list[Record], stop: threading.Event) -> bool:
        """Settle a batch, waiting for a store that is away. False: the consumer must be started again."""
        failures = 0
        while True:
            try:
                left = self._settler.left(records) if failures else records
                self._settler.settle(left, self._consumer, stop)
                self._away = ""
                return True
            except StaleMember as error:
                return self._given_up(error)
            except StoreError as error:
                if not stop.is_set():
                    self._wait(stop, failures, "store_away", error)
                failures += 1
                if stop.is_set():
                    _log.info("stopped_within_batch", note="the rest is read again at the next start")
                    return True

    def _let_go(self, stop: threading.Event) -> bool:
        """Judge some of what waited long enough or got its envelope; more of it than began to wait since the last
        time, so that what waits becomes fewer. The log is read on before the rest is judged. False: the consumer
        must be started again."""
        came, self._put_off = self._committer.put_off - self._put_off, self._committer.put_off
        self._releasing = False
        try:
            while self._release is not None and (judged := self._release(self._consumer)):
                came -= judged
                self._releasing = came < 0
                if self._releasing or stop.is_set():
                    break
            self._away = ""
        except StaleMember as error:
            return self._given_up(error)
        except StoreError as error:
            self._wait(stop, 0, "store_away", error)
        return True

    def _given_up(self, error: StaleMember) -> bool:
        """What is not stored is discarded. False: the consumer must be started again."""
        _log.warning("batch_discarded", error=str(error), note="its places are claimed anew")
        self._consumer.close()
        return False

    def _wait(self, stop: threading.Event, failures: int, what: str, error: Exception) -> None:
        if isinstance(error, StoreError):
            registry = isinstance(error, SchemaAway)
            self._away = "the schema registry gives no schema" if registry else "its database cannot be used"
        pause = self._options.backoff.after(failures)
        _log.error(what, error=str(error), retry_in_s=pause)  # as loud as what libraries say of it
        stop.wait(pause)
