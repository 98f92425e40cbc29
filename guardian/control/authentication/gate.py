"""What every request passes before a route sees it: a size limit, a name, and a token.

The token is checked before the body is read and before the path is looked up: without one, a caller cannot
tell which routes exist, nor make the server parse anything. After a body that took its time it is checked again.
"""

import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardian.control.authentication.certificates import objection
from guardian.control.deps import ControlDeps
from guardian.control.problems import Refusal, in_log, problem_response
from guardian.control.remembered import Seldom
from guardian.errors import GuardianError
from guardian.keys.tokens import RefusedToken
from guardian.telemetry import logger
from guardian.wire.principal import Principal

PUBLIC = frozenset(
    {"/healthz", "/readyz", "/.well-known/jwks.json", "/.well-known/ssf-configuration", "/openapi.json"}
)

SIGNED = frozenset({"/slack/interactions", "/slack/commands"})
"""These check Slack's signature over the body instead of a token, and are absent where Slack is not set up."""

_MOST_SIGNED = 256 * 1024
"""Of those: their bodies are read before anybody knows whose they are."""

PROMPT = timedelta(seconds=1)
"""A body, or a turn to write, that takes longer may outlive its token."""
_LINES = 5
"""So many refusals of one kind from one place are in the log each minute; `_MOST_LINES` of the kind."""
_MOST_LINES = 100
_CHALLENGE = 'Bearer realm="guardian"'
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
_log = logger("control")


class Gate:
    """Pure ASGI. Leaves the Principal in `request.state.principal`, in `admit` what checks its token again, and in
    `arrived` when the request came, on the stopwatch."""

    def __init__(self, app: ASGIApp, deps: ControlDeps) -> None:
        self._app = app
        self._deps = deps
        self._refusals = Seldom(span=timedelta(minutes=1), most=_MOST_LINES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deps = self._deps
        request_id = deps.new_id()
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = state["arrived"] = deps.stopwatch()
        headers, most = Headers(scope=scope), self._most(scope["path"])
        answered = False
        admit: Callable[[], Awaitable[Principal]] | None = None

        async def dressed(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            self._check_length(headers, most)
            if scope["path"] not in PUBLIC | SIGNED:
                peer = scope["client"][0] if scope.get("client") else None
                disbelieved = partial(self._disbelieved, request_id, peer)
                token = self._offered(headers, disbelieved)
                known = partial(self._authenticate, token, headers, peer, disbelieved)
                admit = state["admit"] = partial(run_in_threadpool, known)
                state["principal"] = await admit()
        except Refusal as refusal:
            await refusal.response(request_id)(scope, receive, dressed)
            return
        except GuardianError as error:
            _log.error("gate_failed", correlation_id=request_id, error=str(error)[:500])
            response = problem_response(503, detail=in_log(request_id, error), request_id=request_id)
            await response(scope, receive, dressed)
            return
        try:
            await self._app(scope, self._counted(receive, most, admit), dressed)
        except ClientDisconnect:  # before its body was whole: nobody is left to be told
            return
        except Exception:
            if answered:
                raise
            _log.error("request_failed", correlation_id=request_id, trace=traceback.format_exc())
            response = problem_response(500, detail=in_log(request_id), request_id=request_id)
            await response(scope, receive, dressed)
        route = scope.get("route")
        path = str(getattr(route, "path_format", "unmatched"))
        deps.metrics.observe("guardian_request_seconds", deps.stopwatch() - started, route=path)

    def _offered(self, headers: Headers, disbelieved: Callable[[str], None]) -> str:
        """The token. Who shows none takes no thread from those who wait for theirs to be checked."""
        offered = headers.getlist("authorization")
        scheme, _, text = offered[0].partition(" ") if len(offered) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not text.strip():
            disbelieved("missing")
            raise Refusal(401, "send a token as Authorization: Bearer …", headers=_challenge())
        return text.strip()

    def _authenticate(
        self, token: str, headers: Headers, peer: str | None, disbelieved: Callable[..., None]
    ) -> Principal:
        deps = self._deps
        try:
            principal = deps.tokens.verify(token, now=deps.clock())
        except RefusedToken as refused:
            disbelieved(refused.code, refused.principal)
            if refused.code == "expired":  # which only who holds a token that guardian signed is told
                raise _invalid("this token has expired") from refused
            raise _invalid() from refused
        checked = deps.settings.client_certificates
        told = [] if checked is None else headers.getlist(checked.header)
        if (why := objection(principal, checked, peer=peer, told=told)) is not None:
            disbelieved("certificate", principal.id, why)
            raise _invalid()
        return principal

    def _disbelieved(
        self, request_id: str, peer: str | None, code: str, principal: str | None = None, why: str | None = None
    ) -> None:
        """Count it, and log who it was; of many, few lines. `so_far`, all of this code since the start, tells how
        many lie between two of them. `principal` only where the token's signature held.
        """
        deps = self._deps
        deps.metrics.add("guardian_auth_failures_total", reason=code)
        place, now = (peer or "", principal or ""), deps.clock()
        if any(self._refusals.first(code, *place, str(line), now=now) for line in range(_LINES)):
            so_far = int(deps.metrics.value("guardian_auth_failures_total", reason=code))
            said = {"correlation_id": request_id, "peer": peer, "principal": principal, "why": why}
            _log.warning("token_refused", code=code, **said, so_far=so_far)

    def _most(self, path: str) -> int:
        """How many bytes a body may have."""
        most = self._deps.settings.max_body_bytes
        return min(most, _MOST_SIGNED) if path in SIGNED else most

    def _check_length(self, headers: Headers, most: int) -> None:
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(400, "Content-Length must be a number")
        if len(length) > 15 or int(length) > most:
            raise _too_large(most)

    def _counted(self, receive: Receive, most: int, admit: Callable[[], Awaitable[Principal]] | None) -> Receive:
        """Cut off a body that is too long, whatever length it claimed. One that arrives late counts only if
        `admit` still admits its sender.
        """
        seen, began = 0, self._deps.clock()

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    raise _too_large(most)
                late = not timedelta(0) <= self._deps.clock() - began <= PROMPT
                if late and admit is not None and not message.get("more_body"):
                    await self._admitted(admit)
            return message

        return counted

    async def _admitted(self, admit: Callable[[], Awaitable[Principal]]) -> None:
        try:
            await admit()
        except GuardianError as error:  # the framework would take it for a body that nobody can read
            raise Refusal(503) from error


def principal_of(request: Request) -> Principal:
    """The caller. A route outside PUBLIC always has one; anything else is a refusal, never a default."""
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        raise Refusal(401, "send a token as Authorization: Bearer …", headers=_challenge())
    return principal


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"a request body may have {most} bytes")


def _invalid(why: str = "this token is not valid here") -> Refusal:
    return Refusal(401, why, headers=_challenge("invalid_token"))


def _challenge(error: str = "") -> dict[str, str]:
    return {"WWW-Authenticate": f'{_CHALLENGE}, error="{error}"' if error else _CHALLENGE}
