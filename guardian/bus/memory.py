"""A broker in memory: topics, partitions, consumer groups that rebalance, members that are evicted.

It passes the same contract tests as Kafka does, so what runs against it runs against a broker.
"""

import itertools
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from guardian.domain.record import Place, Record
from guardian.errors import BusError


@dataclass
class _Group:
    members: dict[str, frozenset[Place]] = field(default_factory=dict)  # in the order they joined
    committed: dict[Place, int] = field(default_factory=dict)


class MemoryBroker:
    """`clock` stamps the records, as a broker's does; None leaves them without a timestamp."""

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock
        self._topics: dict[str, list[list[Record]]] = {}
        self._groups: dict[str, _Group] = {}
        self._names = itertools.count(1)
        self._changed = threading.Condition()
        self._down = False
        self._silent = False

    def create_topic(self, topic: str, partitions: int = 1) -> None:
        with self._changed:
            self._topics.setdefault(topic, [[] for _ in range(partitions)])

    def create_anew(self, topic: str) -> None:
        """Delete the topic and create it again, empty."""
        with self._changed:
            self._topics[topic] = [[] for _ in self._topics[topic]]

    def stop(self) -> None:
        """Refuse everything until `restart`: a broker that is away."""
        with self._changed:
            self._down = True

    def fall_silent(self) -> None:
        """Answer nobody until `restart`. Members of a group see nothing to read, and no error."""
        with self._changed:
            self._silent = True

    def restart(self) -> None:
        with self._changed:
            self._down = self._silent = False

    def answers(self) -> bool:
        with self._changed:
            return not (self._down or self._silent)

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
        timestamp: datetime | None = None,
    ) -> Record:
        """Append one record; None is a tombstone. The key chooses the partition; a new topic has one."""
        with self._changed:
            self._check()
            logs = self._topics.setdefault(topic, [[]])
            chosen = zlib.crc32(key or b"") % len(logs) if partition is None else partition
            if timestamp is None and self._clock is not None:
                timestamp = self._clock()
            where = topic, chosen, len(logs[chosen])
            record = Record(*where, value or b"", key, tuple(headers), timestamp, value is None)
            logs[chosen].append(record)
            self._changed.notify_all()
            return record

    def records(self, topic: str) -> list[Record]:
        """Everything in the topic, partition by partition."""
        with self._changed:
            return [record for log in self._topics.get(topic, []) for record in log]

    def committed(self, group: str) -> dict[Place, int]:
        with self._changed:
            return dict(self._groups[group].committed) if group in self._groups else {}

    def evict(self, member: str) -> None:
        """Throw a member out, as a broker does when its heartbeats stop; it joins again when it polls."""
        with self._changed:
            for group in self._groups.values():
                group.members.pop(member, None)

    # What the consumers below use.

    def join(self, group: str, topics: Sequence[str]) -> str:
        with self._changed:
            self._check()
            member = f"{group}-{next(self._names)}"
            self._groups.setdefault(group, _Group()).members[member] = frozenset()
            self._rebalance(group, topics)
            return member

    def leave(self, group: str, member: str) -> None:
        with self._changed:
            self._groups[group].members.pop(member, None)

    def assigned(self, group: str, member: str, topics: Sequence[str]) -> frozenset[Place] | None:
        """The member's places now; None when it is no longer a member."""
        with self._changed:
            self._check()
            if member not in self._groups[group].members:
                return None
            self._rebalance(group, topics)
            return self._groups[group].members[member]

    def fetch(self, positions: Mapping[Place, int], max_records: int, timeout_s: float) -> list[Record]:
        with self._changed:
            self._check()
            found = self._ready(positions, max_records)
            if not found and timeout_s > 0:
                self._changed.wait(timeout_s)
                found = self._ready(positions, max_records)
            return found

    def ends(self, topics: Sequence[str]) -> dict[Place, int]:
        with self._changed:
            self._check()
            return {
                Place(name, n): len(log) for name in topics for n, log in enumerate(self._topics.get(name, [[]]))
            }

    def end(self, place: Place) -> int:
        with self._changed:
            return len(self._topics[place.topic][place.partition])

    def commit(self, group: str, positions: Mapping[Place, int]) -> None:
        with self._changed:
            self._groups[group].committed.update(positions)

    def _ready(self, positions: Mapping[Place, int], max_records: int) -> list[Record]:
        found: list[Record] = []
        for place, position in () if self._silent else sorted(positions.items()):
            log = self._topics[place.topic][place.partition]
            if len(log) < position:
                raise BusError(f"{place} ends at {len(log)}, before {position}: it was created anew")
            found.extend(log[position : position + max_records - len(found)])
        return found

    def _rebalance(self, group: str, topics: Sequence[str]) -> None:
        places = [
            Place(topic, number) for topic in sorted(topics) for number in range(len(self._topics.get(topic, [])))
        ]
        members = self._groups[group].members
        names = list(members)
        for index, name in enumerate(names):
            members[name] = frozenset(places[index :: len(names)])

    def _check(self) -> None:
        if self._down:
            raise BusError("the broker in memory is stopped; restart() it")


class MemoryConsumer:
    """One member of a consumer group."""

    def __init__(self, broker: MemoryBroker, topics: Sequence[str], *, group: str = "guardian") -> None:
        self._broker = broker
        self._topics = tuple(topics)
        self._group = group
        self._joined = ""
        self._fetched_as = ""
        self._next: dict[Place, int] = {}
        self._paused = False
        self._positions: Callable[[Sequence[Place]], Mapping[Place, int]] | None = None

    def start(self, positions: Callable[[Sequence[Place]], Mapping[Place, int]]) -> None:
        self.close()
        self._positions = positions
        self._joined = self._broker.join(self._group, self._topics)

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]:
        self._follow_group()
        self._fetched_as = self._joined
        wanted = {} if self._paused else self._next
        records = self._broker.fetch(wanted, max_records, timeout_s)
        for record in records:
            self._next[record.place] = record.offset + 1
        return records

    def assignment(self) -> frozenset[Place]:
        return frozenset(self._next)

    def member(self) -> str:
        return self._fetched_as

    def bounds(self, positions: Mapping[Place, int]) -> Mapping[Place, tuple[int, int]]:
        return {place: (0, self._broker.end(place)) for place in positions}

    def ends(self) -> dict[Place, int]:
        return self._broker.ends(self._topics)

    def answers(self) -> bool:
        return self._broker.answers()

    def commit(self, positions: Mapping[Place, int]) -> None:
        self._broker.commit(self._group, positions)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def exhausted(self) -> bool:
        return False

    def lag(self) -> dict[Place, int]:
        return {place: self._broker.end(place) - position for place, position in self._next.items()}

    def close(self) -> None:
        if self._joined:
            self._broker.leave(self._group, self._joined)
        self._joined = ""
        self._next = {}

    def _follow_group(self) -> None:
        if self._positions is None:
            raise BusError("the consumer was not started")
        places = self._broker.assigned(self._group, self._joined, self._topics) if self._joined else None
        if places is None:
            self._next = {}
            self._joined = self._broker.join(self._group, self._topics)
            places = self._broker.assigned(self._group, self._joined, self._topics) or frozenset()
        self._fetched_as = self._joined
        for place in set(self._next) - places:
            del self._next[place]
        if gained := sorted(places - set(self._next)):
            known = self._positions(gained)
            self._next.update({place: known.get(place, 0) for place in gained})


class MemoryProducer:
    """Writes to the broker in memory."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

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
        self._broker.append(topic, value, key=key, headers=headers, partition=partition, timestamp=timestamp)

    def close(self) -> None:
        """Every send is complete on return."""
