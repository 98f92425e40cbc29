"""Where files lie, and how they are written: whole and durable, or not at all."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from guardian.archive.schema import EVENTS, LABELS
from guardian.disk import make_folder, write_atomically
from guardian.errors import ArchiveError

EVENTS_FOLDER = "events"
LABELS_FOLDER = "labels"
_LONGEST_NAME = 180
IN_MEMORY = 32 * 1024 * 1024
"""The most bytes of rows that are written at once. Limited in memory: on disk, repeated values shrink a lot."""
_COLUMNS = frozenset(EVENTS.names), frozenset(LABELS.names)
_ROW_GROUP = 65_536
_PIECE = 4_096
_OF_THE_READER = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_OF_THE_MOUNT = {
    errno.EIO, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET,
    errno.ECONNABORTED, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH,
}  # fmt: skip
_NO_DAMAGE = frozenset(_OF_THE_READER | _OF_THE_MOUNT)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One tenant's decisions of one day (UTC). Folder names only narrow a search; the rows are the truth."""

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
    """What there is, by day and tenant; folders that are not ours are skipped. Raises ArchiveError for one that
    may not be read."""
    for by_day in _listed(root / EVENTS_FOLDER, "date="):
        try:
            day = date.fromisoformat(by_day.name.removeprefix("date="))
        except ValueError:
            continue
        if (first is not None and day < first) or (last is not None and day > last):
            continue
        folders = _listed(by_day, "tenant=") if tenant_id is None else [by_day / tenant_folder(tenant_id)]
        yield from (Partition(day, folder.name) for folder in folders if folder.is_dir())


def parquet_files(folder: Path) -> list[Path]:
    """Finished files, in order of name; none if there is no such folder. Raises ArchiveError if it may not be
    read."""
    return [path for path in _listed(folder) if path.suffix == ".parquet" and not path.name.startswith(".")]


def _listed(folder: Path, beginning: str = "") -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if name.startswith(beginning)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _kept_away(folder, error.errno) from error


def write_whole(path: Path, table: pa.Table) -> None:
    """`write_pieces` for a table that is in memory already."""
    pieces = (pa.Table.from_batches([batch]) for batch in table.to_batches(max_chunksize=_PIECE))
    write_pieces(path, table.schema, pieces)


def write_pieces(path: Path, schema: pa.Schema, pieces: Iterable[pa.Table]) -> None:
    """`write_groups` for pieces of any size: memory holds one row group."""
    write_groups(path, schema, _gathered(pieces))


def write_groups(path: Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
    """Write a file atomically, each table a row group: a reader sees the old state or the new one.

    Raises ArchiveError with the way out if the disk refuses.
    """
    try:
        make_folder(path.parent, mode=0o700)
        with (
            write_atomically(path, mode=0o600) as stream,
            pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for group in groups:
                writer.write_table(group)
                del group  # before the next one is made
    except OSError as error:
        raise ArchiveError(
            f"archive: cannot write {path}: {error.strerror}; free the disk or move `archive.path`"
        ) from error


def _gathered(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Pieces, concatenated up to `_ROW_GROUP` rows and `IN_MEMORY` bytes."""
    held: list[pa.Table] = []
    count = size = 0
    for piece in pieces:
        if held and (count + piece.num_rows > _ROW_GROUP or size + piece.nbytes > IN_MEMORY):
            yield pa.concat_tables(held)
            held, count, size = [], 0, 0
        held.append(piece)
        count, size = count + piece.num_rows, size + piece.nbytes
    if held:
        yield pa.concat_tables(held)


def remove(path: Path) -> None:
    """Remove a file, if it is still there."""
    path.unlink(missing_ok=True)


@contextmanager
def reading(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a finished file. Raises ArchiveError if it is not one of ours, is damaged or may not be read.

    FileNotFoundError passes: a compaction may have replaced the file since it was listed. A stale handle of a
    network mount, where an open file does not outlast its removal, is that too.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            there = set(file.schema_arrow.names)  # columns only ever grow, and no checksum covers their names
            if not any(there <= known or known <= there for known in _COLUMNS):
                raise ValueError("no version has such columns")
            yield file
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, ValueError) as error:  # ValueError: a name in the footer may be no UTF-8
        number = errno.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None)
        if number == errno.ESTALE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ESTALE), str(path)) from error
        if number in _NO_DAMAGE:
            raise _kept_away(path, number) from error
        why = str(error).partition("\n")[0][:200]
        raise ArchiveError(
            f"archive: {path} cannot be read ({why}); restore it from a copy, or remove it and back-fill with"
            " `guardian archive import`"
        ) from error


def _kept_away(path: Path, number: int | None) -> ArchiveError:
    """A file that only may not be read is not damaged: the way out must not be to remove it."""
    why = os.strerror(number or 0)
    return ArchiveError(
        f"archive: {path} cannot be read ({why}); check its disk or mount, and the reader's permissions and limits"
    )
