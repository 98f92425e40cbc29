"""People's word comes back: tails control's session-changes feed into the store."""

import threading
from datetime import datetime

from guardian.domain.backoff import Backoff
from guardian.domain.finding import OPERATORS, Effect, Finding, Kind, finding_id
from guardian.errors import ControlError, StoreError
from guardian.store.monitor.words import Words
from guardian.stream.port import Clock, Control
from guardian.telemetry import logger

_log = logger("stream")


class ChangeTail:
    """Asks every `idle_s` for what is newer than the store's cursor, and again at once while something was new."""

    def __init__(
        self,
        *,
        words: Words,
        client: Control,
        clock: Clock,
        idle_s: float = 1.0,
        max_backoff_s: float = 30.0,
    ) -> None:
        self._words = words
        self._client = client
        self._clock = clock
        self._backoff = Backoff(idle_s, max_backoff_s)
        self._asked = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Follow the feed until `stop` is set. Control and store may be away."""
        failures = 0
        while not stop.is_set():
            try:
                while self.follow() and not stop.is_set():
                    pass
                failures = 0
            except (ControlError, StoreError) as error:
                failures += 1
                (_log.warning if failures in (1, 5) or failures % 20 == 0 else _log.debug)(
                    "changes_not_read", error=str(error), retry_in_s=self._backoff.after(failures)
                )
            self._asked.set()
            stop.wait(self._backoff.after(failures))

    def wait(self, timeout_s: float) -> bool:
        """Wait until the loop has read all that people said so far, or could not. Returns whether that is so."""
        return self._asked.wait(timeout_s)

    def follow(self) -> int:
        """Read one page and apply it; returns how many changes were new."""
        known, cursor = self._words.feed(), self._words.cursor()
        page = self._client.changes(cursor)
        if page.feed not in ("", known):
            other = known != "" or page.next < cursor
            told = _told(page.feed, self._clock()) if other else None
            self._words.turn_to(page.feed, known, told, now=self._clock())
            if other:
                _log.warning("control_database_is_another", note="what it says is read from the first entry on")
                page = self._client.changes(0)
        applied = self._words.apply(page.items, feed=page.feed, now=self._clock()) if page.items else 0
        if applied:
            _log.info("session_changes_applied", count=applied)
        return applied


def _told(feed: str, now: datetime) -> Finding:
    return Finding(
        id=finding_id(Kind.BUS, OPERATORS, "session-changes", feed, now.isoformat()),
        kind=Kind.BUS,
        tenant_id=OPERATORS,
        session_id="session-changes",
        wanted=Effect.FLAG,
        severity="critical",
        title=(
            "Control answers from another database than before: what it says of sessions and envelopes is read"
            " from its first entry on. Revocations and envelopes that only the former one knows have to be made"
            " anew"
        ),
        time=now,
    )
