"""Requests of the control API from within its own process: through every layer of it, without a socket.

Used by threads that the event loop started (`anyio.to_thread`): the request runs on that loop, so the calling
thread must be none of those that the API's own routes need, else both wait for each other.
"""

import anyio.from_thread
import httpx
from starlette.types import ASGIApp


class InProcess(httpx.BaseTransport):
    """For clients that are made for one request and never closed; it holds nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._asgi = httpx.ASGITransport(app, raise_app_exceptions=False, client=("in-process", 0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return anyio.from_thread.run(self._handle, request)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        again = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._asgi.handle_async_request(again)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())
