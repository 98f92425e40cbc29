"""Offsets per partition: who owns it, where to read on, and which record keeps crashing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, select, tuple_, update

from guardian.domain.record import Place
from guardian.errors import StaleMember
from guardian.store.inserts import Row, insert_new
from guardian.store.monitor.dead_letters import set_letters_aside
from guardian.store.monitor.held import set_waiting_aside
from guardian.store.monitor.keys import chunks
from guardian.store.monitor.tables import attempts, places
from guardian.store.monitor.values import Conflict


@dataclass(frozen=True, slots=True)
class Owned:
    """What a claim returns: the next offset to read (absent: from the start), and how often the place was
    claimed since anything was committed there. Many claims and no commit: something kills the process."""

    positions: Mapping[Place, int]
    claims: Mapping[Place, int]


def claim(connection: Connection, wanted: Iterable[Place], member: str, now: datetime) -> Owned:
    """Make `member` the owner of the places and say where to read on."""
    wanted = sorted(set(wanted))
    fresh: Row = {"next_offset": -1, "member": "", "claims": 0, "touched_at": now}
    insert_new(connection, places, [fresh | place._asdict() for place in wanted])
    rows = place_rows(connection, wanted, lock=True)
    for place, row in rows.items():
        change = update(places).where(_is_place(place))
        connection.execute(change.values(member=member, claims=row["claims"] + 1, touched_at=now))
    return Owned(
        positions={place: row["next_offset"] for place, row in rows.items() if row["next_offset"] >= 0},
        claims={place: row["claims"] + 1 for place, row in rows.items()},
    )


def begun_topics(connection: Connection) -> set[str]:
    """Those of which a next offset is known."""
    return set(connection.execute(select(places.c.topic).where(places.c.next_offset >= 0).distinct()).scalars())


def begin(connection: Connection, at: Mapping[Place, int], now: datetime) -> None:
    """Where a topic has not begun, all its partitions are read from here, whoever claims them."""
    known = begun_topics(connection)
    fresh = {place: offset for place, offset in at.items() if place.topic not in known}
    row: Row = {"next_offset": -1, "member": "", "claims": 0, "touched_at": now}
    insert_new(connection, places, [row | place._asdict() for place in sorted(fresh)])
    for place, offset in sorted(fresh.items()):  # another one may have begun meanwhile
        here = and_(_is_place(place), places.c.next_offset < 0)
        connection.execute(update(places).where(here).values(next_offset=offset))


def count_attempts(connection: Connection, place: Place, offset: int) -> int:
    """How often judging this record was begun without success."""
    return connection.execute(select(attempts.c.count).where(_is_attempt(place, offset))).scalar() or 0


def add_attempt(connection: Connection, place: Place, offset: int) -> int:
    """Count one more and return the new count."""
    insert_new(connection, attempts, [place._asdict() | {"offset": offset, "count": 0}])
    where = _is_attempt(place, offset)
    connection.execute(update(attempts).where(where).values(count=attempts.c.count + 1))
    return int(connection.execute(select(attempts.c.count).where(where)).scalar_one())


def take_attempt_back(connection: Connection, place: Place, offset: int) -> None:
    """Count one less: it proved nothing about the record."""
    where = and_(_is_attempt(place, offset), attempts.c.count > 0)
    connection.execute(update(attempts).where(where).values(count=attempts.c.count - 1))


def _is_place(place: Place) -> Any:
    return and_(places.c.topic == place.topic, places.c.partition == place.partition)


def _is_attempt(place: Place, offset: int) -> Any:
    return and_(attempts.c.topic == place[0], attempts.c.partition == place[1], attempts.c.offset == offset)


def place_rows(connection: Connection, wanted: Iterable[Place], *, lock: bool = False) -> dict[Place, Row]:
    """The rows of those places that were ever claimed."""
    found: dict[Place, Row] = {}
    for part in chunks(sorted(set(wanted))):
        query = select(places).where(tuple_(places.c.topic, places.c.partition).in_(part))
        for row in connection.execute(query.with_for_update() if lock else query).mappings():
            found[Place(row["topic"], row["partition"])] = dict(row)
    return found


def check_owner(
    connection: Connection, positions: Mapping[Place, int], base: Mapping[Place, int], member: str
) -> None:
    """Raises StaleMember when somebody else owns a place, Conflict when it moved since `base` was read."""
    rows = place_rows(connection, positions, lock=True)
    for place in positions:
        row = rows.get(place)
        if row is None or row["member"] != member:
            owner = "nobody" if row is None else repr(row["member"])
            raise StaleMember(
                f"store: {place} belongs to {owner}, not to {member!r}; the batch is discarded "
                "and whoever owns the partition reads it again"
            )
        stored = row["next_offset"]
        if max(stored, 0) != base.get(place, 0):
            raise Conflict(
                f"store: {place} is at offset {stored}, the batch was read from "
                f"{base.get(place, 0)}; load it again"
            )


def check_reached(stored: Mapping[Place, int], reached: Mapping[Place, int]) -> None:
    """Raises StaleMember where a stored offset is less than one that was reached before."""
    for place, offset in reached.items():
        if stored.get(place, 0) < offset:
            raise StaleMember(
                f"store: {place} is at offset {stored.get(place, 0)} and was at {offset}: the database went back,"
                " as by a failover or a restored backup; what lies between is read again"
            )


def move(connection: Connection, place: Place, offset: int, member: str, now: datetime) -> None:
    """Read on from another offset, for another record may stand at each offset now. So the attempts are forgotten,
    and what is kept of the old records makes room for what will be kept of the new."""
    row = place_rows(connection, [place], lock=True).get(place)
    if row is None or row["member"] != member:
        return  # somebody else's by now
    connection.execute(update(places).where(_is_place(place)).values(next_offset=offset, touched_at=now))
    if offset < row["next_offset"]:
        set_letters_aside(connection, place, now)
        set_waiting_aside(connection, place, by=row["next_offset"])
    connection.execute(delete(attempts).where(attempts.c.topic == place[0], attempts.c.partition == place[1]))


def advance(connection: Connection, positions: Mapping[Place, int], now: datetime) -> None:
    """Move the offsets on, and forget the attempts at what lies behind them."""
    if not positions:
        return
    moved = [
        {"k_topic": place.topic, "k_partition": place.partition, "v_offset": offset}
        for place, offset in positions.items()
    ]
    here, behind = (
        and_(table.c.topic == bindparam("k_topic"), table.c.partition == bindparam("k_partition"))
        for table in (places, attempts)
    )
    onward = update(places).where(here).values(next_offset=bindparam("v_offset"), claims=0, touched_at=now)
    connection.execute(onward, moved)
    connection.execute(delete(attempts).where(behind, attempts.c.offset < bindparam("v_offset")), moved)
