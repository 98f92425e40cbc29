"""Registered envelopes, in every version."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, insert, select

from guardian.domain.envelope import Envelope
from guardian.domain.identity import SessionKey
from guardian.store.control.delegation import DelegationRows
from guardian.store.control.tables import ACTS_UNDER, envelope, live
from guardian.wire.envelopes import RegisteredEnvelope


def _is(key: SessionKey) -> tuple[ColumnElement[bool], ...]:
    return envelope.c.tenant_id == key.tenant_id, envelope.c.session_id == key.session_id


# Asked with every decision, so put together once.
_NEWEST = (
    select(envelope)
    .where(envelope.c.tenant_id == bindparam("tenant_id"), envelope.c.session_id == bindparam("session_id"))
    .order_by(envelope.c.version.desc())
    .limit(1)
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


def _registered(row: Row[Any]) -> RegisteredEnvelope:
    return RegisteredEnvelope(**(row._asdict() | {"envelope": Envelope.model_validate_json(row.envelope)}))
