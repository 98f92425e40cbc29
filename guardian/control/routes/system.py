"""Health, metrics and public keys."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from guardian.control.authentication.caller import CallerOfAny, Deps
from guardian.control.authority.asking import may_read_all
from guardian.control.deps import ControlDeps
from guardian.control.distribution.shared_looks import SharedLooks
from guardian.control.problems import documented
from guardian.control.revocations import breaker
from guardian.control.telling.news import spread
from guardian.errors import GuardianError

router = APIRouter(tags=["system"])

_EMPTY: dict[int | str, dict[str, Any]] = {200: {"description": "Yes; the body is empty"}}

# What anybody may ask takes no thread, or one for all who ask at once: gateways wait for the same threads.


@router.get("/healthz", responses=_EMPTY, response_class=Response)
@router.head("/healthz", include_in_schema=False, response_class=Response)
async def healthz() -> Response:
    """Whether the process answers. Says nothing else, to anybody."""
    return Response(status_code=200)


@router.head("/readyz", include_in_schema=False, response_class=Response)
@router.get(
    "/readyz",
    responses=_EMPTY | {503: {"content": {"text/plain": {}}, "description": "No, and what is not"}},
    response_class=Response,
)
async def readyz(request: Request, deps: Deps) -> Response:
    """Whether the store, the policies and the keys are at hand. Says which of them is not, to anybody; no more."""
    looks: SharedLooks = request.app.state.looks
    found = await looks.ready(lambda: _not_at_hand(deps))
    if not found:
        return Response()
    return Response(f"not ready: {'; '.join(found)}\n", status_code=503, media_type="text/plain")


def _not_at_hand(deps: ControlDeps) -> Sequence[str]:
    parts: dict[str, Callable[[], object]] = {
        "the database cannot be read": deps.store.head,
        "the database takes no writes": deps.store.takes_writes,
        "the signing keys cannot be read": deps.tokens.keys.readable,
        "the key that signs is retired": lambda: not deps.tokens.keys.current().retired,
        "there are no policies": lambda: deps.pdp.version,
    }
    return [trouble for trouble, part in parts.items() if not _at_hand(part)]


def _at_hand(part: Callable[[], object]) -> bool:
    try:
        return bool(part())
    except GuardianError:
        return False


@router.head("/.well-known/jwks.json", include_in_schema=False)
@router.get("/.well-known/jwks.json", responses={503: documented(503)[503]})
async def jwks(deps: Deps, response: Response) -> dict[str, Any]:
    """The keys that verify guardian's signatures (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return deps.tokens.keys.current().jwks()


@router.head("/metrics", include_in_schema=False, response_class=Response)
@router.get(
    "/metrics",
    responses=documented(401, 403, 503) | {200: {"content": {"text/plain": {}}, "description": "Prometheus text"}},
    response_class=Response,
)
def metrics(deps: Deps, caller: CallerOfAny) -> Response:
    """Prometheus metrics of all tenants together, for tokens that cover them all. No label names a session or an
    agent. What a query asks for is not looked at: a scrape may have `params` of its own."""
    may_read_all(deps, caller, "readMetrics")
    with deps.store.read() as rows:
        head = rows.head()
        breaker.gauge(deps, rows, deps.clock())
    deps.metrics.set("guardian_ledger_revision", head.revision.n)
    deps.metrics.set("guardian_ledger_epoch", head.revision.epoch)
    spread(deps)  # scraped every few seconds: a recovery of the decision point does not wait for a finding
    return Response(deps.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
