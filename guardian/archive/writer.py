"""Waiting rows → files, one per tenant and day; writing the same group again changes nothing."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.files import LABELS_FOLDER, Partition, gathered, write_whole
from guardian.archive.identity import first_of_each
from guardian.archive.rows import unpack
from guardian.archive.schema import EVENTS, LABELS
from guardian.errors import ArchiveError

IN_FILE = [("at", "ascending"), ("session_id", "ascending")]
"""Rows lie in a file in order of time, so that a replay meets parents before their children."""


def write_events(root: Path, group: str, packed: Sequence[bytes]) -> int:
    """Write one group of rows and return how many decisions it held.

    `group` names the files, so that a group that is written again after a crash replaces itself. What does not fit
    into memory goes into several files. Raises ArchiveError.
    """
    written = 0
    with _or_it_waits(group):
        tables = gathered((unpack([body], EVENTS) for body in packed), rows=sys.maxsize)
        for number, table in enumerate(map(first_of_each, tables)):
            name = f"{group}-{number}" if number else group
            for partition, part in _by_partition(table):
                write_whole(partition.folder(root) / f"{name}.parquet", part.sort_by(IN_FILE))
            written += int(table.num_rows)
    return written


def write_labels(root: Path, group: str, packed: Sequence[bytes]) -> int:
    """Write what people said, in the same way."""
    with _or_it_waits(group):
        table = unpack(packed, LABELS)
        if table.num_rows:
            write_whole(root / LABELS_FOLDER / f"{group}.parquet", table)
    return int(table.num_rows)


@contextmanager
def _or_it_waits(group: str) -> Iterator[None]:
    """Raises ArchiveError for a body that cannot be read back, and for a disk that refuses."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        why = str(error).splitlines()[0][:200]
        raise ArchiveError(f"archive: group {group} cannot be written ({why}); it waits in the store") from error


def _by_partition(table: pa.Table) -> Iterator[tuple[Partition, pa.Table]]:
    days = pc.cast(table.column("at"), pa.date32())
    tenants = table.column("tenant_id")
    found = pa.table({"day": days, "tenant": tenants}).group_by(["day", "tenant"]).aggregate([])
    for pair in found.to_pylist():
        mine = pc.and_(pc.equal(days, pair["day"]), pc.equal(tenants, pair["tenant"]))
        yield Partition.of(pair["day"], pair["tenant"]), table.filter(mine)
