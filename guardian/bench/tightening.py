"""`guardian bench tightening`: an estate with known needs, mined; and its log at any length, replayed.

Two baselines in the same run: drop what nobody ever called; allow exactly what was seen.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from guardian.archive.reader import Archive
from guardian.bench.estate import BEGIN, NEXT_MONTH, TENANT, WINDOW, Estate, Job
from guardian.bench.estate_archive import first_day, multiply
from guardian.bench.report import Row, resident_mb
from guardian.domain.identity import SessionKey
from guardian.domain.past import PastCall
from guardian.domain.restriction import Restriction, Scope, Support
from guardian.domain.rules import (
    ArgumentAtMost,
    ArgumentIn,
    ArgumentLike,
    ForbidDataClass,
    ForbidTool,
    MaxLifetime,
    MaxRecords,
    OnlyHours,
    PinArgument,
    Rule,
)
from guardian.domain.session import HumanWord
from guardian.tightening.backtest import backtest
from guardian.tightening.caution import Caution, roomy
from guardian.tightening.envelope import patched_tools
from guardian.tightening.history import UNUSUAL_ONE_IN, History
from guardian.tightening.mining import mine
from guardian.tightening.promise import promised
from guardian.tightening.scope_history import ScopeHistory
from guardian.tightening.surface import Surface, surface
from guardian.tightening.trust import Trust

_UNFOUNDED = Support(
    sessions=0, actions=0, days=0, last_use=None, denied_at_most=1.0, held_out=0, held_out_broken=0
)
_LONGEST_STEP_S = 180


@dataclass
class Tally:
    """Sums over the seeds, one for each way of narrowing."""

    proposed: int = 0
    right: int = 0
    denied: int = 0
    honest: int = 0
    area: Surface = field(default_factory=Surface)
    needed: int = 0
    sessions: int = 0  # honest ones of the month after, of scopes that are narrowed
    touched: int = 0
    foretold: float = 0.0  # at most so many of them

    @property
    def removed(self) -> float:
        excess = self.area.before - self.needed
        return (self.area.before - self.area.after) / excess if excess else 0.0


def run(
    *, seeds: Sequence[int], events: int, progress: Callable[[int, int], None], purposes: int = 30, rare: int = 12
) -> list[Row]:
    """Every seed is another estate. `events` decisions are replayed once; 0 skips that."""
    names = ("mined", "unused", "exact", "exact here")
    tallies = {name: Tally() for name in names}
    found = truth = newly_allowed = drifted = flagged = 0
    for number, seed in enumerate(seeds, 1):
        estate = Estate(seed, purposes, rare)
        window = list(estate.calls(BEGIN, BEGIN + WINDOW))
        trust = trusted(estate, window)
        strays = {session for session, _ in estate.unneeded} - inflated(estate, window)
        drifted += len(strays)
        flagged += sum(SessionKey(TENANT, session) in estate.flagged for session in strays)
        history = History.learn(window, trust=trust, split=BEGIN + WINDOW * (1 - Caution().held_out))
        mined = mine(history).restrictions
        here = {restriction.scope for restriction in mined}
        exact = list(allow_exactly(history))
        ways = {
            "mined": list(mined),
            "unused": list(drop_unused(history)),
            "exact": exact,
            "exact here": [restriction for restriction in exact if restriction.scope in here],
        }
        following = list(estate.calls(BEGIN + WINDOW, BEGIN + WINDOW + NEXT_MONTH))
        grants = {scope: tuple(past.current()) for scope, past in history.scopes.items()}
        jobs = {scope_of(job): job for job in estate.jobs if job.active(BEGIN + WINDOW)}
        for name, restrictions in ways.items():
            score(tallies[name], restrictions, jobs, estate, history, following)
        newly_allowed += backtest(
            [*window, *following], mined, trust, patched=patched_tools(grants, mined)
        ).newly_allowed
        sound = (each for each in mined if each.scope in jobs and right(each.rule, jobs[each.scope]))
        hit = {(each.scope, each.rule.kind, each.rule.subject) for each in sound}
        wanted = {(scope, *each) for scope, job in jobs.items() for each in removable(job)}
        found, truth = found + len(hit & wanted), truth + len(wanted)
        progress(number, len(seeds))
    rows = _rows(tallies, found, truth, newly_allowed, drifted, flagged)
    return rows + (_replayed(events, seeds[0], progress) if events else [])


def _rows(
    tallies: dict[str, Tally], found: int, truth: int, newly_allowed: int, drifted: int, flagged: int
) -> list[Row]:
    ours, unused, exact, here = (tallies[name] for name in ("mined", "unused", "exact", "exact here"))

    def denied(tally: Tally) -> float:
        return tally.denied / max(1, tally.honest)

    def precision(tally: Tally) -> float:
        return tally.right / max(1, tally.proposed)

    return [
        Row("restrictions proposed", "count", float(ours.proposed), ours.proposed, baseline=float(exact.proposed)),
        Row("precision (allow exactly what was seen)", "share", precision(ours), ours.proposed, precision(exact)),
        Row("recall of what could be taken", "share", found / max(1, truth), truth),
        Row(
            "next month's honest calls denied (drop unused)",
            "share",
            denied(ours),
            ours.honest,
            denied(unused),
        ),
        Row(
            "next month's honest sessions touched (promised at most)",
            "share",
            ours.touched / max(1, ours.sessions),
            ours.sessions,
            ours.foretold / max(1, ours.sessions),
        ),
        Row("honest calls denied (allow exactly)", "share", denied(ours), ours.honest, denied(exact)),
        Row("honest calls denied (allow exactly, same scopes)", "share", denied(ours), ours.honest, denied(here)),
        Row("excess privilege removed (drop unused)", "share", ours.removed, ours.area.before, unused.removed),
        Row("excess privilege removed (allow exactly)", "share", ours.removed, ours.area.before, exact.removed),
        Row("excess removed (allow exactly, same scopes)", "share", ours.removed, ours.area.before, here.removed),
        Row("newly allowed calls", "count", float(newly_allowed), ours.honest),
        Row("drifted and attacked sessions that were flagged", "share", flagged / max(1, drifted), drifted),
    ]


def score(
    tally: Tally, restrictions: Sequence[Restriction], jobs: dict[Scope, Job], estate: Estate, history: History,
    following: Iterable[PastCall],
) -> None:  # fmt: skip
    """What one way of narrowing takes, and what it costs in the month after."""
    told = [restriction for restriction in restrictions if restriction.scope in jobs]
    tally.proposed += len(told)
    tally.right += sum(right(restriction.rule, jobs[restriction.scope]) for restriction in told)
    honest = [call for call in following if estate.honest(call)]
    narrowed: set[SessionKey] = set()
    after = backtest(honest, restrictions, Trust(), on_placed=lambda placed: narrowed.add(placed.call.key))
    tally.denied += after.honest_denied
    tally.honest += len(honest)
    tally.sessions += len(narrowed)
    tally.touched += after.honest_sessions_denied
    rows: dict[Scope, list[Restriction]] = {}
    for restriction in restrictions:
        rows.setdefault(restriction.scope, []).append(restriction)
    promise = promised(rows)
    tally.foretold += len(narrowed) * (1.0 if promise is None else promise.at_most)
    grants = {scope: history.scopes[scope].current()[0] for scope in jobs if scope in history.scopes}
    tally.area += surface(grants, {}, restrictions)
    tally.needed += sum(len(jobs[scope].needs) * len(jobs[scope].classes) for scope in grants)


def right(rule: Rule, job: Job) -> bool:
    """Whether nothing that the job needs is refused."""
    match rule:
        case ForbidTool(tool):
            return tool not in job.needs
        case ForbidDataClass(name):
            return name not in job.classes
        case MaxRecords(limit):
            return limit >= job.most_records
        case OnlyHours(hours):
            return set(range(*job.hours)) <= set(hours)
        case MaxLifetime(seconds):
            return seconds >= _LONGEST_STEP_S * len(job.needs)
        case PinArgument(tool, name, _, _):
            return name == "case_id" and tool in job.needs and job.needs[tool].pinned
        case ArgumentIn(tool, name, _, values):
            return name == "region" and tool in job.needs and set(job.needs[tool].regions) <= set(values)
        case ArgumentAtMost(tool, name, _, limit):
            return name == "limit" and tool in job.needs and limit >= job.needs[tool].most_limit
        case ArgumentLike():
            return False


def removable(job: Job) -> Iterator[tuple[str, str]]:
    """Everything that could be taken from a job, by kind and subject."""
    caution = Caution()
    yield from ((ForbidTool.kind, tool) for tool in job.granted_tools if tool not in job.needs)
    yield from ((ForbidDataClass.kind, name) for name in job.granted_classes if name not in job.classes)
    if job.granted_records >= caution.excess * roomy(job.most_records, caution.headroom):
        yield MaxRecords.kind, "records"
    if job.hours[1] - job.hours[0] < 24 - caution.hours_unused - 2:
        yield OnlyHours.kind, "hours"
    yield MaxLifetime.kind, "lifetime"
    for tool, need in job.needs.items():
        if need.pinned:
            yield PinArgument.kind, f"{tool}:case_id"
        if need.regions:
            yield ArgumentIn.kind, f"{tool}:region"
        if need.most_limit:
            yield ArgumentAtMost.kind, f"{tool}:limit"


def drop_unused(history: History) -> Iterator[Restriction]:
    """The first baseline: what nobody in the window called goes, whoever they were and however few."""
    for scope, past in history.scopes.items():
        seen = {*past.early.tools, *past.late.tools, *past.doubted.tools, *past.flagged.tools}
        for tool in sorted({tool for grant in past.current() for tool in grant.tools} - seen):
            yield Restriction(scope, ForbidTool(tool), "unused", _UNFOUNDED)


def allow_exactly(history: History) -> Iterator[Restriction]:
    """The second: what unflagged sessions did is what may be done, to the letter (free text aside)."""
    for scope, past in history.scopes.items():
        yield from (Restriction(scope, rule, "not seen", _UNFOUNDED) for rule in _exact_rules(past))


def _exact_rules(past: ScopeHistory) -> Iterator[Rule]:
    whole = past.whole()
    whole.merge(past.doubted)
    granted = past.current()
    yield from map(ForbidTool, sorted({tool for grant in granted for tool in grant.tools} - set(whole.tools)))
    classes = {name for grant in granted for name in grant.data_classes or ()} - set(whole.classes)
    yield from map(ForbidDataClass, sorted(classes))
    if whole.records:
        yield MaxRecords(max(whole.records))
    if whole.hours:
        yield OnlyHours(tuple(sorted(whole.hours)))
    for tool, use in whole.tools.items():
        for path, argument in use.arguments.items():
            if argument.kinds == {"int"} and argument.largest:
                yield ArgumentAtMost(tool, path, False, max(argument.largest))
            elif argument.values is not None and path != "case_id":
                yield ArgumentIn(tool, path, False, tuple(sorted(argument.values, key=str)))


def trusted(estate: Estate, window: Iterable[PastCall]) -> Trust:
    """Whose work is honest as far as guardian and people know: what an archive would tell."""
    unusual = {call.key for call in window if call.one_in >= UNUSUAL_ONE_IN} - estate.dismissed
    return Trust(frozenset(estate.flagged), dict.fromkeys(estate.dismissed, HumanWord.FALSE_POSITIVE), unusual)


def inflated(estate: Estate, window: Iterable[PastCall]) -> set[str]:
    """Sessions of the agent that uses everything."""
    inflaters = {job.inflater for job in estate.jobs if job.inflater is not None}
    return {call.session_id for call in window if call.agent_id in inflaters}


def scope_of(job: Job) -> Scope:
    return Scope(TENANT, job.purpose, job.role, job.parent_role)


def _replayed(events: int, seed: int, progress: Callable[[int, int], None]) -> list[Row]:
    estate = Estate(seed)
    window = list(estate.calls(BEGIN, BEGIN + WINDOW))
    trust = trusted(estate, window)
    split = BEGIN + timedelta(days=60)
    restrictions = mine(History.learn(window, trust=trust, split=split)).restrictions
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written = multiply(root, first_day(estate), events=events, days=90, progress=progress)
        began = time.perf_counter()
        outcome = backtest(
            Archive(root).past_calls(), restrictions, Trust(), progress=lambda done: progress(done, written)
        )
        seconds = time.perf_counter() - began
    return [
        Row("backtest", "decisions/s", outcome.replayed / seconds, outcome.replayed),
        Row("backtest, resident memory, peak", "MB", resident_mb(), outcome.replayed),
    ]
