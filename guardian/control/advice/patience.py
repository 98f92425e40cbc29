"""How long control waits for the adviser: never past the budget, and not at all while it is always late."""

from collections.abc import Callable

import anyio
import anyio.to_thread

from guardian.control.advice.adviser import Adviser
from guardian.control.advice.circuit import Circuit
from guardian.errors import AdviserError
from guardian.telemetry import Metrics, logger
from guardian.wire.advice import Weighing

_log = logger("control")
_AT_ONCE = 8
"""Questions that are with the adviser. It weighs one at a time, so more would only wait there, where nobody can
take them back."""
_TOO_BUSY = "control is too busy to ask the adviser in time"


class Patience:
    """Asks the adviser from threads of its own: no other route waits for one that hangs. For use from one event
    loop; `stopwatch` counts seconds.
    """

    def __init__(
        self, adviser: Adviser | None, budget_s: float, *, stopwatch: Callable[[], float], metrics: Metrics
    ) -> None:
        self._adviser, self._budget_s, self._stopwatch, self._metrics = adviser, budget_s, stopwatch, metrics
        self._circuit = Circuit()
        if adviser is not None:  # before it is ever late: the alert asks for how long it has been given up
            metrics.set("guardian_adviser_given_up", 0)
        self._places: anyio.CapacityLimiter | None = None

    async def weigh(self, line: bytes, since: float) -> Weighing:
        """The adviser's answer to a request that arrived at `since`. Raises AdviserError when there is none within
        the budget, or none that makes sense.

        A question that found no place within half the budget is not asked: those behind it are answered instead.
        """
        if self._adviser is None:
            raise AdviserError("no adviser is configured")
        self._places = self._places or anyio.CapacityLimiter(_AT_ONCE)
        if not self._early(since):
            raise AdviserError(_TOO_BUSY)
        if not self._circuit.lets_through(self._stopwatch()):
            raise AdviserError(f"the adviser is not asked now: it was late {self._circuit.most} times in a row")
        with anyio.move_on_after(since + self._budget_s - self._stopwatch()) as waiting:
            try:
                found = await anyio.to_thread.run_sync(
                    self._ask, self._adviser, line, since, abandon_on_cancel=True, limiter=self._places
                )
            except Exception:  # a refusal in time is an answer, too: nobody waited for it in vain
                self._heard(late=self._stopwatch() - since >= self._budget_s)
                raise
        if waiting.cancelled_caught:
            self._heard(late=True)
            raise AdviserError("the adviser gave no answer in time")
        if found is None:
            raise AdviserError(_TOO_BUSY)
        self._heard(late=False)
        return found

    def _heard(self, *, late: bool) -> None:
        """Tell of the circuit only when it turns."""
        circuit, was = self._circuit, self._circuit.open
        if late:
            circuit.late(self._stopwatch())
        else:
            circuit.answered()
        if circuit.open != was:
            self._metrics.set("guardian_adviser_given_up", int(circuit.open))
            if circuit.open:
                _log.error("adviser_given_up", late=circuit.most, effect="the fall-back answers at once")
            else:
                _log.info("adviser_answers_again")

    def _ask(self, adviser: Adviser, line: bytes, since: float) -> Weighing | None:
        return adviser.weigh(line, self._budget_s) if self._early(since) else None

    def _early(self, since: float) -> bool:
        return self._stopwatch() - since <= self._budget_s / 2
