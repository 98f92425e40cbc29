"""The checkpoint writer of the audit trail put together, and where its checkpoints are kept."""

import os

from guardian.audit.checkpoint import origin_base
from guardian.audit.sinks import FileSink, Sink, TopicSink
from guardian.audit.writer import Checkpoints
from guardian.bootstrap.clock import utc_now
from guardian.bus.port import Producer
from guardian.config import Settings
from guardian.errors import PlaceAway
from guardian.keys.signing import SigningKeys
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics


def open_checkpoints(
    settings: Settings,
    store: ControlStore,
    keys: SigningKeys,
    *,
    metrics: Metrics,
    producer: Producer | None = None,
) -> Checkpoints:
    """The writer that `serve` and `run` start and stop.

    `producer` is the caller's to close; without one the configured broker gets one that ends with the writer.
    """
    section = settings.audit
    base = origin_base(settings.control.issuer)
    sinks: list[Sink] = []
    own: Producer | None = None
    if section.checkpoint_file is not None:
        sinks.append(FileSink(settings.resolve(section.checkpoint_file)))
    if section.checkpoint_topic is not None:
        if producer is None:
            producer = own = _kafka(settings)
        sinks.append(TopicSink(producer, section.checkpoint_topic, base))
    return Checkpoints(
        store,
        keys,
        sinks,
        base=base,
        every_s=section.checkpoint_every_s,
        metrics=metrics,
        clock=utc_now,
        close=own.close if own is not None else lambda: None,
    )


def checkpoints_are_kept(settings: Settings) -> str:
    """For who serves. Raises PlaceAway where the configured file could not be written: that would only be
    seen on the day that it is needed. Raises ConfigurationError for a broker that cannot be."""
    named, topic = settings.audit.checkpoint_file, settings.audit.checkpoint_topic
    if topic is not None:
        _kafka(settings)
    to_topic = f"go to topic {topic!r}" if topic is not None else ""
    if named is None:
        return to_topic or "stay in the database (audit.checkpoint_file)"
    path = settings.resolve(named)
    if os.access(path, os.F_OK):
        may = os.access(path, os.W_OK) and not path.is_dir()
    else:
        may = os.access(path.parent, os.W_OK | os.X_OK)
    if not may:
        raise PlaceAway(
            f"audit.checkpoint_file: {path} is no file that this user can write; mount its disk, make its folder,"
            " mend their owner or mode, or name it under ReadWritePaths in guardian's unit"
        )
    return ", and they ".join(filter(None, (f"{path} can be written", to_topic)))


def _kafka(settings: Settings) -> Producer:
    from guardian.bootstrap.kafka import kafka_settings  # only those who export pay for it
    from guardian.bus.kafka_producer import KafkaProducer

    return KafkaProducer(kafka_settings(settings), timeout_s=5)
