"""What a session is called that its log names in no way an event can hold, or not at all. Gateways make the same
names by `guardian.gateway.names`."""

import hashlib

from guardian.domain.envelope import UNTOLD
from guardian.domain.identity import NAMELESS
from guardian.sources.facts import nameable
from guardian.sources.unread import unread_in


def known_as(said: object) -> str | None:
    """The name; the hash of one that is too long or has control characters in it, which is as good a name. None
    for what is no text, and for what could not be read whole."""
    if not isinstance(said, str) or not said:
        return None
    if nameable(said):
        return said
    try:
        digest = hashlib.sha256(said.encode()).hexdigest()
    except UnicodeEncodeError:
        return None
    return None if unread_in(said) else f"{NAMELESS if said.startswith(NAMELESS) else ''}sha256:{digest}"


def window(agent: str | None, user: str | None) -> str | None:
    """Named by agent and user; None where neither is known."""
    if agent is None and user is None:
        return None
    agent, user = (_escaped(name or UNTOLD) for name in (agent, user))
    return known_as(f"{NAMELESS}{agent}|{user}")


def _escaped(name: str) -> str:
    """Without the separator, so that no two pairs of names make the same session."""
    return name.replace("%", "%25").replace("|", "%7C")
