"""ASGI middleware that refuses every request, and every message on a WebSocket, of a revoked caller before the
application sees it. What was let pass goes on to its end: the body of a request, a response that streams, and a
WebSocket on which the caller says nothing more.

    app.add_middleware(RefuseRevoked, revocations=revoked, identify=from_headers("tenant_acme"))

You write `identify`: it names the caller, from what your gateway has verified. If it returns None the request
passes (a health check); if it raises Unnamed the request is refused. Of a WebSocket it sees the handshake. With
the application the list is stopped.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from .aio import AsyncRevocationList
from .client import RevocationList

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Everything that the gateway knows about the caller; `risk` is that of the tool which is called."""

    tenant_id: str
    session: str | None = None
    parent: str | None = None
    agent: str | None = None
    delegator: str | None = None
    task: str | None = None
    jti: str | None = None
    risk: str = ""


Identify = Callable[[Scope], "Caller | None"]


class Unnamed(Exception):
    """Raised by `identify` for a request that names nobody."""


class RefuseRevoked:
    """Answers with problem details: 403 for a revoked caller, 503 while a stale list refuses this risk. A
    WebSocket is closed with 1008 and the reason."""

    def __init__(self, app: App, revocations: RevocationList | AsyncRevocationList, identify: Identify) -> None:
        self._app, self._list, self._identify = app, revocations, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, partial(self._heard, receive), send)
            return
        try:
            caller = self._identify(scope)
        except Unnamed:
            await _refuse(scope, send, 403, "unnamed")
            return
        why = None if caller is None else self._why(caller)
        if why is not None:
            await _refuse(scope, send, 503 if why == "list_stale" else 403, why)
            return
        if scope["type"] == "websocket" and caller is not None:
            receive = partial(self._still_heard, caller, receive, send)
        await self._app(scope, receive, send)

    async def _heard(self, receive: Receive) -> MutableMapping[str, Any]:
        """What the server says of the application's life. At its end guardian is told good-bye: a server that a
        signal ends, such as uvicorn, leaves no time for that afterwards."""
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            if isinstance(self._list, AsyncRevocationList):
                await self._list.stop()
            else:
                self._list.stop()  # no request waits for this loop any more
        return message

    async def _still_heard(self, caller: Caller, receive: Receive, send: Send) -> MutableMapping[str, Any]:
        """The next message of a WebSocket. Of a caller who is refused by now it hears no more, and is closed."""
        message = await receive()
        why = self._why(caller) if message["type"] == "websocket.receive" else None
        if why is None:
            return message
        with suppress(Exception):  # it is closed already, which each server says its own way
            await send(_closed(why))
        return {"type": "websocket.disconnect", "code": 1008, "reason": why}

    def _why(self, caller: Caller) -> str | None:
        return self._list.refusal(
            caller.tenant_id,
            session=caller.session,
            parent=caller.parent,
            agent=caller.agent,
            delegator=caller.delegator,
            task=caller.task,
            jti=caller.jti,
            risk=caller.risk,
        )


def from_headers(tenant_id: str, *, session: str = "x-session-id", agent: str = "x-agent-id") -> Identify:
    """For gateways that put verified names into headers, in UTF-8, after removing what clients sent there."""

    def identify(scope: Scope) -> Caller:
        return Caller(tenant_id, session=_named(scope, session, needed=True), agent=_named(scope, agent))

    return identify


def _named(scope: Scope, header: str, *, needed: bool = False) -> str | None:
    found = [value for name, value in scope["headers"] if name.lower() == header.lower().encode()]
    try:
        (name,) = found or [b""]  # where there are two, one of them may be the client's
        told = name.decode()
    except ValueError:
        raise Unnamed from None
    if needed and not told:
        raise Unnamed
    return told or None


async def _refuse(scope: Scope, send: Send, status: int, code: str) -> None:
    if scope["type"] == "websocket":
        await send(_closed(code))
        return
    body = json.dumps({"type": f"urn:guardian:problem:{code}", "title": "Refused", "status": status, "code": code})
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _closed(code: str) -> dict[str, Any]:
    return {"type": "websocket.close", "code": 1008, "reason": code}
