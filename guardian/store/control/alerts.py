"""The alert outbox: written with the finding, and emptied by one worker for each channel."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal, select, true, update

from guardian.store.columns import UtcDateTime
from guardian.store.control.tables import alert, channel, delivery
from guardian.store.inserts import insert_new, upsert

UNNAMED = ""
"""What alerts wait for until control first says which channels there are."""
_WAITING = delivery.c.state.in_(("pending", "sending"))
_TOLD = select(delivery, alert.c.payload).join(alert, alert.c.id == delivery.c.alert_id)
_LONGEST_ERROR = 500
_AT_ONCE = 500
_LONGEST = timedelta(hours=2)


class QueuedAlert(NamedTuple):
    """One alert as it was before it was claimed; `attempts` counts earlier claims."""

    id: int
    payload: str
    attempts: int


class RefusedAlert(NamedTuple):
    """An alert that a channel refused for good: since when it waits for people, and why."""

    id: int
    channel: str
    payload: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class AlertRows:
    """To each channel an alert goes by itself: pending → sending → sent, or back to pending, or parked for a
    person to look at; moved where its channel was taken out of the configuration.

    Two control processes may share a database. What one has in hand goes back to the queue when the other starts,
    or when it takes too long. Then each may still say that the alert is sent, but anything else only of its own
    claim: `attempt` is the number of the claim that it ends.
    """

    connection: Connection

    def add(self, *, kind: str, case_key: str, idempotency_key: str, payload: str, now: datetime) -> None:
        """Queue it for every channel."""
        told = {"kind": kind, "case_key": case_key, "idempotency_key": idempotency_key, "payload": payload}
        made = insert(alert).values(**told, created_at=now).returning(alert.c.id)
        self._queue(alert.c.id == self.connection.execute(made).scalar_one(), now)

    def deliver_to(self, channels: Collection[str], now: datetime, *, instead: str) -> int:
        """These are the channels from now on. What waits for any other, or is parked there, moves to all of them,
        or where Slack is alone to what is there `instead`; its attempts go with it, for one of them may have it.
        Returns how many alerts that are."""
        self.connection.execute(delete(channel).where(channel.c.name.not_in(channels)))
        insert_new(self.connection, channel, [{"name": name} for name in channels])
        heirs = [*channels] or [instead]
        left = delivery.c.channel.not_in(heirs) & (_WAITING | (delivery.c.state == "parked"))
        query = select(delivery).where(left)
        if not channels:  # what waited before channels had names waited for Slack, which follows all alerts
            query = query.where(delivery.c.channel != UNNAMED)
        rows = [row._asdict() for row in self.connection.execute(query)]
        for row in rows:
            why = f"{row['channel']}: {row['last_error']}".removeprefix(": ")
            row.update(next_at=now, last_error=why[:_LONGEST_ERROR])
        moved = [row | {"channel": name} for row in rows for name in heirs]
        upsert(self.connection, delivery, moved, over=delivery.c.state == "moved")  # one may be back
        self.connection.execute(update(delivery).where(left).values(state="moved"))
        return len({row["alert_id"] for row in rows})

    def queue(self, ids: Sequence[int], now: datetime) -> None:
        """Queue these alerts, which waited for no channel, for every one."""
        for part in (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)):
            self._queue(alert.c.id.in_(part), now)

    def claim(self, name: str, now: datetime) -> QueuedAlert | None:
        """Take the one that has been due for longest in this channel's queue; it is `sending` from here on.

        What is put off for longer than anybody puts it off has its time from a clock that was ahead, and is due.
        """
        pending = _TOLD.where(delivery.c.channel == name, delivery.c.state == "pending").limit(1)
        pending = pending.order_by(delivery.c.next_at, delivery.c.alert_id)
        for time_is_up in (delivery.c.next_at <= now, delivery.c.next_at > now + _LONGEST):  # each by the index
            row = self.connection.execute(pending.where(time_is_up)).one_or_none()
            if row is not None:
                break
        if row is None:
            return None
        claimed = {"state": "sending", "attempts": row.attempts + 1, "claimed_at": now}
        self.connection.execute(update(delivery).where(*_of(name, row.alert_id)).values(**claimed))
        return QueuedAlert(row.alert_id, row.payload, row.attempts)

    def recover(self, name: str, before: datetime | None = None) -> int:
        """Back to the queue with what was being sent when a process died; attempts are kept. Returns how many.

        All that is being sent, or what was claimed at `before` or earlier.
        """
        stranded = (delivery.c.channel == name) & (delivery.c.state == "sending")
        if before is not None:
            stranded &= delivery.c.claimed_at <= before
        return self.connection.execute(update(delivery).where(stranded).values(state="pending")).rowcount

    def sent(self, name: str, alert_id: int, remote: str) -> None:
        """Delivered, whoever has it in hand by now; `remote` is how the channel calls it."""
        waits = update(delivery).where(*_of(name, alert_id), delivery.c.state != "sent")
        self.connection.execute(waits.values(state="sent", remote=remote, last_error=""))

    def postponed(self, name: str, alert_id: int, attempt: int, until: datetime, error: str) -> None:
        self._end(name, alert_id, attempt, state="pending", next_at=until, last_error=error[:_LONGEST_ERROR])

    def parked(self, name: str, alert_id: int, attempt: int, error: str) -> None:
        self._end(name, alert_id, attempt, state="parked", last_error=error[:_LONGEST_ERROR])

    def refused(self) -> list[RefusedAlert]:
        """The alerts that are parked, the oldest first; `at` is when the last try began."""
        parked = _TOLD.where(delivery.c.state == "parked").order_by(delivery.c.alert_id, delivery.c.channel)
        rows = self.connection.execute(parked)
        return [
            RefusedAlert(row.alert_id, row.channel, row.payload, row.claimed_at, row.last_error) for row in rows
        ]

    def release(self, ids: Sequence[int] | None, now: datetime) -> list[int]:
        """Put parked alerts back in the queue, attempts kept: these, or all. Returns their ids, each once for
        every channel that had refused it."""
        wanted = delivery.c.state == "parked"
        if ids is not None:
            wanted &= delivery.c.alert_id.in_(ids)
        change = update(delivery).where(wanted).values(state="pending", next_at=now).returning(delivery.c.alert_id)
        return sorted(self.connection.execute(change).scalars())

    def payload(self, alert_id: int) -> str | None:
        return self.connection.execute(select(alert.c.payload).where(alert.c.id == alert_id)).scalar_one_or_none()

    def case_of(self, idempotency_key: str) -> str | None:
        wanted = select(alert.c.case_key).where(alert.c.idempotency_key == idempotency_key)
        return self.connection.execute(wanted).scalar_one_or_none()

    def waits(self, name: str) -> bool:
        """Whether any waits for this channel that nobody is sending, due or not."""
        pending = delivery.c.channel == name, delivery.c.state == "pending"
        order = delivery.c.next_at, delivery.c.alert_id  # the index's, or PostgreSQL reads all that were ever sent
        query = select(delivery.c.alert_id).where(*pending).order_by(*order).limit(1)
        return self.connection.execute(query).first() is not None

    def depth(self, name: str) -> int:
        """How many wait for this channel or are being sent to it."""
        waiting = select(func.count()).select_from(delivery).where(delivery.c.channel == name, _WAITING)
        return int(self.connection.execute(waiting).scalar_one())

    def _queue(self, these: ColumnElement[bool], now: datetime) -> None:
        due = literal(now, UtcDateTime())
        queued = select(alert.c.id, channel.c.name, literal("pending"), literal(0), due, literal(""))
        queued = queued.select_from(alert).join(channel, true()).where(these)
        columns = ["alert_id", "channel", "state", "attempts", "next_at", "last_error"]
        self.connection.execute(insert(delivery).from_select(columns, queued))

    def _end(self, name: str, alert_id: int, attempt: int, **values: Any) -> None:
        own = delivery.c.state == "sending", delivery.c.attempts == attempt
        self.connection.execute(update(delivery).where(*_of(name, alert_id), *own).values(**values))


def _of(name: str, alert_id: int) -> tuple[ColumnElement[bool], ...]:
    return delivery.c.alert_id == alert_id, delivery.c.channel == name
