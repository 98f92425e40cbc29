"""Which versions of the drift model findings named, and since when."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, func, or_, select

from guardian.store.control.tables import model
from guardian.store.inserts import upsert

FURTHER = "(further versions)"
"""Stands for every model version beyond those that are remembered one by one."""


def _of(tenant_id: str | BindParameter[str]) -> ColumnElement[bool]:
    return or_(model.c.tenant_id == tenant_id, model.c.tenant_id == "*")


# Asked with every decision, so put together once.
_CHANGES = (
    select(model.c.version, model.c.first_seen)
    .where(_of(bindparam("tenant_id")))
    .order_by(model.c.first_seen.desc())
    .limit(2)
)


@dataclass(frozen=True, slots=True)
class ModelRows:
    """Versions of the drift model, each with when a finding first named it.

    A version that was seen before is no change, also when it comes back: during a roll-out two monitors take
    turns. What one tenant's findings name says nothing to another's. It is bounded: from the `most`-th version on,
    all new ones share one row, whose time is that of the latest.
    """

    connection: Connection
    most: int = 1000

    def note(self, tenant_id: str, version: str, now: datetime) -> str | None:
        """Remember this version. Returns the one before it; None when it is known already, or the first."""
        known = select(model.c.version).where(_of(tenant_id), model.c.version == version)
        if self.connection.execute(known).first() is not None:
            return None
        before = self._newest(tenant_id)
        if self._count(tenant_id) >= self.most:
            version = FURTHER
        upsert(self.connection, model, [{"tenant_id": tenant_id, "version": version, "first_seen": now}])
        return before

    def changed_at(self, tenant_id: str) -> datetime | None:
        """When the newest version appeared; None while there has been only one, or none.

        A tenant's first is new as well, if others' findings named another one.
        """
        seen = self.connection.execute(_CHANGES, {"tenant_id": tenant_id}).all()
        if len(seen) == 1:
            other = select(model.c.version).where(model.c.version != seen[0].version).limit(1)
            return None if self.connection.execute(other).first() is None else seen[0].first_seen
        return seen[0].first_seen if seen else None

    def _newest(self, tenant_id: str) -> str | None:
        newest = select(model.c.version).where(_of(tenant_id))
        newest = newest.order_by(model.c.first_seen.desc(), model.c.version).limit(1)
        return self.connection.execute(newest).scalar_one_or_none()

    def _count(self, tenant_id: str) -> int:
        counted = select(func.count()).select_from(model).where(_of(tenant_id))
        return int(self.connection.execute(counted).scalar_one())
