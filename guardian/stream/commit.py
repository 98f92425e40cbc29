"""One batch: decode, load, judge, and one transaction with everything that came of it."""

import dataclasses
import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from guardian.bus.port import Consumer, Place, Record
from guardian.errors import FuseBlown
from guardian.pipeline.batch import DeadLetter, Decoded, Judgement
from guardian.store.monitor import MonitorStore
from guardian.store.monitor_values import Conflict
from guardian.stream.fuse import Fuse, FuseState
from guardian.stream.poison import advanced, fuse_finding, outcomes
from guardian.stream.port import Clock, CrashPoints, Pipeline, no_crash
from guardian.stream.recall import memory_of
from guardian.telemetry import Metrics, logger

_log = logger("stream")
_MAX_CONFLICTS = 20
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def in_time(records: Sequence[Record]) -> list[Record]:
    """The batch in the broker's order of time, each partition's own order untouched.

    A poll hands out one partition after the other; a child session must not be judged before a parent that
    was decided earlier only because its partition came first.
    """
    by_place: dict[Place, list[tuple[datetime, Record]]] = {}
    for record in records:
        row = by_place.setdefault(record.place, [])
        before = row[-1][0] if row else _BEGINNING
        row.append((max(before, record.timestamp or before), record))
    return [record for _, record in heapq.merge(*by_place.values(), key=lambda stamped: stamped[0])]


class Committer:
    """`timer` is a monotonic clock in seconds, for latency figures only; `on_commit` is called after each
    transaction with what it held (it wakes the outbox, or prints). `archived` makes what the archive keeps of a
    batch, in the same transaction. `tenant_id` is the operators' own: it receives the findings about the bus."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        store: MonitorStore,
        clock: Clock,
        timer: Callable[[], float],
        metrics: Metrics,
        fuse: Fuse | None = None,
        tenant_id: str = "guardian",
        on_commit: Callable[[Judgement], None] | None = None,
        archived: Callable[[Judgement], bytes] | None = None,
        crash_points: CrashPoints = no_crash,
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._clock = clock
        self._timer = timer
        self._metrics = metrics
        self._fuse = fuse
        self._fuse_state = FuseState()
        self._tenant_id = tenant_id
        self._archived = archived or (lambda _judgement: b"")
        self._on_commit = on_commit or (lambda _judgement: None)
        self._crash = crash_points

    def judge(self, records: list[Record], consumer: Consumer) -> None:
        """Take the records through the pipeline and store what comes of them."""
        records = in_time(records)
        decoded, letters = self._pipeline.decode(records)
        self.commit(records, decoded, letters, consumer)

    def decoded(self, record: Record) -> Decoded | None:
        """The record as far as it can be read; None where even that fails."""
        try:
            good, _ = self._pipeline.decode([record])
        except Exception:
            return None
        return good[0] if good else None

    def commit(
        self,
        records: list[Record],
        decoded: list[Decoded],
        letters: list[DeadLetter],
        consumer: Consumer,
        *,
        judgement: Judgement | None = None,
    ) -> None:
        """Load, judge and store; when somebody else wrote meanwhile, do it again on what they wrote."""
        places = {record.place for record in records}
        for attempt in range(_MAX_CONFLICTS):
            base = {Place(*place): offset for place, offset in self._store.positions(places).items()}
            late = [r for r in records if r.offset < base.get(r.place, 0)]
            if late:
                self._metrics.add("guardian_events_total", len(late), outcome="redelivered")
                _log.warning("records below the stored offset are skipped", count=len(late))
                skipped = {id(r) for r in late}
                records = [r for r in records if id(r) not in skipped]
                decoded = [d for d in decoded if id(d.record) not in skipped]
                letters = [d for d in letters if id(d.record) not in skipped]
            if not records:
                return
            try:
                self._commit_once(records, decoded, letters, consumer, base, judgement)
                return
            except Conflict:
                if attempt == _MAX_CONFLICTS - 1:
                    raise

    def _commit_once(
        self,
        records: list[Record],
        decoded: list[Decoded],
        letters: list[DeadLetter],
        consumer: Consumer,
        base: Mapping[Place, int],
        ready: Judgement | None,
    ) -> None:
        recall = self._store.load(self._pipeline.wanted(decoded))
        began = self._timer()
        judgement = ready or self._pipeline.judge(decoded, letters, memory_of(recall))
        self._metrics.observe("guardian_scoring_seconds", self._timer() - began)
        now = self._clock()
        fuse_state, blown = self._fuse_state, None
        if self._fuse is not None:
            fuse_state, blown = self._fuse.fold(self._fuse_state, outcomes(records, decoded, letters))
        if blown is not None:
            page = fuse_finding(blown, records[-1], self._tenant_id, now)
            judgement = dataclasses.replace(judgement, findings=(*judgement.findings, page))
        positions = advanced(records, base)
        self._crash("before_commit")
        self._store.commit(
            judgement,
            positions=positions,
            base=base,
            versions=recall.versions,
            member=consumer.member(),
            now=now,
            archived=self._archived(judgement),
        )
        self._crash("after_commit")
        self._fuse_state = fuse_state
        consumer.commit(positions)
        self._count(records, judgement, now)
        self._on_commit(judgement)
        if blown is not None:
            raise FuseBlown(
                f"{blown.bad} of the last {blown.of} records of gateway {blown.gateway!r} are unreadable; they "
                "are in the dead-letter queue (`guardian dlq list`); mend the gateway, then start the monitor"
            )

    def _count(self, records: list[Record], judgement: Judgement, now: datetime) -> None:
        self._metrics.add("guardian_events_total", len(judgement.verdicts), outcome="judged")
        self._metrics.add("guardian_events_total", judgement.duplicates, outcome="duplicate")
        self._metrics.add("guardian_events_total", len(judgement.dead_letters), outcome="dead_letter")
        stages = Counter(state.stage.value for state in judgement.sessions.values())
        for stage, count in stages.items():
            self._metrics.add("guardian_verdicts_total", count, stage=stage)
        for code, count in Counter(letter.code for letter in judgement.dead_letters).items():
            self._metrics.add("guardian_dead_letters_total", count, code=code)
        stamps = [record.timestamp for record in records if record.timestamp is not None]
        if stamps:
            lag = max(timedelta(0), now - max(stamps))
            self._metrics.set("guardian_time_lag_seconds", lag.total_seconds())
