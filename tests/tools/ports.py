"""A port for a server that is started later, or in another process, or twice."""

import socket


def reserve() -> socket.socket:
    """Bound to a free port of this machine, which nobody else is given until it is closed.

    It does not listen, so whoever connects is refused, and a server that sets SO_REUSEADDR, as servers do, may.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def port_of(held: socket.socket) -> int:
    return int(held.getsockname()[1])
