"""Forgetting: what is older than its time goes, in small transactions."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from guardian.domain.session import SessionState, Stage
from guardian.errors import StoreError
from guardian.store.engine import reading, writing
from guardian.store.inserts import Row
from guardian.store.monitor.keys import among, asked
from guardian.store.monitor.outbox import RANKS
from guardian.store.monitor.sessions import BARE, LEARNT, NOT_ACTED, TO_LEARN, some
from guardian.store.monitor.tables import (
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
    """Delete what is old, at most `limit` rows in one transaction. Returns how many rows went, by table. Where one
    table's cannot go, those of the others do; then the first error is raised.

    Parked deliveries stay. An envelope stays until its session is forgotten. The delivery of a dead letter that
    was never sent (because nobody reads its file any more) goes after the letter itself.
    """
    has_session = exists().where(
        *(sessions.c.tenant_id == envelopes.c.tenant_id, sessions.c.session_id == envelopes.c.session_id),
        sessions.c.learned != BARE,
    )
    is_queued = exists().where(outbox.c.kind == "finding", outbox.c.ref == findings.c.id)
    has_letter = exists().where(dead_letters.c.id == outbox.c.ref)
    # `done_at` has no index. What was delivered by then was handed out before: the index is by that time.
    handed_out = and_(outbox.c.rank.in_(RANKS), outbox.c.lane == "", outbox.c.next_at < now - keep.delivered)
    done = outbox.c.kind.in_(("finding", "dead_letter")), handed_out, outbox.c.done_at < now - keep.delivered
    delivered = and_(outbox.c.state == "delivered", *done)
    unsent = and_(outbox.c.state == "due", outbox.c.kind == "dead_letter", handed_out, ~has_letter)
    rules: dict[Table, ColumnElement[bool]] = {
        seen: seen.c.at < now - keep.seen,
        task_reads: task_reads.c.touched_at < now - keep.sessions,
        agents: agents.c.touched_at < now - keep.agents,
        outbox: or_(delivered, unsent),
        findings: and_(findings.c.at < now - keep.findings, ~is_queued),
        baselines: baselines.c.published_at < now - keep.baselines,
        envelopes: and_(envelopes.c.at < now - keep.sessions, ~has_session),
    }
    lots: dict[Table, tuple[Callable[[], int], int]] = {
        sessions: (lambda: _forget_sessions(engine, now - keep.sessions, now, limit), 1),
        dead_letters: (lambda: _forget_letters(engine, now, limit), 1),
    }
    lots |= {table: (partial(_forget, engine, table, old, limit), limit) for table, old in rules.items()}
    gone: dict[str, int] = {}
    failed: list[StoreError] = []
    for table, (lot, most) in lots.items():
        try:
            gone[table.name] = in_turn(lot, most, rest)
        except StoreError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return gone


def _forget(engine: Engine, table: Table, old: ColumnElement[bool], limit: int) -> int:
    key = table.primary_key.columns
    going = select(*key).where(old).limit(limit)
    with writing(engine) as connection:
        return connection.execute(delete(table).where(tuple_(*key).in_(going))).rowcount


def _forget_letters(engine: Engine, now: datetime, limit: int) -> int:
    """Some, and never many bytes: SQLite frees a large one page by page, and nobody else writes meanwhile. Those
    whose value another one keeps go before it."""
    old = select(dead_letters.c.id, func.length(dead_letters.c.sealed)).where(dead_letters.c.expires_at < now)
    with writing(engine) as connection:
        rows = connection.execute(
            old.order_by(dead_letters.c.expires_at, func.length(dead_letters.c.sealed) > 0).limit(limit)
        ).all()
        before = accumulate((size for _, size in rows), initial=0)
        going = [{"k_id": row[0]} for row, size in zip(rows, before, strict=False) if size < _BYTES_AT_ONCE]
        if going:
            connection.execute(delete(dead_letters).where(dead_letters.c.id == bindparam("k_id")), going)
    return len(going)


def _forget_sessions(engine: Engine, before: datetime, now: datetime, limit: int) -> int:
    """Some, and never many bytes of their states. Where control still knows something of a session that it will
    not say again, a bare row stays (`_bare`). What is damaged stays, for nobody knows whether it was revoked; once
    nothing else is left that is old, this raises StoreError."""
    named = sessions.c.tenant_id, sessions.c.session_id
    by_index = sessions.c.learned.in_((TO_LEARN, LEARNT, NOT_ACTED, BARE)), sessions.c.touched_at < before
    with reading(engine) as connection:
        keys = some(connection, select(*named).where(*by_index).limit(limit))
    if not keys:
        return 0
    old = select(*named, sessions.c.state).where(among(*named), sessions.c.touched_at < before)
    this = sessions.c.tenant_id == bindparam("k_tenant"), sessions.c.session_id == bindparam("k_session")
    going: list[Row] = []
    staying: list[Row] = []
    damaged: StoreError | None = None
    with writing(engine) as connection:
        rows = connection.execute(old.with_for_update(), asked(keys)).all()
        for tenant, session, state in rows:
            key = {"k_tenant": tenant, "k_session": session}
            try:
                kept = _bare(json.loads(state))
            except ValueError as error:
                damaged = StoreError(f"store: what is kept of session {session!r} of {tenant!r} is damaged")
                damaged.__cause__ = error
                continue
            if kept is None:
                going.append(key)
            else:
                staying.append(key | {"v_state": kept.model_dump_json(), "v_stage": kept.stage.value})
        if going:
            connection.execute(delete(sessions).where(*this), going)
        if staying:
            bare = update(sessions).where(*this)
            values: Row = {"stage": bindparam("v_stage"), "word": None, "learned": BARE, "touched_at": now}
            version = sessions.c.version + 1
            connection.execute(bare.values(version=version, state=bindparam("v_state"), **values), staying)
    done = len(going) + len(staying)
    if damaged is not None and not done:
        raise damaged
    return done


def _bare(state: dict[str, Any]) -> SessionState | None:
    """What outlasts forgetting a session; None where nothing does.

    The number of its epoch, if people made it start afresh: control refuses findings of an earlier one. That it is
    revoked, until control says that this is over, as it does of every revocation in the end; it is then clear,
    since its evidence is forgotten. And beside either, which envelopes were registered.
    """
    epoch, revoked_at = state.get("epoch", 0), state.get("revoked_at")
    if not epoch and revoked_at is None:
        return None
    kept = {"epoch": epoch, "registered": state.get("registered", ())}
    if revoked_at is not None:
        kept |= {"revoked_at": revoked_at, "stage": Stage.REVOKED, "stood": Stage.CLEAR}
    return SessionState.model_validate(kept)
