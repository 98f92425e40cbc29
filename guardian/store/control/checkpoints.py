"""Signed checkpoints of the audit trail, and how far their writer has come.

The table's row 0 is no checkpoint, for nobody signs an empty trail: it is the writer's own notebook, JSON. What
it says of the tree is believed only if the newest checkpoint's signed root confirms it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from guardian.store.control.audit import StoredText, canonical, stored_json
from guardian.store.control.tables import checkpoint
from guardian.store.inserts import upsert

_NOTEBOOK = 0
_PAGE = 500


class StoredCheckpoint(NamedTuple):
    size: int
    note: str
    at: datetime


class RawCheckpoint(NamedTuple):
    """A checkpoint as the bytes that are stored; None where the column holds no text."""

    size: int
    note: bytes | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The Merkle tree's frontier (hexadecimal, largest subtree first) at `size`, and what went out to whom."""

    size: int = 0
    frontier: tuple[str, ...] = ()
    exported: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckpointRows:
    connection: Connection

    def add(self, size: int, note: str, *, frontier: Sequence[str], now: datetime) -> None:
        """Keep a checkpoint and where the tree stands with it."""
        if size <= _NOTEBOOK:
            raise ValueError(f"a checkpoint covers at least one entry, not {size}")
        self.connection.execute(insert(checkpoint).values(size=size, note=note, at=now))
        self._write(Progress(size, tuple(frontier), self.progress().exported), now)

    def latest(self) -> StoredCheckpoint | None:
        wanted = select(checkpoint).where(checkpoint.c.size > _NOTEBOOK).order_by(checkpoint.c.size.desc())
        row = self.connection.execute(wanted.limit(1)).one_or_none()
        return None if row is None else StoredCheckpoint(row.size, row.note, row.at)

    def after(self, size: int, limit: int) -> list[StoredCheckpoint]:
        """The oldest `limit` that cover more than `size` entries."""
        wanted = select(checkpoint).where(checkpoint.c.size > max(size, _NOTEBOOK)).order_by(checkpoint.c.size)
        rows = self.connection.execute(wanted.limit(limit))
        return [StoredCheckpoint(row.size, row.note, row.at) for row in rows]

    def raw(self) -> Iterator[RawCheckpoint]:
        """All of them by size, a page at a time, so that another statement may be read meanwhile."""
        size: int | None = None
        while True:
            wanted = select(checkpoint.c.size, StoredText(checkpoint.c.note)).order_by(checkpoint.c.size)
            if size is not None:
                wanted = wanted.where(checkpoint.c.size > size)
            page = [RawCheckpoint(*row) for row in self.connection.execute(wanted.limit(_PAGE))]
            yield from (row for row in page if row.size != _NOTEBOOK)
            if len(page) < _PAGE:
                return
            size = page[-1].size

    def progress(self) -> Progress:
        """What the notebook says; a fresh one when it is absent or cannot be read."""
        wanted = select(StoredText(checkpoint.c.note)).where(checkpoint.c.size == _NOTEBOOK)
        try:
            raw = stored_json(self.connection.execute(wanted).scalar_one_or_none())
            exported = {str(sink): int(size) for sink, size in raw["exported"].items()}
            return Progress(int(raw["size"]), tuple(map(str, raw["frontier"])), exported)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return Progress()

    def mark_exported(self, sink: str, size: int, now: datetime) -> None:
        """Everything up to `size` has reached `sink`."""
        told = self.progress()
        self._write(Progress(told.size, told.frontier, {**told.exported, sink: size}), now)

    def _write(self, progress: Progress, now: datetime) -> None:
        note = canonical(
            {
                "size": progress.size,
                "frontier": list(progress.frontier),
                "exported": dict(progress.exported),
            }
        )
        upsert(self.connection, checkpoint, [{"size": _NOTEBOOK, "note": note, "at": now}])
