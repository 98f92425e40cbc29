"""Modes of tenants: shadow, canary or enforce."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from guardian.store.control.tables import mode
from guardian.wire.sessions import ModeView

# Asked with every decision, so put together once.
_MODE = select(mode).where(mode.c.tenant_id == bindparam("tenant_id"))


@dataclass(frozen=True, slots=True)
class ModeRows:
    """What guardian may do by itself for each tenant."""

    connection: Connection

    def get(self, tenant_id: str) -> ModeView | None:
        """None while nobody decided: then the configured default holds."""
        row = self.connection.execute(_MODE, {"tenant_id": tenant_id}).one_or_none()
        return None if row is None else ModeView(**row._asdict())

    def put(self, view: ModeView) -> None:
        self.connection.execute(delete(mode).where(mode.c.tenant_id == view.tenant_id))
        self.connection.execute(insert(mode).values(**view.model_dump(exclude={"approval", "unheard"})))
