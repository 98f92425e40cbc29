"""`/v1/opa`: the list as an OPA bundle, and the key that OPA verifies it with."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from guardian.control.authentication.caller import Caller, Deps, TenantFilter
from guardian.control.authority.asking import may_read
from guardian.control.distribution.long_polls import LongPolls
from guardian.control.distribution.shared_looks import SharedLooks
from guardian.control.problems import READS, absent, documented, header
from guardian.control.routes.revocations import Instance, narrowed, note_held
from guardian.revocation.opa_bundle import LONG_POLLED, MEDIA_TYPE
from guardian.revocation.port import Rendered
from guardian.revocation.snapshot import matching, presented_revision

router = APIRouter(prefix="/v1/opa", tags=["revocations"])

_OPA = "opa"
_WAIT = re.compile(r"(?:^|[;,\s])wait=(\d{1,6})")
_TAGGED = header("ETag", "For If-None-Match.", always=True)
_RESPONSES = READS | {
    200: {"content": {MEDIA_TYPE: {}, LONG_POLLED: {}}, "description": "The bundle", "headers": _TAGGED},
    304: {"description": "Nothing changed since the entity tag that was sent", "headers": _TAGGED},
}


@router.get("/bundle.tar.gz", responses=_RESPONSES, response_class=Response)
async def opa_bundle(
    request: Request,
    deps: Deps,
    caller: Caller,
    tenant_id: TenantFilter = None,
    if_none_match: Annotated[str | None, Header(max_length=4096)] = None,
    prefer: Annotated[str | None, Header(max_length=256)] = None,
    instance: Instance = _OPA,
) -> Response:
    """A bundle with the root `guardian/revocations`; `Prefer: wait=SECONDS` holds the answer until it changes.

    Several OPAs with one token each need a Guardian-Instance of their own (`services.NAME.headers`), or the one
    that is furthest ahead hides the others.
    """
    scope = await run_in_threadpool(may_read, deps, caller, "readRevocations", tenant_id)
    held = presented_revision(if_none_match) if if_none_match else None
    await note_held(request, deps, narrowed(caller, scope, instance), held, _OPA)
    looks: SharedLooks = request.app.state.looks
    polls: LongPolls = request.app.state.long_polls
    waits = _WAIT.search(prefer or "")

    def changed(bundle: Rendered) -> bool:
        return if_none_match is None or matching(if_none_match, bundle.etag) is None

    wait_s = int(waits[1]) if waits else 0
    bundle = await polls.hold(
        caller.id, wait_s, lambda: looks.bundle(scope), until=changed, admit=request.state.admit
    )
    headers = {
        "ETag": f'"{bundle.etag}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Prefer",
        "Content-Type": LONG_POLLED if waits else MEDIA_TYPE,
    }
    if changed(bundle):
        return Response(bundle.body, headers=headers)
    return Response(status_code=304, headers=headers)


@router.get(
    "/key.pem",
    responses=documented(401, 403, 404, 503) | {200: {"content": {"application/x-pem-file": {}}}},
    response_class=Response,
)
def opa_key(deps: Deps, caller: Caller) -> Response:
    """The public key for OPA's `keys:`, algorithm ES256."""
    may_read(deps, caller, "readRevocations")
    if deps.bundle_key is None:
        raise absent("key")
    return Response(deps.bundle_key.public_pem(), media_type="application/x-pem-file")
