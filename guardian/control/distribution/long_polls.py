"""Requests that stay open: how many of them one principal may have, and how a long poll waits."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from guardian.control.distribution.bell import Bell, heard
from guardian.control.problems import Refusal

T = TypeVar("T")


class Places:
    """How many requests of one kind each principal may have open at once. For use from one event loop."""

    def __init__(self, most: int, *, kind: str, code: str) -> None:
        self._most, self._kind, self._code = most, kind, code
        self._taken = Counter[str]()

    @contextmanager
    def take(self, principal_id: str) -> Iterator[None]:
        """One place for as long as the context lasts. Raises Refusal when all of the principal's are taken."""
        if self._taken[principal_id] >= self._most:
            detail = f"{self._most} {self._kind} are open already with tokens of this principal"
            raise Refusal(503, detail, code=self._code, headers={"Retry-After": "1"})
        self._taken[principal_id] += 1
        try:
            yield
        finally:
            self._taken[principal_id] -= 1

    def taken(self) -> int:
        return self._taken.total()


class LongPolls:
    """Requests that are answered once there is something to say. For use from one event loop."""

    def __init__(self, bell: Bell, places: Places, *, longest_s: float) -> None:
        self._bell, self._places, self._longest_s = bell, places, longest_s

    async def hold(
        self,
        principal_id: str,
        wait_s: float,
        look: Callable[[], Awaitable[T]],
        *,
        until: Callable[[T], bool],
        admit: Callable[[], Awaitable[object]],
        every_s: float = math.inf,
    ) -> T:
        """What `look` brings, as soon as `until` holds of it; else what it brings after `wait_s` seconds.

        It looks again whenever the ledger moves, and at least `every_s`: all do at the same moments, and can share
        a look. A server that stops answers at once.
        A request that does not wait needs no place. Raises Refusal when the principal has no place left, and what
        `admit` raises, which is asked after a wait: the token may have been withdrawn meanwhile.
        """
        loop = asyncio.get_running_loop()
        deadline, waited = loop.time() + min(wait_s, self._longest_s), False
        with self._places.take(principal_id) if wait_s > 0 else nullcontext():
            while True:
                event = self._bell.hang()
                found = await look()
                left = deadline - loop.time()
                if until(found) or left <= 0 or self._bell.closing:
                    if waited:
                        await admit()
                    return found
                await heard(event, min(left, every_s - loop.time() % every_s))
                waited = True
