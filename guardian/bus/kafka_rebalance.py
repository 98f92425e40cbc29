"""What a group's rebalances did, for the thread that polls."""

import threading
from collections.abc import Iterable
from typing import Any

from kafka import ConsumerRebalanceListener
from kafka.errors import KafkaError

from guardian.domain.record import Place

TAKEN_AWAY = (KafkaError, ValueError, KeyError)
"""What the library raises for a partition that its other thread, which joins the group, has just given up."""


class Notes:
    """The rebalances since the last poll, noted by the listener's thread and taken by the one that polls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gained: set[Place] = set()
        self._gone: set[Place] = set()
        self._losses = 0

    def assigned(self, places: set[Place]) -> None:
        with self._lock:
            self._gained |= places

    def taken(self, places: set[Place], *, evicted: bool) -> None:
        with self._lock:
            self._gained -= places
            self._gone |= places
            self._losses += evicted

    def take_changes(self) -> tuple[set[Place], set[Place], int]:
        with self._lock:
            gained, gone = self._gained, self._gone
            self._gained, self._gone = set(), set()
            return gained, gone, self._losses

    def pending(self) -> set[Place]:
        with self._lock:
            return self._gained | self._gone


def listener(notes: Notes) -> Any:
    """A listener that only takes notes, because it runs on the thread that also sends the heartbeats."""

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
            notes.taken({place_of(partition) for partition in revoked}, evicted=False)

        def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
            notes.assigned({place_of(partition) for partition in assigned})

        def on_partitions_lost(self, lost: Iterable[Any]) -> None:
            notes.taken({place_of(partition) for partition in lost}, evicted=True)

    return Listener()


def place_of(partition: Any) -> Place:
    """The place of one of the client's partitions."""
    return Place(partition.topic, partition.partition)
