"""Last week's honest log: what a deployment learns in shadow mode before anybody lets it revoke.

600 sessions teach the purpose baselines (that needs no model), 300 others calibrate the false-alarm figures with
those baselines frozen. Other people, customers and tickets than on the day that follows.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import configured_fold, open_fit, open_judge, open_pipeline, unchecked
from guardian.commands.calibrating import judges
from guardian.commands.labelling import decision_sessions
from guardian.config import Settings
from guardian.demo.log import log_lines
from guardian.demo.scenario import Scenario
from guardian.demo.writing import Writing, envelope_body
from guardian.domain.batch import Decoded, Known, Memory, PurposeKey
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.record import Record
from guardian.domain.signal import BaselineFact, Observation
from guardian.embedding.fit import FitRequest, PurposeFit
from guardian.embedding.meaning import Meanings
from guardian.evaluation.calibration import FLAT, fit_calibration
from guardian.pipeline.judging import Judge
from guardian.scoring.calibration import Calibration
from guardian.signals.baseline.learning import learn
from guardian.signals.purpose_baseline import PurposeBaseline

TEACHING_SESSIONS = 600
CALIBRATION_SESSIONS = 300
_WEEK = timedelta(days=7)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Taught:
    """A judge calibrated on the history, its calibration, and the baselines that were frozen when it was."""

    judge: Judge
    calibration: Calibration
    baselines: Mapping[PurposeKey, BaselineFact]

    @property
    def memory(self) -> Memory:
        return Memory(baselines=self.baselines)


def teach(settings: Settings, seed: int, progress: Progress = lambda _done, _total: None) -> Taught:
    """Learn from an honest week that ended a moment ago."""
    fit = open_fit(settings)
    begin = utc_now() - _WEEK
    baselines = _baselines(_decode(settings, fit, seed, TEACHING_SESSIONS, "h", begin), Meanings(fit, fit.version))
    calibrating = _decode(settings, fit, seed, CALIBRATION_SESSIONS, "c", begin)
    judge_with = judges(settings, fit)
    calibration = fit_calibration(
        decision_sessions(calibrating),
        judge_with=judge_with,
        source="the demo's honest week",
        fold=configured_fold(settings),
        memory=Memory(baselines=baselines),
        max_per_purpose=60,
        progress=progress,
    )
    return Taught(judge_with(calibration), calibration, baselines)


def _decode(
    settings: Settings, fit: PurposeFit, seed: int, sessions: int, label: str, begin: datetime
) -> Sequence[Decoded]:
    plan = Scenario(seed=2 * seed + 1_000_003 + (label == "c"), sessions=sessions, each=0, label=label).plan()
    writing = Writing(settings.source.format)
    lines = [json.loads(line) for line in log_lines(writing.known_as(plan), begin=begin, seed=seed)]
    records = [Record("history", 0, n, writing.of(line)) for n, line in enumerate(lines)]
    judge = open_judge(settings, fingerprint_key=secrets.token_bytes(32), fit=fit, calibration=FLAT)
    pipeline = open_pipeline(settings, judge, verify=unchecked, clock=utc_now, check_entitlements=False)
    decoded, _ = pipeline.decode(records)
    if writing.tells_envelopes:
        return decoded
    told = [Envelope.model_validate_json(envelope_body(line)) for line in lines]
    known = Known(envelopes={envelope.key: Grant(envelope, envelope.digest) for envelope in told})
    return pipeline.fill(decoded, known, patient=False)[0]


def _baselines(decoded: Sequence[Decoded], meanings: Meanings) -> dict[PurposeKey, BaselineFact]:
    """Each finished session's tally, folded into its purpose's snapshot, as the store does it for the monitor."""
    fold = PurposeBaseline()
    baselines: dict[PurposeKey, BaselineFact] = {}
    for session in decision_sessions(decoded):
        tally = fold.start()
        events = [d.event for d in session.decisions]
        read = meanings.read([FitRequest(e.envelope.purpose, e.action.tool, e.action.arguments) for e in events])
        for d, meaning in zip(session.decisions, read, strict=True):
            tally, _ = fold.fold(tally, Observation(event=d.event, now=d.now, sketch=meaning.sketch))
        key = PurposeKey.of(session.decisions[0].event.envelope)
        baselines[key] = learn(baselines.get(key), tally, weight=1.0, version="history")
    return baselines
