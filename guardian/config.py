"""Settings: read once, at start, completely; unknown keys are errors; no default secret.

Order: defaults < the YAML file < `GUARDIAN_*` variables (nested with `__`, such as
`GUARDIAN_KAFKA__BOOTSTRAP_SERVERS`). Paths are relative to the file that names them.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from guardian.errors import ConfigurationError
from guardian.sources.completing import SESSION_ORDER
from guardian.sources.tool_names import NAME, PATTERNS

Options = dict[str, JsonValue]
Plugins = dict[str, Options]
_ONE_IN = Annotated[float, Field(ge=1)]
_TEN_YEARS = 10 * 366 * 86_400


def _no_nonsense(seconds: float) -> float:
    if not 0 < seconds <= _TEN_YEARS:  # also refuses NaN
        raise ValueError("a duration in seconds must be positive and at most ten years")
    return seconds


Seconds = Annotated[float, AfterValidator(_no_nonsense)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolNameSection(_Section):
    """One rule for tool names; see `guardian/sources/tool_names.py`."""

    patterns: list[str] = Field(default_factory=lambda: list(PATTERNS))
    name: str = NAME
    aliases: dict[str, str] = Field(default_factory=dict)


class SchemaRegistrySection(_Section):
    """Where records carry a schema registry's wire format; needs the extra `registry`."""

    url: str
    options: Options = Field(default_factory=dict)  # of confluent-kafka's client: basic.auth.user.info, ssl.…


class SourceSection(_Section):
    format: str = "guardian"  # one file of guardian/sources/, or auto: told record by record
    options: Options = Field(default_factory=dict)  # of the format; with auto, by format
    gateway: str | None = None  # who sends this log, where its records do not say
    tenant: str | None = None  # whose log it is, where its records do not say
    session: list[Literal["gateway", "token", "conversation", "trace", "window"]] = Field(
        default_factory=lambda: list(SESSION_ORDER)
    )
    idle_s: Seconds = 1800.0  # a session known by agent and user only begins anew after so much silence
    tools: ToolNameSection = ToolNameSection()
    redact: dict[str, Literal["drop", "hash", "shape"]] = Field(default_factory=dict)
    schema_registry: SchemaRegistrySection | None = None


class StaticEnvelopeSection(_Section):
    match: dict[str, str]
    purpose: str
    allowed_tools: list[str] = Field(default_factory=list)
    resource_constraints: dict[str, JsonValue] = Field(default_factory=dict)


class EnvelopeSection(_Section):
    """Envelopes that the log does not carry."""

    wait_s: Annotated[float, Field(ge=0, le=600)] = 5.0  # for the envelope of a session without a purpose
    max_waiting: Annotated[int, Field(ge=1)] = (
        10_000  # records; beyond, the longest waiting are judged as they are
    )
    topic: str | None = None  # a Kafka topic of guardian.envelope/v1 records
    file: Path | None = None  # envelopes, one a line; for replay, score and calibrate
    static: list[StaticEnvelopeSection] = Field(default_factory=list)


class OAuthSection(_Section):
    """SASL OAUTHBEARER: a token endpoint (client credentials), or a file that somebody renews."""

    token_url: str | None = None
    client_id: str = "guardian"
    client_secret: SecretStr | None = None  # best given as GUARDIAN_KAFKA__OAUTH__CLIENT_SECRET
    scope: str | None = None
    token_file: Path | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.token_url is None) == (self.token_file is None):
            raise ValueError("give either token_url, with client_secret, or token_file")
        if self.token_url is not None and self.client_secret is None:
            raise ValueError("token_url needs client_secret, best given as GUARDIAN_KAFKA__OAUTH__CLIENT_SECRET")
        return self


class KafkaSection(_Section):
    bootstrap_servers: str = "127.0.0.1:9092"
    topic: str = "guardian.decisions"
    group: str = "guardian"
    session_timeout_ms: Annotated[int, Field(ge=1000)] = 45_000
    heartbeat_interval_ms: Annotated[int, Field(ge=100)] = 3_000
    assignor: Literal["cooperative-sticky", "range"] = "cooperative-sticky"
    group_instance_id: str | None = None
    options: Options = Field(default_factory=dict)  # passed through to kafka-python: TLS, SASL, timeouts
    oauth: OAuthSection | None = None  # with options.sasl_mechanism: OAUTHBEARER


class StoreSection(_Section):
    monitor: str = "sqlite:///guardian-data/monitor.db"
    control: str = "sqlite:///guardian-data/control.db"
    epoch_file: Path | None = None  # None: beside the file of SQLite, and nowhere for a server
    keep_days: Annotated[int, Field(ge=1)] = 90
    dead_letter_days: Annotated[int, Field(ge=1)] = 14


class ArgumentRuleSection(_Section):
    """Globs of tool and argument path, and what becomes of the values."""

    tool: str = "*"
    argument: str = "*"
    treatment: Literal["keep", "identifiers", "hash", "shape", "drop"]


class ArchiveSection(_Section):
    path: Path | None = None  # None: no archive is kept
    keep_days: Annotated[int, Field(ge=1)] = 400
    flush_s: Seconds = 60.0
    file_rows: Annotated[int, Field(ge=100, le=1_000_000)] = 50_000
    arguments: list[ArgumentRuleSection] = Field(default_factory=list)  # the first that matches; else identifiers


class TighteningSection(_Section):
    backends: Plugins = Field(default_factory=lambda: _plugins("envelope", "cedar", "rego", "polar"))
    rejections: Path = Path("tightening-rejections.yaml")


class ModelSection(_Section):
    path: Path | None = None  # None: the model that travels with the package
    engine: str = "onnx"
    cache_size: Annotated[int, Field(ge=1)] = 65_536
    options: Options = Field(default_factory=dict)
    calibration: Path | None = None  # None: the one beside the model


class ResponseSection(_Section):
    flag_one_in: _ONE_IN = 1_000
    revoke_one_in: _ONE_IN = 20_000
    breaches: dict[str, Literal["none", "flag", "revoke"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _flag_comes_first(self) -> Self:
        if self.flag_one_in > self.revoke_one_in:
            raise ValueError(
                f"flag_one_in {self.flag_one_in:g} must not exceed revoke_one_in {self.revoke_one_in:g}"
            )
        return self


class BaselineSection(_Section):
    idle_s: Seconds = 1800.0  # a session that was silent this long is finished and teaches its baseline


class SelfTestSection(_Section):
    """A canary revocation that every gateway must enforce; and planted drift that must become a refusal."""

    canary_every_s: Seconds | None = 900.0  # None: no canary
    enforced_within_s: Seconds = 15.0
    plant_every_s: Seconds | None = None  # None: nothing is planted on the live topic
    noticed_within_s: Seconds = 120.0
    tenant: str = ""  # whose sessions the planted ones seem to be
    gateway: str = ""  # a gateway name of its own, listed under `gateways`

    @model_validator(mode="after")
    def _planting_needs_names(self) -> Self:
        if self.plant_every_s is not None and not (self.tenant and self.gateway):
            raise ValueError("plant_every_s needs a tenant and a gateway name of its own to plant under")
        return self


class RevocationSection(_Section):
    descendants: bool = True  # a revoked session's delegated sessions are revoked with it
    comes_back: dict[Literal["task", "agent", "delegator"], Seconds] = Field(default_factory=dict)
    subject_life_s: Seconds = 86_400.0  # how long an agent, task, ... is revoked where nobody says
    subject_most_s: Seconds = 2_592_000.0
    heartbeat_s: Seconds = 10.0  # of the stream
    gateway_silent_s: Seconds = 60.0
    unprotected_after_s: Seconds = 60.0
    faces: Plugins = Field(default_factory=dict)  # those that leave the process: kafka_topic, caep
    self_test: SelfTestSection = SelfTestSection()


class AdviceSection(_Section):
    """Advice before the act. `run` has its own adviser; `serve` needs the `url` of a monitor's."""

    enabled: bool = False  # in `run`: open an adviser beside the monitor
    url: str | None = None
    budget_ms: Annotated[float, Field(gt=0, le=60_000)] = 250.0
    default_risk: str = "high"
    risks: dict[str, str] = Field(default_factory=dict)  # pattern of a tool's name -> risk
    fallback: dict[str, Literal["permit", "deny"]] = Field(default_factory=dict)  # by risk; else deny


class MonitorSection(_Section):
    token_file: Path = Path("keys/monitor.token")
    batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    poll_timeout_s: Seconds = 0.5
    outbox_limit: Annotated[int, Field(ge=1)] = 5_000
    changes_every_s: Seconds = 1.0
    parent_grace_s: Seconds = 60.0
    clock_ahead_s: Seconds = 300.0
    clock_behind_s: Seconds = 86_400.0
    fuse_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    fuse_records: Annotated[int, Field(ge=1)] = 200  # the window; a quarter of it is the least that can blow
    departure_one_in: _ONE_IN = 1_000  # "traffic has left the calibration" is false at most this rarely
    housekeeping_every_s: Seconds = 60.0
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65_535)] = 0  # /healthz, /readyz, /metrics; 0: none
    late_after_s: Seconds = 60.0  # a verdict on a call that is older says that it is late
    advise_host: str = "127.0.0.1"
    advise_port: Annotated[int, Field(ge=0, le=65_535)] = 0  # where control asks for advice; 0: none
    baseline: BaselineSection = BaselineSection()


class BudgetSection(_Section):
    window_s: Seconds = 3600.0
    revocations: Annotated[int, Field(ge=0)] = 20
    reserved_for_breaches: Annotated[int, Field(ge=0)] = 5


class ApprovalSection(_Section):
    ttl_s: Seconds = 14_400.0  # an act that nobody approved by then is over
    most_waiting: Annotated[int, Field(ge=1)] = 200  # per tenant


class BreakGlassSection(_Section):
    most_minutes: Annotated[int, Field(ge=1, le=1440)] = 60


class BreakerSection(_Section):
    """Opens when automatic revocations in one window reach max(least, factor x the usual number)."""

    window_s: Seconds = 600.0
    least: Annotated[int, Field(ge=1)] = 10
    factor: Annotated[int, Field(ge=1)] = 5
    usual_s: Seconds = 604_800.0
    cooldown_s: Seconds = 3_600.0


class AuditSection(_Section):
    checkpoint_every_s: Seconds = 300.0
    checkpoint_file: Path | None = None  # signed checkpoints are appended here; best on another machine's disk
    checkpoint_topic: str | None = None  # and sent to this Kafka topic


class ClientCertificateSection(_Section):
    """A proxy that terminates mTLS tells the certificate's SHA-256; off without a header name."""

    header: str | None = None
    trusted_proxies: list[str] = Field(default_factory=list)  # addresses or networks that may set it
    required_for: list[str] = Field(default_factory=list)  # roles whose tokens must be bound to a certificate


class ControlSection(_Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8731
    url: str = "http://127.0.0.1:8731"  # where the monitor and the command line find it
    public_url: str | None = None  # what links in alerts start with
    issuer: str = "guardian"
    audience: str = "guardian-control"
    budget: BudgetSection = BudgetSection()
    revocation_grace_s: Seconds = 3600.0
    revocation_max_days: Annotated[int, Field(ge=1)] = 30
    default_mode: Literal["shadow", "enforce"] = "shadow"  # until a tenant's mode is set
    protected: dict[str, list[str]] = Field(default_factory=dict)  # tenant -> agents or sessions people decide on
    solo: bool = False  # one person may do what otherwise takes two; audited as such
    on_call: dict[str, list[str]] = Field(default_factory=dict)  # tenant -> principals on call
    purpose_owners: dict[str, list[str]] = Field(default_factory=dict)  # purpose -> principals who own it
    approvals: ApprovalSection = ApprovalSection()
    break_glass: BreakGlassSection = BreakGlassSection()
    exception_days: Annotated[int, Field(ge=1, le=365)] = 90  # the longest that an exception may hold
    breaker: BreakerSection = BreakerSection()
    client_certificates: ClientCertificateSection = ClientCertificateSection()


class PolicySection(_Section):
    language: str = "cedar"
    path: Path | None = None  # None: the shipped policies
    options: Options = Field(default_factory=dict)  # of an external decision point: its url, time-out, ...
    floor: bool = True  # beside an external decision point: what the Cedar policies refuse stays refused
    reload_every_s: Seconds = 2.0  # how often the policy files are looked at; SIGHUP looks at once


class KeysSection(_Section):
    directory: Path = Path("keys")
    envelope_jwks: Path | None = None  # public keys that sign envelopes; None: signatures are not checked


class LoggingSection(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class SlackPerson(_Section):
    """Who may click in Slack, as which principal; found by Slack id or by confirmed e-mail address."""

    role: Literal["analyst", "responder", "approver", "admin", "auditor"]
    tenants: Annotated[list[str], Field(min_length=1)]
    slack: Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{2,20}$")] | None = None
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None


class SlackSection(_Section):
    """Secrets are best given as GUARDIAN_SLACK__TOKEN, GUARDIAN_SLACK__SIGNING_SECRET and so on."""

    token: SecretStr | None = None  # xoxb-: posts
    signing_secret: SecretStr | None = None  # clicks over HTTP
    app_token: SecretStr | None = None  # xapp-: clicks over Socket Mode, without inbound HTTP
    people: dict[str, SlackPerson] = Field(default_factory=dict)  # principal -> who that is in Slack


_SIGNALS = (
    "purpose_fit",
    "envelope_breach",
    "delegation_widening",
    "envelope_hygiene",
    "credential_exposure",
    "denial_pressure",
    "purpose_baseline",
    "chain_exposure",
)


def _plugins(*names: str) -> Plugins:
    return {name: {} for name in names}


class Settings(BaseSettings):
    """Everything that an operator can set. `guardian check-config` prints it with secrets masked."""

    model_config = SettingsConfigDict(
        env_prefix="GUARDIAN_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    source: SourceSection = SourceSection()
    envelopes: EnvelopeSection = EnvelopeSection()
    kafka: KafkaSection = KafkaSection()
    store: StoreSection = StoreSection()
    archive: ArchiveSection = ArchiveSection()
    tightening: TighteningSection = TighteningSection()
    gateways: dict[str, list[str]] = Field(default_factory=dict)
    model: ModelSection = ModelSection()
    signals: Plugins = Field(default_factory=lambda: _plugins(*_SIGNALS))
    weights: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    response: ResponseSection = ResponseSection()
    monitor: MonitorSection = MonitorSection()
    control: ControlSection = ControlSection()
    revocation: RevocationSection = RevocationSection()
    advice: AdviceSection = AdviceSection()
    policy: PolicySection = PolicySection()
    audit: AuditSection = AuditSection()
    keys: KeysSection = KeysSection()
    alerts: Plugins = Field(default_factory=lambda: _plugins("log"))
    slack: SlackSection = SlackSection()
    logging: LoggingSection = LoggingSection()
    base: Path = Path(".")  # the folder that relative paths start from

    @model_validator(mode="after")
    def _planted_decisions_are_believed(self) -> Self:
        test = self.revocation.self_test
        if test.plant_every_s is not None and test.gateway not in self.gateways:
            raise ValueError(
                f"revocation.self_test.gateway {test.gateway!r} is not listed under gateways, so what it plants "
                "would be dead-lettered"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # variables win over the file, which arrives as arguments

    def resolve(self, path: Path) -> Path:
        """A configured path, relative to the configuration file."""
        return path if path.is_absolute() else self.base / path

    def store_url(self, url: str) -> str:
        """A database URL; a relative SQLite path starts at the configuration file's folder."""
        prefix = "sqlite:///"
        if not url.startswith(prefix) or url.startswith(prefix + "/") or url == "sqlite://":
            return url
        return f"{prefix}{self.base.resolve() / url.removeprefix(prefix)}"

    @property
    def parent_grace(self) -> timedelta:
        return timedelta(seconds=self.monitor.parent_grace_s)


def load(path: Path | None = None, *, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read settings. Raises ConfigurationError naming every wrong key, its value's place and what is expected."""
    body: dict[str, Any] = {}
    if path is not None:
        body = _read_yaml(path)
        if isinstance(base := body.get("base", "."), str):
            body["base"] = str(path.resolve().parent / base)
    body.update(overrides or {})
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith("GUARDIAN_")
        and name.removeprefix("GUARDIAN_").split("__")[0].lower() not in Settings.model_fields
        and name not in _OTHER_VARIABLES
    )
    if unknown:
        known = ", ".join(f"GUARDIAN_{name.upper()}" for name in Settings.model_fields)
        raise ConfigurationError(f"unknown variable {unknown[0]}; known ones start with: {known}")
    try:
        return Settings(**body)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from error
    except SettingsError as error:
        raise ConfigurationError(
            f"{error}: a GUARDIAN_* variable for a whole section holds JSON; single settings are spelt"
            " GUARDIAN_SECTION__SETTING"
        ) from error


_OTHER_VARIABLES = frozenset({"GUARDIAN_CONFIG", "GUARDIAN_TOKEN", "GUARDIAN_CRASH_AT"})


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}; `guardian init FOLDER` writes a configuration"
        ) from error
    except yaml.MarkedYAMLError as error:
        at = f" in line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ConfigurationError(f"{path} is not YAML{at}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or no such date
        raise ConfigurationError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ConfigurationError(f"{path} must hold settings by name, got {type(body).__name__}")
    for name in body:
        if not isinstance(name, str):
            raise ConfigurationError(f"{path}: {name!r} is no name of a setting; names are words")
    return body


def _explain(error: ValidationError, path: Path | None) -> str:
    where = str(path) if path is not None else "the settings"
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            lines.append(f"{name}: unknown setting{_known_beside(problem['loc'])}")
        else:
            lines.append(f"{name}: {problem['msg']}")
    return f"{where}: " + "; ".join(lines)


def _known_beside(loc: tuple[int | str, ...]) -> str:
    model: Any = Settings
    for part in loc[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = getattr(field, "annotation", None)
    known = getattr(model, "model_fields", None)
    return f" (known here: {', '.join(sorted(known))})" if known else ""
