"""`guardian bench scenario`: the demo's scenario over many seeds, in process: what is caught, who is accused.

Baseline: the same sessions judged by named rules alone, without the drift model and its evidence.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from guardian.bench.report import Row
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import open_pipeline, unchecked
from guardian.config import load
from guardian.demo.history import teach
from guardian.demo.log import log_lines
from guardian.demo.scenario import PLANTS, Plant, Scenario
from guardian.domain.batch import Memory
from guardian.domain.finding import Finding, Kind
from guardian.domain.record import Record
from guardian.pipeline.pipeline import Pipeline

_BATCH = 256
_EARLIER = timedelta(hours=4)
HISTORY_SEED = 17
"""The one week that all days follow."""


@dataclass
class Tally:
    """Counts over all seeds."""

    planted: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    honest: int = 0
    accused: int = 0


def run(*, seeds: Sequence[int], sessions: int, each: int, progress: Callable[[int, int], None]) -> list[Row]:
    """Seeds × (`sessions` honest, `each` of every planted kind)."""
    settings = load(None, apart=True)
    taught = teach(settings, HISTORY_SEED)
    pipeline = open_pipeline(settings, taught.judge, verify=unchecked, clock=utc_now, check_entitlements=False)
    tally = Tally()
    for done, seed in enumerate(seeds, 1):
        _one_day(pipeline, taught.memory, seed, sessions, each, tally)
        progress(done, len(seeds))
    rows = [
        Row(
            f"caught: {plant.value}",
            "share of planted",
            tally.caught[plant.value] / tally.planted[plant.value],
            tally.planted[plant.value],
            baseline=tally.by_rule[plant.value] / tally.planted[plant.value],
        )
        for plant in PLANTS
    ]
    rows.append(
        Row(
            "false alarms per 1,000 honest sessions", "sessions", 1000 * tally.accused / tally.honest, tally.honest
        )
    )
    return rows


def _one_day(pipeline: Pipeline, memory: Memory, seed: int, sessions: int, each: int, tally: Tally) -> None:
    plan = Scenario(seed=seed, sessions=sessions, each=each).plan()
    lines = list(log_lines(plan, begin=utc_now() - _EARLIER, seed=seed))
    found = judge_lines(pipeline, memory, lines)
    drift = {f.session_id: f for f in found if f.kind is Kind.DRIFT}
    for session in plan:
        finding = drift.get(session.session_id)
        if session.plant is Plant.NONE:
            tally.honest += 1
            tally.accused += finding is not None
        else:
            tally.planted[session.plant.value] += 1
            tally.caught[session.plant.value] += finding is not None
            tally.by_rule[session.plant.value] += finding is not None and bool(finding.breaches)


def judge_lines(pipeline: Pipeline, memory: Memory, lines: Sequence[bytes]) -> list[Finding]:
    """A log through the pipeline with the memory carried along, as the store would."""
    states = dict(memory.sessions)
    agents = dict(memory.agent_purposes)
    findings: dict[str, Finding] = {}
    for start in range(0, len(lines), _BATCH):
        records = [Record("scenario", 0, start + i, line) for i, line in enumerate(lines[start : start + _BATCH])]
        decoded, letters = pipeline.decode(records)
        judged = pipeline.judge(
            decoded,
            letters,
            Memory(sessions=states, baselines=memory.baselines, agent_purposes=agents),
        )
        states.update(judged.sessions)
        agents.update(judged.agent_purposes)
        for finding in judged.findings:
            findings.setdefault(finding.id, finding)
    return list(findings.values())
