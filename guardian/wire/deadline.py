"""A network on which everything that one question does shares one deadline.

httpx bounds each read but not their sum, so a body or a header that arrives byte by byte could hold up the control
API for hours. With httpcore, the layer below, every read can be given the time that is left. Name resolution is
the operating system's and is not bounded: use an address, or a host in /etc/hosts.
"""

import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

_LEAST_S = 0.001  # a time-out of zero would mean "do not wait", a negative one is an error


class Deadline(httpcore.NetworkBackend):
    """The network, with one deadline for everything that this thread does since `begin`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._own = threading.local()
        self._below = httpcore.SyncBackend()

    def begin(self, timeout_s: float) -> None:
        self._own.ends = self._clock() + timeout_s

    def left(self, error: type[httpcore.TimeoutException]) -> float:
        left = float(self._own.ends - self._clock())
        if left <= _LEAST_S:
            raise error("the deadline has passed")
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> "_Bounded":
        del timeout
        left = self.left(httpcore.ConnectTimeout)
        return _Bounded(self._below.connect_tcp(host, port, left, local_address, socket_options), self)


class _Bounded(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, network: Deadline) -> None:
        self._stream, self._network = stream, network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._stream.read(max_bytes, self._network.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, self._network.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Bounded":
        del timeout
        left = self._network.left(httpcore.ConnectTimeout)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left), self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
