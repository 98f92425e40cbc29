"""A record of a log: bytes as they came from a bus, a file or a pipe, and where they lie there."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

MAX_RECORD = 32_768 * 1_032
"""The most bytes that a record may unpack to, or a line may hold: OPA cuts its uploads at 32 KiB, and deflate
packs 1,032 to 1 at best."""
_NAME_CHARS = 512


class Place(NamedTuple):
    """One partition of one topic. A file is a topic with the single partition 0, its offset a line number."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it came, untouched. `timestamp` is the broker's, aware UTC, None where there is none.
    `tombstone`: it has no value at all, which in a compacted topic removes its key."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: datetime | None = None
    tombstone: bool = False

    @property
    def place(self) -> Place:
        return Place(self.topic, self.partition)

    @property
    def sender(self) -> str:
        """Who sent it as far as the bus can tell: its `gateway` header, else the place where it lies."""
        return (self.header("gateway") or str(self.place))[:_NAME_CHARS]

    @property
    def day_of_place(self) -> str:
        """What a record that names no session is told under: so people hear of its partition once a day."""
        day = f" {self.timestamp:%Y-%m-%d}" if self.timestamp is not None else ""
        return f"{self.topic}[{self.partition}]{day}"

    def header(self, name: str) -> str | None:
        """The first header of this name, in lower case, however it is spelt there; bounded. None where it is empty
        or there is none."""
        found = next((value for key, value in self.headers if key.lower() == name), None)
        return found.decode("utf-8", "replace")[: _NAME_CHARS + 1] if found else None  # too long a name stays so
