"""`/v1/revocations`: the list that gateways obey. The only routes that wait, hence async."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from guardian.control.authority import may_read
from guardian.control.bell import Bell, heard
from guardian.control.caller import Caller, Deps, TenantFilter, reach
from guardian.control.listing import Listing
from guardian.control.looking import SharedLooks, Signed
from guardian.control.peers import UNNAMED
from guardian.control.problems import Refusal, documented
from guardian.domain.revocation import Revision
from guardian.revocation.ledger import parse_revision
from guardian.revocation.signing import HEADER
from guardian.revocation.snapshot import matches, presented_revision
from guardian.wire.revocations import RevocationList

router = APIRouter(prefix="/v1/revocations", tags=["revocations"])

_LOOK_AGAIN_S = 1.0  # another process may have written: its bell is not ours

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
_RESPONSES = documented(401, 403, 404, 422, 503) | {
    200: {"model": RevocationList, "description": "The list, or with `since` what changed"},
    304: {"description": "Nothing changed since the entity tag that was sent"},
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
    instance: Instance = UNNAMED,
) -> Response:
    """Every live revocation within reach, with a strong entity tag; with `since=EPOCH.N` only the changes.

    `since` is for a client whose reach is what it was when it got that revision; after a change of token or of
    `tenant_id`, fetch the full list.
    """
    scope = reach(caller, tenant_id)
    await run_in_threadpool(may_read, deps, caller, "readRevocations", tenant_id)
    held = _parse(since)
    presented = held or (presented_revision(if_none_match) if if_none_match else None)
    if presented is not None and caller.role == "gateway":
        deps.metrics.set("guardian_gateway_revision", presented.n, gateway=caller.id)
        deps.peers.note("gateway", caller, instance, revision=presented, transport="poll", now=deps.clock())
    bell: Bell = request.app.state.bell
    looks: SharedLooks = request.app.state.looks
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(wait, deps.settings.long_poll_max_s)
    while True:
        event = bell.hang()
        try:
            signed = await looks.look(scope, held)
            unchanged = _unchanged(signed.listing, held, if_none_match)
            left = deadline - loop.time()
            if not unchanged or left <= 0 or bell.closing:
                return _answer(signed, matched=unchanged and _same(held, if_none_match))
            await heard(event, min(left, _LOOK_AGAIN_S))
        finally:
            bell.drop(event)


def _unchanged(listing: Listing, held: Revision | None, tags: str | None) -> bool:
    if held is not None:
        return not listing.moved
    return tags is not None and matches(tags, listing.rendered.etag)


def _same(held: Revision | None, tags: str | None) -> bool:
    """Whether 304 may be said: for a delta, only to who shows a tag of the very revision it asks from."""
    return tags is not None and (held is None or presented_revision(tags) == held)


def _answer(signed: Signed, *, matched: bool) -> Response:
    listing = signed.listing
    headers = {
        "ETag": f'"{listing.rendered.etag}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization",
        "Guardian-Revision": str(listing.revision),
    }
    if signed.signature:
        headers[HEADER] = signed.tag_signature if matched else signed.signature
    if matched:
        return Response(status_code=304, headers=headers)
    return Response(listing.rendered.body, media_type=listing.rendered.media_type, headers=headers)


def _parse(since: str | None) -> Revision | None:
    if since is None:
        return None
    try:
        return parse_revision(since)
    except ValueError as error:
        raise Refusal(422, "since: a revision is written EPOCH.N") from error
