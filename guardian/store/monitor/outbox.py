"""The outbox: what must leave the process, at least once, each with an idempotency key."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, zip_longest
from typing import Any, Literal, NamedTuple, get_args

from pydantic import ValidationError
from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from guardian.domain.finding import Effect, Finding, Kind
from guardian.store.engine import reading, writing
from guardian.store.inserts import insert_new
from guardian.store.lanes import in_turn, lanes
from guardian.store.monitor.dead_letters import dead_letters_by_id, letter_of, sealed_sizes
from guardian.store.monitor.keys import chunks
from guardian.store.monitor.tables import findings, outbox
from guardian.store.monitor.values import OutboxItem, StoredDeadLetter

_Kind = Literal["finding", "dead_letter"]
_KINDS: tuple[_Kind, ...] = get_args(_Kind)
_Queue = tuple[_Kind, int]
"""A kind and a rank."""
_MAX_NOTE = 500
_BYTES_AT_ONCE = 8 * 1024 * 1024
_REFUSED = and_(outbox.c.state == "parked", outbox.c.kind == "finding")
_WAITS = outbox.c.state == "due", outbox.c.kind == bindparam("kind")
_ANY = select(outbox.c.rank).where(*_WAITS).order_by(outbox.c.rank).limit(1)
"""In the order of the index, or PostgreSQL reads the whole table for one that it expects and that is not there."""
RANKS = 0, 1


def enqueue(connection: Connection, kind: _Kind, refs: Mapping[str, str], now: datetime) -> None:
    """Queue what is not queued yet, each in its lane: the same finding again adds nothing."""
    due = {"kind": kind, "state": "due", "attempts": 0, "next_at": now, "note": ""}
    insert_new(connection, outbox, [{**due, "ref": ref, "lane": lane} for ref, lane in refs.items()])


def known_findings(connection: Connection, ids: Iterable[str]) -> frozenset[str]:
    """Those of the ids under which a finding is stored."""
    found: set[str] = set()
    for part in chunks(ids):
        found.update(connection.execute(select(findings.c.id).where(findings.c.id.in_(part))).scalars())
    return frozenset(found)


def insert_findings(connection: Connection, found: Sequence[Finding], now: datetime) -> None:
    """A finding that is there already stays as it was. One that asks for revocation, or is critical, overtakes
    what waits of other sessions."""
    insert_new(
        connection,
        findings,
        [
            {"id": finding.id, "tenant_id": finding.tenant_id, "session_id": finding.session_id}
            | {"kind": finding.kind.value, "body": finding.model_dump_json(), "at": now}
            for finding in found
        ],
    )
    enqueue(connection, "finding", {finding.id: finding.tenant_id for finding in found}, now)
    urgent = (each for each in found if each.wanted is Effect.REVOKE or each.severity == "critical")
    _overtake(connection, {(each.tenant_id, each.session_id) for each in urgent})


def _overtake(connection: Connection, sessions: Iterable[tuple[str, str]]) -> None:
    """What waits of these sessions goes first, in its own order. Nothing waits for an earlier one that does not
    arrive: control goes by the steps that a session took. Only of decision ids that came twice there may be any
    number."""
    for part in chunks(sessions):
        theirs = tuple_(findings.c.tenant_id, findings.c.session_id).in_(part)
        told = exists().where(findings.c.id == outbox.c.ref, findings.c.kind != Kind.IDENTITY.value, theirs)
        lanes = outbox.c.lane.in_({tenant_id for tenant_id, _ in part})  # along the index, past other tenants'
        change = update(outbox).where(*_due("finding", None), outbox.c.rank == 1, lanes, told)
        connection.execute(change.values(rank=0))


class Parked(NamedTuple):
    """A finding that control refused, or that cannot be read: when and why."""

    id: str
    at: datetime
    why: str


class Outbox:
    """Rows are leased while they are being sent, so that two members rarely send the same one twice."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last: dict[_Queue, str] = {}  # the lane that had the last turn

    def due(
        self,
        now: datetime,
        limit: int,
        *,
        kind: _Kind | None = None,
        topics: Collection[str] | None = None,
        lease: timedelta = timedelta(seconds=10),
        longest: timedelta = timedelta(days=1),
    ) -> list[OutboxItem]:
        """Up to `limit` things to send: findings first, of these the urgent ones, and no more than memory takes.
        One place in ten is none of the urgent ones': else the others might wait for ever. Tenants take turns,
        however much waits of any of them; of each, what was due first goes first.

        Only of this `kind`, and dead letters only of these `topics`, if named. Each is leased, and comes back
        after the `lease` unless somebody says how it ended. Nobody puts anything off for more than `longest`: what
        is due later than that has its time from a clock that was ahead, and is due now.
        """
        asked = _KINDS if kind is None else (kind,)
        times = outbox.c.next_at <= now, outbox.c.next_at > now + max(longest, lease)
        waiting: list[tuple[_Queue, list[Any], list[str]]] = []
        with reading(self._engine) as connection:  # most looks find nothing: they should not take a lock
            kinds = [each for each in asked if connection.execute(_ANY, {"kind": each}).first()]
            for queue in ((each, rank) for rank in RANKS for each in kinds):
                where = [*_due(queue[0], topics), outbox.c.rank == queue[1]]
                found = lanes(connection, outbox.c.lane, where, times)
                for when, waits in zip(times, found, strict=True):
                    if waits:
                        waiting.append((queue, [*where, when], waits))
        if not waiting:
            return []
        with writing(self._engine) as connection:
            rows: Sequence[RowMapping] = []
            for queue, where, waits in waiting:
                most = limit if queue[1] else limit - limit // 10
                rows = [*rows, *self._by_turns(connection, queue, where, waits, most - len(rows))]
            rows = _as_memory_takes(connection, rows)
            ids = [row["id"] for row in rows]
            for part in chunks(ids):
                connection.execute(update(outbox).where(outbox.c.id.in_(part)).values(next_at=now + lease))
            bodies = _bodies(connection, _refs(rows, "finding"))
            letters = dead_letters_by_id(connection, _refs(rows, "dead_letter"))
        return [_item(row, bodies, letters) for row in rows]

    def _by_turns(
        self, connection: Connection, queue: _Queue, where: Iterable[Any], waits: Iterable[str], most: int
    ) -> list[RowMapping]:
        """The first of each lane, then the second of each, from the lane on whose turn it is."""
        order = outbox.c.next_at, outbox.c.attempts, outbox.c.id
        query = select(outbox).where(*where).order_by(*order).limit(most).with_for_update(skip_locked=True)
        each = [
            connection.execute(query.where(outbox.c.lane == lane)).mappings().all()
            for lane in in_turn(waits, self._last.get(queue, ""))[:most]
        ]
        rows = [row for turn in zip_longest(*each) for row in turn if row is not None][:most]
        if rows:
            self._last[queue] = rows[-1]["lane"]
        return rows

    def delivered(self, ids: Iterable[int], outcome: str, *, now: datetime) -> None:
        """They arrived; `outcome` is what the other side made of them."""
        self._end(ids, "delivered", outcome, now, lane="")

    def parked(self, item_id: int, error: str, *, now: datetime) -> None:
        """It was refused for good, or cannot be read; it stays for people to look at."""
        self._end([item_id], "parked", error, now)

    def postponed(self, item_id: int, until: datetime, error: str) -> None:
        """It did not arrive; try again at `until`."""
        with writing(self._engine) as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.id == item_id)
                .values(next_at=until, attempts=outbox.c.attempts + 1, note=error[:_MAX_NOTE])
            )

    def untried(self, ids: Iterable[int], until: datetime) -> None:
        """They were handed out but not tried; they come back at `until`."""
        with writing(self._engine) as connection:
            for part in chunks(ids):
                connection.execute(update(outbox).where(outbox.c.id.in_(part)).values(next_at=until))

    def depth(self, kind: _Kind | None = None, *, topics: Collection[str] | None = None) -> int:
        """How many things wait to be delivered, of this kind or in all; dead letters of these topics alone."""
        query = select(func.count()).select_from(outbox).where(*_due(kind, topics))
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def parked_count(self) -> int:
        """How many findings are parked."""
        query = select(func.count()).select_from(outbox).where(_REFUSED)
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def refused(self) -> list[Parked]:
        """The findings that are parked, the oldest first."""
        query = select(outbox).where(_REFUSED).order_by(outbox.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [Parked(row["ref"], row["done_at"], row["note"]) for row in rows]

    def release(self, ids: Sequence[str] | None = None) -> list[str]:
        """Put parked findings back in the queue, once the cause is mended: these, or all. Returns their ids."""
        wanted = _REFUSED
        if ids is not None:
            wanted &= outbox.c.ref.in_(ids)
        change = update(outbox).where(wanted).values(state="due", attempts=0).returning(outbox.c.ref)
        with writing(self._engine) as connection:
            return sorted(connection.execute(change).scalars())

    def _end(self, ids: Iterable[int], state: str, note: str, now: datetime, **more: str) -> None:
        told = {"state": state, "note": note[:_MAX_NOTE], "done_at": now, "attempts": outbox.c.attempts + 1}
        with writing(self._engine) as connection:
            for part in chunks(ids):
                connection.execute(update(outbox).where(outbox.c.id.in_(part)).values(told | more))


def _due(kind: _Kind | None, topics: Collection[str] | None) -> list[Any]:
    where: list[Any] = [outbox.c.state == "due"]
    if kind is not None:
        where.append(outbox.c.kind == kind)
    if topics is not None:
        where.append(or_(outbox.c.kind != "dead_letter", letter_of(outbox.c.ref, topics)))
    return where


def _refs(rows: Iterable[RowMapping], kind: _Kind) -> list[str]:
    return [row["ref"] for row in rows if row["kind"] == kind]


def _bodies(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The stored findings by their id."""
    found: dict[str, str] = {}
    for part in chunks(ids):
        rows = connection.execute(select(findings.c.id, findings.c.body).where(findings.c.id.in_(part)))
        found.update((row.id, row.body) for row in rows)
    return found


def _item(row: RowMapping, bodies: Mapping[str, str], letters: Mapping[str, StoredDeadLetter]) -> OutboxItem:
    if row["kind"] == "finding":
        finding, unread = _read(bodies[row["ref"]])
        return OutboxItem(row["id"], "finding", row["attempts"], row["next_at"], finding=finding, unread=unread)
    letter = letters.get(row["ref"])  # None: it expired unsent
    return OutboxItem(row["id"], "dead_letter", row["attempts"], row["next_at"], dead_letter=letter)


def _as_memory_takes(connection: Connection, rows: Sequence[RowMapping]) -> Sequence[RowMapping]:
    """The first of these up to `_BYTES_AT_ONCE` of sealed records, and one more: it may be so large itself."""
    sizes = sealed_sizes(connection, _refs(rows, "dead_letter"))
    before = accumulate((sizes.get(row["ref"], 0) for row in rows), initial=0)
    return [row for row, size in zip(rows, before, strict=False) if size < _BYTES_AT_ONCE]


def _read(body: str) -> tuple[Finding | None, str]:
    """The finding, or why it cannot be read: another version wrote it, say."""
    try:
        return Finding.model_validate_json(body), ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return None, f"the stored finding cannot be read: {where}: {first['msg']}"
