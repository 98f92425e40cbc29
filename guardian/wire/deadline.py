"""One deadline, and one bound, for a whole exchange over HTTP, on connections that are kept for the next one.

httpx bounds each read but not their sum, so a body or a header that arrives byte by byte could hold a thread for
hours. With httpcore, the layer below, every read can be given the time that is left. Name resolution is the
operating system's and is not bounded: use an address, or a host in /etc/hosts.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpcore
import httpx

from guardian.wire.trust import Shown, Trust

_MOST_BYTES = 2**20
_LEAST_S = 0.001  # a time-out of zero would mean "do not wait", a negative one is an error


class BoundedClient(httpx.Client):
    """httpx's client, whose whole exchange may take `total_s`, or else no longer than the request's read time-out,
    and whose answer may have `most_bytes` with its head.

    What comes late is an httpx.TimeoutException, too much an httpx.ReadError, and a packed answer, which is not
    unpacked because it may have any size, an httpx.DecodingError. Over http no proxy is asked: secrets go that way
    to this machine and within private networks, and it would read them. The proxy for https, the CAs and all else
    are as httpx has them, but for a file of CAs in `ca`. When files of CAs change they are read anew, and no
    connection of before is used again; likewise those of `certificate`, which is shown to who asks for one.
    """

    def __init__(
        self,
        *,
        total_s: float | None = None,
        most_bytes: int = _MOST_BYTES,
        certificate: Shown | None = None,
        ca: Path | None = None,
        **options: Any,
    ) -> None:
        trust = Trust(certificate, ca=ca)
        told = options | {"verify": trust.first}
        super().__init__(mounts={"http://": None}, headers={"Accept-Encoding": "identity"}, **told)
        self._total_s, self._most_bytes = total_s, most_bytes
        self._network = Deadline(time.monotonic, trust)
        for way in (self._transport, *self._mounts.values()):  # straight, and through each proxy
            if isinstance(way, httpx.HTTPTransport):
                way._pool._network_backend = self._network  # httpcore takes one, which httpx does not hand on

    def send(self, request: httpx.Request, *, stream: bool = False, **how: Any) -> httpx.Response:
        self._network.begin(self._total_s or request.extensions["timeout"]["read"], self._most_bytes)
        answer = super().send(request, stream=True, **how)
        if not stream:
            with closing(answer):
                if answer.headers.get("content-encoding", "").lower() not in ("", "identity"):
                    raise httpx.DecodingError("the answer is packed, which nobody asked for", request=request)
                answer.read()
        return answer


class Deadline(httpcore.NetworkBackend):
    """The network, with one deadline and one bound in bytes for all that this thread does since `begin`."""

    def __init__(self, clock: Callable[[], float], trust: Trust | None = None) -> None:
        self._clock, self._trust = clock, trust
        self._own = threading.local()
        self._below = httpcore.SyncBackend()

    def begin(self, timeout_s: float, most_bytes: int = _MOST_BYTES) -> None:
        self._own.ends, self._own.room = self._clock() + timeout_s, most_bytes

    def left(self, error: type[httpcore.TimeoutException], most: float | None) -> float:
        """How long the next step may take, in seconds: never more than `most`. Raises `error` when time is up."""
        left = float(self._own.ends - self._clock())
        if left <= _LEAST_S:
            raise error("the deadline has passed")
        return left if most is None else min(left, most)

    def took(self, size: int) -> None:
        """Raises httpcore.ReadError when that is too much."""
        self._own.room -= size
        if self._own.room < 0:
            raise httpcore.ReadError("the answer is too long")

    def newest(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """What to use in place of this one, which httpx was given. A proxy's own stays as it is."""
        return context if self._trust is None or context is not self._trust.first else self._trust.context()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> "_Bounded":
        """The first of the host's addresses that answers; each has its share of what is left when its turn
        comes."""
        failed: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError("the name has no address")
        addresses = _addresses(host, port)
        for before, address in enumerate(addresses):
            share = self.left(httpcore.ConnectTimeout, None) / (len(addresses) - before)
            most = share if timeout is None else min(share, timeout)
            try:
                return _Bounded(self._below.connect_tcp(address, port, most, local_address, socket_options), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # with the scope of a link-local one, which is not in its text
        return [socket.getnameinfo(place, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0] for *_, place in found]
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error


class _Bounded(httpcore.NetworkStream):
    def __init__(
        self, stream: httpcore.NetworkStream, network: Deadline, current: Callable[[], bool] = lambda: True
    ) -> None:
        self._stream, self._network, self._current = stream, network, current

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        piece = self._stream.read(max_bytes, self._network.left(httpcore.ReadTimeout, timeout))
        self._network.took(len(piece))
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.left(httpcore.WriteTimeout, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Bounded":
        left, newest = self._network.left(httpcore.ConnectTimeout, timeout), self._network.newest(ssl_context)
        stream = self._stream.start_tls(newest, server_hostname, left)
        return _Bounded(stream, self._network, lambda: self._network.newest(ssl_context) is newest)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and not self._current():  # by that httpcore knows a kept connection that is over
            return True
        return self._stream.get_extra_info(info)
