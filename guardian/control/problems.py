"""Refusals as problem details (RFC 9457). Titles are fixed words: nothing a caller sent appears in them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from guardian.control.deps import ControlDeps
from guardian.control.telling.news import spread
from guardian.domain.identity import NO_SLASH
from guardian.errors import GuardianError, StoreError, Unstorable
from guardian.store.control.rows import ControlRows
from guardian.telemetry import logger
from guardian.wire.base import Problem
from guardian.wire.principal import EVERY_TENANT

MEDIA_TYPE = "application/problem+json"
_log = logger("control")

_TITLES = {
    400: "The request could not be read",
    401: "A valid bearer token is needed",
    403: "Policy does not permit this",
    404: "Not found",
    405: "This method is not offered here",
    408: "The request took too long to come",
    409: "In conflict with what is stored",
    412: "It has changed since it was looked at",
    413: "The request is too large",
    415: "The content type is not supported",
    422: "The request is not valid",
    500: "Something went wrong inside guardian",
    503: "Guardian cannot do this at the moment",
}
_CODES = {
    400: "unreadable",
    401: "unauthenticated",
    403: "denied",
    404: "not_found",
    405: "method_not_allowed",
    408: "slow",
    409: "conflict",
    412: "stale",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    500: "internal",
    503: "unavailable",
}


class Refusal(HTTPException):
    """An answer other than the one asked for. `code` is stable; `detail` is one line in our own words.

    `witness` writes the refusal to the audit trail, if no transaction was open when it was raised.
    """

    def __init__(
        self, status: int, detail: str = "", *, code: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, detail=detail, headers=headers)
        self.code = code or _CODES.get(status, "refused")
        self.witness: Callable[[ControlRows], None] | None = None

    def response(self, request_id: str) -> Response:
        """The refusal as the caller gets it."""
        return problem_response(
            self.status_code,
            detail=self.detail,
            code=self.code,
            headers=dict(self.headers or {}),
            request_id=request_id,
        )


def absent(what: str) -> Refusal:
    """The same answer whether it does not exist or belongs to somebody else."""
    return Refusal(404, f"there is no such {what} within reach of this token")


def check_tenant(tenant_id: str) -> None:
    """Raises Refusal for a tenant that cannot be, where a body names one. Paths cannot."""
    if "/" in tenant_id:
        raise Refusal(422, f"tenant_id: {NO_SLASH}")


def check_one(tenant_id: str) -> None:
    """Raises Refusal for tenant `*`: in tokens that names every tenant, and elsewhere it names none."""
    if tenant_id == EVERY_TENANT:
        raise Refusal(422, "tenant_id: * stands for every tenant in tokens alone; name the one that is meant")


def check_calendar(name: str, at: datetime | None) -> None:
    """Raises Refusal for a time that has no UTC form: the first and last hours of the calendar in odd zones."""
    try:
        if at is not None:
            at.astimezone(UTC)
    except OverflowError as error:
        raise Refusal(422, f"{name} lies outside the calendar") from error


def check_span(since: datetime | None, until: datetime | None) -> None:
    """Raises Refusal for a time that ends before it begins: that nothing is found would read as if nothing had
    been."""
    for name, at in (("since", since), ("until", until)):
        check_calendar(name, at)
    if since is not None and until is not None and since >= until:
        raise Refusal(422, "until: there is no time from `since` on that is before it")


def problem_response(
    status: int, *, detail: str = "", code: str = "", headers: dict[str, str] | None = None, request_id: str
) -> Response:
    stable = code or _CODES.get(status, "refused")
    problem = Problem(
        type=f"urn:guardian:problem:{stable}",
        title=_TITLES.get(status, "The request was refused"),
        status=status,
        code=stable,
        detail=detail,
        correlation_id=request_id,
    )
    return Response(problem.model_dump_json(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def in_log(request_id: str, error: Exception | None = None) -> str:
    """Where the operator finds the cause, which callers are not told."""
    whose = "its database is away or refuses; " if isinstance(error, StoreError) else ""
    return f"{whose}the log of guardian's control says why, under correlation id {request_id}"


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` for a route, so that the OpenAPI document names every refusal it can give."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


def header(name: str, description: str, *, always: bool = False) -> dict[str, dict[str, Any]]:
    """For `headers` of an answer in `responses=`; `always`: no such answer is without it."""
    return {name: {"description": description, "schema": {"type": "string"}, "required": always}}


READS = documented(401, 403, 404, 422, 503)
"""The refusals of a route that reads what one tenant has, or may be filtered by a tenant."""


def install_problems(app: FastAPI) -> None:
    """Have the application answer every refusal and every error as a problem."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        request_id = _request_id(request)
        if not isinstance(error, Refusal):  # the framework's own, whose words are not ours
            headers = dict(error.headers or {})
            return problem_response(error.status_code, headers=headers, request_id=request_id)
        await write_down(request, error)
        return error.response(request_id)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
        mistakes = [f"{_place(each['loc'])}: {_said(each)}" for each in error.errors()[:10]]
        return problem_response(422, detail="; ".join(mistakes), request_id=_request_id(request))

    async def unavailable(request: Request, error: Exception) -> Response:
        request_id = _request_id(request)
        _log.error("request_failed", correlation_id=request_id, error=str(error)[:500])
        return problem_response(503, detail=in_log(request_id, error), request_id=request_id)

    async def unstorable(request: Request, error: Exception) -> Response:
        request_id = _request_id(request)
        _log.error("request_unstorable", correlation_id=request_id, error=str(error)[:500])
        detail = f"the database cannot hold it, as where names are too wide for an index; {in_log(request_id)}"
        return problem_response(422, detail=detail, code="unstorable", request_id=request_id)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Unstorable, unstorable)
    app.add_exception_handler(GuardianError, unavailable)  # anything else: the gate answers 500


async def write_down(request: Request, refusal: Refusal) -> None:
    """Where it has to be: in the audit trail, and as news that the decision point went away or came back."""
    deps: ControlDeps = request.app.state.deps
    if refusal.witness is not None or deps.outage.untold():
        async with request.app.state.writers.of(getattr(request.state, "principal", None)):
            await run_in_threadpool(_witness, deps, refusal)


def _said(mistake: Mapping[str, Any]) -> str:
    """One mistake in words. The framework takes a body that was not sent as JSON for a string."""
    if mistake["type"] == "model_attributes_type" and tuple(mistake["loc"]) == ("body",):
        return "Input should be a JSON object, sent as Content-Type: application/json"
    return str(mistake["msg"])[:200]


def _witness(deps: ControlDeps, refusal: Refusal) -> None:
    """Write a refusal to the audit trail, and tell people if the decision point went away or came back."""
    try:
        if refusal.witness is not None:
            with deps.store.write() as rows:
                refusal.witness(rows)
        spread(deps)
    except GuardianError as error:  # the refusal stands, written down or not
        _log.error("refusal_not_recorded", code=refusal.code, error=str(error)[:500])


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the request, bounded: names in a body are the caller's."""
    return ".".join(str(part)[:60] for part in location[:6])


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))
