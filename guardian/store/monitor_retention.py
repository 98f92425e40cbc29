"""Forgetting: what is older than its time goes, in small transactions."""

import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import Any

from sqlalchemy import Engine, Table, and_, bindparam, delete, exists, func, or_, select, update

from guardian.domain.session import SessionState, Stage
from guardian.store.engine import writing
from guardian.store.monitor_sessions import LEARNT, NOT_ACTED, TO_LEARN
from guardian.store.monitor_tables import (
    agents,
    baselines,
    dead_letters,
    envelopes,
    findings,
    outbox,
    seen,
    sessions,
    task_reads,
)
from guardian.store.turns import Rest, in_turn

_BYTES_AT_ONCE = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept after they were last touched; dead letters carry their own expiry.

    `seen` bounds how late a redelivered decision is still recognised: keep it longer than the topic. `baselines`
    counts from the last session of the purpose that ended: what is done once a year has a past.
    """

    seen: timedelta = timedelta(days=8)
    sessions: timedelta = timedelta(days=30)
    agents: timedelta = timedelta(days=30)
    findings: timedelta = timedelta(days=90)
    delivered: timedelta = timedelta(days=7)
    baselines: timedelta = timedelta(days=400)


def prune(
    engine: Engine, now: datetime, keep: Retention, *, limit: int = 5000, rest: Rest = time.sleep
) -> dict[str, int]:
    """Delete what is old, `limit` rows in one transaction, and return how many went, by table. Parked deliveries
    stay, and the envelopes of sessions that do. A dead letter that nobody sent (its file is read no more)
    ends with its time to live."""
    in_use = exists().where(
        sessions.c.tenant_id == envelopes.c.tenant_id, sessions.c.session_id == envelopes.c.session_id
    )
    delivered = and_(outbox.c.state == "delivered", outbox.c.done_at < now - keep.delivered)
    unsent = and_(
        outbox.c.state == "due",
        outbox.c.kind == "dead_letter",
        outbox.c.next_at < now - keep.delivered,
        ~exists().where(dead_letters.c.id == outbox.c.ref),
    )
    rules: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "seen": (seen, (seen.c.at < now - keep.seen,)),
        "task_reads": (task_reads, (task_reads.c.touched_at < now - keep.sessions,)),
        "agents": (agents, (agents.c.touched_at < now - keep.agents,)),
        "outbox": (outbox, (or_(delivered, unsent),)),
        "findings": (
            findings,
            (
                findings.c.at < now - keep.findings,
                findings.c.id.not_in(select(outbox.c.ref).where(outbox.c.kind == "finding")),
            ),
        ),
        "baselines": (baselines, (baselines.c.published_at < now - keep.baselines,)),
        "envelopes": (envelopes, (envelopes.c.at < now - keep.sessions, ~in_use)),
    }
    gone = {
        "sessions": in_turn(lambda: _forget_sessions(engine, now, now - keep.sessions, limit), limit, rest),
        "dead_letters": in_turn(lambda: _forget_letters(engine, now, limit), 1, rest),
    }
    for name, (table, where) in rules.items():
        gone[name] = in_turn(partial(_forget, engine, table, where, limit), limit, rest)
    return gone


def _forget(engine: Engine, table: Table, old: tuple[Any, ...], limit: int) -> int:
    keys = list(table.primary_key.columns)
    with writing(engine) as connection:
        rows = connection.execute(select(*keys).where(*old).limit(limit)).all()
        if rows:
            this = delete(table).where(*(key == bindparam(f"k_{key.name}") for key in keys))
            named = [{f"k_{key.name}": value for key, value in zip(keys, row, strict=True)} for row in rows]
            connection.execute(this, named)
    return len(rows)


def _forget_letters(engine: Engine, now: datetime, limit: int) -> int:
    """Some, and never many bytes: SQLite frees a large one page by page, and nobody else writes meanwhile."""
    old = select(dead_letters.c.id, func.length(dead_letters.c.sealed)).where(dead_letters.c.expires_at < now)
    with writing(engine) as connection:
        rows = connection.execute(old.order_by(dead_letters.c.expires_at).limit(limit)).all()
        before = accumulate((size for _, size in rows), initial=0)
        going = [{"k_id": row[0]} for row, size in zip(rows, before, strict=False) if size < _BYTES_AT_ONCE]
        if going:
            connection.execute(delete(dead_letters).where(dead_letters.c.id == bindparam("k_id")), going)
    return len(going)


def _forget_sessions(engine: Engine, now: datetime, before: datetime, limit: int) -> int:
    """Of a session that people made start afresh the number of its epoch stays, for control counts on: it refuses
    findings of an earlier one."""
    query = select(sessions.c.tenant_id, sessions.c.session_id, sessions.c.state)
    by_index = sessions.c.learned.in_((TO_LEARN, LEARNT, NOT_ACTED)), sessions.c.touched_at < before
    old = query.where(*by_index).limit(limit)
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
