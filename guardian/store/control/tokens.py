"""Tokens that were issued and revoked, never their text; and sign-ins to the evidence pages."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, and_, bindparam, delete, exists, insert, or_, select, update

from guardian.store.control.tables import retired_key, token, visit
from guardian.store.inserts import insert_new
from guardian.wire.principal import Principal

_MACHINES = ("gateway", "monitor", "delegation", "metrics")
_ITSELF = "guardian"  # ended a token that was no longer needed; anybody else who withdraws one mistrusts it
_LATELY = timedelta(days=7)
_UNSUSPECTED = or_(token.c.revoked_by.is_(None), token.c.revoked_by == _ITSELF)
VisitKind = Literal["link", "oidc", "via_link"]

# Asked with every request, so put together once.
_KEY_RETIRED = exists().where(retired_key.c.kid == token.c.kid)
_KNOWN = select(token, _KEY_RETIRED.label("key_retired"))
_TOKEN = _KNOWN.where(token.c.jti == bindparam("jti"))


class TokenRow(NamedTuple):
    """What is known of a token; its text is stored nowhere. `certificate` is the thumbprint of the one that it is
    bound to: empty for none, None where that is not known."""

    jti: str
    principal_id: str
    role: str
    tenants: tuple[str, ...]
    kid: str
    issued_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    certificate: str | None
    key_retired: bool


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
        certificate: str | None = None,
    ) -> None:
        names = json.dumps(sorted(tenants))
        values = {"jti": jti, "principal_id": principal_id, "role": role, "tenants": names, "kid": kid}
        values["certificate"] = certificate or ""
        self.connection.execute(insert(token).values(**values, issued_at=issued_at, expires_at=expires_at))

    def end(self, jti: str, now: datetime) -> None:
        """End a token that is no longer needed: it stops counting, and what was done with it stands."""
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

    def has_expired(self, before: datetime) -> bool:
        """Whether there is anything to `forget`."""
        old = select(token.c.jti).where(token.c.expires_at < before, _UNSUSPECTED)
        return self.connection.execute(old.limit(1)).first() is not None

    def forget(self, before: datetime) -> None:
        """Drop what expired before then. What somebody withdrew stays: it says whom not to believe."""
        self.connection.execute(delete(token).where(token.c.expires_at < before, _UNSUSPECTED))

    def is_recorded(self, jti: str) -> bool:
        """Whether a token of this id was issued here, or withdrawn."""
        return self.connection.execute(select(token.c.jti).where(token.c.jti == jti)).one_or_none() is not None

    def vouches_for(self, principal: Principal) -> bool:
        """Whether exactly this token was issued here, and since then neither withdrawn nor its key retired."""
        row = self.connection.execute(_TOKEN, {"jti": principal.jti}).one_or_none()
        if row is None or row.revoked_at is not None or row.key_retired:
            return False
        if row.certificate is not None and row.certificate != (principal.certificate or ""):
            return False
        issued = row.principal_id, row.role, frozenset(json.loads(row.tenants)), row.expires_at
        return bool(issued == (principal.id, principal.role, principal.tenants, principal.expires_at))

    def retire_key(self, kid: str, now: datetime) -> None:
        """Believe no token that this key signed, nor will sign, in any process."""
        insert_new(self.connection, retired_key, [{"kid": kid, "at": now}])

    def retired_keys(self) -> frozenset[str]:
        return frozenset(self.connection.execute(select(retired_key.c.kid)).scalars())

    def withdrawn_since(self, principal_id: str, at: datetime) -> bool:
        """Whether any token of this principal was withdrawn since then; one that ended does not count."""
        mine = token.c.principal_id == principal_id, token.c.revoked_at >= at, token.c.revoked_by != _ITSELF
        return self.connection.execute(select(token.c.jti).where(*mine).limit(1)).one_or_none() is not None

    def all(
        self, *, alive: datetime | None = None, principal_id: str | None = None, limit: int | None = None
    ) -> list[TokenRow]:
        """The newest last, of more than `limit` the newest. With `alive` those only whose time was not over then,
        and those that somebody withdrew in the week before."""
        wanted = _KNOWN.order_by(token.c.issued_at.desc().nulls_last(), token.c.jti.desc()).limit(limit)
        if principal_id is not None:
            wanted = wanted.where(token.c.principal_id == principal_id)
        if alive is not None:
            lately = and_(token.c.revoked_at > alive - _LATELY, ~_UNSUSPECTED)
            wanted = wanted.where(or_(lately, and_(token.c.revoked_at.is_(None), token.c.expires_at > alive)))
        return self._rows(wanted)[::-1]

    def of_machines(self, now: datetime) -> list[TokenRow]:
        """The live tokens that no person uses; the one that ends first comes first."""
        live = token.c.role.in_(_MACHINES), token.c.revoked_at.is_(None), token.c.expires_at > now, ~_KEY_RETIRED
        return self._rows(_KNOWN.where(*live).order_by(token.c.expires_at, token.c.jti))

    def _rows(self, wanted: Select[Any]) -> list[TokenRow]:
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
                row.certificate,
                bool(row.key_retired),
            )
            for row in self.connection.execute(wanted)
        ]


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
    """Sign-ins and one-time links: hashes and sealed tokens, nothing that opens anything."""

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
