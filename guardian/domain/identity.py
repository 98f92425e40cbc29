"""What tenants and sessions are called."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, StringConstraints

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name that other systems chose: bounded, and free of control characters."""

NO_SLASH = "a tenant's name has no slash: in a path it would name another tenant's session"


def _without_slash(name: str) -> str:
    if "/" in name:
        raise ValueError(f"{NO_SLASH}, got {name!r}")
    return name


TenantName = Annotated[Identifier, AfterValidator(_without_slash)]
"""What a tenant may be called where one is named for the first time: it is a segment of paths.

Models of what is stored take any Identifier: what was kept under another name before must still be readable.
"""

SessionName = Literal["gateway", "token", "conversation", "trace", "window"]
"""What a session is named after, in the order in which names are looked for."""

NAMELESS = "window:"
"""Begins what a session is called that is known by agent and user only: see `begins_anew`. In an archive,
which tells no more than the name, what is called so by anybody else is taken for one."""


class SessionKey(NamedTuple):
    """Everything is keyed by tenant and session together: two tenants may use the same session id."""

    tenant_id: str
    session_id: str

    @property
    def nameless(self) -> bool:
        """Whether it has no name of its own, so that one key may stand for several sessions, one after another."""
        return self.session_id.startswith(NAMELESS)


def begins_anew(last: datetime | None, at: datetime, *, idle: timedelta) -> bool:
    """Whether the call at `at` begins another session of a nameless key whose last call was at `last`."""
    return last is not None and at - last > idle
