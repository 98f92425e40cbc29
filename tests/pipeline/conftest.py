"""Records as gateways write them, a real pipeline, and a world that remembers as the monitor's store does."""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guardian.bootstrap.judgement import fingerprinter, unchecked
from guardian.bootstrap.plugins import make, names
from guardian.domain.batch import Judgement, Memory, ScoredDecision, TaskKey
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.record import Record
from guardian.domain.session import HumanWord, SessionState
from guardian.domain.signal import SharedReads
from guardian.embedding.lexical import Lexical
from guardian.pipeline.decoding import ClockBounds, Decoder, Signature
from guardian.pipeline.judging import Judge
from guardian.pipeline.pipeline import Pipeline
from guardian.response.hearing import hear
from guardian.response.ladder import Ladder
from guardian.scoring.calibration import Calibration
from guardian.scoring.fusion import Fusion
from guardian.scoring.scorer import Scorer
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.signals.port import SignalFold
from guardian.sources.guardian import GuardianDecisions

NOW = datetime(2026, 5, 12, 17, 4, 11, tzinfo=UTC)
CALIBRATION = Calibration.fit(
    [i / 1000 for i in range(1000)],
    [-1 + 3 * i / 1000 for i in range(1000)],
    [3 * i / 1000 for i in range(1000)],
    source="a small sample",
)
BODY: dict[str, Any] = {
    "schema": "guardian.decision/v1",
    "id": "dec_0",
    "time": NOW.isoformat(),
    "gateway": "gw",
    "envelope": {
        "delegator_id": "user_7f3a91",
        "tenant_id": "acme",
        "session_id": "s1",
        "task_id": "task_1",
        "purpose": "review_customer_contract_for_renewal_risk",
        "allowed_tools": ["contracts.read", "crm.read"],
        "resource_constraints": {"contract_ids": ["contract_7781"], "max_records": 25},
        "expires_at": "2026-05-12T18:30:00Z",
        "agent_id": "agent_renewal_review",
    },
    "action": {
        "tool": "contracts.read",
        "arguments": {"contract_id": "contract_7781"},
        "resource": {"type": "contract", "id": "contract_7781"},
        "data_classes": ["renewal_terms"],
        "records": 1,
    },
    "decision": {"effect": "allow"},
    "result": {"status": "ok", "records": 1},
    "trace_id": "4bf92f",
}
WAYS_TO_PAY = tuple(f"payments.{way}" for way in ["send", "wire", "refund", "forward", "advance", "tip"])
WAYS_TO_PAY += tuple(f"payouts.{way}" for way in ["send", "wire", "refund", "forward", "advance", "tip"])


def body_of(number: int = 0, **changes: Any) -> dict[str, Any]:
    """The renewal review's call number n, with `a__b` replaced; `...` removes the field."""
    body = copy.deepcopy({**BODY, "id": f"dec_{number}"})
    for path, value in changes.items():
        at = body
        *above, last = path.split("__")
        for step in above:
            at = at[step]
        if value is ...:
            at.pop(last, None)
        else:
            at[last] = value
    return body


def record_of(value: Mapping[str, Any] | bytes, offset: int = 0, **more: Any) -> Record:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(**{"topic": "t", "partition": 0, "offset": offset, "value": raw, "timestamp": NOW, **more})


def judge_of(*, ladder: Ladder | None = None, signals: Iterable[str] | None = None, **more: Any) -> Judge:
    """Every signal there is, the drift model without weights, and a small calibration."""
    given = {"envelope_breach": {"tenants": frozenset({"tenant_globex"})}}
    folds: list[SignalFold] = [
        make("signals", name, {}, **given.get(name, {})) for name in signals or names("signals")
    ]
    return Judge(
        fit=Lexical().purpose_fit(),
        signals=folds,
        scorer=Scorer(Fusion({fold.name: fold.weight for fold in folds}), CALIBRATION),
        ladder=ladder or Ladder(),
        fingerprint=fingerprinter(b"for tests"),
        **{"versions": {"model": "lexical-1"}, **more},
    )


def decoder_of(
    *,
    clock: Callable[[], datetime] = lambda: NOW,
    entitlements: Mapping[str, frozenset[str]] | None = None,
    verify: Callable[[DecisionEvent], Signature] = unchecked,
    bounds: ClockBounds | None = None,
) -> Decoder:
    return Decoder(
        source=GuardianDecisions(),
        redactor=CredentialScanner(key=b"for tests"),
        verify=verify,
        clock=clock,
        entitlements=entitlements,
        bounds=bounds or ClockBounds(),
    )


@dataclass
class World:
    """What the monitor's store does between batches: it loads what is wanted and keeps what is judged."""

    pipeline: Pipeline
    memory: Memory = field(default_factory=Memory)
    findings: dict[str, Finding] = field(default_factory=dict)
    scored: list[ScoredDecision] = field(default_factory=list)
    duplicates: int = 0
    dead: int = 0

    def feed(self, *records: Record | Mapping[str, Any] | bytes) -> Judgement:
        """One batch."""
        batch = [r if isinstance(r, Record) else record_of(r, i) for i, r in enumerate(records)]
        decoded, letters = self.pipeline.decode(batch)
        wanted, memory = self.pipeline.wanted(decoded, letters), self.memory
        sessions = {k: v for k, v in memory.sessions.items() if k in wanted.sessions}
        tasks, above = wanted.all_tasks(sessions), wanted.above(sessions)
        loaded = Memory(
            sessions=sessions | {k: v for k, v in memory.sessions.items() if k in above},
            seen={k: v for k, v in memory.seen.items() if k in wanted.decisions},
            baselines={k: v for k, v in memory.baselines.items() if k in wanted.purposes},
            agent_purposes={k: v for k, v in memory.agent_purposes.items() if k in wanted.agents},
            task_reads={k: v for k, v in memory.task_reads.items() if k in tasks},
            registered={k: v for k, v in memory.registered.items() if k in wanted.registered},
        )
        judgement = self.pipeline.judge(decoded, letters, loaded).without(self.findings)
        self._keep(judgement)
        return judgement

    def hear(
        self,
        word: HumanWord,
        *,
        session: str = "s1",
        tenant: str = "acme",
        at: datetime = NOW,
        detail: str = "",
    ) -> None:
        key = SessionKey(tenant, session)
        lasting = {signal.name for signal in self.pipeline.judging.signals if signal.lasting}
        heard = hear(self.memory.sessions.get(key, SessionState()), word, at, detail, lasting=lasting)
        self.memory = dataclasses.replace(self.memory, sessions={**self.memory.sessions, key: heard})

    def register(self, envelope: Mapping[str, Any]) -> None:
        told = Envelope.model_validate_json(json.dumps(envelope))
        known = {**self.memory.registered, told.key: Grant(told, told.digest)}
        self.memory = dataclasses.replace(self.memory, registered=known)

    def state(self, session: str = "s1", tenant: str = "acme") -> SessionState:
        return self.memory.sessions[SessionKey(tenant, session)]

    def told(self, kind: Kind) -> list[Finding]:
        return [finding for finding in self.findings.values() if finding.kind is kind]

    def _keep(self, judgement: Judgement) -> None:
        reread = {k: SessionState.model_validate_json(s.model_dump_json()) for k, s in judgement.sessions.items()}
        self.memory = dataclasses.replace(
            self.memory,
            sessions={**self.memory.sessions, **reread},
            seen={**self.memory.seen, **judgement.seen},
            agent_purposes={**self.memory.agent_purposes, **judgement.agent_purposes},
            task_reads=self._task_reads(judgement),
        )
        for finding in judgement.findings:
            self.findings.setdefault(finding.id, finding)
        self.scored.extend(judgement.scored)
        self.duplicates += judgement.duplicates
        self.dead += len(judgement.dead_letters)

    def _task_reads(self, judgement: Judgement) -> dict[TaskKey, dict[str, SharedReads]]:
        kept = {task: dict(sessions) for task, sessions in self.memory.task_reads.items()}
        for (tenant, task, session), reads in judgement.task_reads.items():
            kept.setdefault(TaskKey(tenant, task), {})[session] = reads
        return kept


@pytest.fixture(scope="session")
def body() -> Callable[..., dict[str, Any]]:
    return body_of


@pytest.fixture(scope="session")
def record() -> Callable[..., Record]:
    return record_of


@pytest.fixture(scope="session")
def make_judge() -> Callable[..., Judge]:
    return judge_of


@pytest.fixture(scope="session")
def make_decoder() -> Callable[..., Decoder]:
    return decoder_of


@pytest.fixture(scope="session")
def new_world() -> Callable[..., World]:
    """A world of its own; `decoder` and the judge's own fields may be given."""

    def build(*, decoder: Decoder | None = None, **judge: Any) -> World:
        return World(Pipeline(decoder or decoder_of(), judge_of(**judge)))

    return build


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()


@pytest.fixture(scope="session")
def drifting() -> Callable[..., dict[str, Any]]:
    """A call that breaks no rule of its (too generous) envelope and fits its purpose badly; every one another."""

    def build(number: int, **changes: Any) -> dict[str, Any]:
        pays = {
            "tool": WAYS_TO_PAY[number % len(WAYS_TO_PAY)],
            "arguments": {"to": "mallory", "amount": 900},
        }
        return body_of(
            number, **{"envelope__allowed_tools": ["contracts.read", *WAYS_TO_PAY], "action": pays, **changes}
        )

    return build


@pytest.fixture(scope="session")
def later() -> Callable[[float], str]:
    """The time so many seconds after the first call, as a record says it."""
    return lambda seconds: (NOW + timedelta(seconds=seconds)).isoformat()


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW
