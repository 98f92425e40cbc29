"""What every route takes: who calls, and what stands behind the routes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Protocol, TypeVar
from urllib.parse import unquote

from fastapi import Depends, Header, Path, Query, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query as Asked
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from guardian.control.authentication.gate import PROMPT, principal_of
from guardian.control.deps import ControlDeps
from guardian.control.problems import Refusal, absent
from guardian.domain.identity import Identifier
from guardian.domain.revocation import LARGEST
from guardian.wire.cases import NO_CASE
from guardian.wire.principal import Principal

# Only for the OpenAPI document: the gate has checked the token long before.
_bearer: Final = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="token")


# Not `def`: FastAPI would send each of these to a thread, for every request.
async def _deps(request: Request) -> ControlDeps:
    deps = request.app.state.deps
    assert isinstance(deps, ControlDeps)  # noqa: S101 - create_app put it there
    return deps


async def _shown(request: Request, _token: Annotated[Any, Depends(_bearer)]) -> Principal:
    return principal_of(request)


CallerOfAny = Annotated[Principal, Depends(_shown)]
"""The caller of a route whose query may be somebody else's words, and is not looked at."""


async def _caller(request: Request, caller: CallerOfAny) -> Principal:
    """Whose query has what the route takes, each once: a misspelt filter would answer for everybody."""
    told = [name for name, _ in request.query_params.multi_items()]
    if told:
        taken = _taken(request.scope["route"])
        if not taken.issuperset(told) or len(set(told)) < len(told):
            which = f"these parameters, each once: {', '.join(sorted(taken))}" if taken else "no parameters"
            raise Refusal(422, f"query: here it has {which}")
    return caller


def _taken(route: APIRoute) -> frozenset[str]:
    """The names of the parameters that the route's query may have."""
    params = get_flat_params(route.dependant)
    return frozenset(each.alias for each in params if isinstance(each.field_info, Asked))


Caller = Annotated[Principal, Depends(_caller)]


@asynccontextmanager
async def turn(request: Request, caller: Principal, *, revokes: bool = False) -> AsyncIterator[None]:
    """One of the few places of those that write; `revokes`: for a finding that asks for it. Where it was long in
    coming the token has to count still."""
    deps: ControlDeps = request.app.state.deps
    began = deps.stopwatch()
    async with request.app.state.writers.of(caller, revokes=revokes):
        if deps.stopwatch() - began > PROMPT.total_seconds():
            await request.state.admit()
        yield


async def _writer(request: Request, caller: Caller) -> AsyncIterator[Principal]:
    async with turn(request, caller):
        yield caller


async def _tenant(request: Request, tenant_id: Annotated[Identifier, Path(description="The tenant.")]) -> str:
    """The tenant that a path names. Routes match decoded paths, but `a%2Fb/c` names no session `b/c` of `a`."""
    raw = request.scope.get("raw_path")
    place = request.scope["route"].path.split("/").index("{tenant_id}")
    if raw is not None and unquote(raw.decode("latin-1").split("/")[place]) != tenant_id:
        raise absent("tenant")
    return tenant_id


Deps = Annotated[ControlDeps, Depends(_deps)]
Writer = Annotated[Principal, Depends(_writer, scope="function")]
"""The caller of a route that writes. It has one of the few places of those, and its turn may be long in coming."""
TenantId = Annotated[str, Depends(_tenant)]
SessionId = Annotated[Identifier, Path(description="The session, within its tenant.")]
FindingId = Annotated[Identifier, Path(description="The finding.")]
TenantFilter = Annotated[Identifier | None, Query(description="Only this tenant, within the token's reach.")]
NameFilter = Annotated[
    str | None,
    Query(min_length=1, max_length=2000, pattern=r"^[^\x00]+$", description="Only what bears this very name."),
]
Limit = Annotated[int, Query(ge=1, le=500)]


async def _before(
    cursor: Annotated[str | None, Query(max_length=19, pattern=r"^[0-9]+$", description="From `next`.")] = None,
) -> int | None:
    """The place in the order of rows before which a page begins."""
    if cursor is None:
        return None
    place = int(cursor)
    if place > LARGEST:
        raise Refusal(422, "cursor: take it from `next` of the previous page")
    return place


Before = Annotated[int | None, Depends(_before)]


async def _seen(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            max_length=80,
            pattern=rf'^"([0-9a-f]{{32,48}}|{NO_CASE})"$',
            description="The digest of the case as it was looked at (`GET /v1/cases/...`), in quotes: a case that"
            " moved on is refused with 412. `none` for one that had no case.",
        ),
    ] = None,
) -> str | None:
    return None if if_match is None else if_match.strip('"')


Seen = Annotated[str | None, Depends(_seen)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="A repeated request with the same key gets the first answer for a day.",
    ),
]


class _Placed(Protocol):
    @property
    def seq(self) -> int: ...


_Row = TypeVar("_Row", bound=_Placed)


def page(found: Sequence[_Row], limit: int) -> tuple[Sequence[_Row], str | None]:
    """One page of rows, and the cursor of the next page, None at the end. `found` has up to `limit` + 1 rows."""
    shown = found[:limit]
    return shown, str(shown[-1].seq) if len(found) > limit else None
