"""Where a secret may be sent: over TLS, or no farther than this machine.

Asked of every address outside guardian. Between its own processes (`control.url`, `advice.url`) a private network
may do what TLS would: there the doctor only says so.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_here(host: str) -> bool:
    """Whether this host is the machine itself: `localhost`, 127.0.0.0/8, `::1`. No name is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_private(url: str) -> bool:
    """Whether nobody between can read what is sent to this URL: https, or http to this machine.

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
