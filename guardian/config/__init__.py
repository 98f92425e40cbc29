"""Settings: read once, at start, completely; unknown keys are errors; no default secret.

Order: defaults < the YAML file < `GUARDIAN_*` variables (nested with `__`, such as
`GUARDIAN_KAFKA__BOOTSTRAP_SERVERS`). A variable with a whole map of the operator's names, such as `gateways`,
replaces the file's; other maps, and single names, are added to it. Paths are relative to the file that names them.
"""

import copy
from collections.abc import Mapping
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from guardian.bus.topic import REVOCATIONS, may_be_one
from guardian.config.base import GatewayName, Options, Plugins, TenantOrEvery, plugins
from guardian.config.console import ConsoleSection
from guardian.config.control import (
    AuditSection,
    ControlSection,
    KeysSection,
    LoggingSection,
    PolicySection,
    SlackSection,
)
from guardian.config.explaining import explain
from guardian.config.intake import EnvelopeSection, KafkaSection, SourceSection
from guardian.config.judging import ModelSection, ResponseSection
from guardian.config.keeping import ArchiveSection, StoreSection, TighteningSection, place_of_database
from guardian.config.monitor import MonitorSection
from guardian.config.revocation import AdviceSection, RevocationSection
from guardian.config.variables import prepare, spelt_out, variables_of
from guardian.domain.yaml_text import read_yaml
from guardian.errors import ConfigurationError

_SIGNALS = (
    "purpose_fit",
    "object_mismatch",
    "envelope_breach",
    "delegation_widening",
    "envelope_hygiene",
    "credential_exposure",
    "denial_pressure",
    "purpose_baseline",
    "chain_exposure",
)


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
    gateways: dict[GatewayName, Annotated[list[TenantOrEvery], Field(min_length=1)]] = Field(default_factory=dict)
    model: ModelSection = ModelSection()
    signals: Plugins = Field(default_factory=lambda: plugins(*_SIGNALS))
    weights: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    response: ResponseSection = ResponseSection()
    monitor: MonitorSection = MonitorSection()
    control: ControlSection = ControlSection()
    console: ConsoleSection = ConsoleSection()
    revocation: RevocationSection = RevocationSection()
    advice: AdviceSection = AdviceSection()
    policy: PolicySection = PolicySection()
    audit: AuditSection = AuditSection()
    keys: KeysSection = KeysSection()
    alerts: Plugins = Field(default_factory=lambda: plugins("log"))
    slack: SlackSection = SlackSection()
    logging: LoggingSection = LoggingSection()
    base: Path = Path(".")  # the folder that relative paths start from

    @model_validator(mode="after")
    def _two_databases(self) -> Self:
        control, monitor = (place_of_database(url, self.base) for url in (self.store.control, self.store.monitor))
        if control is not None and control == monitor:
            raise ValueError(
                "store: monitor and control need a database each: the monitor must not write the ledger"
            )
        return self

    @model_validator(mode="after")
    def _planted_decisions_are_believed(self) -> Self:
        test = self.revocation.self_test
        if test.plant_every_s is not None and not {test.tenant, "*"} & set(self.gateways.get(test.gateway, ())):
            raise ValueError(
                f"revocation.self_test.gateway {test.gateway!r} is not listed under gateways with the tenant "
                f"{test.tenant!r}, so what it plants would be dead-lettered"
            )
        return self

    @model_validator(mode="after")
    def _nobody_has_two_names(self) -> Self:
        """What takes two people compares their names."""
        in_slack = {told.email.lower(): name for name, told in self.slack.people.items() if told.email}
        for name, told in self.console.people.items():
            other = in_slack.get((told.email or "").lower(), name)
            if other != name:
                raise ValueError(
                    f"slack.people.{other} and console.people.{name} have one address, {told.email}: give that"
                    " person one name, else they could approve what they asked for"
                )
        return self

    @model_validator(mode="after")
    def _whatever_is_read_or_written_has_a_topic_of_its_own(self) -> Self:
        read: Options = {"kafka.topic": self.kafka.topic, "envelopes.topic": self.envelopes.topic}
        letters = {f"the dead-letter topic of {name}": f"dlq.{topic}" for name, topic in read.items() if topic}
        topics = {**read, **letters, "audit.checkpoint_topic": self.audit.checkpoint_topic}
        faces = dict(self.revocation.faces)
        if "kafka_topic" in faces:
            faces["kafka_topic"] = {"topic": REVOCATIONS, **faces["kafka_topic"]}
        for section, found in (("revocation.faces", faces), ("alerts", self.alerts)):
            topics |= {f"{section}.{name}.topic": options.get("topic") for name, options in found.items()}
        for (name, topic), (other, named) in combinations(topics.items(), 2):
            if isinstance(topic, str) and isinstance(named, str) and may_be_one(topic, named):
                clash = f"is {name} too" if topic == named else f"may be {name} {topic!r} for some tenant"
                raise ValueError(
                    f"{other} {named!r} {clash}, and what is right on one is wrong on the other; name a topic each"
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
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = spelt_out(env_settings.env_vars)
        return env_settings, init_settings  # variables win over the file, which arrives as arguments

    def resolve(self, path: Path) -> Path:
        """A configured path, relative to the configuration file."""
        return path if path.is_absolute() else self.base / path

    @property
    def shown_certificate(self) -> tuple[Path, Path] | None:
        """The files of the client certificate and its key that are shown to control."""
        shown = self.control.client_certificate
        return None if shown is None else (self.resolve(shown.certificate), self.resolve(shown.key))

    def store_url(self, url: str) -> str:
        """A database URL; a relative SQLite path starts at the configuration file's folder."""
        prefix = "sqlite:///"
        if not url.startswith(prefix) or url.startswith(prefix + "/"):
            return url
        return f"{prefix}{self.base.resolve() / url.removeprefix(prefix)}"

    @property
    def parent_grace(self) -> timedelta:
        return timedelta(seconds=self.monitor.parent_grace_s)


class _Apart(Settings):
    """The same, but of the variables only those of the model count."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        found = super().settings_customise_sources(settings_cls, *sources, **named)
        for source in found:
            if isinstance(source, EnvSettingsSource):
                told = source.env_vars.items()
                source.env_vars = {name: value for name, value in told if name.split("__")[0] == "guardian_model"}
        return found


def load(path: Path | None = None, *, overrides: Mapping[str, Any] | None = None, apart: bool = False) -> Settings:
    """Read settings. Raises ConfigurationError naming every wrong key, its value's place and what is expected.

    `apart`: for work in a folder of its own. Variables describe a deployment, which it must not touch: those of
    the section `model` alone count.
    """
    body: dict[str, Any] = {}
    if path is not None:
        body = _read_yaml(path)
        if isinstance(base := body.get("base", "."), str):
            body["base"] = str(path.resolve().parent / base)
    body.update(copy.deepcopy(dict(overrides or {})))
    prepare({} if apart else body, Settings)  # the section `model` has no map that a variable replaces
    try:
        settings = (_Apart if apart else Settings)(**body)
    except ValidationError as error:
        raise ConfigurationError(explain(error, path, Settings)) from error
    except SettingsError as error:
        raise ConfigurationError(
            f"{variables_of(str(error))}: a variable for several values, a list or a section holds JSON, such as"
            """ '{"name": "value"}' or '["a", "b"]'; single settings are spelt GUARDIAN_SECTION__SETTING"""
        ) from error
    if not settings.base.is_dir():
        raise ConfigurationError(f"base: there is no folder {settings.base}; make it, or leave out `base`")
    return settings


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        body = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}; `guardian init FOLDER` writes a configuration"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ConfigurationError(f"{path} must hold settings by name, got {type(body).__name__}")
    for name in body:
        if not isinstance(name, str):
            raise ConfigurationError(f"{path}: {name!r} is no name of a setting; names are words")
        if name not in Settings.model_fields and name.lower() in Settings.model_fields:
            raise ConfigurationError(f"{path}: {name}: unknown setting; write `{name.lower()}`")
    return body
