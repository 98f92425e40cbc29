"""The connections that control has: how many at most, and how long one may be silent.

uvicorn bounds neither. Beyond its `limit_concurrency` everybody is answered 503, also who was connected before,
and it waits for the rest of a request for ever.
"""

import asyncio
from itertools import chain

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 30.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
)  # fmt: skip


def bounded(most: int, *, header_s: float = HEADER_S) -> type[H11Protocol]:
    """uvicorn's protocol for at most `most` connections of one server. A header must be whole after `header_s`
    seconds, and so must a body that was refused. With all places taken a new connection gets that of the one that
    has been silent for longest, or else idle for longest (it was answered, and asks nothing); where none is, it is
    answered 503."""
    silent: dict[H11Protocol, asyncio.TimerHandle] = {}  # in the order in which they began to be
    idle: dict[H11Protocol, None] = {}  # likewise

    class Bounded(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                answered = (each for each in idle if not each.transport.get_write_buffer_size())
                least = next(chain(silent, answered), None)
                if least is None:
                    transport.write(_FULL)
                    transport.close()
                    return
                _hang_up(least)
            self._expect()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect()

        def on_response_complete(self) -> None:
            super().on_response_complete()  # which begins with the next request, where it was sent already
            if self.cycle.response_complete and not self.transport.is_closing():
                idle[self] = None

        def connection_lost(self, exc: Exception | None) -> None:
            _forget(self)
            super().connection_lost(exc)

        def _expect(self) -> None:
            """The rest of a header, or of a body that nobody reads: it was answered already."""
            state = self.conn.their_state
            if not (state is h11.IDLE or (state is h11.SEND_BODY and self.cycle.response_complete)):
                _forget(self)
            elif self not in silent:
                silent[self] = self.loop.call_later(header_s, _hang_up, self)

    def _forget(connection: H11Protocol) -> None:
        idle.pop(connection, None)
        timer = silent.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _hang_up(connection: H11Protocol) -> None:
        _forget(connection)
        connection.connections.discard(connection)
        connection.transport.abort()

    return Bounded
