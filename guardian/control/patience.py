"""How long control waits for the adviser: never past the budget."""

from collections.abc import Callable

import anyio
import anyio.to_thread

from guardian.control.adviser import Adviser
from guardian.errors import AdviserError
from guardian.wire.advice import Weighing

_AT_ONCE = 8
"""Questions that are with the adviser. It weighs one at a time, so more would only wait there, where nobody can
take them back."""


class Patience:
    """Asks the adviser from threads of its own: no other route waits for one that hangs. For use from one event
    loop; `stopwatch` counts seconds.
    """

    def __init__(self, adviser: Adviser | None, budget_s: float, *, stopwatch: Callable[[], float]) -> None:
        self._adviser, self._budget_s, self._stopwatch = adviser, budget_s, stopwatch
        self._places: anyio.CapacityLimiter | None = None

    async def weigh(self, line: bytes, since: float) -> Weighing:
        """The adviser's answer to a request that arrived at `since`. Raises AdviserError when there is none within
        the budget, or none that makes sense.

        A question that found no place within half the budget is not asked: those behind it are answered instead.
        """
        if self._adviser is None:
            raise AdviserError("no adviser is configured")
        self._places = self._places or anyio.CapacityLimiter(_AT_ONCE)
        found = None
        if self._early(since):
            with anyio.move_on_after(since + self._budget_s - self._stopwatch()) as waiting:
                found = await anyio.to_thread.run_sync(
                    self._ask, self._adviser, line, since, abandon_on_cancel=True, limiter=self._places
                )
            if waiting.cancelled_caught:
                raise AdviserError("the adviser gave no answer in time")
        if found is None:
            raise AdviserError("control is too busy to ask the adviser in time")
        return found

    def _ask(self, adviser: Adviser, line: bytes, since: float) -> Weighing | None:
        return adviser.weigh(line, self._budget_s) if self._early(since) else None

    def _early(self, since: float) -> bool:
        return self._stopwatch() - since <= self._budget_s / 2
