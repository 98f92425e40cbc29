"""Writing to Kafka."""

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kafka import KafkaProducer as _Producer
from kafka.errors import (
    CorruptRecordError,
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from guardian.bus.kafka_settings import KafkaSettings, bus_error
from guardian.bus.kafka_tls import expect_tls
from guardian.errors import RecordRefused
from guardian.telemetry import logger

_log = logger("bus")
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
_OF_ONE_RECORD = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTimestampError,
    InvalidRecordError,
    CorruptRecordError,  # also what brokers answer to a record without a key, where the topic is compacted
)


class KafkaProducer:
    """Idempotent, acknowledged by all in-sync replicas. After a failure the next send starts a new client, because
    the library's producer stays broken once its broker has lost its state."""

    def __init__(self, settings: KafkaSettings, *, timeout_s: float = 10) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._client: Any = None
        self._lock = threading.Lock()

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        when = None if timestamp is None else int(timestamp.timestamp() * 1000)
        with self._lock:
            try:
                if self._client is None:
                    expect_tls(self._settings)
                    self._client = _Producer(**self._options())
                sent = self._client.send(
                    topic, value=value, key=key, headers=list(headers), partition=partition, timestamp_ms=when
                )
                sent.get(timeout=self._client.config["delivery_timeout_ms"] / 1000)
            except _OF_ONE_RECORD as error:
                self._drop()
                raise RecordRefused(f"kafka: {topic!r} does not take this record: {error}") from error
            except (KafkaError, OSError, AssertionError, ValueError, TypeError) as error:
                self._drop()
                raise bus_error(f"cannot write to {topic!r}", error) from error

    def _options(self) -> dict[str, Any]:
        patience_ms = int(self._timeout_s * 1000)
        options: dict[str, Any] = self._settings.options_for(
            _Producer,
            max_request_size=_MAX_REQUEST_BYTES,
            max_block_ms=patience_ms,
            request_timeout_ms=patience_ms,
        )
        twice = 2 * options["request_timeout_ms"] + options.get("linger_ms", 0)  # the library wants it longer
        return {"delivery_timeout_ms": twice, **options}

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close(timeout=1)
            except KafkaError as error:
                _log.warning("producer_not_closed", error=str(error))
