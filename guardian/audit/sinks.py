"""Where checkpoints go, out of reach of whoever holds the database: in order, at least once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from guardian.audit.files import append_note
from guardian.bus.port import Producer
from guardian.store.control.checkpoints import StoredCheckpoint
from guardian.store.control.store import ControlStore

_AT_ONCE = 100


class Sink(Protocol):
    """Takes checkpoints. `put` returns when the note is safe there, else raises OSError or BusError.

    `name` is what the database remembers its progress by: a new file or topic is given all there are.
    """

    @property
    def name(self) -> str: ...

    def put(self, note: str) -> None: ...


@dataclass(frozen=True, slots=True)
class FileSink:
    path: Path

    @property
    def name(self) -> str:
        return f"file {self.path.absolute()}"

    def put(self, note: str) -> None:
        append_note(self.path, note)


@dataclass(frozen=True, slots=True)
class TopicSink:
    """The record's key is the log's origin without the epoch, so that one partition keeps the order."""

    producer: Producer
    topic: str
    key: str

    @property
    def name(self) -> str:
        return f"topic {self.topic}"

    def put(self, note: str) -> None:
        self.producer.send(self.topic, note.encode(), key=self.key.encode())


def export(store: ControlStore, sink: Sink, clock: Callable[[], datetime], reached: dict[str, int]) -> int:
    """Give `sink` what it has not seen, the oldest first; returns the size that it now holds.

    `reached` is this process's own memory of that size, by the sink's name. The database's is used only at first,
    and only up to the newest checkpoint: somebody who can write there must not stop the export unnoticed. Progress
    is remembered even when `put` raises half-way.
    """
    with store.read() as rows:
        latest, told = rows.checkpoints.latest(), rows.checkpoints.progress().exported
    at = reached.get(sink.name, told.get(sink.name, 0))
    if latest is None or at > latest.size:
        at = 0
    while waiting := _waiting(store, at):
        begun = at
        try:
            for checkpoint in waiting:
                sink.put(checkpoint.note)
                reached[sink.name] = at = checkpoint.size
        finally:
            if at > begun:
                with store.write() as rows:
                    rows.checkpoints.mark_exported(sink.name, at, clock())
    reached[sink.name] = at
    return at


def _waiting(store: ControlStore, reached: int) -> list[StoredCheckpoint]:
    with store.read() as rows:
        return rows.checkpoints.after(reached, _AT_ONCE)
