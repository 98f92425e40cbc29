"""The adviser's HTTP face on the monitor: one route, one token, for control alone."""

from collections.abc import Callable

from guardian.errors import AdviserError, ConfigurationError
from guardian.stream.advising import MAX_BYTES
from guardian.stream.http_server import Face, Listener
from guardian.telemetry import logger
from guardian.wire.advice import Weighing

_log = logger("stream")


class AdviceServer(Listener):
    """Listens from construction. `weigh` is the adviser's; the caller's patience is `budget_s`."""

    def __init__(
        self, host: str, port: int, *, weigh: Callable[[bytes, float], Weighing], token: str, budget_s: float
    ) -> None:
        if not token:
            raise ConfigurationError("the adviser's token is empty; an empty token would let everybody ask")

        class Advice(Face):
            content_type = "application/json"
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                if not self._bears(token):
                    return self._refuse(401)
                if self.path != "/weigh":
                    return self._refuse(404)
                length = self.headers.get("Content-Length", "")
                if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BYTES:
                    return self._refuse(413)
                line = self.rfile.read(int(length))
                try:
                    body = weigh(line, budget_s).model_dump_json().encode()
                except AdviserError:
                    return self._answer(503, b"")
                except Exception as error:  # a room crashed on this call: control falls back
                    _log.error("advice_failed", error=type(error).__name__)
                    return self._answer(500, b"")
                return self._answer(200, body)

            def _refuse(self, status: int) -> None:
                """Before the body is read; what comes of it is no request of its own, so the connection ends."""
                self._answer(status, b"", Connection="close")

        super().__init__(host, port, Advice, name="guardian-advice", setting="monitor.advise_port")
