"""Issuing and withdrawing tokens on control's own database; every one is recorded and audited."""

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import open_control_store, open_tokens
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings
from guardian.control.authentication.certificates import pem_thumbprint
from guardian.control.authentication.token_records import record_issue
from guardian.errors import ConfigurationError, StoreError, TokenError
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import IssuedToken
from guardian.wire.principal import Role


def issue(
    settings: Settings,
    principal: str,
    *,
    role: Role,
    tenants: Collection[str],
    ttl: timedelta,
    certificate: str | None = None,
    ends: datetime | None = None,
) -> IssuedToken:
    """A fresh token, bound to a client certificate if its thumbprint is given, and over when that `ends`.

    Raises ConfigurationError when the principal could never be accepted.
    """
    with closing(open_control_store(settings)) as store:
        now = utc_now()
        tokens = open_tokens(settings, store)
        if ends is not None:
            if ends <= now:
                raise ConfigurationError(
                    f"its certificate ended at {ends.isoformat()}: the token would never count"
                )
            ttl = min(ttl, ends - now.replace(microsecond=0))
        try:
            token = tokens.issue(principal, role=role, tenants=tenants, ttl=ttl, now=now, certificate=certificate)
        except TokenError as error:  # of names that no token can bear
            raise ConfigurationError(str(error)) from error
        with store.write() as rows:
            record_issue(rows, token, actor="operator", certificate=certificate)
        return token


def revoke(settings: Settings, jti: str) -> None:
    """Withdraw a token before its time. Raises TokenError for one never issued here, or revoked before."""
    with closing(open_control_store(settings)) as store:
        now = utc_now()
        with store.write() as rows:
            if not rows.tokens.is_recorded(jti):
                raise TokenError(f"no token {jti!r} was ever issued here; `guardian token list --ended` shows all")
            if not rows.tokens.revoke(jti, by="operator", now=now):
                raise TokenError(f"token {jti!r} is revoked already; `guardian token list` shows the live ones")
            rows.audit.note("revokeToken", at=now, actor="operator", jti=jti)


def revoke_all(settings: Settings, principal: str) -> int:
    """Withdraw every live token of a principal. Raises TokenError when none was ever issued to it here."""
    with closing(open_control_store(settings)) as store:
        now = utc_now()
        with store.write() as rows:
            mine = rows.tokens.all(principal_id=principal)
            if not mine:
                raise TokenError(
                    f"no token was ever issued to {principal!r} here; `guardian token list --ended` shows all"
                )
            withdrawn = [row.jti for row in mine if rows.tokens.revoke(row.jti, by="operator", now=now)]
            for jti in withdrawn:
                rows.audit.note("revokeToken", at=now, actor="operator", jti=jti)
        return len(withdrawn)


def retire(settings: Settings, kid: str) -> None:
    """Stop believing a key: every token and signature it made is refused from now on, by every control.

    Where its file cannot be written the key is retired all the same, and this raises ConfigurationError.
    """
    with closing(open_control_store(settings)) as store:
        keys = open_tokens(settings, store).keys
        keys.check_retirable(kid)
        with store.write() as rows:
            rows.tokens.retire_key(kid, utc_now())
            rows.audit.note("retireKey", at=utc_now(), actor="operator", kid=kid)
        keys.retire(kid)  # last: without it in the file nobody could retire it in the database any more


def keys(settings: Settings) -> list[dict[str, object]]:
    """The keys of the file, and whether each is the one that signs, the next one that will, or retired, wherever
    that was done."""
    with closing(open_control_store(settings)) as store, store.read() as rows:  # said first where it is not here
        retired = rows.tokens.retired_keys()
    file = SigningKeys(SecretFiles.of(settings).signing).current()
    believed = file.without(retired)
    return [
        {
            "kid": str(key.kid),
            "signs": key is file.active and key in believed.verifying,
            "prepared": key is believed.prepared,
            "retired": key not in believed.verifying,
        }
        for key in file.verifying
    ]


def prepare(settings: Settings) -> str:
    """Publish the key that signs after the next `rotate`. Returns its id."""
    with closing(open_control_store(settings)) as store:
        kid = open_tokens(settings, store).keys.prepare()
        with store.write() as rows:
            rows.audit.note("prepareKey", at=utc_now(), actor="operator", kid=kid)
        return kid


def rotate(settings: Settings) -> tuple[str, bool]:
    """Sign with the prepared key, or a fresh one; tokens in the field stay valid until they expire.

    Returns its id, and whether it was prepared. Where the database takes no writes, nothing is changed.
    """
    kid = None
    with closing(open_control_store(settings)) as store:
        keys = open_tokens(settings, store).keys
        prepared = keys.current().prepared is not None
        try:
            with store.write() as rows:
                kid = keys.rotate()
                public = {str(key["kid"]): key["x"] for key in keys.current().jwks()["keys"]}
                rows.audit.note("rotateKey", at=utc_now(), actor="operator", kid=kid, x=public[kid])
        except StoreError as error:
            if kid is None:
                raise
            raise StoreError(
                f"{error}; key {kid} signs all the same, only the audit trail lacks that: do not rotate again"
            ) from error
        return kid, prepared


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was issued here; its text is stored nowhere."""

    jti: str
    kid: str
    principal: str
    role: str
    tenants: list[str]
    expires_at: str
    certificate: str | None
    revoked: bool
    ended: bool
    key_retired: bool


def issued(
    settings: Settings, *, ended: bool = False, principal: str | None = None, limit: int | None = None
) -> list[Issued]:
    """Tokens that were issued here, of one principal or of all, and are not over, or were withdrawn within a week.

    With `ended` also the others: those that expired go after 90 days, those withdrawn stay. The newest last, of
    more than `limit` the newest.
    """
    now = utc_now()
    with closing(open_control_store(settings)) as store, store.read() as rows:
        kept = rows.tokens.all(alive=None if ended else now, principal_id=principal, limit=limit)
        believed = (
            {str(key.kid) for key in open_tokens(settings, store).keys.current().verifying} if kept else set()
        )
        return [
            Issued(
                jti=row.jti,
                kid=row.kid,
                principal=row.principal_id,
                role=row.role,
                tenants=sorted(row.tenants),
                expires_at=row.expires_at.isoformat() if row.expires_at is not None else "",
                certificate=row.certificate,
                revoked=row.revoked_at is not None,
                ended=row.expires_at is not None and row.expires_at <= now,
                key_retired=row.key_retired or row.kid not in believed,
            )
            for row in kept
        ]


def client_certificate(path: Path) -> tuple[str, datetime]:
    """The thumbprint of the certificate in a PEM file, and when it ends. Raises ConfigurationError for a file
    without one."""
    try:
        pem = path.read_bytes()
        return pem_thumbprint(pem), load_pem_x509_certificate(pem).not_valid_after_utc
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} holds no PEM certificate") from error
