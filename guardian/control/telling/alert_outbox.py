"""The alert outbox: a queue and a worker for each channel, so that one that hangs delays only itself."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from guardian.alerting.port import Alert, AlertChannel, ForPeople
from guardian.alerting.worker import AlertRow, AlertWorker
from guardian.control.telling.gathered import gathered
from guardian.control.telling.outcomes import tell_outcomes
from guardian.domain.finding import Finding
from guardian.store.control.alerts import QueuedAlert, Turns
from guardian.store.control.feeds import OUTCOMES
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics, logger

_UNREADABLE = "the stored alert cannot be read"
_ROUNDS = 10
"""So often one claim reads on for what is due: its `now` grows old, and nothing that came since is due by that."""
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
    return ControlAlertOutbox(store, channel.name, channel.shows if isinstance(channel, ForPeople) else None)


class _Claim(NamedTuple):
    """What number this claim of an alert is, when it was made, and which others it is one message with."""

    attempt: int
    at: datetime
    beside: tuple[int, ...] = ()


class ControlAlertOutbox:
    """One channel's queue as its worker sees it: every call a transaction of its own. One for people, of which
    `shows` says what findings it shows, gets what became of many of these by one act as one alert.

    Remembers what its worker claimed, and ends nothing else: raises KeyError for any other alert.
    """

    def __init__(self, store: ControlStore, channel: str, shows: Callable[[Finding], bool] | None = None) -> None:
        self._store, self._channel, self._shows = store, channel, shows
        self._claims: dict[str, _Claim] = {}
        self._turns = Turns()

    def claim(self, now: datetime) -> AlertRow | None:
        for _ in range(_ROUNDS):
            more = tell_outcomes(self._store, now)
            with self._store.read() as rows:  # most looks find nothing: they need not queue with the writers
                due = rows.alerts.due(self._channel, now)
            taken = self._take(now) if due else None  # however much is left to be read: what is urgent may wait
            if taken is not None or not (more or due):
                return taken
        return None

    def _take(self, now: datetime) -> AlertRow | None:
        with self._store.write() as rows:
            if self._shows is not None:
                taken = rows.alerts.claim_together(self._channel, now, self._turns)
            else:
                alone = rows.alerts.claim(self._channel, now, self._turns)
                taken = [] if alone is None else [alone]
        match taken:
            case []:
                return None
            case [one]:
                return self._in_hand(taken, one.payload, now)
            case _:
                return self._as_one(taken, now)

    def _as_one(self, taken: Sequence[QueuedAlert], now: datetime) -> AlertRow | None:
        """One alert of them all, or of those that the channel shows, if it shows any. What another version wrote
        is parked."""
        told = [(each, _read(each.payload)) for each in taken]
        known = [(each, it) for each, it in told if it is not None and it.became is not None]
        strange = sorted({each.id for each in taken} - {each.id for each, _ in known})
        if strange:
            _log.error("alerts_unreadable", channel=self._channel, alerts=strange)
            with self._store.write() as rows:
                rows.alerts.parked(self._channel, strange[0], taken[0].attempts + 1, _UNREADABLE, *strange[1:])
        if not known:
            return None
        alerts = [it for _, it in known]
        alert = gathered([it for it in alerts if self._shows is None or self._shows(it.finding)] or alerts)
        return self._in_hand([each for each, _ in known], alert.model_dump_json(), now)

    def _in_hand(self, taken: Sequence[QueuedAlert], payload: str, now: datetime) -> AlertRow:
        first, *others = taken
        self._claims[str(first.id)] = _Claim(first.attempts + 1, now, tuple(each.id for each in others))
        return AlertRow(str(first.id), payload, first.attempts)

    def recover(self, before: datetime | None = None) -> int:
        self._claims.clear()
        with self._store.write() as rows:
            return rows.alerts.recover(self._channel, before)

    def sent(self, id: str, reference: str) -> None:
        claim = self._claimed(id)
        with self._store.write() as rows:
            gathers_from = None if self._shows is None else claim.at
            rows.alerts.sent(self._channel, int(id), reference, *claim.beside, claimed=gathers_from)
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


def _read(payload: str) -> Alert | None:
    try:
        return Alert.model_validate_json(payload)
    except ValidationError:
        return None
