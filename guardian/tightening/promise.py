"""What a proposal promises: the share of honest sessions to come that any of its restrictions touches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import ForbidDataClass, ForbidTool, Rule
from guardian.tightening.confidence import upper_bound

_MOST = 10**9


class Promise(NamedTuple):
    """At most so large a share of honest sessions to come: over all narrowed scopes, by their sessions, and in the
    `worst` of them. Those that guardian finds unusual come on top."""

    at_most: float
    worst: float


def promised(rows: Mapping[Scope, Sequence[Restriction]]) -> Promise | None:
    """By scope; nothing is touched where nothing is restricted. None: not known, of an earlier version."""
    bounds = {scope: promised_of(each) for scope, each in rows.items() if each}
    known = {scope: bound for scope, bound in bounds.items() if bound is not None}
    if len(known) < len(bounds):
        return None
    sessions = {scope: max(1, *(_count(each.support.sessions) for each in rows[scope])) for scope in known}
    total = sum(sessions[scope] * bound for scope, bound in known.items())
    return Promise(total / max(1, sum(sessions.values())), max(known.values(), default=0.0))


def foretold(promise: Promise | None, how: str = "") -> str:
    """In words; `how` stands in brackets behind a figure, where there is one."""
    if promise is None:
        return "not known, as an earlier version proposed it or people added to it"
    if not promise.worst:
        return "none, as nothing is narrowed"
    at_most, worst = f"{promise.at_most:.1%}", f"{promise.worst:.1%}"
    of_roles = f", in the worst role {worst}" if worst != at_most else ""
    return f"at most {at_most}{of_roles}" + (f" ({how})" if how else "")


def promised_of(rows: Sequence[Restriction]) -> float | None:
    """The same of one scope, all its restrictions together.

    The sum of two bounds of 95 % (Clopper-Pearson). One is of what nobody used: of the sessions, those that held
    something of the kind alone. The other is of what was fitted: of the sessions held out, those that any of it
    would have touched, counted again for each. These chose it as well, so that of many limits, which few sessions
    exceed each, some pass by chance: for them the second bound is too low.
    """
    unused = [each.support for each in rows if _unused(each.rule)]
    fitted = [each.support for each in rows if not _unused(each.rule)]
    alone = [each.alone for each in unused if each.alone is not None]
    if len(alone) < len(unused):
        return None
    bound = _bound(max(alone), (each.sessions for each in unused)) if unused else 0.0
    bound += (
        _bound(sum(each.held_out_broken for each in fitted), (each.held_out for each in fitted)) if fitted else 0
    )
    return min(1.0, max(bound, *(each.support.denied_at_most for each in rows), 0.0))


def _unused(rule: Rule) -> bool:
    return isinstance(rule, ForbidDataClass) or (isinstance(rule, ForbidTool) and not rule.except_agents)


def _bound(events: int, trials: Iterable[int]) -> float:
    """By the fewest trials of any."""
    fewest = _count(min(trials))
    return upper_bound(min(_count(events), fewest), fewest)


def _count(number: int) -> int:
    """People may have edited it: never less than none, nor so large that no float holds it."""
    return min(max(0, number), _MOST)
