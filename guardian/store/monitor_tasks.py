"""What each session of a task has read: a row per session, so that partitions never overwrite each other."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from guardian.domain.batch import SiblingKey, TaskKey
from guardian.domain.signal import SharedReads
from guardian.store.inserts import upsert
from guardian.store.monitor_keys import in_key, lots
from guardian.store.monitor_tables import task_reads

SIBLINGS_LOADED = 33
"""Of a task with more sessions than this only the most sensitive ones are looked at: one's own and 32 others."""

_RANKED = (
    select(
        task_reads.c.task_id,
        task_reads.c.session_id,
        task_reads.c.body,
        func.row_number()
        .over(partition_by=task_reads.c.task_id, order_by=(task_reads.c.weight.desc(), task_reads.c.session_id))
        .label("place"),
    )
    .where(
        task_reads.c.tenant_id == bindparam("tenant"),
        task_reads.c.task_id.in_(bindparam("ids", expanding=True)),
    )
    .subquery()
)
_READS = select(_RANKED.c.task_id, _RANKED.c.session_id, _RANKED.c.body).where(_RANKED.c.place <= SIBLINGS_LOADED)


def load_task_reads(connection: Connection, wanted: Iterable[TaskKey]) -> dict[TaskKey, dict[str, SharedReads]]:
    """By (tenant, task), then by session id; absent where no session of the task has read anything."""
    found: dict[TaskKey, dict[str, SharedReads]] = defaultdict(dict)
    for (tenant,), tasks in lots(wanted, in_key):
        for task, session, body in connection.execute(_READS, {"tenant": tenant, "ids": list(tasks)}):
            found[tasks[task]][session] = _reads(json.loads(body))
    return dict(found)


def save_task_reads(connection: Connection, reads: Mapping[SiblingKey, SharedReads], now: datetime) -> None:
    """Each session's latest, by (tenant, task, session)."""
    rows = [
        {"tenant_id": key[0], "task_id": in_key(key[1]), "session_id": key[2], "weight": told.weight}
        | {"body": json.dumps(asdict(told), separators=(",", ":")), "touched_at": now}
        for key, told in reads.items()
    ]
    upsert(connection, task_reads, rows)


def _reads(body: dict[str, Any]) -> SharedReads:
    kinds = {kind: (str(read[0]), bool(read[1])) for kind, read in body["kinds"].items()}
    return SharedReads(kinds, int(body["reads"]), tuple(body["prints"]), float(body["weight"]))
