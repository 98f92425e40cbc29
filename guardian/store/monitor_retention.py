"""Forgetting: what is older than its time goes, in small transactions."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, and_, delete, exists, select, update

from guardian.domain.session import SessionState, Stage
from guardian.store.engine import writing
from guardian.store.monitor_sessions import NOT_ACTED
from guardian.store.monitor_tables import (
    agents,
    dead_letters,
    envelopes,
    findings,
    outbox,
    seen,
    sessions,
    task_reads,
)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept after they were last touched; dead letters carry their own expiry.

    `seen` bounds how late a redelivered decision is still recognised: keep it longer than the topic.
    """

    seen: timedelta = timedelta(days=8)
    sessions: timedelta = timedelta(days=30)
    agents: timedelta = timedelta(days=30)
    findings: timedelta = timedelta(days=90)
    delivered: timedelta = timedelta(days=7)


def prune(engine: Engine, now: datetime, keep: Retention, *, limit: int = 5000) -> dict[str, int]:
    """Delete up to `limit` rows per table and return how many went, by table. Parked deliveries stay, and the
    envelopes of sessions that do."""
    in_use = exists().where(
        sessions.c.tenant_id == envelopes.c.tenant_id, sessions.c.session_id == envelopes.c.session_id
    )
    rules: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "seen": (seen, (seen.c.at < now - keep.seen,)),
        "task_reads": (task_reads, (task_reads.c.touched_at < now - keep.sessions,)),
        "agents": (agents, (agents.c.touched_at < now - keep.agents,)),
        "outbox": (outbox, (outbox.c.state == "delivered", outbox.c.done_at < now - keep.delivered)),
        "findings": (
            findings,
            (
                findings.c.at < now - keep.findings,
                findings.c.id.not_in(select(outbox.c.ref).where(outbox.c.kind == "finding")),
            ),
        ),
        "envelopes": (envelopes, (envelopes.c.at < now - keep.sessions, ~in_use)),
        "dead_letters": (dead_letters, (dead_letters.c.expires_at < now,)),
    }
    gone = {"sessions": _forget_sessions(engine, now, now - keep.sessions, limit)}
    for name, (table, where) in rules.items():
        keys = list(table.primary_key.columns)
        with writing(engine) as connection:
            rows = connection.execute(select(*keys).where(*where).limit(limit)).all()
            for row in rows:
                connection.execute(
                    delete(table).where(*(key == value for key, value in zip(keys, row, strict=True)))
                )
        gone[name] = len(rows)
    return gone


def _forget_sessions(engine: Engine, now: datetime, before: datetime, limit: int) -> int:
    """Of a session that people made start afresh the number of its epoch stays, for control counts on: it refuses
    findings of an earlier one."""
    query = select(sessions.c.tenant_id, sessions.c.session_id, sessions.c.state)
    old = query.where(sessions.c.touched_at < before).limit(limit)
    with writing(engine) as connection:
        rows = connection.execute(old.with_for_update()).all()
        for tenant, session, state in rows:
            here = and_(sessions.c.tenant_id == tenant, sessions.c.session_id == session)
            epoch = json.loads(state).get("epoch", 0)
            if not epoch:
                connection.execute(delete(sessions).where(here))
                continue
            bare = (
                update(sessions)
                .where(here)
                .values(
                    version=sessions.c.version + 1,
                    state=SessionState(epoch=epoch).model_dump_json(),
                    stage=Stage.CLEAR.value,
                    word=None,
                    learned=NOT_ACTED,
                    touched_at=now,
                )
            )
            connection.execute(bare)
    return len(rows)
