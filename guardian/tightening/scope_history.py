"""What the sessions of one scope used, early and late, and what they were granted."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

from guardian.domain.identity import SessionKey
from guardian.tightening.doubt import shown, shown_below
from guardian.tightening.grants import Grant, Handed
from guardian.tightening.usage import SessionUse, Use

_RECENT = timedelta(days=14)
_NEVER = datetime.min.replace(tzinfo=UTC)
MOST_GRANTS = 32


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
