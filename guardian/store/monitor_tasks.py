"""What each session of a task has read: a row per session, so that partitions never overwrite each other."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from guardian.domain.batch import SiblingKey, TaskKey
from guardian.domain.signal import SharedReads
from guardian.store.inserts import upsert
from guardian.store.monitor_keys import in_key, lots
from guardian.store.monitor_tables import task_reads

SIBLINGS_LOADED = 33
"""Of a task with more sessions than this only the most sensitive ones are looked at: one's own and 32 others."""

# One look into the index for each task, in one statement: a task may have very many sessions, a batch many tasks.
_POSTGRESQL = text(
    """SELECT wanted.value, best.session_id, best.body
    FROM unnest(CAST(:ids AS varchar[])) AS wanted (value) CROSS JOIN LATERAL (
        SELECT session_id, body, weight FROM task_reads WHERE tenant_id = :tenant AND task_id = wanted.value
        ORDER BY weight DESC, session_id DESC LIMIT :most
    ) AS best
    ORDER BY best.weight DESC, best.session_id DESC"""
)
# SQLite knows no LATERAL. The left side of a CROSS JOIN comes first; of a JOIN it might be the whole tenant.
_SQLITE = text(
    """SELECT wanted.value, mine.session_id, mine.body
    FROM json_each(:ids) AS wanted CROSS JOIN task_reads AS mine
    WHERE mine.tenant_id = :tenant AND mine.task_id = wanted.value AND mine.session_id IN (
        SELECT session_id FROM task_reads WHERE tenant_id = :tenant AND task_id = wanted.value
        ORDER BY weight DESC, session_id DESC LIMIT :most
    )
    ORDER BY mine.weight DESC, mine.session_id DESC"""
)


def load_task_reads(connection: Connection, wanted: Iterable[TaskKey]) -> dict[TaskKey, dict[str, SharedReads]]:
    """By (tenant, task), then by session id; absent where no session of the task has read anything."""
    found: dict[TaskKey, dict[str, SharedReads]] = defaultdict(dict)
    on_server = connection.dialect.name == "postgresql"
    for (tenant,), tasks in lots(wanted, in_key):
        ids = list(tasks) if on_server else json.dumps(list(tasks), ensure_ascii=False)
        asked = {"tenant": tenant, "ids": ids, "most": SIBLINGS_LOADED}
        for task, session, body in connection.execute(_POSTGRESQL if on_server else _SQLITE, asked):
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
