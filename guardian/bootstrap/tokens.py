"""Issuing and withdrawing tokens on control's own database; every one is recorded and audited."""

from collections.abc import Collection
from datetime import timedelta

from guardian.bootstrap.control import open_control_store, open_tokens
from guardian.bootstrap.judgement import utc_now
from guardian.config import Settings
from guardian.errors import TokenError
from guardian.keys.tokens import IssuedToken
from guardian.wire.principal import Role


def issue(
    settings: Settings, principal: str, *, role: Role, tenants: Collection[str], ttl: timedelta
) -> IssuedToken:
    """A fresh token. Raises TokenError when the principal could never be accepted."""
    store = open_control_store(settings)
    try:
        now = utc_now()
        token = open_tokens(settings, store).issue(principal, role=role, tenants=tenants, ttl=ttl, now=now)
        who = token.principal
        with store.write() as rows:
            rows.tokens.add(
                jti=who.jti,
                principal_id=who.id,
                role=who.role,
                tenants=who.tenants,
                kid=token.kid,
                issued_at=token.issued_at,
                expires_at=who.expires_at,
            )
            rows.audit.append(
                {
                    "at": now.isoformat(),
                    "actor": "operator",
                    "action": "issueToken",
                    "jti": who.jti,
                    "principal": who.id,
                    "role": who.role,
                    "tenants": sorted(who.tenants),
                }
            )
        return token
    finally:
        store.close()


def revoke(settings: Settings, jti: str) -> None:
    """Withdraw a token before its time. Raises TokenError for one never issued here, or revoked before."""
    store = open_control_store(settings)
    try:
        now = utc_now()
        with store.write() as rows:
            if not rows.tokens.is_recorded(jti):
                raise TokenError(f"no token {jti!r} was ever issued here; `guardian token list` shows them")
            if not rows.tokens.revoke(jti, by="operator", now=now):
                raise TokenError(f"token {jti!r} is revoked already; `guardian token list` shows the live ones")
            rows.audit.append({"at": now.isoformat(), "actor": "operator", "action": "revokeToken", "jti": jti})
    finally:
        store.close()


def rotate(settings: Settings) -> str:
    """A fresh signing key; tokens in the field stay valid until they expire. Returns its id."""
    store = open_control_store(settings)
    try:
        kid = open_tokens(settings, store).keys.rotate()
        with store.write() as rows:
            rows.audit.append(
                {"at": utc_now().isoformat(), "actor": "operator", "action": "rotateKey", "kid": kid}
            )
        return kid
    finally:
        store.close()


def issued(settings: Settings) -> list[dict[str, object]]:
    """Every token that was issued here, newest last."""
    store = open_control_store(settings)
    try:
        with store.read() as rows:
            return [
                {
                    "jti": row.jti,
                    "principal": row.principal_id,
                    "role": row.role,
                    "tenants": sorted(row.tenants),
                    "expires_at": row.expires_at.isoformat() if row.expires_at is not None else "",
                    "revoked": row.revoked_at is not None,
                }
                for row in rows.tokens.all()
            ]
    finally:
        store.close()
