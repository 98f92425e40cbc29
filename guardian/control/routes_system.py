"""Health, metrics and public keys."""

from typing import Any

from fastapi import APIRouter, Response

from guardian.control import breaker
from guardian.control.authority import may_read
from guardian.control.caller import Caller, Deps
from guardian.control.news import spread
from guardian.control.problems import documented
from guardian.errors import GuardianError

router = APIRouter(tags=["system"])

_EMPTY: dict[int | str, dict[str, Any]] = {200: {"description": "Yes; the body is empty"}}


@router.get("/healthz", responses=_EMPTY, response_class=Response)
def healthz() -> Response:
    """Whether the process answers. Says nothing else, to anybody."""
    return Response(status_code=200)


@router.get("/readyz", responses=_EMPTY | {503: {"description": "No; the body is empty"}}, response_class=Response)
def readyz(deps: Deps) -> Response:
    """Whether the store, the policies and the keys are at hand. Says nothing else, to anybody."""
    try:
        deps.store.head()
        deps.tokens.keys.current()
        ready = bool(deps.pdp.version)
    except GuardianError:
        ready = False
    return Response(status_code=200 if ready else 503)


@router.get("/.well-known/jwks.json", responses={503: documented(503)[503]})
def jwks(deps: Deps, response: Response) -> dict[str, Any]:
    """The keys that verify guardian's signatures (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return deps.tokens.keys.current().jwks()


@router.get(
    "/metrics",
    responses=documented(401, 403, 503) | {200: {"content": {"text/plain": {}}, "description": "Prometheus text"}},
    response_class=Response,
)
def metrics(deps: Deps, caller: Caller) -> Response:
    """Prometheus metrics; no label names a session or an agent."""
    may_read(deps, caller, "readMetrics")
    with deps.store.read() as rows:
        head = rows.head()
        breaker.gauge(deps, rows, deps.clock())
    deps.metrics.set("guardian_ledger_revision", head.revision.n)
    deps.metrics.set("guardian_ledger_epoch", head.revision.epoch)
    spread(deps)  # scraped every few seconds: a recovery of the decision point does not wait for a finding
    return Response(deps.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
