"""Where partitions end, as a fetch tells it.

What a broker lists as the end may lag: Tansu's is one record into the last batch. A fetch comes with the
high-water mark. Tansu finds no fetch out of range, so that is no proof.
"""

import time
from collections.abc import Mapping

from kafka import KafkaConsumer as _Client
from kafka import TopicPartition

from guardian.bus.kafka_settings import KafkaSettings
from guardian.domain.record import Place

_POLL_MS = 100


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
