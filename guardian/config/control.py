"""The control API, its limits, keys and people."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr

from guardian.config.base import (
    Days,
    Host,
    HttpAddress,
    Name,
    OneTenant,
    Options,
    PersonName,
    Seconds,
    Section,
    TenantOrEvery,
    Topic,
    Word,
)
from guardian.wire.principal import PersonRole, Role


class BudgetSection(Section):
    window_s: Seconds = 3600.0
    revocations: Annotated[int, Field(ge=0)] = 20
    reserved_for_breaches: Annotated[int, Field(ge=0)] = 5


class ApprovalSection(Section):
    ttl_s: Seconds = 14_400.0  # an act that nobody approved by then is over
    most_waiting: Annotated[int, Field(ge=1)] = 200  # per tenant


class BreakGlassSection(Section):
    most_minutes: Annotated[int, Field(ge=1, le=1440)] = 60


class BreakerSection(Section):
    """Opens when automatic revocations in one window reach max(least, factor x the usual number)."""

    window_s: Seconds = 600.0
    least: Annotated[int, Field(ge=1)] = 10
    factor: Annotated[int, Field(ge=1)] = 5
    usual_s: Seconds = 604_800.0
    cooldown_s: Seconds = 3_600.0


class AuditSection(Section):
    checkpoint_every_s: Seconds = 300.0
    checkpoint_file: Path | None = None  # signed checkpoints are appended here; best on another machine's disk
    checkpoint_topic: Topic | None = None  # and sent to this Kafka topic


class ClientCertificateSection(Section):
    """A proxy that terminates mTLS tells the certificate's SHA-256; off without a header name."""

    header: str | None = None
    trusted_proxies: list[IPvAnyNetwork] = Field(default_factory=list)  # addresses or networks that may set it
    required_for: list[Role] = Field(default_factory=list)  # roles whose tokens must be bound to a certificate


class ShownCertificateSection(Section):
    """PEM files, read anew when they change."""

    certificate: Path
    key: Path


class ControlSection(Section):
    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8731
    url: HttpAddress = "http://127.0.0.1:8731"  # where the monitor and the command line find it
    public_url: HttpAddress | None = None  # what links in alerts to the pages start with
    issuer: Word = "guardian"
    audience: Word = "guardian-control"
    budget: BudgetSection = BudgetSection()
    revocation_grace_s: Seconds = 3600.0
    revocation_max_days: Days = 30
    default_mode: Literal["shadow", "enforce"] = "shadow"  # until a tenant's mode is set
    protected: dict[OneTenant, list[str]] = Field(default_factory=dict)  # agents, sessions that people decide on
    solo: bool = False  # one person may do what otherwise takes two; audited as such
    on_call: dict[OneTenant, list[str]] = Field(default_factory=dict)  # principals
    purpose_owners: dict[Name, list[str]] = Field(default_factory=dict)  # purpose -> principals who own it
    approvals: ApprovalSection = ApprovalSection()
    break_glass: BreakGlassSection = BreakGlassSection()
    exception_days: Annotated[int, Field(ge=1, le=365)] = 90  # the longest that an exception may hold
    breaker: BreakerSection = BreakerSection()
    client_certificates: ClientCertificateSection = ClientCertificateSection()
    client_certificate: ShownCertificateSection | None = None  # what the monitor and the command line show


class PolicySection(Section):
    language: str = "cedar"
    path: Path | None = None  # None: the shipped policies
    options: Options = Field(default_factory=dict)  # of an external decision point: its url, time-out, ...
    floor: bool = True  # beside an external decision point: what the Cedar policies refuse stays refused
    reload_every_s: Seconds = 2.0  # how often the policy files are looked at; SIGHUP looks at once


class KeysSection(Section):
    directory: Path = Path("keys")
    envelope_jwks: Path | None = None  # public keys that sign envelopes; None: signatures are not checked


class LoggingSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class SlackPerson(Section):
    """Who may click in Slack, as which principal; found by Slack id or by confirmed e-mail address."""

    role: PersonRole
    tenants: Annotated[list[TenantOrEvery], Field(min_length=1)]
    slack: Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{2,20}$")] | None = None
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None


class SlackSection(Section):
    """Secrets are best given as GUARDIAN_SLACK__TOKEN, GUARDIAN_SLACK__SIGNING_SECRET and so on."""

    token: SecretStr | None = None  # xoxb-: posts
    signing_secret: SecretStr | None = None  # clicks over HTTP
    app_token: SecretStr | None = None  # xapp-: clicks over Socket Mode, without inbound HTTP
    people: dict[PersonName, SlackPerson] = Field(default_factory=dict)  # principal -> who that is in Slack
