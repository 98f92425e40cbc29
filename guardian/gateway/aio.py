"""The same list for asyncio: answers come from memory, so only starting, waiting and stopping are awaited.

async with AsyncRevocationList("https://guardian.example", token) as revoked:
    await revoked.wait_ready(10)
    if revoked.is_revoked(tenant_id, session_id):
        refuse()
"""

import asyncio
from typing import Any

from .client import RevocationList, State


class AsyncRevocationList:
    """Takes what `RevocationList` takes. A thread keeps the list fresh, so the event loop is never blocked."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._list = RevocationList(*args, **options)
        self._stopped = False
        self.is_revoked = self._list.is_revoked
        self.refusal = self._list.refusal

    def state(self) -> State:
        return self._list.state()

    async def start(self) -> "AsyncRevocationList":
        await asyncio.to_thread(self._list.start)
        return self

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.to_thread(self._list.stop)

    async def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until a fresh list is in memory; False if `timeout` seconds were not enough, or it was stopped."""
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        while not self._list.wait_ready(0):
            if self._stopped or (until is not None and loop.time() >= until):
                return False
            await asyncio.sleep(0.05)
        return True

    async def __aenter__(self) -> "AsyncRevocationList":
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
