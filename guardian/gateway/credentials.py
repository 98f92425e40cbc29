"""Who asks: the token, and this process among those of the gateway."""

import hashlib
from collections.abc import Callable, Mapping

from .reading import Refused


class Credentials:
    """Who asks: the token of the moment, and the name of this process among those of the gateway."""

    def __init__(self, token: str | Callable[[], str], instance: str) -> None:
        if len(instance) > 128 or not all("!" <= char <= "~" for char in instance):
            raise ValueError(f"instance must be at most 128 visible ASCII characters; got {instance!r}")
        self._token = token if callable(token) else lambda: token
        self.instance = instance

    def headers(self) -> dict[str, str]:
        """Raises Refused for a token that no header could carry, and whatever the token's function raises."""
        return {
            "Accept": "application/json",
            "Cache-Control": "no-cache",
            "Authorization": _bearer(self._token()),
            "Guardian-Instance": self.instance,
        }


def asker(headers: Mapping[str, str]) -> str:
    """Tells tokens apart where the token itself must not be kept."""
    return hashlib.sha256(headers["Authorization"].encode()).hexdigest()[:32]


def _bearer(token: str) -> str:
    """Raises Refused for a token that no header could carry, without quoting it."""
    token = token.strip()  # of the line break at the end of its file
    if not token or not all("!" <= char <= "~" for char in token):
        raise Refused("token_unusable", "it is empty or has characters that no bearer token has")
    return "Bearer " + token
