"""The way to the control API: kept-alive connections that follow no redirect, so the token goes nowhere else."""

import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from .reading import Refused

Event = tuple[str, list[bytes]]
"""Name and data lines of a server-sent event; its id stands in the data too."""
_BEATS = 1.25  # within so many heartbeats a stream must have been heard
_LONGER = 1.1  # than the silence, and the list is not stale yet
_SLOWEST = 64 * 1024  # bytes a second of a body that is still waited for
_GONE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class Server:
    """One connection for questions; another one may be held open for a stream. `abort` ends all for good."""

    def __init__(
        self,
        url: str,
        *,
        allow_http: bool,
        context: ssl.SSLContext | None,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        strange = "@" in parts.netloc or parts.query or parts.fragment
        if parts.scheme not in ("https", "http") or not host or strange:
            raise ValueError(
                f"url must be https://host[:port][/path], without user or query; its host is {host!r}"
            )
        if parts.scheme == "http" and not allow_http and not _loopback(host):
            raise ValueError(
                f"http to {host!r} would show the token to the network: use https, or allow_http=True"
            )
        self.name = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._path = parts.path.rstrip("/").removesuffix("/v1/revocations") + "/v1/revocations"
        self._secure, self._host = parts.scheme == "https", host
        self._port = parts.port or (443 if self._secure else 80)  # http.client would look for one in the host
        self._context = context
        self._max_bytes, self._clock = max_bytes, clock
        self._connection: http.client.HTTPConnection | None = None
        self._streaming: socket.socket | None = None
        self._aborted = False

    def get(self, query: Mapping[str, str], headers: Mapping[str, str], timeout: float) -> "Answered":
        """What the server says of the list. Raises Refused for a body that cannot be unpacked."""
        asked = {"Accept-Encoding": "gzip", **headers}
        answer = self._ask("GET", "?" + urlencode(query) if query else "", asked, timeout, None)
        coding = header(answer.headers, "Content-Encoding").lower()
        if coding in ("", "identity"):
            return answer
        if coding != "gzip":
            raise Refused("unasked_coding")
        return answer._replace(body=self._unpacked(answer.body))

    def _unpacked(self, body: bytes) -> bytes:
        """Never more than the bound: a small answer must not fill the memory."""
        packed = zlib.decompressobj(wbits=31)
        try:
            content = packed.decompress(body, self._max_bytes + 1)
        except zlib.error:
            raise Refused("malformed", "not gzip") from None
        if len(content) > self._max_bytes:
            raise Refused("too_long", f"more than {self._max_bytes} bytes when unpacked")
        if not packed.eof or packed.unused_data:
            raise Refused("cut_short", "the gzipped answer has no end, or more than one")
        return content

    def acknowledge(self, body: bytes, headers: Mapping[str, str], timeout: float) -> int:
        """The status of the answer to an acknowledgement."""
        sent = {**headers, "Content-Type": "application/json"}
        return self._ask("POST", "/ack", sent, timeout, body).status

    def events(self, headers: Mapping[str, str], connect_s: float, silence_s: float) -> Iterator[Event | None]:
        """Server-sent events until the stream ends, and None for any line that ends none, such as a comment.

        Raises Refused unless it is a stream whose first event comes within `connect_s`, or when nothing comes for
        `silence_s`, or nothing whole for a little longer; OSError when it cannot be reached or is cut.
        """
        connection = self._open(connect_s)
        connection.connect()
        sock = self._streaming = connection.sock  # an answer that ends by closing makes `connection` forget it
        try:
            if self._aborted:
                raise Refused("stopped")
            with _in_time(sock, 2 * connect_s, "its head"):
                connection.request("GET", self._path + "/stream", headers=dict(headers))
                answer = connection.getresponse()
            if answer.status != 200:
                raise Refused(f"http_{answer.status}", "the server does not stream to us")
            if not (answer.getheader("Content-Type") or "").startswith("text/event-stream"):
                raise Refused("no_stream", "something between us and the server does not stream")
            if _seconds(answer.getheader("Guardian-Heartbeat")) > silence_s / _BEATS:
                raise Refused("slow_stream", "its heartbeats are too far apart for max_stale_s")
            events = self._parsed(answer)
            while True:
                with _in_time(sock, _LONGER * silence_s, "a whole event"):
                    try:
                        event = next(events)
                    except StopIteration:
                        return
                if event is not None:
                    sock.settimeout(silence_s)
                yield event
        except TimeoutError:
            raise Refused("held_back", "the stream was asked for, and nothing of it comes") from None
        finally:
            self._streaming = None
            connection.close()

    def _parsed(self, answer: http.client.HTTPResponse) -> Iterator[Event | None]:
        name, data, size = "message", list[bytes](), 0
        while line := answer.readline(self._max_bytes + 1):
            size += len(line)
            if size > self._max_bytes:
                raise Refused("too_long", f"an event of more than {self._max_bytes} bytes")
            field, _, value = line.rstrip(b"\r\n").partition(b":")
            value = value.removeprefix(b" ")
            match field:
                case b"event":
                    name = value.decode("utf-8", "replace")
                case b"data":
                    data.append(value)
                case b"" if not line.strip():  # also without data the event is over, and its name with it
                    yield (name, data) if data else None
                    name, data, size = "message", [], 0
                case _:
                    yield None
        if self._aborted:
            raise Refused("stopped")

    def _ask(
        self, method: str, tail: str, headers: Mapping[str, str], timeout: float, body: bytes | None
    ) -> "Answered":
        """Ask once more, on a new connection, if the server has closed the kept one. An error closes it too."""
        kept = self._connection is not None
        try:
            return self._exchange(method, tail, headers, timeout, body)
        except Exception as error:
            self.drop()
            if not kept or self._aborted or not isinstance(error, _GONE):
                raise
        return self._ask(method, tail, headers, timeout, body)

    def _exchange(
        self, method: str, tail: str, headers: Mapping[str, str], timeout: float, body: bytes | None
    ) -> "Answered":
        deadline = time.monotonic() + timeout  # a socket's own time-out starts again with every byte
        connection = self._connection
        if connection is None:
            connection = self._connection = self._open(timeout)
        if connection.sock is None:
            connection.timeout = timeout
            connection.connect()
        sock = connection.sock  # an answer that ends by closing makes `connection` forget it
        sock.settimeout(timeout)
        if self._aborted:
            raise Refused("stopped")
        with _in_time(sock, 2 * timeout, "its head"):
            connection.request(method, self._path + tail, body=body, headers=dict(headers))
            answer = connection.getresponse()
        began, content, more = self._clock(), bytearray(), True
        while more:
            so_far = len(content)
            with _in_time(sock, 2 * timeout + 1, "more of it"):  # the size of a chunk can come in drops too
                while more and len(content) < so_far + _SLOWEST:
                    chunk = answer.read1(65536)
                    if more := bool(chunk):
                        content += chunk
                        self._check(content, deadline, timeout)
        if answer.length:  # read1 ends quietly where the connection does
            raise Refused("cut_short", f"{answer.length} bytes are missing")
        answer.close()  # read1 leaves it open, and an open answer blocks the kept connection
        took_s = max(0.0, self._clock() - began)
        return Answered(answer.status, dict(answer.getheaders()), bytes(content), took_s)

    def _check(self, content: bytearray, deadline: float, timeout: float) -> None:
        """Raises Refused where no more is to be read of a body that began so."""
        if self._aborted:
            raise Refused("stopped")
        if len(content) > self._max_bytes:
            raise Refused("too_long", f"more than {self._max_bytes} bytes")
        if time.monotonic() > deadline + len(content) / _SLOWEST:
            said = f"not all of it came within {timeout:g} s, and one more for each 64 KiB"
            raise Refused("too_slow", f"{said}: over a slow link raise timeout_s")

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        if self._secure:  # for each connection the CAs are read anew: they change, and connections are kept
            context = self._context or ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, context=context, timeout=timeout)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def abort(self) -> None:
        """Wake a thread that waits for an answer or an event, for good."""
        self._aborted = True
        for sock in self._sockets():
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def leave(self) -> None:
        """In a forked child, where the connections are the parent's: let go of their sockets without a word on
        them. Closing them in order could wait for a lock of a thread that was not forked."""
        for sock in self._sockets():
            with suppress(OSError):
                os.close(sock.detach())
        self._connection = self._streaming = None

    def _sockets(self) -> list[socket.socket]:
        connection = self._connection  # another thread may drop it meanwhile
        kept = None if connection is None else connection.sock
        return [sock for sock in (kept, self._streaming) if sock is not None]


@contextmanager
def _in_time(sock: socket.socket, most_s: float, what: str) -> Iterator[None]:
    """Cuts off what comes in drops, and raises Refused: a socket's own time-out begins anew at every byte.

    It waits longer than that one, which finds a server that says nothing, and which must do where no thread can be
    started: for the good-bye when Python 3.12 ends.
    """
    over = threading.Event()

    def cut_off() -> None:
        over.set()
        with suppress(OSError):  # it is connected no more
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(most_s, cut_off)
    timer.daemon = True
    with suppress(RuntimeError):
        timer.start()
    try:
        yield
    except Exception:
        if not over.is_set():
            raise
    finally:
        timer.cancel()
    if over.is_set():  # also where the end of half a head passed for the end of a whole one
        raise Refused("too_slow", f"{what} did not come within {most_s:g} s")


def _seconds(told: str | None) -> float:
    """0 where nothing is told that can be read."""
    try:
        return float(told or 0)
    except ValueError:
        return 0.0


Got = dict[str, str]


class Answered(NamedTuple):
    """An answer, and for how many seconds its body came after its head: it says how things stood before those."""

    status: int
    headers: Got
    body: bytes
    took_s: float


def header(got: Got, name: str) -> str:
    """A header of an answer, whatever its capitals; empty when absent."""
    return next((value for key, value in got.items() if key.lower() == name.lower()), "")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
