"""`guardian watch` put together: the consumer, its store, its outbox and its ears."""

import math
import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from guardian.bootstrap.clock import steady_s, utc_now
from guardian.bootstrap.departing import show_departure, watch_departure
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bootstrap.kafka import kafka_settings, producers_of
from guardian.bootstrap.monitor_store import learn_all, open_monitor_store, retention_of
from guardian.bootstrap.secrets import SecretFiles, envelope_verifier
from guardian.bootstrap.waiting import envelope_tail, waiting_room
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.port import Consumer, Producer
from guardian.config import Settings
from guardian.domain.batch import Judgement
from guardian.embedding.recent import LookedUp
from guardian.errors import BusError, ControlError, GuardianError, StoreError
from guardian.keys.files import read_token
from guardian.pipeline.judging import Judge
from guardian.store.monitor.store import MonitorStore
from guardian.store.sure_time import SureTime
from guardian.stream.archiving import Archiving
from guardian.stream.changes import ChangeTail
from guardian.stream.commit import Committer
from guardian.stream.first_start import begin_at_newest
from guardian.stream.fuse import Fuse
from guardian.stream.health import HealthServer
from guardian.stream.housekeeping import Housekeeping
from guardian.stream.loops import Loops
from guardian.stream.marks import Mark
from guardian.stream.outbox import Delivery
from guardian.stream.port import CrashPoints, no_crash
from guardian.stream.releasing import HeldCommitter, Release
from guardian.stream.vitals import Lateness, Vitals, instance_name
from guardian.stream.worker import Worker, WorkerOptions
from guardian.telemetry import Metric, Metrics
from guardian.wire.client import ControlClient
from guardian.wire.monitor import MonitorClient

_OUTBOX_PATIENCE_S = 20.0
_HEARS_FOR_S = 10.0
"""So long, at most, the first batch waits for what people said before this start."""
_ENDS_FOR_S = 25.0
"""So long, at most, a loop is given to end: longer than the outbox goes on, and than a call without an answer."""


class Monitor:
    """Everything that `watch` runs, from one stop event. With a `consumer` of a file `producer` takes
    that file's dead letters; those of topics go to their broker."""

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics,
        consumer: Consumer | None = None,
        producer: Producer | None = None,
        judge: Judge | None = None,
        lateness: Lateness | None = None,
        on_commit: Callable[[Judgement], None] = lambda _: None,
        crash_points: CrashPoints = no_crash,
    ) -> None:
        files = SecretFiles.of(settings)
        self._settings, self._metrics, self._files = settings, metrics, files
        token_file = settings.resolve(settings.monitor.token_file)
        self._token: Callable[[], str] = lambda: read_token(token_file, "monitor")
        self._token()  # a missing one is said at start
        self._client = ControlClient(settings.control.url, self._token, certificate=settings.shown_certificate)
        self._judge = judge or open_judge(settings, fingerprint_key=files.load_fingerprint_key())
        pipeline = open_pipeline(
            settings,
            self._judge,
            verify=envelope_verifier(settings) or unchecked,
            clock=utc_now,
            redaction_key=files.load_fingerprint_key(),
        )
        consumer = consumer or KafkaConsumer(
            kafka_settings(settings), [settings.kafka.topic], group=settings.kafka.group
        )
        self._producers = producers_of(settings, consumer, producer)
        # Last of what may fail: the version before could not go on with a database that this one migrated.
        self.store = open_monitor_store(settings, makes=True)
        self._archiving = (
            archiving_of(settings, self.store, self._judge, files.load_fingerprint_key(), metrics, crash_points)
            if settings.archive.path is not None
            else None
        )
        port = MonitorClient(self._client)
        self._delivery = Delivery(
            outbox=self.store.outbox,
            client=port,
            producers=self._producers,
            clock=utc_now,
            jitter=random.random,
            metrics=metrics,
            crash_points=crash_points,
        )

        def committed(judgement: Judgement) -> None:
            if judgement.findings or judgement.dead_letters:
                self._delivery.wake()
            self._count_cache()
            on_commit(judgement)

        self._lateness = lateness = lateness or Lateness(utc_now)
        room = waiting_room(settings, self.store, pipeline, metrics)
        committer = Committer(
            pipeline=pipeline,
            store=self.store,
            clock=utc_now,
            timer=time.perf_counter,
            metrics=metrics,
            fuse=fuse_of(settings),
            mark=Mark(files.load_seal(settings).keys),
            on_commit=committed,
            crash_points=crash_points,
            waiting=room,
            archived=None if self._archiving is None else self._archiving.packed,
            late_after=timedelta(seconds=settings.monitor.late_after_s),
            lateness=lateness,
            most=settings.monitor.batch,
        )
        waited = HeldCommitter(committer, room, pipeline=pipeline, store=self.store)
        self._worker = Worker(
            consumer=consumer,
            store=self.store,
            committer=committer,
            release=Release(room, waited.commit, utc_now),
            holds=room.held_of,
            begin=self._begin(consumer),
            clock=utc_now,
            options=WorkerOptions(
                max_records=settings.monitor.batch,
                poll_timeout_s=settings.monitor.poll_timeout_s,
                max_outbox_depth=settings.monitor.outbox_limit,
            ),
            lateness=lateness,
        )
        self._vitals = Vitals(lateness, self._report, instance=instance_name())
        self._tail = ChangeTail(
            words=self.store.words, client=port, clock=utc_now, idle_s=settings.monitor.changes_every_s
        )
        self.housekeeping = Housekeeping(
            store=self.store,
            learn=learn_all,
            clock=utc_now,
            idle=timedelta(seconds=settings.monitor.baseline.idle_s),
            retention=retention_of(settings),
            interval_s=settings.monitor.housekeeping_every_s,
            watch=watch_departure(
                self._judge.scorer.calibration,
                one_in=settings.monitor.departure_one_in,
                tie=random.random,
                clock=utc_now,
            ),
            on_tidied=self._show_standing,
            sure=SureTime(utc_now, steady_s),
        )
        self._envelopes = envelope_tail(settings, self.store, metrics)
        self._looked_up: dict[Metric, LookedUp] = {}
        self._in_order = False
        self._refused = 0  # the status with which control refuses its token
        self._loops = Loops(
            {
                "outbox": self._delivery.run,
                "letters": self._delivery.run_letters,
                "changes": self._tail.run,
                "housekeeping": self.housekeeping.run,
                "vitals": self._vitals.run,
                **({} if self._envelopes is None else {"envelopes": self._envelopes.run}),
                **({} if self._archiving is None else {"archive": self._archiving.run}),
            },
            timer=time.monotonic,
            metrics=metrics,
        )

    def _begin(self, consumer: Consumer) -> Callable[[], None]:
        topic, wanted = self._settings.kafka.topic, self._settings.kafka.auto_offset_reset
        if isinstance(consumer, KafkaConsumer) and wanted == "latest":
            return partial(begin_at_newest, topic, consumer.ends, self.store, utc_now)
        return lambda: None

    def run(self, stop: threading.Event) -> int | None:
        """Until `stop` is set, or a bounded source ends: then how many findings and dead letters of it wait, if it
        was stopped before they were delivered, else None. Raises FuseBlown. Everything is closed on the way out.
        """
        health = self._open_health()
        self._show_standing()
        self._loops.start()
        try:
            self._hear(stop)
            ended = self._worker.run(stop)
            left = self._empty_outbox(stop)
            self._in_order = True
            return left if ended else None
        finally:
            self._loops.stop()
            self._delivery.wake()
            self._loops.join(timeout_s=_ENDS_FOR_S)
            if health is not None:
                health.close()
            for producer in self._producers.values():
                producer.close()
            self._client.close()
            self.store.close()

    def _hear(self, stop: threading.Event) -> None:
        until = time.monotonic() + _HEARS_FOR_S
        while not (stop.is_set() or self._tail.wait(0.1)) and time.monotonic() < until:
            pass

    def _empty_outbox(self, stop: threading.Event) -> int:
        """A bounded source ended: what it led to is delivered before the monitor goes, while control takes it.
        Returns how much is left where it was stopped."""
        depth, until = self._delivery.depth(), time.monotonic() + _OUTBOX_PATIENCE_S
        while depth and not stop.wait(0.1):
            self._delivery.wake()
            left = self._delivery.depth()
            if left < depth:
                depth, until = left, time.monotonic() + _OUTBOX_PATIENCE_S
            elif time.monotonic() > until:
                control = f"control at {self._settings.control.url} took nothing"
                found = bool(self.store.outbox.depth("finding"))
                raise (ControlError if found else BusError)(
                    f"all is judged, but {control if found else 'no dead letter could be written'} for "
                    f"{_OUTBOX_PATIENCE_S:.0f} s; {depth} findings or dead letters wait in the store: findings "
                    "go out with the next `guardian watch`, dead letters with the next `watch --file` of this file"
                )
        return depth

    def _report(self, instance: str, lag_s: float | None, leaving: bool) -> None:
        behind = self._lateness.at_least()
        self._metrics.set("guardian_time_lag_seconds", math.nan if behind is None else behind.total_seconds())
        try:
            self._metrics.set("guardian_outbox_depth", self.store.outbox.depth("finding"))
        except StoreError:
            self._metrics.set("guardian_outbox_depth", math.nan)  # nobody knows
        try:
            self._client.vitals(instance, lag_s, leaving and self._in_order)  # who falls over says no good-bye
        except ControlError as error:
            self._refused = error.status if error.status in (401, 403) else 0
            raise
        self._refused = 0

    def troubles(self) -> list[str]:
        """What keeps it from its work right now, in words for everybody."""
        found = [f"{name} fails ({error})" for name, error in sorted(self._loops.failing().items())]
        try:
            self._token()
        except (GuardianError, ValueError):
            found.append("its token cannot be read")
        if self._refused:
            found.append(f"control refuses its token ({self._refused})")
        if self._delivery.failing:
            found.append("control does not take findings")
        if self._archiving is not None and self._archiving.failing:
            found.append("the archive cannot be written")
        found += self._worker.troubles()
        return found if self._client.ready() else ["control does not answer", *found]

    def _open_health(self) -> HealthServer | None:
        section = self._settings.monitor
        if section.health_port == 0:
            return None
        return HealthServer(
            section.health_host,
            section.health_port,
            metrics=self._metrics,
            troubles=self.troubles,
            token=self._files.load_health_token(),
        )

    def _show_standing(self) -> None:
        self._metrics.set("guardian_outbox_parked", self.store.outbox.parked_count())
        show_departure(self.store, self._judge.scorer.calibration, self._metrics)

    def _count_cache(self) -> None:
        for metric, now in self._judge.fit.looked_up().items():
            before = self._looked_up.get(metric, LookedUp())
            self._metrics.add(metric, now.hits - before.hits, result="hit")
            self._metrics.add(metric, now.misses - before.misses, result="miss")
            self._looked_up[metric] = now


def archiving_of(
    settings: Settings, store: MonitorStore, judge: Judge, key: bytes, metrics: Metrics, crash: CrashPoints
) -> Archiving:
    """The archive's writer. Its library is imported only where an archive is kept."""
    from guardian.bootstrap.archiving import open_archiving

    return open_archiving(
        settings, store.spool, judge.versions, fingerprint_key=key, metrics=metrics, crash_points=crash
    )


def fuse_of(settings: Settings) -> Fuse:
    window = settings.monitor.fuse_records
    return Fuse(window=window, minimum=max(1, window // 4), ratio=settings.monitor.fuse_ratio)
