"""How a request comes, whichever application on the socket it is for: with one length, and to its end in time.

Nobody reads the body of a GET, nor of a check, which a proxy may send with its client's method. The connection of
one that announces a body ends with its answer.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardian.control.problems import Refusal

BODY_S = 30.0
_CLOSE = {"Connection": "close"}
_CHECKS = "/v1/check/"


def _parting(send: Send) -> Send:
    """With the answer the connection ends: else what is next on it would be taken for that body."""

    async def parting(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_CLOSE)
        await send(message)

    return parting


class Framed:
    """Pure ASGI. Waits `body_s` seconds for a body, all its parts together."""

    def __init__(self, app: ASGIApp, *, body_s: float = BODY_S) -> None:
        self._app, self._body_s = app, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        coded, length = "transfer-encoding" in headers, headers.get("content-length", "0")
        if coded and "content-length" in headers:  # RFC 9112, 6.1: it may be smuggled
            refusal = Refusal(400, "send Content-Length or Transfer-Encoding, not both", headers=_CLOSE)
            await refusal.response("")(scope, receive, send)
            return
        unread = scope["method"] in ("GET", "HEAD") or scope["path"].startswith(_CHECKS)
        if unread and (coded or length.strip("0")):
            send = _parting(send)  # a proxy that asks by itself may announce a body that it does not send
        try:
            await self._app(scope, self._timely(receive), send)
        except ClientDisconnect:
            return

    def _timely(self, receive: Receive) -> Receive:
        clock, left, whole = asyncio.get_running_loop().time, self._body_s, False

        async def timely() -> Message:
            nonlocal left, whole
            if whole:  # what follows is the end of the connection, for which a stream waits as long as it lasts
                return await receive()
            began = clock()
            try:
                async with asyncio.timeout(left):
                    message = await receive()
            except TimeoutError:
                raise Refusal(408, f"a body must be here within {self._body_s:g} s", headers=_CLOSE) from None
            left -= clock() - began
            whole = not message.get("more_body")
            return message

        return timely
