"""The alert outbox: a queue and a worker for each channel, so that one that hangs delays only itself."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from guardian.alerting.port import AlertChannel, ForPeople
from guardian.alerting.worker import AlertRow, AlertWorker
from guardian.control.cases.feeds import read_alert
from guardian.control.gathered import gathered
from guardian.control.outcomes import tell_outcomes
from guardian.store.control.alerts import QueuedAlert, Turns
from guardian.store.control.feeds import OUTCOMES
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics, logger

_UNREADABLE = "the stored alert cannot be read"
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
        self._store, self._now, self._beside_slack, self._metrics = store, now, beside_slack, metrics
        named = {channel.name: channel for channel in channels}  # what stands in for Slack may be there by itself
        self._names, self._instead = list(named), fallback()
        if not named:
            named = {self._instead.name: self._instead}
        self._workers = [
            AlertWorker(_queue(store, channel), channel, metrics=metrics, now=now, fallback=fallback())
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
        with self._store.read() as rows:
            for name in self._names or [self._instead.name]:
                self._metrics.set("guardian_alerts_held", rows.alerts.held(name), channel=name)

    def stop(self, finish_s: float = 10.0) -> None:
        """Finish the alerts in hand, all at a time; those that take longer are left to the next start."""
        with ThreadPoolExecutor(len(self._workers) or 1) as pool:
            for worker in self._workers:
                pool.submit(worker.stop, finish_s)


def _queue(store: ControlStore, channel: AlertChannel) -> "ControlAlertOutbox":
    return ControlAlertOutbox(store, channel.name, for_people=isinstance(channel, ForPeople))


class _Claim(NamedTuple):
    """What number this claim of an alert is, and which others it is one message with."""

    attempt: int
    beside: tuple[int, ...] = ()


class ControlAlertOutbox:
    """One channel's queue as its worker sees it: every call a transaction of its own. One `for_people` gets what
    became of many findings by one act as one alert.

    Remembers what its worker claimed, and ends nothing else: raises KeyError for any other alert.
    """

    def __init__(self, store: ControlStore, channel: str, *, for_people: bool = False) -> None:
        self._store, self._channel, self._for_people = store, channel, for_people
        self._claims: dict[str, _Claim] = {}
        self._turns = Turns()

    def claim(self, now: datetime) -> AlertRow | None:
        while True:
            more = tell_outcomes(self._store, now)
            with self._store.read() as rows:  # most looks find nothing: they need not queue with the writers
                due = rows.alerts.due(self._channel, now)
            if due:  # however much is still to be read: what is urgent may wait already
                with self._store.write() as rows:
                    taken = self._together(rows, now) if self._for_people else self._alone(rows, now)
                if taken is not None:
                    return taken
            if not more:
                return None

    def _alone(self, rows: ControlRows, now: datetime) -> AlertRow | None:
        taken = rows.alerts.claim(self._channel, now, self._turns)
        return None if taken is None else self._in_hand([taken], taken.payload)

    def _together(self, rows: ControlRows, now: datetime) -> AlertRow | None:
        while taken := rows.alerts.claim_together(self._channel, now, self._turns):
            if len(taken) == 1:
                return self._in_hand(taken, taken[0].payload)
            told = [(each, read_alert(each.payload)) for each in taken]
            known = [(each, it, it.became) for each, it in told if it is not None and it.became is not None]
            strange = {each.id for each in taken} - {each.id for each, _, _ in known}  # another version wrote them
            if strange:
                _log.error("alerts_unreadable", channel=self._channel, alerts=sorted(strange))
                rows.alerts.parked(self._channel, strange.pop(), taken[0].attempts + 1, _UNREADABLE, *strange)
            if known:
                alert = gathered([(it, became) for _, it, became in known])
                return self._in_hand([each for each, _, _ in known], alert.model_dump_json())
        return None

    def _in_hand(self, taken: Sequence[QueuedAlert], payload: str) -> AlertRow:
        first, *others = taken
        self._claims[str(first.id)] = _Claim(first.attempts + 1, tuple(each.id for each in others))
        return AlertRow(str(first.id), payload, first.attempts)

    def recover(self, before: datetime | None = None) -> int:
        self._claims.clear()
        with self._store.write() as rows:
            return rows.alerts.recover(self._channel, before)

    def sent(self, id: str, reference: str) -> None:
        claim = self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.sent(self._channel, int(id), reference, *claim.beside)
        del self._claims[id]

    def postponed(self, id: str, until: datetime, error: str) -> None:
        claim = self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.postponed(self._channel, int(id), claim.attempt, until, error, *claim.beside)
        del self._claims[id]

    def parked(self, id: str, error: str, *, never: bool = False) -> None:  # noqa: ARG002 - people release it
        claim = self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.parked(self._channel, int(id), claim.attempt, error, *claim.beside)
        del self._claims[id]

    def depth(self) -> int:
        with self._store.read() as rows:
            return rows.alerts.depth(self._channel)

    def _claimed(self, id: str) -> _Claim:
        if id not in self._claims:
            raise KeyError(f"alert {id} is not being sent")
        return self._claims[id]
