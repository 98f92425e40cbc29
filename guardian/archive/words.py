"""What people said of sessions: many small files become one, without what is older than it is kept."""

import hashlib
from contextlib import suppress
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.files import LABELS_FOLDER, parquet_files, reading, remove, write_whole
from guardian.archive.rows import conform
from guardian.archive.schema import LABELS
from guardian.errors import ArchiveError

_AT_ONCE = 500
"""The most files that are merged at once: an open file takes more memory than its contents."""


def read_words(root: Path) -> pa.Table:
    """All that was said; what two files hold is there twice. Raises ArchiveError."""
    folder = root / LABELS_FOLDER
    while files := parquet_files(folder):
        try:
            return pa.concat_tables(map(_words, files))
        except FileNotFoundError:  # merged since we listed it: look again
            if parquet_files(folder) == files:
                raise ArchiveError(
                    f"archive: {folder} lists a file that is not there; check its disk or mount"
                ) from None
    return LABELS.empty_table()


def tidy_words(root: Path, *, older_than: date) -> None:
    """Merge all files into one, without what was said before `older_than`; of very many, the rest next time.

    The new file is there before the others go. A file that cannot be read stays where it is. Raises ArchiveError
    for it when all else is done, and for a disk that refuses.
    """
    tables: dict[Path, pa.Table] = {}
    stuck: ArchiveError | None = None
    for path in parquet_files(root / LABELS_FOLDER)[:_AT_ONCE]:
        try:
            with suppress(FileNotFoundError):  # another process is at it
                tables[path] = _words(path)
        except ArchiveError as error:
            stuck = error
    if tables:
        _merge(root, tables, older_than)
    if stuck is not None:
        raise stuck


def _merge(root: Path, tables: dict[Path, pa.Table], older_than: date) -> None:
    found = pa.concat_tables(tables.values())
    days = pc.cast(found.column("at"), pa.date32())
    kept = found.filter(pc.greater_equal(days, pa.scalar(older_than)))
    if len(tables) == 1 and kept.num_rows == found.num_rows:
        return
    if kept.num_rows:
        once = kept.group_by(LABELS.names, use_threads=False).aggregate([])
        name = hashlib.sha256("\n".join(path.name for path in tables).encode()).hexdigest()[:24]
        write_whole(root / LABELS_FOLDER / f"merged-{name}.parquet", conform(once, LABELS))
    try:
        for path in tables:
            remove(path)
    except OSError as error:
        why = f"{error.filename} is merged or past its retention and stays ({error.strerror}); remove it by hand"
        raise ArchiveError(f"archive: {why}") from error


def _words(path: Path) -> pa.Table:
    with reading(path) as file:
        return conform(file.read(), LABELS)
