"""A small OpenID Connect provider on a real socket: it signs what it says, and checks what it is asked.

`claims` is what it says of whoever signs in. A test makes it misbehave by changing `wrong`.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey

CLIENT, SECRET = "guardian", "a secret of the provider's"


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
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "OidcProvider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def rotate(self, key: Any = None, algorithm: str = "ES256") -> None:
        """Sign with a fresh key from now on; only that one is published."""
        self.key = key or ECKey.generate_key("P-256", parameters={"kid": secrets.token_hex(4)})
        self.algorithm = algorithm

    def _handler(provider) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                told = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(told.query).items()}
                match told.path:
                    case "/.well-known/openid-configuration":
                        self._json(200, provider._discovery())
                    case "/keys":
                        self._json(200, {"keys": [*provider.beside, provider.key.as_dict(private=False)]})
                    case "/authorize":
                        self.send_response(302)
                        self.send_header("location", provider._authorized(query))
                        self.send_header("content-length", "0")
                        self.end_headers()
                    case _:
                        self._json(404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self._json(*provider._exchanged(form, self.headers.get("authorization", "")))

            def _json(self, status: int, body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        return Handler

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

    def _exchanged(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self._codes.pop(form.get("code", ""), None)
        shown = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if [unquote_plus(each) for each in shown] != [CLIENT, SECRET]:
            return self._refused("invalid_client")
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        told = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != told or asked["redirect_uri"] != form.get("redirect_uri"):
            return self._refused("invalid_grant")
        self.exchanges.append("done")
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self._id_token(asked["nonce"])}

    def _refused(self, error: str) -> tuple[int, dict[str, Any]]:
        self.exchanges.append(error)
        return 400, {"error": error}

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
