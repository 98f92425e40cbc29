"""The monitor's adviser as control reaches it over HTTP."""

import math
import time
from collections.abc import Callable

import httpx
from pydantic import ValidationError

from guardian.errors import AdviserError, ConfigurationError
from guardian.telemetry import logger
from guardian.wire.advice import Weighing
from guardian.wire.deadline import BoundedClient

_log = logger("wire")
_TOLD_EVERY_S = 60.0


class RemoteAdviser:
    """`POST /weigh` at the monitor's advice port, with a shared token. Connections are kept alive.

    A token that cannot be read, or is refused, is logged once a minute by `timer` (monotonic seconds): otherwise
    only a gateway hears of it, and there it looks like any other fall-back.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        transport: httpx.BaseTransport | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token, self._timer, self._tell_at = token, timer, -math.inf
        limits = httpx.Limits(max_keepalive_connections=32)
        self._http = BoundedClient(base_url=url, follow_redirects=False, transport=transport, limits=limits)

    def weigh(self, line: bytes, timeout_s: float) -> Weighing:
        """Raises AdviserError when there is no answer in time, or none that makes sense."""
        try:
            headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
            got = self._http.post("/weigh", content=line, headers=headers, timeout=timeout_s)
        except (ConfigurationError, UnicodeError) as error:
            why = "it is no ASCII text" if isinstance(error, UnicodeError) else str(error)
            self._log_seldom("advice_token_not_read", why)
            raise AdviserError("the token for the adviser cannot be read") from error
        except httpx.HTTPError as error:
            raise AdviserError(f"the adviser gave no answer in time ({type(error).__name__})") from error
        if got.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            refused = (
                f"the adviser answered {got.status_code}: it has another token; "
                "copy the monitor's keys/advice.token to control's keys folder"
            )
            self._log_seldom("advice_token_refused", refused)
            raise AdviserError(refused)
        if got.status_code != httpx.codes.OK:
            raise AdviserError(f"the adviser answered {got.status_code}")
        try:
            return Weighing.model_validate_json(got.content)
        except ValidationError as error:
            raise AdviserError("the adviser's answer is none") from error

    def _log_seldom(self, event: str, error: str) -> None:
        if self._timer() >= self._tell_at:
            self._tell_at = self._timer() + _TOLD_EVERY_S
            _log.error(event, url=str(self._http.base_url), error=error)

    def close(self) -> None:
        self._http.close()
