"""Registered envelopes, modes, circuit breakers and model versions: facts that policy reads."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from guardian.domain.envelope import Envelope
from guardian.domain.identity import SessionKey
from guardian.store.control.delegation import DelegationRows
from guardian.store.control.tables import ACTS_UNDER, breaker, envelope, live, mode, model
from guardian.store.inserts import upsert
from guardian.wire.approvals import BreakerView
from guardian.wire.envelopes import RegisteredEnvelope
from guardian.wire.sessions import ModeView

FURTHER = "(further versions)"
"""Stands for every model version beyond those that are remembered one by one."""


def _of(tenant_id: str | BindParameter[str]) -> ColumnElement[bool]:
    return or_(model.c.tenant_id == tenant_id, model.c.tenant_id == "*")


def _is(key: SessionKey) -> tuple[ColumnElement[bool], ...]:
    return envelope.c.tenant_id == key.tenant_id, envelope.c.session_id == key.session_id


# Asked with every decision, so put together once.
_MODE = select(mode).where(mode.c.tenant_id == bindparam("tenant_id"))
_NEWEST = (
    select(envelope)
    .where(envelope.c.tenant_id == bindparam("tenant_id"), envelope.c.session_id == bindparam("session_id"))
    .order_by(envelope.c.version.desc())
    .limit(1)
)
_BREAKER = select(breaker).where(breaker.c.tenant_id == bindparam("tenant_id"))
_CHANGES = (
    select(model.c.version, model.c.first_seen)
    .where(_of(bindparam("tenant_id")))
    .order_by(model.c.first_seen.desc())
    .limit(2)
)


@dataclass(frozen=True, slots=True)
class EnvelopeRows:
    """Versions are only ever added: what was in force at any time can be shown."""

    connection: Connection

    def newest(self, key: SessionKey) -> RegisteredEnvelope | None:
        row = self.connection.execute(_NEWEST, key._asdict()).one_or_none()
        return None if row is None else _registered(row)

    def history(
        self, key: SessionKey, *, limit: int = 1000, before: int | None = None
    ) -> list[RegisteredEnvelope]:
        """The newest `limit` versions, or those below `before`; the newest last."""
        wanted = select(envelope).where(*_is(key))
        if before is not None:
            wanted = wanted.where(envelope.c.version < before)
        rows = self.connection.execute(wanted.order_by(envelope.c.version.desc()).limit(limit))
        return [_registered(row) for row in rows][::-1]

    def find(self, key: SessionKey, digest: str) -> RegisteredEnvelope | None:
        """The version with exactly this content."""
        wanted = select(envelope).where(*_is(key), envelope.c.digest == digest)
        row = self.connection.execute(wanted).one_or_none()
        return None if row is None else _registered(row)

    def registered_since(self, tenant_id: str, since: datetime, session_id: str | None = None) -> tuple[int, int]:
        """How many sessions, of all or of one, had an envelope registered after `since`, and how many of these are
        revoked now.
        """
        fresh = select(envelope.c.session_id).where(envelope.c.tenant_id == tenant_id, envelope.c.at > since)
        if session_id is not None:
            fresh = fresh.where(envelope.c.session_id == session_id)
        met = fresh.distinct().subquery()
        revoked = and_(
            live.c.tenant_id == tenant_id, live.c.subject_type == "session", live.c.subject_id == met.c.session_id
        )
        counted = select(func.count(), func.count(live.c.n)).select_from(met.outerjoin(live, revoked))
        row = self.connection.execute(counted).one()
        return int(row[0]), int(row[1])

    def add(self, told: Envelope, *, by: str, now: datetime) -> RegisteredEnvelope:
        """Store the next version of this session's envelope."""
        known = self.newest(told.key)
        added = RegisteredEnvelope(
            **told.key._asdict(),
            version=1 if known is None else known.version + 1,
            digest=told.digest,
            envelope=told,
            registered_by=by,
            at=now,
        )
        values = added.model_dump(exclude={"envelope", "superseded"})
        values |= {name: getattr(told, name) for name in ACTS_UNDER}
        self.connection.execute(insert(envelope).values(**values, envelope=told.model_dump_json()))
        DelegationRows(self.connection).note(told)
        return added


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


def _breaker(row: Row[Any], now: datetime) -> BreakerView:
    return BreakerView(open=row.reset_at is None and row.until > now, **row._asdict())


def _registered(row: Row[Any]) -> RegisteredEnvelope:
    return RegisteredEnvelope(**(row._asdict() | {"envelope": Envelope.model_validate_json(row.envelope)}))
