"""The fold over the archive: per scope, what honest sessions used, early and late, and what they were granted."""

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from guardian.domain.event import SessionKey
from guardian.domain.past import Label, PastCall, verdicts
from guardian.domain.restriction import Scope
from guardian.domain.session import HumanWord
from guardian.tightening.sessions import Places
from guardian.tightening.usage import SessionUse, Use

IDLE = timedelta(hours=12)
"""A session that was silent so long is counted; what it does later counts as another one. But not of one that was
flagged or found unusual: by its pauses it would be several that do alike."""
UNUSUAL_ONE_IN = 100.0
MOST_GRANTS = 32
MOST_PURPOSES = 64
MOST_SPELLINGS = 16


@dataclass(frozen=True)
class Trust:
    """Which sessions are honest: flagged ones are not, unless people called the finding a false positive; what
    people confirmed is not. `doubt` is how unusual ("one in N honest sessions") an unflagged session may be
    before it takes more than one or two like it to show that something is needed."""

    flagged: AbstractSet[SessionKey] = frozenset()
    words: Mapping[SessionKey, HumanWord] = field(default_factory=dict)
    doubt: float = UNUSUAL_ONE_IN
    unusual: AbstractSet[SessionKey] = frozenset()  # not flagged, and at least that unusual

    @classmethod
    def of(
        cls,
        flagged: Mapping[SessionKey, datetime],
        labels: Iterable[Label],
        unusual: AbstractSet[SessionKey] = frozenset(),
    ) -> "Trust":
        """What was confirmed counts until it is taken back; a dismissal clears no finding that came after it.
        `flagged` has the time of each session's last finding."""
        words = {
            key: label.word
            for key, label in verdicts(labels).items()
            if label.word is HumanWord.CONFIRMED or flagged.get(key, label.at) <= label.at
        }
        return cls(flagged.keys(), words, unusual=unusual)

    def honest(self, key: SessionKey) -> bool:
        word = self.words.get(key)
        return word is HumanWord.FALSE_POSITIVE if word is not None else key not in self.flagged

    def remarkable(self, key: SessionKey) -> bool:
        """Whether guardian flagged it or found it unusual, whatever people said."""
        return key in self.unusual or key in self.flagged


@dataclass(frozen=True, slots=True)
class Grant:
    """What an envelope gave, as far as the miner narrows it. None: it set no limit, or with `records_unread` one
    that is no number. `lifetime_s` is the least that any session had left at its first call; None: not known.
    `spelt` pairs every tool's own name in the template with guardian's; empty: the same, None: not known."""

    tools: tuple[str, ...]
    data_classes: tuple[str, ...] | None
    max_records: int | None
    records_unread: bool = False
    lifetime_s: int | None = None
    spelt: tuple[tuple[str, str], ...] | None = None

    def __post_init__(self) -> None:
        if self.spelt and {tool for _, tool in self.spelt} != set(self.tools):
            raise ValueError("`spelt` must have every tool of its template, and no other")

    @classmethod
    def of(cls, call: PastCall) -> "Grant":
        classes, told = call.constraints.get("data_classes"), call.constraints.get("max_records")
        most = whole_number(told)
        return cls(
            tuple(sorted(set(call.allowed_tools))),
            tuple(sorted(str(name) for name in classes)) if isinstance(classes, list | tuple) else None,
            most,
            told is not None and most is None,
            spelt=_pairs(call.allowed_tools_spelt, call.allowed_tools),
        )

    def own(self, tools: Iterable[str]) -> list[str]:
        """Some of its tools as the template spells them; by guardian's names where that is not known."""
        some = set(tools)
        return sorted(own for own, tool in self.spelt if tool in some) if self.spelt else sorted(some)


def _pairs(own: tuple[str, ...] | None, tools: tuple[str, ...]) -> tuple[tuple[str, str], ...] | None:
    if not own or not tools:
        return () if own is not None else None
    if len(own) != len(tools):
        return None
    return () if own == tools else tuple(sorted({*zip(own, tools, strict=True)}))


def whole_number(value: object) -> int | None:
    """A limit on a count: a number, also in text, without its fraction. None for anything else.

    >>> [whole_number(value) for value in (6, 6.5, "1e3", "six", True, [1], float("inf"), float("nan"))]
    [6, 6, 1000, None, None, None, None, None]
    """
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    try:
        return math.floor(float(value)) if isinstance(value, float | str) else None
    except (ValueError, OverflowError):
        return None


@dataclass(slots=True)
class Granted:
    """How often and until when one thing was granted, and of an envelope the shortest life it had left."""

    sessions: int = 0
    first: datetime | None = None
    last: datetime | None = None
    lifetime_s: int | None = None

    def note(self, at: datetime, left_s: int | None = None) -> None:
        self.sessions += 1
        if left_s is not None:
            self.lifetime_s = left_s if self.lifetime_s is None else min(left_s, self.lifetime_s)
        self.first = at if self.first is None else min(at, self.first)
        self.last = at if self.last is None else max(at, self.last)


@dataclass(slots=True)
class ScopeHistory:
    """Early and late are the window's first and last part, by a session's beginning."""

    early: Use = field(default_factory=Use)
    late: Use = field(default_factory=Use)
    flagged: Use = field(default_factory=Use)
    doubted: Use = field(default_factory=Use)  # of the honest ones, those that guardian found unusual
    grants: OrderedDict[Grant, Granted] = field(default_factory=OrderedDict)
    tools: dict[str, Granted] = field(default_factory=dict)
    classes: dict[str, Granted] = field(default_factory=dict)
    lifetimes: Counter[int] = field(
        default_factory=Counter
    )  # sessions by what was left of their envelope, in minutes

    def whole(self) -> Use:
        both = Use()
        both.merge(self.early)
        both.merge(self.late)
        return both

    def current(self, *, recent: timedelta = timedelta(days=14)) -> list[Grant]:
        """The grants in force at the scope's end, the most frequent first. One whose spelling is not known is left
        out where the same is known in full."""
        lasts = [granted.last for granted in self.grants.values() if granted.last is not None]
        if not lasts:
            return []
        end = max(lasts)
        found = [(g.sessions, grant) for grant, g in self.grants.items() if g.last and g.last >= end - recent]
        ordered = [grant for _, grant in sorted(found, key=lambda pair: (-pair[0], pair[1].tools))]
        known = {replace(grant, spelt=None) for grant in ordered if grant.spelt is not None}
        kept = [grant for grant in ordered if grant.spelt is not None or grant not in known]
        return [replace(grant, lifetime_s=self._least(grant, ordered)) for grant in kept]

    def _least(self, grant: Grant, current: Iterable[Grant]) -> int | None:
        """The shortest life of it, and of the same one whose spelling is not known: it may have been this one."""
        same = (grant, replace(grant, spelt=None))
        lives = (self.grants[each].lifetime_s for each in current if each in same)
        return min((life for life in lives if life is not None), default=None)

    def note_grant(self, call: PastCall) -> None:
        grant = Grant.of(call)
        left_s = None if call.expires_at is None else max(0, int((call.expires_at - call.at).total_seconds()))
        self.grants.setdefault(grant, Granted()).note(call.at, left_s)
        self.grants.move_to_end(grant)
        while len(self.grants) > MOST_GRANTS:
            self.grants.popitem(last=False)
        for known, names in ((self.tools, grant.tools), (self.classes, grant.data_classes or ())):
            for name in names:
                if (granted := known.get(name)) is None:
                    granted = known[name] = Granted()
                granted.note(call.at)
        if left_s is not None:
            self.lifetimes[left_s // 60] += 1


@dataclass
class History:
    """`split` divides the window: what began before is mined, the rest is held out to test on."""

    trust: Trust
    split: datetime
    scopes: dict[Scope, ScopeHistory] = field(default_factory=dict)
    purposes: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)  # (tenant, agent) -> sessions
    spelt: dict[str, set[str | None]] = field(default_factory=dict)  # in allowed calls; None: also not known how
    calls: int = 0
    first: datetime | None = None
    last: datetime | None = None
    _open: OrderedDict[tuple[SessionKey, Scope], SessionUse] = field(default_factory=OrderedDict)
    _kept: OrderedDict[tuple[SessionKey, Scope], SessionUse] = field(default_factory=OrderedDict)

    @classmethod
    def learn(cls, calls: Iterable[PastCall], *, trust: Trust, split: datetime) -> "History":
        """One pass, about in time. Memory: the scopes, the sessions of half a day, and the remarkable ones."""
        history = cls(trust, split)
        for placed in Places().place(calls):
            call = placed.call
            history.calls += 1
            history.first = call.at if history.first is None else min(call.at, history.first)
            history.last = call.at if history.last is None else max(call.at, history.last)
            name = (call.key, Scope.of(placed))
            sessions = history._kept if trust.remarkable(call.key) else history._open
            session = sessions.get(name)
            if session is None:
                session = sessions[name] = SessionUse.begin(call)
                if (scope := history.scopes.get(name[1])) is None:
                    scope = history.scopes[name[1]] = ScopeHistory()
                scope.note_grant(call)
                history._note_purpose(call)
                history._close(call.at)
            sessions.move_to_end(name)
            if call.allowed:
                session.note(placed)
                history._note_spelling(call)
        for name, session in (*history._open.items(), *history._kept.items()):
            history._count(*name, session)
        return history

    def _close(self, now: datetime) -> None:
        while self._open:
            name, session = next(iter(self._open.items()))
            if now - session.last <= IDLE:
                return
            del self._open[name]
            self._count(*name, session)

    def _count(self, key: SessionKey, scope: Scope, session: SessionUse) -> None:
        if not session.actions:
            return
        history = self.scopes[scope]
        if not self.trust.honest(key):
            history.flagged.add(session)
            return
        (history.early if session.first < self.split else history.late).add(session)
        unusual = session.one_in >= self.trust.doubt or key in self.trust.unusual
        if unusual and key not in self.trust.words:
            history.doubted.add(session)

    def _note_spelling(self, call: PastCall) -> None:
        if (known := self.spelt.get(call.tool)) is None:
            known = self.spelt[call.tool] = set()
        if call.tool_spelt not in known:
            known.add(call.tool_spelt if len(known) < MOST_SPELLINGS else None)

    def _note_purpose(self, call: PastCall) -> None:
        if call.agent_id is not None:
            if (served := self.purposes.get((call.tenant_id, call.agent_id))) is None:
                served = self.purposes[(call.tenant_id, call.agent_id)] = Counter()
            if call.purpose in served or len(served) < MOST_PURPOSES:
                served[call.purpose] += 1
