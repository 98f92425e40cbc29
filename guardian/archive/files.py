"""Where files lie and how they come to be there: whole, durable, or not at all."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from guardian.errors import ArchiveError
from guardian.store.files import make_folder, write_atomically

EVENTS_FOLDER = "events"
LABELS_FOLDER = "labels"
_LONGEST_NAME = 180
IN_MEMORY = 128 * 1024 * 1024
"""Bytes of rows in memory that are written at once: on the disk what repeats is ten-thousandfold less."""
_ROW_GROUP = 65_536
_PIECE = 4_096


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One tenant's decisions of one day (UTC). The folder's name is for pruning; the rows carry the truth."""

    day: date
    tenant_folder: str

    @classmethod
    def of(cls, day: date, tenant_id: str) -> "Partition":
        return cls(day, tenant_folder(tenant_id))

    def folder(self, root: Path) -> Path:
        return root / EVENTS_FOLDER / f"date={self.day.isoformat()}" / self.tenant_folder


def tenant_folder(tenant_id: str) -> str:
    """A folder name for any tenant id, however hostile: percent-encoded, long ones shortened with their hash."""
    quoted = quote(tenant_id, safe="")
    if len(quoted) > _LONGEST_NAME:
        quoted = f"{quoted[:100]}~{hashlib.sha256(tenant_id.encode()).hexdigest()[:32]}"
    return f"tenant={quoted}"


def partitions(
    root: Path, *, tenant_id: str | None = None, first: date | None = None, last: date | None = None
) -> Iterator[Partition]:
    """What there is, by day and tenant. A folder that is not ours is passed over."""
    for by_day in sorted((root / EVENTS_FOLDER).glob("date=*")):
        try:
            day = date.fromisoformat(by_day.name.removeprefix("date="))
        except ValueError:
            continue
        if (first is not None and day < first) or (last is not None and day > last):
            continue
        wanted = "tenant=*" if tenant_id is None else None
        folders = sorted(by_day.glob(wanted)) if wanted else [by_day / tenant_folder(tenant_id or "")]
        yield from (Partition(day, folder.name) for folder in folders if folder.is_dir())


def parquet_files(folder: Path) -> list[Path]:
    """Finished files, in order of name; empty where there is no such folder."""
    return sorted(folder.glob("[!.]*.parquet"))


def write_whole(path: Path, table: pa.Table) -> None:
    """`write_pieces` of what is in memory already."""
    pieces = (pa.Table.from_batches([batch]) for batch in table.to_batches(max_chunksize=_PIECE))
    write_pieces(path, table.schema, pieces)


def write_pieces(path: Path, schema: pa.Schema, pieces: Iterable[pa.Table]) -> None:
    """A reader sees the old state or the new one. One row group is held in memory.

    Raises ArchiveError with the way out when the disk refuses.
    """
    try:
        make_folder(path.parent, mode=0o700)
        with (
            write_atomically(path, mode=0o600) as stream,
            pq.ParquetWriter(stream, schema, compression="zstd") as writer,
        ):
            for group in gathered(pieces, rows=_ROW_GROUP):
                writer.write_table(group)
    except OSError as error:
        raise ArchiveError(
            f"archive: cannot write {path}: {error.strerror}; free the disk or move `archive.path`"
        ) from error


def gathered(pieces: Iterable[pa.Table], *, rows: int) -> Iterator[pa.Table]:
    """Pieces put together while they have no more than so many rows and `IN_MEMORY` bytes."""
    held: list[pa.Table] = []
    count = size = 0
    for piece in pieces:
        if held and (count + piece.num_rows > rows or size + piece.nbytes > IN_MEMORY):
            yield pa.concat_tables(held)
            held, count, size = [], 0, 0
        held.append(piece)
        count, size = count + piece.num_rows, size + piece.nbytes
    if held:
        yield pa.concat_tables(held)


def remove(path: Path) -> None:
    """Take a file away; one that is gone already is fine."""
    path.unlink(missing_ok=True)


@contextmanager
def reading(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a finished file. Raises ArchiveError where it is none of ours or altered; FileNotFoundError passes:
    a compaction may have replaced the file since it was listed."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowInvalid) as error:
        raise ArchiveError(
            f"archive: {path} cannot be read ({str(error).splitlines()[0][:200]}); restore it from a copy, or "
            "remove it and back-fill with `guardian archive import`"
        ) from error
