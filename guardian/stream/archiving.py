"""From the store's spool into the archive's files, beside the loop that judges."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guardian.domain.backoff import Backoff
from guardian.domain.batch import Judgement
from guardian.errors import ArchiveError, StoreError
from guardian.store.monitor.spool import Group, Spool
from guardian.stream.port import Clock, CrashPoints, no_crash
from guardian.telemetry import Metrics, logger

_log = logger("stream")


@dataclass(frozen=True, slots=True)
class ArchivingOptions:
    """A file is written when `rows` decisions wait, or when one has waited for `patience`. While more than
    `most_waiting` wait, further decisions are left out of the archive: the topic still has them, and `guardian
    archive import kafka` back-fills. `pace` is how long to wait before looking again, by the number of
    failures."""

    rows: int = 50_000
    patience: timedelta = timedelta(minutes=1)
    most_waiting: int = 5_000_000
    tidy_every: timedelta = timedelta(hours=1)
    pace: Backoff = field(default=Backoff(1.0, 60.0))


class Archiving:
    """`pack` makes the bytes that are committed with a batch, `write` puts a group of them into files, `tidy`
    merges files and deletes old ones in at least one step: what is due is written before the next. `check` raises
    ArchiveError while nothing may be written here: then nothing is taken, and whoever may can have it. Detection
    goes first: neither a full disk nor a batch that cannot be packed holds it up."""

    def __init__(
        self,
        *,
        spool: Spool,
        pack: Callable[[Judgement], bytes],
        write: Callable[[Group], int],
        tidy: Callable[[datetime], Iterator[object]],
        check: Callable[[], None] = lambda: None,
        clock: Clock,
        metrics: Metrics,
        options: ArchivingOptions | None = None,
        crash_points: CrashPoints = no_crash,
    ) -> None:
        self._spool = spool
        self._pack = pack
        self._write = write
        self._tidy = tidy
        self._check = check
        self._clock = clock
        self._metrics = metrics
        self._options = options or ArchivingOptions()
        self._crash = crash_points
        self._waiting = spool.depth()
        self._tidying: Iterator[object] = iter(())
        self._next_tidy: datetime | None = None
        self.failing = False
        """Whether what was last to be written could not be, and waits."""

    def packed(self, judgement: Judgement) -> bytes:
        """What goes into the spool with a batch; empty where the archive does without it."""
        if not judgement.scored:
            return b""
        if self._waiting > self._options.most_waiting:
            return self._skip(judgement, "too much waits already")
        try:
            body = self._pack(judgement)
        except Exception as error:  # our fault, and no reason to leave sessions unjudged
            return self._skip(judgement, type(error).__name__)
        self._waiting += len(judgement.scored)
        return body

    def run(self, stop: threading.Event) -> None:
        """Write until `stop` is set, then once more everything that is left."""
        failures, pace = 0, self._options.pace
        while not stop.is_set():
            more = False
            try:
                try:
                    written = self.write_due()
                finally:  # also where it cannot be: this may be what makes room
                    more = self._tidy_on()
                failures = 0
                self.failing = self.failing and not written and self._waiting > 0  # what failed is not due at once
            except (ArchiveError, StoreError) as error:
                failures += 1
                self.failing = self.failing or isinstance(error, ArchiveError)  # of its database the worker tells
                self._metrics.add("guardian_loop_failures_total", loop="archive")
                _log.error("archive_not_written", error=str(error), retry_in_s=pace.after(failures))
            if failures or not more:
                stop.wait(pace.after(failures))
        try:
            self.write_due(everything=True)
        except (ArchiveError, StoreError) as error:
            _log.error("archive_not_written", error=str(error), note="the rest waits in the store")

    def write_due(self, *, everything: bool = False) -> int:
        """Write what is due, or `everything` that waits; returns how many rows reached a file."""
        written = 0
        while group := self._taken(everything):
            self._crash("before_archive")
            written += self._write(group)
            self._crash("after_archive")
            self._spool.done(group.name)
        self._waiting = self._spool.depth()
        self._metrics.set("guardian_archive_waiting", self._waiting)
        return written

    def _taken(self, everything: bool) -> Group | None:
        self._check()
        patience = timedelta(0) if everything else self._options.patience
        return self._spool.take(self._clock(), rows=self._options.rows, patience=patience, even_leased=everything)

    def _tidy_on(self) -> bool:
        """The next step, if it is time to tidy; whether another one follows at once."""
        if next(self._tidying, None) is not None:
            return True
        now = self._clock()
        every = self._options.tidy_every
        if self._next_tidy is not None and now < self._next_tidy <= now + every:  # else the clock went back
            return False
        self._next_tidy = now + every
        self._tidying = self._steps(now)
        return True

    def _steps(self, now: datetime) -> Iterator[object]:
        for done in self._tidy(now):
            yield done
        _log.info("archive_tidied", result=str(done))

    def _skip(self, judgement: Judgement, why: str) -> bytes:
        self._metrics.add("guardian_archive_skipped_total", len(judgement.scored))
        _log.error("decisions_not_archived", count=len(judgement.scored), why=why)
        return b""
