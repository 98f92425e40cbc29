"""The pages put together: which address shows what, who gets in, and what every answer carries."""

import secrets
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp as ASGIApp
from starlette.types import Message, Receive, Scope, Send

from guardian.console import acts, finding, lists, overview, proposals, session, signing_in
from guardian.console.asked import Asked, Unreadable, ours, read, unforged
from guardian.console.pages import Pages
from guardian.console.ports import ConsoleParts
from guardian.console.showing import ASSETS, asset, digest_of
from guardian.errors import ControlError, GuardianError
from guardian.telemetry import logger

_AT_ONCE = 8
"""Pages made at the same time. Their threads wait for the API's, so they must not be all there are."""

_STRANGERS_AT_ONCE, _STRANGERS_WAIT = 2, 16
"""Signing in has places of its own: however many strangers ask, those who are signed in are served."""

_LOG = "Try again in a moment; the log says why, under the reference below."
_log = logger("console")
_GUARDED: tuple[tuple[str, str, Callable[[Pages, Asked], Response]], ...] = (
    ("GET", "", overview.show),
    ("GET", "/sessions", lists.sessions),
    ("GET", "/revoked", lists.revoked),
    ("GET", "/findings", lists.findings),
    ("GET", "/approvals", lists.approvals),
    ("GET", "/audit", lists.audit),
    ("GET", "/session", session.show),
    ("GET", "/finding", finding.show),
    ("GET", "/proposals", proposals.show_all),
    ("GET", "/proposal", proposals.show_one),
    ("GET", "/act", acts.show),
    ("POST", "/act", acts.take),
    ("POST", "/sign-out", signing_in.sign_out),
)
_OPEN: tuple[tuple[str, str, Callable[[Pages, Asked], Response]], ...] = (
    ("GET", "/sign-in", signing_in.show),
    ("GET", "/sign-in/oidc", signing_in.send_off),
    ("GET", "/sign-in/callback", signing_in.returned),
    ("GET", "/link", signing_in.show_link),
    ("POST", "/link", signing_in.redeem),
)
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin",  # never the code of a link; with no-referrer no form would say whose it is
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-robots-tag": "noindex",
}


def create_console(parts: ConsoleParts) -> ASGIApp:
    """The ASGI application for everything below `parts.root`. It opens nothing and closes nothing."""
    return _Console(parts).app


def in_front(parts: ConsoleParts, console: ASGIApp, control: ASGIApp) -> ASGIApp:
    """Both on one socket: the pages below their root, everything else to the API."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        mine = path == parts.root or path.startswith(f"{parts.root}/") or path == "/"
        await (console if scope["type"] == "http" and mine else control)(scope, receive, send)

    return front


class _Places:
    """`at_once` are served at the same time; with `most` inside or waiting, the next one is asked to come again.

    Counted here, on the event loop: a limiter's own count moves only after it has let the others run.
    """

    def __init__(self, at_once: int, most: int | None = None) -> None:
        self._at_once, self._most, self._inside = at_once, most, 0
        self._limiter: anyio.CapacityLimiter | None = None

    async def serve(self, work: Callable[[Asked], Response], asked: Asked) -> Response:
        if self._most is not None and self._inside >= self._most:
            raise Unreadable(503, "too many people sign in at this moment; try again in a few seconds")
        self._limiter = self._limiter or anyio.CapacityLimiter(self._at_once)
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(work, asked, limiter=self._limiter)
        finally:
            self._inside -= 1


class _Console:
    def __init__(self, parts: ConsoleParts) -> None:
        self._parts = parts
        self._pages = Pages(parts)
        members = _Places(_AT_ONCE)
        strangers = _Places(_STRANGERS_AT_ONCE, _STRANGERS_AT_ONCE + _STRANGERS_WAIT)
        routes = [Route("/", partial(self._home), methods=["GET"])]
        for method, path, work in _GUARDED:
            routes.append(self._route(method, path, partial(self._guarded, work), members))
        for method, path, work in _OPEN:
            routes.append(self._route(method, path, partial(self._open, work), strangers))
        routes.append(Route(f"{parts.root}/static/{{name}}", self._static, methods=["GET"]))
        lost = self._endpoint(partial(self._open, _lost), "lost", strangers)
        routes.append(Route("/{path:path}", lost, methods=["GET"]))
        pages = Starlette(routes=routes)
        pages.router.redirect_slashes = False
        self.app = _dressed(pages)

    def _route(self, method: str, path: str, work: Callable[[Asked], Response], places: _Places) -> Route:
        where = self._parts.root + path
        return Route(where, self._endpoint(work, where, places), methods=[method])

    def _endpoint(self, work: Callable[[Asked], Response], name: str, places: _Places) -> Any:
        async def endpoint(request: Request) -> Response:
            began, request_id = self._parts.stopwatch(), secrets.token_hex(8)
            try:
                asked = await read(request, request_id)
                answer = await places.serve(partial(self._answer, work), asked)
            except Unreadable as error:
                answer = PlainTextResponse(f"{error}\n", status_code=error.status)
            seconds = self._parts.stopwatch() - began
            self._parts.metrics.observe("guardian_request_seconds", seconds, route=name)
            answer.headers["x-request-id"] = request_id
            return answer

        return endpoint

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse(self._parts.root, status_code=303)

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            return PlainTextResponse("no such file\n", status_code=404)
        answer = Response(asset(name), media_type=ASSETS[name])
        if request.query_params.get("v") == digest_of(name):  # its address names its content
            answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer

    def _answer(self, work: Callable[[Asked], Response], asked: Asked) -> Response:
        try:
            return work(asked)
        except Unreadable as error:
            return self._pages.failed(asked, error.status, str(error))
        except GuardianError as error:
            _log.error("page_failed", correlation_id=asked.request_id, error=str(error)[:500])
            return self._pages.failed(asked, 503, f"Guardian cannot do this at the moment. {_LOG}")
        except Exception:
            _log.error("page_failed", correlation_id=asked.request_id, trace=traceback.format_exc())
            return self._pages.failed(asked, 500, f"Something went wrong inside guardian. {_LOG}")

    def _open(self, work: Callable[[Pages, Asked], Response], asked: Asked) -> Response:
        """For everybody: signing in. A POST must come from a form of these very pages."""
        if asked.method == "POST" and not ours(self._parts, asked):
            return self._foreign(asked)
        return work(self._pages, asked)

    def _guarded(self, work: Callable[[Pages, Asked], Response], asked: Asked) -> Response:
        """For those who are signed in. Others are sent to sign in, and come back to the page they wanted."""
        secret = self._pages.cookies.visit_in(asked.cookies)
        visit = None if secret is None else self._parts.visits.resume(secret)
        if visit is None:
            return self._to_sign_in(asked, ended=secret is not None)
        asked = replace(asked, visit=visit)
        if asked.method == "POST" and not (ours(self._parts, asked) and unforged(visit, asked)):
            return self._foreign(asked)
        try:
            return work(self._pages, asked)
        except ControlError as refusal:
            if refusal.status != 401:
                return self._pages.refused(asked, refusal)
        return self._to_sign_in(asked, ended=True)  # withdrawn since a moment ago

    def _to_sign_in(self, asked: Asked, *, ended: bool) -> Response:
        posted = asked.method == "POST"
        after = asked.form.get("back", self._parts.root) if posted else asked.here
        if posted and asked.form.get("reason") and ours(self._parts, asked):
            answer = signing_in.not_done(self._pages, asked, after)
        else:
            answer = signing_in.to_sign_in(self._pages, after, "not_done" if posted else "over" if ended else "")
        if ended:
            self._pages.cookies.forget_visit(answer)
        return answer

    def _foreign(self, asked: Asked) -> Response:
        _log.warning("foreign_form_refused", path=asked.path, correlation_id=asked.request_id)
        told = (
            f"Nothing was done: this form does not come from this page as {self._parts.origin} shows it. "
            "Open the page anew there."
        )
        typed = asked.form.get("reason", "") if ours(self._parts, asked) else ""  # the form of an earlier sign-in
        return self._pages.failed(asked, 403, told, typed=typed)


def _lost(pages: Pages, asked: Asked) -> Response:
    return pages.failed(asked, 404, "There is no such page.")


def _dressed(app: ASGIApp) -> ASGIApp:
    """The headers on every answer, also on those that the framework makes by itself."""

    async def dressed(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await app(scope, receive, told)

    return dressed
