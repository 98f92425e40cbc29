"""The monitor's own small HTTP face: /healthz and /readyz for everyone, /metrics for who knows the token."""

import hmac
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler

from guardian.errors import ConfigurationError
from guardian.stream.listening import Listener
from guardian.telemetry import Metrics


class HealthServer(Listener):
    """Listens from construction; `troubles` says what keeps the monitor from its work right now, nothing if it is
    ready. Everybody may read that."""

    def __init__(
        self, host: str, port: int, *, metrics: Metrics, troubles: Callable[[], Sequence[str]], token: str
    ) -> None:
        if not token:
            raise ConfigurationError("the health page's token is empty; an empty token would open /metrics to all")
        wanted = f"Bearer {token}".encode()

        class Face(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                match self.path:
                    case "/healthz":
                        self._answer(200, b"ok\n")
                    case "/readyz":
                        if found := troubles():
                            self._answer(503, f"not ready: {'; '.join(found)}\n".encode())
                        else:
                            self._answer(200, b"ready\n")
                    case "/metrics":
                        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
                        if hmac.compare_digest(given, wanted):
                            self._answer(200, metrics.render())
                        else:
                            self._answer(401, b"unauthorized\n")
                    case _:
                        self._answer(404, b"not found\n")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", "Bearer")
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Health checks are not news."""

        super().__init__(host, port, Face, name="guardian-health", setting="monitor.health_port")
