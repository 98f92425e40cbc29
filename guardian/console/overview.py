"""The first page: what is open, what waits, the latest findings, and whether gateways enforce the list."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from guardian.console.asked import Asked
from guardian.console.notices import notice_in
from guardian.console.pages import Pages
from guardian.wire.findings import FindingView

_CASES, _STREAM, _WAITING = 15, 25, 10


def show(pages: Pages, asked: Asked) -> Response:
    api = pages.api(asked)
    # an agent can have any number of its calls held; they must not hide the other requests
    others, calls = (api.approvals(state="pending", held=held, limit=_WAITING).items for held in (False, True))
    stream = api.findings(limit=_STREAM)
    return pages.page(
        asked,
        "overview",
        notice=notice_in(asked),
        flagged=api.sessions(status="flagged", order="pressing", limit=_CASES),
        revoked=api.sessions(status="revoked", order="pressing", limit=_CASES),
        waiting=(*others, *calls)[:_WAITING],
        stream=stream,
        otherwise=_judged_otherwise(stream.items, pages.parts.model),
        watch=api.watch(),
        tenants=api.tenants(),
        model=pages.parts.model,
        thresholds=pages.parts.thresholds,
    )


def _judged_otherwise(
    newest: Sequence[FindingView], model: Mapping[str, str]
) -> tuple[FindingView, list[str]] | None:
    """The newest finding of a monitor, and what it was judged with where control's own files are others; None too
    where control has none to compare with."""
    view = next((view for view in newest if "calibration" in view.finding.versions), None)
    if view is None or "Calibration" not in model:
        return None
    told = ((name, view.finding.versions.get(name, "")) for name in ("model", "calibration"))
    others = [  # what follows + is the engine's family
        f"{name} {version}"
        for name, version in told
        if version.partition("+")[0] not in model.get(name.capitalize(), "")
    ]
    return (view, others) if others else None
