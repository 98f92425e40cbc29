"""The parts that one monitor runs beside each other, each made of what they share."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from guardian.bootstrap.clock import steady_s, utc_now
from guardian.bootstrap.departing import watch_departure
from guardian.bootstrap.late_envelopes import waiting_room
from guardian.bootstrap.monitor_store import learn_all, retention_of
from guardian.bootstrap.secrets import SecretFiles
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.port import Consumer, Producer
from guardian.config import Settings
from guardian.domain.batch import Judgement
from guardian.pipeline.judging import Judge
from guardian.pipeline.pipeline import Pipeline
from guardian.store.monitor.store import MonitorStore
from guardian.store.sure_time import SureTime
from guardian.stream.archiving import Archiving
from guardian.stream.changes import ChangeTail
from guardian.stream.commit import Committer
from guardian.stream.first_start import begin_at_newest
from guardian.stream.fuse import Fuse
from guardian.stream.housekeeping import Housekeeping
from guardian.stream.marks import Mark
from guardian.stream.outbox import Delivery
from guardian.stream.port import Control, CrashPoints
from guardian.stream.releasing import HeldCommitter, Release
from guardian.stream.vitals import Lateness
from guardian.stream.worker import Worker, WorkerOptions
from guardian.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class MonitorParts:
    """What they share. `control` is asked by its route alone."""

    settings: Settings
    store: MonitorStore
    pipeline: Pipeline
    judge: Judge
    control: Control
    lateness: Lateness
    metrics: Metrics
    crash_points: CrashPoints


def archiving(parts: MonitorParts) -> Archiving | None:
    """The archive's writer; None where none is kept. Its library is imported only where one is."""
    if parts.settings.archive.path is None:
        return None
    from guardian.bootstrap.archiving import open_archiving

    return open_archiving(
        parts.settings,
        parts.store.spool,
        parts.judge.versions,
        fingerprint_key=SecretFiles.of(parts.settings).load_fingerprint_key(),
        metrics=parts.metrics,
        crash_points=parts.crash_points,
    )


def delivering(parts: MonitorParts, producers: Mapping[str, Producer]) -> Delivery:
    return Delivery(
        outbox=parts.store.outbox,
        client=parts.control,
        producers=producers,
        clock=utc_now,
        jitter=random.random,
        metrics=parts.metrics,
        crash_points=parts.crash_points,
    )


def reading(
    parts: MonitorParts,
    consumer: Consumer,
    *,
    archived: Callable[[Judgement], bytes] | None,
    on_commit: Callable[[Judgement], None],
) -> Worker:
    settings, store = parts.settings, parts.store
    room = waiting_room(settings, store, parts.pipeline, parts.metrics)
    committer = Committer(
        pipeline=parts.pipeline,
        store=store,
        clock=utc_now,
        timer=time.perf_counter,
        metrics=parts.metrics,
        fuse=_fuse_of(settings),
        mark=Mark(SecretFiles.of(settings).load_seal(settings).keys),
        on_commit=on_commit,
        crash_points=parts.crash_points,
        waiting=room,
        archived=archived,
        late_after=timedelta(seconds=settings.monitor.late_after_s),
        lateness=parts.lateness,
        most=settings.monitor.batch,
    )
    waited = HeldCommitter(committer, room, pipeline=parts.pipeline, store=store)
    return Worker(
        consumer=consumer,
        store=store,
        committer=committer,
        release=Release(room, waited.commit, utc_now),
        holds=room.held_of,
        begin=_begin(parts, consumer),
        clock=utc_now,
        options=WorkerOptions(
            max_records=settings.monitor.batch,
            poll_timeout_s=settings.monitor.poll_timeout_s,
            max_outbox_depth=settings.monitor.outbox_limit,
        ),
        lateness=parts.lateness,
    )


def following(parts: MonitorParts) -> ChangeTail:
    return ChangeTail(
        words=parts.store.words,
        client=parts.control,
        clock=utc_now,
        idle_s=parts.settings.monitor.changes_every_s,
    )


def tidying(parts: MonitorParts, *, on_tidied: Callable[[], None]) -> Housekeeping:
    section = parts.settings.monitor
    return Housekeeping(
        store=parts.store,
        learn=learn_all,
        clock=utc_now,
        idle=timedelta(seconds=section.baseline.idle_s),
        retention=retention_of(parts.settings),
        interval_s=section.housekeeping_every_s,
        watch=watch_departure(
            parts.judge.scorer.calibration, one_in=section.departure_one_in, tie=random.random, clock=utc_now
        ),
        on_tidied=on_tidied,
        sure=SureTime(utc_now, steady_s),
    )


def _begin(parts: MonitorParts, consumer: Consumer) -> Callable[[], None]:
    topic, wanted = parts.settings.kafka.topic, parts.settings.kafka.auto_offset_reset
    if isinstance(consumer, KafkaConsumer) and wanted == "latest":
        return partial(begin_at_newest, topic, consumer.ends, parts.store, utc_now)
    return lambda: None


def _fuse_of(settings: Settings) -> Fuse:
    window = settings.monitor.fuse_records
    return Fuse(window=window, minimum=max(1, window // 4), ratio=settings.monitor.fuse_ratio)
