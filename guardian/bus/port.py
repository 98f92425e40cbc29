"""What the rest of guardian knows of a message bus: records with positions, in order per partition."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from guardian.domain.record import Place, Record

BATCH_BYTES = 8 * 1024 * 1024
"""A poll that holds so much takes no further record."""


class Consumer(Protocol):
    """Reads records; remembers no offsets of its own: the store's are the truth.

    `start` is given a function that maps newly assigned places to the next offset to read (absent: from the
    beginning). `member` names the group membership that fetched the last batch ("" for a file); it changes
    when this consumer is evicted.
    """

    def start(self, positions: Callable[[Sequence[Place]], Mapping[Place, int]]) -> None: ...

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]: ...

    def assignment(self) -> frozenset[Place]: ...

    def member(self) -> str: ...

    def bounds(self, positions: Mapping[Place, int]) -> Mapping[Place, tuple[int, int]]:
        """The first offset of each assigned place and the one after its last; absent where unknown.
        The end may be too low, but never lower than a position that was reached.
        May be called from within `positions`."""
        ...

    def answers(self) -> bool:
        """Whether the assigned places can be read now; a poll also finds nothing while the broker does not answer.
        For a member without places: whether the topics can be read at all."""
        ...

    def commit(self, positions: Mapping[Place, int]) -> None:
        """Tell the broker, for lag tools only; failure is logged, not raised."""
        ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def lag(self) -> Mapping[Place, int]:
        """How many records of each place lie behind those that were handed out; absent where unknown."""
        ...

    def exhausted(self) -> bool:
        """True when a bounded source has been read to its end; always False for a topic."""
        ...

    def close(self) -> None: ...


class Producer(Protocol):
    """Writes records; `send` returns only when the record is acknowledged, else raises BusError: RecordRefused
    where the topic takes others.

    A `value` of None is a tombstone: it removes its key from a compacted topic. The key chooses the partition,
    unless one is given. `timestamp` replaces the present as the record's time, where the topic lets producers set
    it.
    """

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
        timestamp: datetime | None = None,
    ) -> None: ...

    def close(self) -> None: ...
