"""A record of a log: bytes as they came from a bus, a file or a pipe, and where they lie there."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Place(NamedTuple):
    """One partition of one topic. A file is a topic with the single partition 0, its offset a line number."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it came, untouched. `timestamp` is the broker's, aware UTC, None where there is none."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: datetime | None = None

    @property
    def place(self) -> Place:
        return Place(self.topic, self.partition)
