"""Many small files become one, also of a day that goes on; days that are older than they are kept go."""

import errno
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from guardian.archive.files import (
    LABELS_FOLDER,
    Partition,
    parquet_files,
    partitions,
    reading,
    remove,
    write_pieces,
)
from guardian.archive.identity import Seen
from guardian.archive.reader import each_once
from guardian.archive.schema import EVENTS
from guardian.archive.words import tidy_words
from guardian.disk import UNFINISHED
from guardian.errors import ArchiveError

MOST_ROWS = 500_000
MOST_BYTES = 256 * 1024 * 1024
"""Files of a partition are merged up to so many rows, and bytes on the disk."""
_OF_TODAY = 8
"""Of a day that goes on up to this part of it: a monitor merges that beside its work, and all may overlap."""
_MANY = 32
"""As many files of a day that goes on are merged, and no fewer."""
_AT_ONCE = 512
_ABANDONED = timedelta(days=1)
"""No write takes that long: an unfinished file of this age was left by a crash."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many files were merged into how many, and how many days were forgotten."""

    merged: int = 0
    into: int = 0
    forgotten: int = 0


def tidying(root: Path, *, now: datetime, keep: timedelta, sure: datetime | None = None) -> Iterator[Tidied]:
    """Forget days older than `keep` and what was said on them; merge what people said, every finished day, and
    what has become many files of one that goes on. Tells after each merge, and at its end, what is done so far.
    What is forgotten goes by `sure`, a time that has surely come, where there is one.

    Forgetting comes first: neither damage to a younger day nor a full disk may keep an old one. A day is finished
    an hour after its end; late arrivals are merged the next time. A file that cannot be read stays where it is.
    Raises ArchiveError for it when all else is done, and for a disk that refuses; first for an old day that stays.
    """
    finished, oldest = (now - timedelta(hours=1)).date(), ((sure or now) - keep).date()
    merged = into = forgotten = 0
    stuck: ArchiveError | None = None
    trouble: ArchiveError | None = None
    try:
        forgotten = forget(root, older_than=oldest)
    except ArchiveError as error:
        stuck = error
    for partition in list(partitions(root, first=oldest)):
        _sweep(partition.folder(root), before=now - _ABANDONED)
        try:
            for _ in parquet_files(partition.folder(root))[1:]:  # each merge takes one away; others may add some
                if not (count := compact(root, partition, goes_on=partition.day >= finished)):
                    break
                merged, into = merged + count, into + 1
                yield Tidied(merged, into, forgotten)
        except ArchiveError as error:
            trouble = error
    try:
        tidy_words(root, older_than=oldest)
    except ArchiveError as error:
        trouble = error
    if (told := stuck or trouble) is not None:
        raise told
    yield Tidied(merged, into, forgotten)


def compact(root: Path, partition: Partition, *, goes_on: bool = False) -> int:
    """Merge a partition's files into one without repeated decisions; returns how many (0: there was nothing to
    do). Of a day that `goes_on` only many are merged, and not into one that is larger than all of them.

    The merged file is there before the others go. A reader in between sees decisions twice and counts them once.
    """
    files = parquet_files(partition.folder(root))
    if len(files) < (_MANY if goes_on else 2):
        return 0
    part = _OF_TODAY if goes_on else 1
    try:
        sizes = {path: _rows(path) for path in files}
        chosen, rows, size = list[Path](), 0, 0
        for path in sorted(files, key=lambda path: sizes[path]):
            if goes_on and len(chosen) >= _MANY and sizes[path] > rows:
                break  # or it would be written anew with every merge of the day
            length = path.stat().st_size
            if rows + sizes[path] <= MOST_ROWS // part and size + length <= MOST_BYTES // part:
                chosen.append(path)
                rows, size = rows + sizes[path], size + length
        if len(chosen) < 2:
            return 0
    except FileNotFoundError:  # another process is at it
        return 0
    chosen.sort()
    name = hashlib.sha256("\n".join(path.name for path in chosen).encode()).hexdigest()[:24]
    target = partition.folder(root) / f"merged-{name}.parquet"
    try:
        pieces = (pa.Table.from_batches([batch]) for batch in each_once(chosen, EVENTS.names, _AT_ONCE, Seen()))
        write_pieces(target, EVENTS, pieces)
    except ArchiveError:
        if all(path.exists() for path in chosen):
            raise
        return 0
    except pa.ArrowException as error:
        why = f"{target.parent} is left unmerged ({str(error).splitlines()[0][:200]}); it can be read as it is"
        raise ArchiveError(f"archive: {why}") from error
    try:
        for path in chosen:
            if path != target:
                remove(path)
    except OSError as error:
        why = f"{error.filename} is merged and stays ({error.strerror}); remove it by hand"
        raise ArchiveError(f"archive: {why}") from error
    return len(chosen)


def forget(root: Path, *, older_than: date) -> int:
    """Remove the days before `older_than`; returns how many partitions went.

    Others may tidy or write there at the same moment: what they hold goes the next time. Raises ArchiveError when
    all else is gone, if something cannot be removed.
    """
    gone = 0
    stuck: ArchiveError | None = None
    for partition in list(partitions(root, last=older_than - timedelta(days=1))):
        folder = partition.folder(root)
        try:
            for path in folder.iterdir():
                remove(path)
            gone += _removed(folder)
            _removed(folder.parent)
        except FileNotFoundError:  # another process is at it
            continue
        except OSError as error:
            why = f"{error.filename} is past its retention and stays ({error.strerror}); remove it by hand"
            stuck = ArchiveError(f"archive: {why}")
    if stuck is not None:
        raise stuck
    return gone


def _sweep(folder: Path, *, before: datetime) -> None:
    """Remove what killed merges left: each leaves as much behind as it had merged."""
    for path in folder.glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            if path.stat().st_mtime < before.timestamp():
                remove(path)


def _removed(folder: Path) -> bool:
    """Remove a folder if it is empty; whether it is gone."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def count_files(root: Path) -> dict[str, int]:
    """Files, bytes, rows, days, tenants and labels; without files that are merged away at this moment."""
    counted = [(part, _sizes(parquet_files(part.folder(root)))) for part in partitions(root)]
    held = [(part, sizes) for part, sizes in counted if sizes]
    every = [size for _, sizes in held for size in sizes]
    return {
        "files": len(every),
        "bytes": sum(length for length, _ in every),
        "rows": sum(rows for _, rows in every),
        "days": len({part.day for part, _ in held}),
        "tenants": len({part.tenant_folder for part, _ in held}),
        "labels": sum(rows for _, rows in _sizes(parquet_files(root / LABELS_FOLDER))),
    }


def _sizes(files: Iterable[Path]) -> list[tuple[int, int]]:
    """Bytes and rows of each."""
    found = []
    for path in files:
        with suppress(FileNotFoundError):
            found.append((path.stat().st_size, _rows(path)))
    return found


def _rows(path: Path) -> int:
    with reading(path) as file:
        return int(file.metadata.num_rows)
