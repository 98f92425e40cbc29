"""The alert outbox as its worker sees it: every call a transaction of its own."""

from datetime import datetime

from guardian.alerting.outbox import AlertRow
from guardian.store.control import ControlStore


class ControlAlertOutbox:
    """Remembers what its worker claimed, and ends nothing else: raises KeyError for any other alert."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store
        self._claims: dict[str, int] = {}

    def claim(self, now: datetime) -> AlertRow | None:
        with self._store.read() as rows:  # most looks find nothing: they need not queue with the writers
            if not rows.alerts.depth():
                return None
        with self._store.write() as rows:
            taken = rows.alerts.claim(now)
        if taken is None:
            return None
        self._claims[str(taken.id)] = taken.attempts + 1
        return AlertRow(str(taken.id), taken.payload, taken.attempts)

    def recover(self, before: datetime | None = None) -> int:
        self._claims.clear()
        with self._store.write() as rows:
            return rows.alerts.recover(before)

    def sent(self, id: str, reference: str) -> None:
        self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.sent(int(id), reference)
        del self._claims[id]

    def postponed(self, id: str, until: datetime, error: str) -> None:
        attempt = self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.postponed(int(id), attempt, until, error)
        del self._claims[id]

    def parked(self, id: str, error: str) -> None:
        attempt = self._claimed(id)
        with self._store.write() as rows:
            rows.alerts.parked(int(id), attempt, error)
        del self._claims[id]

    def depth(self) -> int:
        with self._store.read() as rows:
            return rows.alerts.depth()

    def _claimed(self, id: str) -> int:
        if id not in self._claims:
            raise KeyError(f"alert {id} is not being sent")
        return self._claims[id]
