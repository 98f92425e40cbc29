"""A real control API over a real store, with a clock that tests move by hand."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import deployment
import pytest
from deployment import AT_ONCE, START, Clock, Deployment
from starlette.testclient import TestClient
from whole_store import ledger_entries

from guardian.control import app, lapse
from guardian.control.advice.adviser import AdviceRule
from guardian.control.app import create_app
from guardian.control.deps import ControlDeps, ControlSettings
from guardian.control.revocations import descendants, lifting
from guardian.control.revocations.walking import Waits, follow_on
from guardian.control.switch import SwitchRule
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Evidence, Finding, Kind, NamedBreach, Subject, finding_id
from guardian.keys.bundle import BundleKey
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens
from guardian.policy.cedar import CedarPolicies
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.revocation.signing import ListSigner
from guardian.revocation.snapshot import SnapshotFace
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics
from guardian.wire.principal import Principal, Role

policies, migrated = deployment.policies, deployment.migrated
STRONG = Evidence(
    score=0.97, p_value=1e-4, session_evidence=5.1, one_in=50_000, promised=True, independent_signals=3
)
HARD = (NamedBreach(name="envelope_expired", detail="used 5 minutes after its expiry", hard=True),)


@dataclass
class Stage(Deployment):
    """One deployment: its parts, its application, and short words for what tests do with it."""

    client: TestClient
    _tokens: dict[tuple[str, str, tuple[str, ...]], str] = field(default_factory=dict)

    def token(self, role: Role, *tenants: str, who: str | None = None) -> str:
        """One person per role unless `who` names another."""
        name, reach = who or f"{role}-1", tenants or ("acme",)
        if (name, role, reach) not in self._tokens:
            issued = self.deps.tokens.issue(
                name, role=role, tenants=reach, ttl=timedelta(days=400), now=self.clock()
            )
            self._tokens[name, role, reach] = issued.text
        return self._tokens[name, role, reach]

    def call(
        self, method: str, path: str, role: Role = "admin", *tenants: str, who: str | None = None, **more: Any
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.token(role, *tenants, who=who)}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def submit(self, finding: Finding, role: Role = "monitor", *tenants: str) -> Any:
        body = finding.model_dump_json()
        return self.call(
            "POST", "/v1/findings", role, *tenants, content=body, headers={"Content-Type": "application/json"}
        )

    def enforce(self, tenant: str = "acme") -> None:
        """An admin asks, an approver approves."""
        body = {"mode": "enforce", "reason": "trusted"}
        self.two("PUT", f"/v1/modes/{tenant}", "admin", "*", json=body)

    def revoke(self, session: str = "sess_1", reason: str = "stop") -> Any:
        """A responder, by hand."""
        return self.call("POST", f"/v1/sessions/acme/{session}/revoke", "responder", json={"reason": reason})

    def status(self, session: str = "sess_1") -> str:
        return str(self.call("GET", f"/v1/sessions/acme/{session}").json()["session"]["status"])

    def ledger(self) -> list[tuple[str, str, str]]:
        """Status, reason code and actor of every entry."""
        with self.deps.store.read() as rows:
            return [(entry.status, entry.reason_code, entry.actor) for entry in ledger_entries(rows)]

    def reinstate(self, session: str = "sess_1", tenant: str = "acme", reason: str = "ours") -> Any:
        """A responder asks, an approver approves."""
        path = f"/v1/sessions/{tenant}/{session}/reinstate"
        return self.two("POST", path, "responder", tenant, json={"reason": reason})

    def two(self, method: str, path: str, role: Role, *tenants: str, **more: Any) -> Any:
        """An act that takes two, and the second person's word; the decided approval."""
        asked = self.call(method, path, role, *tenants, **more)
        assert asked.status_code == 202, asked.text
        decided = self.decide(asked.json()["approval"]["id"], "approve", "approver", *tenants)
        assert decided.status_code == 200, decided.text
        return decided.json()

    def decide(
        self, approval: str, decision: str, role: Role = "approver", *tenants: str, who: str | None = None
    ) -> Any:
        body = {"decision": decision, "reason": "looked at it"}
        return self.call("POST", f"/v1/approvals/{approval}/decision", role, *tenants, who=who, json=body)

    def delegate(self, session: str, parent: str | None = None, **more: Any) -> None:
        """Register a version of its envelope."""
        told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, "purpose": "review", **more}
        body = {"envelope": {**told, "parent_session_id": parent}}
        assert self.call("POST", "/v1/envelopes", "delegation", json=body).status_code in (200, 201)

    def line(self) -> None:
        """root → child → grandchild"""
        for session, parent in (("root", None), ("child", "root"), ("grandchild", "child")):
            self.delegate(session, parent)

    def write_down(self, session: str, *parents: str, **more: Any) -> None:
        """One version of the envelope for each parent, without a call."""
        with self.deps.store.write() as rows:
            self._write_down(rows, session, *parents, **more)

    def _write_down(self, rows: ControlRows, session: str, *parents: str, **more: Any) -> None:
        for parent in parents or (None,):
            told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, **more}
            told |= {"purpose": f"for {parent}", "parent_session_id": parent}
            rows.envelopes.add(Envelope(**told), by="gw", now=self.clock())

    def brood(self, many: int, *parents: str) -> set[str]:
        """So many sessions that these delegated."""
        names = [f"c{n:03}" for n in range(many)]
        with self.deps.store.write() as rows:
            for name in names:
                self._write_down(rows, name, *parents)
        return set(names)

    def live(self) -> dict[str, str]:
        """What is revoked now, and why."""
        return {entry["subject_id"]: entry["reason_code"] for entry in self.revocations().json()["entries"]}

    def walk(self, minutes: int = 0) -> None:
        """Go on with what did not come to its end at once: to the end, or for so long."""
        waits: Waits = {}
        until = self.clock() + timedelta(minutes=minutes)
        while (again := follow_on(self.deps, waits)) is not None and (not minutes or self.clock() < until):
            self.clock.pass_(seconds=again)

    def news(self) -> list[str]:
        """The titles of what control told people of itself."""
        found = self.call("GET", "/v1/findings", params={"kind": "control"}).json()["items"]
        return [each["finding"]["title"] for each in found]

    def revocations(self, *tenants: str, **more: Any) -> Any:
        return self.call("GET", "/v1/revocations", "gateway", *tenants, **more)


def finding(
    session: str = "sess_1",
    *,
    tenant: str = "acme",
    n: int = 0,
    epoch: int = 0,
    wanted: Effect = Effect.REVOKE,
    evidence: Evidence = STRONG,
    breaches: tuple[NamedBreach, ...] = (),
    time: datetime = START,
    expires_at: datetime | None = START + timedelta(hours=2),
    title: str = "left its purpose",
) -> Finding:
    return Finding(
        id=finding_id(Kind.DRIFT, tenant, session, epoch, n),
        kind=Kind.DRIFT,
        tenant_id=tenant,
        session_id=session,
        epoch=epoch,
        transition=n,
        wanted=wanted,
        severity="high",
        title=title,
        subject=Subject(
            delegator_id="user_1", agent_id="agent_1", purpose="review_contract", expires_at=expires_at
        ),
        breaches=breaches,
        evidence=evidence,
        correlation_id="cor_1",
        time=time,
    )


def enter(client: TestClient, store: ControlStore) -> None:
    """Start the application, and let the sweep be over that every start begins with."""
    swept, tidy = threading.Event(), store.tidy
    store.tidy = lambda: (tidy(), swept.set())  # type: ignore[method-assign, assignment, func-returns-value]
    client.__enter__()
    assert swept.wait(60)
    del store.tidy


@pytest.fixture
def make_stage(tmp_path: Path, policies: CedarPolicies, migrated: Path) -> Iterator[Callable[..., Stage]]:
    """By itself a stage neither sweeps nor watches, nor runs out of patience with the adviser, however long a test
    takes: its clock is the tests' own."""
    stages: list[Stage] = []

    def make(**settings: Any) -> Stage:
        by_itself = {"switch": SwitchRule(watch_every_s=3600), "sweep_every_s": 3600.0}
        settings = {**by_itself, "advice": AdviceRule(budget_s=60), **settings}
        folder = tmp_path / str(len(stages))
        shutil.copytree(migrated, folder)
        clock = Clock()
        url = settings.pop("url", f"sqlite:///{folder}/control.db")
        store = ControlStore.open(url, now=clock(), epoch_file=folder / "epoch")

        def revoked(principal: Principal) -> bool:
            with store.read() as rows:
                return any(row.jti == principal.jti and row.revoked_at for row in rows.tokens.all())

        tokens = Tokens(
            SigningKeys.create(folder / "keys.json"), "https://guardian.test", "guardian-control", revoked
        )
        deps = ControlDeps(
            store=store,
            pdp=settings.pop("pdp", policies),
            tokens=tokens,
            clock=clock,
            stopwatch=settings.pop("stopwatch", lambda: clock.now.timestamp()),
            metrics=Metrics(),
            face=settings.pop("face", SnapshotFace()),
            signer=ListSigner(tokens.keys, tokens.issuer),
            bundle_key=BundleKey(folder / "opa.jwk.json"),
            planter=settings.pop("planter", None),
            adviser=settings.pop("adviser", None),
            steady=settings.pop("steady", lambda now: now),
            settings=ControlSettings(**settings),
        )
        client = TestClient(create_app(deps), raise_server_exceptions=False)
        enter(client, store)
        stage = Stage(deps, clock, client)
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        stage.client.__exit__(None, None, None)
        stage.deps.store.close()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()


@pytest.fixture
def walks_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's own loop would go on at any moment; test_housekeeping tests that it does."""
    monkeypatch.setattr(app, "follow_on", lambda _deps, _waits: None)


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes several transactions takes them with few sessions, too."""
    for module, name in ((descendants, "AT_ONCE"), (lifting, "AT_ONCE"), (lapse, "_BATCH")):
        monkeypatch.setattr(module, name, AT_ONCE)


@pytest.fixture
def family(walks_by_hand: None, stage: Stage) -> Stage:
    """root → child → grandchild, and a stranger."""
    stage.line()
    stage.delegate("stranger")
    return stage


@pytest.fixture
def a_finding() -> Callable[..., Finding]:
    return finding


@pytest.fixture
def hard() -> tuple[NamedBreach, ...]:
    return HARD


@pytest.fixture
def weak() -> Evidence:
    return Evidence(score=0.6, p_value=0.01, session_evidence=1.2, one_in=300, independent_signals=1)


class Mute:
    """A decision point that gives no answer `about` revoking some sessions, and how often it was asked."""

    version = "x"

    def __init__(self, policies: CedarPolicies) -> None:
        self._policies, self.about, self.asked = policies, set[str](), 0

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        if request.action == "revoke" and request.session is not None and request.session.session_id in self.about:
            self.asked += 1
            raise TimeoutError
        return self._policies.decide(request)


@pytest.fixture
def mute(policies: CedarPolicies) -> Mute:
    return Mute(policies)


@pytest.fixture
def mutely(make_stage: Callable[..., Stage], mute: Mute) -> Stage:
    return make_stage(pdp=mute)
