"""A real control API on a socket, its cases in a Slack of our own, and people who click there."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import deployment
import httpx
import pytest
from deployment import START, Clock, Deployment
from serving import running
from slack_sdk.http_retry import builtin_handlers
from slack_server import CHANNEL, TOKEN, SlackServer
from slack_server.people import SECRET, click, command, interaction, signed, submission
from slack_server.rates import Rates

from guardian.alerting.slack import SlackOptions
from guardian.alerting.worker import AlertWorker
from guardian.bootstrap.slack import SlackQueue
from guardian.config import Settings
from guardian.control.advice.adviser import AdviceRule, Adviser
from guardian.control.app import create_app
from guardian.control.cases.outbox import CaseOutbox
from guardian.control.deps import ControlDeps, ControlSettings
from guardian.domain.finding import (
    Act,
    Effect,
    Evidence,
    Finding,
    Kind,
    NamedBreach,
    Reason,
    Severity,
    Subject,
    finding_id,
)
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens
from guardian.policy.cedar import CedarPolicies
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics
from guardian.wire.desk import DeskClient
from guardian.wire.principal import Role

policies, migrated = deployment.policies, deployment.migrated
MAYA, LEE, ANN, STRANGER, GLOBEX = "U0MAYA", "U0LEE", "U0ANN", "U0NOBODY", "U0GLOBEX"
PEOPLE = {
    "maya": {"slack": MAYA, "role": "responder", "tenants": ["acme"]},
    "lee": {"slack": LEE, "role": "approver", "tenants": ["acme"]},
    "ann": {"email": "ann@acme.example", "role": "analyst", "tenants": ["acme"]},
    "gil": {"slack": GLOBEX, "role": "responder", "tenants": ["globex"]},
}


def finding(
    session: str = "sess_1",
    *,
    tenant: str = "acme",
    n: int = 0,
    epoch: int = 0,
    wanted: Effect = Effect.FLAG,
    severity: Severity = "high",
    tool: str = "email.send",
    one_in: float = 50_000,
    promised: bool = True,
    hard: bool = False,
    time: datetime = START,
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
        severity=severity,
        title=title,
        subject=Subject(
            delegator_id="user_1",
            agent_id="agent_1",
            purpose="review_contract",
            expires_at=START + timedelta(hours=9),
        ),
        act=Act(decision_id=f"dec_{n}", gateway="gw-1", tool=tool, arguments='{"to": "x@y.example"}', time=time),
        reasons=(Reason(signal="purpose_fit", share=0.7, value=0.97, text="no part of a review"),),
        breaches=(NamedBreach(name="envelope_expired", detail="", hard=True),) if hard else (),
        evidence=Evidence(
            score=0.97,
            p_value=1e-4,
            session_evidence=5.1,
            one_in=one_in,
            promised=promised,
            independent_signals=3,
            actions_seen=n + 5,
        ),
        correlation_id="cor_1",
        time=time,
    )


@dataclass
class Office(Deployment):
    """One deployment and its Slack. The worker runs by hand, on the clock, so that tests say when."""

    slack: SlackServer
    options: SlackOptions
    outbox: CaseOutbox
    worker: AlertWorker
    url: str = ""
    queue: SlackQueue | None = None

    def client(self, name: str, role: Role, *tenants: str) -> DeskClient:
        reach = tenants or ("acme",)

        def token() -> str:
            life = timedelta(days=400)
            return self.deps.tokens.issue(name, role=role, tenants=reach, ttl=life, now=self.clock()).text

        return DeskClient(self.url, token)

    def submit(self, told: Finding) -> Any:
        with self.client("monitor", "monitor", "*") as monitor:
            return monitor.submit(told)

    def ask(self, session: str = "sess_1", tool: str = "email.send") -> Any:
        """A gateway asks before it lets a call through."""
        envelope = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, "purpose": "review"}
        body = {
            "subject": {"type": "session", "id": session},
            "action": {"name": tool},
            "resource": {"type": "customer", "id": "c1"},
            "context": {"envelope": {**envelope, "allowed_tools": [tool], "agent_id": "agent_1"}},
        }
        life = timedelta(days=400)
        token = self.deps.tokens.issue("gw-1", role="gateway", tenants=("acme",), ttl=life, now=self.clock()).text
        headers = {"Authorization": f"Bearer {token}"}
        got = httpx.post(f"{self.url}/v1/advise", json=body, headers=headers, timeout=30)
        return got.json()["context"]

    def enforce(self, tenant: str = "acme") -> None:
        with self.client("root", "admin", "*") as admin, self.client("two", "approver", "*") as second:
            asked = admin.set_mode(tenant, "enforce", reason="trusted")
            assert asked.approval is not None
            second.decide_approval(asked.approval.id, "approve", reason="yes")
        self.settle()

    def settle(self, most: int = 5000) -> None:
        """Write all that is due now."""
        for _ in range(most):
            if not self.worker.step():
                return
        raise AssertionError("it never comes to rest")

    def after(self, **amount: float) -> None:
        self.clock.pass_(**amount)
        self.settle()

    def root(self, session: str = "sess_1") -> dict[str, Any]:
        """The one message of this session's case."""
        (found,) = [m for m in self.slack.roots() if f"`{session}`" in str(m.get("blocks"))]
        return found

    def text(self, session: str = "sess_1") -> str:
        return str(self.root(session)["blocks"])

    def send(self, payload: dict[str, Any], path: str = "interactions", **headers: str) -> httpx.Response:
        body = interaction(payload)
        return httpx.post(
            f"{self.url}/slack/{path}", content=body, headers={**signed(body), **headers}, timeout=30
        )

    def click(self, button: str, user: str = MAYA, message: dict[str, Any] | None = None) -> httpx.Response:
        return self.send(click(self.slack, message or self.root(), button, user))

    def fill_in(self, user: str = MAYA, **fields: str) -> httpx.Response:
        """Fill in the newest form."""
        view = self.slack.views[-1]
        return self.send(submission(view, user, **{"reason": "looked at it", **fields}))

    def told(self, count: int = 1) -> str:
        """What the person was told who clicked, when `count` such messages are there."""
        return str(self.slack.until(lambda: self.slack.ephemeral[count - 1 :])[0]["text"])

    def form(self, count: int = 1) -> dict[str, Any]:
        return dict(self.slack.until(lambda: self.slack.views[count - 1 :])[0])

    def command(self, text: str, user: str = MAYA) -> str:
        """What the slash command was answered."""
        from urllib.parse import urlencode

        answers = len(self.slack.answers)
        url = self.slack.url.removesuffix("api/") + f"respond/{answers}"
        body = urlencode(command(text, user, channel=CHANNEL, response_url=url)).encode()
        got = httpx.post(f"{self.url}/slack/commands", content=body, headers=signed(body), timeout=30)
        assert got.status_code == 200, got.text
        return str(self.slack.until(lambda: self.slack.answers[answers:])[0]["text"])


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with SlackServer() as server:
        yield server


@pytest.fixture
def make_office(
    tmp_path: Path,
    policies: CedarPolicies,
    migrated: Path,
    slack: SlackServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Office]]:
    made, open_ = count(), ExitStack()

    def make(
        *,
        serve: bool = True,
        app_token: str | None = None,
        adviser: Adviser | None = None,
        timeout: int = 30,
        **options: Any,
    ) -> Office:
        folder = tmp_path / str(next(made))
        shutil.copytree(migrated, folder)
        clock = Clock()
        slack.rates = Rates(clock.seconds)
        slack.wall, slack.clock = (lambda: clock.now.timestamp()), clock.seconds
        monkeypatch.setattr(builtin_handlers, "time", SimpleNamespace(sleep=clock.sleep))  # a Retry-After
        store = ControlStore.open(f"sqlite:///{folder}/control.db", now=clock())
        tokens = Tokens(SigningKeys.create(folder / "keys.json"), "guardian", "guardian-control", lambda _: False)
        deps = ControlDeps(
            store=store,
            pdp=policies,
            tokens=tokens,
            clock=clock,
            stopwatch=clock.seconds,
            metrics=Metrics(),
            settings=ControlSettings(public_url="https://guardian.example", advice=AdviceRule(budget_s=60)),
            adviser=adviser,
        )
        chosen = SlackOptions(channel=CHANNEL, token=TOKEN, base_url=slack.url, timeout=timeout, **options)
        outbox = CaseOutbox(deps, chosen.rules())
        channel = chosen.open(clock.given)
        worker = AlertWorker(outbox, channel, metrics=deps.metrics, now=clock, jitter=lambda: 0.5)
        office = Office(deps, clock, slack, chosen, outbox, worker)
        secrets = {"token": TOKEN, "signing_secret": SECRET, "app_token": app_token}
        settings = Settings(slack={**secrets, "people": PEOPLE})  # type: ignore[arg-type]
        queue = office.queue = SlackQueue(settings, chosen, deps, url=lambda: office.url)
        open_.callback(store.close)
        if serve:
            office.url = open_.enter_context(running(create_app(deps, slack=queue.door)))
        open_.callback(queue.stop)
        return office

    with open_:
        yield make


@pytest.fixture
def office(make_office: Callable[..., Office]) -> Office:
    return make_office()


@pytest.fixture
def a_finding() -> Callable[..., Finding]:
    return finding
