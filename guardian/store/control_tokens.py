"""Tokens that were issued and revoked (never their text), modes, and answers kept for repeated requests."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from guardian.store.control_tables import idempotency, mode, token
from guardian.wire.base import Mode
from guardian.wire.principal import Principal
from guardian.wire.sessions import ModeView

_ITSELF = "guardian"  # ended a token that was no longer needed; anybody else who withdraws one mistrusts it

# Asked with every request, so put together once.
_TOKEN = select(token).where(token.c.jti == bindparam("jti"))
_MODE = select(mode).where(mode.c.tenant_id == bindparam("tenant_id"))


class TokenRow(NamedTuple):
    """What is known of a token; its text is stored nowhere."""

    jti: str
    principal_id: str
    role: str
    tenants: tuple[str, ...]
    kid: str
    issued_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenRows:
    connection: Connection

    def add(
        self,
        *,
        jti: str,
        principal_id: str,
        role: str,
        tenants: Collection[str],
        kid: str,
        issued_at: datetime,
        expires_at: datetime,
    ) -> None:
        names = json.dumps(sorted(tenants))
        values = {"jti": jti, "principal_id": principal_id, "role": role, "tenants": names, "kid": kid}
        self.connection.execute(insert(token).values(**values, issued_at=issued_at, expires_at=expires_at))

    def end(self, jti: str, now: datetime) -> None:
        """A token that is needed no longer: it counts no more, and what was done with it stands."""
        self.revoke(jti, by=_ITSELF, now=now)

    def revoke(self, jti: str, *, by: str, now: datetime) -> bool:
        """Withdraw a token; also one that was never recorded here, or has only ended. False when it was withdrawn
        before."""
        wanted = select(token.c.revoked_at, token.c.revoked_by).where(token.c.jti == jti)
        known = self.connection.execute(wanted).one_or_none()
        if known is None:
            unknown = {"principal_id": "", "role": "", "tenants": "[]", "kid": ""}
            self.connection.execute(insert(token).values(jti=jti, **unknown, revoked_at=now, revoked_by=by))
            return True
        if known.revoked_at is not None and (known.revoked_by != _ITSELF or by == _ITSELF):
            return False
        self.connection.execute(update(token).where(token.c.jti == jti).values(revoked_at=now, revoked_by=by))
        return True

    def forget(self, before: datetime) -> None:
        """Drop what expired before then. What somebody withdrew stays: it says whom not to believe."""
        unsuspected = or_(token.c.revoked_by.is_(None), token.c.revoked_by == _ITSELF)
        self.connection.execute(delete(token).where(token.c.expires_at < before, unsuspected))

    def is_recorded(self, jti: str) -> bool:
        """Whether a token of this id was issued here, or withdrawn."""
        return self.connection.execute(select(token.c.jti).where(token.c.jti == jti)).one_or_none() is not None

    def vouches_for(self, principal: Principal) -> bool:
        """Whether exactly this token was issued here, and not withdrawn since."""
        row = self.connection.execute(_TOKEN, {"jti": principal.jti}).one_or_none()
        if row is None or row.revoked_at is not None:
            return False
        issued = row.principal_id, row.role, frozenset(json.loads(row.tenants)), row.expires_at
        return bool(issued == (principal.id, principal.role, principal.tenants, principal.expires_at))

    def withdrawn_since(self, principal_id: str, at: datetime) -> bool:
        """Whether any token of this principal was withdrawn at that time or later; that one ended is no matter."""
        mine = token.c.principal_id == principal_id, token.c.revoked_at >= at, token.c.revoked_by != _ITSELF
        return self.connection.execute(select(token.c.jti).where(*mine).limit(1)).one_or_none() is not None

    def all(self) -> list[TokenRow]:
        rows = self.connection.execute(select(token).order_by(token.c.issued_at, token.c.jti))
        return [
            TokenRow(
                row.jti,
                row.principal_id,
                row.role,
                tuple(json.loads(row.tenants)),
                row.kid,
                row.issued_at,
                row.expires_at,
                row.revoked_at,
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class ModeRows:
    connection: Connection

    def get(self, tenant_id: str) -> ModeView | None:
        """None while nobody decided: then the configured default holds."""
        row = self.connection.execute(_MODE, {"tenant_id": tenant_id}).one_or_none()
        if row is None:
            return None
        return ModeView(
            tenant_id=row.tenant_id,
            mode=cast(Mode, row.mode),
            canary_percent=row.canary_percent,
            set_by=row.set_by,
            reason=row.reason,
            at=row.at,
        )

    def put(self, view: ModeView) -> None:
        self.connection.execute(delete(mode).where(mode.c.tenant_id == view.tenant_id))
        self.connection.execute(insert(mode).values(**view.model_dump(exclude={"approval"})))


class KeptAnswer(NamedTuple):
    request_digest: str
    answer: str


@dataclass(frozen=True, slots=True)
class IdempotencyRows:
    connection: Connection

    def get(self, principal_id: str, key: str) -> KeptAnswer | None:
        wanted = select(idempotency).where(idempotency.c.principal_id == principal_id, idempotency.c.key == key)
        row: Any = self.connection.execute(wanted).one_or_none()
        return None if row is None else KeptAnswer(row.request_digest, row.answer)

    def put(self, principal_id: str, key: str, request_digest: str, answer: str, now: datetime) -> None:
        values = {"principal_id": principal_id, "key": key, "request_digest": request_digest}
        self.connection.execute(insert(idempotency).values(**values, answer=answer, at=now))

    def forget(self, before: datetime) -> None:
        """Drop answers that nobody will ask for again."""
        self.connection.execute(delete(idempotency).where(idempotency.c.at < before))
