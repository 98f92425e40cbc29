"""What a gateway logs: each kind of trouble once until the list is fresh again. Never a token, never a body."""

import errno
import logging
import ssl
import threading

from .reading import Refused, Revision

_LOG = logging.getLogger("guardian.gateway")
_MOST_NOTICES = 16


class Trouble:
    """`reason` and `code` are those of the latest trouble, empty without. `then` is what a stale list does."""

    def __init__(self, then: str) -> None:
        self.reason, self.code = "", ""
        self._then = then
        self._logged: set[str] = set()
        self._notices: set[str] = set()

    def note(self, error: Exception) -> None:
        """The list could not be confirmed. That it went back is an error: it lasts until the server is mended."""
        self._set(error)
        if self.code not in self._logged:
            self._logged.add(self.code)
            level = logging.ERROR if self.code == "went_back" else logging.WARNING
            _LOG.log(level, "revocation list not refreshed (%s); %s", self.reason, self._then)

    def not_streamed(self, error: Exception) -> None:
        """No trouble of the list itself: it is polled meanwhile, and that says so where it fails too."""
        self._set(error)
        self.notice(f"revocation list polled while it is not streamed ({self.reason})")

    def notice(self, message: str) -> None:
        """Once in the life of this process."""
        if message not in self._notices and len(self._notices) < _MOST_NOTICES:
            self._notices.add(message)
            _LOG.warning("%s", message)

    def over(self, revision: Revision) -> None:
        """The list is fresh at `revision`."""
        if self._logged:
            _LOG.warning("revocation list is fresh again at revision %s", revision)
            self._logged = set()
        self.reason, self.code = "", ""

    def left_behind(self) -> None:
        """In a forked child: no thread is forked, so the copy of the list there would grow stale unsaid."""
        self.reason, self.code = "forked: nobody follows the list in this process until it is started here", ""
        said = "forked from a process that follows the revocation list: call start() in this one too"
        # aside: a log handler may wait for a thread that is not here
        threading.Thread(target=_LOG.warning, args=(said,), daemon=True).start()

    def _set(self, error: Exception) -> None:
        self.code = error.code if isinstance(error, Refused) else type(error).__name__
        self.reason = reason(error)


def reason(error: Exception) -> str:
    """In words that hold nothing secret: a foreign error may quote what it choked on."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, ssl.SSLError):  # its number is OpenSSL's, not the system's
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    else:
        said = errno.errorcode.get(getattr(error, "errno", None) or 0)
    return " ".join(filter(None, (type(error).__name__, said)))
