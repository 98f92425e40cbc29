"""Each decision counts once; its identity is (tenant, gateway, decision id, digest).

A row that guardian saw live counts rather than one that was back-filled, whichever is read first.
"""

import hashlib
from collections.abc import Iterator

import pyarrow as pa

from guardian.archive.schema import IDENTITY

LIVE = "live"
NAMING = (*IDENTITY, "origin")
"""The columns that decide which rows count."""


class Seen:
    """Remembers the decisions of one partition, in 16 bytes each. Tables must have the columns `NAMING`."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._live: set[bytes] = set()

    def expect(self, table: pa.Table | pa.RecordBatch) -> None:
        """Announce rows that will come: no back-filled row of a decision counts that has a live one among them."""
        self._live.update(name for name, live in _named(table) if live)

    def fresh(self, table: pa.Table | pa.RecordBatch) -> pa.Array:
        """A mask that is true for the rows that count; these are seen from now on."""
        mask = []
        for name, live in _named(table):
            counts = name not in self._known and (live or name not in self._live)
            mask.append(counts)
            if counts:
                self._known.add(name)
        return pa.array(mask, type=pa.bool_())


def first_of_each(table: pa.Table) -> pa.Table:
    """The table without repeated decisions."""
    seen = Seen()
    seen.expect(table)
    return table.filter(seen.fresh(table))


def _named(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[bytes, bool]]:
    """A hash of each row's decision, and whether the row is live."""
    for *row, origin in zip(*(table.column(name).to_pylist() for name in NAMING), strict=True):
        text = "\x1f".join(map(str, row)).encode("utf-8", "surrogatepass")
        yield hashlib.blake2b(text, digest_size=16).digest(), origin == LIVE
