"""The archive as a stream of decisions, each once.

Memory holds one row group. In a day that is not merged yet it holds one of each file that overlaps, and 16 bytes
per decision, or 32 if some of the day were back-filled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.files import Partition, parquet_files, partitions, reading
from guardian.archive.identity import LIVE, NAMING, Seen
from guardian.archive.merging import Run, in_time
from guardian.archive.rows import conform, json_object
from guardian.archive.schema import EVENTS
from guardian.archive.words import read_words
from guardian.archive.writer import IN_FILE
from guardian.domain.envelope import purpose_family
from guardian.domain.identity import SessionKey
from guardian.domain.past import Label, PastCall, agent_role
from guardian.domain.session import CARRIER, HumanWord
from guardian.errors import ArchiveError

_BATCH_ROWS = 16_384
_LEAST_ROWS = 512
_REPEATED = 65_536
_CALL = (
    "tenant_id", "session_id", "purpose", "agent_id", "at", "tool", "effect", "arguments", "bound",
    "resource_type", "resource_id", "data_classes", "records", "allowed_tools", "constraints", "expires_at",
    "delegator_id", "parent_session_id", "gateway", "decision_id", "wanted", "one_in", "tool_spelt",
    "allowed_tools_spelt",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """Which part to read: one tenant (as the rows say) or all, from `since` (inclusive) to `until` (exclusive).

    Raises ArchiveError for what is no datetime, and for a time without a zone: days and calls would be cut by
    different clocks.
    """

    tenant_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        bounds: tuple[tuple[str, object], ...] = ("since", self.since), ("until", self.until)
        for name, at in bounds:
            if at is not None and not isinstance(at, datetime):
                raise ArchiveError(
                    f"{name}: {at!r} is no datetime; give one with its time zone, such as"
                    " datetime(2026, 11, 1, tzinfo=UTC)"
                )
            if at is not None and at.utcoffset() is None:
                raise ArchiveError(f"{name}: {at} is in no time zone; say which, such as {at}+00:00")

    @property
    def first_day(self) -> date | None:
        return None if self.since is None else self.since.astimezone(UTC).date()

    @property
    def last_day(self) -> date | None:
        return None if self.until is None else self.until.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Archive:
    """`root` is the folder that holds `events/` and `labels/`."""

    root: Path

    def partitions(self, window: Window = Window()) -> list[Partition]:
        """Oldest day first."""
        return list(
            partitions(self.root, tenant_id=window.tenant_id, first=window.first_day, last=window.last_day)
        )

    def rows(self, window: Window = Window()) -> int:
        """How many rows the window's days hold, repeats included, for progress bars. Reads footers only."""
        total = 0
        for partition in self.partitions(window):
            for path in parquet_files(partition.folder(self.root)):
                try:
                    with reading(path) as file:
                        total += int(file.metadata.num_rows)
                except FileNotFoundError:
                    continue
        return total

    def batches(
        self, columns: Sequence[str], window: Window = Window(), *, batch_rows: int = _BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The named columns of `EVENTS`, each decision once, oldest day first, within a day and tenant in time.

        Raises ArchiveError for unknown columns and for files that cannot be read.
        """
        unknown = sorted(set(columns) - set(EVENTS.names))
        if unknown:
            raise ArchiveError(f"archive: no column {unknown[0]!r}; known ones: {', '.join(EVENTS.names)}")
        for partition in self.partitions(window):
            yield from self._partition(partition, list(columns), window, batch_rows)

    def _partition(
        self, partition: Partition, columns: list[str], window: Window, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        seen, several = Seen(), False
        folder = partition.folder(self.root)
        while files := parquet_files(folder):
            several = several or len(files) > 1
            try:
                if several:
                    yield from each_once(files, columns, batch_rows, seen, window)
                    return
                for batch in _read(files[0], columns, batch_rows):
                    if (kept := _within(batch, window)).num_rows:
                        yield kept.select(columns)
                return
            except FileNotFoundError:  # merged since we listed it: look again
                if parquet_files(folder) == files:
                    raise ArchiveError(
                        f"archive: {folder} lists a file that is not there; check its disk or mount"
                    ) from None

    def past_calls(self, window: Window = Window()) -> Iterator[PastCall]:
        """The window's decisions as values, in the order of `batches`. What repeats is decoded and kept once."""
        role_of, constraints_of = lru_cache(_REPEATED)(agent_role), lru_cache(_REPEATED)(json_object)
        kept: Callable[[tuple[str, ...]], tuple[str, ...]] = lru_cache(_REPEATED)(tuple)
        for batch in self.batches(_CALL, window):
            columns = [batch.column(name).to_pylist() for name in _CALL]
            for (
                tenant, session, purpose, agent, at, tool, effect, arguments, bound, kind, resource, classes,
                records, tools, constraints, expires, delegator, parent, gateway, decision, wanted, one_in, own,
                tools_own,
            ) in zip(*columns, strict=True):  # fmt: skip
                yield PastCall(
                    tenant, session, purpose_family(purpose or ""), role_of(agent), at, tool, effect == "allow",
                    json_object(arguments), tuple(bound or ()), kind, resource,
                    None if classes is None else frozenset(classes), records, kept(tuple(tools or ())),
                    constraints_of(constraints) or {}, expires, agent, delegator, parent, gateway, decision,
                    wanted or "none", one_in or 1.0, own, None if tools_own is None else kept(tuple(tools_own)),
                )  # fmt: skip

    def labels(self) -> list[Label]:
        """What people said, oldest first, each word once. `seq` alone gives no order: a new control counts from
        1."""
        found = {
            Label(
                SessionKey(row["tenant_id"], row["session_id"]),
                HumanWord.WITHDRAWN if row["word"] == CARRIER.value else HumanWord(row["word"]),
                row["at"],
                row["seq"],
                row["finding_id"] or "",
            )
            for row in read_words(self.root).to_pylist()
        }
        return sorted(found, key=lambda label: (label.at, label.seq, label.key))


def each_once(
    paths: list[Path], columns: list[str], rows: int, seen: Seen, window: Window = Window()
) -> Iterator[pa.RecordBatch]:
    """The files of a partition merged in time, without the decisions that `seen` knows."""
    wanted = list(dict.fromkeys([*columns, *NAMING, *(name for name, _ in IN_FILE)]))
    each = max(_LEAST_ROWS, rows // len(paths))
    runs = [Run(begins, _read(path, wanted, each)) for path, begins in _begin(paths, seen).items()]
    for batch in in_time(runs):
        kept = _within(batch, window)
        kept = kept.filter(seen.fresh(kept))
        if kept.num_rows:
            yield kept.select(columns)


def _begin(paths: list[Path], seen: Seen) -> dict[Path, datetime]:
    """The time of each file's first row. Tells `seen` which decisions will come live, if others were back-filled:
    by time those may come first."""
    begins: dict[Path, datetime] = {}
    origins: dict[Path, set[str]] = {}
    for path in paths:
        for batch in _read(path, ["origin"], _BATCH_ROWS):
            begins.setdefault(path, batch.column("at")[0].as_py())
            origins.setdefault(path, set()).update(pc.unique(batch.column("origin")).to_pylist())
    if not set().union(*origins.values()) <= {LIVE}:
        for path in (path for path, found in origins.items() if LIVE in found):
            for batch in _read(path, list(NAMING), _BATCH_ROWS):
                seen.expect(batch)
    return begins


def _read(path: Path, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    wanted = dict.fromkeys([*columns, "at", "tenant_id"])
    schema = pa.schema([EVENTS.field(name) for name in wanted])
    last: pa.Table | None = None
    count = 0
    with reading(path) as file:
        there = set(file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=rows, columns=[name for name in wanted if name in there]):
            if last is not None:
                yield from last.to_batches()
            last = conform(pa.table(batch), schema)
            count += batch.num_rows
        if count != file.metadata.num_rows:  # the last batch is not out yet: a merge fails before it ends
            raise ValueError(f"{count:,} of {file.metadata.num_rows:,} rows are left")
    if last is not None:  # the file is closed by now: a day that is not merged yet may have a thousand of them
        yield from last.to_batches()


def _within(batch: pa.RecordBatch, window: Window) -> pa.RecordBatch:
    if window.tenant_id is not None:  # a file system may take two tenants' folder names for the same
        batch = batch.filter(pc.equal(batch.column("tenant_id"), window.tenant_id))
    at = batch.column("at")
    if window.since is not None:
        batch = batch.filter(pc.greater_equal(at, pa.scalar(window.since, at.type)))
        at = batch.column("at")
    if window.until is not None:
        batch = batch.filter(pc.less(at, pa.scalar(window.until, at.type)))
    return batch
