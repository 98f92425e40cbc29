"""Cases as a channel of people shows them: where each stands there, and what happened in it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, or_, select, update

from guardian.store.control_tables import (
    alert,
    audit,
    case,
    case_event,
    change,
    followed,
    live,
    session,
)
from guardian.store.inserts import upsert
from guardian.wire.cases import CaseEvent

_BEGUN = "begun"  # stands among the feeds once a channel has begun to follow them: the newest alert of then
BEGINNING = "beginning"  # stands there while what was before is taken in, at the approval that was looked at last


class StoredCase(NamedTuple):
    """One case. `kind` is session, news or digest; `rank` the severity, 0 to 4, the highest since it began.

    `place` is the message that shows it, None while there is none; `folded_into` the digest that lists it
    instead. `digest` is how it stands, `shown` what was last written; likewise `events` and `told` count its
    history. `step` is the write that was claimed and has not ended: it is repeated as it is, never anew. `next_at`
    is when it was claimed while it is being sent.
    """

    key: str
    tenant_id: str
    session_id: str
    kind: str
    purpose: str
    rank: int
    alert_id: int
    findings: int
    channel: str
    place: str | None
    folded_into: str | None
    state: str
    digest: str
    shown: str
    events: int
    told: int
    steps: int
    step: str | None
    status: str
    attempts: int
    next_at: datetime
    last_error: str
    opened_at: datetime
    written_at: datetime | None
    replied_at: datetime | None
    acted_at: datetime | None
    escalated_at: datetime | None
    snoozed_until: datetime | None
    snoozed_by: str | None


class Followed(NamedTuple):
    """One line of a feed that cases follow; `payload` is its JSON, for a change the word and its `detail`."""

    seq: int
    payload: str
    key: str = ""
    tenant_id: str = ""
    session_id: str = ""
    at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CaseRows:
    """`status`: idle (nothing to write), due (look at it from `next_at` on), sending, parked."""

    connection: Connection

    def get(self, key: str) -> StoredCase | None:
        row = self.connection.execute(select(case).where(case.c.key == key)).one_or_none()
        return None if row is None else _stored(row)

    def of_session(self, tenant_id: str, session_id: str) -> StoredCase | None:
        wanted = select(case).where(
            case.c.tenant_id == tenant_id, case.c.session_id == session_id, case.c.kind == "session"
        )
        row = self.connection.execute(wanted.limit(1)).one_or_none()
        return None if row is None else _stored(row)

    def open(
        self,
        key: str,
        *,
        kind: str,
        tenant_id: str,
        session_id: str,
        now: datetime,
        purpose: str = "",
        rank: int = 0,
        channel: str = "",
    ) -> StoredCase:
        """The case, made due; created when it was never heard of."""
        known = self.get(key)
        if known is None:
            values: dict[str, Any] = dict.fromkeys(
                ("alert_id", "findings", "events", "told", "steps", "attempts"), 0
            )
            values |= dict.fromkeys(("state", "shown", "last_error", "digest"), "")
            values |= {"key": key, "kind": kind, "tenant_id": tenant_id, "session_id": session_id}
            values |= {"purpose": purpose, "rank": rank, "channel": channel}
            self.connection.execute(insert(case).values(**values, status="idle", next_at=now, opened_at=now))
        self.touch(key, now)
        opened = self.get(key)
        assert opened is not None  # noqa: S101 - it was inserted above
        return opened

    def touch(self, key: str, now: datetime) -> None:
        """Look at it now; one that is being sent is looked at when that has ended, for that makes it due."""
        self.connection.execute(
            update(case).where(case.c.key == key, case.c.status != "sending").values(status="due", next_at=now)
        )

    def change(self, key: str, **values: Any) -> None:
        self.connection.execute(update(case).where(case.c.key == key).values(**values))

    def due(self, now: datetime, limit: int) -> list[StoredCase]:
        """The most severe first, among them the one that waits longest."""
        wanted = select(case).where(case.c.status == "due", case.c.next_at <= now)
        ordered = wanted.order_by(case.c.rank.desc(), case.c.next_at, case.c.opened_at, case.c.key)
        return [_stored(row) for row in self.connection.execute(ordered.limit(limit))]

    def failed(self, now: datetime) -> list[StoredCase]:
        """Those whose last write the channel did not take, and whose next try is still to come; the next first."""
        wanted = select(case).where(*_waits_after_failing(now)).order_by(case.c.next_at, case.c.key)
        return [_stored(row) for row in self.connection.execute(wanted)]

    def hurry(self, now: datetime) -> int:
        """Make the next try of all those now. Returns how many."""
        return self.connection.execute(update(case).where(*_waits_after_failing(now)).values(next_at=now)).rowcount

    def crowd(self, tenant_id: str, least: int, since: datetime) -> int:
        """Sessions' cases of the tenant, at least this severe, that are newer than that or not shown yet."""
        waiting = and_(case.c.status == "due", case.c.place.is_(None), case.c.folded_into.is_(None))
        mine = and_(case.c.tenant_id == tenant_id, case.c.kind == "session", case.c.rank >= least)
        counted = select(func.count()).select_from(case).where(mine, or_(case.c.opened_at > since, waiting))
        return int(self.connection.execute(counted).scalar_one())

    def unplaced(self, tenant_id: str, most: int, now: datetime, limit: int) -> list[StoredCase]:
        """Sessions' cases of the tenant, at most this severe, that are due and have no message of their own."""
        mine = and_(case.c.tenant_id == tenant_id, case.c.kind == "session", case.c.rank <= most)
        waiting = and_(
            case.c.status == "due", case.c.next_at <= now, case.c.place.is_(None), case.c.step.is_(None)
        )
        wanted = select(case).where(mine, waiting).order_by(case.c.rank.desc(), case.c.next_at, case.c.key)
        return [_stored(row) for row in self.connection.execute(wanted.limit(limit))]

    def newest_digest(self, tenant_id: str, channel: str, since: datetime) -> StoredCase | None:
        """The tenant's latest digest in that channel, if it was opened after that."""
        mine = and_(case.c.tenant_id == tenant_id, case.c.kind == "digest", case.c.channel == channel)
        wanted = select(case).where(mine, case.c.opened_at > since).order_by(case.c.opened_at.desc())
        row = self.connection.execute(wanted.limit(1)).one_or_none()
        return None if row is None else _stored(row)

    def folded(self, key: str) -> dict[int, int]:
        """How many cases of each rank a digest lists."""
        counted = select(case.c.rank, func.count()).where(case.c.folded_into == key).group_by(case.c.rank)
        return {int(row[0]): int(row[1]) for row in self.connection.execute(counted)}

    def recover(self, before: datetime | None = None) -> int:
        """Back to due with what was being sent when a process died, its step kept. Returns how many.

        All that is being sent, or what was claimed at `before` or earlier.
        """
        stranded = case.c.status == "sending"
        if before is not None:
            stranded &= case.c.next_at <= before
        return self.connection.execute(update(case).where(stranded).values(status="due")).rowcount

    def depth(self, now: datetime) -> int:
        """How many have something to be written now, are being written, or are to be tried again."""
        waiting = select(func.count()).select_from(case).where(case.c.status.in_(["due", "sending"]))
        wanted = or_(case.c.next_at <= now, case.c.step.is_not(None))
        return int(self.connection.execute(waiting.where(wanted)).scalar_one())

    def events(self, key: str, after: int = 0, limit: int = 1000) -> list[CaseEvent]:
        """What happened after event number `after`, in order."""
        wanted = select(case_event.c.event).where(case_event.c.key == key, case_event.c.n > after)
        rows = self.connection.execute(wanted.order_by(case_event.c.n).limit(limit))
        return [CaseEvent.model_validate_json(row.event) for row in rows]

    def happened(self, known: StoredCase, events: Iterable[CaseEvent]) -> StoredCase:
        """Add to its history; the caller makes it due."""
        n = known.events
        lines = [{"key": known.key, "n": n + i, "event": e.model_dump_json()} for i, e in enumerate(events, 1)]
        if not lines:
            return known
        self.connection.execute(insert(case_event), lines)
        self.change(known.key, events=n + len(lines))
        return known._replace(events=n + len(lines))

    def begin(self, since: datetime) -> bool:
        """Note, the first time, that a channel begins, with the alerts that are newer than that.

        False where one began before, or followed alerts before that was noted. Where the feeds stand tells
        nothing: the schema puts them somewhere. A case without an alert is a snooze.
        """
        noted = select(followed.c.feed).where(followed.c.feed == _BEGUN)
        heard = select(case.c.key).where(case.c.alert_id > 0).limit(1)
        if any(self.connection.execute(known).first() is not None for known in (noted, heard)):
            return False
        self.follow(_BEGUN, self._alerts_by(None))
        self.follow(BEGINNING, 0)
        self.follow("alerts", max(self.position("alerts"), self._alerts_by(since)))
        return True

    def beginning(self) -> int | None:
        """While a channel that is new still takes in what was before it: the newest alert of then."""
        noted = select(followed.c.feed).where(followed.c.feed == BEGINNING)
        return None if self.connection.execute(noted).first() is None else self.position(_BEGUN)

    def begun(self) -> None:
        """What was before is taken in."""
        self.connection.execute(delete(followed).where(followed.c.feed == BEGINNING))

    def newest_alert(self, key: str, last: int) -> Followed | None:
        """The case's newest alert, up to alert number `last`."""
        wanted = select(alert).where(alert.c.case_key == key, alert.c.id <= last).order_by(alert.c.id.desc())
        row = self.connection.execute(wanted.limit(1)).one_or_none()
        return None if row is None else _alert(row)

    def _alerts_by(self, at: datetime | None) -> int:
        wanted = select(func.max(alert.c.id))
        bounded = wanted if at is None else wanted.where(alert.c.created_at <= at)
        return int(self.connection.execute(bounded).scalar_one() or 0)

    def flagged_without(self) -> int:
        """How many sessions are flagged, and not revoked, that are no case."""
        this = case.c.tenant_id == session.c.tenant_id, case.c.session_id == session.c.session_id
        known = exists().where(*this, case.c.kind == "session", case.c.alert_id > 0)
        mine = live.c.tenant_id == session.c.tenant_id, live.c.subject_id == session.c.session_id
        revoked = exists().where(*mine, live.c.subject_type == "session")
        counted = select(func.count()).select_from(session).where(session.c.flagged, ~known, ~revoked)
        return int(self.connection.execute(counted).scalar_one())

    def position(self, feed: str) -> int:
        found = self.connection.execute(select(followed.c.seq).where(followed.c.feed == feed)).one_or_none()
        return 0 if found is None else int(found.seq)

    def follow(self, feed: str, seq: int) -> None:
        """Remember how far a feed was read."""
        upsert(self.connection, followed, [{"feed": feed, "seq": seq}])

    def news(self, feed: str, limit: int) -> Sequence[Followed]:
        """What stands on a feed after what was read: alerts, audit or changes."""
        after = self.position(feed)
        match feed:
            case "alerts":
                wanted = select(alert).where(alert.c.id > after)
                rows = self.connection.execute(wanted.order_by(alert.c.id).limit(limit))
                return [_alert(row) for row in rows]
            case "audit":
                wanted = select(audit.c.seq, audit.c.record).where(audit.c.seq > after)
                rows = self.connection.execute(wanted.order_by(audit.c.seq).limit(limit))
                return [Followed(row.seq, row.record, at=_at(row.record)) for row in rows]
            case _:
                rows = self.connection.execute(
                    select(change).where(change.c.seq > after).order_by(change.c.seq).limit(limit)
                )
                return [
                    Followed(
                        row.seq,
                        row.word,
                        tenant_id=row.tenant_id,
                        session_id=row.session_id,
                        at=row.at,
                        detail=row.detail,
                    )
                    for row in rows
                ]

    def alert_payload(self, alert_id: int) -> str | None:
        return self.connection.execute(select(alert.c.payload).where(alert.c.id == alert_id)).scalar_one_or_none()


def _waits_after_failing(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return case.c.status == "due", case.c.next_at > now, case.c.last_error != ""


def _at(record: str) -> datetime:
    return datetime.fromisoformat(json.loads(record)["at"])


def _alert(row: Row[Any]) -> Followed:
    return Followed(row.id, row.payload, key=row.case_key, at=row.created_at)


def _stored(row: Row[Any]) -> StoredCase:
    return StoredCase(**{name: getattr(row, name) for name in StoredCase._fields})
