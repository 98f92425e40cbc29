"""How the sample data are made: the planned weeks through the real pipeline into a real archive, offline.

The shipped model judges every call; purposes learn their baselines overnight; after three weeks the promise is
calibrated on the team's own sessions; policy answers every finding, and people give their verdicts the morning
after. Nothing depends on the present time: the same seed makes the same data.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from guardian.archive.redaction import ArgumentRule, Redaction
from guardian.archive.rows import Rows
from guardian.archive.rows import labels as packed_labels
from guardian.archive.writer import write_events, write_labels
from guardian.bootstrap.judgement import (
    configured_fold,
    fingerprinter,
    open_fit,
    open_judge,
    open_pipeline,
    unchecked,
)
from guardian.commands.labelling import decision_sessions
from guardian.config import Settings, load
from guardian.demo.jobs import TENANTS
from guardian.demo.log import encode
from guardian.demo.sample import Update
from guardian.demo.sample_control import SampleControl
from guardian.demo.weeks import BAD_DAY, BEGIN, Weeks
from guardian.domain.batch import Change, Decoded, Judgement, Memory, PurposeKey, TaskKey
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.record import Record
from guardian.domain.session import HumanWord, SessionState, Stage
from guardian.embedding.fit import PurposeFit
from guardian.errors import ConfigurationError
from guardian.evaluation.calibration import fit_calibration
from guardian.pipeline.judging import Judge
from guardian.response.hearing import hear
from guardian.scoring.calibration import Calibration
from guardian.signals.baseline.learning import learn
from guardian.wire.base import Mode
from guardian.wire.findings import Verdict

CONTROL = "control"
FINDINGS = "findings.jsonl"
_MODES: Mapping[str, Mode] = dict(zip(TENANTS, ("enforce", "canary", "shadow"), strict=False))
_KEY = hashlib.sha256(b"sample data hide nothing").digest()
_LEARNT, _CALIBRATED = BEGIN + timedelta(weeks=1), BEGIN + timedelta(weeks=3)
_MORNING = timedelta(days=1, hours=6)
_FLAGGED_WEIGHT = 0.1
_DRAW = 19  # of who counts for the promise: here findings end in every way, in most draws none is revoked
_SIGNAL = "purpose_baseline"

Line = tuple[datetime, dict[str, Any]]


def make(folder: Path, *, seed: int, update: Update) -> None:
    """The archive in `folder`, whole or not at all. Raises ConfigurationError where it cannot be written."""
    weeks = Weeks.plan(seed)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sample-", dir=folder.parent) as scratch:
            settings = load(None, overrides={"base": scratch}, apart=True)
            made = Path(scratch) / "made"
            with SampleControl(settings, BEGIN, _MODES) as control:
                _Making(settings, made, control, weeks).run(update)
            made.rename(folder)
    except OSError as error:
        if not (folder / "events").is_dir():  # else somebody else was quicker
            raise ConfigurationError(f"cannot write sample data to {folder}: {error.strerror}") from error


@dataclass
class _Making:
    """Day by day. A session that policy lets guardian revoke is refused by the gateway from then on."""

    settings: Settings
    root: Path
    control: SampleControl
    weeks: Weeks
    _memory: Memory = field(default_factory=Memory)
    _learning: list[Decoded] = field(default_factory=list)
    _words: list[Change] = field(default_factory=list)

    def run(self, update: Update) -> None:
        fit = open_fit(self.settings)
        judge = self._judge(fit, None)
        for done, day in enumerate(self.weeks.days):
            update(done, len(self.weeks.days))
            if day == _CALIBRATED:
                judge = self._judge(fit, self._calibrated(fit))
            self._day(day, judge)
        if self._words:
            write_labels(self.root, "sample", [packed_labels(self._words)])
        views = "".join(f"{view.model_dump_json()}\n" for view in self.control.views())
        (self.root / CONTROL).mkdir()
        (self.root / CONTROL / FINDINGS).write_text(views, encoding="utf-8")
        update(len(self.weeks.days), len(self.weeks.days))

    def _judge(self, fit: PurposeFit, calibration: Calibration | None) -> Judge:
        return open_judge(self.settings, fingerprint_key=_KEY, fit=fit, calibration=calibration)

    def _calibrated(self, fit: PurposeFit) -> Calibration:
        """The promise on the team's own sessions of the second and third week, with what was learnt so far."""
        return fit_calibration(
            decision_sessions(self._learning),
            judge_with=lambda calibration: self._judge(fit, calibration),
            source="the sample's honest weeks",
            fold=configured_fold(self.settings),
            memory=self._memory,
            max_per_purpose=60,
            seed=_DRAW,
        )

    def _day(self, day: datetime, judge: Judge) -> None:
        pipeline = open_pipeline(
            self.settings, judge, verify=unchecked, clock=lambda: day + _MORNING, check_entitlements=False
        )
        judged: list[Judgement] = []
        rest = self.weeks.of(day)
        while rest:
            decoded, _ = pipeline.decode([_record(number, line) for number, line in enumerate(rest)])
            whole = judge.judge(decoded, [], self._memory)
            cut, revoked = self._answered(whole)
            judged.append(whole if revoked is None else judge.judge(decoded[:cut], [], self._memory))
            self._remember(judged[-1], revoked)
            rest = [_refused(line) if _key(line) == revoked else line for line in rest[cut:]]
            if _LEARNT <= day < _CALIBRATED:
                self._learning += decoded[:cut]
        rows = Rows(Redaction((ArgumentRule(treatment="keep"),), fingerprinter(_KEY)), judge.versions)
        packed = [rows.events(each.scored, each.findings) for each in judged]
        write_events(self.root, f"{day:%Y%m%d}", packed)
        self._learn(state for each in judged for state in each.sessions.values())
        self._people(day, [finding for each in judged for finding in each.findings])

    def _answered(self, judgement: Judgement) -> tuple[int, SessionKey | None]:
        """Policy's word on every finding, up to the first that revokes: how many decisions that is, and whom."""
        place = {v.decoded.event.id: number for number, v in enumerate(judgement.scored, 1)}
        for finding in judgement.findings:
            outcome = self.control.receive(finding)
            key = SessionKey(finding.tenant_id, finding.session_id)
            if outcome.effect is Effect.REVOKE and finding.act is not None and not self._is_revoked(key):
                self._words.append(Change(len(self._words) + 1, key, HumanWord.REVOKED, outcome.at))
                return place[finding.act.decision_id], key
        return len(judgement.scored), None

    def _is_revoked(self, key: SessionKey) -> bool:
        state = self._memory.sessions.get(key)
        return state is not None and state.revoked_at is not None

    def _remember(self, judgement: Judgement, revoked: SessionKey | None) -> None:
        known, reads = self._memory, dict(self._memory.task_reads)
        sessions = {**known.sessions, **judgement.sessions}
        if revoked is not None:
            sessions[revoked] = hear(sessions[revoked], HumanWord.REVOKED, self._words[-1].at, lasting=())
        for (tenant, task, session), told in judgement.task_reads.items():
            reads[TaskKey(tenant, task)] = {**reads.get(TaskKey(tenant, task), {}), session: told}
        self._memory = replace(
            known,
            sessions=sessions,
            agent_purposes={**known.agent_purposes, **judgement.agent_purposes},
            task_reads=reads,
        )

    def _learn(self, states: Iterable[SessionState]) -> None:
        """The night after, as the monitor's store does it."""
        baselines = dict(self._memory.baselines)
        for state in states:
            if state.envelope is not None:
                key = PurposeKey.of(state.envelope)
                weight = 1.0 if state.stage is Stage.CLEAR and state.revoked_at is None else _FLAGGED_WEIGHT
                known = baselines.get(key)
                baselines[key] = learn(known, state.signals[_SIGNAL], weight=weight, version="sample")
        self._memory = replace(self._memory, baselines=baselines)

    def _people(self, day: datetime, findings: Sequence[Finding]) -> None:
        """The morning after, people look at the first finding of each session; on the bad day they have yet to."""
        if day == BAD_DAY:
            return
        firsts: dict[str, Finding] = {}
        for finding in findings:
            if finding.kind is Kind.DRIFT:
                firsts.setdefault(finding.session_id, finding)
        for finding in firsts.values():
            plant, at = self.weeks.planted.get(finding.session_id), day + _MORNING
            verdict: Verdict = "benign" if plant is None else "confirmed"
            reason = (
                "asked for by the support lead" if plant is None else f"looks like {plant.value.replace('_', ' ')}"
            )
            self.control.judge(finding.id, verdict, reason=reason, by="maya", at=at)
            word = HumanWord.FALSE_POSITIVE if plant is None else HumanWord.CONFIRMED
            key = SessionKey(finding.tenant_id, finding.session_id)
            self._words.append(Change(len(self._words) + 1, key, word, at))


def _record(number: int, line: Line) -> Record:
    return Record("sample", 0, number, encode(line[1]), timestamp=line[0])


def _key(line: Line) -> SessionKey:
    envelope = line[1]["envelope"]
    return SessionKey(envelope["tenant_id"], envelope["session_id"])


def _refused(line: Line) -> Line:
    """The same call after its session was revoked."""
    decision = {"effect": "deny", "policy_ids": ["guardian-revocations"], "reason": "session revoked"}
    return line[0], {**line[1], "decision": decision, "result": None}
