"""The monitor's adviser as control reaches it over HTTP."""

from collections.abc import Callable

import httpx
from pydantic import ValidationError

from guardian.errors import AdviserError
from guardian.wire.advice import Weighing


class RemoteAdviser:
    """`POST /weigh` at the monitor's advice port, with a shared token. Connections are kept alive."""

    def __init__(
        self, url: str, token: Callable[[], str], *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._token = token
        limits = httpx.Limits(max_keepalive_connections=32)
        self._http = httpx.Client(base_url=url, follow_redirects=False, transport=transport, limits=limits)

    def weigh(self, line: bytes, timeout_s: float) -> Weighing:
        """Raises AdviserError when there is no answer in time, or none that makes sense."""
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        try:
            got = self._http.post("/weigh", content=line, headers=headers, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise AdviserError(f"the adviser gave no answer in time ({type(error).__name__})") from error
        if got.status_code != httpx.codes.OK:
            raise AdviserError(f"the adviser answered {got.status_code}")
        try:
            return Weighing.model_validate_json(got.content)
        except ValidationError as error:
            raise AdviserError("the adviser's answer is none") from error

    def close(self) -> None:
        self._http.close()
