"""The synthetic estate as an archive on the disk, and one day of it repeated to any number of decisions."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from guardian.archive.files import Partition, write_whole
from guardian.archive.rows import conform
from guardian.archive.schema import EVENTS
from guardian.bench.estate import BEGIN, TENANT, Estate
from guardian.domain.past import PastCall

_EMPTY: dict[str, Any] = dict.fromkeys(EVENTS.names)


def row_of(call: PastCall) -> dict[str, Any]:
    """One archived row; what the estate does not know is null."""
    return _EMPTY | {
        "tenant_id": call.tenant_id,
        "gateway": call.gateway,
        "decision_id": call.decision_id,
        "digest": hashlib.sha256(call.decision_id.encode()).hexdigest(),
        "at": call.at,
        "event_time": call.at,
        "origin": "live",
        "session_id": call.session_id,
        "parent_session_id": call.parent_session_id,
        "delegator_id": call.delegator_id,
        "agent_id": call.agent_id,
        "purpose": call.purpose,
        "purpose_family": call.purpose,
        "allowed_tools": list(call.allowed_tools),
        "constraints": json.dumps(call.constraints),
        "expires_at": call.expires_at,
        "tool": call.tool,
        "arguments": json.dumps(call.arguments),
        "bound": list(call.bound),
        "resource_type": call.resource_type,
        "data_classes": sorted(call.data_classes or ()),
        "records": call.records,
        "effect": "allow" if call.allowed else "deny",
        "wanted": call.wanted,
        "one_in": call.one_in,
    }


def multiply(
    root: Path, day: Iterable[PastCall], *, events: int, days: int, progress: Callable[[int, int], None]
) -> int:
    """About `events` decisions over `days`: the same day with other sessions, ids and dates. Returns how many."""
    rows = [row_of(call) for call in day]
    base = conform(pa.Table.from_pylist(rows, schema=EVENTS), EVENTS)
    copies = max(1, round(events / days / max(1, base.num_rows)))
    written = 0
    for number in range(days):
        parts = [_copy(base, f"{number}.{copy}", timedelta(days=number)) for copy in range(copies)]
        table = pa.concat_tables(parts).sort_by([("at", "ascending")])
        at = (BEGIN + timedelta(days=number)).date()
        write_whole(Partition.of(at, TENANT).folder(root) / f"copy-{number}.parquet", table)
        written += table.num_rows
        progress(number + 1, days)
    return written


def _copy(base: pa.Table, mark: str, later: timedelta) -> pa.Table:
    """The day again: every name with a mark, every time moved on."""
    changed: dict[str, Any] = {}
    for name in ("session_id", "parent_session_id", "decision_id", "digest"):
        changed[name] = pc.binary_join_element_wise(base.column(name), mark, "/")
    for name in ("at", "event_time", "expires_at"):
        changed[name] = pc.add(base.column(name), pa.scalar(later, pa.duration("us")))
    columns = [changed.get(name, base.column(name)) for name in base.column_names]
    return pa.table(columns, schema=base.schema)


def first_day(estate: Estate) -> Iterator[PastCall]:
    """A working day of the estate, all of it on one date."""
    for call in estate.calls(BEGIN, BEGIN + timedelta(days=1)):
        if call.at.date() == BEGIN.date():
            yield call
