"""Where a secret may be sent: over TLS, or no farther than this machine.

Every address outside guardian that gets a secret must pass this. Between guardian's own processes (`control.url`,
`advice.url`) a private network may stand in for TLS: there `guardian doctor` only warns.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_here(host: str) -> bool:
    """Whether the host is this machine: `localhost`, 127.0.0.0/8, `::1`. No name is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent to this URL: https, or http to this machine.

    A user name before the host is no host (`http://127.0.0.1@evil.example`); over http there must be none at all.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "http":
        return "@" not in parts.netloc and is_here(host)
    return parts.scheme == "https" and bool(host)


def origin(url: str) -> str:
    """What may be told of a URL: scheme, host and port. User, path and query may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
