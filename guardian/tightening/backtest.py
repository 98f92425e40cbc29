"""What a proposal would have changed: the archive under the old policy and under the new one, differences only."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from guardian.domain.event import SessionKey
from guardian.domain.past import PastCall
from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import ForbidTool, MaxRecords, Placed
from guardian.domain.wildcards import allows, covers
from guardian.tightening.history import Grant, Trust
from guardian.tightening.sessions import Places

_TELL_EVERY = 20_000
_Place = tuple[str, str, str, str]
Patched = Mapping[tuple[Scope, tuple[str, ...]], frozenset[str]]
"""Scope and granted tools (sorted) -> the tools that the patched envelope lists."""


@dataclass(frozen=True, slots=True)
class Change:
    """One call that the proposal would newly deny, and by which restrictions."""

    placed: Placed
    restrictions: tuple[str, ...]
    honest: bool

    def as_json(self) -> dict[str, Any]:
        """One line of an examples file. What agents wrote is escaped by JSON."""
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
    """Counts over a window, but for `replayed` only of calls of the scopes that are narrowed. Shares are of honest
    calls that the gateway allowed. Newly denied is what a restriction refuses, or the patched envelope: what it
    no longer lists, and every call that takes records once a session has taken as many as it grants.

    `unknown` are calls that some restriction could not judge for want of facts in the log. `newly_allowed` must be
    0: refused calls for a tool that their envelope did not allow and the patched one would. `flagged_stopped` of
    `flagged_sessions` would have been refused at least one call.
    """

    replayed: int = 0
    honest: int = 0
    honest_denied: int = 0
    honest_sessions_denied: int = 0
    unusual_denied: int = 0  # of the honest ones: in sessions that guardian found unusual and did not flag
    flagged: int = 0
    flagged_denied: int = 0
    flagged_sessions: int = 0
    flagged_stopped: int = 0
    already_denied: int = 0
    unknown: int = 0
    newly_allowed: int = 0
    by_restriction: dict[str, int] = field(default_factory=dict)  # honest calls newly denied
    stopped_by: dict[str, int] = field(default_factory=dict)  # calls of flagged sessions newly denied

    @property
    def cost(self) -> float:
        """The share of honest calls that would be newly denied."""
        return self.honest_denied / self.honest if self.honest else 0.0

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "cost": self.cost}


class NewPolicy:
    """The old decision, and then every restriction: who looks at a call looks only at those of its scope. In the
    scopes of `patched` they also stand in the envelope, where a limit on records binds the session as a whole."""

    def __init__(self, restrictions: Sequence[Restriction], patched: Collection[Scope] = ()) -> None:
        self._patched = frozenset(patched)
        self._by_tool: dict[_Place, dict[str, list[Restriction]]] = {}
        self._any_tool: dict[_Place, list[Restriction]] = {}
        for restriction in restrictions:
            scope = restriction.scope
            place = (scope.tenant_id, scope.purpose, scope.role, scope.parent_role)
            tool = getattr(restriction.rule, "tool", None)
            if tool is None:
                self._any_tool.setdefault(place, []).append(restriction)
            else:
                self._by_tool.setdefault(place, {}).setdefault(tool, []).append(restriction)

    def covers(self, placed: Placed) -> bool:
        """Whether any restriction is about calls of this scope."""
        call = placed.call
        place = (call.tenant_id, call.purpose, call.role, placed.parent_role)
        return place in self._any_tool or place in self._by_tool

    def judge(self, placed: Placed) -> tuple[tuple[Restriction, ...], bool]:
        """Which restrictions refuse the call, and whether some could not tell."""
        call = placed.call
        place = (call.tenant_id, call.purpose, call.role, placed.parent_role)
        candidates = [*self._by_tool.get(place, {}).get(call.tool, ()), *self._any_tool.get(place, ())]
        refused: list[Restriction] = []
        unknown = False
        for restriction in candidates:
            broken = restriction.rule.broken_by(placed)
            if broken or self._exhausted(restriction, placed):
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

    def removing(self, placed: Placed) -> tuple[Restriction, ...]:
        """The restrictions that take what a call relies on off its envelope's list: its tool, or a wildcard."""
        call = placed.call
        place = (call.tenant_id, call.purpose, call.role, placed.parent_role)
        named = self._by_tool.get(place, {}).items()
        found = [each for tool, about in named if covers(tool, call.tool) for each in about]
        return tuple(each for each in found if isinstance(each.rule, ForbidTool))


def backtest(
    calls: Iterable[PastCall],
    restrictions: Sequence[Restriction],
    trust: Trust,
    *,
    since: datetime | None = None,
    patched: Patched | None = None,
    on_change: Callable[[Change], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Replay in one pass. Every newly denied call is handed to `on_change`; memory does not grow with the log
    (the sessions of eight days, and names of flagged or denied ones). What came before `since` is not counted: it
    only tells the age, records and parents of sessions that go on."""
    policy = NewPolicy(restrictions, {scope for scope, _ in patched or ()})
    counts: Counter[str] = Counter()
    by_restriction: Counter[str] = Counter()
    stopped_by: Counter[str] = Counter()
    touched: dict[str, set[SessionKey]] = {"honest": set(), "stopped": set(), "flagged": set()}
    for placed in Places().place(calls):
        call = placed.call
        if since is not None and call.at < since:
            continue
        counts["replayed"] += 1
        if counts["replayed"] % _TELL_EVERY == 0:
            progress(counts["replayed"])
        if not policy.covers(placed):
            continue
        key = call.key
        honest = trust.honest(key)
        if not honest:
            touched["flagged"].add(key)
        refused, unknown = policy.judge(placed)
        counts["unknown"] += unknown and not refused
        listed = call.allowed_tools
        kept = patched.get((Scope.of(placed), tuple(sorted(set(listed)))), listed) if patched else listed
        if not call.allowed:
            counts["already_denied"] += 1
            counts["newly_allowed"] += allows(kept, call.tool) and not allows(listed, call.tool)
            continue
        if not refused and not allows(kept, call.tool) and allows(listed, call.tool):
            refused = policy.removing(placed)
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
