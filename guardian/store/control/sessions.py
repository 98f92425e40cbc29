"""Sessions as control knows them, and the feed of what people said about them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union,
    update,
)

from guardian.domain.envelope import Envelope
from guardian.domain.finding import SEVERITIES, Effect, Finding, Kind, Severity
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.store.columns import in_key, storable
from guardian.store.control.findings import WORST, FindingRows
from guardian.store.control.head import next_change
from guardian.store.control.scope import NoIndex, Scope, few, walked_within, within
from guardian.store.control.tables import ACTS_UNDER, UNKNOWN, change, envelope, live, mode, session
from guardian.wire.base import SessionStatus
from guardian.wire.sessions import SessionChange, SessionView

_PAGE = 1_000_000
"""Characters of envelopes after which a page of changes ends: whoever reads them has seconds for each."""
_AT_ONCE = 50  # rows held in memory while a page is read
_ANY: Mapping[str, str] = {}
_RARE = ("task_id", "delegator_id", "agent_id")
_SET_BACK = timedelta(hours=1)
_FIRST, _LAST = (at.replace(tzinfo=UTC) for at in (datetime.min, datetime.max))
_RESTARTS = frozenset({HumanWord.REINSTATED, HumanWord.FALSE_POSITIVE})


class StoredSession(NamedTuple):
    """`restarts` is how often the evidence had started afresh when people last made it do so, at `restarted_at`;
    exceptions made it do so, too. It is the epoch of the findings since. At `cleared_at` people last gave the
    session back, and cleared it of all that they had been told. `worst` is how severe the worst is of what still
    accuses it; None where nothing does, or nobody knows."""

    seq: int
    restarts: int
    view: SessionView
    restarted_at: datetime | None = None
    cleared_at: datetime | None = None
    worst: Severity | None = None


def _walked(table: Table) -> Select[Any]:
    """The tenants of a table: each look-up skips all rows of one."""
    walk = select(cast(literal(""), Text).label("name")).cte(f"walk_{table.name}", recursive=True)
    following = select(func.min(table.c.tenant_id)).where(table.c.tenant_id > walk.c.name)
    walk = walk.union_all(select(cast(following.scalar_subquery(), Text)).where(walk.c.name.is_not(None)))
    return select(walk.c.name).where(walk.c.name != "")


_TENANTS = union(*map(_walked, (session, envelope, mode)))
_REVOKED = and_(
    live.c.tenant_id == session.c.tenant_id,
    live.c.subject_type == "session",
    live.c.subject_id == session.c.session_id,
)
_STATUS = case((live.c.n.is_not(None), "revoked"), (session.c.flagged, "flagged"), else_="active").label("status")
_ALL = select(session, _STATUS).outerjoin(live, _REVOKED)
_ONLY_REVOKED = select(session, _STATUS).join(live, _REVOKED)
_NEWS = case((session.c.last_word_at > session.c.last_seen, session.c.last_word_at), else_=session.c.last_seen)
_ONE = _ALL.where(session.c.tenant_id == bindparam("tenant_id"), session.c.session_id == bindparam("session_id"))


@dataclass(frozen=True, slots=True)
class SessionRows:
    connection: Connection

    def get(self, key: SessionKey) -> StoredSession | None:
        row = self.connection.execute(_ONE, key._asdict()).one_or_none()
        return None if row is None else _stored(row)

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
        return [_stored(row) for row in rows]

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
        found = {row.seq: _stored(row) for row in self.connection.execute(_ALL.where(session.c.seq.in_(chosen)))}
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

    def perhaps_protected(self, tenant_id: str, field: str, name: str, agents: Collection[str]) -> set[str]:
        """Sessions that a finding or a version of their envelope tied to `name` in `field`, and that were
        protected one by one or acted as one of these agents. The caller asks whether that still holds."""
        own = and_(envelope.c.tenant_id == session.c.tenant_id, envelope.c.session_id == session.c.session_id)
        met = select(session.c.session_id).where(
            session.c.tenant_id == tenant_id,
            or_(session.c.protected, session.c.agent_id.in_(agents)),
            or_(session.c[field] == name, exists().where(own, envelope.c[field] == name)),
        )
        mine = envelope.c.tenant_id == tenant_id, envelope.c[field] == name, envelope.c.agent_id.in_(agents)
        return set(self.connection.execute(union(met, select(envelope.c.session_id).where(*mine))).scalars())

    def registered_under(self, tenant_id: str, field: str, name: str) -> list[str]:
        """Sessions of which a version of their envelope has `name` in `field`; the caller asks whether the newest
        does."""
        mine = envelope.c.tenant_id == tenant_id, envelope.c[field] == name
        wanted = select(envelope.c.session_id).where(*mine)  # sorted there, SQLite would walk along all of them
        return sorted(set(self.connection.execute(wanted).scalars()))

    def last_seq(self) -> int:
        """The highest `seq`; 0 where there is no session."""
        return int(self.connection.execute(select(func.max(session.c.seq))).scalar_one() or 0)

    def accused_under(self, tenant_id: str, field: str, name: str, after: int, upto: int) -> list[tuple[int, str]]:
        """Of the sessions whose `seq` is above `after`, at most `upto`, those that are flagged, not revoked
        themselves, and that a finding or a version of their envelope tied to `name` in `field`: seq and id."""
        among = NoIndex(session.c.tenant_id) == tenant_id, session.c.seq > after, session.c.seq <= upto
        own = envelope.c.tenant_id == session.c.tenant_id, envelope.c.session_id == session.c.session_id
        tied = or_(
            session.c[f"{field}_key"] == name, exists().where(*own, NoIndex(envelope.c[field]) == in_key(name))
        )
        wanted = select(session.c.seq, session.c.session_id).where(*among, session.c.flagged, tied)
        rows = self.connection.execute(wanted.where(~exists().where(_REVOKED)).order_by(session.c.seq))
        return [(row.seq, row.session_id) for row in rows]

    def delegated(self, tenant_id: str, field: str, name: str, delegator_id: str) -> bool:
        """Whether a version of some session's envelope has `name` in `field` and this delegator."""
        mine = envelope.c.tenant_id == tenant_id, envelope.c[field] == name
        wanted = select(envelope.c.version).where(*mine, envelope.c.delegator_id == delegator_id).limit(1)
        return self.connection.execute(wanted).first() is not None

    def names(self, tenant_id: str, field: str, name: str) -> bool:
        """Whether a version of some session's envelope, or a finding on one, has `name` in `field`."""
        registered = (envelope.c.tenant_id == tenant_id) & (envelope.c[field] == name)
        tenant = NoIndex(session.c.tenant_id)  # its index would lead through all that the tenant has
        return self._any(registered, (tenant == tenant_id) & (session.c[f"{field}_key"] == name))

    def has_tenant(self, tenant_id: str) -> bool:
        """Whether it has a session or a registered envelope."""
        return self._any(*(table.c.tenant_id == tenant_id for table in (envelope, session)))

    def _any(self, *where: ColumnElement[bool]) -> bool:
        return bool(self.connection.execute(select(or_(*(exists().where(each) for each in where)))).scalar_one())

    def tenants(self) -> set[str]:
        """Tenants that have a session, a registered envelope or a mode of their own."""
        return set(self.connection.execute(_TENANTS).scalars())

    def meet(self, key: SessionKey, now: datetime) -> StoredSession:
        """The session, created empty when it was never heard of."""
        known = self.get(key)
        if known is not None:
            return known
        self.connection.execute(
            insert(session).values(
                **key._asdict(),
                purpose="",
                protected=False,
                flagged=False,
                findings=0,
                first_seen=now,
                last_seen=now,
            )
        )
        met = self.get(key)
        assert met is not None  # noqa: S101 - it was inserted two lines up
        return met

    def note_finding(self, finding: Finding, effect: Effect, now: datetime) -> None:
        """Take over what the finding says of its subject. A later expiry counts, an earlier one does not.

        The agent is the one that was named first: protection may go by it, so a later word must not change it.
        """
        known = self.meet(finding.key, now)
        values: dict[str, Any] = {"findings": known.view.findings + 1, "last_seen": now}
        if effect is not Effect.NONE:
            values["flagged"] = True
            spoken_of = known.cleared_at if finding.kind is Kind.DRIFT else known.restarted_at
            if spoken_of is None or now >= spoken_of:  # as in `WORST`, which has to parse all that came before
                worst = max(SEVERITIES.index(each) for each in (finding.severity, known.worst) if each is not None)
                values["worst"] = worst
        if finding.subject is not None:
            told = finding.subject
            under = {
                "delegator_id": told.delegator_id,
                "agent_id": known.view.agent_id or (told.agent_id and storable(told.agent_id)),
                "task_id": told.task_id and storable(told.task_id),
            }
            values |= under | {f"{name}_key": under[name] for name in ACTS_UNDER}
            values["purpose"] = storable(told.purpose)
            ends = [at for at in (known.view.expires_at, told.expires_at) if at is not None]
            values["expires_at"] = max(ends, default=None)
        self._update(finding.key, values)

    def protect(self, key: SessionKey, now: datetime, *, protected: bool) -> None:
        self.meet(key, now)
        self._update(key, {"protected": protected})

    def say(self, key: SessionKey, word: HumanWord, now: datetime, *, human: bool, detail: str = "") -> None:
        """Put a word on the feed. A person's word is remembered; some make the evidence start afresh. Only who is
        given back is flagged no longer by that alone.

        An exception's word does that too, but supersedes no finding: nobody has judged what came meanwhile.
        """
        seq = next_change(self.connection)
        told = {"seq": seq, "word": word.value, "detail": detail, "at": now}
        self.connection.execute(insert(change).values(**key._asdict(), **told))
        values: dict[str, Any] = {"last_word": word.value, "last_word_at": now} if human else {}
        if human and word in _RESTARTS:
            restarts = session.c.restarts + session.c.freshened + 1
            values |= {"restarted_at": now, "restarts": restarts, "freshened": 0}
            if word is HumanWord.REINSTATED:
                values |= {"cleared_at": now, "flagged": False}
        elif word in _RESTARTS:
            values["freshened"] = session.c.freshened + 1
        if values:
            self.meet(key, now)
            self._update(key, values)
        if "restarted_at" in values:
            self._update(key, {"worst": WORST})

    def unsay(
        self, key: SessionKey, stands: HumanWord | None, restarted_at: datetime | None, now: datetime
    ) -> None:
        """Remember that people took a verdict back, what stands as their last word since, and when, as far as that
        stands, they last had the evidence start afresh."""
        word = None if stands is None else stands.value
        self._update(key, {"last_word": word, "last_word_at": now, "restarted_at": restarted_at})
        self._update(key, {"worst": WORST})

    def weigh(self, key: SessionKey) -> None:
        """Flagged while a finding accuses it, and no longer."""
        self._update(key, {"flagged": FindingRows(self.connection).accusing(key)})

    def changes(self, since: int, scope: Scope, limit: int, *, withdrawn: bool = True) -> list[SessionChange]:
        """The next ones in order, at most `limit`; fewer where their envelopes are long, and at least one. Without
        `withdrawn` those that take no verdict back."""
        told = and_(
            envelope.c.tenant_id == change.c.tenant_id,
            envelope.c.session_id == change.c.session_id,
            envelope.c.digest == change.c.detail,
            change.c.word == HumanWord.REGISTERED.value,
        )
        wanted = select(change, envelope.c.envelope).outerjoin(envelope, told)
        wanted = wanted.where(change.c.seq > since, within(change.c.tenant_id, scope))
        wanted = wanted if withdrawn else wanted.where(change.c.word != HumanWord.WITHDRAWN.value)
        wanted = wanted.order_by(change.c.seq).limit(limit).execution_options(yield_per=_AT_ONCE)
        found: list[SessionChange] = []
        room = _PAGE
        with self.connection.execute(wanted) as rows:
            for row in rows:
                found.append(_change(row))
                room -= len(row.envelope or "")
                if room <= 0:
                    break
        return found

    def _update(self, key: SessionKey, values: dict[str, Any]) -> None:
        this = and_(session.c.tenant_id == key.tenant_id, session.c.session_id == key.session_id)
        self.connection.execute(update(session).where(this).values(**values))


def _of_status(status: SessionStatus | None, scope: Scope, mine: ColumnElement[bool]) -> Select[Any]:
    """`mine` says which are within `scope`; of those that are revoked the ledger's tenants say it."""
    match status:
        case "revoked":
            return _ONLY_REVOKED.where(within(live.c.tenant_id, scope))
        case "flagged":
            return _ALL.where(mine, live.c.n.is_(None), session.c.flagged)
        case "active":
            return _ALL.where(mine, live.c.n.is_(None), ~session.c.flagged)
        case None:
            return _ALL.where(mine)


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


def _change(row: Row[Any]) -> SessionChange:
    told = row.envelope and Envelope.model_validate_json(row.envelope)
    return SessionChange(**(row._asdict() | {"envelope": told}))


def _stored(row: Row[Any]) -> StoredSession:
    view = SessionView(**row._asdict())
    worst = None if row.worst == UNKNOWN else SEVERITIES[row.worst]
    return StoredSession(row.seq, row.restarts, view, row.restarted_at, row.cleared_at, worst)
