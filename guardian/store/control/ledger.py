"""The append-only ledger, and the live set that replaying it gives."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    tuple_,
)

from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry, LedgerStatus, ReasonCode, Revision, SubjectType
from guardian.store.control.head import next_revision
from guardian.store.control.scope import Scope, within
from guardian.store.control.tables import ledger, lifting, live

_FIELDS = [name for name in LedgerEntry.model_fields if name != "revision"]
_AT_ONCE = 2000  # rows held in memory while the whole list is read
_SKEW = timedelta(minutes=5)

_place = tuple_(ledger.c.epoch, ledger.c.n)
_LIVE = select(ledger).join(live, _place == tuple_(live.c.epoch, live.c.n))

# Asked with every decision, so put together once.
_LIVE_ENTRY = _LIVE.where(
    *(live.c[name] == bindparam(name) for name in ("tenant_id", "subject_type", "subject_id"))
)
# SQLite, asked for the one or the other, reads all that the tenant has
_AMONG = _LIVE.where(
    live.c.tenant_id == bindparam("tenant_id"),
    tuple_(live.c.subject_type, live.c.subject_id).in_(bindparam("named", expanding=True)),
    live.c.expires_at > bindparam("now"),
)
# What the monitor finds out about a parent is its own decision, on a hard breach; what control takes along is not.
_FOLLOWS = and_(ledger.c.cause.is_not(None), ~ledger.c.hard).label("follows")
_SPENT = (
    select(_FOLLOWS, ledger.c.hard, func.count().label("made"))
    .where(
        *(ledger.c.tenant_id == bindparam("tenant_id"), ledger.c.automatic),
        *(ledger.c.at > bindparam("since"), ledger.c.at <= bindparam("until")),
    )
    .group_by(_FOLLOWS, ledger.c.hard)
)


@dataclass(frozen=True, slots=True)
class Spent:
    """Automatic revocations in a window: the decisions, of these those without a hard breach, and what control
    took along with them."""

    used: int
    general: int
    followers: int


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """Entries are only ever appended; there is no way here to change or remove one."""

    connection: Connection

    def append(
        self,
        *,
        tenant_id: str,
        subject_id: str,
        status: LedgerStatus,
        reason_code: ReasonCode,
        reason: str,
        actor: str,
        now: datetime,
        expires_at: datetime,
        finding_id: str | None = None,
        automatic: bool = False,
        hard: bool = False,
        subject_type: SubjectType = "session",
        cause: str | None = None,
    ) -> LedgerEntry:
        """Append one entry at the next revision and keep the live set in step, in this transaction.

        `hard`: decided on a hard breach. What only follows from its `cause` was not decided on anything.
        """
        revision = next_revision(self.connection)
        entry = LedgerEntry.model_validate(
            {
                "revision": revision,
                "tenant_id": tenant_id,
                "subject_type": subject_type,
                "subject_id": subject_id,
                "status": status,
                "reason_code": reason_code,
                "reason": reason,
                "actor": actor,
                "finding_id": finding_id,
                "cause": cause,
                "at": now,
                "expires_at": expires_at,
            }
        )
        values = entry.model_dump(exclude={"revision"})
        place = {"epoch": revision.epoch, "n": revision.n}
        self.connection.execute(insert(ledger).values(**values, **place, automatic=automatic, hard=hard))
        key = {"tenant_id": tenant_id, "subject_type": entry.subject_type, "subject_id": subject_id}
        self.connection.execute(delete(live).where(*(live.c[name] == value for name, value in key.items())))
        if status == "revoked":
            self.connection.execute(insert(live).values(**key, **place, expires_at=expires_at))
        return entry

    def live_entry(
        self, tenant_id: str, subject_id: str, subject_type: SubjectType = "session"
    ) -> LedgerEntry | None:
        """The entry that revokes this session (or other subject) now, if any."""
        named = {"tenant_id": tenant_id, "subject_type": subject_type, "subject_id": subject_id}
        row = self.connection.execute(_LIVE_ENTRY, named).one_or_none()
        return None if row is None else _entry(row)

    def revoked_after(
        self, revision: Revision, tenant_id: str, subject_id: str, subject_type: SubjectType
    ) -> bool:
        """Whether this subject was revoked after that revision, whatever became of that."""
        this = ledger.c.tenant_id == tenant_id, ledger.c.subject_type == subject_type
        mine = *this, ledger.c.subject_id == subject_id, ledger.c.status == "revoked"
        wanted = select(ledger.c.n).where(*mine, _place > (revision.epoch, revision.n)).limit(1)
        return self.connection.execute(wanted).first() is not None

    def live_among(self, tenant_id: str, subjects: Iterable[tuple[str, str]], now: datetime) -> list[LedgerEntry]:
        """The entries that revoke any of these (type, id) now, in ledger order."""
        named = list(subjects)
        if not named:
            return []
        found = self.connection.execute(_AMONG, {"tenant_id": tenant_id, "named": named, "now": now})
        return sorted((_entry(row) for row in found), key=lambda entry: entry.revision)

    def following(self, back: LedgerEntry, limit: int) -> list[LedgerEntry]:
        """Live entries that follow from the revocation that `back` took back, the oldest first."""
        mine = and_(
            *(live.c[name] == ledger.c[name] for name in ("tenant_id", "subject_type", "subject_id")),
            ledger.c.tenant_id == back.tenant_id,
            ledger.c.cause == back.subject_id,
        )
        before = _place < (back.revision.epoch, back.revision.n)
        wanted = _LIVE.where(mine, before).order_by(ledger.c.epoch, ledger.c.n).limit(limit)
        return [_entry(row) for row in self.connection.execute(wanted)]

    def begin_lifting(self, back: LedgerEntry) -> None:
        """Note that some of what followed from the revocation that `back` took back is still revoked."""
        self.end_lifting(back)
        place = {"epoch": back.revision.epoch, "n": back.revision.n}
        values = {"tenant_id": back.tenant_id, "session_id": back.subject_id, **place}
        self.connection.execute(insert(lifting).values(**values))

    def lifting(self) -> LedgerEntry | None:
        """The oldest entry of which that is noted."""
        wanted = select(ledger).join(lifting, _place == tuple_(lifting.c.epoch, lifting.c.n))
        row = self.connection.execute(wanted.order_by(ledger.c.epoch, ledger.c.n).limit(1)).one_or_none()
        return None if row is None else _entry(row)

    def goes_back(self, live: LedgerEntry) -> bool:
        """Whether the revocation that this one follows from was taken back, and it only waits for its turn."""
        this = lifting.c.tenant_id == live.tenant_id, lifting.c.session_id == live.cause
        later = tuple_(lifting.c.epoch, lifting.c.n) > (live.revision.epoch, live.revision.n)
        return self.connection.execute(select(lifting.c.n).where(*this, later)).first() is not None

    def end_lifting(self, back: LedgerEntry) -> None:
        """Note that all of it is given back."""
        this = lifting.c.tenant_id == back.tenant_id, lifting.c.session_id == back.subject_id
        self.connection.execute(delete(lifting).where(*this))

    def live(self, scope: Scope, *, after: Revision | None = None, limit: int | None = None) -> list[LedgerEntry]:
        """The live revocations within `scope` in ledger order, after a revision and at most `limit` if told so."""
        wanted = _LIVE.where(within(live.c.tenant_id, scope)).order_by(ledger.c.epoch, ledger.c.n).limit(limit)
        if after is not None:
            wanted = wanted.where(tuple_(ledger.c.epoch, ledger.c.n) > (after.epoch, after.n))
        return [_entry(row) for row in self.connection.execute(wanted)]

    def newest_live(
        self,
        scope: Scope,
        *,
        limit: int,
        before: Revision | None = None,
        subject_type: SubjectType | None = None,
        subject_id: str | None = None,
    ) -> list[LedgerEntry]:
        """The live revocations within `scope`, the newest first: before a revision, of one kind, of one name."""
        place = tuple_(live.c.epoch, live.c.n)
        wanted = select(live.c.epoch, live.c.n).where(within(live.c.tenant_id, scope))
        if before is not None:
            wanted = wanted.where(place < (before.epoch, before.n))
        for column, told in ((live.c.subject_type, subject_type), (live.c.subject_id, subject_id)):
            if told is not None:
                wanted = wanted.where(column == told)
        some = wanted.order_by(live.c.epoch.desc(), live.c.n.desc()).limit(limit).subquery()
        # sorted there, SQLite may walk along all of the ledger
        rows = self.connection.execute(select(ledger).join(some, _place == tuple_(some.c.epoch, some.c.n)))
        return sorted(map(_entry, rows), key=lambda entry: entry.revision, reverse=True)

    def each_live(self) -> Iterator[LedgerEntry]:
        """All live revocations likewise, one by one, fetched in parts: use it up within the transaction."""
        wanted = _LIVE.order_by(ledger.c.epoch, ledger.c.n)
        yield from map(_entry, self.connection.execute(wanted.execution_options(yield_per=_AT_ONCE)))

    def since(self, revision: Revision, scope: Scope, limit: int) -> list[LedgerEntry]:
        """The entries of that revision's epoch after it, in order."""
        if scope is not None and len(scope) > 1:  # of several tenants at once SQLite would read everybody's
            each = (self.since(revision, {tenant}, limit) for tenant in scope)
            return sorted(chain.from_iterable(each), key=lambda entry: entry.revision)[:limit]
        wanted = select(ledger).where(
            ledger.c.epoch == revision.epoch, ledger.c.n > revision.n, within(ledger.c.tenant_id, scope)
        )
        rows = self.connection.execute(wanted.order_by(ledger.c.n).limit(limit))
        return [_entry(row) for row in rows]

    def newest(self, scope: Scope, upto: Revision | None = None) -> tuple[Revision, datetime] | None:
        """Revision and time of the newest entry within `scope`, and not after `upto`."""
        if scope is not None and len(scope) > 1:  # of several tenants at once all entries would be read and sorted
            each = (self.newest({tenant}, upto) for tenant in scope)
            return max(filter(None, each), key=lambda newest: newest[0], default=None)
        wanted = select(ledger.c.epoch, ledger.c.n, ledger.c.at).where(within(ledger.c.tenant_id, scope))
        if upto is not None:
            wanted = wanted.where(tuple_(ledger.c.epoch, ledger.c.n) <= (upto.epoch, upto.n))
        row = self.connection.execute(
            wanted.order_by(ledger.c.epoch.desc(), ledger.c.n.desc()).limit(1)
        ).one_or_none()
        return None if row is None else (Revision(epoch=row.epoch, n=row.n), row.at)

    def newest_of_each(self, epoch: int) -> dict[str, tuple[int, datetime]]:
        """Tenant → n and time of its newest entry of that epoch."""
        last = select(func.max(ledger.c.n)).where(ledger.c.epoch == epoch).group_by(ledger.c.tenant_id)
        wanted = select(ledger.c.tenant_id, ledger.c.n, ledger.c.at).where(
            ledger.c.epoch == epoch, ledger.c.n.in_(last)
        )
        return {row.tenant_id: (row.n, row.at) for row in self.connection.execute(wanted)}

    def of_session(self, key: SessionKey) -> list[LedgerEntry]:
        wanted = select(ledger).where(
            ledger.c.tenant_id == key.tenant_id,
            ledger.c.subject_type == "session",
            ledger.c.subject_id == key.session_id,
        )
        return [_entry(row) for row in self.connection.execute(wanted.order_by(ledger.c.epoch, ledger.c.n))]

    def overdue(self, now: datetime, limit: int) -> list[LedgerEntry]:
        """Live revocations whose time is over, the oldest first."""
        wanted = _LIVE.where(live.c.expires_at <= now).order_by(live.c.expires_at).limit(limit)
        return [_entry(row) for row in self.connection.execute(wanted)]

    def outlived(self, now: datetime, soon: datetime, limit: int) -> list[LedgerEntry]:
        """Live revocations that end after `now` and until `soon`, and follow from a session's that does not.

        Not where that session was given back in between: its revocation now is another decision.
        """
        upper, later = live.alias("upper"), ledger.alias("later")
        lasts = exists().where(
            upper.c.tenant_id == live.c.tenant_id,
            upper.c.subject_type == "session",
            upper.c.subject_id == ledger.c.cause,
            upper.c.expires_at > soon,
        )
        ended = exists().where(
            later.c.tenant_id == live.c.tenant_id,
            later.c.subject_type == "session",
            later.c.subject_id == ledger.c.cause,
            later.c.status != "revoked",
            later.c.at > ledger.c.at,
        )
        wanted = (
            _LIVE.where(live.c.expires_at > now, live.c.expires_at <= soon, lasts, ~ended)
            .order_by(live.c.expires_at)
            .limit(limit)
        )
        return [_entry(row) for row in self.connection.execute(wanted)]

    def spent(self, tenant_id: str, since: datetime, now: datetime) -> Spent:
        """Automatic revocations of a tenant after `since`, whatever became of them afterwards. Those by a clock
        that was ahead do not count."""
        window = {"tenant_id": tenant_id, "since": since, "until": now + _SKEW}
        found = self.connection.execute(_SPENT, window)
        made = {(bool(row.follows), bool(row.hard)): int(row.made) for row in found}
        general = made.get((False, False), 0)
        return Spent(general + made.get((False, True), 0), general, followers=made.get((True, False), 0))


def _entry(row: Row[Any]) -> LedgerEntry:
    told = {name: getattr(row, name) for name in _FIELDS}
    return LedgerEntry(revision=Revision(epoch=row.epoch, n=row.n), **told)
