"""Purpose baselines: finished sessions become immutable, versioned snapshots per (tenant, purpose)."""

import dataclasses
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, select, update

from guardian.domain.batch import PurposeKey
from guardian.domain.envelope import purpose_family
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord, SessionState, Stage
from guardian.domain.signal import BaselineFact
from guardian.errors import StoreError
from guardian.store.columns import storable
from guardian.store.engine import reading, writing
from guardian.store.inserts import Row
from guardian.store.monitor.departures import Ended, Watch, watch_ended
from guardian.store.monitor.keys import among, asked
from guardian.store.monitor.sessions import LEARNT, TO_LEARN, read_state, some
from guardian.store.monitor.tables import baselines, sessions
from guardian.store.monitor.values import Tally
from guardian.store.turns import Rest, in_turn

Learn = Callable[[BaselineFact | None, Sequence[Tally]], BaselineFact]
"""Pure: the next snapshot from the last one and what finished sessions add. Its version is set here."""

SIGNAL = "purpose_baseline"
_FLAGGED_WEIGHT = 0.1  # a flagged session may be honest, but it must not teach its own habits quickly

_PURPOSE = baselines.c.tenant_id, baselines.c.purpose_digest
_LAST = (
    select(*_PURPOSE, func.max(baselines.c.n).label("n")).where(among(*_PURPOSE)).group_by(*_PURPOSE).subquery()
)
_NEWEST = select(*_PURPOSE, baselines.c.n, baselines.c.body).join(
    _LAST, and_(*(baselines.c[name] == _LAST.c[name] for name in ("tenant_id", "purpose_digest", "n")))
)
_NONE: tuple[int, BaselineFact | None] = (0, None)  # number and content of the last snapshot where there is none

_FIELDS = {each.name: each for each in dataclasses.fields(BaselineFact)}
_NEEDED = {name for name, each in _FIELDS.items() if each.default is each.default_factory is dataclasses.MISSING}

_ROUNDS = (
    240  # of `limit` sessions: of a log in which nearly every call is a session of its own, too, none pile up
)

SNAPSHOTS_KEPT = 8
"""Of each (tenant, purpose). The newest one counts; those before it are there to look up what findings name."""


def load_baselines(connection: Connection, wanted: Iterable[PurposeKey]) -> dict[PurposeKey, BaselineFact]:
    """The newest snapshot of each (tenant, purpose) that has one. Raises StoreError where another version of
    guardian wrote one: no record is at fault."""
    return {key: fact for key, (_, fact) in _newest(connection, wanted).items()}


class Baselines:
    """Publishes snapshots. A session teaches once, when it was idle long enough to be finished."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def publish(
        self,
        now: datetime,
        *,
        idle: timedelta,
        learn: Learn,
        watch: Watch | None = None,
        limit: int = 500,  # more would hold up whoever judges, fewer are hardly worth a snapshot
        rest: Rest = time.sleep,
    ) -> dict[str, int]:
        """Fold the finished sessions, at most `limit` of them in one transaction; `watch` is shown them too, once
        each.

        Returns {"sessions": learned, "snapshots": published}. Sessions that are flagged or revoked count
        a tenth, unless people called that a false positive; one that people confirmed always does, and one of
        which they took a verdict back, for what it was about accuses it again.
        """
        snapshots = 0

        def lot() -> int:
            nonlocal snapshots
            learned, published = self._publish(now, idle, learn, watch, limit)
            snapshots += published
            return learned

        return {"sessions": in_turn(lot, 1, rest, rounds=_ROUNDS), "snapshots": snapshots}

    def _publish(
        self, now: datetime, idle: timedelta, learn: Learn, watch: Watch | None, limit: int
    ) -> tuple[int, int]:
        with writing(self._engine) as connection:
            ended = _finished(connection, now - idle, limit)
            tallies = _tallies(ended)
            known = _newest(connection, tallies)
            published = []
            for key, found in sorted(tallies.items()):
                n, last = known.get(key, _NONE)
                published.append(_snapshot(key, n + 1, learn(last, found), now))
            if watch is not None:
                watch_ended(connection, watch, ended, now)
            _put(connection, published)
            _mark_learnt(connection, ended)
        return len(ended), len(published)

    def newest(self, limit: int = 10_000) -> dict[PurposeKey, BaselineFact]:
        """The newest snapshot of every (tenant, purpose family), up to `limit` of them, in order."""
        with reading(self._engine) as connection:
            query = select(baselines.c.tenant_id, baselines.c.purpose).distinct()
            known = connection.execute(
                query.order_by(baselines.c.tenant_id, baselines.c.purpose).limit(limit)
            ).all()
            return load_baselines(connection, [PurposeKey(*row) for row in known])

    def install(self, facts: Mapping[PurposeKey, BaselineFact], now: datetime) -> int:
        """Publish snapshots that were learnt elsewhere, from an older log, as the newest; returns how many."""
        with writing(self._engine) as connection:
            known = _newest(connection, facts)
            rows = [_snapshot(key, known.get(key, _NONE)[0] + 1, fact, now) for key, fact in sorted(facts.items())]
            _put(connection, rows)
        return len(rows)


def _finished(connection: Connection, before: datetime, limit: int) -> list[Ended]:
    """Sessions that nothing was learnt from yet and that have been idle since then, locked; the oldest first."""
    named = sessions.c.tenant_id, sessions.c.session_id
    order = sessions.c.touched_at, *named
    ended = sessions.c.learned == TO_LEARN, sessions.c.touched_at <= before
    keys = some(connection, select(*named).where(*ended).order_by(*order).limit(limit))
    if not keys:
        return []
    query = select(*named, sessions.c.state, sessions.c.word).where(among(*named), *ended).order_by(*order)
    rows = connection.execute(query.with_for_update(), asked(keys)).all()
    keyed = ((SessionKey(tenant, session), state, word) for tenant, session, state, word in rows)
    return [Ended(key, read_state(key, state), word) for key, state, word in keyed]


def _tallies(ended: Iterable[Ended]) -> dict[PurposeKey, list[Tally]]:
    """What the sessions have counted, by purpose."""
    found: dict[PurposeKey, list[Tally]] = defaultdict(list)
    for key, state, word in ((each.key, each.state, each.word) for each in ended):
        counts = state.signals.get(SIGNAL)
        if counts and state.envelope is not None:
            purpose = PurposeKey(key.tenant_id, purpose_family(state.envelope.purpose))
            found[purpose].append(Tally(counts, _weight(state, word)))
    return found


def _mark_learnt(connection: Connection, ended: Iterable[Ended]) -> None:
    keys = [{"k_tenant": each.key.tenant_id, "k_session": each.key.session_id} for each in ended]
    if keys:
        this = sessions.c.tenant_id == bindparam("k_tenant"), sessions.c.session_id == bindparam("k_session")
        connection.execute(update(sessions).where(*this).values(learned=LEARNT), keys)


def _put(connection: Connection, published: Sequence[Row]) -> None:
    """Insert the snapshots; the oldest of their purposes go."""
    if not published:
        return
    connection.execute(insert(baselines), list(published))
    old = delete(baselines).where(
        baselines.c.tenant_id == bindparam("k_tenant"),
        baselines.c.purpose_digest == bindparam("k_purpose"),
        baselines.c.n <= bindparam("k_n"),
    )
    gone = [
        {"k_tenant": row["tenant_id"], "k_purpose": row["purpose_digest"], "k_n": row["n"] - SNAPSHOTS_KEPT}
        for row in published
    ]
    connection.execute(old, gone)


def _snapshot(key: PurposeKey, n: int, fact: BaselineFact, now: datetime) -> Row:
    """The row of a purpose's `n`-th snapshot, whose version says so."""
    content = json.dumps(dataclasses.asdict(dataclasses.replace(fact, version="")), sort_keys=True)
    version = f"{n}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    body = json.dumps(dataclasses.asdict(dataclasses.replace(fact, version=version)), sort_keys=True)
    return {
        "tenant_id": key[0],
        "purpose_digest": _digest(key[1]),
        "n": n,
        "purpose": storable(key[1]),
        "version": version,
        "body": body,
        "published_at": now,
    }


def _newest(connection: Connection, wanted: Iterable[PurposeKey]) -> dict[PurposeKey, tuple[int, BaselineFact]]:
    """Number and content of the newest snapshot of each (tenant, purpose) that has one."""
    keys = {(key.tenant_id, _digest(key.purpose)): key for key in wanted}
    rows = connection.execute(_NEWEST, asked(keys)) if keys else ()
    return {keys[tenant, digest]: (n, _fact(tenant, json.loads(body))) for tenant, digest, n, body in rows}


def _fact(tenant: str, body: dict[str, Any]) -> BaselineFact:
    """Raises StoreError where another version of guardian wrote it."""
    if differing := sorted((body.keys() - _FIELDS.keys()) | (_NEEDED - body.keys())):
        raise StoreError(
            f"store: baseline {body.get('version')!r} of {tenant!r} was written by another version of guardian, "
            f"which knows other fields ({', '.join(differing)}); run that version or a newer one"
        )
    return BaselineFact(**(body | {"record_sizes": tuple(body["record_sizes"]), "hours": tuple(body["hours"])}))


def _weight(state: SessionState, word: str | None) -> float:
    if word in (HumanWord.CONFIRMED.value, HumanWord.WITHDRAWN.value):
        return _FLAGGED_WEIGHT
    if word == HumanWord.FALSE_POSITIVE.value:
        return 1.0
    return 1.0 if state.stage is Stage.CLEAR and state.revoked_at is None else _FLAGGED_WEIGHT


def _digest(purpose: str) -> str:
    return hashlib.sha256(purpose.encode("utf-8", "surrogatepass")).hexdigest()
