"""Score sessions without a store and without side effects: what `guardian score`, calibration and evaluation use.

There are no baselines, labels are never read, and action i is scored from the actions of its own session up to i,
so the order of sessions does not matter.
"""

import dataclasses
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from guardian.domain.batch import Decoded, Memory
from guardian.domain.drift import PURPOSE_FIT, Drift
from guardian.domain.event import SCHEMA, DecisionEvent
from guardian.domain.identity import SessionKey
from guardian.domain.record import Record
from guardian.domain.session import SessionState
from guardian.errors import DecodeError
from guardian.pipeline.decoding import Redactor
from guardian.pipeline.judging import Judge
from guardian.scoring.evidence import session_evidence
from guardian.sources.session_lines import SessionLine

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_ABSENT_IN_SESSION_LINES = ("envelope",)
PURPOSE_READ = 8192
"""So much of a session line's purpose is read."""
_UNPACKED = 4096
LOCAL = "-"
"""Tenant, gateway and delegator of sessions that come without an envelope."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One action's verdict under the names the input used; a session line names no tenant."""

    session_id: str
    index: int
    drift: Drift
    tenant_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The output contract of `guardian score`. `p_value` is None where nothing was compared with the purpose
        and the score is 0: a p-value of 1 would say that nothing fits better."""
        drift = self.drift
        compared = drift.score > 0.0 or any(s.name == PURPOSE_FIT and not s.silent for s in drift.signals)
        tenant = {} if self.tenant_id is None else {"tenant_id": self.tenant_id}
        return {
            **tenant,
            "session_id": self.session_id,
            "index": self.index,
            "drift": drift.score,
            "p_value": drift.p_value if compared else None,
            "session_evidence": drift.session_evidence,
            "signals": {s.name: s.value for s in drift.signals if not s.silent},
            "features_missing": list(drift.features_missing),
        }


class SessionScorer:
    """Scores whole sessions in batches; each session is scored on its own."""

    def __init__(self, judge: Judge, redactor: Redactor) -> None:
        self._judge = dataclasses.replace(judge, across_sessions=False)
        self._redactor = redactor

    def session(self, line: SessionLine) -> list[Decoded]:
        """A session line as decisions. Raises DecodeError when a name in it is no valid name."""
        return [self._decoded(event, line.line, i) for i, event in enumerate(_events(line))]

    def score_sessions(self, sessions: Sequence[tuple[str, Sequence[Decoded]]]) -> list[Scored]:
        """Whole sessions, (id as the input spelt it, its decisions): one result per action, in order."""
        judgement = self._judge.judge([d for _, decisions in sessions for d in decisions], [], Memory())
        names = [(session_id, i) for session_id, decisions in sessions for i in range(len(decisions))]
        return [
            Scored(session_id, i, _named_missing(each.drift))
            for (session_id, i), each in zip(names, judgement.scored, strict=True)
        ]

    def _decoded(self, event: DecisionEvent, line: int, index: int) -> Decoded:
        clean, hits = self._redactor.redact(event)
        record = Record("sessions", 0, line, b"")
        return Decoded(record, clean, f"{line}:{index}", event.time, False, hits, redacted=self._redactor.rules)


class LogScorer:
    """Scores decisions of a log in its order; remembers each session, and nothing else."""

    def __init__(self, judge: Judge) -> None:
        self._judge = dataclasses.replace(judge, across_sessions=False)
        self._sessions = _Sessions()
        self._acts: dict[SessionKey, dict[bytes, int]] = {}

    def score(self, decoded: Sequence[Decoded]) -> list[Scored]:
        """One result per decision, duplicates included: nothing in a file is skipped. A duplicate keeps the index
        of the first and does not move its session's evidence, because the monitor and labels count it as one
        act."""
        scored: list[Scored] = []
        run: list[Decoded] = []
        for d in decoded:
            if _short(d) not in (acts := self._acts.setdefault(d.event.key, {})):
                acts[_short(d)] = len(acts)
                run.append(d)
                continue
            scored += self._judged(run)
            run = []
            scored.append(self._again(d))
        return scored + self._judged(run)

    def _judged(self, run: Sequence[Decoded], *, kept: bool = True) -> list[Scored]:
        keys = {d.event.key for d in run}  # few of a long log's sessions are in one batch
        memory = Memory(sessions=self._sessions.known(keys))
        judgement = self._judge.judge(list(map(_distinct, run)), [], memory)
        if kept:
            self._sessions.update(judgement.sessions)
        return [
            Scored(key.session_id, self._acts[key][_short(d)], each.drift, key.tenant_id)
            for d, each in zip(run, judgement.scored, strict=True)
            for key in (d.event.key,)
        ]

    def _again(self, d: Decoded) -> Scored:
        evidence = self._sessions.known([d.event.key])[d.event.key].evidence
        (repeated,) = self._judged([d], kept=False)
        stands = session_evidence(evidence.m, evidence.n)
        return dataclasses.replace(repeated, drift=dataclasses.replace(repeated.drift, session_evidence=stands))


class _Sessions:
    """Sessions of a log, which may hold very many: the latest as they are, those before them as packed JSON, in an
    eighth of the memory."""

    def __init__(self) -> None:
        self._latest: OrderedDict[SessionKey, SessionState] = OrderedDict()
        self._packed: dict[SessionKey, bytes] = {}

    def known(self, keys: Collection[SessionKey]) -> dict[SessionKey, SessionState]:
        """Those of them that have acted before."""
        latest = {key: self._latest[key] for key in keys if key in self._latest}
        packed = {key: zlib.decompress(self._packed[key]) for key in keys if key in self._packed}
        return latest | {key: SessionState.model_validate_json(body) for key, body in packed.items()}

    def update(self, states: Mapping[SessionKey, SessionState]) -> None:
        for key, state in states.items():
            self._packed.pop(key, None)
            self._latest[key] = state
            self._latest.move_to_end(key)
        while len(self._latest) > _UNPACKED:
            key, state = self._latest.popitem(last=False)
            self._packed[key] = zlib.compress(state.model_dump_json().encode(), 1)


def _events(line: SessionLine) -> Iterator[DecisionEvent]:
    session_id = f"{line.session_id[:400]}#{line.line}"
    for index, action in enumerate(line.actions):
        body: dict[str, Any] = {"tool": action.tool}
        if action.arguments is not None:
            body["arguments"] = action.arguments
        try:
            yield DecisionEvent.model_validate(
                {
                    "schema": SCHEMA,
                    "id": f"{line.line}:{index}",
                    "time": _EPOCH,
                    "gateway": LOCAL,
                    "envelope": {
                        "delegator_id": LOCAL,
                        "tenant_id": LOCAL,
                        "session_id": session_id,
                        "purpose": line.purpose[:PURPOSE_READ],
                    },
                    "action": body,
                    "decision": {"effect": "allow"},
                }
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise DecodeError("invalid", f"actions.{index}: {where}: {first['msg']}") from error


def _named_missing(drift: Drift) -> Drift:
    return dataclasses.replace(drift, features_missing=(*_ABSENT_IN_SESSION_LINES, *drift.features_missing))


def _distinct(d: Decoded) -> Decoded:
    record = d.record
    event = d.event.model_copy(update={"id": f"{record.topic}:{record.partition}:{record.offset}:{d.entry}"})
    return dataclasses.replace(d, event=event)


def _short(d: Decoded) -> bytes:
    """A short digest of what identifies a decision: a log may hold millions."""
    text = "\x1f".join((*d.decision, d.digest))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
