"""Loops that never end: a round that fails is logged, and the next one begins as usual."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from guardian.telemetry import Metrics, logger

_log = logger("control")
_AGAIN_S = 60.0


@dataclass
class Rounds:
    """The loops of one application. They go round every second, so a failure that persists is logged once a
    minute, and once more when it is over; each is counted. `stopwatch` counts seconds.
    """

    stopwatch: Callable[[], float]
    metrics: Metrics
    _told: dict[str, tuple[str, float]] = field(default_factory=dict)

    @contextlib.contextmanager
    def told(self, failure: str) -> Iterator[None]:
        """Swallow what a round raises, except cancellation, and log it under this name."""
        self.metrics.add("guardian_loop_failures_total", 0, loop=failure)  # shown before it fails
        try:
            yield
        except Exception as error:
            self.metrics.add("guardian_loop_failures_total", loop=failure)
            kind, now = type(error).__name__, self.stopwatch()
            before, at = self._told.get(failure, ("", 0.0))
            if kind != before or now - at >= _AGAIN_S:
                _log.error(failure, error=kind, detail=str(error)[:300])
                self._told[failure] = kind, now
        else:
            if self._told.pop(failure, None) is not None:
                _log.info("works_again", was=failure)
