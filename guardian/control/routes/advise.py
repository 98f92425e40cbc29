"""`/v1/advise`: a gateway asks before it lets a call through (AuthZEN evaluation)."""

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from guardian.control.advice.advising import advise, held_for, undone
from guardian.control.authentication.caller import Caller, Deps, turn
from guardian.control.authority.asking import Reach, may_read
from guardian.control.deps import ControlDeps
from guardian.control.distribution.long_polls import LongPolls
from guardian.control.distribution.shared_looks import SharedLooks
from guardian.control.problems import READS, Refusal, absent, documented
from guardian.domain.identity import Identifier
from guardian.domain.strict_json import unambiguous
from guardian.errors import DecodeError
from guardian.wire.advice import Advice, AdviceContext, EvaluationRequest
from guardian.wire.approvals import ApprovalView


class _Unambiguous(Request):
    """No key is repeated: the gateway might call with the other value than the one that is weighed.

    What else the reader of logs refuses is the agent's doing, and weighed as such (`unreadable_call`).
    """

    async def json(self) -> Any:
        try:
            return json.loads(await self.body(), object_pairs_hook=unambiguous)
        except DecodeError as error:
            raise Refusal(400, f"body: {error.reason}") from None


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def read(request: Request) -> Response:
            return await handle(_Unambiguous(request.scope, request.receive))

        return read


router = APIRouter(prefix="/v1/advise", tags=["advice"], route_class=_Route)

_LOOK_AGAIN_S = 0.25


@router.post("", responses=documented(400, 401, 403, 404, 413, 422, 503))
async def ask_for_advice(request: Request, deps: Deps, caller: Caller, proposed: EvaluationRequest) -> Advice:
    """May this call go through? `decision` is true for permit alone; `context.advice` tells deny from hold."""
    patience, to_write = request.app.state.patience, turn(request, caller)
    return await advise(deps, patience, to_write, caller, proposed, since=request.state.arrived)


@router.get("/{approval_id}", responses=READS)
async def await_advice(
    request: Request,
    deps: Deps,
    caller: Caller,
    approval_id: Annotated[Identifier, Path(description="From `context.approval`.")],
    wait: Annotated[float, Query(ge=0, allow_inf_nan=False, description="Seconds to wait for a person.")] = 0,
) -> Advice:
    """What became of a call that is held. After a permit, ask again for the very same call: it passes, once."""
    await run_in_threadpool(may_read, deps, caller, "readRevocations")
    polls: LongPolls = request.app.state.long_polls
    looks: SharedLooks = request.app.state.looks
    key = ("held", caller.scope, approval_id)
    view, over = await polls.hold(
        caller.id,
        wait,
        lambda: looks.together(key, lambda: _look(deps, caller.scope, approval_id)),
        until=lambda seen: seen[1] is not None or seen[0].state != "pending" or seen[0].expires_at <= deps.clock(),
        admit=request.state.admit,
        every_s=_LOOK_AGAIN_S,
    )
    return _answer(view, deps, over=over)


def _look(deps: ControlDeps, scope: Reach, approval_id: str) -> tuple[ApprovalView, str | None]:
    """The approval, and why it is worth nothing by now."""
    with deps.store.read() as rows:
        found = rows.approvals.get(approval_id, scope)
        if found is None or found.view.action != "permitCall":
            raise absent("call")
        return found.view, undone(rows, found)


def _answer(view: ApprovalView, deps: ControlDeps, *, over: str | None) -> Advice:
    live = view.expires_at > deps.clock()
    match view.state:
        case "pending" | "approved" if live and over is not None:
            told = AdviceContext(advice="deny", reason=over)
        case "pending" if live:
            told = AdviceContext(advice="hold", reason="a person is asked", approval=held_for(view))
        case "approved" if live:
            told = AdviceContext(advice="permit", reason="a person let this call through")
        case _:
            ended = "expired" if view.state in ("pending", "approved") else view.state
            told = AdviceContext(advice="deny", reason=f"the approval is {ended}")
    return Advice(decision=told.advice == "permit", context=told)
