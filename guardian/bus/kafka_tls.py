"""A TLS endpoint has to answer: kafka-python waits for a handshake without a time-out."""

import socket
import ssl
from typing import Any

from kafka.cluster import collect_hosts
from kafka.net import manager
from kafka.net.transport import KafkaSSLTransport

from guardian.bus.kafka_settings import KafkaSettings
from guardian.errors import BusError

_HANDSHAKE_S = 10.0


class _Limited(KafkaSSLTransport):  # type: ignore[misc]
    """The library's transport, which gives up on a handshake that nobody answers."""

    _net: Any
    _sock: Any

    async def handshake(self) -> None:
        def hang_up() -> None:
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # its own one forgets that it is TLS

        timer = self._net.call_later(_HANDSHAKE_S, hang_up)
        try:
            await super().handshake()
        except OSError as error:
            if timer.is_done:
                raise TimeoutError("no answer to a TLS handshake") from error
            raise
        finally:
            self._net.cancel(timer)


def expect_tls(settings: KafkaSettings) -> None:
    """Raises BusError where a bootstrap server accepts the connection but never answers the handshake, and no
    other server answers either. From then on no client in this process waits for a handshake without end.

    All else is left to the client, which checks certificates and gives up in time on a server that is away.
    """
    if settings.client_options.get("security_protocol") not in ("SSL", "SASL_SSL"):
        return
    manager.KafkaSSLTransport = _Limited
    patience_s = settings.bootstrap_timeout_ms / 1000
    mute: list[str] = []
    try:
        servers = collect_hosts(settings.bootstrap_servers)
    except ValueError:  # no address: the client says so
        return
    for host, port, _ in servers:
        match _shakes(host, port, patience_s):
            case True:
                return
            case False:
                mute.append(f"{host}:{port}")
    if mute:
        raise BusError(
            f"kafka: cannot reach {', '.join(mute)}: no answer to a TLS handshake;"
            " does it speak TLS there? (kafka.options, security_protocol)"
        )


def _shakes(host: str, port: int, patience_s: float) -> bool | None:
    """Whether the server answers a handshake in any way; None where it accepts no connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is said over this connection
    try:
        bare = socket.create_connection((host, port), timeout=patience_s)
    except (OSError, ValueError):
        return None
    with bare:
        try:
            context.wrap_socket(bare, server_hostname=host).close()
        except TimeoutError:
            return False
        except (OSError, ValueError):
            return True
    return True
