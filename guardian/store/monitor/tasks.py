"""What each session of a task has read: a row per session, so that partitions never overwrite each other."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Connection, bindparam, text

from guardian.domain.batch import SiblingKey, TaskKey
from guardian.domain.signal import SharedReads
from guardian.store.columns import in_key
from guardian.store.inserts import upsert
from guardian.store.monitor.keys import asked
from guardian.store.monitor.tables import task_reads

SIBLINGS_LOADED = 33
"""Of a task with more sessions than this only the most sensitive ones are looked at: one's own and 32 others."""

_KEYS = bindparam("keys", type_=JSON)
# One look into the index for each task, in one statement: a task may have very many sessions, a batch many tasks.
_POSTGRESQL = text(
    """SELECT wanted.key, best.session_id, best.body
    FROM json_each(:keys) AS wanted CROSS JOIN LATERAL (
        SELECT session_id, body, weight FROM task_reads
        WHERE tenant_id = wanted.value ->> 0 AND task_id = wanted.value ->> 1
        ORDER BY weight DESC, session_id DESC LIMIT :most
    ) AS best
    ORDER BY best.weight DESC, best.session_id DESC"""
).bindparams(_KEYS)
# SQLite knows no LATERAL. The left side of a CROSS JOIN comes first; of a JOIN it might be the whole tenant.
_SQLITE = text(
    """SELECT wanted.key, mine.session_id, mine.body
    FROM (
        SELECT key, json_extract(value, '$[0]') AS tenant, json_extract(value, '$[1]') AS task
        FROM json_each(:keys)
    ) AS wanted CROSS JOIN task_reads AS mine
    WHERE mine.tenant_id = wanted.tenant AND mine.task_id = wanted.task AND mine.session_id IN (
        SELECT session_id FROM task_reads WHERE tenant_id = wanted.tenant AND task_id = wanted.task
        ORDER BY weight DESC, session_id DESC LIMIT :most
    )
    ORDER BY mine.weight DESC, mine.session_id DESC"""
).bindparams(_KEYS)


def load_task_reads(connection: Connection, wanted: Iterable[TaskKey]) -> dict[TaskKey, dict[str, SharedReads]]:
    """By (tenant, task), then by session id; absent where no session of the task has read anything."""
    found: dict[TaskKey, dict[str, SharedReads]] = defaultdict(dict)
    tasks = list(wanted)
    query = _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE
    keys = asked((task.tenant_id, in_key(task.task_id)) for task in tasks)
    for i, session, body in connection.execute(query, keys | {"most": SIBLINGS_LOADED}) if tasks else ():
        found[tasks[int(i)]][session] = _reads(json.loads(body))
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
