"""One deadline for a whole exchange with another machine, whichever library speaks.

httpx, smtplib and slack-sdk bound each read but not their sum: a banner, a header or a body that arrives byte by
byte could hold a thread for hours. What they share is the socket. Python tells of each that is being connected
(the auditing event `socket.connect`), and a timer shuts down what is still open at the end. Name resolution is the
operating system's and is not bounded, nor is a connection that was there before.
"""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

_own = threading.local()


@contextmanager
def within(timeout_s: float) -> Iterator[None]:
    """What this thread connects to is cut off after so many seconds; what fails of that is a TimeoutError. Of one
    exchange within another each has its own connections and its own time."""
    _listen()
    exchange, around = _Exchange(), getattr(_own, "exchange", None)
    timer = threading.Timer(timeout_s, exchange.cut_off)
    timer.daemon = True
    timer.start()
    _own.exchange = exchange
    try:
        yield
    except Exception as error:
        if exchange.over:
            raise TimeoutError(f"no whole answer within {timeout_s:g} s") from error
        raise
    finally:
        _own.exchange = around
        timer.cancel()
        exchange.close()


class _Exchange:
    """The connections of one exchange. TLS takes the socket of each over, so a second handle on it is kept."""

    def __init__(self) -> None:
        self.over = False
        self._handles: list[socket.socket] = []
        self._lock = threading.Lock()

    def connects(self, opened: socket.socket) -> None:
        with self._lock:
            if self.over:
                raise TimeoutError("the deadline has passed")
            self._handles.append(opened.dup())

    def cut_off(self) -> None:
        with self._lock:
            self.over = True
            for handle in self._handles:
                with suppress(OSError):  # it is connected no more, or the exchange has just ended
                    handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            for handle in self._handles:
                handle.close()


@cache
def _listen() -> None:
    sys.addaudithook(_heard)


def _heard(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and (exchange := getattr(_own, "exchange", None)) is not None:
        exchange.connects(args[0])
