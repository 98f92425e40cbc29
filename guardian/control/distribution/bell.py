"""Wakes whoever waits for the ledger to move."""

import asyncio
from contextlib import suppress
from threading import Lock


class Bell:
    """`ring` may be called from any thread; `hang` within any event loop.

    All who wait in one loop wait for the same event: a ring costs the same for one gateway as for a thousand.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[asyncio.AbstractEventLoop, asyncio.Event] = {}
        self.closing = False
        self.rings = 0  # looks that began at the same count may share one answer

    def close(self) -> None:
        """The server is about to stop: whoever waits is answered now, and nobody waits any more."""
        self.closing = True
        self.ring()

    def ring(self) -> None:
        with self._lock:
            self.rings += 1
            waiting, self._waiting = self._waiting, {}
        for loop, event in waiting.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def hang(self) -> asyncio.Event:
        """An event that the next `ring` sets. Take it before looking, so that no ring is missed in between."""
        loop = asyncio.get_running_loop()
        with self._lock:
            return self._waiting.setdefault(loop, asyncio.Event())


async def heard(event: asyncio.Event, seconds: float) -> None:
    """Wait until it rings, or for so long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout=seconds)
