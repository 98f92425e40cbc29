"""The feeds that cases follow: alerts, audit trail and people's words, and how far each was read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Row, and_, delete, exists, func, or_, select, union

from guardian.store.control.alerts import FOLLOW_UP, UNNAMED
from guardian.store.control.tables import alert, audit, case, change, delivery, followed
from guardian.store.inserts import upsert

_BEGUN = "begun"
"""Noted among the feeds once a channel has begun to follow them, at the newest alert of that time."""
BEGINNING = "beginning"
"""Noted there while the channel still takes in what was before, at the approval that it looked at last."""
_LEFT = "left"
"""Noted there once others have taken over from it, at the newest alert of that time."""
OUTCOMES = "outcomes"
"""Noted there: how far the audit trail was read for what became of findings, which channels are told."""
_UNWRITTEN = "due", "sending"
_FIRST = alert.c.kind != FOLLOW_UP


class Followed(NamedTuple):
    """One line of a feed that cases follow; `payload` is its JSON, of a change the word beside its `detail`."""

    seq: int
    payload: str
    key: str = ""
    tenant_id: str = ""
    session_id: str = ""
    at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FeedRows:
    connection: Connection

    def position(self, feed: str) -> int:
        found = self.connection.execute(select(followed.c.seq).where(followed.c.feed == feed)).one_or_none()
        return 0 if found is None else int(found.seq)

    def follow(self, feed: str, seq: int) -> None:
        """Remember how far a feed was read."""
        upsert(self.connection, followed, [{"feed": feed, "seq": seq}])

    def is_followed(self, feed: str) -> bool:
        noted = select(followed.c.feed).where(followed.c.feed == feed)
        return self.connection.execute(noted).first() is not None

    def news(self, feed: str, limit: int) -> Sequence[Followed]:
        """What stands on a feed after what was read: alerts, audit, outcomes (the audit trail, too) or changes."""
        after = self.position(feed)
        match feed:
            case "alerts":
                wanted = select(alert).where(alert.c.id > after, _FIRST)
                rows = self.connection.execute(wanted.order_by(alert.c.id).limit(limit))
                return [_alert(row) for row in rows]
            case "audit" | "outcomes":
                wanted = select(audit.c.seq, audit.c.record).where(audit.c.seq > after)
                rows = self.connection.execute(wanted.order_by(audit.c.seq).limit(limit))
                return [Followed(row.seq, row.record, at=_at(row.record)) for row in rows]
            case _:
                wanted = select(change).where(change.c.seq > after)
                rows = self.connection.execute(wanted.order_by(change.c.seq).limit(limit))
                return [Followed(r.seq, r.word, "", r.tenant_id, r.session_id, r.at, r.detail) for r in rows]

    def begin(self, since: datetime) -> bool:
        """Note that a channel begins with the alerts that are newer than `since`.

        False where one began before. One that followed alerts before this was noted shows by a case that has an
        alert: a case without is a snooze, and the positions say nothing, for the schema starts them somewhere.
        """
        heard = select(case.c.key).where(case.c.alert_id > 0).limit(1)
        if self.is_followed(_BEGUN) or self.connection.execute(heard).first() is not None:
            return False
        self.follow(_BEGUN, self._alerts_by(None))
        self.follow(BEGINNING, 0)
        self.follow("alerts", max(self.position("alerts"), self._alerts_by(since)))
        return True

    def beginning(self) -> int | None:
        """The newest alert of the time when the channel began, while it still takes in what was before."""
        return self.position(_BEGUN) if self.is_followed(BEGINNING) else None

    def begun(self) -> None:
        """Everything from before is taken in."""
        self.connection.execute(delete(followed).where(followed.c.feed == BEGINNING))

    def left(self) -> list[int]:
        """The alerts that only the channel that follows cases was to show and has not, in order: what it has not
        read; what came to a case that it has to write since it last wrote that, or the digest that lists it; and
        the newest of a case of which it has a write in hand.

        It is gone, so they are for others; the next call begins where this one ended.
        """
        unread = alert.c.id > max(self.position("alerts"), self.position(_LEFT))
        of_case = select(alert.c.id).join(case, case.c.key == alert.c.case_key)
        in_hand = and_(case.c.step.is_not(None), case.c.alert_id == alert.c.id)
        own = of_case.where(case.c.status.in_(_UNWRITTEN), or_(_after(case), in_hand))
        digest = case.alias()
        listed = of_case.join(digest, digest.c.key == case.c.folded_into)
        listed = listed.where(digest.c.status.in_(_UNWRITTEN), _after(digest))
        found = union(select(alert.c.id).where(unread), own, listed).subquery()
        theirs = (delivery.c.channel != UNNAMED) | (delivery.c.state != "moved")  # else it waited for Slack
        told = exists().where(delivery.c.alert_id == found.c.id, theirs)
        which = select(found.c.id).join(alert, alert.c.id == found.c.id).where(_FIRST, ~told)
        ids = self.connection.execute(which.order_by(found.c.id)).scalars().all()
        self.follow(_LEFT, self._alerts_by(None))
        return list(ids)

    def newest_alert(self, key: str, last: int) -> Followed | None:
        """The case's newest alert, up to alert number `last`."""
        mine = alert.c.case_key == key, alert.c.id <= last, _FIRST
        wanted = select(alert).where(*mine).order_by(alert.c.id.desc())
        row = self.connection.execute(wanted.limit(1)).one_or_none()
        return None if row is None else _alert(row)

    def _alerts_by(self, at: datetime | None) -> int:
        wanted = select(func.max(alert.c.id))
        bounded = wanted if at is None else wanted.where(alert.c.created_at <= at)
        return int(self.connection.execute(bounded).scalar_one() or 0)


def _after(case: FromClause) -> ColumnElement[bool]:
    """Whether the alert came after this case was last written, if it ever was."""
    return or_(case.c.written_at.is_(None), alert.c.created_at > case.c.written_at)


def _at(record: str) -> datetime:
    return datetime.fromisoformat(json.loads(record)["at"])


def _alert(row: Row[Any]) -> Followed:
    return Followed(row.id, row.payload, key=row.case_key, at=row.created_at)
