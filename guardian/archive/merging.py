"""Several files, each in time, read as one in time; rows of the same time in no certain order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

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
    """One batch is held of every run that has begun and is not over. A batch has a row and `IN_FILE`'s columns."""
    waiting = sorted(enumerate(runs), key=lambda pair: pair[1].begins, reverse=True)
    held: dict[int, pa.RecordBatch] = {}
    while waiting or held:
        until = min(map(_last, held.values()), default=_EVER)
        while waiting and waiting[-1][1].begins <= until:
            place, run = waiting.pop()
            if (batch := next(run.batches, None)) is not None:
                held[place] = batch
                until = min(until, _last(batch))
        ripe = []
        for place, batch in sorted(held.items()):
            at = batch.column("at")
            count = pc.sum(pc.less_equal(at, pa.scalar(until, at.type))).as_py()
            ripe.append(batch.slice(0, count))
            rest = batch.slice(count) if count < batch.num_rows else next(runs[place].batches, None)
            if rest is None:
                del held[place]
            else:
                held[place] = rest
        if ripe:
            yield from pa.Table.from_batches(ripe).sort_by(IN_FILE).combine_chunks().to_batches()


def _last(batch: pa.RecordBatch) -> datetime:
    last: datetime = batch.column("at")[-1].as_py()
    return last
