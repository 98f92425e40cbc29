"""`/v1/check`: may this subject act? For gateways that only speak HTTP: nginx `auth_request`, Envoy ext_authz."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import ValidationError, WrapValidator

from guardian.control.authentication.caller import CallerOfAny, Deps
from guardian.control.authority.asking import may_read
from guardian.control.problems import Refusal, documented
from guardian.domain.identity import Identifier
from guardian.domain.revocation import SubjectType
from guardian.gateway.names import known_as
from guardian.wire.principal import EVERY_TENANT

router = APIRouter(tags=["revocations"])

_NAMES: tuple[tuple[str, SubjectType], ...] = (
    ("session", "session"),
    ("parent", "session"),
    ("agent", "agent"),
    ("delegator", "delegator"),
    ("task", "task"),
    ("token", "jti"),
)
_HEADERS = ("X-Guardian-Tenant", *(f"X-Guardian-{name.title()}" for name, _ in _NAMES))
_VARY = ", ".join(("Authorization", *_HEADERS))
_RESPONSES: dict[int | str, dict[str, Any]] = documented(401, 403, 422, 503) | {
    200: {"description": "It may; the body is empty"}
}


def _header(name: str) -> Any:
    return Header(alias=f"X-Guardian-{name}")


def _readings(value: str) -> tuple[str, ...]:
    """How a header can be read, the likeliest first: as UTF-8 if its bytes are that, and as Latin-1."""
    try:
        return value.encode("latin-1").decode(), value
    except UnicodeError:
        return (value,)


def _named(value: str, check: Callable[[str], str]) -> str:
    """The name as it came, if its likeliest reading passes the check. A proxy makes an error of any no but 403."""
    try:
        check(_readings(value)[0])
    except ValidationError as error:
        why = "a name has 1 to 512 characters, and no control characters"
        raise Refusal(403, why, code="invalid") from error
    return value


def _session(value: str, check: Callable[[str], str]) -> str:
    """The same for a session, which is known by its hash where it cannot be by its name."""
    likeliest = _readings(value)[0]
    known = known_as(likeliest) or ""
    return _named(value if known == likeliest else known, check)


_Name = Annotated[Identifier, WrapValidator(_named)]
_Session = Annotated[Identifier, WrapValidator(_session)]


@dataclass(frozen=True, slots=True)
class Told:
    """Who is asked about, from the headers that the gateway sets."""

    request: Request
    tenant: Annotated[_Name | None, _header("Tenant")] = None
    session: Annotated[_Session | None, _header("Session")] = None
    parent: Annotated[_Session | None, _header("Parent")] = None
    agent: Annotated[_Name | None, _header("Agent")] = None
    delegator: Annotated[_Name | None, _header("Delegator")] = None
    task: Annotated[_Name | None, _header("Task")] = None
    token: Annotated[_Name | None, _header("Token")] = None

    @property
    def twice(self) -> bool:
        """Whether a header came more than once: then one of them was sent by the gateway's own caller."""
        return any(len(self.request.headers.getlist(name)) > 1 for name in _HEADERS)


@router.get("/v1/check", responses=_RESPONSES, response_class=Response)
def check(
    deps: Deps,
    caller: CallerOfAny,
    told: Annotated[Told, Depends()],
    tenant_id: Annotated[_Name | None, Query(description="Where X-Guardian-Tenant is absent.")] = None,
    session_id: Annotated[_Session | None, Query(description="Where X-Guardian-Session is absent.")] = None,
) -> Response:
    """200 when none of the named subjects is revoked, 403 when one is, or when nothing was named or nothing that
    can be a name.

    The answer may be kept for a moment, per subject: see `Cache-Control`. A proxy may append the original path and
    query (`/v1/check/tools/call?x=1`): they are the agent's words, and only headers count then.
    """
    query = told.request.query_params
    asked = [name for name, header in (("tenant_id", told.tenant), ("session_id", told.session)) if header is None]
    if any(len(query.getlist(name)) > 1 for name in asked):  # one of them is the agent's and not the gateway's
        raise _unnamed()
    named = replace(told, tenant=told.tenant or tenant_id, session=told.session or session_id)
    return _answer(deps, caller, named)


@router.get("/v1/check/{path:path}", include_in_schema=False, response_class=Response)
@router.head("/v1/check/{path:path}", include_in_schema=False, response_class=Response)
@router.post("/v1/check/{path:path}", include_in_schema=False, response_class=Response)
@router.put("/v1/check/{path:path}", include_in_schema=False, response_class=Response)
@router.patch("/v1/check/{path:path}", include_in_schema=False, response_class=Response)
@router.delete("/v1/check/{path:path}", include_in_schema=False, response_class=Response)
def check_appended(deps: Deps, caller: CallerOfAny, told: Annotated[Told, Depends()]) -> Response:
    """The same with the original path appended. Neither that path nor its query says who is asked about."""
    return _answer(deps, caller, told)


def _answer(deps: Deps, caller: CallerOfAny, told: Told) -> Response:
    tenant = _only(caller.tenants) if told.tenant is None else _readings(told.tenant)[0]
    given = (told.session, told.parent, told.agent, told.delegator, told.task, told.token)
    both = zip(_NAMES, given, strict=True)
    named = [(kind, name) for (_, kind), value in both if value is not None for name in _readings(value)]
    if tenant is None or not named or told.twice:
        raise _unnamed()
    if not caller.reaches(tenant):
        raise Refusal(403, "this token does not cover the tenant", code="out_of_reach")
    may_read(deps, caller, "readRevocations", tenant)
    with deps.store.read() as rows:
        found = rows.ledger.live_among(tenant, named, deps.sure(deps.clock()))
    headers = {"Cache-Control": f"private, max-age={deps.settings.switch.check_max_age_s}", "Vary": _VARY}
    if found:
        entry = found[0]
        detail = f"the {entry.subject_type} is revoked ({entry.reason_code}), at revision {entry.revision}"
        raise Refusal(403, detail, code="revoked", headers=headers)
    return Response(status_code=200, headers=headers)


def _unnamed() -> Refusal:
    why = "name the tenant and a session, agent, delegator, task or token, each once"
    return Refusal(403, why, code="unnamed")


def _only(tenants: frozenset[str]) -> str | None:
    """The one tenant of a token that has only one."""
    return next(iter(tenants)) if len(tenants) == 1 and EVERY_TENANT not in tenants else None
