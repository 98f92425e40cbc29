"""`/slack/…`: Slack's requests. Authenticated by Slack's signature instead of a token; answered within moments."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from guardian.control.desk.door import SlackDoor
from guardian.control.problems import absent

router = APIRouter(include_in_schema=False)


@router.post("/slack/interactions")
async def interactions(request: Request) -> Response:
    """Buttons and forms. An empty 200 tells Slack that it was heard; what came of it is told in the channel."""
    await run_in_threadpool(_door(request).interaction, await request.body(), *_signed(request))
    return Response()


@router.post("/slack/commands")
async def commands(request: Request) -> Response:
    """The slash command; its answer follows where Slack said."""
    await run_in_threadpool(_door(request).command, await request.body(), *_signed(request))
    return JSONResponse({"response_type": "ephemeral", "text": "Asking guardian …"})


def _door(request: Request) -> SlackDoor:
    door = getattr(request.app.state, "slack", None)
    if not isinstance(door, SlackDoor):
        raise absent("route")
    return door


def _signed(request: Request) -> tuple[str, str]:
    names = ("x-slack-request-timestamp", "x-slack-signature")
    told = [request.headers.getlist(name) for name in names]
    timestamp, signature = (values[0] if len(values) == 1 else "" for values in told)
    return timestamp, signature
