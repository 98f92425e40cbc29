"""Merge files that are each in order of time. Rows of the same time have no certain order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.writer import IN_FILE

_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Run:
    """A file that is opened when its first batch is asked for; `begins` is the time of its first row."""

    begins: datetime
    batches: Iterator[pa.RecordBatch]


def in_time(runs: Sequence[Run]) -> Iterator[pa.RecordBatch]:
    """Memory holds one batch of every run that has begun and is not over. Batches have `IN_FILE`'s columns, and
    none is empty."""
    waiting = sorted(enumerate(runs), key=lambda pair: pair[1].begins, reverse=True)
    held: dict[int, _Held] = {}
    while waiting or held:
        until = min((each.last for each in held.values()), default=_EVER)
        while waiting and waiting[-1][1].begins <= until:
            place, run = waiting.pop()
            if (batch := next(run.batches, None)) is not None:
                held[place] = _Held.of(batch)
                until = min(until, held[place].last)
        ripe = []
        for place, each in sorted(held.items()):
            if each.first > until:
                continue
            at = each.batch.column("at")
            count = pc.sum(pc.less_equal(at, pa.scalar(until, at.type))).as_py()
            ripe.append(each.batch.slice(0, count))
            rest = each.batch.slice(count) if count < len(at) else next(runs[place].batches, None)
            if rest is None:
                del held[place]
            else:
                held[place] = _Held.of(rest)
        if ripe:
            yield from pa.Table.from_batches(ripe).sort_by(IN_FILE).combine_chunks().to_batches()


class _Held(NamedTuple):
    """A batch with the times of its first and last row, as of hundreds of overlapping runs most are not due
    yet."""

    batch: pa.RecordBatch
    first: datetime
    last: datetime

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> "_Held":
        at = batch.column("at")
        return cls(batch, at[0].as_py(), at[-1].as_py())
