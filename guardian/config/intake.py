"""Where decisions come from: log format, envelopes, Kafka."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, SecretStr, model_validator

from guardian.config.base import (
    Brokers,
    GatewayName,
    Name,
    OneTenant,
    Options,
    Seconds,
    Section,
    Topic,
    Wildcards,
    Word,
)
from guardian.domain.identity import SessionName
from guardian.domain.redacted import Way
from guardian.domain.urls import is_private
from guardian.sources.completing import SESSION_ORDER
from guardian.sources.tool_names import NAME, PATTERNS

_SHOWN_BY: Mapping[str, tuple[str, ...]] = {
    "trace": ("trace_id",),
    "window": ("envelope.delegator_id", "envelope.agent_id"),
}
"""The fields that a session's name is made of, by how it is named. Gateways ask for that name and know no key of
guardian's, so nothing in it can be hashed."""

_CREDENTIALS = ("basic.auth.", "bearer.auth.", "sasl.")
"""How the options of a schema registry's client begin that hold a secret, or name what does."""
_ISSUER = "bearer.auth.issuer.endpoint.url"


class ToolNameSection(Section):
    """One rule for tool names; see `guardian/sources/tool_names.py`."""

    patterns: list[str] = Field(default_factory=lambda: list(PATTERNS))
    name: str = NAME
    aliases: dict[Name, str] = Field(default_factory=dict)


class SchemaRegistrySection(Section):
    """Where records carry a schema registry's wire format; needs the extra `registry`."""

    url: str
    options: Options = Field(default_factory=dict)  # of confluent-kafka's client: basic.auth.user.info, ssl.…

    @model_validator(mode="after")
    def _no_secret_in_the_clear(self) -> Self:
        secret = any(name.startswith(_CREDENTIALS) for name in self.options)
        clear = [each for each in self.url.split(",") if not is_private(each.strip())]
        if clear and (secret or "@" in self.url):
            raise ValueError("url: credentials go there, so it must be https, or http to this machine")
        issuer = self.options.get(_ISSUER)
        if issuer is not None and not is_private(str(issuer)):
            raise ValueError(f"options: a secret goes to {_ISSUER}; it must be https, or http to this machine")
        return self


class SourceSection(Section):
    format: str = "guardian"  # one file of guardian/sources/, or auto: told record by record
    options: Options = Field(default_factory=dict)  # of the format; with auto, by format
    gateway: GatewayName | None = None  # who sends this log, whatever its records say; in format guardian they do
    tenant: OneTenant | None = None  # whose log it is, where its records do not say
    session: list[SessionName] = Field(default_factory=lambda: list(SESSION_ORDER), min_length=1)
    idle_s: Seconds = 1800.0  # a session known by agent and user only begins anew after so much silence
    tools: ToolNameSection = ToolNameSection()
    redact: dict[Name, Way] = Field(default_factory=dict)
    schema_registry: SchemaRegistrySection | None = None

    @model_validator(mode="after")
    def _no_name_shows_what_is_redacted(self) -> Self:
        by = () if self.format == "guardian" else self.session  # guardian's own records name their sessions
        for name in by:
            hidden = [path for path in _SHOWN_BY.get(name, ()) if path in self.redact]
            if hidden:
                raise ValueError(
                    f"redact.{hidden[0]}: where a session goes by {name!r} this is part of its name, which stays"
                    f" in clear because gateways ask for it. Leave {name!r} out of source.session (records without"
                    " another name are then dead letters), or take the rule out"
                )
        return self


class StaticEnvelopeSection(Section):
    match: dict[str, Wildcards]
    purpose: str
    allowed_tools: list[str] = Field(default_factory=list)
    resource_constraints: dict[str, JsonValue] = Field(default_factory=dict)


class EnvelopeSection(Section):
    """Envelopes that the log does not carry."""

    wait_s: Annotated[float, Field(ge=0, le=600)] = 5.0  # for the envelope of a session without a purpose
    max_waiting: Annotated[int, Field(ge=1)] = 10_000  # records of a tenant; beyond, they are judged as they are
    topic: Topic | None = None  # a Kafka topic of guardian.envelope/v1 records
    file: Path | None = None  # envelopes, one a line; for replay, score and calibrate
    static: list[StaticEnvelopeSection] = Field(default_factory=list)


class OAuthSection(Section):
    """SASL OAUTHBEARER: a token endpoint (client credentials), or a file that somebody renews."""

    token_url: str | None = None
    client_id: Word = "guardian"
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


class KafkaSection(Section):
    bootstrap_servers: Brokers = "127.0.0.1:9092"
    topic: Topic = "guardian.decisions"
    group: Word = "guardian"
    auto_offset_reset: Literal["earliest", "latest"] = "earliest"  # where the first start of all begins
    session_timeout_ms: Annotated[int, Field(ge=1000)] = 45_000
    heartbeat_interval_ms: Annotated[int, Field(ge=100)] = 3_000
    assignor: Literal["cooperative-sticky", "range"] = "cooperative-sticky"
    group_instance_id: str | None = None
    options: Options = Field(default_factory=dict)  # passed through to kafka-python: TLS, SASL, timeouts
    oauth: OAuthSection | None = None  # with options.sasl_mechanism: OAUTHBEARER

    @model_validator(mode="after")
    def _heard_of_in_time(self) -> Self:
        if self.heartbeat_interval_ms >= self.session_timeout_ms:
            raise ValueError(
                f"heartbeat_interval_ms {self.heartbeat_interval_ms} must be less than"
                f" session_timeout_ms {self.session_timeout_ms}"
            )
        return self
