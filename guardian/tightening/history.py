"""The fold over the archive: per scope, what honest sessions used, early and late, and what they were granted."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import MappingProxyType

from guardian.domain.identity import SessionKey
from guardian.domain.past import Label, PastCall, revoked, verdicts
from guardian.domain.restriction import Scope
from guardian.domain.rules import ROOT, UNKNOWN_PARENT, Placed
from guardian.domain.session import HumanWord
from guardian.tightening.caution import Caution
from guardian.tightening.doubt import shown, shown_below
from guardian.tightening.grants import Grant, Handed
from guardian.tightening.sessions import Places
from guardian.tightening.usage import SessionUse, Use

IDLE = timedelta(hours=12)
"""A session that was silent for longer is counted; what it does later counts as another session. Not so for one
that was flagged or found unusual: with enough pauses it would pass for several that do alike."""
_RECENT = timedelta(days=14)
_NEVER = datetime.min.replace(tzinfo=UTC)
UNUSUAL_ONE_IN = 100.0
MOST_GRANTS = 32
MOST_PURPOSES = 64
MOST_SPELLINGS = 16
_Sessions = OrderedDict[tuple[SessionKey, Scope], SessionUse]


@dataclass(frozen=True)
class Trust:
    """Which sessions are honest: those that guardian did not flag or that people cleared, and that were neither
    confirmed as drift nor revoked. An `unusual` one does not show by itself, or with only one or two like it, that
    something is needed, though it is honest."""

    flagged: AbstractSet[SessionKey] = frozenset()
    words: Mapping[SessionKey, HumanWord] = field(default_factory=dict)
    unusual: AbstractSet[SessionKey] = frozenset()

    @classmethod
    def of(
        cls,
        flagged: Mapping[SessionKey, datetime],
        labels: Iterable[Label],
        unusual: Mapping[SessionKey, datetime] = MappingProxyType({}),
    ) -> "Trust":
        """A confirmation counts until it is taken back, a revocation until the session is given back or dismissed;
        that it lapsed says nothing. A dismissal clears nothing that came after it.

        `flagged` maps each session to the time of its last finding, `unusual` to when it last was that.
        """
        said = tuple(labels)
        judged = verdicts(said)
        words = {
            key: label.word
            for key, label in judged.items()
            if label.word is HumanWord.CONFIRMED or flagged.get(key, label.at) <= label.at
        }
        for key in revoked(said):
            if words.get(key) is not HumanWord.CONFIRMED:
                words[key] = HumanWord.REVOKED
        doubted = {key for key, at in unusual.items() if key not in judged or judged[key].at < at}
        return cls(flagged.keys(), words, doubted)

    def honest(self, key: SessionKey) -> bool:
        word = self.words.get(key)
        return word is HumanWord.FALSE_POSITIVE if word is not None else key not in self.flagged

    def remarkable(self, key: SessionKey) -> bool:
        """Whether guardian flagged it or found it unusual, whatever people said, or people spoke of it."""
        return key in self.unusual or key in self.flagged or key in self.words


def note_spelling(spelt: dict[str, set[str | None]], call: PastCall) -> None:
    """Note by which name an allowed call asked for its tool."""
    known = spelt.setdefault(call.tool, set())
    if call.tool_spelt not in known:
        known.add(call.tool_spelt if len(known) < MOST_SPELLINGS else None)


@dataclass(slots=True)
class Granted:
    """How often and when one thing was granted."""

    sessions: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def note(self, at: datetime) -> None:
        self.sessions += 1
        self.first = at if self.first is None else min(at, self.first)
        self.last = at if self.last is None else max(at, self.last)


@dataclass(slots=True)
class ScopeHistory:
    """What one scope used and was granted. `early` and `late` are the first and the last part of the window; a
    session belongs to the one in which it began. They hold what shows a need: of the sessions that guardian found
    unusual only what several did."""

    early: Use = field(default_factory=Use)
    late: Use = field(default_factory=Use)
    flagged: Use = field(default_factory=Use)
    accused: Use = field(default_factory=Use)  # not flagged, but confirmed as drift or revoked
    doubted: Use = field(default_factory=Use)  # all that honest sessions did which guardian found unusual
    beyond: Counter[str] = field(default_factory=Counter)
    """By a restriction's subject, how many of them did what may break it and was not kept."""
    grants: dict[Grant, Granted] = field(default_factory=dict)
    """Of anybody; how often and when only of sessions that show something, as in `tools` and `classes`."""
    tools: dict[str, Granted] = field(default_factory=dict)
    classes: dict[str, Granted] = field(default_factory=dict)
    lifetimes: Counter[int] = field(default_factory=Counter)
    """Sessions by the minutes that their envelope had left at their first call."""
    handed: Handed = field(default_factory=Handed)  # to honest sessions below it
    _doubted: dict[SessionKey, list[SessionUse]] = field(default_factory=dict)
    _handed_doubted: dict[SessionKey, Handed] = field(default_factory=dict)

    def whole(self) -> Use:
        both = Use()
        both.merge(self.early)
        both.merge(self.late)
        return both

    def joined(self, other: "ScopeHistory") -> "ScopeHistory":
        """With what the other's sessions did and delegated, and the grants of its own. Both are not settled yet:
        what several doubted sessions did of both, several did."""
        made = replace(self, early=Use(), late=Use(), handed=Handed(), _doubted={}, _handed_doubted={})
        for each in (self, other):
            made.early.merge(each.early)
            made.late.merge(each.late)
            made.handed.merge(each.handed)
            for key, parts in each._doubted.items():
                made._doubted.setdefault(key, []).extend(parts)
            for key, handed in each._handed_doubted.items():
                made._handed_doubted.setdefault(key, Handed()).merge(handed)
        return made

    def current(self) -> list[Grant]:
        """The grants in force at the scope's end, the most frequent first. One whose spelling is not known is left
        out if the same grant is there with its spelling."""
        lasts = [granted.last for granted in self.grants.values() if granted.last is not None]
        if not lasts:
            return []
        end = max(lasts)
        found = [(g.sessions, grant) for grant, g in self.grants.items() if g.last and g.last >= end - _RECENT]
        ordered = [grant for _, grant in sorted(found, key=lambda pair: (-pair[0], pair[1].tools))]
        known = {replace(grant, spelt=None) for grant in ordered if grant.spelt is not None}
        return [grant for grant in ordered if grant.spelt is not None or grant not in known]

    def doubt(self, key: SessionKey, session: SessionUse) -> None:
        """An honest session that guardian found unusual, or a part of one."""
        if session.actions:
            self.doubted.add(session)
        self._doubted.setdefault(key, []).append(session)

    def hand(self, key: SessionKey, grant: Grant, *, doubted: bool) -> None:
        """What the session `key` below it was granted."""
        handed = self._handed_doubted.setdefault(key, Handed()) if doubted else self.handed
        handed.merge(grant.handed())

    def settle(self, split: datetime, least: int) -> None:
        """Add what at least `least` doubted sessions show."""
        sessions = ([each for each in parts if each.actions] for parts in self._doubted.values())
        kept, self.beyond = shown(sessions, self.whole(), least)
        for session in kept:
            (self.early if session.first < split else self.late).add(session)
        self.handed.merge(shown_below(self._handed_doubted.values(), least))
        self._doubted, self._handed_doubted = {}, {}

    def settle_grants(self, least: int) -> None:
        """The same of what doubted sessions were granted; before `settle`, which forgets them."""
        holders = Counter(grant for parts in self._doubted.values() for grant in {each.grant for each in parts})
        for session in chain.from_iterable(self._doubted.values()):
            self.note_grant(session, shows=holders[session.grant] >= least)

    def note_grant(self, session: SessionUse, *, shows: bool) -> None:
        """What its envelope grants to one session. Of how often and when only those that show something tell."""
        grant, at = session.grant, session.first
        granted = self.grants.setdefault(grant, Granted())
        if shows:
            granted.note(at)
            for known, names in ((self.tools, grant.tools), (self.classes, grant.data_classes or ())):
                for name in names:
                    known.setdefault(name, Granted()).note(at)
            if session.left_s is not None:
                self.lifetimes[max(0, int(session.left_s)) // 60] += 1
        if len(self.grants) > MOST_GRANTS:
            del self.grants[min(self.grants, key=lambda each: self.grants[each].last or _NEVER)]


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
    def learn(
        cls, calls: Iterable[PastCall], *, trust: Trust, split: datetime, least: int = Caution().doubted_sessions
    ) -> "History":
        """One pass over calls that come about in time. So many unusual sessions as `least` show a need.

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
