"""Where partitions begin and end: as the broker lists it, and the end as a fetch tells it.

The end that a broker lists may lag: Tansu's is one record into the last batch. A fetch brings the true high-water
mark. That a fetch is not out of range proves nothing, because Tansu accepts any offset.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer as _Client
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from guardian.bus.kafka_settings import KafkaSettings
from guardian.domain.record import Place
from guardian.telemetry import logger

_log = logger("bus")
ANSWER_MS, BOUNDS_MS = 1_000, 5_000
_POLL_MS, _ALONE_S = 100, 30.0
LEADERLESS = (KafkaTimeoutError, KeyError)
"""What the library raises when one of several partitions has no leader: KeyError where the others have one."""


def listed_bounds(client: Any, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
    """The first offset of each place and the one after its last. All are asked for at once; where that fails
    because some have no leader, one by one, so that the others can be read. Absent where there is no answer."""
    try:
        return _bounds(client, places, BOUNDS_MS)
    except LEADERLESS:
        found: dict[Place, tuple[int, int]] = {}
        until = time.monotonic() + _ALONE_S
        for place in places:
            with suppress(*LEADERLESS):
                found |= _bounds(client, [place], ANSWER_MS) if time.monotonic() < until else {}
        if silent := [str(place) for place in places if place not in found]:
            _log.warning(
                "partition_ends_unknown",
                partitions=silent,
                note="the broker does not tell them: is there a leader?",
            )
        return found


def _bounds(client: Any, places: Sequence[Place], patience_ms: int) -> dict[Place, tuple[int, int]]:
    partitions = {place: TopicPartition(*place) for place in places}
    first = client.beginning_offsets(list(partitions.values()), timeout_ms=patience_ms)
    end = client.end_offsets(list(partitions.values()), timeout_ms=patience_ms)
    return {place: (first[partition], end[partition]) for place, partition in partitions.items()}


def fetched_ends(settings: KafkaSettings, listed: Mapping[Place, int], *, patience_s: float) -> dict[Place, int]:
    """The high-water marks of fetches at the listed ends; absent where none came. No group hears of it."""
    wanted = {TopicPartition(*place): place for place in listed}
    options = settings.options_for(_Client, fetch_max_wait_ms=settings.fetch_max_wait_ms)
    client = _Client(**options, group_id=None, enable_auto_commit=False, auto_offset_reset="none")
    try:
        client.assign(list(wanted))
        for partition, place in wanted.items():
            client.seek(partition, listed[place])
        found: dict[Place, int] = {}
        until = time.monotonic() + patience_s
        while len(found) < len(wanted) and time.monotonic() < until:
            client.poll(timeout_ms=_POLL_MS)
            marks = {place: client.highwater(partition) for partition, place in wanted.items()}
            found = {place: mark for place, mark in marks.items() if mark is not None}
        return found
    finally:
        client.close(autocommit=False, timeout_ms=2000)
