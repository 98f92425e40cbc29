"""What a broker holds: for `doctor`, a first start, the demo and tests."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka.admin import KafkaAdminClient, NewTopic, OffsetSpec
from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from guardian.bus.kafka_settings import KafkaSettings
from guardian.bus.kafka_tls import expect_tls
from guardian.errors import BusError


def ensure_topics(settings: KafkaSettings, topics: Mapping[str, int]) -> None:
    """Create the topics (name → partitions) that do not exist yet, without replicas. Raises BusError."""
    with _admin(settings, f"create topics {', '.join(topics)}") as admin:
        for name, partitions in topics.items():
            new = NewTopic(name=name, num_partitions=partitions, replication_factor=1)
            try:
                admin.create_topics([new])
            except TopicAlreadyExistsError:
                continue


def topic_partitions(settings: KafkaSettings, topic: str) -> int | None:
    """How many partitions the topic has; None where there is no such topic. Raises BusError, also where the broker
    does not say."""
    with _admin(settings, f"describe {topic!r}") as admin:
        for found in admin.describe_topics([topic]):
            refused = for_code(found["error_code"])
            if refused is NoError:
                return len(found["partitions"])
            if refused is not UnknownTopicOrPartitionError:
                raise BusError(
                    f"kafka: {settings.bootstrap_servers} does not describe {topic!r} ({refused.__name__}); "
                    "let this user read it, or wait until it has a leader"
                )
        return None


def read_by(settings: KafkaSettings, topic: str, group: str) -> dict[int, int]:
    """The next offset that the group has to read of each partition, as the broker keeps it. What lies beyond the
    end is left out: it was read of a topic that was there before. Raises BusError."""
    with _admin(settings, f"ask how far group {group!r} has read") as admin:
        kept = admin.list_group_offsets({group: None}).get(group, {})
        mine = {place: told.offset for place, told in kept.items() if place.topic == topic}
        ends = admin.list_partition_offsets(dict.fromkeys(mine, OffsetSpec.LATEST)) if mine else {}
        return {place.partition: at for place, at in mine.items() if 0 <= at <= ends[place].offset}


@contextmanager
def _admin(settings: KafkaSettings, wanted: str) -> Iterator[Any]:
    """A client, whose failures become one BusError instead of the lines that it logs of each attempt."""
    expect_tls(settings)
    with _without_its_log():
        try:
            admin = KafkaAdminClient(**settings.options_for(KafkaAdminClient))
        except (KafkaError, OSError, ValueError, AssertionError) as error:
            raise BusError(f"kafka: cannot reach {settings.bootstrap_servers}: {error}") from error
        try:
            yield admin
        except KafkaConnectionError as error:
            raise BusError(
                f"kafka: {settings.bootstrap_servers} answers, but the address that it advertises cannot be"
                f" reached ({error}); mend the broker's advertised.listeners, or this machine's way to them"
            ) from error
        except KafkaError as error:
            raise BusError(f"kafka: cannot {wanted}: {error}") from error
        finally:
            admin.close()


@contextmanager
def _without_its_log() -> Iterator[None]:
    log = logging.getLogger("kafka")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
