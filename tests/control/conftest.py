"""A real control API over a real store, with a clock that tests move by hand."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardian.control.app import create_app
from guardian.control.deps import ControlDeps, ControlSettings
from guardian.domain.finding import Effect, Evidence, Finding, Kind, NamedBreach, Subject, finding_id
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens
from guardian.policy.cedar import CedarPolicies
from guardian.revocation.snapshot import SnapshotFace
from guardian.store.control import ControlStore
from guardian.telemetry import Metrics
from guardian.wire.principal import Role

START = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
POLICIES = Path(__file__).parents[2] / "config" / "policies"
STRONG = Evidence(
    score=0.97, p_value=1e-4, session_evidence=5.1, one_in=50_000, promised=True, independent_signals=3
)
HARD = (NamedBreach(name="expired_envelope", detail="used 5 minutes after its expiry", hard=True),)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class Stage:
    """One deployment: its parts, its application, and short words for what tests do with it."""

    deps: ControlDeps
    clock: Clock
    client: TestClient
    _tokens: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def token(self, role: Role, *tenants: str) -> str:
        reach = tenants or ("acme",)
        if (role, reach) not in self._tokens:
            issued = self.deps.tokens.issue(
                f"{role}-1", role=role, tenants=reach, ttl=timedelta(days=400), now=self.clock()
            )
            self._tokens[role, reach] = issued.text
        return self._tokens[role, reach]

    def call(self, method: str, path: str, role: Role = "admin", *tenants: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token(role, *tenants)}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def submit(self, finding: Finding, role: Role = "monitor", *tenants: str) -> Any:
        body = finding.model_dump_json()
        return self.call(
            "POST", "/v1/findings", role, *tenants, content=body, headers={"Content-Type": "application/json"}
        )

    def enforce(self, tenant: str = "acme") -> None:
        body = {"mode": "enforce", "reason": "trusted"}
        assert self.call("PUT", f"/v1/modes/{tenant}", "admin", "*", json=body).status_code == 200

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


@pytest.fixture(scope="session")
def policies() -> CedarPolicies:
    return CedarPolicies.from_folder(POLICIES)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, migrated once and copied from then on."""
    folder = tmp_path_factory.mktemp("migrated")
    ControlStore.open(f"sqlite:///{folder}/control.db", now=START).close()
    return folder


@pytest.fixture
def make_stage(tmp_path: Path, policies: CedarPolicies, migrated: Path) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(**settings: Any) -> Stage:
        folder = tmp_path / str(len(stages))
        shutil.copytree(migrated, folder)
        clock = Clock()
        store = ControlStore.open(f"sqlite:///{folder}/control.db", now=clock())

        def revoked(jti: str) -> bool:
            with store.read() as rows:
                return rows.tokens.is_revoked(jti)

        tokens = Tokens(
            SigningKeys.create(folder / "keys.json"), "https://guardian.test", "guardian-control", revoked
        )
        deps = ControlDeps(
            store=store,
            pdp=settings.pop("pdp", policies),
            tokens=tokens,
            clock=clock,
            metrics=Metrics(),
            face=settings.pop("face", SnapshotFace()),
            settings=ControlSettings(**settings),
        )
        client = TestClient(create_app(deps), raise_server_exceptions=False)
        client.__enter__()
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
def a_finding() -> Callable[..., Finding]:
    return finding


@pytest.fixture
def hard() -> tuple[NamedBreach, ...]:
    return HARD


@pytest.fixture
def weak() -> Evidence:
    return Evidence(score=0.6, p_value=0.01, session_evidence=1.2, one_in=300, independent_signals=1)
