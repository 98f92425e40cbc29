"""Delivery from the outbox: findings to control, dead letters to their topic. At least once."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from guardian.bus.port import Producer
from guardian.domain.backoff import Backoff
from guardian.domain.finding import Effect, Finding
from guardian.errors import BusError, ControlError, StoreError
from guardian.store.monitor.outbox import Outbox
from guardian.store.monitor.values import OutboxItem, StoredDeadLetter
from guardian.stream.port import Clock, Control, CrashPoints, no_crash
from guardian.telemetry import Metrics, logger

_log = logger("stream")
_Kind = Literal["finding", "dead_letter"]
_FAR_AHEAD = timedelta(minutes=15)
"""An item that is put off this much further than any backoff reaches was put off while the clock was ahead."""
_LAST = timedelta(seconds=10)
"""How long a stopping monitor goes on delivering; the rest goes out at the next start."""
_LEASE = timedelta(seconds=10)
_LETTERS_LEASE = timedelta(minutes=1)
"""Each letter is begun within a third of it, or handed back. The last may take the rest, for the producer waits
10 s for a topic and then 20 s for the broker's word; those before it are ticked off only after it."""
_PUBLISHED = "published"
_RETRIED = frozenset({401, 408, 425, 429})
"""Statuses that are not the finding's fault: a token to be renewed, or too many requests."""


class Delivery:
    """Empties the outbox. `producers` has one for each topic, or file, whose dead letters this monitor sends;
    those of other topics are left to other monitors."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        client: Control,
        producers: Mapping[str, Producer],
        clock: Clock,
        jitter: Callable[[], float],
        metrics: Metrics,
        backoff: Backoff | None = None,
        batch: int = 10,
        idle_s: float = 0.25,
        max_value_bytes: int = 900_000,
        crash_points: CrashPoints = no_crash,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._producers = producers
        self._clock = clock
        self._jitter = jitter
        self._metrics = metrics
        self._backoff = backoff or Backoff(base_s=0.5, cap_s=30)
        self._longest = _FAR_AHEAD + timedelta(seconds=2 * self._backoff.longest_s)
        self._batch = batch
        self._idle_s = idle_s
        self._max_value_bytes = max_value_bytes
        self._crash = crash_points
        kinds: tuple[_Kind, ...] = ("finding", "dead_letter")
        self._awake = {kind: threading.Event() for kind in kinds}
        self._failing = False
        self._refusing: dict[str, datetime] = {}  # a topic that could not be written to -> until when

    @property
    def failing(self) -> bool:
        """Whether control did not take the last finding that it was sent, and is to get it again."""
        return self._failing

    def wake(self) -> None:
        """Look at once: there is something new."""
        for awake in self._awake.values():
            awake.set()

    def run(self, stop: threading.Event) -> None:
        """Deliver findings until `stop` is set, then what is left, for a while: the last may say why the monitor
        stops. Control and the store may be away."""
        self._run(stop, "finding")

    def run_letters(self, stop: threading.Event) -> None:
        """The same for dead letters, in a thread of their own: a missing topic takes long to fail, and no finding
        waits for that."""
        self._run(stop, "dead_letter")

    def _run(self, stop: threading.Event, kind: _Kind) -> None:
        failures = 0
        while not stop.is_set():
            self._awake[kind].clear()
            pause = self._idle_s
            try:
                sent, failures = self.deliver_due(kind, enough=stop.is_set), 0
            except StoreError as error:
                sent, pause = 0, self._backoff.after(failures, jitter=self._jitter())
                failures += 1
                _log.warning("store_away", error=str(error), retry_in_s=round(pause, 2))
            if not sent and not stop.is_set():
                self._awake[kind].wait(pause)
        until = self._clock() + _LAST
        with suppress(StoreError):
            while self.deliver_due(kind, enough=lambda: self._clock() >= until):
                pass

    def depth(self) -> int:
        """How many findings, and dead letters of this monitor's topics, wait to be delivered."""
        return self._outbox.depth(topics=self._producers.keys())

    def deliver_due(self, kind: _Kind | None = None, *, enough: Callable[[], bool] = lambda: False) -> int:
        """Send what is due of this kind (None: of both, findings first), until it is `enough`; returns how many
        items arrived."""
        if self._failing and not self._outbox.depth("finding"):  # another monitor of this store has sent it
            self._failing = False
        now, lease = self._clock(), _LETTERS_LEASE if kind == "dead_letter" else _LEASE
        items = self._outbox.due(
            now, self._batch, kind=kind, topics=self._producers.keys(), lease=lease, longest=self._longest
        )
        findings = [item for item in items if item.kind == "finding"]
        letters = [item for item in items if item.kind == "dead_letter"]
        sent = self._send_findings(self._until(enough, findings))
        return sent + self._send_letters(
            self._until(lambda: enough() or self._clock() >= now + lease / 3, letters)
        )

    def _until(self, enough: Callable[[], bool], items: Sequence[OutboxItem]) -> Iterator[OutboxItem]:
        """The items one by one; what is left when it is enough keeps its place in the queue."""
        for place, item in enumerate(items):
            if enough():
                for left in items[place:]:
                    self._outbox.untried([left.id], left.due)
                return
            yield item

    def _send_findings(self, items: Iterable[OutboxItem]) -> int:
        arrived, answers = 0, True
        for item in items:
            if item.unread:
                self._metrics.add("guardian_outbox_failures_total", reason="unread")
                self._park(item, item.unread)
                _log.error("finding_unreadable", row=item.id, error=item.unread, effect="it is parked")
            if item.finding is None:
                continue
            if not answers:  # one time-out is enough: the others need not each wait for theirs
                self._postpone(item, "control does not answer")
                continue
            error = self._send_finding(item, item.finding)
            arrived += error is None
            answers = error is None or error.status != 0
        return arrived

    def _send_letters(self, items: Iterable[OutboxItem]) -> int:
        ended: dict[str, list[int]] = {}
        untried: dict[datetime, list[int]] = {}
        for item in items:
            if until := self._refused_until(item):  # a send to a topic that refuses may take long
                untried.setdefault(until, []).append(item.id)
            elif outcome := self._publish(item):
                ended.setdefault(outcome, []).append(item.id)
        for outcome, ids in ended.items():  # in one transaction: one for each costs eight times as much
            self._outbox.delivered(ids, outcome, now=self._clock())
        for until, ids in untried.items():
            self._outbox.untried(ids, until)
        return len(ended.get(_PUBLISHED, ()))

    def _send_finding(self, item: OutboxItem, finding: Finding) -> ControlError | None:
        log = _log.bind(correlation_id=finding.correlation_id, finding_id=finding.id)
        try:
            self._crash("before_send")
            outcome = self._client.submit(finding)
            self._crash("after_send")
        except ControlError as error:
            self._metrics.add("guardian_outbox_failures_total", reason=str(error.status))
            self._failing = False
            if _needless(error, finding):
                self._outbox.delivered([item.id], f"{error.status}: {error}", now=self._clock())
                log.info("finding_not_needed", code=error.code, error=str(error))
            elif not _refused(error):
                self._failing = True
                retry = self._postpone(item, str(error))
                log.warning(
                    "finding_not_delivered", status=error.status, error=str(error), retry_at=retry.isoformat()
                )
            else:
                self._park(item, f"{error.status}: {error}")
                log.error("finding_refused", status=error.status, error=str(error), effect="it is parked")
            return error
        self._failing = False
        self._outbox.delivered([item.id], json.dumps(dict(outcome), default=str), now=self._clock())
        log.info("finding_delivered", kind=finding.kind.value)
        return None

    def _park(self, item: OutboxItem, why: str) -> None:
        self._outbox.parked(item.id, why, now=self._clock())
        self._metrics.set("guardian_outbox_parked", self._outbox.parked_count())

    def _refused_until(self, item: OutboxItem) -> datetime | None:
        """Until when the item's topic is left alone; None where it may be tried now."""
        until = None if item.dead_letter is None else self._refusing.get(_topic(item.dead_letter))
        now = self._clock()
        return until if until is not None and now < until <= now + self._longest else None

    def _publish(self, item: OutboxItem) -> str | None:
        """What became of it; None where it did not arrive."""
        letter = item.dead_letter
        if letter is None:
            return "its time to live ended before it was sent"
        topic = _topic(letter)
        fits = len(letter.sealed) <= self._max_value_bytes
        try:
            self._crash("before_produce")
            self._producers[letter.topic].send(
                topic,
                letter.sealed if fits else b"",
                key=letter.key,
                headers=dead_letter_headers(letter, value="sealed" if fits else "in-store"),
            )
            self._crash("after_produce")
        except BusError as error:
            self._metrics.add("guardian_outbox_failures_total", reason="bus")
            # This letter waits longer than its topic does: if only this one is refused, the others get their turn.
            self._refusing[topic] = self._later(item, self._clock())
            self._postpone(item, str(error), since=self._refusing[topic])
            _log.warning("dead_letter_not_published", id=letter.id, error=str(error))
            return None
        self._refusing.pop(topic, None)
        return _PUBLISHED

    def _postpone(self, item: OutboxItem, why: str, *, since: datetime | None = None) -> datetime:
        until = self._later(item, since or self._clock())
        self._outbox.postponed(item.id, until, why)
        return until

    def _later(self, item: OutboxItem, since: datetime) -> datetime:
        return since + timedelta(seconds=self._backoff.after(item.attempts, jitter=self._jitter()))


def _needless(error: ControlError, finding: Finding) -> bool:
    """Whether control does not need the finding: people decided meanwhile, or it got the same flag from an earlier
    database of this monitor."""
    told_before = error.code == "finding_conflict" and finding.wanted is Effect.FLAG
    return error.code == "superseded" or told_before


def _topic(letter: StoredDeadLetter) -> str:
    return f"dlq.{letter.topic}"


def _refused(error: ControlError) -> bool:
    """Whether control itself refused this finding. A proxy in front of it gives no `code`, and does not count."""
    return bool(error.code) and 400 <= error.status < 500 and error.status not in _RETRIED


def dead_letter_headers(letter: StoredDeadLetter, *, value: str) -> tuple[tuple[str, bytes], ...]:
    """The record's own headers untouched, then KIP-1191's `__dlq.errors.*` and guardian's.

    `guardian-value` says where the bytes are: "sealed" in the value, or "in-store" because they are too large.
    """
    return (
        *letter.headers,
        ("__dlq.errors.topic", letter.topic.encode()),
        ("__dlq.errors.partition", str(letter.partition).encode()),
        ("__dlq.errors.offset", str(letter.offset).encode()),
        ("__dlq.errors.message", letter.reason[:500].encode()),
        ("guardian-error-code", letter.code.encode()),
        ("guardian-value", value.encode()),
    )
