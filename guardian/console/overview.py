"""The first page: what is open, what waits, the latest findings, and whether gateways enforce the list."""

from starlette.responses import Response

from guardian.console.asked import Asked
from guardian.console.notices import notice_in
from guardian.console.pages import Pages
from guardian.wire.base import SessionStatus
from guardian.wire.evidence import EvidenceClient
from guardian.wire.sessions import SessionPage

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
        flagged=_latest(api, "flagged"),
        revoked=_latest(api, "revoked"),
        waiting=waiting.model_copy(update={"items": tuple(first)}),
        stream=api.findings(limit=_STREAM),
        watch=api.watch(),
        tenants=api.tenants(),
        model=pages.parts.model,
        thresholds=pages.parts.thresholds,
    )


def _latest(api: EvidenceClient, status: SessionStatus) -> SessionPage:
    """Those of which there was news last: the API lists sessions as they were met, however long ago that was."""
    found = api.sessions(status=status, limit=_LOOKED_AT)
    newest = sorted(found.items, key=lambda each: max(each.last_seen, each.last_word_at or each.last_seen))[::-1]
    more = "more" if len(newest) > _CASES else found.next
    return found.model_copy(update={"items": tuple(newest[:_CASES]), "next": more})
