"""The loops beside the one that judges: each in a thread of its own, started again when it fails."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from guardian.domain.backoff import Backoff
from guardian.stream.settle import sketch
from guardian.telemetry import Metrics, logger

_log = logger("stream")

Loop = Callable[[threading.Event], None]
"""Runs until the event is set."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon a failed loop starts again, and for how long it must then run to count as mended: as long as it ran
    before it failed, but at least `mended_s` and at most `mended_max_s`."""

    backoff: Backoff = field(default=Backoff(1.0, 60.0))
    mended_s: float = 30.0
    mended_max_s: float = 600.0

    def proof(self, ran: float) -> float:
        return min(self.mended_max_s, max(self.mended_s, ran))


class Loops:
    """An exception that a loop does not handle ends one run of it only. `timer` is a monotonic clock in
    seconds."""

    def __init__(
        self, loops: Mapping[str, Loop], *, timer: Callable[[], float], metrics: Metrics, pace: Pace | None = None
    ) -> None:
        self._timer = timer
        self._metrics = metrics
        self._pace = pace or Pace()
        self._failing: dict[str, tuple[str, float]] = {}
        self._stop = threading.Event()
        for name in loops:
            metrics.add("guardian_loop_failures_total", 0, loop=name)  # shown before it fails
        self._threads = [
            threading.Thread(target=self._keep, args=(name, loop), name=f"guardian-{name}", daemon=True)
            for name, loop in loops.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask all loops to end; `join` waits for them."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        for thread in self._threads:
            thread.join(timeout=timeout_s)

    def failing(self) -> dict[str, str]:
        """The loops that failed and have not run for long enough since, with the kind of error."""
        now = self._timer()
        return {name: error for name, (error, until) in list(self._failing.items()) if now < until}

    def _keep(self, name: str, loop: Loop) -> None:
        failures = 0
        while True:
            began = self._timer()
            try:
                loop(self._stop)
                return
            except Exception as error:
                failures = failures + 1 if name in self.failing() else 1
                pause, ran = self._pace.backoff.after(failures - 1), self._timer() - began
                self._failing[name] = (type(error).__name__, self._timer() + pause + self._pace.proof(ran))
                self._metrics.add("guardian_loop_failures_total", loop=name)
                _log.error("loop_failed", loop=name, retry_in_s=pause, **sketch(error))
                if self._stop.wait(pause):
                    return
