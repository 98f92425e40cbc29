"""Sessions by the page: the newest or the most pressing, of a status, of these names, met in a range of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, and_, case, func, literal, select

from guardian.store.columns import in_key
from guardian.store.control.scope import NoIndex, Scope, few, walked_within, within
from guardian.store.control.sessions import ALL, REVOKED, STATUS, StoredSession, stored
from guardian.store.control.tables import live, session
from guardian.wire.base import SessionStatus

_ANY: Mapping[str, str] = {}
_RARE = ("task_id", "delegator_id", "agent_id")
_SET_BACK = timedelta(hours=1)
_FIRST, _LAST = (at.replace(tzinfo=UTC) for at in (datetime.min, datetime.max))
_ONLY_REVOKED = select(session, STATUS).join(live, REVOKED)
_NEWS = case((session.c.last_word_at > session.c.last_seen, session.c.last_word_at), else_=session.c.last_seen)


@dataclass(frozen=True, slots=True)
class SessionLists:
    connection: Connection

    def page(
        self,
        scope: Scope,
        *,
        limit: int,
        before: int | None = None,
        status: SessionStatus | None = None,
        named: Mapping[str, str] = _ANY,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[StoredSession]:
        """The most recently met first. `named`: only those with this `session_id`, `agent_id`, `task_id` or
        `delegator_id`, as a session says by itself. `since`, `until`: only those met from then on, before then."""
        mine = self._within(scope, named, walked=True)
        wanted = self._wanted(scope, status, named, since, until, mine)
        if before is not None:
            wanted = wanted.where(session.c.seq < before)
        rows = self.connection.execute(wanted.order_by(session.c.seq.desc()).limit(limit))
        return [stored(row) for row in rows]

    def pressing(
        self,
        scope: Scope,
        *,
        limit: int,
        after: int = 0,
        status: SessionStatus | None = None,
        named: Mapping[str, str] = _ANY,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[StoredSession]:
        """Without the first `after`; `named`, `since` and `until` as of a `page`. Those that are flagged:
        the most severe first, and one whose severity is not known is not mild. All others, and those alike in
        that: those of which there was news last."""
        order = [_NEWS.desc(), session.c.seq.desc()]
        ranged = since is not None or until is not None
        mine = self._within(scope, named, walked=ranged or status == "flagged")
        if status == "flagged":
            order = [session.c.worst.desc(), *order]
        wanted = self._wanted(scope, status, named, since, until, mine)
        ordered = wanted.with_only_columns(session.c.seq).order_by(*order)
        # what is sorted is held in memory, and purposes are long
        chosen = self.connection.execute(ordered.limit(limit).offset(after)).scalars().all()
        found = {row.seq: stored(row) for row in self.connection.execute(ALL.where(session.c.seq.in_(chosen)))}
        return [found[seq] for seq in chosen]

    def _within(self, scope: Scope, named: Mapping[str, str], *, walked: bool) -> ColumnElement[bool]:
        """The tenants' sessions. Where a name is asked for, its index is walked along and not theirs."""
        tenant = session.c.tenant_id
        if not named:
            return walked_within(self.connection, tenant, scope) if walked else within(tenant, scope)
        return within(tenant if "session_id" in named else NoIndex(tenant), scope)

    def _wanted(
        self,
        scope: Scope,
        status: SessionStatus | None,
        named: Mapping[str, str],
        since: datetime | None,
        until: datetime | None,
        mine: ColumnElement[bool],
    ) -> Select[Any]:
        """What is revoked is read along the ledger, unless that is long and a name is shared by fewer sessions."""
        revoked = status == "revoked" and "session_id" not in named
        said = select(live).where(live.c.subject_type == "session", within(live.c.tenant_id, scope))
        ledger = few(self.connection, said) if revoked else None
        wanted = _of_status(status, scope, mine) if ledger is None else _among(ledger)
        numbers = ledger is None and (bool(named) or not revoked)
        return wanted.where(*_bearing(named, walked=ledger is None), *self._met(since, until, numbers=numbers))

    def _met(self, since: datetime | None, until: datetime | None, *, numbers: bool) -> list[ColumnElement[bool]]:
        """Sessions are numbered as they are met: between two `numbers` nothing else is read. A clock that was
        set back, by less than `_SET_BACK`, leaves none out."""
        bounds: list[ColumnElement[bool]] = []
        if since is not None:
            first = since.astimezone(UTC) - min(_SET_BACK, since - _FIRST)
            bounds.append(session.c.first_seen >= since)
            bounds += [session.c.seq >= self._number_at(first)] if numbers else []
        if until is not None:
            last = until.astimezone(UTC) + min(_SET_BACK, _LAST - until)
            bounds.append(session.c.first_seen < until)
            bounds += [session.c.seq < self._number_at(last)] if numbers else []
        return bounds

    def _number_at(self, at: datetime) -> int:
        """The number of the first session that was met then or later, else a higher one than all; by halving."""
        low, high = 0, self.connection.execute(select(func.coalesce(func.max(session.c.seq), 0) + 1)).scalar_one()
        while low < high:
            middle = (low + high) // 2
            nearest = select(session.c.seq, session.c.first_seen).where(session.c.seq >= middle)
            found = self.connection.execute(nearest.order_by(session.c.seq).limit(1)).one()
            low, high = (low, middle) if found.first_seen >= at else (found.seq + 1, high)
        return int(low)


def _of_status(status: SessionStatus | None, scope: Scope, mine: ColumnElement[bool]) -> Select[Any]:
    """`mine` says which are within `scope`; of those that are revoked the ledger's tenants say it."""
    match status:
        case "revoked":
            return _ONLY_REVOKED.where(within(live.c.tenant_id, scope))
        case "flagged":
            return ALL.where(mine, live.c.n.is_(None), session.c.flagged)
        case "active":
            return ALL.where(mine, live.c.n.is_(None), ~session.c.flagged)
        case None:
            return ALL.where(mine)


def _among(ledger: Subquery) -> Select[Any]:
    """Sessions that these lines revoke."""
    of = ledger.c.tenant_id == session.c.tenant_id, ledger.c.subject_id == session.c.session_id
    return select(session, literal("revoked").label("status")).join(ledger, and_(*of))


def _bearing(named: Mapping[str, str], *, walked: bool) -> list[ColumnElement[bool]]:
    """Those of these names. The index of the one that the fewest share is walked along, unless there is a shorter
    way to them: a session's own, else a task, else whom it acts for, else its agent."""
    mine = [session.c.session_id == named["session_id"]] if "session_id" in named else []
    for name in (each for each in _RARE if each in named):
        key = session.c[f"{name}_key"]
        mine.append((NoIndex(key) if mine or not walked else key) == in_key(named[name]))
    return mine
