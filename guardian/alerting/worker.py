"""The thread that takes alerts from the outbox to a channel: none lost, none shown twice.

A person sees an alert at most once because a row is marked `sending` before it is sent, and a row that was tried
before, in this process or in one that crashed, is looked up in the channel before it is sent again.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from guardian.alerting.port import Alert, AlertChannel, NeverTaken, RetryLater
from guardian.domain.backoff import Backoff
from guardian.errors import AlertError, StoreError
from guardian.telemetry import Metrics, logger

_ERROR_LENGTH = 500
_MOST_ASKED_S = 3600.0
_MOST_DOUBLED = 2
"""How often the wait doubles while the store is away: it may be back any second, and then alerts are waiting."""
_LOOK_EVERY = timedelta(minutes=1)
_STRANDED = timedelta(minutes=15)
"""A claim this old was made by a process that died: sending takes a few requests, and none may take minutes."""
_LATE = _STRANDED - timedelta(minutes=5)
"""An alert that was in hand for this long is not sent: before it arrived, another process could claim it."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One waiting alert. `payload` is the Alert as JSON, `attempts` how often a claim of it was made before."""

    id: str
    payload: str
    attempts: int


class AlertOutbox(Protocol):
    """Where alerts wait across restarts, in an order of its own.

    `claim(now)` marks the row that is due first as `sending`, counts the attempt and returns the row as it was
    before; None when nothing is due. A row in `sending` is not claimed again until `recover()` returns it to the
    queue with its attempts. The worker calls `recover()` while it holds no row: at its start, and after the store
    failed under it. Once a minute it also calls `recover(before)`, which returns only what was claimed at `before`
    or earlier: where two processes share an outbox, the other one may have died.
    `sent`, `postponed` and `parked` end a claim. A parked row is kept for people and no longer counts in
    `depth()`, the number of rows that wait or are being sent; `never` says that no later try can succeed either.
    Each call is its own transaction.
    """

    def recover(self, before: datetime | None = None) -> int: ...

    def claim(self, now: datetime) -> AlertRow | None: ...

    def sent(self, id: str, reference: str) -> None: ...

    def postponed(self, id: str, until: datetime, error: str) -> None: ...

    def parked(self, id: str, error: str, *, never: bool = False) -> None: ...

    def depth(self) -> int: ...


_LONGEST_WAIT_S = 600.0


class AlertWorker:
    """Sends what is due until it is stopped. `fallback` gets what `channel` refuses for good, and once what
    `channel` fails on unexpectedly.

    Waits between tries grow from `first_wait_s` to ten minutes, with jitter. A channel that names a wait gets
    at least that, up to an hour. While the store is away, waits grow to four times the first. `now` is aware UTC.
    """

    def __init__(
        self,
        outbox: AlertOutbox,
        channel: AlertChannel,
        *,
        metrics: Metrics,
        now: Callable[[], datetime],
        fallback: AlertChannel | None = None,
        idle_s: float = 0.5,
        first_wait_s: float = 5.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox, self._channel, self._fallback = outbox, channel, fallback
        self._metrics, self._now, self._jitter = metrics, now, jitter
        self._idle, self._waits = idle_s, Backoff(first_wait_s, _LONGEST_WAIT_S)
        self._log = logger("alerting")
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._look_at = datetime.min.replace(tzinfo=UTC)
        for outcome in ("sent", "found", "postponed", "parked", "failed"):
            self._count(outcome, 0)  # shown before there is one

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name=f"guardian-alerts-{self._channel.name}", daemon=True
        )
        self._thread.start()

    def stop(self, finish_s: float = 10.0) -> bool:
        """Finish the alert in hand and begin no other; False if that took longer than `finish_s`."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(finish_s)
        return self._thread is None or not self._thread.is_alive()

    def wake(self) -> None:
        """Something was put into the outbox: look now."""
        self._wake.set()

    def recover(self, before: datetime | None = None) -> int:
        """Return what a crash left in `sending` to the queue: all, or what was claimed at `before` or earlier."""
        found = self._outbox.recover(before)
        if found:
            self._log.info("alerts_recovered", count=found)
        return found

    def step(self) -> bool:
        """Handle one due alert; False when there was none."""
        now = self._now()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            self.recover(now - _STRANDED)
        row = self._outbox.claim(now)
        if row is None:
            return False
        try:
            alert = Alert.model_validate_json(row.payload).model_copy(update={"attempt": row.attempts})
        except ValidationError as error:
            self._outbox.parked(
                row.id, f"the stored alert cannot be read: {error.error_count()} errors"[:_ERROR_LENGTH]
            )
            self._count("parked")
            self._log.error(
                "alert_parked", channel=self._channel.name, row=row.id, error="the stored alert cannot be read"
            )
            return True
        self._handle(row, alert, now)
        return True

    def measure(self) -> None:
        """Show how many alerts wait. Not for the thread that sends: a channel may hold it up."""
        self._metrics.set("guardian_alert_queue_depth", self._outbox.depth(), channel=self._channel.name)

    def _handle(self, row: AlertRow, alert: Alert, claimed: datetime) -> None:
        told = {"finding": alert.finding.id, "correlation_id": alert.finding.correlation_id}
        log = self._log.bind(channel=self._channel.name, **told)
        try:
            known = self._channel.find(alert) if row.attempts else None
            if known is None and self._now() - claimed > _LATE:
                raise RetryLater("looking for it took too long")
            reference = known or self._channel.deliver(alert)
        except RetryLater as trouble:
            self._postpone(row, log, str(trouble), at_least_s=trouble.after_s or 0.0)
        except AlertError as trouble:
            never = isinstance(trouble, NeverTaken)
            self._outbox.parked(row.id, str(trouble)[:_ERROR_LENGTH], never=never)
            self._count("parked")
            log.error("alert_parked", error=str(trouble)[:_ERROR_LENGTH])
            if self._fallback is not None:
                self._fallback.deliver(alert)
        except Exception as error:  # a bug in a channel: the alert waits, and the others get their turn
            self._postpone(row, log, f"unexpected {type(error).__name__}", at_least_s=0.0)
            if self._fallback is not None and self._fallback.find(alert) is None:
                self._fallback.deliver(alert)  # a bug may last: somebody hears of it meanwhile
        else:
            self._outbox.sent(row.id, reference)
            self._count("found" if known else "sent")
            log.info("alert_sent", reference=reference, found=known is not None)

    def _postpone(self, row: AlertRow, log: Any, error: str, *, at_least_s: float) -> None:
        wait = max(self._waits.after(row.attempts, jitter=self._jitter()), min(at_least_s, _MOST_ASKED_S))
        self._outbox.postponed(row.id, self._now() + timedelta(seconds=wait), error[:_ERROR_LENGTH])
        self._count("postponed")
        log.warning("alert_postponed", wait_s=round(wait, 1), error=error[:_ERROR_LENGTH])

    def _count(self, outcome: str, amount: int = 1) -> None:
        self._metrics.add("guardian_alerts_total", amount, channel=self._channel.name, outcome=outcome)

    def _run(self) -> None:
        recovered, failures = False, 0
        while not self._stop.is_set():
            pause = self._idle
            try:
                recovered = recovered or self.recover() >= 0
                busy, failures = self.step(), 0
            except Exception as error:  # a bug or a locked database must delay alerts, never end them
                pause = self._waits.after(min(failures, _MOST_DOUBLED), jitter=self._jitter())
                self._failed(error, pause)
                busy, recovered, failures = False, False, failures + 1
            if not busy:
                self._wake.wait(pause)
                self._wake.clear()

    def _failed(self, error: Exception, pause: float) -> None:
        told = {"error": type(error).__name__, "retry_in_s": round(pause, 2)}
        if isinstance(error, StoreError):  # it is away, which is no bug: where it was noticed helps nobody
            self._log.warning("alert_store_away", **told, detail=str(error)[:_ERROR_LENGTH])
        else:
            self._log.exception("alert_worker_failed", **told)
        self._count("failed")
