"""Each decision once: (tenant, gateway, decision id, digest)."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.schema import IDENTITY


class Seen:
    """Remembers the decisions of one partition in 16 bytes each. Keys are given as columns, answers are masks."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def fresh(self, table: pa.Table | pa.RecordBatch) -> pa.Array:
        """True for the rows that were not seen before, which are seen from now on."""
        columns = [table.column(name).to_pylist() for name in IDENTITY]
        mask = []
        for row in zip(*columns, strict=True):
            name = hashlib.blake2b(
                "\x1f".join(map(str, row)).encode("utf-8", "surrogatepass"), digest_size=16
            ).digest()
            mask.append(name not in self._known)
            self._known.add(name)
        return pa.array(mask, type=pa.bool_())


def first_of_each(table: pa.Table) -> pa.Table:
    """The table without repeated decisions; what guardian saw live goes before what was back-filled."""
    live_first = pc.sort_indices(table, sort_keys=[("origin", "descending")])
    ordered = table.take(live_first)
    return ordered.filter(Seen().fresh(ordered))
