"""Exceptions that people made: scoped, owned, expiring."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, insert, select, update

from guardian.domain.identity import SessionKey
from guardian.store.control.scope import Scope, within
from guardian.store.control.tables import exception, finding
from guardian.wire.exceptions import ExceptionView


class StoredException(NamedTuple):
    """An exception with its place in the order in which they were made."""

    seq: int
    view: ExceptionView


@dataclass(frozen=True, slots=True)
class ExceptionRows:
    """An exception ends by its time or by a person; it is never changed otherwise, nor removed."""

    connection: Connection

    def add(self, view: ExceptionView) -> None:
        self.connection.execute(insert(exception).values(**view.model_dump()))

    def get(self, exception_id: str, scope: Scope) -> ExceptionView | None:
        wanted = select(exception).where(exception.c.id == exception_id, within(exception.c.tenant_id, scope))
        row = self.connection.execute(wanted).one_or_none()
        return None if row is None else _stored(row).view

    def in_force(self, tenant_id: str, purposes: Collection[str], now: datetime) -> list[ExceptionView]:
        """Those for these purposes, the oldest first."""
        wanted = _holding(now).where(exception.c.tenant_id == tenant_id, exception.c.purpose.in_(purposes))
        return [_stored(row).view for row in self.connection.execute(wanted.order_by(exception.c.seq))]

    def made_from(self, key: SessionKey) -> list[str]:
        """The ids of those made from findings on this session, also of those that are over, the oldest first."""
        its = and_(finding.c.tenant_id == exception.c.tenant_id, finding.c.id == exception.c.finding_id)
        wanted = select(exception.c.id).join(finding, its).where(exception.c.tenant_id == key.tenant_id)
        wanted = wanted.where(finding.c.session_id == key.session_id).order_by(exception.c.seq)
        return list(self.connection.execute(wanted).scalars())

    def page(
        self, scope: Scope, now: datetime, *, limit: int, before: int | None = None, ended: bool = False
    ) -> list[StoredException]:
        """The newest first; those that are over only with `ended`."""
        wanted = (select(exception) if ended else _holding(now)).where(within(exception.c.tenant_id, scope))
        if before is not None:
            wanted = wanted.where(exception.c.seq < before)
        rows = self.connection.execute(wanted.order_by(exception.c.seq.desc()).limit(limit))
        return [_stored(row) for row in rows]

    def used(self, exception_id: str) -> None:
        counted = update(exception).where(exception.c.id == exception_id)
        self.connection.execute(counted.values(uses=exception.c.uses + 1))

    def end(self, exception_id: str, *, by: str, now: datetime) -> bool:
        """False when it is over already."""
        holds = update(exception).where(exception.c.id == exception_id, exception.c.ended_at.is_(None))
        ended = self.connection.execute(
            holds.where(exception.c.expires_at > now).values(ended_at=now, ended_by=by)
        )
        return ended.rowcount == 1


def _holding(now: datetime) -> Select[Any]:
    """Also by a clock that was set back none that was ended holds."""
    return select(exception).where(exception.c.expires_at > now, exception.c.ended_at.is_(None))


def _stored(row: Row[Any]) -> StoredException:
    told = {name: getattr(row, name) for name in ExceptionView.model_fields}
    return StoredException(row.seq, ExceptionView.model_validate(told))
