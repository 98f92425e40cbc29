"""The socket that the control API listens on."""

import resource
import socket

from guardian.stream.http_server import not_listening

BACKLOG = 256
"""Connections that wait to be taken; asyncio takes as many at a time."""

_UNREAD_S = 30.0
_MOST_FILES, _MOST_CONNECTIONS = 65_536, 10_000
_OWN_FILES = 256


def connections() -> int:
    """How many connections this process has descriptors for, beside its own files and those that are being taken.
    Raises its soft limit first: systemd and shells set 1,024, for programs that could not use more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    spare = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return min(max(spare - BACKLOG - _OWN_FILES, spare // 4), _MOST_CONNECTIONS)


def listen(host: str, port: int, *, unread_s: float = _UNREAD_S) -> socket.socket:
    """Raises ConfigurationError where that cannot be had. Port 0 takes a free one. A peer that takes nothing of
    what it is told for `unread_s` seconds is cut off: uvicorn waits for it for ever."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by its name: asyncio sets TCP_NODELAY only where it is told that this is TCP, and without that
    # an answer's body waits 40 ms for the client's acknowledgement of its header.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it; each connection inherits it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(unread_s * 1000))
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise not_listening(error, host, port, setting="control.port") from error
    listener.listen(BACKLOG)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where this machine reaches it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - is compared, not listened on
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
