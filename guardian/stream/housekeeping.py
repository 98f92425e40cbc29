"""What happens now and then: finished sessions teach the baselines, and what is old enough is forgotten."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from guardian.errors import StoreError
from guardian.store.monitor.baselines import Learn
from guardian.store.monitor.departures import Watch
from guardian.store.monitor.retention import Retention
from guardian.store.monitor.store import MonitorStore
from guardian.store.sure_time import Sure
from guardian.store.turns import Rest
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("stream")


class Housekeeping:
    """`idle` is how long a session must be silent to count as finished. `watch` sees each finished session once;
    `on_tidied` is called after each round. What is forgotten goes by `sure`, not by the clock alone."""

    def __init__(
        self,
        *,
        store: MonitorStore,
        learn: Learn,
        clock: Clock,
        idle: timedelta = timedelta(minutes=30),
        retention: Retention | None = None,
        interval_s: float = 60,
        watch: Watch | None = None,
        on_tidied: Callable[[], None] = lambda: None,
        sure: Sure = lambda now: now,
    ) -> None:
        self._store = store
        self._learn = learn
        self._clock = clock
        self._idle = idle
        self._retention = retention or Retention()
        self._interval_s = interval_s
        self._watch = watch
        self._on_tidied = on_tidied
        self._sure = sure

    def run(self, stop: threading.Event) -> None:
        """One round every `interval_s`, until `stop` is set."""
        while not stop.wait(self._interval_s):
            try:
                self.tidy(rest=stop.wait)
            except StoreError as error:
                _log.warning("housekeeping_put_off", error=str(error))

    def tidy(self, *, rest: Rest = time.sleep) -> None:
        """One round. What is old goes also where something cannot be learnt; then that is raised."""
        now = self._clock()
        try:
            learned = self._store.baselines.publish(
                now, idle=self._idle, learn=self._learn, watch=self._watch, rest=rest
            )
        finally:
            gone = self._store.prune(self._sure(now), self._retention, rest=rest)
        if any(learned.values()) or any(gone.values()):
            _log.info("tidied", learned=learned, forgotten={name: n for name, n in gone.items() if n})
        self._on_tidied()
