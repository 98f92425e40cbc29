"""Wakes the long polls when the ledger moves."""

import asyncio
from threading import Lock


class Bell:
    """`ring` may be called from any thread; `wait` from any event loop."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self.closing = False
        self.rings = 0  # looks that began at the same count may share one answer

    def close(self) -> None:
        """The server is about to stop: whoever waits is answered now, and nobody waits any more."""
        self.closing = True
        self.ring()

    def ring(self) -> None:
        with self._lock:
            self.rings += 1
            waiting = list(self._waiting.items())
        for event, loop in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def hang(self) -> asyncio.Event:
        """An event that the next `ring` sets. Take it before looking, so that no ring is missed in between."""
        event = asyncio.Event()
        with self._lock:
            self._waiting[event] = asyncio.get_running_loop()
        return event

    def drop(self, event: asyncio.Event) -> None:
        with self._lock:
            self._waiting.pop(event, None)


async def heard(event: asyncio.Event, seconds: float) -> bool:
    """Whether it rang within the time."""
    try:
        await asyncio.wait_for(event.wait(), timeout=seconds)
    except TimeoutError:
        return False
    return True
