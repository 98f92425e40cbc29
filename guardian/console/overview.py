"""The first page: what is open, what waits, the latest findings, and whether gateways enforce the list."""

from starlette.responses import Response

from guardian.console.asked import Asked
from guardian.console.notices import notice_in
from guardian.console.pages import Pages

_CASES, _STREAM, _WAITING, _LOOKED_AT = 15, 25, 10, 500


def show(pages: Pages, asked: Asked) -> Response:
    api = pages.api(asked)
    waiting = api.approvals(state="pending", limit=_LOOKED_AT)
    # an agent can have any number of its calls held; they must not hide the other requests
    first = sorted(waiting.items, key=lambda each: each.action == "permitCall")[:_WAITING]
    return pages.page(
        asked,
        "overview",
        notice=notice_in(asked),
        flagged=api.sessions(status="flagged", order="pressing", limit=_CASES),
        revoked=api.sessions(status="revoked", order="pressing", limit=_CASES),
        waiting=waiting.model_copy(update={"items": tuple(first)}),
        stream=api.findings(limit=_STREAM),
        watch=api.watch(),
        tenants=api.tenants(),
        model=pages.parts.model,
        thresholds=pages.parts.thresholds,
    )
