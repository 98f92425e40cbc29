"""Sign-ins to the evidence pages and one-time links: hashes and sealed tokens, nothing that opens anything."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from guardian.store.control_tables import visit

VisitKind = Literal["link", "oidc", "via_link"]


class StoredVisit(NamedTuple):
    """`kind` is link for one that waits to be opened. `jti` names the token that is sealed in it."""

    id: str
    kind: VisitKind
    sealed: bytes
    jti: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class VisitRows:
    connection: Connection

    def add(self, told: StoredVisit) -> None:
        self.connection.execute(insert(visit).values(**told._asdict()))

    def get(self, visit_id: str) -> StoredVisit | None:
        row: Any = self.connection.execute(select(visit).where(visit.c.id == visit_id)).one_or_none()
        return None if row is None else StoredVisit(*row)

    def touch(self, visit_id: str, now: datetime) -> None:
        self.connection.execute(update(visit).where(visit.c.id == visit_id).values(seen_at=now))

    def remove(self, visit_id: str) -> bool:
        """False when it was gone already: of two that open the same link, one is second."""
        return bool(self.connection.execute(delete(visit).where(visit.c.id == visit_id)).rowcount)

    def forget(self, now: datetime) -> list[StoredVisit]:
        """Remove those that are over, and return them."""
        gone: Any = self.connection.execute(delete(visit).where(visit.c.expires_at <= now).returning(visit))
        return [StoredVisit(*row) for row in gone]
