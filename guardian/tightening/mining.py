"""Usage → restrictions, each with its support; for a scope with too little history, an abstention that says
why."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import timedelta

from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import ROOT, UNKNOWN_PARENT, ForbidDataClass, ForbidTool, MaxRecords
from guardian.domain.text import counted, plain, some
from guardian.domain.wildcards import covers
from guardian.tightening.arguments import arguments
from guardian.tightening.basis import Basis
from guardian.tightening.caution import Caution
from guardian.tightening.grants import class_name
from guardian.tightening.history import History
from guardian.tightening.limits import hours, lifetime, records
from guardian.tightening.redacted import nameless
from guardian.tightening.scope_history import ScopeHistory
from guardian.tightening.tools import Foretold, data_classes, tools

Miner = Callable[[Basis], Iterator[Restriction]]
MINERS: tuple[Miner, ...] = (tools, data_classes, records, lifetime, hours, arguments)
MANY_PURPOSES = 5
_OFTEN = 10
_ONCE = 50  # so many purposes of one session alone are no accident
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Abstention:
    """A scope for which nothing is proposed, or less than it never used, and why not."""

    scope: Scope
    why: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Something for people that no policy can express."""

    tenant_id: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Mined:
    """In a stable order."""

    restrictions: tuple[Restriction, ...]
    abstentions: tuple[Abstention, ...]
    advice: tuple[Advice, ...]


def mine(history: History, caution: Caution | None = None) -> Mined:
    """Everything that may be narrowed with confidence."""
    caution = caution or Caution()
    found: list[Restriction] = []
    silent: list[Abstention] = []
    advice: list[Advice] = []
    for scope, past in sorted(history.scopes.items(), key=lambda pair: astuple(pair[0])):
        basis = Basis(scope, past, past.whole(), caution)
        if (why := too_little(basis)) is not None:
            silent.append(Abstention(scope, why))
            continue
        kept = _mined(basis, history.joined.get(scope))
        found.extend(kept)
        if (why := _withheld(basis, history.joined.get(scope), kept)) is not None:
            silent.append(Abstention(scope, why))
        advice.extend(_wildcards(basis))
    advice = [*_in_own_words(history), *_split(history), *advice, *_astray(history, found, caution)]
    return Mined(tuple(found), tuple(silent), tuple(advice))


def _mined(basis: Basis, joined: ScopeHistory | None) -> list[Restriction]:
    """What holds with the sessions of its role too of which nobody knows the parent: they may be of this edge."""
    if joined is None:
        return [each for miner in MINERS for each in miner(basis)]
    basis = replace(basis, history=replace(basis.history, handed=joined.handed))
    also = replace(basis, history=joined, whole=joined.whole())
    rules = {each.rule for miner in MINERS for each in miner(also)}
    return [each for miner in MINERS for each in miner(basis) if each.rule in rules]


def _withheld(basis: Basis, joined: ScopeHistory | None, kept: Sequence[Restriction]) -> str | None:
    also = basis if joined is None else replace(basis, history=joined, whole=joined.whole())
    return Foretold.of(basis).withheld(kept) or Foretold.of(also).withheld(kept)


def too_little(basis: Basis) -> str | None:
    """Why nothing can be said of this scope yet; None where something can."""
    scope, whole, caution = basis.scope, basis.whole, basis.caution
    span = timedelta(days=max(whole.days) - min(whole.days)) if whole.days else timedelta(0)
    if scope.parent_role == UNKNOWN_PARENT:
        return "its parent sessions are not in the archive"
    if not scope.purpose:
        return "no purpose was declared"
    if not scope.role:
        return "no agent was named"
    if any(map(nameless, (scope.purpose, scope.role, scope.parent_role))):
        return "its purpose or an agent is redacted, and a gateway knows it by another name"
    if whole.sessions < caution.sessions:
        return f"{counted(whole.sessions, 'honest session')}, {caution.sessions} are needed"
    if not basis.history.late.sessions:
        return "no session in the last part of the window: it may not be in use any more"
    if len(whole.days) < caution.days:
        return f"used on {len(whole.days)} days, {caution.days} are needed"
    if span < timedelta(days=caution.span_days):
        return f"{span.days} days of history, {caution.span_days} are needed to hold a month's end"
    return None


def _split(history: History) -> Iterator[Advice]:
    """Advice about identities that serve many purposes."""
    for (tenant, agent), purposes in sorted(history.purposes.items()):
        often = [purpose for purpose, sessions in purposes.items() if sessions >= _OFTEN]
        if len(often) >= MANY_PURPOSES:
            yield Advice(
                tenant,
                agent,
                f"serves {len(often)} purposes: what it may do is the sum of what all of them need. "
                "Split it into one identity per purpose, so that each can be narrowed",
            )


def _in_own_words(history: History) -> Iterator[Advice]:
    """Advice about tenants most of whose purposes one session alone declared."""
    sessions: dict[str, Counter[str]] = {}
    for scope, past in history.scopes.items():
        sessions.setdefault(scope.tenant_id, Counter())[scope.purpose] += past.early.sessions + past.late.sessions
    for tenant, purposes in sorted(sessions.items()):
        once = sum(count == 1 for count in purposes.values())
        if once >= _ONCE and 2 * once > len(purposes):
            yield Advice(
                tenant,
                tenant,
                f"declares its purposes in people's own words: {once:,} of {len(purposes):,} are of one session "
                "alone, and of those nothing can be learnt. Have agents declare one of a few fixed purposes",
            )


def _astray(history: History, found: Sequence[Restriction], caution: Caution) -> Iterator[Advice]:
    """Advice about what others are to lose and children hold of whom nobody knows who delegated to them. Of a role
    whose parents are known but for a few, as at the window's begin, it is known."""
    known: Counter[tuple[str, str, str]] = Counter()
    for scope, past in history.scopes.items():
        if scope.parent_role not in (ROOT, UNKNOWN_PARENT):
            known[scope.tenant_id, scope.purpose, scope.role] += past.early.sessions + past.late.sessions
    for scope, held in sorted(history.astray.items(), key=lambda pair: astuple(pair[0])):
        own = (scope.purpose, scope.role)
        if held.records.total() <= caution.at_most * known[(scope.tenant_id, *own)]:
            continue
        others = (r for r in found if r.scope.tenant_id == scope.tenant_id and not r.support.held_below)
        rules = [each.rule for each in others if (each.scope.purpose, each.scope.role) != own]
        tools = {rule.tool for rule in rules if isinstance(rule, ForbidTool) and not rule.except_agents}
        classes = {rule.data_class for rule in rules if isinstance(rule, ForbidDataClass)}
        most, limits = max(held.records), [rule.limit for rule in rules if isinstance(rule, MaxRecords)]
        kept = [plain(name) for name in sorted(tools) if any(covers(entry, name) for entry in held.tools)]
        kept += [
            plain(name)
            for name in sorted(classes)
            if any(covers(entry, class_name(name)) for entry in held.classes)
        ]
        if most > min(limits, default=most):
            kept.append("its number of records")
        if kept:
            yield Advice(
                scope.tenant_id,
                scope.role,
                f"holds {some(kept, _NAMED)} for {plain(scope.purpose)}, delegated by sessions that are not in "
                "the archive. Whoever delegates to it must keep that: leave it out of that template's patch",
            )


def _wildcards(basis: Basis) -> Iterator[Advice]:
    """Advice about wildcards that are granted now, with what honest sessions used of them."""
    scope, past, whole = basis.scope, basis.history, basis.whole
    granted = past.current()
    tools = tuple(sorted({*whole.tools, *past.handed.tools}))
    listed = [(tool, tools) for grant in granted for tool in grant.tools]
    if not whole.classes_unlogged:
        classes = tuple(sorted({*whole.classes, *past.handed.classes}))
        listed += [(name, classes) for grant in granted for name in grant.data_classes or ()]
    for entry, known in sorted({pair for pair in listed if "*" in pair[0]}):
        used = [plain(name) for name in known if covers(entry, name)]
        did = "used or delegated" if past.handed.tools else "used"
        yield Advice(
            scope.tenant_id,
            scope.role,
            f"is granted {plain(entry)} for {plain(scope.purpose)}, of which honest sessions {did} "
            f"{some(used, _NAMED) or 'nothing'}. A list of what is needed would be narrower",
        )
