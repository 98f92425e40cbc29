"""Where a very first start begins that shall not judge what is older."""

from collections.abc import Callable, Mapping

from guardian.domain.record import Place
from guardian.store.monitor.store import MonitorStore
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("stream")


def begin_at_newest(
    topic: str, ends: Callable[[], Mapping[Place, int]], store: MonitorStore, clock: Clock
) -> None:
    """Where it is not known how far the topic was read, its partitions are read from where they end now. What is
    made later, the topic itself or more partitions, is read from its first record. Raises BusError and StoreError;
    then nothing is stored."""
    if store.has_begun(topic):
        return
    begins = store.begin(ends(), now=clock())
    _log.info("first_start", begins={str(place): offset for place, offset in begins.items()})
