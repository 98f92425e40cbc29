"""The pages as they are served: a real control API behind them, a real archive, a clock moved by hand."""

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio.from_thread
import deployment
import httpx
import pytest
from deployment import START, Clock, Deployment
from serving import running
from starlette.testclient import TestClient

from guardian.archive.rows import pack
from guardian.archive.schema import EVENTS
from guardian.archive.writer import write_events
from guardian.bootstrap.console import open_identity, with_console
from guardian.bootstrap.visiting import visit_rule
from guardian.config import Settings
from guardian.control.advice.adviser import AdviceRule, Adviser
from guardian.control.app import create_app
from guardian.control.authentication.token_records import record_token
from guardian.control.deps import ControlDeps, ControlSettings
from guardian.domain.envelope import Envelope
from guardian.domain.finding import (
    Act,
    Effect,
    Evidence,
    Finding,
    Kind,
    NamedBreach,
    Reason,
    Subject,
    finding_id,
)
from guardian.keys.signing import SigningKeys
from guardian.keys.tokens import Tokens
from guardian.policy.cedar import CedarPolicies
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics
from guardian.wire.evidence import EvidenceClient
from guardian.wire.peers import Acknowledgement
from guardian.wire.principal import Principal, Role

policies, migrated = deployment.policies, deployment.migrated
LONG = timedelta(days=30)
PURPOSE = "Review the customer's contract for renewal risk"
_EMPTY: dict[str, Any] = dict.fromkeys(EVENTS.names)


def finding(
    session: str = "sess_1",
    *,
    tenant: str = "acme",
    n: int = 0,
    wanted: Effect = Effect.FLAG,
    one_in: float = 50_000,
    promised: bool = True,
    kind: Kind = Kind.DRIFT,
    hard: bool = False,
    title: str = "Actions no longer fit the declared purpose",
    purpose: str = PURPOSE,
    tool: str = "email.send",
    arguments: str = '{"to": "rival@example.net", "body": "customer list"}',
    argument: str | None = "to",
    time: datetime = START,
    **subject: Any,
) -> Finding:
    told = {"delegator_id": "user_7f3a", "agent_id": "agent_renewal_review", "task_id": "task_88"} | subject
    return Finding(
        id=finding_id(kind, tenant, session, n),
        kind=kind,
        tenant_id=tenant,
        session_id=session,
        transition=n,
        wanted=wanted,
        severity="high",
        title=title,
        subject=Subject(purpose=purpose, expires_at=START + timedelta(hours=9), **told),
        act=Act(
            decision_id=f"dec_{n + 3}",
            gateway="mcp-gw-1",
            tool=tool,
            arguments=arguments,
            argument=argument,
            time=time,
        ),
        reasons=(
            Reason(signal="purpose_fit", share=0.7, value=0.97, text="an e-mail is no part of a review"),
            Reason(signal="chain_exposure", share=0.3, value=0.61, text="sensitive reads, then a way out"),
        ),
        breaches=(NamedBreach(name="envelope_expired", detail="5 minutes after its expiry", hard=True),)
        if hard
        else (),
        evidence=Evidence(
            score=0.97,
            p_value=1e-4,
            session_evidence=5.1,
            one_in=one_in,
            promised=promised,
            independent_signals=3,
            actions_seen=n + 4,
        ),
        versions={"model": "abc123", "calibration": "def456"},
        correlation_id="cor_1",
        time=time,
    )


def row(
    n: int, *, session: str = "sess_1", tenant: str = "acme", at: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """One archived decision."""
    moment = at or START - timedelta(minutes=30) + timedelta(seconds=20 * n)
    return (
        _EMPTY
        | {"tenant_id": tenant, "gateway": "mcp-gw-1", "decision_id": f"dec_{n}", "digest": f"{n:064x}"}
        | {
            "at": moment,
            "event_time": moment,
            "origin": "live",
            "session_id": session,
            "delegator_id": "user_7f3a",
        }
        | {"agent_id": "agent_renewal_review", "task_id": "task_88", "purpose": PURPOSE, "purpose_family": PURPOSE}
        | {"allowed_tools": ["contracts.read", "crm.read", "tickets.create"], "constraints": '{"max_records": 25}'}
        | {"expires_at": START + timedelta(hours=9), "tool": "contracts.read", "effect": "allow", "records": 1}
        | {"arguments": json.dumps({"contract_id": f"contract_{n}"}), "resource_type": "contract", "score": 0.1}
        | {"data_classes": ["renewal_terms"], "one_in": 1.0 + n, "promised": True, "wanted": "none"}
        | {"signals": [("purpose_fit", 0.12)], "breaches": [], "features_missing": []}
        | more
    )


@dataclass
class Site(Deployment):
    """One deployment with its pages."""

    settings: Settings
    app: Any
    folder: Path
    url: str = ""
    _clients: list[TestClient] = field(default_factory=list)

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def token(self, name: str, role: Role, *tenants: str, ttl: timedelta = LONG) -> str:
        made = self.deps.tokens.issue(name, role=role, tenants=tenants or ("acme",), ttl=ttl, now=self.clock())
        with self.deps.store.write() as rows:
            record_token(rows, made)
        return made.text

    def api(self, name: str, role: Role, *tenants: str, ttl: timedelta = LONG) -> EvidenceClient:
        """The control API, not by way of the pages."""
        text = self.token(name, role, *tenants, ttl=ttl)
        return EvidenceClient("http://127.0.0.1:8731", lambda: text, transport=Bridge(self.app))

    def submit(self, told: Finding) -> Any:
        return self.api("monitor", "monitor", "*").submit(told)

    def enforce(self, tenant: str = "acme") -> None:
        asked = self.api("root", "admin", "*").set_mode(tenant, "enforce", reason="trusted")
        assert asked.approval is not None
        self.api("second", "approver", "*").decide_approval(asked.approval.id, "approve", reason="yes")

    def register(self, session: str = "sess_1", *, parent: str | None = None, **more: Any) -> None:
        envelope = Envelope(
            delegator_id="user_7f3a", tenant_id="acme", session_id=session, task_id="task_88", purpose=PURPOSE,
            allowed_tools=("contracts.read", "crm.read"), expires_at=START + timedelta(hours=9),
            agent_id="agent_renewal_review", parent_session_id=parent, **more,
        )  # fmt: skip
        self.api("delegation", "delegation", "*").register_envelope(envelope)

    def follow(self) -> None:
        """A gateway of acme holds the list."""
        gateway = self.api("mcp-gw-eu-1", "gateway")
        told = Acknowledgement(revision=str(gateway.revocations().revision), transport="push")
        gateway._send("POST", "/v1/revocations/ack", body=told)

    def archived(self, *rows: dict[str, Any], name: str = "group") -> None:
        write_events(self.archive, name, [pack(rows, EVENTS)])

    def link(self, name: str, role: Role, *tenants: str, path: str = "", ttl: timedelta = LONG) -> str:
        return self.api(name, role, *tenants, ttl=ttl).sign_in_link(path).url

    def browser(self) -> "Browser":
        """Somebody who is not signed in."""
        client = client_of(self.app)
        return Browser(self, client)

    def signed_in(self, name: str = "maya", role: Role = "responder", *tenants: str) -> "Browser":
        browser = self.browser()
        browser.come_in(self.link(name, role, *tenants))
        return browser


_PORTALS: list[Any] = []


def client_of(app: Any) -> TestClient:
    """All of them on one event loop: to start another for each request is most of what a request costs."""
    if not _PORTALS:
        _PORTALS.append(anyio.from_thread.start_blocking_portal())
        _PORTALS.append(_PORTALS[0].__enter__())
    client = TestClient(app, base_url="http://127.0.0.1:8731", follow_redirects=False)
    client.portal = _PORTALS[1]
    return client


@pytest.fixture(scope="session", autouse=True)
def one_event_loop() -> Iterator[None]:
    yield
    if _PORTALS:
        _PORTALS[0].__exit__(None, None, None)
        _PORTALS.clear()


class Bridge(httpx.BaseTransport):
    """Guardian's client, by way of the test client."""

    def __init__(self, app: Any) -> None:
        self._client = client_of(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        got = self._client.request(
            request.method, str(request.url), headers=dict(request.headers), content=request.read()
        )
        return httpx.Response(got.status_code, headers=dict(got.headers), content=got.content)


@dataclass
class Browser:
    """A person's browser without a window: it keeps cookies and fills in forms."""

    site: Site
    client: TestClient

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers)

    def page(self, path: str = "/console") -> str:
        got = self.get(path)
        assert got.status_code == 200, (got.status_code, got.headers.get("location"), got.text[:2000])
        return str(got.text)

    def session(self, session: str = "sess_1", tenant: str = "acme", **query: Any) -> str:
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return self.page(f"/console/session?tenant={tenant}&id={session}{more}")

    def come_in(self, url: str) -> Any:
        code = re.search(r"code=([\w-]+)", url)
        after = re.search(r"next=([^&]+)", url)
        assert code
        fields = {"code": code[1], "next": unescape(after[1]) if after else ""}
        return self.post("/console/link", fields)

    def post(self, path: str, fields: dict[str, str], *, origin: str | None = "http://127.0.0.1:8731") -> Any:
        headers = {} if origin is None else {"origin": origin}
        return self.client.post(path, data=fields, headers=headers)

    def form(self, html: str, verb: str) -> dict[str, str]:
        """The fields of the form that has this button, with a reason."""
        for form in re.findall(r"<form.*?</form>", html, re.DOTALL):
            if f'value="{verb}"' in form:
                hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
                return {name: unescape(value) for name, value in hidden} | {"verb": verb, "reason": "looked at it"}
        raise AssertionError(f"no button {verb}")

    def press(self, html: str, verb: str, **fields: str) -> Any:
        return self.post("/console/act", self.form(html, verb) | fields)

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.page())
        assert found
        return found[1]


@pytest.fixture(scope="session")
def scribe() -> Any:
    """`finding` and `row` write what a test wants to be found."""
    return SimpleNamespace(
        finding=finding, row=row, START=START, PURPOSE=PURPOSE, serve=serve, furnished=furnished
    )


def build(
    folder: Path, policies: CedarPolicies, *, url: str = "", adviser: Adviser | None = None, **more: Any
) -> Site:
    """A deployment in this folder, which holds a migrated database."""
    port = int(url.rpartition(":")[2]) if url else 8731
    clock = Clock()
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    keys = folder / "keys.json"
    told = {"archive": {"path": "archive"}, "console": {"enabled": True} | more.pop("console", {})} | more
    settings = Settings(base=folder, **told)  # type: ignore[arg-type]
    store = ControlStore.open(f"sqlite:///{folder}/control.db", now=clock())

    def revoked(principal: Principal) -> bool:
        with store.read() as rows:
            return not rows.tokens.vouches_for(principal)

    deps = ControlDeps(
        store=store,
        pdp=policies,
        tokens=Tokens(
            SigningKeys(keys) if keys.exists() else SigningKeys.create(keys),
            "guardian",
            "guardian-control",
            revoked,
        ),
        clock=clock,
        metrics=Metrics(),
        settings=ControlSettings(
            public_url=settings.control.public_url,
            console=visit_rule(settings, port=port),
            advice=AdviceRule(budget_s=60),
        ),
        adviser=adviser,
    )
    rule = deps.settings.console
    identity = None if rule is None else open_identity(settings, rule.url)
    return Site(deps, clock, settings, with_console(settings, deps, create_app(deps), identity), folder, url)


@pytest.fixture
def make_site(tmp_path: Path, policies: CedarPolicies, migrated: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(**more: Any) -> Site:
        folder = tmp_path / str(len(made))
        shutil.copytree(migrated, folder)
        site = build(folder, policies, **more)
        made.append(site)
        return site

    yield make
    for site in made:
        site.deps.store.close()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, policies: CedarPolicies, migrated: Path) -> Path:
    """Furnished once, and copied from then on."""
    folder = tmp_path_factory.mktemp("house") / "site"
    shutil.copytree(migrated, folder)
    furnished(build(folder, policies)).deps.store.close()
    return folder


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, policies: CedarPolicies, house: Path) -> Iterator[Site]:
    """The same, shared by tests that change nothing in it."""
    folder = tmp_path_factory.mktemp("still") / "site"
    shutil.copytree(house, folder)
    site = build(folder, policies)
    yield site
    site.deps.store.close()


@pytest.fixture
def site(tmp_path: Path, policies: CedarPolicies, house: Path) -> Iterator[Site]:
    """One flagged session with a relative and another like it, eight archived actions."""
    shutil.copytree(house, tmp_path / "site")
    site = build(tmp_path / "site", policies)
    yield site
    site.deps.store.close()


def furnished(site: Site) -> Site:
    site.register("sess_0")
    site.register("sess_1", parent="sess_0")
    told = finding()
    site.submit(told)
    site.submit(finding("sess_7", n=1))
    rows = [row(n) for n in range(7)]
    rows.append(row(7, tool="email.send", one_in=50_000.0, wanted="flag", finding_id=told.id, score=0.97,
                    signals=[("purpose_fit", 0.97), ("chain_exposure", 0.61)]))  # fmt: skip
    site.archived(*rows)
    return site


@contextmanager
def serve(folder: Path, policies: CedarPolicies, **more: Any) -> Iterator[Site]:
    """The site on a socket, for a browser with a window."""
    listener = socket.create_server(("127.0.0.1", 0))
    site = build(folder, policies, url=f"http://127.0.0.1:{listener.getsockname()[1]}", **more)
    with running(site.app, listener):
        yield site
    site.deps.store.close()
