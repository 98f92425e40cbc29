"""TLS on the way to the broker: kafka-python waits for a handshake without end, and only logs why one fails."""

import socket
import ssl
from typing import Any

from kafka.cluster import collect_hosts
from kafka.net import manager
from kafka.net.transport import KafkaSSLTransport

from guardian.bus.kafka_settings import KafkaSettings
from guardian.errors import BusError, ConfigurationError

_HANDSHAKE_S = 10.0
_FILES = {"ssl_cafile": (), "ssl_certfile": ("ssl_keyfile",), "ssl_crlfile": ()}
"""Options that name a file, and which are read together with it."""


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


def tls_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """As the client makes one for each connection; None where none is by TLS. Raises ConfigurationError for files
    that it cannot use."""
    told = settings.client_options
    if told.get("security_protocol") not in ("SSL", "SASL_SSL"):
        return None
    options = {name: told.get(name, usual) for name, usual in KafkaSSLTransport.DEFAULT_CONFIG.items()}
    for name, beside in _FILES.items():
        if options[name] is None:
            continue
        try:
            KafkaSSLTransport._build_ssl_context(options | {other: None for other in _FILES if other != name})
        except (OSError, TypeError, ValueError) as error:
            files = " with ".join(str(options[each]) for each in (name, *beside) if options[each])
            why = getattr(error, "strerror", None) or error
            raise ConfigurationError(
                f"kafka.options.{name}: {files} cannot be used ({why}); name PEM files that this user may read"
            ) from error
    context: ssl.SSLContext = KafkaSSLTransport._build_ssl_context(options)
    return context


def expect_tls(settings: KafkaSettings) -> None:
    """Raises BusError where a bootstrap server takes the connection, but no handshake succeeds with it nor with
    another. From then on no client in this process waits for a handshake without end.

    A server that is away is left to the client, which gives up in time, and so is one behind a proxy: its name
    may lead elsewhere from here.
    """
    try:
        context = tls_context(settings)
    except ConfigurationError as error:
        raise BusError(str(error)) from error
    if context is None:
        return
    manager.KafkaSSLTransport = _Limited
    if any(settings.client_options.get(name) for name in ("proxy_url", "socks5_proxy")):
        return
    try:
        servers = collect_hosts(settings.bootstrap_servers)
    except ValueError:  # no address: the client says so
        return
    reasons = []
    for host, port, _ in servers:
        try:
            bare = socket.create_connection((host, port), timeout=settings.bootstrap_timeout_ms / 1000)
        except (OSError, ValueError):
            continue
        try:
            with bare:
                context.wrap_socket(bare, server_hostname=host.rstrip(".")).close()
            return
        except (OSError, ValueError) as error:
            reasons.append(f"{host}:{port}: {_reason(error)}")
    if reasons:
        raise BusError(f"kafka: cannot reach {reasons[0]}")


def _reason(error: Exception) -> str:
    """Why there is no handshake; what to look at."""
    match error:
        case TimeoutError():
            return "no answer to a TLS handshake; does it speak TLS there? (kafka.options, security_protocol)"
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not believed ({error.verify_message}); set kafka.options.ssl_cafile to the"
                " certificate of its CA, and look at this machine's clock and at the certificate's name and dates"
            )
        case _:
            said = getattr(error, "strerror", None) or error
            return (
                f"the TLS handshake fails ({said}); does it speak TLS there, and take the certificate of"
                " kafka.options.ssl_certfile?"
            )
