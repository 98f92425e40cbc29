"""The first page: what is open, what waits, the latest findings, and whether gateways enforce the list."""

from datetime import datetime

from starlette.responses import Response

from guardian.alerting.rules import SEVERITIES, rank
from guardian.console.asked import Asked
from guardian.console.notices import notice_in
from guardian.console.pages import Pages
from guardian.wire.base import SessionStatus
from guardian.wire.evidence import EvidenceClient
from guardian.wire.sessions import SessionPage, SessionView

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
        flagged=_first(api, "flagged"),
        revoked=_first(api, "revoked"),
        waiting=waiting.model_copy(update={"items": tuple(first)}),
        stream=api.findings(limit=_STREAM),
        watch=api.watch(),
        tenants=api.tenants(),
        model=pages.parts.model,
        thresholds=pages.parts.thresholds,
    )


def _first(api: EvidenceClient, status: SessionStatus) -> SessionPage:
    """The worst, and among those alike the ones of which there was news last. The API lists sessions as they were
    met: what became of one since then must not depend on how many were met after it."""
    found = api.sessions(status=status, limit=_LOOKED_AT)
    ordered = sorted(found.items, key=_pressing, reverse=True)
    more = "more" if len(ordered) > _CASES else found.next
    return found.model_copy(update={"items": tuple(ordered[:_CASES]), "next": more})


def _pressing(view: SessionView) -> tuple[int, datetime]:
    severe = len(SEVERITIES) if view.severity is None else rank(view.severity)  # not known, and so not mild
    return severe, max(view.last_seen, view.last_word_at or view.last_seen)
