"""Cases as a channel of people shows them: where each stands there, and what happened in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, insert, or_, select, update

from guardian.domain.identity import SessionKey
from guardian.store.columns import in_key
from guardian.store.control.picture import Picture
from guardian.store.control.scope import NoIndex
from guardian.store.control.tables import approval, case, case_event, envelope, ledger, live, session
from guardian.wire.cases import MOST_HOURS, CaseEvent

_LONGEST = timedelta(days=2)
"""Longer than a write, or what nobody was shown yet, is ever put off: quiet hours end within a day."""


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
    shown: Picture
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
    taken_by: str | None
    taken_at: datetime | None


class CaseChanges(TypedDict, total=False):
    """What may change of a case."""

    purpose: str
    rank: int
    alert_id: int
    findings: int
    channel: str
    place: str | None
    folded_into: str | None
    state: str
    digest: str
    shown: Picture
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
    taken_by: str | None
    taken_at: datetime | None


_IS_FREE = or_(case.c.step.is_(None), case.c.attempts == 0)
"""Whether no write of it was begun that has not ended."""


@dataclass(frozen=True, slots=True)
class CaseRows:
    """`status`: idle (nothing to write), due (look at it from `next_at` on), sending, parked."""

    connection: Connection

    def get(self, key: str) -> StoredCase | None:
        row = self.connection.execute(select(case).where(case.c.key == key)).one_or_none()
        return None if row is None else _stored(row)

    def of_session(self, key: SessionKey) -> StoredCase | None:
        mine = case.c.tenant_id == key.tenant_id, case.c.session_id == key.session_id
        row = self.connection.execute(select(case).where(*mine, case.c.kind == "session").limit(1)).one_or_none()
        return None if row is None else _stored(row)

    def taken(self, keys: Iterable[str]) -> dict[str, StoredCase]:
        """Those of the cases that somebody has taken, by key."""
        wanted = select(case).where(case.c.key.in_([*keys]), case.c.taken_at.is_not(None))
        return {row.key: _stored(row) for row in self.connection.execute(wanted)}

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
        """Look at it now; one that is due keeps its turn, which what happens ever anew would never have. One whose
        write has not ended is looked at when it has, for that makes it due."""
        due = and_(case.c.status == "due", case.c.next_at <= now)
        ready = case.c.key == key, _IS_FREE, ~due
        self.connection.execute(update(case).where(*ready).values(status="due", next_at=now))

    def touch_under(self, tenant_id: str, field: str, name: str, now: datetime, most: int) -> None:
        """Look now at sessions' cases that have a message and that a finding or a version of the envelope tied to
        `name` in `field`; at most so many, those that were written last."""
        shown = select(case.c.key).where(*_tied(tenant_id, field, name), case.c.place.is_not(None))
        wanted = shown.order_by(case.c.written_at.desc()).limit(most)
        for key in self.connection.execute(wanted).scalars().all():
            self.touch(key, now)

    def acted_under(self, tenant_id: str, field: str, name: str, at: datetime, states: Iterable[str]) -> None:
        """Somebody acted on sessions' cases in these states that are tied to it so, wherever they are shown."""
        waits = case.c.state.in_([*states]), case.c.acted_at.is_(None)
        mine = update(case).where(*waits, *_tied(tenant_id, field, name))
        self.connection.execute(mine.values(acted_at=at))

    def given_back_under(self, tenant_id: str, kind: str, name: str, now: datetime, states: Iterable[str]) -> None:
        """A revocation of it is over. Sessions' cases in these states that only who made it acted on are now those
        of who made another one, if that holds; else nobody has acted on them any more: their time runs from now,
        and they are looked at; so are the digests that list them."""
        mine = ledger.c.tenant_id == tenant_id, ledger.c.subject_type == kind, ledger.c.subject_id == name
        by_it = exists().where(*mine, ledger.c.status == "revoked", ledger.c.at == case.c.acted_at)
        left = case.c.state.in_([*states]), by_it, *_tied(tenant_id, f"{kind}_id", name)
        for other in self.connection.execute(_by_people(tenant_id)).all():
            tied = _tied(tenant_id, f"{other.subject_type}_id", other.subject_id)
            theirs = update(case).where(*left, *tied, case.c.opened_at <= other.at)
            self.connection.execute(theirs.values(acted_at=other.at))
        digests = select(case.c.folded_into).where(*left, case.c.folded_into.is_not(None)).distinct()
        for key in self.connection.execute(digests).scalars().all():
            self.touch(key, now)
        ready = update(case).where(*left, _IS_FREE)
        self.connection.execute(ready.values(status="due", next_at=now))
        quiet = update(case).where(*left, case.c.escalated_at.is_(None))  # the others are no storm of new ones
        self.connection.execute(quiet.values(opened_at=now))
        self.connection.execute(update(case).where(*left).values(acted_at=None))

    def change(self, key: str, **values: Unpack[CaseChanges]) -> None:
        shown = {"shown": values["shown"].text()} if "shown" in values else {}
        self.connection.execute(update(case).where(case.c.key == key).values(**{**values, **shown}))

    def due(self, now: datetime, limit: int) -> list[StoredCase]:
        """The most severe first, among them the one that waits longest. A write, or a case that nobody was shown
        yet, is put off so far only by a clock that was ahead, and is due."""
        shown = or_(case.c.place.is_not(None), case.c.folded_into.is_not(None))
        ahead = and_(case.c.next_at > now + _LONGEST, or_(case.c.step.is_not(None), ~shown))
        wanted = select(case).where(case.c.status == "due", or_(case.c.next_at <= now, ahead))
        ordered = wanted.order_by(case.c.rank.desc(), case.c.next_at, case.c.opened_at, case.c.key)
        return [_stored(row) for row in self.connection.execute(ordered.limit(limit))]

    def put_right(self, now: datetime) -> None:
        """The clock may have been ahead: what it noted as later than now counts as now, a snooze of which nobody
        knows when it was meant to end is over, and what is put off is looked at now, for the same reason."""
        for time in (case.c.opened_at, case.c.written_at, case.c.replied_at, case.c.escalated_at, case.c.taken_at):
            self.connection.execute(update(case).where(time > now).values({time: now}))
        endless = case.c.snoozed_until > now + timedelta(hours=MOST_HOURS)
        self.connection.execute(update(case).where(endless).values(snoozed_until=now))
        put_off = case.c.status == "due", case.c.next_at > now
        self.connection.execute(update(case).where(*put_off).values(next_at=now))

    def failed(self, now: datetime) -> list[StoredCase]:
        """Those whose last write the channel did not take, and whose next try is still to come; the next first."""
        wanted = select(case).where(*_waits_after_failing(now)).order_by(case.c.next_at, case.c.key)
        return [_stored(row) for row in self.connection.execute(wanted)]

    def hurry(self, now: datetime, tenant_id: str | None = None) -> list[str]:
        """Make the next try of all those now, or of one tenant's. Returns the tenant of each."""
        mine = [] if tenant_id is None else [case.c.tenant_id == tenant_id]
        change = update(case).where(*_waits_after_failing(now), *mine).values(next_at=now)
        return list(self.connection.execute(change.returning(case.c.tenant_id)).scalars())

    def crowd(self, tenant_id: str, least: int, since: datetime, waits: datetime) -> int:
        """Sessions' cases of the tenant, at least this severe, that are newer than `since`, not shown yet, or
        listed by a digest at `waits` or later: with them one came that waits since then."""
        waiting = and_(case.c.status == "due", case.c.place.is_(None), case.c.folded_into.is_(None))
        mine = and_(case.c.tenant_id == tenant_id, case.c.kind == "session", case.c.rank >= least)
        counted = select(func.count()).select_from(case).where(mine)
        listed = and_(case.c.folded_into.is_not(None), case.c.replied_at >= waits)
        older = case.c.opened_at <= since
        sorts = (case.c.opened_at > since, and_(waiting, older), and_(listed, older))  # an index for each
        return sum(int(self.connection.execute(counted.where(sort)).scalar_one()) for sort in sorts)

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

    def waits_in(
        self, key: str, least: int, states: Iterable[str], now: datetime
    ) -> tuple[datetime | None, datetime | None]:
        """Since when the oldest waits of the cases that a digest lists, at least this severe and in one of these
        states, that nobody acted on and nobody wants quiet about; None where there is none. And when the last
        snooze of one of them ended, if any was."""
        listed = case.c.folded_into == key, case.c.rank >= least
        quiet = case.c.snoozed_until > now
        waits = case.c.state.in_([*states]), case.c.acted_at.is_(None), case.c.snoozed_until.is_(None) | ~quiet
        oldest = select(func.min(case.c.opened_at), func.max(case.c.snoozed_until)).where(*listed, *waits)
        since, ended = self.connection.execute(oldest).one()
        return since, ended

    def asked_in(self, key: str, now: datetime) -> bool:
        """Whether one of the cases that a digest lists waits for a second person's word."""
        mine = approval.c.tenant_id == case.c.tenant_id, approval.c.session_id == case.c.session_id
        waits = approval.c.state == "pending", approval.c.expires_at > now
        wanted = select(case.c.key).where(case.c.folded_into == key, *mine, *waits)
        return self.connection.execute(wanted.limit(1)).first() is not None

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

    def flagged_without(self) -> int:
        """How many sessions are flagged, and not revoked, that are no case."""
        this = case.c.tenant_id == session.c.tenant_id, case.c.session_id == session.c.session_id
        known = exists().where(*this, case.c.kind == "session", case.c.alert_id > 0)
        mine = live.c.tenant_id == session.c.tenant_id, live.c.subject_id == session.c.session_id
        revoked = exists().where(*mine, live.c.subject_type == "session")
        counted = select(func.count()).select_from(session).where(session.c.flagged, ~known, ~revoked)
        return int(self.connection.execute(counted).scalar_one())


def _tied(tenant_id: str, field: str, name: str) -> tuple[ColumnElement[bool], ...]:
    mine = session.c.tenant_id == case.c.tenant_id, session.c.session_id == case.c.session_id
    own = envelope.c.tenant_id == case.c.tenant_id, envelope.c.session_id == case.c.session_id
    named = NoIndex(envelope.c[field]) == in_key(name)  # its index leads through all the envelopes of an agent
    tied = or_(exists().where(*mine, session.c[field] == name), exists().where(*own, named))
    return case.c.tenant_id == tenant_id, case.c.kind == "session", tied


def _by_people(tenant_id: str) -> Select[tuple[str, str, datetime]]:
    """What sessions act under and people have revoked, and when."""
    same = and_(live.c.epoch == ledger.c.epoch, live.c.n == ledger.c.n)
    mine = live.c.tenant_id == tenant_id, live.c.subject_type.in_(["task", "agent", "delegator"])
    wanted = select(ledger.c.subject_type, ledger.c.subject_id, ledger.c.at).join(live, same)
    return wanted.where(*mine, ledger.c.reason_code == "manual")


def _waits_after_failing(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return case.c.status == "due", case.c.next_at > now, case.c.last_error != ""


def _stored(row: Row[Any]) -> StoredCase:
    return StoredCase(**{**row._mapping, "shown": Picture.read(row.shown)})
