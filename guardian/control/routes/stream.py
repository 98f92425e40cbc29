"""`/v1/revocations/stream`: the list pushed, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from guardian.control.authentication.caller import Caller, Deps, TenantFilter
from guardian.control.authority.asking import Reach, may_read
from guardian.control.deps import ControlDeps
from guardian.control.distribution.bell import Bell, heard
from guardian.control.distribution.long_polls import Places
from guardian.control.distribution.shared_looks import SharedLooks
from guardian.control.problems import Refusal, write_down
from guardian.control.routes.revocations import Instance, narrowed, note_held, slices
from guardian.control.watchers.peers import UNNAMED
from guardian.domain.revocation import Revision
from guardian.errors import GuardianError
from guardian.revocation import sse
from guardian.telemetry import logger

router = APIRouter(prefix="/v1/revocations", tags=["revocations"])

_REVISION = r"^[0-9]+\.[0-9]+$"
_log = logger("control")


# Not in the OpenAPI document: its description of an answer has no word for one that does not end.
@router.get("/stream", include_in_schema=False, response_class=Response)
async def stream_revocations(
    request: Request,
    deps: Deps,
    caller: Caller,
    tenant_id: TenantFilter = None,
    since: Annotated[str | None, Query(max_length=38, pattern=_REVISION)] = None,
    last_event_id: Annotated[str | None, Header(max_length=38, pattern=_REVISION)] = None,
    instance: Instance = UNNAMED,
) -> Response:
    """The whole list, then every change at once; after `Last-Event-ID` (or `since`) only what is newer.

    Without a change an event `fresh` comes every few seconds. The stream ends when the token does, or the
    permission.
    """

    async def admit() -> None:
        admitted = await request.state.admit()
        await run_in_threadpool(may_read, deps, admitted, "readRevocations", tenant_id)

    scope = await run_in_threadpool(may_read, deps, caller, "readRevocations", tenant_id)
    told = last_event_id or since
    try:
        held = None if told is None else Revision.parse(told)
    except ValueError as error:
        raise Refusal(422, "Last-Event-ID: a revision is written EPOCH.N") from error
    await note_held(request, deps, narrowed(caller, scope, instance), held, "push")
    events = _events(deps, admit, scope, held, request.app.state.looks, request.app.state.bell)
    events = _to_its_end(events, request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Authorization"}
    headers[sse.HEARTBEAT] = f"{deps.settings.switch.heartbeat_s:g}"
    streams: Places = request.app.state.streams
    return _Placed(events, streams.take(caller.id), headers)


class _Placed(StreamingResponse):
    """Takes its place when it begins and gives it back however it ends, even if no event was ever asked for."""

    def __init__(
        self, events: AsyncIterator[bytes], place: AbstractContextManager[None], headers: Mapping[str, str]
    ) -> None:
        super().__init__(events, media_type=sse.MEDIA_TYPE, headers=headers)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


async def _to_its_end(events: AsyncIterator[bytes], request: Request) -> AsyncIterator[bytes]:
    """The status is sent already: where the events cannot go on, they end, and the client asks anew."""
    try:
        async for event in events:
            yield event
    except Refusal as refusal:
        await write_down(request, refusal)
    except GuardianError as error:
        _log.error("stream_failed", correlation_id=request.state.request_id, error=str(error)[:500])


async def _events(
    deps: ControlDeps,
    admit: Callable[[], Awaitable[object]],
    scope: Reach,
    held: Revision | None,
    looks: SharedLooks,
    bell: Bell,
) -> AsyncIterator[bytes]:
    """With every heartbeat `admit` is asked: no stream outlives its token, the key that signed it, or what policy
    permits, by more."""
    loop, pause = asyncio.get_running_loop(), deps.settings.switch.heartbeat_s
    yield sse.GREETING
    checked = loop.time()
    told = checked - pause  # say at once that it is fresh, also when nothing changed
    while not bell.closing:
        if loop.time() - checked >= pause:  # however busy the list is
            await admit()
            checked = loop.time()
        event = bell.hang()
        signed = await looks.look(scope, held)
        listing = signed.listing
        if held is None or listing.moved:
            head, tail = sse.around(listing.revision, signed.signature)
            yield head
            for piece in slices(listing.rendered.body):  # every stream shares the one body
                yield piece
            yield tail
            held, told = listing.revision, loop.time()
        elif loop.time() - told >= pause:
            yield await looks.fresh(scope, held)
            told = loop.time()
        else:
            await heard(event, min(told, checked) + pause - loop.time())
