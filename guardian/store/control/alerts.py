"""The alert outbox: written with the finding, and emptied by one worker for each channel."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, case, delete, exists, func, insert, literal, select, update

from guardian.store.control.tables import alert, channel, delivery
from guardian.store.inserts import insert_new, upsert
from guardian.store.lanes import next_lane

UNNAMED = ""
"""What alerts wait for until control first says which channels there are."""
_WAITING = delivery.c.state.in_(("pending", "sending"))
_UNSENT = "pending", "sending", "parked", "held"
_NEVER = "moved", "dropped"
_TOLD = select(delivery, alert.c.payload, alert.c.created_at).join(alert, alert.c.id == delivery.c.alert_id)
FOLLOW_UP = "outcome"
"""The kind of alerts that say what became of a finding. Slack shows that by the case, and follows none of them."""
_LONGEST_ERROR = 500
_LONGEST = timedelta(hours=2)
_AT_ONCE = 100
_TOGETHER = 1000  # alerts that one message tells
_SETTLED, _LATEST = timedelta(seconds=30), timedelta(minutes=5)
"""What became of findings by one act is told as one once nothing was added for so long; what waits longer than the
other, or fills a message, is told as it is."""


class QueuedAlert(NamedTuple):
    """One alert as it was before it was claimed; `attempts` counts earlier claims."""

    id: int
    payload: str
    attempts: int


class RefusedAlert(NamedTuple):
    """An alert that a channel refused for good: since when it waits for people, and why. So many `held` ones, of
    what became of the same finding, wait for it."""

    id: int
    channel: str
    payload: str
    at: datetime
    why: str
    held: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of the refused alerts: these ids, or of None all; of this channel and this tenant, or of any."""

    ids: Sequence[int] | None = None
    channel: str | None = None
    tenant_id: str | None = None

    def where(self) -> ColumnElement[bool]:
        wanted = delivery.c.state == "parked"
        if self.ids is not None:
            wanted &= delivery.c.alert_id.in_(self.ids)
        if self.channel is not None:
            wanted &= delivery.c.channel == self.channel
        return wanted if self.tenant_id is None else wanted & (delivery.c.lane == self.tenant_id)


class Settled(NamedTuple):
    """An alert that was released or given up, with so many `held` behind it; no tenant where it cannot be read."""

    id: int
    channel: str
    tenant_id: str
    held: int = 0


class LateAlerts(NamedTuple):
    """So many alerts wait that a channel did not take yet: of the oldest, since when, and of the one that is tried
    next, when, and why it waits."""

    channel: str
    waiting: int
    since: datetime
    next_at: datetime
    why: str


@dataclass(slots=True)
class Turns:
    """Whose turn it is in a channel's queue. What asks for revocation, or is high or critical, goes first, but one
    turn in ten is the others', or they might wait for ever. Tenants take turns, however much waits of any."""

    taken: int = 0
    last: dict[int, str] = field(default_factory=dict)

    def ranks(self) -> tuple[int, int]:
        return (1, 0) if self.taken % 10 == 9 else (0, 1)


@dataclass(frozen=True, slots=True)
class AlertRows:
    """To each channel an alert goes by itself: pending → sending → sent, or back to pending, or parked for a
    person to look at, who may have it dropped; moved where its channel was taken out of the configuration. What
    became of a finding is held until the channel has what it was told of that finding before, and is never urgent:
    people know it already.

    Two control processes may share a database. What one has in hand goes back to the queue when the other starts,
    or when it takes too long. Then each may still say that the alert is sent, but anything else only of its own
    claim: `attempt` is the number of the claim that it ends.
    """

    connection: Connection

    def add(self, *, kind: str, case_key: str, idempotency_key: str, payload: str, now: datetime) -> None:
        """Queue it for every channel."""
        told = {"kind": kind, "case_key": case_key, "idempotency_key": idempotency_key, "payload": payload}
        made = insert(alert).values(**told, created_at=now).returning(alert.c.id)
        self._queue(self.connection.execute(made).scalar_one(), case_key, payload, now)

    def deliver_to(self, channels: Collection[str], now: datetime, *, instead: str) -> int:
        """These are the channels from now on. What waits for any other, or is parked there, moves to all of them,
        or where Slack is alone to what is there `instead`; its attempts go with it, for one of them may have it.
        Returns how many alerts that are."""
        self.connection.execute(delete(channel).where(channel.c.name.not_in(channels)))
        insert_new(self.connection, channel, [{"name": name} for name in channels])
        heirs = [*channels] or [instead]
        left = delivery.c.channel.not_in(heirs) & delivery.c.state.in_(_UNSENT)
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
        self._free(delivery.c.state == "held")
        return len({row["alert_id"] for row in rows})

    def channels(self) -> list[str]:
        """The names of those that alerts go to."""
        return list(self.connection.execute(select(channel.c.name)).scalars())

    def named(self, idempotency_key: str) -> int | None:
        """The alert of that name."""
        wanted = select(alert.c.id).where(alert.c.idempotency_key == idempotency_key)
        return self.connection.execute(wanted).scalar_one_or_none()

    def of_case(self, case_key: str, until: datetime, before: int = 0) -> list[tuple[int, str, datetime]]:
        """The next alerts about findings of a case up to that time, the newest first: id, name, and when. With
        `before` those that came before that one."""
        mine = [alert.c.case_key == case_key, alert.c.kind == "finding", alert.c.created_at <= until]
        if before:
            mine.append(alert.c.id < before)
        wanted = select(alert.c.id, alert.c.idempotency_key, alert.c.created_at).where(*mine)
        found = self.connection.execute(wanted.order_by(alert.c.id.desc()).limit(_AT_ONCE))
        return [(row[0], row[1], row[2]) for row in found]

    def told_of(self, number: int) -> list[str]:
        """The channels that have this alert or will."""
        told = delivery.c.alert_id == number, delivery.c.state.not_in(_NEVER)
        there = select(delivery.c.channel).join(channel, channel.c.name == delivery.c.channel).where(*told)
        return list(self.connection.execute(there).scalars())

    def follow_up(
        self, first: int, *, idempotency_key: str, payload: str, now: datetime, act: str | None = None
    ) -> bool:
        """Queue what became of what alert `first` told, for the channels that have that or will. False where there
        are none, or where that was queued before. `act` names the act, of which more findings may hear."""
        known = select(alert.c.case_key).where(alert.c.id == first)
        names = self.told_of(first)
        if not names or self.named(idempotency_key) is not None:
            return False
        last = self._last_of(first)
        values = {"case_key": self.connection.execute(known).scalar_one(), "idempotency_key": idempotency_key}
        values |= {"kind": FOLLOW_UP, "payload": payload, "created_at": now, "follows": last}
        number = self.connection.execute(insert(alert).values(**values).returning(alert.c.id)).scalar_one()
        before = select(delivery.c.channel).where(delivery.c.alert_id == last, delivery.c.state.in_(_UNSENT))
        waits = set(self.connection.execute(before).scalars())
        turn = {"alert_id": number, "attempts": 0, "next_at": now, "last_error": "", **_turn(payload)}
        turn |= {"rank": 1, "act": act}
        rows = [{**turn, "channel": name, "state": "held" if name in waits else "pending"} for name in names]
        self.connection.execute(insert(delivery), rows)
        return True

    def _last_of(self, number: int) -> int:
        """The newest alert of the finding that this one is about."""
        chain = select(literal(number).label("id")).cte("chain", recursive=True)
        chain = chain.union_all(select(alert.c.id).where(alert.c.follows == chain.c.id))
        return int(self.connection.execute(select(func.max(chain.c.id))).scalar_one())

    def queue(self, ids: Sequence[int], now: datetime) -> None:
        """Queue these alerts, which waited for no channel, for every one."""
        for number in ids:
            known = select(alert.c.case_key, alert.c.payload).where(alert.c.id == number)
            self._queue(number, *self.connection.execute(known).one(), now)

    def claim(self, name: str, now: datetime, turns: Turns | None = None) -> QueuedAlert | None:
        """Take the one whose turn it is of what is due in this channel's queue; it is `sending` from here on.

        What is put off for longer than anybody puts it off has its time from a clock that was ahead, and is due.
        """
        turns = turns or Turns()
        row = self._next(name, now, turns)
        if row is None:
            return None
        return self._take(name, [row], now, turns)[0]

    def claim_together(self, name: str, now: datetime, turns: Turns) -> list[QueuedAlert]:
        """As `claim`, with whatever else became of findings by the same act, once that is all. What was claimed
        together stays together, so that it is known again. Empty too where so many acts were put off that it is
        others' turn to write: more may be `due`."""
        for _ in range(_AT_ONCE):
            row = self._next(name, now, turns)
            if row is None:
                break
            these = [row] if row.act is None else self._of_act(name, row)
            came = [each.created_at for each in these]
            ready = min(max(came) + _SETTLED, min(came) + _LATEST)
            waits = row.act is not None and not row.attempts and len(these) < _TOGETHER
            if not (waits and max(came) <= now < ready):  # what a clock that was ahead dated is not waited for
                return self._take(name, these, now, turns)
            ids = [each.alert_id for each in these]
            self.connection.execute(update(delivery).where(*_of(name, *ids)).values(next_at=ready))
        return []

    def _of_act(self, name: str, row: Row[Any]) -> Sequence[Row[Any]]:
        same = delivery.c.act == row.act, delivery.c.channel == name, delivery.c.state == "pending"
        since = delivery.c.claimed_at.is_(None) if row.attempts == 0 else delivery.c.claimed_at == row.claimed_at
        wanted = _TOLD.where(*same, delivery.c.attempts == row.attempts, since)
        ordered = wanted.order_by(delivery.c.next_at, delivery.c.alert_id)  # first what was not put off yet
        found = {each.alert_id: each for each in self.connection.execute(ordered.limit(_TOGETHER))}
        return [each for _, each in sorted((found | {row.alert_id: row}).items())]

    def _take(self, name: str, these: Sequence[Row[Any]], now: datetime, turns: Turns) -> list[QueuedAlert]:
        first = these[0]
        turns.taken, turns.last[first.rank] = turns.taken + 1, first.lane
        claimed = {"state": "sending", "attempts": first.attempts + 1, "claimed_at": now}
        ids = [each.alert_id for each in these]
        self.connection.execute(update(delivery).where(*_of(name, *ids)).values(**claimed))
        return [QueuedAlert(each.alert_id, each.payload, each.attempts) for each in these]

    def _next(self, name: str, now: datetime, turns: Turns) -> Row[Any] | None:
        times = delivery.c.next_at <= now, delivery.c.next_at > now + _LONGEST  # each by the index
        for rank in turns.ranks():
            where = delivery.c.channel == name, delivery.c.state == "pending", delivery.c.rank == rank
            lane = next_lane(self.connection, delivery.c.lane, where, times, turns.last.get(rank, ""))
            for when in times if lane is not None else ():
                first = _TOLD.where(*where, when, delivery.c.lane == lane).limit(1)
                ordered = first.order_by(delivery.c.next_at, delivery.c.alert_id)
                row = self.connection.execute(ordered).one_or_none()
                if row is not None:
                    return row
        return None

    def recover(self, name: str, before: datetime | None = None) -> int:
        """Back to the queue with what was being sent when a process died; attempts are kept. Returns how many.

        All that is being sent, or what was claimed at `before` or earlier.
        """
        stranded = (delivery.c.channel == name) & (delivery.c.state == "sending")
        if before is not None:
            stranded &= delivery.c.claimed_at <= before
        return self.connection.execute(update(delivery).where(stranded).values(state="pending")).rowcount

    def sent(self, name: str, alert_id: int, remote: str, *beside: int, claimed: datetime | None = None) -> None:
        """Delivered, with those `beside` it, whoever has it in hand by now; `remote` is its name there. With
        `claimed`, when that was, what waited behind it is gathered with what others free soon after: a channel
        that was away would get a message of each."""
        ids = alert_id, *beside
        waits = update(delivery).where(*_of(name, *ids), delivery.c.state != "sent")
        self.connection.execute(waits.values(state="sent", remote=remote, last_error=""))
        self._free_behind(name, ids, None if claimed is None else claimed + _SETTLED)

    def postponed(self, name: str, alert_id: int, attempt: int, until: datetime, error: str, *beside: int) -> None:
        changes = {"state": "pending", "next_at": until, "last_error": error[:_LONGEST_ERROR]}
        self._end(name, (alert_id, *beside), attempt, **changes)

    def parked(self, name: str, alert_id: int, attempt: int, error: str, *beside: int) -> None:
        self._end(name, (alert_id, *beside), attempt, state="parked", last_error=error[:_LONGEST_ERROR])

    def refused(self) -> Iterator[RefusedAlert]:
        """The alerts that are parked, the oldest first, few of them in memory; `at` is when the last try began."""
        parked = _TOLD.where(delivery.c.state == "parked").order_by(delivery.c.alert_id, delivery.c.channel)
        for row in self.connection.execute(parked.execution_options(yield_per=_AT_ONCE)):
            told = row.alert_id, row.channel, row.payload, row.claimed_at, row.last_error
            yield RefusedAlert(*told, held=len(self._held_behind(row.channel, row.alert_id)))

    def refused_count(self) -> int:
        parked = select(func.count()).select_from(delivery).where(delivery.c.state == "parked")
        return int(self.connection.execute(parked).scalar_one())

    def held(self, name: str | None = None) -> int:
        """How many wait until this channel, or any, has what it was told of the same finding before."""
        mine = (
            [delivery.c.state == "held"]
            if name is None
            else [delivery.c.state == "held", delivery.c.channel == name]
        )
        counted = select(func.count()).select_from(delivery).where(*mine)
        return int(self.connection.execute(counted).scalar_one())

    def late(self) -> list[LateAlerts]:
        """What waits although it was tried, by channel."""
        tried = delivery.c.state == "pending", delivery.c.last_error != ""
        found = []
        for name in self.connection.execute(select(delivery.c.channel).where(*tried).distinct()).scalars().all():
            of_it = _TOLD.where(*tried, delivery.c.channel == name)
            first = self.connection.execute(of_it.order_by(delivery.c.next_at, delivery.c.alert_id).limit(1)).one()
            told = of_it.with_only_columns(func.count(), func.min(alert.c.created_at))
            count, since = self.connection.execute(told).one()
            found.append(LateAlerts(name, count, since, first.next_at, first.last_error))
        return sorted(found)

    def drop(self, chosen: Chosen) -> list[Settled]:
        """Give up these parked alerts: their channel never gets them. Nor does it hear what became of a finding of
        which it was told nothing else. Returns each, once for every channel that had refused it."""
        wanted = select(delivery.c.alert_id, delivery.c.channel, delivery.c.lane, alert.c.follows)
        parked = wanted.join(alert, alert.c.id == delivery.c.alert_id).where(chosen.where())
        dropped = []
        for row in self.connection.execute(parked.order_by(delivery.c.alert_id, delivery.c.channel)).all():
            gone = [row.alert_id]
            if row.follows is None:
                gone += self._held_behind(row.channel, row.alert_id)
            for start in range(0, len(gone), _TOGETHER):
                these = _of(row.channel, *gone[start : start + _TOGETHER])
                self.connection.execute(update(delivery).where(*these).values(state="dropped"))
            self._free_behind(row.channel, gone)
            dropped.append(Settled(row.alert_id, row.channel, row.lane, len(gone) - 1))
        return dropped

    def _held_behind(self, name: str, number: int) -> list[int]:
        """The alerts that wait for this one, and for each other, in this channel."""
        held = delivery.c.channel == name, delivery.c.state == "held"
        found: list[int] = []
        last = [number]
        while last:
            after = select(alert.c.id).join(delivery, delivery.c.alert_id == alert.c.id)
            last = list(self.connection.execute(after.where(alert.c.follows.in_(last), *held)).scalars())
            found += last
        return found

    def release(self, chosen: Chosen, now: datetime) -> list[Settled]:
        """Put these parked alerts back in the queue, attempts kept. Returns each, once for every channel that had
        refused it."""
        change = update(delivery).where(chosen.where()).values(state="pending", next_at=now, last_error="")
        released = change.returning(delivery.c.alert_id, delivery.c.channel, delivery.c.lane)
        return sorted(Settled(*row) for row in self.connection.execute(released))

    def payload(self, alert_id: int) -> str | None:
        return self.connection.execute(select(alert.c.payload).where(alert.c.id == alert_id)).scalar_one_or_none()

    def case_of(self, idempotency_key: str) -> str | None:
        wanted = select(alert.c.case_key).where(alert.c.idempotency_key == idempotency_key)
        return self.connection.execute(wanted).scalar_one_or_none()

    def due(self, name: str, now: datetime) -> bool:
        """Whether `claim` would find any."""
        return self._next(name, now, Turns()) is not None

    def depth(self, name: str) -> int:
        """How many wait for this channel or are being sent to it."""
        waiting = select(func.count()).select_from(delivery).where(delivery.c.channel == name, _WAITING)
        return int(self.connection.execute(waiting).scalar_one())

    def _queue(self, number: int, case_key: str, payload: str, now: datetime) -> None:
        """What is urgent takes along what waits of its case, which goes on in its order."""
        turn = _turn(payload)
        values = {"state": "pending", "attempts": 0, "next_at": now, "last_error": "", **turn}
        every = select(
            literal(number), channel.c.name, *(literal(v, delivery.c[c].type) for c, v in values.items())
        )
        self.connection.execute(insert(delivery).from_select(["alert_id", "channel", *values], every))
        if turn["rank"] == 0:
            of_it = delivery.c.alert_id.in_(select(alert.c.id).where(alert.c.case_key == case_key))
            self.connection.execute(update(delivery).where(of_it, _WAITING, delivery.c.rank == 1).values(rank=0))

    def _free_behind(self, name: str, ids: Sequence[int], at: datetime | None = None) -> None:
        follows = delivery.c.alert_id.in_(select(alert.c.id).where(alert.c.follows.in_(ids)))
        self._free(delivery.c.state == "held", delivery.c.channel == name, follows, at=at)

    def _free(self, *held: ColumnElement[bool], at: datetime | None = None) -> None:
        """Have those of the held go that nothing has to go before any more; at that time, what names an act."""
        before = delivery.alias()
        last = select(alert.c.follows).where(alert.c.id == delivery.c.alert_id).correlate(delivery)
        waits = exists().where(
            before.c.alert_id == last.scalar_subquery(),
            before.c.channel == delivery.c.channel,
            before.c.state.in_(_UNSENT),
        )
        freed: dict[str, Any] = {"state": "pending"}
        if at is not None:
            due = literal(at, delivery.c.next_at.type)
            freed["next_at"] = case((delivery.c.act.is_not(None), due), else_=delivery.c.next_at)
        self.connection.execute(update(delivery).where(*held, ~waits).values(**freed))

    def _end(self, name: str, ids: Sequence[int], attempt: int, **values: Any) -> None:
        own = delivery.c.state == "sending", delivery.c.attempts == attempt
        self.connection.execute(update(delivery).where(*_of(name, *ids), *own).values(**values))


def _turn(payload: str) -> dict[str, Any]:
    """The rank and lane of an alert; what cannot be read is parked when it is its turn."""
    try:
        finding = json.loads(payload)["finding"]
        urgent = finding["wanted"] == "revoke" or finding["severity"] in ("high", "critical")
        return {"rank": 0 if urgent else 1, "lane": str(finding["tenant_id"])}
    except (ValueError, TypeError, KeyError):
        return {"rank": 1, "lane": ""}


def _of(name: str, *ids: int) -> tuple[ColumnElement[bool], ...]:
    return delivery.c.alert_id.in_(ids), delivery.c.channel == name
