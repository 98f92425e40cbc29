"""What the control API is given. It builds none of these parts itself."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from guardian.control.advice.adviser import AdviceRule, Adviser
from guardian.control.authentication.certificates import ClientCertificates
from guardian.control.remembered import DecisionPointWatch, Seldom
from guardian.control.switch import SwitchRule
from guardian.control.watchers.peers import PeersHeard, Watched
from guardian.keys.bundle import BundleKey
from guardian.keys.tokens import Tokens
from guardian.policy.port import PolicyDecisionPoint
from guardian.revocation.expiry import ExpiryRule
from guardian.revocation.port import Face
from guardian.revocation.signing import ListSigner
from guardian.revocation.snapshot import SnapshotFace
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.store.sure_time import Sure
from guardian.telemetry import Metrics
from guardian.wire.base import Mode
from guardian.wire.principal import Role
from guardian.wire.sessions import ModeView


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """A tenant's breaker opens when automatic revocations within `window` reach the limit.

    The limit is `least`, or `factor` times the tenant's usual number per window over the `usual` time before,
    whichever is more. It stays open for `cooldown` unless a person resets it.
    """

    window: timedelta = timedelta(minutes=10)
    least: int = 10
    factor: int = 5
    usual: timedelta = timedelta(days=7)
    cooldown: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.least < 1 or self.factor < 1:
            raise ValueError(f"breaker: least {self.least} and factor {self.factor} must be at least 1")
        if not timedelta(0) < self.window <= self.usual or self.cooldown <= timedelta(0):
            raise ValueError("breaker: window, usual and cooldown must be positive, usual at least one window")


@dataclass(frozen=True, slots=True)
class VisitRule:
    """Sign-ins to the evidence pages at `url`: how long a visit may be idle and may last, and a link may wait.

    `people` may sign in through the identity provider, with this role and these tenants. A visit of anybody who is
    not listed is over.
    """

    url: str
    idle: timedelta = timedelta(minutes=30)
    life: timedelta = timedelta(hours=8)
    link_life: timedelta = timedelta(minutes=5)
    people: Mapping[str, tuple[Role, frozenset[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Plain values. The budget counts automatic revocations per tenant within a sliding window.

    `protected` names agents and sessions by tenant, besides those that people protect one by one. `on_call` names
    principals by tenant, `purpose_owners` by purpose family. `solo`: one person runs this deployment, and may do
    alone what otherwise takes two. At most `approvals_waiting` acts of a tenant wait for a second person.
    `console` is set where there are evidence pages; alerts link to them where `public_url` is set too.
    `event_issuer` issues security events, unless whoever issues tokens does.
    """

    default_mode: Mode = "shadow"
    budget_total: int = 20
    budget_reserved: int = 5
    budget_window: timedelta = timedelta(hours=1)
    expiry: ExpiryRule = field(default_factory=ExpiryRule)
    max_body_bytes: int = 1024 * 1024
    long_poll_max_s: int = 30
    sweep_every_s: float = 30.0
    protected: Mapping[str, frozenset[str]] = field(default_factory=dict)
    solo: bool = False
    on_call: Mapping[str, frozenset[str]] = field(default_factory=dict)
    purpose_owners: Mapping[str, frozenset[str]] = field(default_factory=dict)
    approval_life: timedelta = timedelta(hours=4)
    approvals_waiting: int = 200
    break_glass_most: timedelta = timedelta(hours=1)
    exception_days: int = 90
    breaker: BreakerRule = field(default_factory=BreakerRule)
    client_certificates: ClientCertificates | None = None
    advice: AdviceRule = field(default_factory=AdviceRule)
    public_url: str | None = None
    event_issuer: str | None = None
    switch: SwitchRule = field(default_factory=SwitchRule)
    console: VisitRule | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.budget_reserved <= self.budget_total:
            raise ValueError(
                f"budget: reserved_for_breaches {self.budget_reserved} must lie between 0 and revocations"
                f" {self.budget_total}"
            )
        if self.budget_window <= timedelta(0):
            raise ValueError(f"budget: the window must be longer than {self.budget_window}")


class Planter(Protocol):
    """Puts decisions on the live topic. `places` are its partitions; `plant` returns when the broker has it."""

    def places(self) -> Sequence[int]: ...

    def plant(self, place: int, session_id: str, line: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class ControlDeps:
    """Everything behind the routes. `stopwatch` counts seconds, to measure durations; `new_id` names requests.

    `outage` and `refused_reads` are what this process remembers between requests. `unsigned` says why the audit
    trail is not signed, while that lasts, and `kept_in` why its checkpoints do not get out. By `steady` time goes
    on where the clock jumps.
    """

    store: ControlStore
    pdp: PolicyDecisionPoint
    tokens: Tokens
    clock: Callable[[], datetime]
    metrics: Metrics
    settings: ControlSettings = field(default_factory=ControlSettings)
    face: Face = field(default_factory=SnapshotFace)
    stopwatch: Callable[[], float] = time.perf_counter
    new_id: Callable[[], str] = field(default=lambda: secrets.token_hex(8))
    outage: DecisionPointWatch = field(default_factory=DecisionPointWatch)
    refused_reads: Seldom = field(default_factory=Seldom)
    signer: ListSigner | None = None
    bundle_key: BundleKey | None = None
    peers: PeersHeard = field(default_factory=PeersHeard)
    watched: Watched = field(default_factory=Watched)
    planter: Planter | None = None
    adviser: Adviser | None = None
    unsigned: Callable[[], str] = field(default=lambda: "")
    kept_in: Callable[[], str] = field(default=lambda: "")
    steady: Sure = field(default=lambda now: now)

    def sure(self, now: datetime) -> datetime:
        """By what ends for good goes: the time that has come by what passed here, and by the database's server."""
        return min(self.steady(now), now + self.watched.apart)

    def mode_of(self, rows: ControlRows, tenant_id: str) -> ModeView:
        """The tenant's mode: the stored one, else the configured default."""
        return rows.modes.get(tenant_id) or ModeView(tenant_id=tenant_id, mode=self.settings.default_mode)

    @property
    def policy_version(self) -> str:
        """The version of the policies in force; `unknown` while the decision point cannot even say that."""
        try:
            return self.pdp.version
        except Exception:
            return "unknown"
