"""What TLS believes, and the certificate that it shows: files of both are renewed while we run."""

import os
import ssl
from contextlib import suppress
from pathlib import Path
from threading import Lock

import httpx

from guardian.errors import ConfigurationError

Shown = tuple[Path, Path]
"""The files of a client certificate (its chain after it) and of its key, both PEM."""


class Trust:
    """Contexts as httpx makes them, of the CAs that SSL_CERT_FILE or SSL_CERT_DIR names. Any thread may ask.

    Raises OSError where it cannot be made because of these, ConfigurationError because of the certificate.
    """

    def __init__(self, shown: Shown | None = None) -> None:
        self._shown, self._lock = shown, Lock()
        self._stamp = self._stamped()
        self.first = self._context = self._made()

    def context(self) -> ssl.SSLContext:
        """Another one when the files changed. In the midst of a renewal, when they do not fit, that of before."""
        with self._lock:
            if (stamp := self._stamped()) != self._stamp:
                with suppress(OSError, ConfigurationError):
                    self._context, self._stamp = self._made(), stamp
            return self._context

    def _made(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context()
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
        files = (os.environ.get("SSL_CERT_FILE"), *(self._shown or ()))
        return tuple(_stamp(file) for file in files if file)


def _stamp(file: str | Path) -> tuple[int, ...] | None:
    try:
        facts = os.stat(file)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino
