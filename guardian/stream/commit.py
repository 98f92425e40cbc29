"""One batch: decode, load, judge, and one transaction with everything that came of it."""

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from guardian.bus.port import Consumer
from guardian.domain.batch import DeadLetter, DecisionKey, Decoded, Judgement, Reading
from guardian.domain.finding import Finding
from guardian.domain.record import Place, Record
from guardian.errors import StoreError
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.values import Conflict, Held, Recall
from guardian.stream.attempts import blameless
from guardian.stream.fuse import Blown, Fuse, FuseState
from guardian.stream.fusing import fused, outcomes
from guardian.stream.marks import Mark
from guardian.stream.pieces import Piece, in_time, pieces
from guardian.stream.poison import advanced
from guardian.stream.port import Clock, CrashPoints, Pipeline, no_crash
from guardian.stream.vitals import Lateness
from guardian.stream.waiting_room import WaitingRoom
from guardian.telemetry import Metrics, logger

_log = logger("stream")
_MAX_CONFLICTS = 20


def marked_late(judgement: Judgement, now: datetime, late_after: timedelta) -> Judgement:
    """The same, with `late_s` on findings about calls that reached the topic more than `late_after` ago."""
    stamps = {v.decoded.decision: v.decoded.record.timestamp for v in judgement.scored}

    def marked(finding: Finding) -> Finding:
        act = finding.act
        stamp = None if act is None else stamps.get(DecisionKey(finding.tenant_id, act.gateway, act.decision_id))
        if stamp is None or now - stamp <= late_after:
            return finding
        return finding.model_copy(update={"late_s": int((now - stamp).total_seconds())})

    return dataclasses.replace(judgement, findings=tuple(map(marked, judgement.findings)))


def retry_conflicts(once: Callable[[], None]) -> None:
    """Do it; where another member wrote meanwhile, do it again on top of what it wrote. Raises Conflict when that
    happens twenty times in a row."""
    for _ in range(_MAX_CONFLICTS - 1):
        with suppress(Conflict):
            return once()
    return once()


class Committer:
    """Judges records and stores what comes of them.

    `timer` is a monotonic clock in seconds, for latency figures only. `on_commit` is called after each transaction
    with the judgement that it stored (it wakes the outbox, or prints). `archived` makes the bytes that the archive
    keeps of a judgement; they are stored in the same transaction. Without a `waiting` room no record waits for its
    envelope. At most `most` decisions are judged in one transaction. `mark` recognises records that people sent
    again: they do not count towards the `fuse`. Without a `lateness` the log is judged as one that is read in its
    order.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        store: MonitorStore,
        clock: Clock,
        timer: Callable[[], float],
        metrics: Metrics,
        fuse: Fuse | None = None,
        mark: Mark | None = None,
        on_commit: Callable[[Judgement], None] | None = None,
        archived: Callable[[Judgement], bytes] | None = None,
        crash_points: CrashPoints = no_crash,
        late_after: timedelta = timedelta(seconds=60),
        waiting: WaitingRoom | None = None,
        lateness: Lateness | None = None,
        most: int = 500,
    ) -> None:
        self._most = most
        self._live = lateness is not None
        self._lateness = lateness or Lateness(clock)
        self._late_after = late_after
        self._waiting = waiting
        self._pipeline = pipeline
        self._store = store
        self._clock = clock
        self._timer = timer
        self._metrics = metrics
        self._fuse = fuse
        self._mark = mark or Mark()
        self._fuse_state = FuseState()
        self._archived = archived or (lambda _judgement: b"")
        self._on_commit = on_commit or (lambda _judgement: None)
        self._crash = crash_points
        self._proven: Record | None = None  # the last of which a decision was judged
        self.judged = 0  # decisions of which it stored what came of them, so far
        self.put_off = 0  # decisions that began to wait, so far

    def judge(self, records: list[Record], consumer: Consumer, stop: threading.Event | None = None) -> None:
        """Take the records through the pipeline and store what comes of them, piece by piece. Raises StoreError
        when `stop` is set between two pieces."""
        for piece in pieces(in_time(records), self._pipeline.each, most=self._most):
            self.commit(piece, consumer)
            if stop is not None and stop.is_set() and self.left(records):
                raise StoreError("stopped before a whole batch was judged; the next start reads the rest again")
        self._lateness.handled_all(records, consumer)
        self._tell_lag()

    def left(self, records: list[Record]) -> list[Record]:
        """Those at or beyond the stored offset of their partition."""
        stored = self._store.positions({record.place for record in records})
        return [record for record in records if record.offset >= stored.get(record.place, 0)]

    def readable(self, record: Record) -> Iterator[Decoded | DeadLetter]:
        """The record's decisions and dead letters, up to where reading it crashes."""
        with suppress(Exception):
            yield from self._pipeline.each(record)

    def fails(self, others: Iterable[Record]) -> bool:
        """Whether these cannot be judged now, nor can the last that was; False where there is nothing to compare.
        Stores nothing. Raises what is no record's fault."""
        found = False
        for record in (*(() if self._proven is None else (self._proven,)), *others):
            judged = self._judges(record)
            if judged:
                return False
            found = found or judged is False
        return found

    def _judges(self, record: Record) -> bool | None:
        """None: there is no decision in it."""
        try:
            read = pieces([record], self._pipeline.each, most=self._most)
            decoded = next((piece.decoded for piece in read if piece.decoded), ())
            if not decoded:
                return None
            if self._waiting is not None:
                decoded = self._waiting.filled(decoded)
            recall = dataclasses.replace(self._recalled(decoded), seen={})  # what is stored is judged once more
            self._archived(self._pipeline.judge(decoded, (), recall))
        except Exception as error:
            if blameless(error):
                raise
            return False
        return True

    def commit(self, piece: Piece, consumer: Consumer, *, judgement: Judgement | None = None) -> None:
        """Load, judge and store; when another member wrote meanwhile, do it again on top of what it wrote.
        A `judgement` that is given is stored as it is, instead of judging the piece."""

        def once() -> None:
            nonlocal piece
            base = self._store.positions(piece.places)
            piece, late = piece.beyond(base)
            if late:
                self._metrics.add("guardian_events_total", late, outcome="redelivered")
                _log.warning("records_below_stored_offset", effect="they are skipped", count=late)
            if piece.places:
                self._commit_once(piece, consumer, base, judgement)

        retry_conflicts(once)

    def _commit_once(
        self,
        piece: Piece,
        consumer: Consumer,
        base: Mapping[Place, int],
        ready: Judgement | None,
    ) -> None:
        records, decoded, letters = piece.records, piece.decoded, piece.letters
        waits: list[Decoded] = []
        if self._waiting is not None and ready is None:
            decoded, waits = self._waiting.seat(decoded)
        recall, judgement = self.judgement_of(decoded, letters, ready)
        read = [*decoded, *waits]
        positions = advanced(records, base)
        judgement, blown = self.stored(
            judgement,
            recall,
            (records, read, letters),
            consumer,
            positions={**{place: base.get(place, 0) for place in piece.places}, **positions},
            base=base,
            waits=waits,
        )
        consumer.commit(positions)
        self._metrics.add("guardian_events_total", len(waits), outcome="waits")
        used = {id(d.record) for d in read} | {id(letter.record) for letter in judgement.dead_letters}
        skipped = sum(id(record) not in used for record in records)
        self._metrics.add("guardian_events_total", skipped, outcome="skipped")
        if records:
            self._lateness.handled(records, consumer.assignment())
            self._tell_lag()
        self.tell(judgement, blown)

    def stored(
        self,
        judgement: Judgement,
        recall: Recall,
        came: tuple[Sequence[Record], Sequence[Decoded], Sequence[DeadLetter]],
        consumer: Consumer,
        *,
        positions: Mapping[Place, int],
        base: Mapping[Place, int],
        waits: Sequence[Decoded] = (),
        released: Sequence[Held] = (),
    ) -> tuple[Judgement, Blown | None]:
        """What was stored, in one transaction, and whether the fuse blew over the records that `came`."""
        now = self._clock()
        state, blown, judgement = self._fused(marked_late(judgement, now, self._late_after), *came)
        self._crash("before_commit")
        self._store.commit(
            judgement,
            positions=positions,
            base=base,
            versions=recall.versions,
            member=consumer.member(),
            now=now,
            waits=waits,
            released=released,
            archived=self._archived(judgement),
        )
        self._crash("after_commit")
        if self._waiting is not None:
            self._waiting.seated(waits)
        self.put_off += len(waits)
        self._fuse_state = state
        self._count(judgement)
        return judgement, blown

    def _fused(
        self,
        judgement: Judgement,
        records: Sequence[Record],
        read: Sequence[Decoded],
        letters: Sequence[DeadLetter],
    ) -> tuple[FuseState, Blown | None, Judgement]:
        """The fuse after these records; where it blew, the judgement tells people, each time once."""
        came = outcomes(records, read, letters, self._mark)
        if self._fuse is None or not came:
            return self._fuse_state, None, judgement
        state, blown, pages = fused(
            self._fuse, self._fuse_state, came, records[-1], self._clock(), judged=self._store.has_judged
        )
        told = self._store.told([page.id for page in pages])
        new = [page for page in pages if page.id not in told]
        return state, blown, dataclasses.replace(judgement, findings=(*new, *judgement.findings))

    def judgement_of(
        self, decoded: Sequence[Decoded], letters: Sequence[DeadLetter], ready: Judgement | None
    ) -> tuple[Recall, Judgement]:
        """What is stored about these decisions, and what comes of them beyond the findings that are told already;
        of a `ready` judgement the latter only."""
        recall = self._recalled(decoded, letters if ready is None else ())
        began = self._timer()
        judgement = ready or self._pipeline.judge(decoded, letters, recall)
        self._metrics.observe("guardian_scoring_seconds", self._timer() - began)
        told = self._store.told([finding.id for finding in judgement.findings])
        return recall, judgement.without(told)

    def _recalled(self, decoded: Sequence[Decoded], letters: Sequence[DeadLetter] = ()) -> Recall:
        recall = self._store.load(self._pipeline.wanted(decoded, letters))
        if not self._live:
            return recall
        return dataclasses.replace(recall, reading=Reading(self._clock(), self._lateness.lag()))

    def _count(self, judgement: Judgement) -> None:
        if judgement.scored:
            self._proven = judgement.scored[-1].decoded.record
        self.judged += len(judgement.scored)
        self._metrics.add("guardian_events_total", len(judgement.scored), outcome="judged")
        self._metrics.add("guardian_events_total", judgement.duplicates, outcome="duplicate")
        self._metrics.add("guardian_events_total", len(judgement.dead_letters), outcome="dead_letter")
        reached = (judgement.sessions[each.decoded.event.key].stage for each in judgement.scored)
        for stage, count in Counter(stage.value for stage in reached).items():
            self._metrics.add("guardian_verdicts_total", count, stage=stage)
        for code, count in Counter(letter.code for letter in judgement.dead_letters).items():
            self._metrics.add("guardian_dead_letters_total", count, code=code)
        for source, count in Counter(each.decoded.purpose_from for each in judgement.scored).items():
            self._metrics.add("guardian_purposes_total", count, source=source)

    def tell(self, judgement: Judgement, blown: Blown | None) -> None:
        """Say what was stored. Raises FuseBlown where the fuse blew over it."""
        self._on_commit(judgement)
        if blown is not None:
            raise blown.error()

    def _tell_lag(self) -> None:
        lag = self._lateness.at_least()
        if lag is not None:
            self._metrics.set("guardian_time_lag_seconds", lag.total_seconds())
