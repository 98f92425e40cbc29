"""Decisions → scored decisions, session states and findings. One pure pass over a batch."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from guardian.domain.batch import DeadLetter, Decoded, Judgement, Memory, ScoredDecision
from guardian.domain.breach import Breach
from guardian.domain.drift import ARGUMENTS_CUT, Drift
from guardian.domain.finding import Effect, Kind
from guardian.domain.identity import SessionKey, begins_anew
from guardian.domain.session import SessionState, Stage
from guardian.domain.signal import Observation, SharedReads, Signal
from guardian.embedding.fit import FitRequest
from guardian.embedding.grounding import argument_values
from guardian.embedding.meaning import Meaning
from guardian.embedding.operation import kind_of
from guardian.embedding.recent import LookedUp
from guardian.embedding.text import overlong
from guardian.pipeline.carrying import afresh, latest, lineage, measured_by, own, renewed
from guardian.pipeline.observing import observe, versions_of
from guardian.pipeline.registered import envelope_finding, unregistered
from guardian.pipeline.side_findings import dead_letter_finding, decision_findings, tell_once, told_today
from guardian.pipeline.working import History, Work
from guardian.response.findings import drift_finding, title_of
from guardian.response.hearing import naming
from guardian.response.ladder import Ladder
from guardian.scoring.scorer import Scorer, odder
from guardian.signals.port import Sharing, SignalFold, TellsOf
from guardian.signals.words.wording import shown
from guardian.telemetry import Metric


class Fit(Protocol):
    """The drift model: scores in [0, 1], batched and cached."""

    @property
    def version(self) -> str: ...

    def score(self, requests: Sequence[FitRequest]) -> list[float]: ...

    def explain(self, request: FitRequest) -> list[tuple[str, float]]: ...

    def looked_up(self) -> Mapping[Metric, LookedUp]:
        """What each of its caches was asked so far, under the metric that shows it."""
        ...


class Reader(Protocol):
    """What purposes and actions mean to the bi-encoder, batched and cached."""

    def read(self, requests: Sequence[FitRequest]) -> list[Meaning]: ...


@dataclass(frozen=True)
class Judge:
    """The rooms after decoding, in their order.

    `fingerprint` turns an argument value into a short keyed hash: values are followed, never stored. `meanings`
    gives each verdict the vectors of its purpose and action, and baselines a sketch; None: neither. A session that
    is known only by agent and user begins anew after `idle` without a call. Without `across_sessions` nothing
    about other sessions is used (parents, an agent's other purposes). That is for scoring files, where a result
    must not depend on the order of sessions.
    """

    fit: Fit
    signals: Sequence[SignalFold]
    scorer: Scorer
    ladder: Ladder
    fingerprint: Callable[[str], str]
    versions: Mapping[str, str] = field(default_factory=dict)
    parent_grace: timedelta = timedelta(seconds=60)
    across_sessions: bool = True
    meanings: Reader | None = None
    idle: timedelta = timedelta(minutes=30)

    def judge(self, decoded: Sequence[Decoded], dead_letters: Sequence[DeadLetter], memory: Memory) -> Judgement:
        """Fold every decision of the batch, in order, on top of the memory."""
        work = Work(memory, self._shared)
        fresh = [each for d in decoded if (each := work.fresh(d)) is not None]
        histories, requests = self._prepare(fresh, work)
        fits = self.fit.score(requests)
        reader = self.meanings if self.across_sessions else None
        read = reader.read(requests) if reader is not None else [None] * len(requests)
        for d, after, request, fit, meaning in zip(fresh, histories, requests, fits, read, strict=True):
            self._judge_one(d, after, request, fit, meaning, work)
        for letter in dead_letters:
            work.tell(dead_letter_finding(letter, self.versions, work.sessions))
        return work.judgement(dead_letters)

    def _prepare(self, fresh: Sequence[Decoded], work: Work) -> tuple[list[History], list[FitRequest]]:
        """For each call the session's history after it, and the drift model's request. Requests depend on earlier
        calls but not on verdicts, so the model is asked once for the whole batch."""
        histories: dict[SessionKey, History] = {}
        last: dict[SessionKey, datetime] = {}
        after: list[History] = []
        requests: list[FitRequest] = []
        for d in fresh:
            key, action = d.event.key, d.event.action
            state = work.sessions.get(key)
            history = histories.get(key) or History.of(state)
            before = last.get(key, state.last_seen if state is not None else None)
            if self._anew(d, before):
                history = History()
            last[key] = latest(d, before)
            # sorted by value: sorted by print, the key would decide which are forgotten first
            values = {value: self.fingerprint(value) for value in sorted(argument_values(action.arguments))}
            requests.append(
                FitRequest(
                    purpose=d.event.envelope.purpose,
                    tool=action.tool,
                    arguments=action.arguments,
                    before=history.tools,
                    earlier_values=frozenset(v for v, print_ in values.items() if print_ in history.prints),
                )
            )
            # what was denied vouches for nothing: nobody asked for it but the agent
            known = values.values() if d.event.decision.effect == "allow" else ()
            histories[key] = history.after(action.tool, known)
            after.append(histories[key])
        return after, requests

    def _judge_one(
        self, d: Decoded, after: History, request: FitRequest, fit: float, meaning: Meaning | None, work: Work
    ) -> None:
        event, key = d.event, d.event.key
        state = work.sessions.get(key) or SessionState()
        if self._anew(d, state.last_seen):
            state = afresh(state)
        state = measured_by(self.versions.get("calibration", ""), state)
        seen = observe(
            d,
            state,
            work,
            fit=fit,
            sketch=None if meaning is None else meaning.sketch,
            fingerprint=self.fingerprint,
            parent_grace=self.parent_grace,
            across_sessions=self.across_sessions,
        )
        folded, signals = self._fold(state, seen)
        evidence, drift = self.scorer.step(
            state.evidence,
            _less_pardoned(signals, state.pardoned),
            (*seen.features_missing, ARGUMENTS_CUT) if overlong(request.arguments) else seen.features_missing,
            kind=kind_of(request.tool, request.arguments),
        )
        # a revoked session's further denials add nothing
        cut_off = state.revoked_at is not None and event.decision.effect == "deny"
        drift = dataclasses.replace(drift, step=0.0) if cut_off else drift
        after_state = state.model_copy(
            update={
                "actions": state.actions + 1,
                "envelope": state.envelope or (event.envelope if own(state, d) else None),
                "renewed": renewed(state, d),
                "first_seen": state.first_seen or d.now,
                "met_at": state.met_at or (None if work.memory.reading is None else work.memory.reading.now),
                "last_seen": latest(d, state.last_seen),
                **lineage(state, d, seen.parent)._asdict(),
                "tools": after.tools,
                "value_prints": after.prints,
                "signals": state.signals if cut_off else folded,
                "evidence": state.evidence if cut_off else evidence,
            }
        )
        if not cut_off:
            after_state = self._climb(d, seen, request, drift, after_state, work)
            after_state = self._compare(d, after_state, work)
            work.share(d, after_state)
        told = [*decision_findings(d, drift, after_state, self.versions, self._tells_of)]
        if d.decision in work.reused:
            told.append(work.reused[d.decision])
        for finding in told:
            if (remembered := tell_once(finding, after_state)) is not None:
                after_state = remembered
                work.tell(finding)
        work.sessions[key] = work.changed[key] = after_state
        vectors = None if meaning is None else meaning.vectors
        work.scored.append(ScoredDecision(d, drift, vectors, act=state.actions))

    def _anew(self, d: Decoded, last_seen: datetime | None) -> bool:
        """Whether a session without a name of its own was silent for so long that this call begins another."""
        return d.event.nameless and begins_anew(last_seen, d.now, idle=self.idle)

    def _fold(self, state: SessionState, seen: Observation) -> tuple[dict[str, Any], list[Signal]]:
        states: dict[str, Any] = dict(state.signals)
        signals: list[Signal] = []
        for fold in self.signals:
            states[fold.name], signal = fold.fold(state.signals.get(fold.name) or fold.start(), seen)
            signals.append(signal)
        return states, signals

    @cached_property
    def _sharing(self) -> tuple[tuple[str, Sharing], ...]:
        return tuple((fold.name, fold) for fold in self.signals if isinstance(fold, Sharing))

    def _shared(self, state: SessionState) -> SharedReads | None:
        told = (fold.shared(state.signals[name]) for name, fold in self._sharing if name in state.signals)
        return next((reads for reads in told if reads is not None), None)

    def _climb(
        self, d: Decoded, seen: Observation, request: FitRequest, drift: Drift, state: SessionState, work: Work
    ) -> SessionState:
        """The session's state after the call. A step up the ladder makes one finding, and so does each further
        hard rule that a flagged session breaks, or one that still acts because its revocation was refused: what
        was told before must not hide that."""
        breaches = [
            b
            for s in drift.signals
            if self._tells_of[s.name] != "grant"
            for b in s.breaches
            if b.hard or d.event.decision.effect == "allow"  # a denied attempt only counts as pressure
        ]
        wanted = self.ladder.wanted(one_in=drift.one_in, breaches=breaches, pardoned=state.pardoned)
        stage = self.ladder.climb(state.stage, wanted)
        news = self.ladder.unnamed(state, breaches)
        goes_on = state.stage is Stage.REVOKED and d.event.decision.effect == "allow"
        unheeded = goes_on and state.revoked_at is None
        again = (bool(news) and (unheeded or state.stage is Stage.FLAGGED)) or (
            goes_on
            and wanted is Effect.REVOKE
            and self.ladder.asks_again(state, one_in=drift.one_in, breaches=breaches, now=d.now)
        )
        if (stage is state.stage and not again) or wanted is Effect.NONE:
            return state
        asked: dict[str, Any] = {}
        if wanted is Effect.REVOKE:
            asked = {"asked_at": d.now, "asked_one_in": drift.one_in}
            asked["stood"] = state.stood if state.stage is Stage.REVOKED else state.stage
        risen = state.model_copy(
            update={
                "stage": stage,
                "transition": state.transition + 1,
                **naming(state, (entry for b in breaches for entry in b.remembered), d.our_time),
                **asked,
            }
        )
        argument = drift.argument(lambda: self.fit.explain(request))
        other = odder(state.evidence, drift, kind_of(request.tool, request.arguments))
        work.tell(
            drift_finding(
                d.event,
                self.without_grants(drift, state.pardoned),
                risen,
                wanted=wanted,
                now=d.now,
                argument=argument,
                versions={**self.versions, **versions_of(seen)},
                title=self._title(wanted, (*news, *breaches), state.pardoned),
                asks=self.ladder.breach_effect,
                envelope_digest=d.envelope_digest,
                odder=None if breaches or other is None else shown(other),
            )
        )
        return risen

    def without_grants(self, drift: Drift, pardoned: Sequence[str]) -> Drift:
        """The same verdict without careless grants, which are side findings, and without pardoned breaches."""
        waved = frozenset(pardoned)

        def left(signal: Signal) -> tuple[Breach, ...]:
            of_grant = self._tells_of[signal.name] == "grant"
            return () if of_grant else tuple(b for b in signal.breaches if not b.waved(waved))

        signals = tuple(dataclasses.replace(signal, breaches=left(signal)) for signal in drift.signals)
        return dataclasses.replace(drift, signals=signals)

    @cached_property
    def _tells_of(self) -> dict[str, TellsOf]:
        return {signal.name: signal.tells_of for signal in self.signals}

    def _title(self, wanted: Effect, breaches: Iterable[Breach], pardoned: Sequence[str]) -> str:
        """A rule that only flags is no reason to revoke: where none asked for so much, evidence did."""
        asked = [b for b in breaches if self.ladder.breach_effect(b) is wanted and not b.waved(pardoned)]
        return title_of(asked, self._titles)

    @cached_property
    def _titles(self) -> dict[str, str]:
        return {name: title for signal in self.signals for name, title in signal.breaches.items()}

    def _compare(self, d: Decoded, state: SessionState, work: Work) -> SessionState:
        """Report, once, an envelope that is none of those registered for the session."""
        digest = unregistered(d, state)
        after = None if digest is None else told_today(state, Kind.ENVELOPE, digest, d.now.date())
        if after is None or after is state:
            return state
        work.tell(envelope_finding(d, state, self.versions))
        return after


def _less_pardoned(signals: Sequence[Signal], pardoned: Sequence[str]) -> list[Signal]:
    """The signals; one whose breaches were all pardoned by people counts for nothing."""
    waved = frozenset(pardoned)
    evidence = ([b for b in s.breaches if b.accuses] for s in signals)
    return [
        dataclasses.replace(s, value=0.0) if told and all(b.waved(waved) for b in told) else s
        for s, told in zip(signals, evidence, strict=True)
    ]
