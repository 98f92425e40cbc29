"""Records that wait for their session's envelope: sealed, in order, counted when judging them is tried.

A record may hold thousands of decisions that wait: one row of it keeps the sealed value for those inserted with it
or later, and hands it on when it goes. None of them is older than that row.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    tuple_,
    update,
)

from guardian.domain.batch import Decoded
from guardian.domain.record import Place
from guardian.store.engine import reading, writing
from guardian.store.inserts import insert_new
from guardian.store.monitor.keys import chunks, headers_of, headers_text
from guardian.store.monitor.sessions import BARE, NOT_ACTED
from guardian.store.monitor.tables import envelopes, places, sessions, waiting
from guardian.store.monitor.values import Held

_SESSIONS_AT_ONCE = 500
_BYTES_AT_ONCE = 8 * 1024 * 1024
"""Of sealed values in memory, and one more: a record may be that large by itself."""
_IN_ORDER = (waiting.c.since, waiting.c.topic, waiting.c.partition, waiting.c.offset, waiting.c.entry)
_WITHOUT_VALUE = [column for column in waiting.c if column is not waiting.c.sealed]


class Waiting:
    """What waits, for the worker that owns the partitions. The oldest come first, each session in its order; of
    what is due, before all others, those of the tenant of which the least is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def depth(self, wanted: Iterable[Place] | None = None) -> int:
        """How many records wait, of these places or in all."""
        query = select(func.count()).select_from(waiting)
        if wanted is not None:
            query = query.where(_among(wanted))
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def depths(self) -> dict[str, int]:
        """How many wait, by tenant."""
        query = select(waiting.c.tenant_id, func.count().label("depth")).group_by(waiting.c.tenant_id)
        with reading(self._engine) as connection:
            return {row.tenant_id: row.depth for row in connection.execute(query)}

    def stranded(self, mine: Iterable[Place], *, before: datetime, limit: int) -> list[Held]:
        """Records of other places than these that have waited since `before`, where nobody has read since either;
        the oldest first, and no more than memory takes."""
        read = exists().where(
            and_(
                places.c.topic == waiting.c.topic,
                places.c.partition == waiting.c.partition,
                places.c.touched_at > before,
            )
        )
        with reading(self._engine) as connection:
            return _held(connection, and_(~_among(mine), waiting.c.since <= before, ~read), limit)

    def sealed(self) -> Iterator[tuple[bytes, datetime]]:
        """The records that wait, as they lie there, and as of when each is opened: the newest first, one in memory
        at a time."""
        query = select(*waiting.primary_key.columns, waiting.c.since).order_by(waiting.c.since.desc())
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        for row in rows:
            kept = select(waiting.c.sealed).where(_is((row.topic, row.partition, row.offset, row.entry)))
            with reading(self._engine) as connection:
                sealed = connection.execute(kept).scalar()
            if sealed:  # neither judged meanwhile, nor kept by another row
                yield bytes(sealed), row.since

    def due(
        self,
        wanted: Iterable[Place],
        *,
        before: datetime,
        limit: int,
        after: datetime | None = None,
        squeeze: Iterable[str] = (),
    ) -> list[Held]:
        """Records of these places whose session has an envelope by now, was judged before or has waited since
        `before`; no more at once than memory takes. What waits since later than `after` has its time from a clock
        that was ahead, and is due, too.

        Of the tenants in `squeeze` too many wait: their sessions are due whatever they wait for.
        """
        mine = _among(wanted)
        registered = exists().where(
            and_(envelopes.c.tenant_id == waiting.c.tenant_id, envelopes.c.session_id == waiting.c.session_id)
        )
        begun = exists().where(
            sessions.c.tenant_id == waiting.c.tenant_id,
            sessions.c.session_id == waiting.c.session_id,
            sessions.c.learned.not_in((NOT_ACTED, BARE)),
        )
        ahead = false() if after is None else waiting.c.since > after
        squeezed = waiting.c.tenant_id.in_(sorted(squeeze))
        chosen = select(waiting.c.tenant_id, waiting.c.session_id).where(
            mine, or_(waiting.c.since <= before, ahead, registered, begun, squeezed)
        )
        chosen = chosen.group_by(waiting.c.tenant_id, waiting.c.session_id)
        of_tenant = func.sum(func.count()).over(partition_by=waiting.c.tenant_id)
        oldest = map(func.min, (waiting.c.since, waiting.c.offset, waiting.c.entry))
        chosen = chosen.order_by(of_tenant, waiting.c.tenant_id, *oldest)
        held: list[Held] = []
        with reading(self._engine) as connection:
            keys = [(row.tenant_id, row.session_id) for row in connection.execute(chosen.limit(_SESSIONS_AT_ONCE))]
            for _, of_one in groupby(keys, key=lambda key: key[0]):
                theirs = tuple_(waiting.c.tenant_id, waiting.c.session_id).in_(list(of_one))
                held += _held(connection, and_(mine, theirs), limit - len(held))
                size = sum({id(each.sealed): len(each.sealed) for each in held}.values())
                if len(held) >= limit or size >= _BYTES_AT_ONCE:
                    break
        return held

    def tried(self, held: Sequence[Held], *, by: int = 1) -> None:
        """Count one more attempt at each, durably, before it is made; by -1 take back one that proved nothing."""
        if held:
            key = waiting.primary_key.columns
            this = update(waiting).where(*(column == bindparam(f"k_{column.name}") for column in key))
            ids = [dict(zip((f"k_{column.name}" for column in key), each.id, strict=True)) for each in held]
            with writing(self._engine) as connection:
                connection.execute(this.values(attempts=waiting.c.attempts + by), ids)


def insert_waiting(
    connection: Connection, waiters: Sequence[Decoded], seal: Callable[[bytes], bytes], now: datetime
) -> None:
    """Keep them; one that waits already stays where it is, and so does what it keeps."""
    known = _known(connection, waiters, now)
    rows = []
    for each in sorted(waiters, key=lambda each: each.entry):
        kept = known.get(_record(each))
        rows.append(
            {
                "topic": each.record.topic,
                "partition": each.record.partition,
                "offset": each.record.offset,
                "entry": each.entry,
                "tenant_id": each.event.envelope.tenant_id,
                "session_id": each.event.envelope.session_id,
                "record_key": each.record.key,
                "headers": headers_text(each.record.headers),
                "sealed": seal(each.record.value) if kept is None else b"",
                "stamped_at": each.record.timestamp,
                "since": known.setdefault(_record(each), now),
                "attempts": 0,
            }
        )
    insert_new(connection, waiting, rows)


def _known(
    connection: Connection, waiters: Sequence[Decoded], now: datetime
) -> dict[tuple[str, int, int], datetime]:
    """The records of these of which something waits already, each with the `since` of what joins it: now, or later
    where a clock ahead of ours wrote what is there, for no row may be older than the one that keeps the record.

    Rows at a record's offset with another timestamp are of a topic that was made anew since: they move below all.
    """
    stamps = {_record(each): each.record.timestamp for each in waiters}
    place = tuple_(waiting.c.topic, waiting.c.partition, waiting.c.offset)
    found: dict[tuple[str, int, int], datetime] = {}
    for part in chunks(sorted(stamps, reverse=True)):  # what goes below keeps its order: the last goes first
        columns = waiting.c.topic, waiting.c.partition, waiting.c.offset, waiting.c.stamped_at
        query = select(*columns, func.max(waiting.c.since)).where(place.in_(part)).group_by(*columns)
        for topic, partition, at, stamp, since in connection.execute(
            query.order_by(waiting.c.offset.desc())
        ).all():
            if stamp == stamps[topic, partition, at]:
                found[topic, partition, at] = max(since, now)
                continue
            lowest = connection.execute(
                select(func.min(waiting.c.offset)).where(_among([Place(topic, partition)]))
            ).scalar_one()
            stale = waiting.c.offset == at, waiting.c.stamped_at == stamp
            below = update(waiting).where(_among([Place(topic, partition)]), *stale)
            connection.execute(below.values(offset=min(lowest, 0) - 1))
    return found


def set_waiting_aside(connection: Connection, place: Place, *, by: int) -> None:
    """The place's offsets begin again: what waits moves below them, in its order, and is still judged. Of a record
    that was not read to its end some may wait at `by` itself, the next offset."""
    query = select(waiting.c.offset).where(_among([place])).distinct().order_by(waiting.c.offset)
    offsets = connection.execute(query).scalars().all()
    for offset in offsets:  # the lowest first, so that none meets another
        change = update(waiting).where(_among([place]), waiting.c.offset == offset)
        connection.execute(change.values(offset=offset - max(by, offsets[-1] + 1)))


def delete_waiting(connection: Connection, ids: Iterable[tuple[str, int, int, int]]) -> None:
    """They were judged, or given up."""
    going: dict[tuple[str, int, int], set[int]] = defaultdict(set)
    for topic, partition, offset, entry in ids:
        going[topic, partition, offset].add(entry)
    for (topic, partition, offset), entries in going.items():
        this = waiting.c.topic == topic, waiting.c.partition == partition, waiting.c.offset == offset
        _hand_on(connection, and_(*this), entries)
        for part in chunks(sorted(entries)):
            connection.execute(delete(waiting).where(*this, waiting.c.entry.in_(part)))


def _hand_on(connection: Connection, this: Any, going: Set[int]) -> None:
    """Hand each sealed value that goes to the record's first row that stays and came no earlier: what was sealed
    after a row began to wait could not be opened for it."""
    shape = select(waiting.c.entry, waiting.c.since, (func.length(waiting.c.sealed) > 0).label("keeps")).where(
        this
    )
    rows = connection.execute(shape.order_by(waiting.c.since, waiting.c.entry)).all()
    bare = [row for row in rows if row.entry not in going and not row.keeps]
    for row in (row for row in rows if row.entry in going and row.keeps):
        heir = next((each for each in bare if each.since >= row.since), None)
        if heir is not None:
            bare.remove(heir)
            kept = connection.execute(
                select(waiting.c.sealed).where(this, waiting.c.entry == row.entry)
            ).scalar_one()
            connection.execute(update(waiting).where(this, waiting.c.entry == heir.entry).values(sealed=kept))


def _record(waiter: Decoded) -> tuple[str, int, int]:
    return waiter.record.topic, waiter.record.partition, waiter.record.offset


def _among(wanted: Iterable[Place]) -> Any:
    return tuple_(waiting.c.topic, waiting.c.partition).in_(sorted(set(wanted)))


def _is(id_: tuple[str, int, int, int]) -> Any:
    topic, partition, offset, entry = id_
    return and_(
        waiting.c.topic == topic,
        waiting.c.partition == partition,
        waiting.c.offset == offset,
        waiting.c.entry == entry,
    )


def _held(connection: Connection, where: Any, limit: int) -> list[Held]:
    """The first of these, each with its record's value; that of one record is in memory once, and none of another
    record after `_BYTES_AT_ONCE`."""
    kept: dict[tuple[str, int, int], list[tuple[datetime, bytes]]] = {}
    held: list[Held] = []
    size = 0
    query = select(*_WITHOUT_VALUE).where(where).order_by(*_IN_ORDER).limit(limit)
    for row in connection.execute(query).mappings().all():
        record = row["topic"], row["partition"], row["offset"]
        if record not in kept:
            if size >= _BYTES_AT_ONCE:
                break
            same = and_(
                waiting.c.topic == record[0], waiting.c.partition == record[1], waiting.c.offset == record[2]
            )
            keepers = select(waiting.c.since, waiting.c.sealed).where(same, func.length(waiting.c.sealed) > 0)
            found = connection.execute(keepers.order_by(waiting.c.since))
            kept[record] = [(each.since, bytes(each.sealed)) for each in found]
            size += sum(len(value) for _, value in kept[record])
        sealed = next((value for since, value in reversed(kept[record]) if since <= row["since"]), b"")
        held.append(_waiter(row, sealed))
    return held


def _waiter(row: RowMapping, sealed: bytes) -> Held:
    return Held(
        id=(row["topic"], row["partition"], row["offset"], row["entry"]),
        key=None if row["record_key"] is None else bytes(row["record_key"]),
        headers=headers_of(row["headers"]),
        sealed=sealed,
        stamped_at=row["stamped_at"],
        since=row["since"],
        attempts=row["attempts"],
        tenant_id=row["tenant_id"],
        session_id=row["session_id"],
    )
