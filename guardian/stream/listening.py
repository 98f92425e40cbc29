"""What the monitor's small HTTP faces have in common."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from guardian.errors import ConfigurationError

_PATIENCE_S = 30.0


class Listener:
    """Listens from construction, in a thread of its own. Raises ConfigurationError that names the `setting`. Who
    connects and says nothing holds a thread for `_PATIENCE_S`, no longer."""

    def __init__(
        self, host: str, port: int, face: type[BaseHTTPRequestHandler], *, name: str, setting: str
    ) -> None:
        face.timeout = _PATIENCE_S

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        try:
            self._server = Server((host, port), face)
        except OSError as error:
            raise ConfigurationError(f"{setting}: cannot listen on {host}:{port}: {error.strerror}") from error
        threading.Thread(target=self._server.serve_forever, name=name, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
