"""Which session each call is of, and what that tells: age, records so far, parent. Bounded: silent sessions are
forgotten."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from guardian.domain.identity import SessionKey, begins_anew
from guardian.domain.past import Label, PastCall
from guardian.domain.restriction import Scope
from guardian.domain.rules import ROOT, UNKNOWN_PARENT, Placed

MOST_SESSIONS = 500_000
IDLE = timedelta(days=8)
"""A session that was silent for longer is another one."""
_BEGUN = "|"  # no name of an agent or a user has it: see `sources.completing`


@dataclass
class Apart:
    """Tells the sessions of a nameless key apart as the monitor does: each is called by the key and its begin.

    A key's calls come in time. `idle` is how long such a session may be silent and still be the same.
    """

    idle: timedelta
    _open: OrderedDict[SessionKey, tuple[SessionKey, datetime]] = field(default_factory=OrderedDict)

    def session(self, key: SessionKey, at: datetime) -> SessionKey:
        """The session of a call at `at`. One with a name of its own is called by that."""
        if not key.nameless:
            return key
        session, last = self._open.pop(key, (None, None))
        if session is None or begins_anew(last, at, idle=self.idle):
            session = SessionKey(key.tenant_id, f"{begun(key)}{at.isoformat()}")
        self._open[key] = session, at
        while begins_anew(next(iter(self._open.values()))[1], at, idle=self.idle):
            self._open.popitem(last=False)
        return session

    def calls(self, calls: Iterable[PastCall]) -> Iterator[PastCall]:
        """The calls, each by the name of its session."""
        for call in calls:
            name = self.session(call.key, call.at).session_id
            yield call if name == call.session_id else call._replace(session_id=name)


def begun(key: SessionKey) -> str:
    """How the names of the sessions of a nameless key begin."""
    return key.session_id + _BEGUN


class Spoken:
    """Which sessions people spoke of: of those of a nameless key it is the one of the finding that they judged, or
    else the last that had begun by then."""

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = labels
        self._begun = {label.key: dict[SessionKey, datetime]() for label in labels if label.key.nameless}
        self._judged: dict[str, SessionKey] = {}

    def note(self, key: SessionKey, session: SessionKey, at: datetime, finding_id: str | None) -> None:
        """One call of the key, and of which session it is. Calls come in time."""
        if (begun := self._begun.get(key)) is not None:
            begun.setdefault(session, at)
            if finding_id is not None:
                self._judged[finding_id] = session

    def labels(self) -> Iterator[Label]:
        """The labels, each of its session; without those of a nameless key's session that did not come."""
        for label in self._labels:
            if (session := self._session(label)) is not None:
                yield replace(label, key=session)

    def _session(self, label: Label) -> SessionKey | None:
        if not label.key.nameless:
            return label.key
        if label.finding_id:
            return self._judged.get(label.finding_id)
        latest_first = reversed(self._begun[label.key].items())
        return next((session for session, at in latest_first if at <= label.at), None)


def by_place(scopes: Iterable[Scope]) -> dict[Scope, list[Scope]]:
    """By the place of a call, of which of the scopes it may be: where nobody knows its parent, those under any."""
    found: dict[Scope, list[Scope]] = {}
    for scope in scopes:
        unknown = scope if scope.parent_role == ROOT else replace(scope, parent_role=UNKNOWN_PARENT)
        for place in {scope, unknown}:
            found.setdefault(place, []).append(scope)
    return found


@dataclass(slots=True)
class _Open:
    first: datetime
    last: datetime
    purpose: str
    role: str
    parent: SessionKey | None
    parent_role: str
    taken: int = 0


@dataclass
class Places:
    """`idle` is how long a session may be silent and still be the same; `most` bounds what is remembered."""

    idle: timedelta = IDLE
    most: int = MOST_SESSIONS
    _open: OrderedDict[SessionKey, _Open] = field(default_factory=OrderedDict)

    def place(self, calls: Iterable[PastCall]) -> Iterator[Placed]:
        """Every call with its place. Calls come about in time; a parent is unknown until its first call comes."""
        for call in calls:
            yield self.one(call)

    def one(self, call: PastCall) -> Placed:
        key = SessionKey(call.tenant_id, call.session_id)
        known = self._open.get(key)
        if known is None or call.at - known.last > self.idle:
            up = call.parent_session_id
            parent = None if up is None or up == call.session_id else SessionKey(call.tenant_id, up)
            role = ROOT if up is None else UNKNOWN_PARENT
            known = self._open[key] = _Open(call.at, call.at, call.purpose, call.role, parent, role)
            self._forget(call.at)
        if known.parent_role == UNKNOWN_PARENT:
            self._look_for_parent(known)
        known.first = min(known.first, call.at)
        known.last = max(known.last, call.at)
        self._open.move_to_end(key)
        placed = Placed(call, known.parent_role, int((call.at - known.first).total_seconds()), known.taken)
        if call.allowed:
            known.taken += max(0, call.records or 0)
        return placed

    def scope(self, key: SessionKey) -> Scope | None:
        """The scope in which a session began; None where it is not known, not yet or not any more."""
        if (known := self._open.get(key)) is None:
            return None
        self._look_for_parent(known)
        return Scope(key.tenant_id, known.purpose, known.role, known.parent_role)

    def _look_for_parent(self, known: _Open) -> None:
        if known.parent_role == UNKNOWN_PARENT and known.parent is not None:
            parent = self._open.get(known.parent)
            known.parent_role = UNKNOWN_PARENT if parent is None else parent.role

    def _forget(self, now: datetime) -> None:
        while self._open:
            oldest = next(iter(self._open))
            if len(self._open) <= self.most and now - self._open[oldest].last <= self.idle:
                return
            del self._open[oldest]
