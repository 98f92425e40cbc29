"""Tools and data classes that are granted and not needed."""

from collections import Counter
from collections.abc import Iterator
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
from guardian.tightening.history import Granted
from guardian.tightening.redacted import nameless
from guardian.tightening.usage import ToolUse, Use, later

_READING = frozenset((
    "read", "get", "list", "search", "find", "query", "view", "show", "lookup", "fetch", "classify", "describe",
    "count",
))  # fmt: skip
MOST_EXEMPT = 2
_NEVER = ToolUse()
_NOBODY = Granted()


def reads_only(tool: str) -> bool:
    """Whether a tool only reads, by its name. Used for wording, never to decide."""
    return any(part in _READING for part in tool.lower().replace("_", ".").replace("-", ".").split("."))


def tools(basis: Basis) -> Iterator[Restriction]:
    """One restriction for each tool that is granted now and that honest sessions did without.

    Wildcards are skipped: no restriction can name what one grants. `mining` advises people about them instead.
    """
    history, whole, caution = basis.history, basis.whole, basis.caution
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
    history, whole = basis.history, basis.whole
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
    below: int = 0,
) -> Iterator[Restriction]:
    """The restriction, if the grant is old enough and went to enough sessions to say that nobody needs it.

    Every session of the window is a trial, unless something was fitted to the early part: then those that `tested`
    it in the late one. Doubted sessions decide nothing, and what they `touched` is told.
    """
    whole, caution = basis.whole, basis.caution
    span = timedelta(0) if granted.first is None or granted.last is None else granted.last - granted.first
    shown_by = trials if tested is None else tested
    if granted.sessions < caution.sessions or span < timedelta(days=caution.span_days) or shown_by < 1:
        return
    if upper_bound(0, shown_by) <= caution.at_most:
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
        )
        yield Restriction(basis.scope, rule, why, support)


def _why(scope: Scope, tool: str, whole: Use, by: str) -> str:
    if by:
        return f"called only by {by}"
    if scope.parent_role != ROOT:
        return f"inherited from {scope.parent_role}, and never used"
    if not reads_only(tool) and all(map(reads_only, whole.tools)):
        return "a tool that writes, for a purpose that only reads"
    return "granted, and never used"


def _by(flagged: int, accused: int, unusual: int) -> str:
    kinds = (
        (flagged, "that guardian flagged"),
        (accused, "confirmed as drift or revoked"),
        (unusual, "that guardian found unusual"),
    )
    return " and ".join(f"{counted(number, 'session')} {kind}" for number, kind in kinds if number)
