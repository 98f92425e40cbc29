"""Adds to each call what its session tells: age, records so far, parent. Bounded: silent sessions are
forgotten."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guardian.domain.event import SessionKey
from guardian.domain.past import PastCall
from guardian.domain.restriction import Scope
from guardian.domain.rules import ROOT, UNKNOWN_PARENT, Placed

MOST_SESSIONS = 500_000
IDLE = timedelta(days=8)
"""A session that was silent for longer is another one."""


@dataclass(slots=True)
class _Open:
    first: datetime
    last: datetime
    purpose: str
    role: str
    parent_role: str
    taken: int = 0


@dataclass
class Places:
    """`idle` is how long a session may be silent and still be the same; `most` bounds what is remembered."""

    idle: timedelta = IDLE
    most: int = MOST_SESSIONS
    _open: OrderedDict[SessionKey, _Open] = field(default_factory=OrderedDict)

    def place(self, calls: Iterable[PastCall]) -> Iterator[Placed]:
        """Every call with its place. Calls come about in time; a parent that comes after its child is unknown."""
        for call in calls:
            yield self.one(call)

    def one(self, call: PastCall) -> Placed:
        key = SessionKey(call.tenant_id, call.session_id)
        known = self._open.get(key)
        if known is None or call.at - known.last > self.idle:
            known = self._open[key] = _Open(call.at, call.at, call.purpose, call.role, self._parent(call))
            self._forget(call.at)
        known.first = min(known.first, call.at)
        known.last = max(known.last, call.at)
        self._open.move_to_end(key)
        placed = Placed(call, known.parent_role, int((call.at - known.first).total_seconds()), known.taken)
        if call.allowed:
            known.taken += max(0, call.records or 0)
        return placed

    def scope(self, key: SessionKey) -> Scope | None:
        """The scope in which a session began; None where it is not known, not yet or not any more."""
        known = self._open.get(key)
        return None if known is None else Scope(key.tenant_id, known.purpose, known.role, known.parent_role)

    def _parent(self, call: PastCall) -> str:
        if call.parent_session_id is None:
            return ROOT
        parent = self._open.get(SessionKey(call.tenant_id, call.parent_session_id))
        return UNKNOWN_PARENT if parent is None else parent.role

    def _forget(self, now: datetime) -> None:
        while self._open:
            oldest = next(iter(self._open))
            if len(self._open) <= self.most and now - self._open[oldest].last <= self.idle:
                return
            del self._open[oldest]
