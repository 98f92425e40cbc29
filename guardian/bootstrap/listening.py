"""The socket that the control API listens on."""

import errno
import socket

from guardian.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """Raises ConfigurationError where that cannot be had. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by its name: asyncio sets TCP_NODELAY only where it is told that this is TCP, and without that
    # an answer's body waits 40 ms for the client's acknowledgement of its header.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        port_is_it = error.errno in (errno.EADDRINUSE, errno.EACCES)
        what, way = ("port", "choose another port") if port_is_it else ("host", "name an address of this machine")
        raise ConfigurationError(
            f"control.{what}: cannot listen on {host}:{port}: {error.strerror}; {way}"
        ) from error
    listener.listen(256)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where this machine reaches it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - is compared, not listened on
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
