"""What guardian calls a session, where that is not what the gateway calls it. The client looks sessions up by
`session_name` itself; whoever asks in another way asks for these names."""

import hashlib
import re
from typing import TypeGuard

_ODD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_WINDOW = "window:"


def is_name(given: object) -> TypeGuard[str]:
    """Whether a revocation can hold it: 1 to 512 characters, among them no control character."""
    if not isinstance(given, str) or not 0 < len(given) <= 512:
        return False
    return given.isprintable() or _ODD.search(given) is None  # nearly all are, and that is told sooner


def known_as(given: object) -> str | None:
    """What guardian calls the session; None where that is nothing at all."""
    try:
        return session_name(given) if isinstance(given, str) else None
    except ValueError:
        return None


def session_name(said: str) -> str:
    """The same name; of one that no revocation can hold, `sha256:` and the SHA-256 of its UTF-8, in hex.

    Raises ValueError for one that is empty or no text.
    """
    if is_name(said):
        return said
    if not said:
        raise ValueError("a session without a name")
    kind = _WINDOW if said.startswith(_WINDOW) else ""
    return f"{kind}sha256:{hashlib.sha256(said.encode()).hexdigest()}"


def window_name(agent: str | None, user: str | None) -> str:
    """The session of an agent and a user in a log that names none: `window:AGENT|USER`, where `-` is who is not
    known, and `%` and `|` within a name are `%25` and `%7C`.

    >>> window_name("invoice-bot", "auth0|5f7c"), window_name(None, "maya")
    ('window:invoice-bot|auth0%7C5f7c', 'window:-|maya')
    """
    agent, user = (_escaped(name or "-") for name in (agent, user))
    return session_name(f"{_WINDOW}{agent}|{user}")


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("|", "%7C")
