"""Weighing a call that has not happened: the rooms that judge the log, on the same memory; nothing is stored."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from guardian.domain.batch import Decoded, Memory, PurposeKey, Reading, ScoredDecision, Wanted
from guardian.domain.envelope import Envelope
from guardian.domain.event import DecisionEvent, Origin
from guardian.domain.finding import Effect
from guardian.domain.record import Record
from guardian.domain.session import SessionState
from guardian.domain.signal import BaselineFact
from guardian.domain.text import cut_off
from guardian.embedding.fit import FitRequest
from guardian.embedding.recent import LookedUp
from guardian.errors import AdviserError, StoreError
from guardian.pipeline.judging import Fit, Judge
from guardian.pipeline.pipeline import Pipeline
from guardian.response.findings import drift_finding
from guardian.sources.guardian import GuardianDecisions
from guardian.sources.unwrapping import Unwrapping
from guardian.store.monitor.store import MonitorStore
from guardian.stream.port import Clock
from guardian.telemetry import Metric
from guardian.wire.advice import UNREADABLE, Weighing

_BASELINES_LIVE_S = 30.0
MAX_BYTES = 8 * 1024 * 1024
"""More than any proposal can be: control takes 1 MiB, in which a sign may be three times as long in ASCII, and the
envelope comes on top."""
_SHOWN, _BESIDE = 8000, 3000  # characters of the arguments, and of what is told beside them


class Unexplained:
    """The drift model without explanations: each costs one score per argument, and advice shows none."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    @property
    def version(self) -> str:
        return self._fit.version

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        return self._fit.score(requests)

    def explain(self, request: FitRequest) -> list[tuple[str, float]]:  # noqa: ARG002 - the port's
        return []

    def looked_up(self) -> Mapping[Metric, LookedUp]:
        return self._fit.looked_up()


class LocalAdviser:
    """`pipeline` is the adviser's own, because a drift model serves one thread at a time and the monitor's is
    busy. Proposed calls come in guardian's own format, whatever the format of the log that the monitor reads.
    `lag` is how far behind that monitor is: what it has not read, its store does not know. It answers once it
    `reads` that store, which only the monitor makes or brings up to date."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: MonitorStore | None = None,
        *,
        clock: Clock,
        lag: Callable[[], timedelta | None] = timedelta,
    ) -> None:
        judge, decoder = pipeline.judging, pipeline.decoder
        self._pipeline = dataclasses.replace(
            pipeline,
            judging=dataclasses.replace(judge, fit=Unexplained(judge.fit)),
            decoder=dataclasses.replace(decoder, source=GuardianDecisions(max_bytes=MAX_BYTES)),
        )
        read = decoder.source.inner if isinstance(decoder.source, Unwrapping) else decoder.source
        self._rename = str if isinstance(read, GuardianDecisions) else pipeline.filling.rename
        self._store, self._clock, self._lag = store, clock, lag
        self._turn = threading.Lock()
        self._baselines: dict[PurposeKey, BaselineFact | None] = {}
        self._learned_at = time.monotonic()

    def reads(self, store: MonitorStore) -> None:
        """The monitor has opened its store."""
        self._store = store

    def weigh(self, line: bytes, timeout_s: float) -> Weighing:
        """Raises AdviserError when the store is away or not open yet, or the answer not ready within `timeout_s`.

        A call that cannot be read in full counts as a hard breach, because its sender chose what is in it. So does
        one that takes all that time of the processor by itself.
        """
        until = time.monotonic() + timeout_s
        record = Record("proposed", 0, 0, line, timestamp=self._clock())
        if not self._turn.acquire(timeout=max(0.0, timeout_s)):
            raise AdviserError("the adviser gave no answer in time (busy)")
        began = time.thread_time()
        try:
            decoded, letters = self._pipeline.decode([record])
            if not decoded:
                return UNREADABLE
            memory = self._memory(self._pipeline.wanted(decoded))
            judgement = self._pipeline.judge([self._as_logged(d, memory) for d in decoded], [], memory)
        except StoreError as error:
            raise AdviserError("the adviser's store is away") from error
        finally:
            self._turn.release()
        if time.thread_time() - began > timeout_s:
            return UNREADABLE
        if time.monotonic() > until:
            raise AdviserError("the adviser gave no answer in time")
        (scored,) = judgement.scored
        key = scored.decoded.event.key
        before = memory.sessions.get(key) or SessionState()
        weighed = _weighing(self._pipeline.judging, scored, before, judgement.sessions[key])
        if not letters:
            return weighed
        return weighed.model_copy(update={"hard_breaches": (*weighed.hard_breaches, *UNREADABLE.hard_breaches)})

    def _memory(self, wanted: Wanted) -> Memory:
        """Sessions come from the store, baselines, which change once a minute, from a cache. No decision was
        seen."""
        now = time.monotonic()
        if now - self._learned_at > _BASELINES_LIVE_S:
            self._baselines.clear()
            self._learned_at = now
        unknown = frozenset(key for key in wanted.purposes if key not in self._baselines)
        wanted_now = dataclasses.replace(wanted, decisions=frozenset(), purposes=unknown)
        if self._store is None:
            raise AdviserError("the monitor has not opened its store yet")
        memory = self._store.load(wanted_now)
        self._baselines.update({key: memory.baselines.get(key) for key in unknown})
        known = {key: fact for key in wanted.purposes if (fact := self._baselines.get(key)) is not None}
        return dataclasses.replace(memory, baselines=known, reading=Reading(self._clock(), self._lag()))

    def _as_logged(self, d: Decoded, memory: Memory) -> Decoded:
        """The call with its tools renamed as the log's adapter would rename them.

        It stays as it is where the session's past shows that the log spells tools as the gateway does: a log of
        several formats may also hold guardian's own, in which tools keep their names.
        """
        event = d.event
        asked = (event.action.tool, *event.envelope.allowed_tools)
        tool, *tools = map(self._rename, asked)
        changed = {*asked}.difference((tool, *tools))
        if not changed or not changed.isdisjoint(_spelt(event.envelope, memory)):
            return d
        adapted = event.model_copy(
            update={
                "action": event.action.model_copy(update={"tool": tool}),
                "envelope": event.envelope.model_copy(update={"allowed_tools": tuple(tools)}),
                "origin": Origin(format="proposed"),
            }
        )
        return dataclasses.replace(d, event=adapted)


def _spelt(envelope: Envelope, memory: Memory) -> Iterable[str]:
    """Tool names as the log spells them: of the session, else of its parent, else of its purpose's baseline."""
    for key in (envelope.key, envelope.parent_key):
        state = None if key is None else memory.sessions.get(key)
        if state is not None and state.actions:
            return (*state.tools, *(() if state.envelope is None else state.envelope.allowed_tools))
    baseline = memory.baselines.get(PurposeKey.of(envelope))
    return () if baseline is None else baseline.tools


def _weighing(judge: Judge, scored: ScoredDecision, before: SessionState, after: SessionState) -> Weighing:
    """What a finding about this call would say, whether or not the call would be a step up the ladder."""
    drift, versions = judge.without_grants(scored.drift, before.pardoned), dict(judge.versions)
    told = drift_finding(
        scored.decoded.event,
        drift,
        after,
        wanted=Effect.FLAG,
        now=scored.decoded.now,
        argument=None,
        versions=versions,
        title="",  # nobody is shown this finding
    )
    return Weighing(
        score=told.evidence.score,
        p_value=told.evidence.p_value,
        session_evidence=told.evidence.session_evidence,
        one_in=told.evidence.one_in,
        promised=told.evidence.promised,
        independent_signals=told.evidence.independent_signals,
        breaches=tuple(each.name for each in told.breaches if not each.hard),
        hard_breaches=tuple(each.name for each in told.breaches if each.hard),
        actions_seen=before.actions,
        features_missing=told.features_missing,
        versions=versions,
        shown=_shown(scored.decoded.event),
    )


def _shown(event: DecisionEvent) -> dict[str, str]:
    """The call for whoever is asked about it. What is cut says how long it was: the end may be what matters."""
    envelope, action, touched = event.envelope, event.action, event.action.resource
    told = {
        "agent": envelope.agent_id,
        "purpose": envelope.purpose,
        "resource": None if touched is None else " ".join(filter(None, (touched.type, touched.id))),
        "records": None if action.records is None else f"{action.records:,}",
        "arguments": json.dumps(action.arguments, ensure_ascii=False) if action.arguments else None,
    }
    room = dict.fromkeys(told, _BESIDE) | {"arguments": _SHOWN}
    return {name: cut_off(text, room[name]) for name, text in told.items() if text}
