"""The adviser's HTTP face on the monitor: one route, one token, for control alone."""

import hmac
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from guardian.errors import AdviserError, ConfigurationError
from guardian.stream.advising import MAX_BYTES
from guardian.stream.listening import Listener
from guardian.telemetry import logger
from guardian.wire.advice import Weighing

_log = logger("advice")


class AdviceServer(Listener):
    """Listens from construction. `weigh` is the adviser's; the caller's patience is `budget_s`."""

    def __init__(
        self, host: str, port: int, *, weigh: Callable[[bytes, float], Weighing], token: str, budget_s: float
    ) -> None:
        if not token:
            raise ConfigurationError("the adviser's token is empty; an empty token would let everybody ask")
        wanted = f"Bearer {token}".encode()

        class Face(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BYTES:
                    self.close_connection = True
                    return self._answer(413, b"")
                line = self.rfile.read(int(length))
                given = self.headers.get("Authorization", "").encode("utf-8", "replace")
                if not hmac.compare_digest(given, wanted):
                    return self._answer(401, b"")
                if self.path != "/weigh":
                    return self._answer(404, b"")
                try:
                    body = weigh(line, budget_s).model_dump_json().encode()
                except AdviserError:
                    return self._answer(503, b"")
                except Exception as error:  # a room crashed on this call: control falls back
                    _log.error("advice_failed", error=type(error).__name__)
                    return self._answer(500, b"")
                return self._answer(200, body)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Every call is asked about; that is not news."""

        super().__init__(host, port, Face, name="guardian-advice", setting="monitor.advise_port")
