"""An outbox in memory: the twin for tests, held to the same contract as the SQL one."""

import threading
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from guardian.alerting.outbox import AlertRow

Status = Literal["waiting", "sending", "sent", "parked"]


@dataclass(frozen=True, slots=True)
class Kept:
    """One row with everything that is known of it."""

    row: AlertRow
    due: datetime
    status: Status = "waiting"
    claimed: datetime | None = None
    reference: str = ""
    error: str = ""


class MemoryAlertOutbox:
    """Rows in the order they were put; nothing survives the process."""

    def __init__(self) -> None:
        self._rows: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def put(self, id: str, payload: str, now: datetime) -> bool:
        """False, and nothing changes, when the id is there already."""
        with self._lock:
            if id in self._rows:
                return False
            self._rows[id] = Kept(AlertRow(id, payload, 0), due=now)
            return True

    def kept(self, id: str) -> Kept:
        return self._rows[id]

    def recover(self, before: datetime | None = None) -> int:
        with self._lock:
            left = [
                id
                for id, kept in self._rows.items()
                if kept.status == "sending" and (before is None or (kept.claimed and kept.claimed <= before))
            ]
            for id in left:
                self._rows[id] = replace(self._rows[id], status="waiting")
            return len(left)

    def claim(self, now: datetime) -> AlertRow | None:
        with self._lock:
            for id, kept in self._rows.items():
                if kept.status == "waiting" and kept.due <= now:
                    counted = replace(kept.row, attempts=kept.row.attempts + 1)
                    self._rows[id] = replace(kept, row=counted, status="sending", claimed=now)
                    return kept.row
            return None

    def sent(self, id: str, reference: str) -> None:
        self._end(id, status="sent", reference=reference, error="")

    def postponed(self, id: str, until: datetime, error: str) -> None:
        self._end(id, status="waiting", due=until, error=error)

    def parked(self, id: str, error: str) -> None:
        self._end(id, status="parked", error=error)

    def depth(self) -> int:
        with self._lock:
            return sum(kept.status in ("waiting", "sending") for kept in self._rows.values())

    def _end(self, id: str, **changes: object) -> None:
        with self._lock:
            kept = self._rows[id]
            if kept.status != "sending":
                raise KeyError(f"alert {id} is {kept.status}, not being sent")
            self._rows[id] = replace(kept, **changes)  # type: ignore[arg-type]
