"""SASL OAUTHBEARER: the client's access token comes from a token endpoint, or a file that somebody renews."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from kafka.net.sasl.oauth import AbstractTokenProvider

from guardian.domain.urls import is_private, origin
from guardian.errors import ConfigurationError
from guardian.wire.basic import client_auth
from guardian.wire.deadline import BoundedClient

_TIMEOUT_S = 5.0
_EARLY_S = 60.0
_SHORTEST_S = 5.0
_SHARED_S = 30.0
_LONGEST_TOKEN = 65_536


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """The OAuth 2.0 client-credentials grant (RFC 6749, 4.4). Connections that are made at about the same time
    share a token. A later one gets a new one, because nobody says whether the broker still takes the old; that is
    used, until a minute before its end, where no new one can be had.

    `clock` is monotonic, in seconds. Raises ConnectionError, which the Kafka client treats as a failed connection
    and retries; its text holds no secret, nothing of the answer, and of the URL no more than the host.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        if not is_private(token_url):
            raise ConfigurationError("kafka.oauth.token_url: a secret goes there; it must be https")
        self._url, self._client_id, self._secret, self._scope = token_url, client_id, client_secret, scope
        self._host = origin(token_url)
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._shared_until = self._until = float("-inf")

    def token(self) -> str:
        """A token that is valid now."""
        with self._lock:
            if self._clock() >= min(self._shared_until, self._until):
                try:
                    self._renew()
                except ConnectionError:
                    if self._clock() >= self._until:
                        raise
                self._shared_until = self._clock() + _SHARED_S
            return self._token

    def _renew(self) -> None:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        try:
            with BoundedClient(timeout=_TIMEOUT_S) as http:
                answer = http.post(self._url, data=form, auth=client_auth(self._client_id, self._secret))
            answer.raise_for_status()
            body = answer.json()
            token, lasts = str(body["access_token"]), float(body.get("expires_in", 300))
        except httpx.HTTPStatusError as error:
            raise ConnectionError(f"kafka.oauth: {self._host} answered {error.response.status_code}") from None
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ConnectionError(f"kafka.oauth: no token from {self._host}: {type(error).__name__}") from None
        self._token = token
        self._until = self._clock() + max(_SHORTEST_S, lasts - _EARLY_S)


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """A file with the token (a projected service-account token). It is read for each connection, so a renewed
    token is used."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        """What the file holds now."""
        try:
            return self._path.read_text(encoding="ascii")[:_LONGEST_TOKEN].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConnectionError(f"kafka.oauth: cannot read {self._path}: {type(error).__name__}") from None
