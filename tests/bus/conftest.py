"""One behaviour suite, two buses: the broker in memory and a real one."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
import pytest
from kafka.admin import KafkaAdminClient
from quick_broker import QuickBroker

from guardian.bus.admin import ensure_topics
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.local_broker import LocalBroker
from guardian.bus.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from guardian.domain.record import Place, Record


@dataclass
class Reader:
    """A consumer that remembers what it was given and what it was asked."""

    consumer: Any
    stored: dict[Place, int] = field(default_factory=dict)
    asked: list[Place] = field(default_factory=list)
    got: list[Record] = field(default_factory=list)
    failing: int = 0

    def positions(self, places: Sequence[Place]) -> dict[Place, int]:
        if self.failing:
            self.failing -= 1
            raise RuntimeError("the store is away")
        self.asked.extend(places)
        return {place: self.stored[place] for place in places if place in self.stored}

    def start(self) -> "Reader":
        self.consumer.start(self.positions)
        return self

    def poll(self) -> list[Record]:
        records = self.consumer.poll(timeout_s=0.1, max_records=100)
        self.got.extend(records)
        for record in records:
            self.stored[record.place] = record.offset + 1
        return records


class Memory:
    name = "memory"

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.opened: list[Reader] = []

    def topic(self, partitions: int) -> str:
        name = f"t{uuid.uuid4().hex}"
        self.broker.create_topic(name, partitions)
        return name

    def create_anew(self, topic: str) -> None:
        """Delete a topic of one partition and create it again."""
        self.broker.create_anew(topic)

    def producer(self) -> Any:
        return MemoryProducer(self.broker)

    def batch(self, topic: str, values: Sequence[bytes]) -> None:
        """Into partition 0, all in one request, as gateways write."""
        for value in values:
            self.broker.append(topic, value, partition=0)

    def reader(self, topic: str, group: str, stored: dict[Place, int] | None = None) -> Reader:
        reader = Reader(MemoryConsumer(self.broker, [topic], group=group), {} if stored is None else stored)
        self.opened.append(reader)
        return reader


class Kafka(Memory):
    name = "kafka"

    def __init__(self, broker: LocalBroker) -> None:
        super().__init__()
        self.settings = broker.settings
        self.producers: list[KafkaProducer] = []

    def topic(self, partitions: int) -> str:
        name = f"t{uuid.uuid4().hex}"
        ensure_topics(self.settings, {name: partitions})
        return name

    def create_anew(self, topic: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.settings.bootstrap_servers)
        admin.delete_topics([topic])
        admin.close()
        ensure_topics(self.settings, {topic: 1})

    def producer(self) -> Any:
        self.producers.append(KafkaProducer(self.settings))
        return self.producers[-1]

    def batch(self, topic: str, values: Sequence[bytes]) -> None:
        at = self.settings.bootstrap_servers
        gateway = confluent_kafka.Producer({"bootstrap.servers": at, "linger.ms": 500})
        for value in values:
            gateway.produce(topic, value, partition=0)
        gateway.flush()

    def reader(self, topic: str, group: str, stored: dict[Place, int] | None = None) -> Reader:
        reader = Reader(KafkaConsumer(self.settings, [topic], group=group), {} if stored is None else stored)
        self.opened.append(reader)
        return reader


@pytest.fixture(scope="session")
def local_broker() -> Iterator[LocalBroker]:
    with QuickBroker() as broker:
        yield broker


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.slow)])
def bus(request: pytest.FixtureRequest) -> Iterator[Memory]:
    made = Memory() if request.param == "memory" else Kafka(request.getfixturevalue("local_broker"))
    yield made
    for reader in made.opened:
        reader.consumer.close()
    for producer in getattr(made, "producers", []):
        producer.close()
