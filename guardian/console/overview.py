"""The first page: what is open, what waits, what was told lately, and whether the switch works."""

from starlette.responses import Response

from guardian.console.asked import Asked
from guardian.console.notices import notice_in
from guardian.console.pages import Pages

_CASES, _STREAM, _WAITING = 15, 25, 10


def show(pages: Pages, asked: Asked) -> Response:
    api = pages.api(asked)
    return pages.page(
        asked,
        "overview",
        notice=notice_in(asked),
        flagged=api.sessions(status="flagged", limit=_CASES),
        revoked=api.sessions(status="revoked", limit=_CASES),
        waiting=api.approvals(state="pending", limit=_WAITING),
        stream=api.findings(limit=_STREAM),
        watch=api.watch(),
        tenants=api.tenants(),
        model=pages.parts.model,
        thresholds=pages.parts.thresholds,
    )
