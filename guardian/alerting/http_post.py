"""One POST to somebody's system: what can be tried again, and what cannot."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx

from guardian.alerting.port import RetryLater
from guardian.domain.text import plain
from guardian.domain.urls import is_private, origin
from guardian.errors import AlertError, ConfigurationError
from guardian.wire.deadline import BoundedClient

_AGAIN = frozenset({408, 409, 423, 425, 429})
_ONCE_CONNECTED = (
    httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.WriteError, httpx.WriteTimeout
)  # fmt: skip


def checked_url(name: str, url: str) -> str:
    """An https URL, or http to this machine. Raises ConfigurationError naming the setting, and nothing of the URL:
    in one that is no URL a secret may stand anywhere."""
    if not is_private(url):
        raise ConfigurationError(f"{name} must be an https URL, or an http one of this machine")
    return url


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> None:
    """Returns when the other side has it (2xx), within `timeout_s` altogether. Raises RetryLater or AlertError;
    redirects are not followed."""
    told = dict(headers)
    try:
        with BoundedClient(timeout=timeout_s) as http, http.stream("POST", url, content=body, headers=told) as got:
            pass  # what is said beside status and headers is not read, and need not have an end
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        met = isinstance(error, _ONCE_CONNECTED)
        raise RetryLater(f"{origin(url)}: {_cause(error)}", perhaps_refused=met) from None
    if got.is_success:
        return
    if got.status_code in _AGAIN or got.status_code >= 500:
        after = got.headers.get("retry-after", "")
        raise RetryLater(
            f"{origin(url)}: HTTP {got.status_code}",
            after_s=_wait_s(after, got.headers.get("date", "")),
            perhaps_refused=got.status_code != 429 and not after,  # else it is busy
        )
    raise AlertError(f"{origin(url)} refuses the alert: HTTP {got.status_code}")


def _wait_s(retry_after: str, date: str) -> float | None:
    """Retry-After (RFC 9110, 10.2.3) in seconds; a date counts from the answer's own. None for what is neither."""
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - parsedate_to_datetime(date)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no dates, or one of them without a zone
        return None


def _cause(error: Exception) -> str:
    """What other errors say may quote a header, and so a secret."""
    told = isinstance(error, httpx.ConnectError | OSError)
    return f"{type(error).__name__}: {plain(str(error), 120)}" if told else type(error).__name__
