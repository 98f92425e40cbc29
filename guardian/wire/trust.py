"""What TLS believes, and the certificate that it shows: files of both are renewed while we run."""

import math
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import httpx

from guardian.errors import ConfigurationError
from guardian.telemetry import logger

_AGAIN_S = 1.0
_log = logger("wire")

Shown = tuple[Path, Path]
"""The files of a client certificate (its chain after it) and of its key, both PEM."""


class Trust:
    """Contexts of the CAs in `ca`, else as `without` makes them, which heeds SSL_CERT_FILE and SSL_CERT_DIR. Any
    thread may ask.

    Raises OSError where it cannot be made because of these, ConfigurationError because of the certificate.
    """

    def __init__(
        self,
        shown: Shown | None = None,
        *,
        ca: str | Path | None = None,
        without: Callable[[], ssl.SSLContext] | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shown, self._ca, self._without, self._lock = shown, ca, without, Lock()
        self._timer, self._failed_at = timer, -math.inf
        self._stamp = self._told = self._stamped()
        self.first = self._context = self._made()

    def context(self) -> ssl.SSLContext:
        """Another one when the files changed; that of before while they do not fit, as amid a renewal.

        Files that do not fit are read again when they change, else once a second: it takes long, and each
        connection asks.
        """
        with self._lock:
            rests = (stamp := self._stamped()) == self._told and self._timer() - self._failed_at < _AGAIN_S
            if stamp != self._stamp and not rests:
                try:
                    self._context, self._stamp = self._made(renewed=True), stamp
                except (OSError, ConfigurationError) as error:
                    self._failed_at = self._timer()
                    if stamp != self._told:
                        _log.error("tls_files_not_read", files=self._files(), error=str(error)[:300])
                self._told = stamp
            return self._context

    def _made(self, *, renewed: bool = False) -> ssl.SSLContext:
        if self._ca is not None:
            context = ssl.create_default_context(cafile=self._ca)
        else:
            context = (self._without or httpx.create_ssl_context)()
            if renewed and (file := os.environ.get("SSL_CERT_FILE")):
                context.load_verify_locations(file)  # OpenSSL by itself passes over one that it cannot read
        context.set_alpn_protocols(["http/1.1"])
        if self._shown is not None:
            certificate, key = self._shown
            try:
                context.load_cert_chain(certificate, key, password="")  # which would be asked for
            except OSError as error:
                raise ConfigurationError(
                    f"control.client_certificate: {certificate} and {key} are not a certificate and its key, in"
                    f" PEM and without a pass phrase, that this user may read ({error.strerror or error})"
                ) from error
        return context

    def _stamped(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(map(_stamp, self._files()))

    def _files(self) -> tuple[str, ...]:
        return tuple(
            str(file) for file in (self._ca or os.environ.get("SSL_CERT_FILE"), *(self._shown or ())) if file
        )


def _stamp(file: str) -> tuple[int, ...] | None:
    try:
        facts = os.stat(file)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino
