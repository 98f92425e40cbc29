"""Circuit breakers: the latest trip of each tenant's."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from guardian.store.control.tables import breaker
from guardian.wire.approvals import BreakerView

# Asked with every decision, so put together once.
_BREAKER = select(breaker).where(breaker.c.tenant_id == bindparam("tenant_id"))


@dataclass(frozen=True, slots=True)
class BreakerRows:
    """Each tenant's latest trip."""

    connection: Connection

    def get(self, tenant_id: str, now: datetime) -> BreakerView:
        row = self.connection.execute(_BREAKER, {"tenant_id": tenant_id}).one_or_none()
        return BreakerView(tenant_id=tenant_id, open=False) if row is None else _breaker(row, now)

    def tripped(self, now: datetime) -> list[BreakerView]:
        """Every tenant's that ever tripped, open or closed by now."""
        return [_breaker(row, now) for row in self.connection.execute(select(breaker))]

    def trip(self, tenant_id: str, *, now: datetime, until: datetime, reason: str) -> None:
        self.connection.execute(delete(breaker).where(breaker.c.tenant_id == tenant_id))
        values = {"tenant_id": tenant_id, "tripped_at": now, "until": until, "reason": reason}
        self.connection.execute(insert(breaker).values(**values))

    def reset(self, tenant_id: str, *, by: str, now: datetime) -> bool:
        """False when it was not open."""
        holds = update(breaker).where(breaker.c.tenant_id == tenant_id, breaker.c.reset_at.is_(None))
        closed = self.connection.execute(holds.where(breaker.c.until > now).values(reset_at=now, reset_by=by))
        return closed.rowcount == 1


def _breaker(row: Row[Any], now: datetime) -> BreakerView:
    return BreakerView(open=row.reset_at is None and row.until > now, **row._asdict())
