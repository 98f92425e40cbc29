"""Bearer tokens: JWT access tokens (RFC 9068 profile) that name a principal, its role and its tenants."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from pydantic import TypeAdapter, ValidationError

from guardian.domain.identity import Identifier, TenantName
from guardian.errors import TokenError
from guardian.keys.signing import ALGORITHM, KeySet, SigningKeys
from guardian.wire.principal import EVERY_TENANT, NOBODY, ROLES, Principal, Role

LEEWAY_S = 30
_TYPE = "at+jwt"
_MAX_CHARACTERS = 16384
_REMEMBERED = 4096
_THUMBPRINT = "x5t#S256"
_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
_TENANT: TypeAdapter[str] = TypeAdapter(TenantName)


class RefusedToken(TokenError):
    """A token that is not believed. `code` is for metrics; the caller is told nothing more than "invalid", or, of
    one that guardian signed, that it has expired. `principal` is whose it was, where its signature held."""

    def __init__(self, code: str, principal: str | None = None) -> None:
        super().__init__(f"token refused: {code}")
        self.code, self.principal = code, principal


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token and what it says. `text` is the secret: shown once, stored nowhere."""

    principal: Principal
    kid: str
    issued_at: datetime
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issues and verifies tokens. `revoked` tells whether one was withdrawn, or was never issued here."""

    keys: SigningKeys
    issuer: str
    audience: str
    revoked: Callable[[Principal], bool] = field(default=lambda _principal: False)
    new_id: Callable[[], str] = field(default=lambda: secrets.token_hex(16))
    _believed: dict[bytes, tuple[KeySet, dict[str, Any]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def issue(
        self,
        principal_id: str,
        *,
        role: Role,
        tenants: Collection[str],
        ttl: timedelta,
        now: datetime,
        audience: str | None = None,
        certificate: str | None = None,
    ) -> IssuedToken:
        """Sign a token, bound to a client certificate's thumbprint if one is given (RFC 8705).

        Raises TokenError when the principal could never be accepted.
        """
        if role not in ROLES:
            raise TokenError(f"role {role!r} does not exist; choose one of {', '.join(ROLES)}")
        if not tenants:
            raise TokenError(f"a token for {principal_id!r} needs at least one tenant, or '*' for every tenant")
        if ttl <= timedelta(0):
            raise TokenError(f"a token must live longer than {ttl}")
        try:
            _IDENTIFIER.validate_python(name := principal_id)
            for name in tenants:
                _TENANT.validate_python(name)
        except ValidationError as error:
            raise TokenError(
                f"{name!r} is no identifier: 1 to 512 characters, no control characters, and of a tenant no slash"
            ) from error
        for name in tenants:
            if "*" in name and name != EVERY_TENANT:
                raise TokenError(f"{name!r} is no pattern; list tenants by their names, or '*' for every tenant")
        if principal_id in NOBODY:
            raise TokenError(f"{principal_id!r} stands for guardian's own acts in the audit trail; choose another")
        key = self.keys.current().signing
        issued = int(now.timestamp())
        expires = issued + int(ttl.total_seconds())
        jti = self.new_id()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": audience or self.audience,
            "sub": principal_id,
            "client_id": principal_id,
            "jti": jti,
            "iat": issued,
            "nbf": issued,
            "exp": expires,
            "role": role,
            "tenants": sorted(set(tenants)),
        }
        if certificate is not None:
            claims["cnf"] = {_THUMBPRINT: certificate}
        header = {"alg": ALGORITHM, "typ": _TYPE, "kid": str(key.kid)}
        text = jwt.encode(header, claims, key, algorithms=[ALGORITHM])
        if len(text) > _MAX_CHARACTERS:
            raise TokenError(
                f"a token for {len(claims['tenants'])} tenants has {len(text)} characters, and control reads"
                f" {_MAX_CHARACTERS}; issue several for fewer each, or one for '*', which is every tenant"
            )
        ends = datetime.fromtimestamp(expires, UTC)
        principal = Principal(principal_id, role, frozenset(tenants), jti, ends, certificate)
        return IssuedToken(principal, str(key.kid), datetime.fromtimestamp(issued, UTC), text)

    def verify(self, text: str, *, now: datetime) -> Principal:
        """Whose token this is. Raises RefusedToken for anything but a sound, live token for this audience.

        The order matters: nothing in a token is believed, and no store is asked, before its signature holds.
        """
        if len(text) > _MAX_CHARACTERS:
            raise RefusedToken("malformed")
        claims = self._known_claims(text)
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.audience},
            sub={"essential": True},
            jti={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        whose = str(claims.get("sub", ""))[:200] or None
        try:
            registry.validate(claims)
            principal = _principal(claims)
        except ExpiredTokenError as error:
            raise RefusedToken("expired", whose) from error
        except JoseError as error:
            claim = getattr(error, "claim", None)
            code = f"claim_{claim}" if claim in ("aud", "iss", "nbf", "iat") else "claims"
            raise RefusedToken(code, whose) from error
        except (ValidationError, ValueError, OverflowError, OSError) as error:
            raise RefusedToken("claims", whose) from error
        if self.revoked(principal):
            raise RefusedToken("revoked", principal.id)
        return principal

    def _known_claims(self, text: str) -> dict[str, Any]:
        """The claims. Their signature is checked once for as long as the keys stay the same; whether the token is
        live, and not withdrawn, is asked every time."""
        keys = self.keys.current()
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._believed.get(name)
        if known is not None and known[0] is keys:
            return known[1]
        claims = self._signed_claims(text)
        if len(self._believed) >= _REMEMBERED:
            self._believed.clear()
        self._believed[name] = keys, claims
        return claims

    def _signed_claims(self, text: str) -> dict[str, Any]:
        try:
            header = jws.extract_compact(text.encode("ascii")).headers()
        except (JoseError, ValueError, TypeError) as error:
            raise RefusedToken("malformed") from error
        if header.get("alg") != ALGORITHM:
            raise RefusedToken("algorithm")
        if str(header.get("typ", "")).lower().removeprefix("application/") != _TYPE:
            raise RefusedToken("type")
        kid = header.get("kid")
        key = self.keys.current().find(kid) if isinstance(kid, str) else None
        if key is None:
            raise RefusedToken("unknown_key")
        try:
            return jwt.decode(text, key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, json.JSONDecodeError) as error:
            raise RefusedToken("signature") from error


def _principal(claims: dict[str, Any]) -> Principal:
    role, tenants = claims.get("role"), claims.get("tenants")
    if role not in ROLES or not isinstance(tenants, list) or not tenants:
        raise ValueError("role or tenants")
    return Principal(
        id=_IDENTIFIER.validate_python(claims["sub"], strict=True),
        role=role,
        tenants=frozenset(_IDENTIFIER.validate_python(tenant, strict=True) for tenant in tenants),
        jti=_IDENTIFIER.validate_python(claims["jti"], strict=True),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        certificate=_bound_to(claims.get("cnf")),
    )


def _bound_to(confirmation: Any) -> str | None:
    """The thumbprint in `cnf`. Any other confirmation could not be checked here, so it is refused."""
    if confirmation is None:
        return None
    if not isinstance(confirmation, dict) or set(confirmation) != {_THUMBPRINT}:
        raise ValueError("cnf")
    thumbprint = confirmation[_THUMBPRINT]
    if not isinstance(thumbprint, str) or not _SHA256.fullmatch(thumbprint):
        raise ValueError("cnf")
    return thumbprint
