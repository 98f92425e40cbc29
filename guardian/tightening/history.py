"""The fold over the archive: per scope, what honest sessions used, early and late, and what they were granted."""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from guardian.domain.identity import SessionKey
from guardian.domain.past import PastCall
from guardian.domain.restriction import Scope
from guardian.domain.rules import ROOT, UNKNOWN_PARENT, Placed
from guardian.tightening.caution import Caution
from guardian.tightening.grants import Handed
from guardian.tightening.scope_history import ScopeHistory
from guardian.tightening.sessions import Places
from guardian.tightening.trust import Trust
from guardian.tightening.usage import SessionUse

IDLE = timedelta(hours=12)
"""A session that was silent for longer is counted; what it does later counts as another session. Not so for one
that was flagged or found unusual: with enough pauses it would pass for several that do alike."""
UNUSUAL_ONE_IN = 100.0
MOST_PURPOSES = 64
MOST_SPELLINGS = 16
_Sessions = OrderedDict[tuple[SessionKey, Scope], SessionUse]


def note_spelling(spelt: dict[str, set[str | None]], call: PastCall) -> None:
    """Note by which name an allowed call asked for its tool."""
    known = spelt.setdefault(call.tool, set())
    if call.tool_spelt not in known:
        known.add(call.tool_spelt if len(known) < MOST_SPELLINGS else None)


@dataclass
class History:
    """`split` divides the window: sessions that began before it are mined, the others are held out to test on."""

    trust: Trust
    split: datetime
    scopes: dict[Scope, ScopeHistory] = field(default_factory=dict)
    joined: dict[Scope, ScopeHistory] = field(default_factory=dict)
    """Of the edges, with the sessions of their role of which nobody knows the parent, if there are any."""
    purposes: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)  # (tenant, agent) -> sessions
    spelt: dict[str, set[str | None]] = field(default_factory=dict)
    """By tool, the names that allowed calls used for it; None among them if one is not known."""
    astray: dict[Scope, Handed] = field(default_factory=dict)
    """By scope, what honest children hold whose parents are not in the archive: nobody knows who delegated it."""
    calls: int = 0
    first: datetime | None = None
    last: datetime | None = None
    _open: _Sessions = field(default_factory=OrderedDict)
    _kept: _Sessions = field(default_factory=OrderedDict)
    _places: Places = field(default_factory=Places)

    @classmethod
    def learn(cls, calls: Iterable[PastCall], *, trust: Trust, split: datetime) -> "History":
        """One pass over calls that come about in time. So many unusual sessions as `Caution` says show a need.

        Memory holds the scopes, the sessions of half a day, and the remarkable ones.
        """
        history = cls(trust, split)
        for placed in history._places.place(calls):
            call = placed.call
            history.calls += 1
            history.first = call.at if history.first is None else min(call.at, history.first)
            history.last = call.at if history.last is None else max(call.at, history.last)
            history._close(call.at)
            sessions = history._kept if trust.remarkable(call.key) else history._open
            session = history._session(sessions, placed)
            session.last = call.at
            if call.allowed:
                session.note(placed)
                note_spelling(history.spelt, call)
        for name, session in (*history._open.items(), *history._kept.items()):
            history._count(*name, session)
        history._open, history._kept = OrderedDict(), OrderedDict()
        history._join()
        least = Caution().doubted_sessions
        for past in history.scopes.values():
            past.settle_grants(least)
        for past in (*history.scopes.values(), *history.joined.values()):
            past.settle(split, least)
        history._places = Places()  # of half a million sessions at most, and of no use any more
        return history

    def _session(self, sessions: _Sessions, placed: Placed) -> SessionUse:
        call, scope = placed.call, Scope.of(placed)
        session = sessions.get(name := (call.key, scope))
        if session is None:
            # what it did before its parent was known is of the same session
            session = sessions.pop((call.key, replace(scope, parent_role=UNKNOWN_PARENT)), None)
            if session is None:
                session = SessionUse.begin(call)
                self._note_purpose(call)
            if session.parent is not None:
                session.above = self._places.scope(session.parent)
            sessions[name] = session
        sessions.move_to_end(name)
        return session

    def _close(self, now: datetime) -> None:
        while self._open:
            name, session = next(iter(self._open.items()))
            if now - session.last <= IDLE:
                return
            del self._open[name]
            self._count(*name, session)

    def _count(self, key: SessionKey, scope: Scope, session: SessionUse) -> None:
        """A session that is over. A parent may come after its child: it is looked for again."""
        honest, doubted = self.trust.honest(key), key in self.trust.unusual
        if session.parent is not None:
            above = self._places.scope(session.parent) or session.above
            if above is not None and scope.parent_role == UNKNOWN_PARENT:
                scope = replace(scope, parent_role=above.role)
            if honest and above is not None:
                self._past(above).hand(key, session.grant, doubted=doubted)
            elif honest:
                self.astray.setdefault(scope, Handed()).merge(session.grant.handed())
        past = self._past(scope)
        if honest and doubted:
            past.doubt(key, session)
            return
        past.note_grant(session, shows=honest)
        if not session.actions:
            return
        if honest:
            (past.early if session.first < self.split else past.late).add(session)
        else:
            (past.flagged if key in self.trust.flagged else past.accused).add(session)

    def _join(self) -> None:
        for scope, past in self.scopes.items():
            unknown = self.scopes.get(replace(scope, parent_role=UNKNOWN_PARENT))
            if unknown is not None and scope.parent_role not in (ROOT, UNKNOWN_PARENT):
                self.joined[scope] = past.joined(unknown)

    def _past(self, scope: Scope) -> ScopeHistory:
        return self.scopes.setdefault(scope, ScopeHistory())

    def _note_purpose(self, call: PastCall) -> None:
        if call.agent_id is not None:
            served = self.purposes.setdefault((call.tenant_id, call.agent_id), Counter())
            if call.purpose in served or len(served) < MOST_PURPOSES:
                served[call.purpose] += 1
