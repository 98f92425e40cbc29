"""What the monitor needs for logs that carry no envelopes: where records wait, and where envelopes come from."""

from datetime import timedelta

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import entitlements_of, unchecked
from guardian.bootstrap.kafka import kafka_settings
from guardian.bootstrap.secrets import SecretFiles, envelope_verifier
from guardian.bootstrap.sources import redactor_of
from guardian.bus.kafka import KafkaConsumer
from guardian.config import Settings
from guardian.pipeline.decoding import Decoder
from guardian.pipeline.pipeline import Pipeline
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.sources.envelope_records import EnvelopeRecords
from guardian.store.monitor.store import MonitorStore
from guardian.stream.envelopes import EnvelopeTail
from guardian.stream.marks import Mark
from guardian.stream.waiting_room import WaitingRoom
from guardian.telemetry import Metrics


def waiting_room(settings: Settings, store: MonitorStore, pipeline: Pipeline, metrics: Metrics) -> WaitingRoom:
    seal = SecretFiles.of(settings).load_seal(settings)
    return WaitingRoom(
        store=store,
        fill=pipeline.fill,
        unseal=lambda value, sealed_at: seal.unseal(value, now=sealed_at),
        clock=utc_now,
        metrics=metrics,
        wait=timedelta(seconds=settings.envelopes.wait_s),
        most=settings.envelopes.max_waiting,
    )


def envelope_tail(settings: Settings, store: MonitorStore, metrics: Metrics) -> EnvelopeTail | None:
    """The reader of the envelopes topic; None where none is configured."""
    topic = settings.envelopes.topic
    if topic is None:
        return None
    files = SecretFiles.of(settings)
    key = files.load_fingerprint_key()
    verify = envelope_verifier(settings)
    decoder = Decoder(
        source=EnvelopeRecords(),
        redactor=redactor_of(settings, CredentialScanner(key=key), key),
        verify=verify or unchecked,
        clock=utc_now,
        entitlements=entitlements_of(settings.gateways),
    )
    return EnvelopeTail(
        consumer=KafkaConsumer(kafka_settings(settings), [topic], group=f"{settings.kafka.group}-envelopes"),
        store=store,
        decode=decoder.decode,
        clock=utc_now,
        metrics=metrics,
        signed=verify is not None,
        mark=Mark(files.load_seal(settings).keys),
    )
