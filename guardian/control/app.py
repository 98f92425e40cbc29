"""The control API, put together."""

import asyncio
import contextlib
import functools
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from guardian import __version__
from guardian.control.advice.patience import Patience
from guardian.control.authentication.gate import PUBLIC, Gate
from guardian.control.authentication.token_expiry import tell_of_ending_tokens
from guardian.control.authentication.token_records import forget_expired
from guardian.control.deps import ControlDeps
from guardian.control.desk.door import SlackDoor
from guardian.control.distribution.bell import Bell
from guardian.control.distribution.listing import RevocationListings
from guardian.control.distribution.long_polls import LongPolls, Places
from guardian.control.distribution.shared_looks import SharedLooks
from guardian.control.distribution.wholes import WholeLists
from guardian.control.lapse import sweep
from guardian.control.problems import documented, header, install_problems
from guardian.control.requests.writers import Writers
from guardian.control.revocations.walking import Waits, follow_on
from guardian.control.rounds import Rounds
from guardian.control.routes import MODULES
from guardian.control.telling.news import spread
from guardian.control.watchers.self_testing import test_the_switch
from guardian.control.watchers.watching import remember, watch
from guardian.domain.revocation import Revision
from guardian.revocation.opa_bundle import BundleFace
from guardian.store.turns import Rest
from guardian.wire.base import Problem

_LISTEN_EVERY_S = _FOLLOW_EVERY_S = 1.0

_ANY = (400, 413, 500)
_WITH_TOKEN = (401, 422, 503)
_NAME = header("x-request-id", "What the log and a problem's `correlation_id` call this request.")
_HEADERS = {
    "401": header("WWW-Authenticate", "Bearer, and `invalid_token` where one was shown."),
    "503": header("Retry-After", "Seconds, where it is only for the moment (`too_many_…`)."),
}


def create_app(
    deps: ControlDeps, *, slack: SlackDoor | None = None, measures: Sequence[Callable[[], None]] = ()
) -> FastAPI:
    """The ASGI application. It opens nothing and closes nothing that it was given. `measures` bring up to date
    what is shown of threads that may be held up."""
    bell, listings, rounds = Bell(), RevocationListings(deps), Rounds(deps.stopwatch, deps.metrics)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        deps.watched.since = deps.clock()
        silence, stopping = deps.store.subscribe(bell.ring), threading.Event()
        sweeping = asyncio.create_task(_sweep_for_ever(deps, rounds, stopping.wait))
        following = asyncio.create_task(_follow_for_ever(deps, rounds))
        watching = asyncio.create_task(_watch_for_ever(deps, rounds, measures))
        listening = asyncio.create_task(_listen_for_ever(deps, rounds, listings, bell))
        try:
            yield
        finally:
            silence()
            stopping.set()
            for task in (sweeping, following, watching, listening):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            with rounds.told("peers_not_remembered"):
                await run_in_threadpool(remember, deps)

    app = FastAPI(
        # The routes themselves: an included router would be rebuilt by the first request to every application.
        routes=[route for module in MODULES for route in module.router.routes],
        title="guardian control API",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # the framework would render it for every request, and anybody may ask
        docs_url=None,  # the documentation pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        # what is asked and who is refused leave this process only as guardian's own logs and metrics say
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.deps = deps
    app.state.bell = bell
    app.state.writers = Writers()
    app.state.listings = listings
    bundles = WholeLists(deps, BundleFace(None if deps.bundle_key is None else deps.bundle_key.sign))
    app.state.looks = SharedLooks(deps, listings, bundles, bell)
    switch = deps.settings.switch
    app.state.streams = Places(switch.streams_per_caller, kind="streams", code="too_many_streams")
    waiting = Places(switch.waits_per_caller, kind="long polls", code="too_many_long_polls")
    app.state.long_polls = LongPolls(bell, waiting, longest_s=deps.settings.long_poll_max_s)
    app.state.patience = Patience(
        deps.adviser, deps.settings.advice.budget_s, stopwatch=deps.stopwatch, metrics=deps.metrics
    )
    app.state.slack = slack
    app.add_middleware(Gate, deps=deps)
    install_problems(app)
    rendered = functools.cache(functools.partial(_openapi, app))

    async def openapi(_request: Request) -> Response:
        return Response(rendered(), media_type="application/json")

    app.add_route("/openapi.json", openapi, include_in_schema=False)
    return app


async def _sweep_for_ever(deps: ControlDeps, rounds: Rounds, rest: Rest = time.sleep) -> None:
    while True:
        with rounds.told("sweep_failed"):
            await run_in_threadpool(sweep, deps, rest)
            await run_in_threadpool(spread, deps)
        with rounds.told("tokens_not_looked_at"):
            await run_in_threadpool(tell_of_ending_tokens, deps)
            await run_in_threadpool(forget_expired, deps)
        with rounds.told("tidy_failed"):  # whatever became of the sweep: without it the log of SQLite grows
            await run_in_threadpool(deps.store.tidy)
        await asyncio.sleep(deps.settings.sweep_every_s)


async def _follow_for_ever(deps: ControlDeps, rounds: Rounds) -> None:
    """Between two transactions it rests for as long as one took: SQLite's lock is not fair to other processes."""
    waits: Waits = {}
    while True:
        began, again = deps.stopwatch(), None
        with rounds.told("follow_failed"):
            again = await run_in_threadpool(follow_on, deps, waits)
        took = deps.stopwatch() - began
        await asyncio.sleep(_FOLLOW_EVERY_S if again is None else max(min(again, _FOLLOW_EVERY_S), took))


async def _watch_for_ever(deps: ControlDeps, rounds: Rounds, measures: Sequence[Callable[[], None]]) -> None:
    while True:
        await asyncio.sleep(deps.settings.switch.watch_every_s)
        with rounds.told("database_not_written"):
            await run_in_threadpool(deps.store.try_again)
        with rounds.told("watch_failed"):
            await run_in_threadpool(watch, deps)
        with rounds.told("switch_not_tested"):
            await run_in_threadpool(test_the_switch, deps)
        with rounds.told("not_measured"):
            for measure in measures:
                await run_in_threadpool(measure)


async def _listen_for_ever(deps: ControlDeps, rounds: Rounds, listings: RevocationListings, bell: Bell) -> None:
    """Notice what other processes wrote: their bells do not ring here. The first round reads the whole list."""
    heard: tuple[Revision, int] | None = None
    while not bell.closing:
        unread = 1
        with rounds.told("ledger_not_read"):
            stands = await run_in_threadpool(deps.store.look)
            newest = await run_in_threadpool(listings.catch_up), stands.change_seq
            if newest != heard:
                bell.ring()
                await run_in_threadpool(deps.store.remember)  # before its own next start, which may be on a backup
            heard, unread = newest, 0
        deps.metrics.set("guardian_ledger_unread", unread)
        await asyncio.sleep(_LISTEN_EVERY_S)


def _openapi(app: FastAPI) -> bytes:
    document = get_openapi(
        title=app.title,
        version=app.version,
        routes=app.routes,
        description="Every refusal is problem details (RFC 9457). Tokens are Ed25519-signed JWTs (RFC 9068).",
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in PUBLIC:
                operation.pop("security", None)
                operation["responses"].pop("422", None)
            _complete(operation, public=path in PUBLIC)
    return json.dumps(document, separators=(",", ":")).encode()


def _complete(operation: dict[str, Any], *, public: bool) -> None:
    """Name what any route may answer besides its own: the gate's refusals, a body that is late, a crash."""
    statuses = (*_ANY, *(() if public else _WITH_TOKEN), *((408,) if "requestBody" in operation else ()))
    responses = operation["responses"]
    for status, response in documented(*statuses).items():
        responses.setdefault(str(status), response)
    for status, response in responses.items():
        response["headers"] = response.get("headers", {}) | _HEADERS.get(status, {}) | _NAME
