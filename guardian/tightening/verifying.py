"""After a merge: which of the calls that the proposal refuses did gateways refuse, and was that work honest?"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from guardian.domain.identity import SessionKey
from guardian.domain.past import PastCall
from guardian.domain.rules import UNKNOWN_PARENT
from guardian.tightening.backtest import Change, NewPolicy
from guardian.tightening.proposal import Proposal
from guardian.tightening.sessions import Places
from guardian.tightening.trust import Trust

MOST_EXAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Verified:
    """Counts since the merge.

    `passed` are calls that were allowed although a restriction refuses them: it is not merged, or not in force
    everywhere. `idle` counts them by restriction, for those as which nothing was refused. `honest` are the honest
    sessions of the roles concerned, `broken` those that had a call refused.
    `unknown` are refused calls of honest sessions whose parent nobody knows, if under some parent the proposal
    refuses them. `calls` counts the other refused calls of honest sessions by restriction.
    """

    replayed: int = 0
    denied_honest: int = 0
    denied_flagged: int = 0
    passed: int = 0
    honest: int = 0
    broken: int = 0
    unknown: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    idle: dict[str, int] = field(default_factory=dict)
    examples: tuple[Change, ...] = ()


def verify(calls: Iterable[PastCall], proposal: Proposal, trust: Trust, *, since: datetime) -> Verified:
    """The denials since the merge that follow from the proposal.

    `calls` begin `sessions.IDLE` earlier: a session's age, records and parent are only known from its beginning.
    """
    policy = NewPolicy(proposal.restrictions, proposal.grants)
    counts: Counter[str] = Counter()
    by: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    heeded: set[str] = set()
    honest: set[SessionKey] = set()
    broken: set[SessionKey] = set()
    examples: list[Change] = []
    for placed in Places().place(calls):
        if placed.call.at < since:
            continue
        counts["replayed"] += 1
        if not policy.scopes(placed):
            continue
        call = placed.call
        trusted = trust.honest(call.key)
        if trusted:
            honest.add(call.key)
        refused, _ = policy.judge(placed)
        if not refused:
            continue
        if placed.parent_role == UNKNOWN_PARENT:
            counts["unknown"] += trusted and not call.allowed
            continue
        if call.allowed:
            counts["passed"] += 1
            passed.update(each.id for each in refused)
            continue
        heeded.update(each.id for each in refused)
        counts["denied_honest" if trusted else "denied_flagged"] += 1
        if trusted:
            broken.add(call.key)
            by.update(each.id for each in refused)
            if len(examples) < MOST_EXAMPLES:
                examples.append(Change(placed, tuple(each.id for each in refused), honest=True))
    return Verified(
        **counts,
        honest=len(honest),
        broken=len(broken),
        calls=dict(by),
        idle={name: count for name, count in passed.items() if name not in heeded},
        examples=tuple(examples),
    )
