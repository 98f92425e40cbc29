"""What a database's URL says, and what of it people may see."""

import re
from contextlib import suppress

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from guardian.errors import ConfigurationError

_KINDS = ("sqlite", "postgresql")
_BEGINNING = re.compile("[^:@?]*(?::/*)?")  # of a URL: its scheme, if it has one
_SECRETS = ("password", "sslpassword", "oauth_client_secret")  # among PostgreSQL's options


def without_secrets(url: URL) -> str:
    """The URL as people may see it. PostgreSQL takes passwords among the options too."""
    return url.difference_update_query(_SECRETS).render_as_string(hide_password=True)


def parsed(url: str) -> URL:
    """Raises ConfigurationError for what guardian keeps nothing in. It shows only how that begins: in a mistyped
    URL the password may stand anywhere else."""
    target: URL | None = None
    with suppress(ArgumentError, ValueError):  # ValueError: its port is no number; a password may stand there
        target = make_url(url)
    if target is not None and target.get_backend_name() not in _KINDS:
        told = f"guardian keeps its data in SQLite or PostgreSQL, not in {target.get_backend_name()!r}"
        raise ConfigurationError(f"store: {told}; write sqlite:///path/to/file.db or postgresql+psycopg://…")
    if target is not None and "@" not in (target.host or ""):
        return target
    begins = next(_BEGINNING.finditer(url))[0]
    shown = begins if begins == url else f"{begins}***"
    raise ConfigurationError(
        f"store: {shown!r} is not a database URL; write sqlite:///path/to/file.db or "
        "postgresql+psycopg://user:password@host:port/name (a password's @ : / are %40 %3A %2F there)"
    )
