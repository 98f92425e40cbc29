"""What a broker holds: for `doctor`, the demo and tests."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from guardian.bus.kafka_settings import KafkaSettings
from guardian.bus.kafka_tls import expect_tls
from guardian.errors import BusError


def ensure_topics(settings: KafkaSettings, topics: Mapping[str, int]) -> None:
    """Create the topics (name → partitions) that do not exist yet, without replicas. Raises BusError."""
    admin = _admin(settings)
    try:
        for name, partitions in topics.items():
            new = NewTopic(name=name, num_partitions=partitions, replication_factor=1)
            try:
                admin.create_topics([new])
            except TopicAlreadyExistsError:
                continue
    except KafkaError as error:
        raise BusError(f"kafka: cannot create topics {', '.join(topics)}: {error}") from error
    finally:
        admin.close()


def topic_partitions(settings: KafkaSettings, topic: str) -> int | None:
    """How many partitions the topic has; None where there is no such topic. Raises BusError."""
    admin = _admin(settings)
    try:
        for found in admin.describe_topics([topic]):
            name = found.get("topic", found.get("name"))
            if name == topic and not found.get("error_code"):
                return len(found["partitions"])
        return None
    except KafkaError as error:
        raise BusError(f"kafka: cannot describe {topic!r}: {error}") from error
    finally:
        admin.close()


def _admin(settings: KafkaSettings) -> Any:
    expect_tls(settings)
    try:
        with _without_its_log():
            return KafkaAdminClient(**settings.options_for(KafkaAdminClient))
    except (KafkaError, OSError, ValueError, AssertionError) as error:
        raise BusError(f"kafka: cannot reach {settings.bootstrap_servers}: {error}") from error


@contextmanager
def _without_its_log() -> Iterator[None]:
    """Silences the client, which logs each attempt: the caller gets one error instead."""
    log = logging.getLogger("kafka")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
