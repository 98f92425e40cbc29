"""A small OpenID Connect provider on a real socket: it signs what it says, and checks what it is asked.

`claims` is what it says of whoever signs in. A test makes it misbehave by changing `wrong`.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Self
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey
from serving import Asked, Reply, answering

CLIENT, SECRET = "guardian", "a secret of the provider's"


def _first(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


class OidcProvider:
    """Use as a context manager; `issuer` is its address."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.claims: dict[str, Any] = {"sub": "00u1", "email": "maya@acme.example", "email_verified": True}
        self.wrong: dict[str, Any] = {}
        self.header: dict[str, Any] = {}  # what an id token's says besides
        self.beside: list[dict[str, Any]] = []  # keys that are published before the one that signs
        self.exchanges: list[str] = []  # what became of each request to the token endpoint
        self.rotate()
        self._codes: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        self._open = ExitStack()
        self.issuer = self._open.enter_context(answering(self._answer)).url
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def rotate(self, key: Any = None, algorithm: str = "ES256") -> None:
        """Sign with a fresh key from now on; only that one is published."""
        self.key = key or ECKey.generate_key("P-256", parameters={"kid": secrets.token_hex(4)})
        self.algorithm = algorithm

    def _answer(self, asked: Asked) -> Reply:
        told = urlsplit(asked.path)
        match told.path:
            case "/.well-known/openid-configuration":
                return Reply(self._discovery())
            case "/keys":
                return Reply({"keys": [*self.beside, self.key.as_dict(private=False)]})
            case "/authorize":
                return Reply(status=302, headers=(("Location", self._authorized(_first(told.query))),))
            case "/token":
                form = _first(asked.body.decode())
                return self._exchanged(form, asked.headers.get("Authorization", ""))
        return Reply({}, 404)

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
        } | self.wrong.get("discovery", {})

    def _authorized(self, query: dict[str, str]) -> str:
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer} | self.wrong.get("answer", {})
        return f"{query['redirect_uri']}?{urlencode({name: each for name, each in answer.items() if each})}"

    def _exchanged(self, form: dict[str, str], authorization: str) -> Reply:
        asked = self._codes.pop(form.get("code", ""), None)
        by = self._discovery().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in by:
            shown = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
            shown = [unquote_plus(each) for each in shown]
        else:
            shown = [form.get("client_id", ""), form.get("client_secret", ""), *filter(None, [authorization])]
        if shown != [CLIENT, SECRET]:
            return self._refused("invalid_client")
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        told = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != told or asked["redirect_uri"] != form.get("redirect_uri"):
            return self._refused("invalid_grant")
        self.exchanges.append("done")
        return Reply(
            {"access_token": "opaque", "token_type": "Bearer", "id_token": self._id_token(asked["nonce"])}
        )

    def _refused(self, error: str) -> Reply:
        self.exchanges.append(error)
        return Reply({"error": error}, 400)

    def _id_token(self, nonce: str) -> str:
        now = int(self._clock().timestamp())
        claims = {"iss": self.issuer, "aud": CLIENT, "nonce": nonce, "iat": now, "exp": now + 300} | self.claims
        claims |= self.wrong.get("claims", {})
        key: Any = self.key
        algorithm = self.wrong.get("algorithm", self.algorithm)
        if algorithm == "none":
            body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
            return base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + f".{body}."
        if algorithm == "HS256":  # with the public key for a secret, as old libraries fell for
            key = OctKey.import_key(json.dumps(self.key.as_dict(private=False)))
        elif self.wrong.get("stranger"):
            key = ECKey.generate_key("P-256", parameters={"kid": self.key.kid})
        head = {"alg": algorithm, "kid": self.key.kid} | self.header
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        return jwt.encode({name: each for name, each in head.items() if each}, claims, key, registry=registry)
