"""What a proposal would have changed: the archive under the old policy and under the new one, differences only."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from guardian.domain.identity import SessionKey
from guardian.domain.past import PastCall
from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import UNKNOWN_PARENT, ForbidDataClass, ForbidTool, MaxRecords, Placed
from guardian.domain.wildcards import allows, covers
from guardian.tightening.grants import Grant, class_name
from guardian.tightening.sessions import Places, by_place
from guardian.tightening.surface import Count
from guardian.tightening.trust import Trust

_TELL_EVERY = 20_000
Patched = Mapping[tuple[Scope, tuple[str, ...]], frozenset[str]]
"""By scope and granted tools (sorted), the tools that the patched envelope lists."""


@dataclass(frozen=True, slots=True)
class Change:
    """One call that the proposal would newly deny, and by which restrictions."""

    placed: Placed
    restrictions: tuple[str, ...]
    honest: bool

    def as_json(self) -> dict[str, Any]:
        """One line of an examples file."""
        call = self.placed.call
        return {
            "restrictions": list(self.restrictions),
            "honest": self.honest,
            "tenant": call.tenant_id,
            "session": call.session_id,
            "decision": call.decision_id,
            "gateway": call.gateway,
            "at": call.at.isoformat(),
            "purpose": call.purpose,
            "agent": call.agent_id,
            "tool": call.tool,
            "arguments": call.arguments,
            "records": call.records,
            "data_classes": None if call.data_classes is None else sorted(call.data_classes),
        }


@dataclass(frozen=True, slots=True)
class Backtest:
    """Counts over a window. All but `replayed` count only calls of the scopes that are narrowed.

    `honest` and `flagged` are calls that the gateway allowed. Newly denied are those of them that a restriction
    refuses, or the patched envelope: a tool or data class that it no longer lists, and every call that takes
    records once the session has taken as many as it grants. `unknown` are calls that some restriction could not
    judge, because the log lacks a fact, and honest ones whose parent is not known, if under some parent they would
    be refused. `refused_alike` are calls of honest sessions that gateways refused from `merged` on, and a
    restriction refuses too: it may be in force. `flagged_stopped` of the `flagged_sessions` would have been
    refused at least one call.
    `newly_allowed` must be 0: calls that were refused, for a tool that their envelope did not list and the patched
    one does.
    """

    replayed: Count = 0
    honest: Count = 0
    honest_denied: Count = 0
    honest_sessions_denied: Count = 0
    unusual_denied: Count = 0  # of the honest ones, in sessions that guardian found unusual
    flagged: Count = 0
    flagged_denied: Count = 0
    flagged_sessions: Count = 0
    flagged_stopped: Count = 0
    already_denied: Count = 0
    refused_alike: Count = 0
    unknown: Count = 0
    newly_allowed: Count = 0
    by_restriction: dict[str, Count] = field(default_factory=dict)  # honest calls newly denied
    stopped_by: dict[str, Count] = field(default_factory=dict)  # calls of flagged sessions newly denied

    @property
    def cost(self) -> float | None:
        """The share of honest calls that would be newly denied; None where none was replayed: nobody knows."""
        return self.honest_denied / self.honest if self.honest else None

    def over(self, budget: float) -> bool:
        """Whether more than this share of honest calls might be newly denied: one that could not be judged may be,
        one that was refused alike may have been, and of none nobody knows."""
        may_be = self.honest_denied + self.unknown + self.refused_alike
        return not self.honest or min(self.honest, may_be) > budget * self.honest

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "cost": self.cost}


class NewPolicy:
    """Restrictions, found by scope. In the scopes of `patched` the envelope says them too, and there a limit on
    records binds the session as a whole."""

    def __init__(self, restrictions: Sequence[Restriction], patched: Collection[Scope] = ()) -> None:
        self._patched = frozenset(patched)
        self._by_tool: dict[Scope, dict[str | None, list[Restriction]]] = {}
        for restriction in restrictions:
            about = self._by_tool.setdefault(restriction.scope, {})
            about.setdefault(getattr(restriction.rule, "tool", None), []).append(restriction)
        self._by_place = by_place(self._by_tool)

    def scopes(self, placed: Placed) -> Sequence[Scope]:
        """The scopes with restrictions of which the call may be: several where its parent is not known."""
        return self._by_place.get(Scope.of(placed), ())

    def judge(self, placed: Placed) -> tuple[tuple[Restriction, ...], bool]:
        """Which restrictions refuse the call (under some parent, where its own is not known), and whether some
        could not tell."""
        refused: list[Restriction] = []
        unknown = False
        for about in map(self._by_tool.__getitem__, self.scopes(placed)):
            for restriction in (*about.get(placed.call.tool, ()), *about.get(None, ())):
                broken = restriction.rule.broken_by(placed)
                if broken or self._exhausted(restriction, placed) or self._unlisted(restriction, placed):
                    refused.append(restriction)
                elif broken is None:
                    unknown = True
        return tuple(refused), unknown

    def _exhausted(self, restriction: Restriction, placed: Placed) -> bool:
        rule = restriction.rule
        if not isinstance(rule, MaxRecords) or restriction.scope not in self._patched:
            return False
        if not rule.exhausted_by(placed):
            return False
        grant = Grant.of(placed.call)
        return not grant.records_unread and (grant.max_records is None or grant.max_records >= rule.limit)

    def _unlisted(self, restriction: Restriction, placed: Placed) -> bool:
        """Whether the patched envelope no longer lists a class that the call touched, in whichever spelling: the
        policies ask for the template's own. A call that was refused may carry the patched envelope already."""
        rule, touched = restriction.rule, placed.call.data_classes
        patched = restriction.scope in self._patched and not restriction.support.held_below
        if not isinstance(rule, ForbidDataClass) or not patched or touched is None:
            return False
        listed, name = Grant.of(placed.call).data_classes, class_name(rule.data_class)
        if listed is None or name not in map(class_name, touched):
            return False
        return rule.data_class in listed or (not placed.call.allowed and name not in map(class_name, listed))

    def removing(self, placed: Placed) -> tuple[Restriction, ...]:
        """The restrictions that take what the call relies on, its tool or a wildcard, off its envelope's list."""
        tool = placed.call.tool
        scopes = (self._by_tool[scope] for scope in self.scopes(placed))
        found = (each for about in scopes for several in about.values() for each in several)
        return tuple(each for each in found if isinstance(each.rule, ForbidTool) and covers(each.rule.tool, tool))


class Unheld:
    """The grants of a proposal that no envelope held, and what the nearest envelope lacked (None: there was none).

    They were edited: a patch of such a template could hand out more than it holds.
    """

    def __init__(self, grants: Mapping[Scope, Iterable[Grant]]) -> None:
        self.lacking: dict[Scope, dict[Grant, tuple[str, ...] | None]] = {
            scope: dict.fromkeys(found) for scope, found in grants.items()
        }
        self._by_place = by_place(self.lacking)

    def note(self, placed: Placed) -> None:
        """One call with its envelope."""
        scopes = self._by_place.get(Scope.of(placed), ())
        if not any(self.lacking[scope] for scope in scopes):
            return
        held = Grant.of(placed.call)
        for open_ in (self.lacking[scope] for scope in scopes):
            for grant, nearest in tuple(open_.items()):
                if not (more := grant.beyond(held)):
                    del open_[grant]
                elif nearest is None or len(more) < len(nearest):
                    open_[grant] = more


def backtest(
    calls: Iterable[PastCall],
    restrictions: Sequence[Restriction],
    trust: Trust,
    *,
    since: datetime | None = None,
    merged: datetime | None = None,
    patched: Patched | None = None,
    on_change: Callable[[Change], None] = lambda _: None,
    on_placed: Callable[[Placed], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Replay in one pass. Every call of a scope that is narrowed is handed to `on_placed`, and every newly denied
    one to `on_change`.

    Calls before `since` are not counted: they only tell the age, records and parents of sessions that go on. From
    `merged` on the restrictions may be in force.
    Memory does not grow with the log: it holds the sessions of eight days, and the keys of flagged or denied ones.
    """
    policy = NewPolicy(restrictions, {scope for scope, _ in patched or ()})
    counts: Counter[str] = Counter()
    by_restriction: Counter[str] = Counter()
    stopped_by: Counter[str] = Counter()
    touched: dict[str, set[SessionKey]] = {"honest": set(), "stopped": set(), "flagged": set()}
    for placed in Places().place(calls):
        call = placed.call
        scopes = policy.scopes(placed)
        if scopes:
            on_placed(placed)
        if since is not None and call.at < since:
            continue
        counts["replayed"] += 1
        if counts["replayed"] % _TELL_EVERY == 0:
            progress(counts["replayed"])
        if not scopes:
            continue
        key = call.key
        honest = trust.honest(key)
        if not honest:
            touched["flagged"].add(key)
        refused, unknown = policy.judge(placed)
        listed = call.allowed_tools
        lists: list[Collection[str]] = []  # of the patched templates that it may have
        if patched:
            granted = tuple(sorted(set(listed)))
            lists = [patched.get((scope, granted), listed) for scope in scopes]
        if not refused and not all(allows(kept, call.tool) for kept in lists) and allows(listed, call.tool):
            refused = policy.removing(placed)
        after = merged is not None and call.at >= merged
        counts["refused_alike"] += after and honest and not call.allowed and bool(refused)
        if placed.parent_role == UNKNOWN_PARENT:
            refused, unknown = (), unknown or (honest and call.allowed and bool(refused))
        counts["unknown"] += unknown and not refused
        if not call.allowed:
            counts["already_denied"] += 1
            allowed = any(allows(kept, call.tool) for kept in lists)
            counts["newly_allowed"] += allowed and not allows(listed, call.tool)
            continue
        counts["honest" if honest else "flagged"] += 1
        if not refused:
            continue
        counts["honest_denied" if honest else "flagged_denied"] += 1
        counts["unusual_denied"] += honest and key in trust.unusual
        touched["honest" if honest else "stopped"].add(key)
        (by_restriction if honest else stopped_by).update(restriction.id for restriction in refused)
        on_change(Change(placed, tuple(restriction.id for restriction in refused), honest))
    progress(counts["replayed"])
    return Backtest(
        **counts,
        honest_sessions_denied=len(touched["honest"]),
        flagged_sessions=len(touched["flagged"]),
        flagged_stopped=len(touched["stopped"]),
        by_restriction=dict(by_restriction),
        stopped_by=dict(stopped_by),
    )
