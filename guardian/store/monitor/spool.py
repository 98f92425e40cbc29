"""Decisions and words on their way into the archive: written with the batch, gone when they are in a file.

A group is decided once and keeps its name, so that a crash between the file and the end of this row writes the
same file again instead of another one with the same content.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, and_, delete, func, insert, or_, select, text, update

from guardian.domain.batch import Change
from guardian.store.engine import reading, writing
from guardian.store.inserts import insert_new, upsert
from guardian.store.monitor.keys import chunks
from guardian.store.monitor.tables import archive, spool

MOST_BYTES = 8 * 1024 * 1024
"""Of a group, which is in memory while it is written; unpacked, its rows take several times as much."""
_TAKING = 0x73706F6F  # "spoo": of PostgreSQL's advisory locks
Pack = Callable[[Sequence[Change]], bytes]
"""What the archive makes of people's words; this room does not know what is in it."""


@dataclass(frozen=True, slots=True)
class Group:
    """What goes into the archive together. `name` is a hash of the content."""

    name: str
    kind: str
    bodies: tuple[bytes, ...]


def spool_in(connection: Connection, kind: str, body: bytes, *, rows: int, now: datetime) -> None:
    """Add one packing to the queue; an empty one adds nothing."""
    if body:
        connection.execute(insert(spool).values(kind=kind, rows=rows, body=body, at=now))


class Spool:
    """Groups are leased while they are written, so that two monitors rarely write the same one. They take turns at
    taking: SQLite has one writer at a time anyway, and on PostgreSQL both would find the same rows free."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def depth(self) -> int:
        """How many decisions and words wait."""
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.coalesce(func.sum(spool.c.rows), 0))).scalar_one())

    def folder(self) -> str | None:
        """The id of the folder that all of it goes into; None before one was settled on."""
        with reading(self._engine) as connection:
            return connection.execute(select(archive.c.folder)).scalar()

    def settle(self, folder: str, *, anew: bool = False) -> str:
        """Make it this one, unless it is one already, or in any case; returns which it is."""
        with writing(self._engine) as connection:
            (upsert if anew else insert_new)(connection, archive, [{"one": 1, "folder": folder}])
            return str(connection.execute(select(archive.c.folder)).scalar_one())

    def take(
        self,
        now: datetime,
        *,
        rows: int,
        patience: timedelta,
        lease: timedelta = timedelta(minutes=5),
        even_leased: bool = False,
    ) -> Group | None:
        """A group to write now, or None.

        A group whose writer did not finish within its lease goes first. With `even_leased` the lease does not
        matter: writing a group twice is harmless. A new one is made when `rows` or `MOST_BYTES` wait, or anything
        for longer than `patience`. Times from a clock that was ahead put nothing off until then.
        """
        with reading(self._engine) as connection:  # most looks find nothing: they should not take a lock
            if connection.execute(select(spool.c.id).limit(1)).first() is None:
                return None
        with writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _TAKING})
            ended = now + lease if even_leased else now
            name = self._abandoned(connection, ended, now + 2 * lease)
            name = name or self._new(connection, now, rows, patience)
            if name is None:
                return None
            mine = spool.c.group == name
            connection.execute(update(spool).where(mine).values(leased_until=now + lease))
            found = connection.execute(select(spool.c.kind, spool.c.body).where(mine).order_by(spool.c.id)).all()
            if not found:  # its writer was only slow, and has just finished it
                return None
            return Group(name, found[0].kind, tuple(row.body for row in found))

    def done(self, name: str) -> None:
        """The group's files are on the disk."""
        with writing(self._engine) as connection:
            connection.execute(delete(spool).where(spool.c.group == name))

    def _abandoned(self, connection: Connection, ended: datetime, ahead: datetime) -> str | None:
        until = spool.c.leased_until
        late = and_(spool.c.group.is_not(None), or_(until.is_(None), until <= ended, until > ahead))
        return connection.execute(select(spool.c.group).where(late).order_by(spool.c.id).limit(1)).scalar()

    def _new(self, connection: Connection, now: datetime, rows: int, patience: timedelta) -> str | None:
        free = spool.c.group.is_(None)
        first = connection.execute(
            select(spool.c.kind, spool.c.at).where(free).order_by(spool.c.id).limit(1)
        ).first()
        if first is None:
            return None
        columns = (spool.c.id, spool.c.rows, func.length(spool.c.body).label("size"))
        query = select(*columns).where(free, spool.c.kind == first.kind).order_by(spool.c.id)
        chosen: list[int] = []
        total = size = 0
        full = False
        for row in connection.execute(query.limit(2000)):
            full = bool(chosen) and (total + row.rows > rows or size + row.size > MOST_BYTES)
            if full:
                break
            chosen.append(row.id)
            total, size = total + row.rows, size + row.size
        if not full and total < rows and abs(first.at - now) < patience and len(chosen) < 2000:
            return None
        digest = hashlib.sha256()
        for part in chunks(chosen):
            for body in connection.execute(select(spool.c.body).where(spool.c.id.in_(part)).order_by(spool.c.id)):
                digest.update(body.body)
        name = digest.hexdigest()[:32]
        for part in chunks(chosen):
            connection.execute(update(spool).where(spool.c.id.in_(part)).values(group=name))
        return name
