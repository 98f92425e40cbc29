"""`/v1/revocations`: the list that gateways obey. Its callers may wait, hence async."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Annotated, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from guardian.control.authentication.caller import Caller, Deps, TenantFilter
from guardian.control.authority.asking import Reach, may_read
from guardian.control.deps import ControlDeps
from guardian.control.distribution.listing import Listing, RevocationListings
from guardian.control.distribution.long_polls import LongPolls
from guardian.control.distribution.shared_looks import SharedLooks, Signed
from guardian.control.problems import READS, Refusal, header
from guardian.control.watchers.peers import UNNAMED
from guardian.control.watchers.restored import gave_away
from guardian.domain.revocation import Revision
from guardian.revocation.signing import HEADER
from guardian.revocation.snapshot import PACKED, matching, presented_revision, tag_of
from guardian.wire.principal import Principal
from guardian.wire.revocations import RevocationList

router = APIRouter(prefix="/v1/revocations", tags=["revocations"])

_SLICE = 256 * 1024
_PACKED_FROM = 16 * 1024
_NAME = 128
_NOT_WANTED = re.compile(r"q\s*=\s*0(\.0{0,3})?")

Instance = Annotated[
    str,
    Header(
        alias="Guardian-Instance",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Which of the gateway's processes asks, so that each can be watched.",
    ),
]
_SHOWN = (
    header("ETag", "For If-None-Match.", always=True)
    | header("Guardian-Revision", "EPOCH.N of the newest entry within reach.", always=True)
    | header(HEADER, "Detached JWS over the body, or with 304 over the entity tag; where lists are signed.")
)
_RESPONSES = READS | {
    200: {"model": RevocationList, "description": "The list, or with `since` what changed", "headers": _SHOWN},
    304: {"description": "Nothing changed since the entity tag that was sent", "headers": _SHOWN},
}


@router.get("", responses=_RESPONSES, response_class=Response)
async def list_revocations(
    request: Request,
    deps: Deps,
    caller: Caller,
    tenant_id: TenantFilter = None,
    since: Annotated[str | None, Query(max_length=38, pattern=r"^[0-9]+\.[0-9]+$")] = None,
    wait: Annotated[
        float, Query(ge=0, allow_inf_nan=False, description="Hold the answer this many seconds until it changes.")
    ] = 0,
    if_none_match: Annotated[str | None, Header(max_length=4096)] = None,
    accept_encoding: Annotated[str, Header(max_length=256, include_in_schema=False)] = "",
    instance: Instance = UNNAMED,
) -> Response:
    """Every live revocation within reach, with a strong entity tag; with `since=EPOCH.N` only the changes.

    `since` is for a client whose reach is what it was when it got that revision; after a change of token or of
    `tenant_id`, fetch the full list.
    """
    scope = await run_in_threadpool(may_read, deps, caller, "readRevocations", tenant_id)
    held = _parse(since)
    presented = held or (presented_revision(if_none_match) if if_none_match else None)
    await note_held(request, deps, narrowed(caller, scope, instance), presented, "poll")
    looks: SharedLooks = request.app.state.looks
    polls: LongPolls = request.app.state.long_polls

    def changed(signed: Signed) -> bool:
        return not _unchanged(signed.listing, held, if_none_match)

    signed = await polls.hold(
        caller.id, wait, lambda: looks.look(scope, held), until=changed, admit=request.state.admit
    )
    confirmed = None if changed(signed) else _confirmed(signed.listing, held, if_none_match)
    if confirmed is not None:
        headers = _headers(confirmed, signed.listing, await looks.unchanged(scope, confirmed))
        return Response(status_code=304, headers=headers)
    return await _answer(signed, looks, packs=accepts_gzip(accept_encoding))


class Follower(NamedTuple):
    """Who follows a list: the caller and its process, told apart by the list if it asks for one tenant's only."""

    caller: Principal
    instance: str


def narrowed(caller: Principal, scope: Reach, instance: str) -> Follower:
    """The caller, as if it reached only what it asks for: other tenants' lists do not concern it.

    One process may ask for several tenants' lists one by one: that one is fresh says nothing of the others.
    """
    if scope is None or scope == caller.scope:
        return Follower(caller, instance)
    name = f"{instance} for {quote(' '.join(sorted(scope)), safe='@:')}"  # no other process is called so
    if len(name) > _NAME:
        name = f"{name[: _NAME - 17]} {hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return Follower(replace(caller, tenants=scope), name)


async def note_held(
    request: Request,
    deps: ControlDeps,
    follower: Follower,
    held: Revision | None,
    transport: str,
) -> None:
    """Remember which revision a gateway holds. One that this ledger has not reached is not believed, unless it
    shows that a backup was restored.

    It may come from a list of a wider token: it is held against every tenant's.
    """
    caller, instance = follower
    if held is None or caller.role != "gateway":
        return
    listings: RevocationListings = request.app.state.listings
    if await run_in_threadpool(lambda: listings.reached(held, None) or gave_away(deps, caller, held, None)):
        deps.peers.note("gateway", caller, instance, revision=held, transport=transport, now=deps.clock())


def accepts_gzip(accepted: str) -> bool:
    """Accept-Encoding (RFC 9110, 12.5.3): gzip only for callers that name it, and not with weight 0."""
    weights = dict[str, bool]()
    for offer in accepted.lower().split(","):
        coding, _, weight = offer.partition(";")
        weights[coding.strip()] = not _NOT_WANTED.fullmatch(weight.strip())
    return weights.get("gzip", False)


def slices(body: bytes) -> Iterator[bytes]:
    """A long answer in pieces, so that one slow reader does not make the server hold all that it has not read."""
    for begin in range(0, len(body), _SLICE):
        yield body[begin : begin + _SLICE]


def _unchanged(listing: Listing, held: Revision | None, tags: str | None) -> bool:
    if held is not None:
        return not listing.moved
    return tags is not None and matching(tags, listing.rendered.etag) is not None


def _confirmed(listing: Listing, held: Revision | None, tags: str | None) -> str | None:
    """The entity tag that a 304 may confirm: for a delta, only one of the very revision that is asked from."""
    if tags is None:
        return None
    return matching(tags, listing.rendered.etag) if held is None else tag_of(tags, held)


async def _answer(signed: Signed, looks: SharedLooks, *, packs: bool) -> Response:
    """The signature is of the body without gzip. Each coding has an entity tag of its own (RFC 9110, 8.8.3.3)."""
    rendered, coding = signed.listing.rendered, dict[str, str]()
    body, etag = rendered.body, rendered.etag
    if packs and not signed.listing.delta and len(body) >= _PACKED_FROM:
        body, etag, coding = await looks.packed(signed.listing), etag + PACKED, {"Content-Encoding": "gzip"}
    headers = _headers(f'"{etag}"', signed.listing, signed.signature) | coding
    if len(body) <= _SLICE:
        return Response(body, media_type=rendered.media_type, headers=headers)
    headers["Content-Length"] = str(len(body))
    return StreamingResponse(_in_turn(body), media_type=rendered.media_type, headers=headers)


async def _in_turn(body: bytes) -> AsyncIterator[bytes]:
    for piece in slices(body):
        yield piece


def _headers(tag: str, listing: Listing, signature: str) -> dict[str, str]:
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Accept-Encoding",
        "Guardian-Revision": str(listing.revision),
    }
    return headers | {HEADER: signature} if signature else headers


def _parse(since: str | None) -> Revision | None:
    if since is None:
        return None
    try:
        return Revision.parse(since)
    except ValueError as error:
        raise Refusal(422, "since: a revision is written EPOCH.N") from error
