"""The alert outbox: written with the finding, emptied by whoever delivers alerts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, update

from guardian.store.control_tables import alert


class QueuedAlert(NamedTuple):
    """One alert. `attempts` counts this one; `thread` is the remote reference of the case's first alert."""

    id: int
    kind: str
    case_key: str
    idempotency_key: str
    payload: str
    attempts: int
    thread: str | None


@dataclass(frozen=True, slots=True)
class AlertRows:
    """States: pending → sending → sent, back to pending after a failure, or parked for a person to look at.

    An alert is `sending` before it leaves. One that is found `sending` after a crash may have reached
    somebody: it is never sent again by itself, `park_stranded` sets it aside.
    """

    connection: Connection

    def add(self, *, kind: str, case_key: str, idempotency_key: str, payload: str, now: datetime) -> None:
        self.connection.execute(
            insert(alert).values(
                kind=kind,
                case_key=case_key,
                idempotency_key=idempotency_key,
                payload=payload,
                state="pending",
                attempts=0,
                next_at=now,
                created_at=now,
                last_error="",
            )
        )

    def claim(self, now: datetime, limit: int = 1) -> list[QueuedAlert]:
        """Take the oldest that are due; they are `sending` from here on."""
        due = select(alert).where(alert.c.state == "pending", alert.c.next_at <= now)
        rows = self.connection.execute(due.order_by(alert.c.id).limit(limit)).all()
        if rows:
            taken = update(alert).where(alert.c.id.in_([row.id for row in rows]))
            self.connection.execute(taken.values(state="sending", attempts=alert.c.attempts + 1, claimed_at=now))
        return [self._queued(row) for row in rows]

    def sent(self, alert_id: int, remote: str | None) -> None:
        """Delivered; `remote` is how the channel calls it, so that later alerts can join its thread."""
        self._set(alert_id, state="sent", remote=remote, last_error="")

    def retry(self, alert_id: int, next_at: datetime, error: str) -> None:
        self._set(alert_id, state="pending", next_at=next_at, last_error=error[:500])

    def park(self, alert_id: int, error: str) -> None:
        self._set(alert_id, state="parked", last_error=error[:500])

    def park_stranded(self, claimed_before: datetime) -> int:
        """Set aside what was being sent when a process died. Returns how many."""
        stranded = update(alert).where(alert.c.state == "sending", alert.c.claimed_at < claimed_before)
        reason = "interrupted while sending; it may have arrived"
        return self.connection.execute(stranded.values(state="parked", last_error=reason)).rowcount

    def depth(self) -> int:
        """How many wait or are being sent."""
        waiting = select(func.count()).select_from(alert).where(alert.c.state.in_(["pending", "sending"]))
        return int(self.connection.execute(waiting).scalar_one())

    def states(self) -> dict[str, int]:
        rows = self.connection.execute(select(alert.c.state, func.count()).group_by(alert.c.state))
        return {state: int(count) for state, count in rows}

    def _set(self, alert_id: int, **values: Any) -> None:
        self.connection.execute(update(alert).where(alert.c.id == alert_id).values(**values))

    def _queued(self, row: Row[Any]) -> QueuedAlert:
        first = select(alert.c.remote).where(alert.c.case_key == row.case_key, alert.c.remote.is_not(None))
        thread = self.connection.execute(first.order_by(alert.c.id).limit(1)).scalar_one_or_none()
        return QueuedAlert(
            row.id, row.kind, row.case_key, row.idempotency_key, row.payload, row.attempts + 1, thread
        )
