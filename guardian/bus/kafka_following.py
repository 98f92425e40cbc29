"""How far each partition was read: how much is left of it, and whether it still is the same log."""

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from guardian.bus.kafka_ends import ANSWER_MS, LEADERLESS
from guardian.bus.kafka_rebalance import TAKEN_AWAY
from guardian.domain.record import Place
from guardian.errors import BusError


class Following:
    """Of one client, from its start to its close."""

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}  # as `heard`, of what was not assigned anew since

    def begin(self, place: Place, at: int | None) -> None:
        """It is read from this offset; None: from wherever it begins."""
        self._ends.pop(place, None)
        if at is None:
            self._next.pop(place, None)
        else:
            self._next[place] = at

    def heard(self, ends: Mapping[Place, int]) -> None:
        """Where the broker said, when it was last asked, that these end."""
        self._ends = dict(ends)

    def lag(self, client: Any, places: Iterable[Place]) -> dict[Place, int]:
        """Records behind the high-water mark of the last fetch, which is truer than end offsets on some brokers.

        End offsets are used where there is no mark: about a partition that comes back to its member without a new
        record, a broker with fetch sessions (KIP-227) says nothing.
        """
        found = {}
        for place in places:
            partition, at = TopicPartition(*place), self._next.get(place, 0)
            try:
                high = client.highwater(partition)
                high = self._ends.get(place) if high is None else high
                if high is not None and high > at:  # some offsets hold no record; ask, though that is slow
                    at = client.position(partition, timeout_ms=ANSWER_MS)
            except TAKEN_AWAY:
                continue
            if high is not None and at is not None:
                found[place] = max(0, high - at)
        return found

    def follow(self, client: Any, batch: Mapping[Place, Sequence[Any]], wanted: Set[Place]) -> None:
        """Raises BusError where the client went elsewhere by itself, because the next offset is gone, or where a
        broker lets it wait beyond the end (Tansu takes any offset). The next start then compares the stored offset
        with what is there. A gap alone proves nothing: not every offset holds a record.
        """
        for place in wanted - batch.keys():
            end = _high(client, place)
            # A new leader's mark may lag for a moment; asked where its log ends it answers when it knows.
            if (
                end is not None
                and end < self._next.get(place, end)
                and _short_of(client, place, self._next[place])
            ):
                raise BusError(
                    f"kafka: {place} ends at {end}, before {self._next[place]}: it was created "
                    "anew, or cut off, and is opened again"
                )
        for place in batch.keys() & wanted:
            at, expected = batch[place][0].offset, self._next.get(place, batch[place][0].offset)
            if at < expected:
                raise BusError(
                    f"kafka: {place} went back from {expected} to {at}: it was created "
                    "anew, or cut off, and is opened again"
                )
            if at > expected and _first(client, place) > expected:
                raise BusError(
                    f"kafka: {place} goes on at {at} instead of {expected}: what lay "
                    "between was removed unread, and it is opened again"
                )
            self._next[place] = batch[place][-1].offset + 1


def _high(client: Any, place: Place) -> int | None:
    """The high-water mark of its last fetch, if there was one."""
    with suppress(*TAKEN_AWAY):
        mark: int | None = client.highwater(TopicPartition(*place))
        return mark
    return None


def _first(client: Any, place: Place) -> int:
    partition = TopicPartition(*place)
    return int(client.beginning_offsets([partition], timeout_ms=ANSWER_MS)[partition])


def _short_of(client: Any, place: Place, offset: int) -> bool:
    """Whether the broker says so; one that is away is asked again at the next poll."""
    partition = TopicPartition(*place)
    try:
        return bool(client.end_offsets([partition], timeout_ms=ANSWER_MS)[partition] < offset)
    except (KafkaError, *LEADERLESS):
        return False
