"""OpenID Connect: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636, RFC 9207).

What is remembered between going and coming back lies sealed in the person's own browser: nothing here grows with
the number of strangers who press the button.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key

from guardian.console.ports import Returned, SentOff
from guardian.domain.urls import is_private
from guardian.errors import AnotherSignIn, ProviderAway, SignInRefused, StoreError
from guardian.keys.published import ALGORITHMS, signed, usable
from guardian.keys.seal import Seal
from guardian.telemetry import logger
from guardian.wire.basic import client_auth
from guardian.wire.deadline import BoundedClient
from guardian.wire.principal import Person

_KEPT = timedelta(hours=1)
_NOT_AGAIN = timedelta(seconds=10)
_ASK_AGAIN = timedelta(minutes=1)
_BASIC, _POST = "client_secret_basic", "client_secret_post"
_LEEWAY_S = 60
_OLDEST_S = 600
_log = logger("console")


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows us as. `come_back` is registered there to the letter."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: tuple[str, ...]
    come_back: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What the provider publishes of itself."""

    authorize: str
    token: str
    keys: str
    names_itself: bool  # in its answers (RFC 9207)
    signs: tuple[str, ...]  # under which algorithms; empty where it does not say
    takes: tuple[str, ...]  # by which ways the client's secret
    at: datetime


class OpenIdProvider:
    """`person` maps the claims of a verified id token to a principal, None for somebody unknown."""

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        person: Callable[[Mapping[str, Any]], Person | None],
        http: BoundedClient,
        sealing: Seal,
        clock: Callable[[], datetime],
    ) -> None:
        self._client, self._name, self._person = client, name, person
        self._http, self._sealing, self._clock = http, sealing, clock
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._known: _Known | None = None
        self._failed: tuple[datetime, ProviderAway] | None = None
        self._keys: tuple[datetime, tuple[Key, ...]] | None = None

    @property
    def name(self) -> str:
        return self._name

    def examine(self) -> None:
        """Raises SignInRefused where the provider is away, or not what it should be."""
        provider = self._provider()
        signs, takes = provider.signs, provider.takes
        if self._client.client_secret is not None and not {_BASIC, _POST} & set(takes):
            raise SignInRefused(
                f"The identity provider takes the client's secret by {', '.join(takes)} only. Have it take"
                f" {_BASIC} or {_POST} from guardian."
            )
        if signs and not set(signs) & set(ALGORITHMS):
            raise SignInRefused(
                f"The identity provider signs id tokens with {', '.join(signs)} only, of which none is believed."
                " Have it sign with RS256 or ES256."
            )
        self._key_set()

    def begin(self, path: str) -> SentOff:
        """Raises SignInRefused when the provider cannot be asked."""
        told = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")} | {"path": path}
        digest = hashlib.sha256(told["verifier"].encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.come_back,
            "scope": " ".join(self._client.scopes),
            "state": told["state"],
            "nonce": told["nonce"],
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        where = self._provider().authorize
        url = f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"
        kept = self._sealing.seal(json.dumps(told).encode(), now=self._clock())
        return SentOff(url, kept.decode())

    def finish(self, kept: str, answer: Mapping[str, str]) -> Returned:
        """Raises SignInRefused."""
        try:
            told = json.loads(self._sealing.unseal(kept.encode(), now=self._clock()))
        except (StoreError, ValueError) as error:
            raise SignInRefused(
                "This sign-in was begun too long ago, or in another browser. Begin again."
            ) from error
        if not hmac.compare_digest(answer.get("state", "").encode(), told["state"].encode()):
            raise AnotherSignIn("This answer belongs to another sign-in. Begin again.")
        provider = self._provider()
        if answer.get("iss", self._client.issuer) != self._client.issuer or (
            provider.names_itself and "iss" not in answer
        ):
            raise SignInRefused("This answer comes from another identity provider than the one that was asked.")
        if "error" in answer or not answer.get("code"):
            raise SignInRefused(
                f"The identity provider did not sign you in: {answer.get('error', 'no code')[:80]}"
            )
        claims = self._claims(self._id_token(provider, answer["code"], told["verifier"]), told["nonce"])
        person = self._person(claims)
        if person is None:
            _log.warning("sign_in_unmapped", sub=str(claims.get("sub"))[:120])
            raise SignInRefused("Guardian does not know you: an operator lists people under console.people.")
        return Returned(person, told["path"])

    def _id_token(self, provider: _Known, code: str, verifier: str) -> str:
        client = self._client
        grant = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        form = grant | {"redirect_uri": client.come_back, "client_id": client.client_id}
        auth = httpx.Auth()  # none at all
        if client.client_secret is not None and (_BASIC in provider.takes or _POST not in provider.takes):
            auth = client_auth(client.client_id, client.client_secret)
        elif client.client_secret is not None:
            form["client_secret"] = client.client_secret
        try:
            got = self._http.post(provider.token, data=form, auth=auth, headers={"accept": "application/json"})
            told = got.raise_for_status().json()
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            _log.warning("oidc_token_failed", error=type(error).__name__, detail=str(error)[:200])
            raise SignInRefused("The identity provider did not vouch for this sign-in. Begin again.") from error
        token = told.get("id_token") if isinstance(told, dict) else None
        if not isinstance(token, str):
            raise SignInRefused("The identity provider sent no id token; is the scope openid?")
        return token

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._client.issuer},
            aud={"essential": True, "value": self._client.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = self._signed(token)
            registry.validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            _log.warning("oidc_token_refused", error=type(error).__name__, detail=str(error)[:200])
            raise SignInRefused("The identity provider's answer is not sound. Begin again.") from error
        audience = claims["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        foreign = claims.get("azp", self._client.client_id if not several else None) != self._client.client_id
        if foreign or self._clock().timestamp() - claims["iat"] > _OLDEST_S or not isinstance(claims["sub"], str):
            raise SignInRefused("The identity provider's answer is not for guardian. Begin again.")
        return claims

    def _signed(self, token: str) -> dict[str, Any]:
        """With the provider's keys; with fresh ones, should it have changed them."""
        try:
            said = signed(token, self._key_set())
        except ValueError:
            said = signed(token, self._key_set(fresh=True))
        claims = json.loads(said)
        if not isinstance(claims, dict):
            raise ValueError("the claims are no object")
        return claims

    def _key_set(self, *, fresh: bool = False) -> tuple[Key, ...]:
        now, provider = self._clock(), self._provider()
        with self._lock:
            kept = self._keys
        if kept is not None and timedelta(0) <= now - kept[0] < (_ASK_AGAIN if fresh else _KEPT):
            return kept[1]
        try:
            if not (keys := tuple(usable(self._get(provider.keys)["keys"], of=provider.keys))):
                raise ValueError("no key that is known here")
        except (KeyError, TypeError, ValueError) as error:
            _log.error("oidc_keys_unusable", error=type(error).__name__, detail=str(error)[:200])
            raise ProviderAway("The identity provider publishes no usable keys.") from error
        with self._lock:
            self._keys = (now, keys)
        return keys

    def _provider(self) -> _Known:
        """One asks and the others wait for the answer; that it failed is remembered for some seconds."""
        with self._asking:
            known, now = self._known, self._clock()
            if known is not None and timedelta(0) <= now - known.at < _KEPT:
                return known
            if self._failed is not None and timedelta(0) <= now - self._failed[0] < _NOT_AGAIN:
                raise ProviderAway(str(self._failed[1]))
            try:
                self._known = self._discovered()
            except ProviderAway as error:
                self._failed = (now, error)
                raise
            return self._known

    def _discovered(self) -> _Known:
        told = self._get(f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            if told["issuer"] != self._client.issuer:
                raise ValueError(f"it calls itself {told['issuer']!r}")
            return _Known(
                authorize=_same_safety(self._client.issuer, told["authorization_endpoint"]),
                token=_same_safety(self._client.issuer, told["token_endpoint"]),
                keys=_same_safety(self._client.issuer, told["jwks_uri"]),
                names_itself=told.get("authorization_response_iss_parameter_supported") is True,
                signs=tuple(map(str, told.get("id_token_signing_alg_values_supported") or ())),
                takes=tuple(map(str, told.get("token_endpoint_auth_methods_supported") or (_BASIC,))),
                at=self._clock(),
            )
        except (KeyError, TypeError, ValueError) as error:
            _log.error("oidc_discovery_failed", detail=str(error)[:200])
            raise ProviderAway("The identity provider does not describe itself as configured.") from error

    def _get(self, url: str) -> Any:
        try:
            got = self._http.get(url, headers={"accept": "application/json"})
            got.raise_for_status()
            return got.json()
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            _log.error("oidc_unreachable", url=url, error=type(error).__name__)
            raise ProviderAway("The identity provider cannot be reached. Try again in a moment.") from error


def _same_safety(issuer: str, url: str) -> str:
    """An address that the provider names; over https if it is itself."""
    downgraded = issuer.startswith("https://") and not str(url).startswith("https://")
    if not isinstance(url, str) or downgraded or not is_private(url):
        raise ValueError(f"{url!r} is not as safe as the issuer")
    return url
