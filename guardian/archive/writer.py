"""Waiting rows → files, one per tenant and day; writing the same group again changes nothing.

Packed, a group is a tenth of its size. Of all its rows at once only that is unpacked which orders them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.files import LABELS_FOLDER, Partition, write_groups, write_whole
from guardian.archive.identity import NAMING, Seen
from guardian.archive.rows import unpack
from guardian.archive.schema import EVENTS, LABELS
from guardian.errors import ArchiveError

IN_FILE = [("at", "ascending"), ("session_id", "ascending")]
"""Rows lie in a file in order of time, so that a replay meets parents before their children."""
_IN_MEMORY = 8 * 1024 * 1024
"""The most bytes of rows that are unpacked at once, and so of a row group; a merge makes larger ones."""
_IN_FILES = [("tenant_id", "ascending"), *IN_FILE]
"""In this order, file after file is written."""
_ORDER = pa.schema([EVENTS.field(name) for name in ("at", "session_id", *NAMING)])
_ORDERED = pa.schema([*(EVENTS.field(name) for name, _ in _IN_FILES), ("body", pa.int32()), ("row", pa.int32())])


def write_events(root: Path, group: str, packed: Sequence[bytes]) -> int:
    """Write one group of rows and return how many decisions it held.

    `group` names the files, so that a group that is written again after a crash replaces itself. Raises
    ArchiveError.
    """
    with _or_it_waits(group):
        places = _places(packed)
        parts = (part for piece in _pieces(packed, places) for part in _by_partition(piece))
        for partition, those in groupby(parts, key=itemgetter(0)):
            write_groups(partition.folder(root) / f"{group}.parquet", EVENTS, (part for _, part in those))
    pa.default_memory_pool().release_unused()
    return int(places.num_rows)


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


def _places(packed: Sequence[bytes]) -> pa.Table:
    """Which `row` of which `body` each decision is, in the order of the files."""
    seen = Seen()
    bodies = [unpack([body], _ORDER) for body in packed]
    for table in bodies:
        seen.expect(table)
    places = [_ORDERED.empty_table()]
    for number, table in enumerate(bodies):
        rows = pa.array(range(table.num_rows), pa.int32())
        named = table.append_column("body", pa.repeat(pa.scalar(number, pa.int32()), table.num_rows))
        places.append(named.append_column("row", rows).filter(seen.fresh(table)).select(_ORDERED.names))
    return pa.concat_tables(places).sort_by(_IN_FILES).select(["body", "row"])


def _pieces(packed: Sequence[bytes], places: pa.Table) -> Iterator[pa.Table]:
    """The rows at these places, in tables of no more than `_IN_MEMORY` bytes, or of one row."""
    found, which, size = list[pa.Table](), list[pa.Array](), 0
    for number in pc.unique(places.column("body")).to_pylist():
        mine = pc.indices_nonzero(pc.equal(places.column("body"), number))
        found.append(unpack([packed[number]], EVENTS).take(places.column("row").take(mine)))
        which.append(mine)
        size += found[-1].nbytes
        if size > _IN_MEMORY and places.num_rows > 1:
            found.clear()
            half = places.num_rows // 2
            yield from _pieces(packed, places.slice(0, half))
            yield from _pieces(packed, places.slice(half))
            return
    if found:
        table, order, columns = pa.concat_tables(found), pc.sort_indices(pa.concat_arrays(which)), []
        found.clear()
        for _ in EVENTS:  # one by one: all of them at once would be there twice
            columns.append(table.column(0).take(order))
            table = table.remove_column(0)
        yield pa.table(columns, schema=EVENTS)


def _by_partition(piece: pa.Table) -> Iterator[tuple[Partition, pa.Table]]:
    """In the order of the files, the rows of a partition follow one another."""
    days = pc.cast(piece.column("at"), pa.date32())
    named = pa.table({"day": days, "tenant": piece.column("tenant_id")})
    start = 0
    for part in named.group_by(["day", "tenant"], use_threads=False).aggregate([([], "count_all")]).to_pylist():
        yield Partition.of(part["day"], part["tenant"]), piece.slice(start, part["count_all"])
        start += part["count_all"]
