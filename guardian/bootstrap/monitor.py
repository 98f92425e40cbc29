"""`guardian watch` put together: the consumer, its store, its outbox and its ears."""

import math
import threading
import time
from collections.abc import Callable

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.departing import show_departure
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bootstrap.kafka import kafka_settings, producers_of
from guardian.bootstrap.late_envelopes import envelope_tail
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bootstrap.secrets import SecretFiles, envelope_verifier
from guardian.bootstrap.stream_parts import MonitorParts, archiving, delivering, following, reading, tidying
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.port import Consumer, Producer
from guardian.config import Settings
from guardian.domain.batch import Judgement
from guardian.embedding.recent import LookedUp
from guardian.errors import BusError, ControlError, GuardianError, StoreError
from guardian.keys.files import read_token
from guardian.pipeline.judging import Judge
from guardian.stream.health import HealthServer
from guardian.stream.loops import Loops
from guardian.stream.port import CrashPoints, no_crash
from guardian.stream.vitals import Lateness, Vitals, instance_name
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
        self._lateness = lateness = lateness or Lateness(utc_now)
        control = MonitorClient(self._client)
        parts = MonitorParts(settings, self.store, pipeline, self._judge, control, lateness, metrics, crash_points)
        self._archiving = archiving(parts)
        self._delivery = delivering(parts, self._producers)

        def committed(judgement: Judgement) -> None:
            if judgement.findings or judgement.dead_letters:
                self._delivery.wake()
            self._count_cache()
            on_commit(judgement)

        packed = None if self._archiving is None else self._archiving.packed
        self._worker = reading(parts, consumer, archived=packed, on_commit=committed)
        self._vitals = Vitals(lateness, self._report, instance=instance_name())
        self._tail = following(parts)
        self.housekeeping = tidying(parts, on_tidied=self._show_standing)
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
