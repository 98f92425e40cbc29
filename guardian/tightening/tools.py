"""Tools and data classes that are granted and not needed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from guardian.domain.restriction import Restriction, Scope, Support
from guardian.domain.rules import ROOT, ForbidDataClass, ForbidTool, Rule
from guardian.domain.text import counted
from guardian.domain.wildcards import covers
from guardian.tightening.basis import Basis
from guardian.tightening.caution import Caution
from guardian.tightening.confidence import upper_bound
from guardian.tightening.doubt import excepted
from guardian.tightening.grants import class_name
from guardian.tightening.redacted import nameless
from guardian.tightening.scope_history import Granted
from guardian.tightening.usage import ToolUse, Use, later

_READING = frozenset((
    "read", "get", "list", "search", "find", "query", "view", "show", "lookup", "fetch", "classify", "describe",
    "count",
))  # fmt: skip
MOST_EXEMPT = 2
_NEVER = ToolUse()
_NOBODY = Granted()


def reads_only(tool: str) -> bool:
    """Whether a tool only reads, by its name. A fixed split: statistics of it hold also where a name misleads."""
    return any(part in _READING for part in tool.lower().replace("_", ".").replace("-", ".").split("."))


def writes_nothing(whole: Use) -> bool:
    """Whether no session did anything but read."""
    return all(map(reads_only, whole.tools))


@dataclass(frozen=True, slots=True)
class Foretold:
    """Whether the next session may need what none of the window did.

    The chance that it holds something which no other held is about the share of sessions of which that is true
    now, `lone` of `sessions` (I. J. Good, Biometrika 40, 1953). It counts once, for all tools and data classes
    together that grants list. Where it is too large, only what writes may go, if no session wrote anything
    (`reading`): of that class as a whole none of them showed a need.
    """

    lone: int
    sessions: int
    reading: bool
    enough: bool  # so few that what nobody used may go

    @classmethod
    def of(cls, basis: Basis) -> "Foretold":
        whole, current = basis.whole, basis.history.current()
        listed = {("tool", tool) for grant in current for tool in grant.tools}
        listed |= {("class", class_name(name)) for grant in current for name in grant.data_classes or ()}
        used = {("tool", tool) for tool in whole.tools} | {("class", name) for name in whole.touched}
        lone = len({mark for name, mark in whole.lone.items() if name in listed})
        spare = any("*" not in name for _, name in listed - used)
        enough = not spare or upper_bound(lone, whole.sessions) <= basis.caution.at_most
        return cls(lone, whole.sessions, writes_nothing(whole), enough)

    def alone(self, tool: str) -> int:
        """How many sessions foretell that the next one needs the tool, or what is taken with it."""
        return 0 if not self.enough and self.reading and not reads_only(tool) else self.lone

    def withheld(self, found: Iterable[Restriction]) -> str | None:
        """Why nothing is taken of what nobody used, or only what writes; None where all may be."""
        if self.enough:
            return None
        few = any(isinstance(each.rule, ForbidTool) and not each.rule.except_agents for each in found)
        rest = "only tools that write are taken, as no session wrote" if few else "none that is unused is taken"
        most = upper_bound(self.lone, self.sessions)
        return (
            f"{self.lone:,} of {counted(self.sessions, 'session')} used a tool or data class that no other did, "
            f"so up to {most:.1%} of those to come need what none did yet: {rest}"
        )


def tools(basis: Basis) -> Iterator[Restriction]:
    """One restriction for each tool that is granted now and that honest sessions did without, as far as these
    foretell that the next ones will (`Foretold`).

    Wildcards are skipped: no restriction can name what one grants. `mining` advises people about them instead.
    """
    history, whole, caution = basis.history, basis.whole, basis.caution
    foretold = Foretold.of(basis)
    for tool in sorted({tool for grant in history.current() for tool in grant.tools if "*" not in tool}):
        granted = history.tools.get(tool, _NOBODY)
        use, doubted = whole.tools.get(tool, _NEVER), history.doubted.tools.get(tool, _NEVER)
        flagged, accused = (part.tools.get(tool, _NEVER).sessions for part in (history.flagged, history.accused))
        at = later(use.last, doubted.last)
        last = None if at is None else at.isoformat()
        if not use.sessions:
            why = _why(basis.scope, tool, whole, _by(flagged, accused, doubted.sessions))
            trials = min(granted.sessions, whole.sessions)
            below = holders(tool, history.handed.tools)
            yield from _sure(
                basis,
                ForbidTool(tool),
                why,
                granted,
                trials=trials,
                touched=doubted.sessions,
                last=last,
                flagged=flagged + accused,
                alone=foretold.alone(tool),
                below=below,
            )
        elif alone := confined_to(use.agents, whole.agents, caution):
            early, late = ({*part.tools.get(tool, _NEVER).agents} for part in (history.early, history.late))
            if not early == alone == late:
                continue  # agents come and go with releases: the next one has another name
            who = ", ".join(sorted(alone))
            beyond = history.beyond[tool]
            why = f"of {len(whole.agents)} agents in this role only {who} ever called it{excepted(beyond)}"
            rule = ForbidTool(tool, tuple(sorted(alone)))
            trials = whole.sessions - sum(whole.agents[agent] for agent in alone)
            tested = history.late.sessions - sum(history.late.agents[agent] for agent in alone)
            yield from _sure(
                basis,
                rule,
                why,
                granted,
                trials=trials,
                touched=beyond,
                last=last,
                flagged=flagged + accused,
                tested=tested,
            )


def data_classes(basis: Basis) -> Iterator[Restriction]:
    """One restriction for each data class that is granted now and that no honest call touched.

    None at all where some calls did not log their data classes. Wildcards and hashed names are skipped.
    """
    history, whole, foretold = basis.history, basis.whole, Foretold.of(basis)
    if whole.classes_unlogged or not whole.actions:
        return
    granted_now = {name for grant in history.current() for name in grant.data_classes or ()}
    for name in sorted(name for name in granted_now if "*" not in name and not nameless(name)):
        granted, spelt = history.classes.get(name, _NOBODY), class_name(name)
        if whole.touched[spelt]:
            continue
        touched = history.doubted.touched[spelt]
        below = holders(spelt, history.handed.classes)
        flagged, accused = history.flagged.touched[spelt], history.accused.touched[spelt]
        by = _by(flagged, accused, touched)
        why = f"touched only by {by}" if by else "granted, and never touched"
        trials = min(granted.sessions, whole.sessions)
        yield from _sure(
            basis,
            ForbidDataClass(name),
            why,
            granted,
            trials=trials,
            touched=touched,
            last=None,
            flagged=flagged + accused,
            alone=foretold.lone,
            below=below,
        )


def holders(name: str, held: Counter[str]) -> int:
    """How many children hold it: without it in the template these would exceed their parents."""
    return sum(count for entry, count in held.items() if covers(entry, name))


def confined_to(users: Counter[str], everyone: Counter[str], caution: Caution) -> frozenset[str]:
    """The one or two agents that alone use a tool, where chance would have spread it over the role.

    Were the k sessions that used it drawn at random, all of them would be those agents' with probability share^k.
    Empty where the tool is shared, or too rare to tell. One agent that uses everything keeps it for itself only.
    """
    if not 1 <= len(users) <= MOST_EXEMPT or len(everyone) < 2 * len(users) + 1 or "" in users:
        return frozenset()
    share = sum(everyone[agent] for agent in users) / everyone.total()
    return frozenset(users) if share ** users.total() <= caution.confined else frozenset()


def _sure(
    basis: Basis,
    rule: Rule,
    why: str,
    granted: Granted,
    *,
    trials: int,
    touched: int,
    last: str | None,
    flagged: int,
    tested: int | None = None,
    alone: int | None = None,
    below: int = 0,
) -> Iterator[Restriction]:
    """The restriction, if the grant is old enough and went to enough sessions to say that nobody needs it, nor
    anything else that is taken with it, of which `alone` tells.

    Every session of the window is a trial, unless something was fitted to the early part: then those that `tested`
    it in the late one. Doubted sessions decide nothing, and what they `touched` is told.
    """
    whole, caution = basis.whole, basis.caution
    span = timedelta(0) if granted.first is None or granted.last is None else granted.last - granted.first
    shown_by = trials if tested is None else tested
    if granted.sessions < caution.sessions or span < timedelta(days=caution.span_days) or shown_by < 1:
        return
    if upper_bound(min(alone or 0, shown_by), shown_by) <= caution.at_most:
        late = basis.history.late.sessions if tested is None else tested
        why += f"; held by {counted(below, 'session')} below, so its template keeps it" if below else ""
        support = Support(
            sessions=trials,
            actions=whole.actions,
            days=len(whole.days),
            last_use=last,
            denied_at_most=upper_bound(touched, shown_by + touched),
            held_out=late,
            held_out_broken=0,
            flagged_use=flagged,
            held_below=below,
            alone=alone,
        )
        yield Restriction(basis.scope, rule, why, support)


def _why(scope: Scope, tool: str, whole: Use, by: str) -> str:
    if by:
        return f"called only by {by}"
    if scope.parent_role != ROOT:
        return f"inherited from {scope.parent_role}, and never used"
    if not reads_only(tool) and writes_nothing(whole):
        return "a tool that writes, for a purpose that only reads"
    return "granted, and never used"


def _by(flagged: int, accused: int, unusual: int) -> str:
    kinds = (
        (flagged, "that guardian flagged"),
        (accused, "confirmed as drift or revoked"),
        (unusual, "that guardian found unusual"),
    )
    return " and ".join(f"{counted(number, 'session')} {kind}" for number, kind in kinds if number)
