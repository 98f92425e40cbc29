"""What the monitor's small HTTP faces have in common."""

import errno
import hmac
import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from guardian.errors import ConfigurationError, PlaceAway
from guardian.stream.settle import sketch
from guardian.telemetry import logger

_log = logger("stream")

_PATIENCE_S = 30.0
_MOST_AT_ONCE = 128
_LASTING = (errno.EACCES, errno.EAFNOSUPPORT, socket.EAI_NONAME)


def not_listening(error: OSError, host: str, port: int, *, setting: str) -> ConfigurationError:
    """What is wrong with the `setting` of a port, or with that of its host. PlaceAway where waiting may mend it:
    who had the port may be ending, and an address or what resolves names may come late."""
    taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
    name = setting if taken else setting.removesuffix("port") + "host"
    way = "choose another port" if taken else "name an address of this machine"
    kind = ConfigurationError if error.errno in _LASTING else PlaceAway
    return kind(f"{name}: cannot listen on {host}:{port}: {error.strerror}; {way}")


class Face(BaseHTTPRequestHandler):
    """A request handler that checks a bearer token and answers with a whole body."""

    content_type: ClassVar[str]

    def _bears(self, token: str) -> bool:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, f"Bearer {token}".encode())

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": self.content_type}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""


class _Server(ThreadingHTTPServer):
    """Takes a bounded number of connections at a time: a further one gets the place of the oldest, so that nobody
    who holds many keeps others out, and the process keeps descriptors and threads for its own work."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, face: type[Face]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._open: dict[Any, None] = {}
        self._lock = threading.Lock()
        super().__init__((host, port), face)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._open) >= _MOST_AT_ONCE:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with suppress(OSError):  # its peer is gone
                    oldest.shutdown(socket.SHUT_RDWR)
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, *_: Any) -> None:
        """That a peer is gone is told nobody: whoever connects could fill the log."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            _log.error("page_failed", **sketch(error))


class Listener:
    """Listens from construction, in a thread of its own. Raises ConfigurationError, naming the `setting`, where it
    cannot. A client that connects and says nothing is dropped after `_PATIENCE_S`."""

    def __init__(self, host: str, port: int, face: type[Face], *, name: str, setting: str) -> None:
        face.timeout = _PATIENCE_S
        try:
            self._server = _Server(host, port, face)
        except OSError as error:
            raise not_listening(error, host, port, setting=setting) from error
        threading.Thread(target=self._server.serve_forever, name=name, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
