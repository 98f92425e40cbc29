"""The fold over the archive: per scope, what honest sessions used, early and late, and what they were granted."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from guardian.domain.event import SessionKey
from guardian.domain.past import Label, PastCall, verdicts
from guardian.domain.restriction import Scope
from guardian.domain.session import HumanWord
from guardian.tightening.grants import Grant
from guardian.tightening.sessions import Places
from guardian.tightening.usage import Handed, SessionUse, Use

IDLE = timedelta(hours=12)
"""A session that was silent for longer is counted; what it does later counts as another session. Not so for one
that was flagged or found unusual: with enough pauses it would pass for several that do alike."""
_RECENT = timedelta(days=14)
_OF_A_REVOCATION = (HumanWord.REVOKED, HumanWord.REINSTATED, HumanWord.FALSE_POSITIVE)
UNUSUAL_ONE_IN = 100.0
MOST_GRANTS = 32
MOST_PURPOSES = 64
MOST_SPELLINGS = 16


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
        last = {label.key: label.word for label in said if label.word in _OF_A_REVOCATION}
        for key, word in last.items():
            if word is HumanWord.REVOKED and words.get(key) is not HumanWord.CONFIRMED:
                words[key] = word
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
    session belongs to the one in which it began."""

    early: Use = field(default_factory=Use)
    late: Use = field(default_factory=Use)
    flagged: Use = field(default_factory=Use)
    accused: Use = field(default_factory=Use)  # not flagged, but confirmed as drift or revoked
    doubted: Use = field(default_factory=Use)  # those of the honest sessions that guardian found unusual
    grants: OrderedDict[Grant, Granted] = field(default_factory=OrderedDict)
    tools: dict[str, Granted] = field(default_factory=dict)
    classes: dict[str, Granted] = field(default_factory=dict)
    lifetimes: Counter[int] = field(default_factory=Counter)
    """Sessions by the minutes that their envelope had left at their first call."""
    handed: Handed = field(default_factory=Handed)  # to honest sessions below it
    handed_doubted: Handed = field(default_factory=Handed)  # to those of them that guardian found unusual

    def whole(self) -> Use:
        both = Use()
        both.merge(self.early)
        both.merge(self.late)
        return both

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

    def note_grant(self, call: PastCall, *, honest: bool) -> None:
        """What its envelope grants to one session. Of tools and classes only honest ones show anything."""
        grant = Grant.of(call)
        self.grants.setdefault(grant, Granted()).note(call.at)
        self.grants.move_to_end(grant)
        while len(self.grants) > MOST_GRANTS:
            self.grants.popitem(last=False)
        for known, names in ((self.tools, grant.tools), (self.classes, grant.data_classes or ())):
            for name in names if honest else ():
                known.setdefault(name, Granted()).note(call.at)
        if call.expires_at is not None:
            self.lifetimes[max(0, int((call.expires_at - call.at).total_seconds())) // 60] += 1


@dataclass
class History:
    """`split` divides the window: sessions that began before it are mined, the others are held out to test on."""

    trust: Trust
    split: datetime
    scopes: dict[Scope, ScopeHistory] = field(default_factory=dict)
    purposes: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)  # (tenant, agent) -> sessions
    spelt: dict[str, set[str | None]] = field(default_factory=dict)
    """By tool, the names that allowed calls used for it; None among them if one is not known."""
    astray: dict[Scope, Handed] = field(default_factory=dict)
    """By scope, what honest children hold whose parents are not in the archive: nobody knows who delegated it."""
    calls: int = 0
    first: datetime | None = None
    last: datetime | None = None
    _open: OrderedDict[tuple[SessionKey, Scope], SessionUse] = field(default_factory=OrderedDict)
    _kept: OrderedDict[tuple[SessionKey, Scope], SessionUse] = field(default_factory=OrderedDict)
    _places: Places = field(default_factory=Places)

    @classmethod
    def learn(cls, calls: Iterable[PastCall], *, trust: Trust, split: datetime) -> "History":
        """One pass over calls that come about in time.

        Memory holds the scopes, the sessions of half a day, and the remarkable ones.
        """
        history = cls(trust, split)
        for placed in history._places.place(calls):
            call = placed.call
            history.calls += 1
            history.first = call.at if history.first is None else min(call.at, history.first)
            history.last = call.at if history.last is None else max(call.at, history.last)
            history._close(call.at)
            name = (call.key, Scope.of(placed))
            sessions = history._kept if trust.remarkable(call.key) else history._open
            session = sessions.get(name)
            if session is None:
                session = sessions[name] = SessionUse.begin(call)
                if call.parent_session_id is not None:
                    session.parent = SessionKey(call.tenant_id, call.parent_session_id)
                    session.above, session.holds = history._places.scope(session.parent), Grant.of(call).handed()
                if (scope := history.scopes.get(name[1])) is None:
                    scope = history.scopes[name[1]] = ScopeHistory()
                scope.note_grant(call, honest=trust.honest(call.key))
                history._note_purpose(call)
            sessions.move_to_end(name)
            session.last = call.at
            if call.allowed:
                session.note(placed)
                note_spelling(history.spelt, call)
        for name, session in (*history._open.items(), *history._kept.items()):
            history._count(*name, session)
        history._places = Places()  # of half a million sessions at most, and of no use any more
        return history

    def _close(self, now: datetime) -> None:
        while self._open:
            name, session = next(iter(self._open.items()))
            if now - session.last <= IDLE:
                return
            del self._open[name]
            self._count(*name, session)

    def _count(self, key: SessionKey, scope: Scope, session: SessionUse) -> None:
        honest = self.trust.honest(key)
        doubted = key in self.trust.unusual
        if honest and session.parent is not None:
            self._hand(scope, session, session.parent, doubted=doubted)
        if not session.actions:
            return
        history = self.scopes[scope]
        if not honest:
            (history.flagged if key in self.trust.flagged else history.accused).add(session)
            return
        (history.early if session.first < self.split else history.late).add(session)
        if doubted:
            history.doubted.add(session)

    def _hand(self, scope: Scope, session: SessionUse, parent: SessionKey, *, doubted: bool) -> None:
        """A parent may come after its child: it is looked for again when the child is over."""
        above = session.above or self._places.scope(parent)
        if above is None:
            self.astray.setdefault(scope, Handed()).merge(session.holds)
            return
        self.scopes[above].handed.merge(session.holds)
        if doubted:
            self.scopes[above].handed_doubted.merge(session.holds)

    def _note_purpose(self, call: PastCall) -> None:
        if call.agent_id is not None:
            served = self.purposes.setdefault((call.tenant_id, call.agent_id), Counter())
            if call.purpose in served or len(served) < MOST_PURPOSES:
                served[call.purpose] += 1
