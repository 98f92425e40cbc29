"""The monitor's own small HTTP face: /healthz and /readyz for everyone, /metrics with the token."""

from collections.abc import Callable, Sequence

from guardian.errors import ConfigurationError
from guardian.stream.http_server import Face, Listener
from guardian.telemetry import Metrics


class HealthServer(Listener):
    """Listens from construction. `troubles` lists what keeps the monitor from its work right now; empty: it is
    ready. Everybody may read them."""

    def __init__(
        self, host: str, port: int, *, metrics: Metrics, troubles: Callable[[], Sequence[str]], token: str
    ) -> None:
        if not token:
            raise ConfigurationError("the health page's token is empty; an empty token would open /metrics to all")

        class Health(Face):
            content_type = "text/plain; version=0.0.4; charset=utf-8"

            def do_GET(self) -> None:
                match self.path.partition("?")[0]:
                    case "/healthz":
                        self._answer(200, b"ok\n")
                    case "/readyz":
                        if found := troubles():
                            self._answer(503, f"not ready: {'; '.join(found)}\n".encode())
                        else:
                            self._answer(200, b"ready\n")
                    case "/metrics":
                        if self._bears(token):
                            self._answer(200, metrics.render())
                        else:
                            self._answer(401, b"unauthorized\n", **{"WWW-Authenticate": "Bearer"})
                    case _:
                        self._answer(404, b"not found\n")

            do_HEAD = do_GET

        super().__init__(host, port, Health, name="guardian-health", setting="monitor.health_port")
