"""The alert outbox: a queue and a worker for each channel, so that one that hangs delays only itself."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from guardian.alerting.outbox import AlertRow, AlertWorker
from guardian.alerting.port import AlertChannel
from guardian.control.outcomes import tell_outcomes
from guardian.store.control.alerts import Turns
from guardian.store.control.feeds import OUTCOMES
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics, logger

_log = logger("control")


class AlertQueues:
    """Delivers to every channel. `fallback` makes what a channel's worker turns to; `now` is aware UTC.

    With `beside_slack` cases go to Slack. Where that is all there is, what still waits for channels that are there
    no more goes to a fall-back. Where it is not, what Slack has not shown goes to every channel.
    """

    def __init__(
        self,
        store: ControlStore,
        channels: Sequence[AlertChannel],
        *,
        metrics: Metrics,
        now: Callable[[], datetime],
        fallback: Callable[[], AlertChannel],
        beside_slack: bool = False,
    ) -> None:
        self._store, self._now, self._beside_slack = store, now, beside_slack
        named = {channel.name: channel for channel in channels}  # what stands in for Slack may be there by itself
        self._names, self._instead = list(named), fallback()
        if not named:
            named = {self._instead.name: self._instead}
        self._workers = [
            AlertWorker(
                ControlAlertOutbox(store, channel.name), channel, metrics=metrics, now=now, fallback=fallback()
            )
            for channel in named.values()
        ]

    def start(self) -> None:
        with self._store.write() as rows:
            moved = rows.alerts.deliver_to(self._names, self._now(), instead=self._instead.name)
            left = [] if self._beside_slack else rows.feeds.left()
            rows.alerts.queue(left, self._now())
            if not self._names or not rows.feeds.is_followed(OUTCOMES):
                rows.feeds.follow(OUTCOMES, rows.head().audit_seq)
        if moved:
            _log.warning("alerts_moved", count=moved, to=self._names or [self._instead.name])
        if left:
            _log.warning("alerts_taken_over_from_slack", count=len(left), to=self._names)
        for worker in self._workers:
            worker.start()

    def wake(self) -> None:
        """Something was put into the outbox: look now."""
        for worker in self._workers:
            worker.wake()

    def measure(self) -> None:
        """Show how many alerts wait, by channel. Not for the threads that send: a channel may hold its own up."""
        for worker in self._workers:
            worker.measure()

    def stop(self, finish_s: float = 10.0) -> None:
        """Finish the alerts in hand, all at a time; those that take longer are left to the next start."""
        with ThreadPoolExecutor(len(self._workers) or 1) as pool:
            for worker in self._workers:
                pool.submit(worker.stop, finish_s)


class ControlAlertOutbox:
    """One channel's queue as its worker sees it: every call a transaction of its own.

    Remembers what its worker claimed, and ends nothing else: raises KeyError for any other alert.
    """

    def __init__(self, store: ControlStore, channel: str) -> None:
        self._store, self._channel = store, channel
        self._claims: dict[str, int] = {}
        self._turns = Turns()

    def claim(self, now: datetime) -> AlertRow | None:
        while True:
            more = tell_outcomes(self._store, now)
            with self._store.read() as rows:  # most looks find nothing: they need not queue with the writers
                if rows.alerts.due(self._channel, now):
                    break  # however much is still to be read: what is urgent may wait already
            if not more:
                return None
        with self._store.write() as rows:
            taken = rows.alerts.claim(self._channel, now, self._turns)
        if taken is None:
            return None
        self._claims[str(taken.id)] = taken.attempts + 1
        return AlertRow(str(taken.id), taken.payload, taken.attempts)

    def recover(self, before: datetime | None = None) -> int:
        self._claims.clear()
        with self._store.write() as rows:
            return rows.alerts.recover(self._channel, before)

    def sent(self, id: str, reference: str) -> None:
        self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.sent(self._channel, int(id), reference)
        del self._claims[id]

    def postponed(self, id: str, until: datetime, error: str) -> None:
        attempt = self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.postponed(self._channel, int(id), attempt, until, error)
        del self._claims[id]

    def parked(self, id: str, error: str, *, never: bool = False) -> None:  # noqa: ARG002 - people release it
        attempt = self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.parked(self._channel, int(id), attempt, error)
        del self._claims[id]

    def depth(self) -> int:
        with self._store.read() as rows:
            return rows.alerts.depth(self._channel)

    def _claimed(self, id: str) -> int:
        if id not in self._claims:
            raise KeyError(f"alert {id} is not being sent")
        return self._claims[id]
