"""How far the faces that leave the process have come."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from guardian.domain.revocation import Revision
from guardian.store.control.tables import cursor
from guardian.store.inserts import upsert


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a face has come with one receiver."""

    name: str
    revision: Revision


@dataclass(frozen=True, slots=True)
class CursorRows:
    connection: Connection

    def get(self, name: str) -> Cursor | None:
        row = self.connection.execute(select(cursor).where(cursor.c.name == name)).one_or_none()
        if row is None:
            return None
        return Cursor(row.name, Revision(epoch=row.epoch, n=row.n))

    def put(self, at: Cursor) -> None:
        upsert(self.connection, cursor, [{"name": at.name, "epoch": at.revision.epoch, "n": at.revision.n}])
