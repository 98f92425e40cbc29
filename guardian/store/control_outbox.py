"""The alert outbox as its worker sees it: every call a transaction of its own."""

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from guardian.store.control import ControlStore

Row = TypeVar("Row")


class ControlAlertOutbox(Generic[Row]):
    """`row(id, payload, attempts)` makes what the worker wants to get; this room does not know its class."""

    def __init__(self, store: ControlStore, row: Callable[[str, str, int], Row]) -> None:
        self._store = store
        self._row = row

    def claim(self, now: datetime) -> Row | None:
        with self._store.read() as rows:  # most looks find nothing: they need not queue with the writers
            if not rows.alerts.depth():
                return None
        with self._store.write() as rows:
            taken = rows.alerts.claim(now)
        return None if taken is None else self._row(str(taken.id), taken.payload, taken.attempts)

    def recover(self) -> int:
        with self._store.write() as rows:
            return rows.alerts.recover()

    def sent(self, id: str, reference: str) -> None:
        with self._store.write() as rows:
            rows.alerts.sent(int(id), reference)

    def postponed(self, id: str, until: datetime, error: str) -> None:
        with self._store.write() as rows:
            rows.alerts.postponed(int(id), until, error)

    def parked(self, id: str, error: str) -> None:
        with self._store.write() as rows:
            rows.alerts.parked(int(id), error)

    def depth(self) -> int:
        with self._store.read() as rows:
            return rows.alerts.depth()
