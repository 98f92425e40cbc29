"""One session out of an archive of any size.

A search goes through a tenant's days, then row groups by their statistics, then one column that tells the
session's rows, and only then reads the others. Of what agents may write at length, only what is shown is read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.files import Partition, parquet_files, partitions, reading, tenant_folder
from guardian.archive.identity import NAMING, first_of_each
from guardian.archive.rows import conform, json_object
from guardian.archive.schema import EVENTS
from guardian.domain.timeline import Granted, Point, Step
from guardian.errors import ArchiveError

_FURTHEST = 31
"""Days that are searched beyond the asked ones, in either direction, as long as each has something."""

_AT_ONCE = 512
"""Rows that are read at once: arguments may be long."""

_ENVELOPE = tuple(each.name for each in fields(Granted))
_STEP = (*(each.name for each in fields(Step) if each.name != "resource"), "resource_type", "resource_id")
_POINT = Point._fields
_POINTS = pa.schema([EVENTS.field(name) for name in (*_POINT, *NAMING)])
_TIMES = pa.schema([EVENTS.field("at")])
_WHOLE = pa.schema([EVENTS.field(name) for name in dict.fromkeys((*_STEP, *_ENVELOPE, *NAMING))])


@dataclass(frozen=True)
class ArchivedTimeline:
    """`rows` has a row for every action, in order of time; `read` returns all that is known of some of them, in
    any order."""

    first: date
    last: date
    rows: pa.Table
    read: Callable[[pa.Table], list[dict[str, Any]]]

    @cached_property
    def points(self) -> Sequence[Point]:
        columns = (self.rows.column(name).to_pylist() for name in _POINT)
        return [
            Point(at, one_in or 1.0, bool(promised), wanted or "none")
            for at, one_in, promised, wanted in zip(*columns, strict=True)
        ]

    @cached_property
    def granted(self) -> Granted | None:
        """Raises ArchiveError, as `steps` does, for a file that cannot be read."""
        for row in self._whole(self.rows.num_rows - 1, self.rows.num_rows):
            told = {name: row[name] for name in _ENVELOPE}
            tools, constraints = tuple(told["allowed_tools"] or ()), json_object(told["constraints"]) or {}
            return Granted(**{**told, "allowed_tools": tools, "constraints": constraints})
        return None

    def steps(self, start: int, stop: int) -> Sequence[Step]:
        return [_step({name: row[name] for name in _STEP}) for row in self._whole(start, stop)]

    def _whole(self, start: int, stop: int) -> list[dict[str, Any]]:
        wanted = self.rows.slice(max(0, start), max(0, stop - start))
        found = {_name(row): row for row in reversed(self.read(wanted))}
        return [found[name] for name in map(_name, wanted.to_pylist()) if name in found]


@dataclass(frozen=True, slots=True)
class ArchivedTimelines:
    """`root` is the archive's folder."""

    root: Path

    def empty(self) -> bool:
        """Raises ArchiveError for a folder that may not be read."""
        return next(partitions(self.root), None) is None

    def of(self, tenant_id: str, session_id: str, *, since: date, until: date) -> ArchivedTimeline:
        """Raises ArchiveError for a file that cannot be read."""

        holding: dict[date, list[Path]] = {}

        def of_day(day: date) -> pa.Table:
            found = self._day(tenant_id, session_id, day, _POINTS)
            holding[day] = list(dict.fromkeys(path for path, _ in found))
            table = pa.concat_tables([part for _, part in found]) if found else _POINTS.empty_table()
            return (first_of_each(table) if len(found) > 1 else table).sort_by([("at", "ascending")])

        def whole(rows: pa.Table) -> list[dict[str, Any]]:
            days = sorted({at.date() for at in rows.column("at").to_pylist()})
            parts = (self._day(tenant_id, session_id, day, _WHOLE, among=rows, of=holding[day]) for day in days)
            return [row for found in parts for _, table in found for row in table.to_pylist()]

        parts = [of_day(since + timedelta(days=n)) for n in range((until - since).days + 1)]
        first, last = since, until
        for _ in range(_FURTHEST):
            if not parts[0].num_rows:
                break
            first -= timedelta(days=1)
            parts.insert(0, of_day(first))
        for _ in range(_FURTHEST):
            if not parts[-1].num_rows:
                break
            last += timedelta(days=1)
            parts.append(of_day(last))
        return ArchivedTimeline(first, last, pa.concat_tables(parts), whole)

    def _day(
        self, tenant_id: str, session_id: str, day: date, schema: pa.Schema,
        *, among: pa.Table | None = None, of: list[Path] | None = None,
    ) -> list[tuple[Path, pa.Table]]:  # fmt: skip
        """The session's rows of that day, or of the files `of`; with `among`, only those of these decisions."""
        folder = Partition(day, tenant_folder(tenant_id)).folder(self.root)
        files = parquet_files(folder) if of is None else of
        while True:
            try:
                return [
                    (path, part) for path in files for part in _rows_of(path, tenant_id, session_id, schema, among)
                ]
            except FileNotFoundError:  # merged since we listed it: look again
                listed, files = files, parquet_files(folder)
                if files == listed:
                    raise ArchiveError(
                        f"archive: {folder} lists a file that is not there; check its disk or mount"
                    ) from None


def _rows_of(
    path: Path, tenant_id: str, session_id: str, schema: pa.Schema, among: pa.Table | None
) -> Iterator[pa.Table]:
    with reading(path) as file:
        there, count = set(file.schema_arrow.names), 0
        wanted = [name for name in schema.names if name in there]
        telling = ["session_id"] if among is None else ["session_id", "at"]
        for group in range(file.metadata.num_row_groups):
            # not by its statistics: no checksum covers these, and damage beside them ends the process
            told = file.read_row_group(group, columns=telling)
            count += told.num_rows
            if not _may_hold(told, session_id, among):
                continue
            count -= told.num_rows
            for batch in file.iter_batches(_AT_ONCE, row_groups=[group], columns=[*wanted, "session_id"]):
                count += batch.num_rows
                mine = batch.filter(pc.equal(batch.column("session_id"), session_id))
                if among is not None:
                    mine = mine.filter(pc.is_in(mine.column("digest"), among.column("digest").combine_chunks()))
                if mine.num_rows:
                    found = conform(pa.table(mine), schema)
                    yield found.filter(pc.equal(found.column("tenant_id"), tenant_id))  # folders are for pruning
        if count != file.metadata.num_rows:
            raise ValueError(f"{count:,} of {file.metadata.num_rows:,} rows are left")


def _may_hold(told: pa.Table, session_id: str, among: pa.Table | None) -> bool:
    """Whether there are rows of the session, and between the first and the last of `among`."""
    mine = told.filter(pc.equal(told.column("session_id"), session_id))
    if among is None or not mine.num_rows:
        return bool(mine.num_rows)
    held, asked = (pc.min_max(conform(table, _TIMES).column("at")) for table in (mine, among))
    return bool(held["min"].as_py() <= asked["max"].as_py() and asked["min"].as_py() <= held["max"].as_py())


def _name(row: dict[str, Any]) -> tuple[Any, ...]:
    """The identity of a row. The time is part of it: a decision may be archived on two days, and each shows it."""
    return tuple(row[name] for name in ("at", *NAMING))


def _step(row: dict[str, Any]) -> Step:
    kind, name = row.pop("resource_type"), row.pop("resource_id")
    classes, signals = row["data_classes"], row["signals"]
    return Step(
        **row
        | {
            "resource": "/".join(filter(None, (kind, name))) or None,
            "data_classes": None if classes is None else tuple(classes),
            "signals": None if signals is None else dict(signals),
            "breaches": tuple(row["breaches"] or ()),
            "features_missing": tuple(row["features_missing"] or ()),
            "reason": row["reason"] or "",
            "one_in": row["one_in"] or 1.0,
            "promised": bool(row["promised"]),
            "wanted": row["wanted"] or "none",
        }
    )
