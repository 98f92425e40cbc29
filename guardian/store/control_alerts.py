"""The alert outbox: written with the finding, emptied by whoever delivers alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from guardian.store.control_tables import alert


class QueuedAlert(NamedTuple):
    """One alert as it was before it was claimed; `attempts` counts earlier claims."""

    id: int
    payload: str
    attempts: int


class RefusedAlert(NamedTuple):
    """An alert that a channel refused for good: since when it waits for people, and why."""

    id: int
    payload: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class AlertRows:
    """States: pending → sending → sent, or back to pending, or parked for a person to look at.

    Two control processes may share a database. What one has in hand goes back to the queue when the other starts,
    or when it takes too long. Then each may still say that the alert is sent, but anything else only of its own
    claim: `attempt` is the number of the claim that it ends.
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

    def claim(self, now: datetime) -> QueuedAlert | None:
        """Take the one that has been due for longest; it is `sending` from here on."""
        due = select(alert).where(alert.c.state == "pending", alert.c.next_at <= now)
        row = self.connection.execute(due.order_by(alert.c.next_at, alert.c.id).limit(1)).one_or_none()
        if row is None:
            return None
        taken = update(alert).where(alert.c.id == row.id)
        self.connection.execute(taken.values(state="sending", attempts=row.attempts + 1, claimed_at=now))
        return QueuedAlert(row.id, row.payload, row.attempts)

    def recover(self, before: datetime | None = None) -> int:
        """Back to the queue with what was being sent when a process died; attempts are kept. Returns how many.

        All that is being sent, or what was claimed at `before` or earlier.
        """
        stranded = alert.c.state == "sending"
        if before is not None:
            stranded &= alert.c.claimed_at <= before
        return self.connection.execute(update(alert).where(stranded).values(state="pending")).rowcount

    def sent(self, alert_id: int, remote: str) -> None:
        """Delivered, whoever has it in hand by now; `remote` is how the channel calls it."""
        waits = update(alert).where(alert.c.id == alert_id, alert.c.state != "sent")
        self.connection.execute(waits.values(state="sent", remote=remote, last_error=""))

    def postponed(self, alert_id: int, attempt: int, until: datetime, error: str) -> None:
        self._end(alert_id, attempt, state="pending", next_at=until, last_error=error[:500])

    def parked(self, alert_id: int, attempt: int, error: str) -> None:
        self._end(alert_id, attempt, state="parked", last_error=error[:500])

    def refused(self) -> list[RefusedAlert]:
        """The alerts that are parked, the oldest first; `at` is when the last try began."""
        rows = self.connection.execute(select(alert).where(alert.c.state == "parked").order_by(alert.c.id))
        return [RefusedAlert(row.id, row.payload, row.claimed_at, row.last_error) for row in rows]

    def release(self, ids: Sequence[int] | None, now: datetime) -> list[int]:
        """Put parked alerts back in the queue, attempts kept: these, or all. Returns their ids."""
        wanted = alert.c.state == "parked"
        if ids is not None:
            wanted &= alert.c.id.in_(ids)
        change = update(alert).where(wanted).values(state="pending", next_at=now).returning(alert.c.id)
        return sorted(self.connection.execute(change).scalars())

    def payload(self, alert_id: int) -> str | None:
        return self.connection.execute(select(alert.c.payload).where(alert.c.id == alert_id)).scalar_one_or_none()

    def case_of(self, idempotency_key: str) -> str | None:
        wanted = select(alert.c.case_key).where(alert.c.idempotency_key == idempotency_key)
        return self.connection.execute(wanted).scalar_one_or_none()

    def depth(self) -> int:
        """How many wait or are being sent."""
        waiting = select(func.count()).select_from(alert).where(alert.c.state.in_(["pending", "sending"]))
        return int(self.connection.execute(waiting).scalar_one())

    def _end(self, alert_id: int, attempt: int, **values: Any) -> None:
        own = alert.c.state == "sending", alert.c.attempts == attempt
        self.connection.execute(update(alert).where(alert.c.id == alert_id, *own).values(**values))
