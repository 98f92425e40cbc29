"""What every page works with: the control API, called as the visitor, and ways to answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from starlette.responses import RedirectResponse, Response

from guardian.console.asked import Asked
from guardian.console.cookies import Cookies
from guardian.console.notices import Notice
from guardian.console.ports import ConsoleParts
from guardian.console.showing import Showing
from guardian.errors import ControlError
from guardian.telemetry import logger
from guardian.wire.evidence import EvidenceClient

_TITLES = {
    400: "This could not be read",
    403: "Not permitted",
    404: "Not found",
    409: "In conflict with what is stored",
    422: "This is not valid",
    500: "Something went wrong",
    503: "Not at the moment",
}
_log = logger("console")
Answer = TypeVar("Answer")


@dataclass
class Pages:
    parts: ConsoleParts

    @cached_property
    def showing(self) -> Showing:
        return Showing(self.parts)

    @cached_property
    def cookies(self) -> Cookies:
        return Cookies(self.parts.secure)

    def api(self, asked: Asked) -> EvidenceClient:
        """Speaks to the control API as whoever is signed in."""
        return self.parts.api(asked.signed_in)

    def page(
        self, asked: Asked, template: str, /, *, status: int = 200, notice: Notice | None = None, **told: Any
    ) -> Response:
        return self.showing.page(asked, template, status=status, notice=notice, **told)

    def away(self, path: str) -> Response:
        """On to a page of ours, by GET."""
        return RedirectResponse(path, status_code=303)

    def refused(self, asked: Asked, refusal: ControlError) -> Response:
        """The API refused. What belongs to another tenant is answered as if it did not exist."""
        if refusal.status == 404:
            return self.failed(asked, 404, "There is nothing here within your reach.")
        return self.failed(asked, refusal.status if refusal.status in _TITLES else 503, str(refusal))

    def failed(self, asked: Asked, status: int, text: str, *, typed: str = "") -> Response:
        title, reference = _TITLES.get(status, "This could not be shown"), asked.request_id
        return self.page(asked, "failed", status=status, title=title, text=text, typed=typed, reference=reference)


def unless_absent(ask: Callable[[], Answer]) -> Answer | None:
    """None for what is not there; every other refusal stands."""
    try:
        return ask()
    except ControlError as refusal:
        if refusal.status != 404:
            raise
        return None


def followed(api: EvidenceClient, tenant: str) -> bool:
    """Whether a gateway is known to follow the list with this tenant in it; what cannot be asked is not known."""
    watch = unless_refused(lambda: api.watch(tenant_id=tenant))
    return watch is not None and watch.followed


def unless_refused(ask: Callable[[], Answer]) -> Answer | None:
    """None for what the API cannot say now: a side matter must not take the page and its buttons away."""
    try:
        return ask()
    except ControlError as refusal:
        if refusal.status == 401:
            raise
        _log.warning("not_told", why=str(refusal)[:300])
        return None
