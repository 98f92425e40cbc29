"""Queues in which tenants take turns: each has a lane of its own, and an index leads from one to the next."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, exists, func, or_, select


def lanes(
    connection: Connection, lane: Column[str], where: Sequence[Any], times: Sequence[ColumnElement[bool]]
) -> list[list[str]]:
    """For each of the times the lanes in which something is due then: from one lane to the next along the index,
    however much waits in each."""
    found = select(func.min(lane).label("lane")).where(*where).cte("lanes", recursive=True)
    further = select(func.min(lane)).where(*where, lane > found.c.lane).scalar_subquery()
    found = found.union_all(select(further).where(found.c.lane.is_not(None)))
    due = (exists().where(*where, when, lane == found.c.lane) for when in times)
    rows = connection.execute(select(found.c.lane, *due).where(found.c.lane.is_not(None))).all()
    return [[row[0] for row in rows if row[nth]] for nth, _ in enumerate(times, start=1)]


def next_lane(
    connection: Connection,
    lane: Column[str],
    where: Sequence[Any],
    times: Sequence[ColumnElement[bool]],
    last: str,
) -> str | None:
    """The lane whose turn it is after the `last`, of those in which something is due at one of the times. It is
    looked for no further than to there, however many lanes there are."""
    for part in ([*where, lane > last], [*where, lane <= last]):
        found = select(func.min(lane).label("lane")).where(*part).cte("lanes", recursive=True)
        further = select(func.min(lane)).where(*part, lane > found.c.lane).scalar_subquery()
        found = found.union_all(select(further).where(found.c.lane.is_not(None)))
        due = or_(*(exists().where(*where, when, lane == found.c.lane) for when in times))
        first = connection.execute(select(found.c.lane).where(found.c.lane.is_not(None), due).limit(1)).scalar()
        if first is not None:
            return str(first)
    return None


def in_turn(lanes: Iterable[str], last: str) -> list[str]:
    """The lanes from the one on whose turn it is, after that which was the `last`."""
    return sorted(lanes, key=lambda lane: (lane <= last, lane))
