"""Settings: read once, at start, completely; unknown keys are errors; no default secret.

Order: defaults < the YAML file < `GUARDIAN_*` variables (nested with `__`, such as
`GUARDIAN_KAFKA__BOOTSTRAP_SERVERS`). A variable with a whole map of the operator's names, such as `gateways`,
replaces the file's; other maps, and single names, are added to it. Paths are relative to the file that names them.
"""

import copy
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

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
from guardian.config.intake import EnvelopeSection, KafkaSection, SourceSection
from guardian.config.judging import ModelSection, ResponseSection
from guardian.config.keeping import ArchiveSection, StoreSection, TighteningSection
from guardian.config.monitor import MonitorSection
from guardian.config.revocation import AdviceSection, RevocationSection
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
    def _planted_decisions_are_believed(self) -> Self:
        test = self.revocation.self_test
        if test.plant_every_s is not None and not {test.tenant, "*"} & set(self.gateways.get(test.gateway, ())):
            raise ValueError(
                f"revocation.self_test.gateway {test.gateway!r} is not listed under gateways with the tenant "
                f"{test.tenant!r}, so what it plants would be dead-lettered"
            )
        return self

    @model_validator(mode="after")
    def _what_is_read_has_a_topic_of_its_own(self) -> Self:
        read: Options = {"kafka.topic": self.kafka.topic, "envelopes.topic": self.envelopes.topic}
        topics = read | {"audit.checkpoint_topic": self.audit.checkpoint_topic}
        for section, found in (("revocation.faces", self.revocation.faces), ("alerts", self.alerts)):
            topics |= {f"{section}.{name}.topic": options.get("topic") for name, options in found.items()}
        for name in read:
            topic = topics.pop(name)
            for other, named in topics.items():
                if named == topic is not None:
                    raise ValueError(
                        f"{other} {topic!r} is {name} too, and what is right on one is dead-lettered from the"
                        " other; name a topic each"
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
            env_settings.env_vars = _spelt_out(env_settings.env_vars)
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


def load(path: Path | None = None, *, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read settings. Raises ConfigurationError naming every wrong key, its value's place and what is expected."""
    body: dict[str, Any] = {}
    if path is not None:
        body = _read_yaml(path)
        if isinstance(base := body.get("base", "."), str):
            body["base"] = str(path.resolve().parent / base)
    body.update(copy.deepcopy(dict(overrides or {})))
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith("GUARDIAN_")
        and name.removeprefix("GUARDIAN_").split("__")[0].lower() not in Settings.model_fields
        and name not in _OTHER_VARIABLES
        and not _of_kubernetes(name)
    )
    if unknown:
        known = ", ".join(f"GUARDIAN_{name.upper()}" for name in Settings.model_fields)
        raise ConfigurationError(f"unknown variable {unknown[0]}; known ones start with: {known}")
    for name in filter(re.compile("guardian_", re.IGNORECASE).match, os.environ):
        _names_keep_their_capitals(name)
        _replaces_a_map(name, body)
    try:
        settings = Settings(**body)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from error
    except SettingsError as error:
        raise ConfigurationError(
            f"{_variables_of(str(error))}: a variable for several values, a list or a section holds JSON, such as"
            """ '{"name": "value"}' or '["a", "b"]'; single settings are spelt GUARDIAN_SECTION__SETTING"""
        ) from error
    if not settings.base.is_dir():
        raise ConfigurationError(f"base: there is no folder {settings.base}; make it, or leave out `base`")
    return settings


_EXPECTED = {
    "dict_type": "names and values, such as {name: value}",
    "model_type": "names and values, such as {name: value}",
    "mapping_type": "names and values, such as {name: value}",
    "list_type": "a list, such as [a, b]",
    "tuple_type": "a list, such as [a, b]",
    "sequence_type": "a list, such as [a, b]",
    "too_short": "at least one, such as [a]",
}
_OTHER_VARIABLES = frozenset({"GUARDIAN_CONFIG", "GUARDIAN_TOKEN", "GUARDIAN_TENANT", "GUARDIAN_CRASH_AT"})
_SERVICE = re.compile(r"GUARDIAN_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")


def _of_kubernetes(name: str) -> bool:
    """Whether the variable is one of those that every pod is given beside a Service called guardian…"""
    if name.endswith("_PORT") and "://" in os.environ[name]:
        return True
    return _SERVICE.fullmatch(name) is not None


def _variables_of(said: str) -> str:
    """Those of the field that the library could not read; it names no variable."""
    field = re.search(r'field "(\w+)"', said)
    own = re.compile(rf"GUARDIAN_{field[1]}(__.*)?" if field else r"GUARDIAN_.*", re.IGNORECASE)
    return " or ".join(sorted(name for name in os.environ if own.fullmatch(name)))


def _spelt_out(variables: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """A folder in GUARDIAN_ARCHIVE is archive.path; the rest of the section stays as configured."""
    folder = variables.get("guardian_archive")
    if not folder or folder.lstrip().startswith("{"):
        return variables
    others = {name: value for name, value in variables.items() if name != "guardian_archive"}
    return {"guardian_archive__path": folder, **others}


def _names_keep_their_capitals(variable: str) -> None:
    """Raises ConfigurationError for a name of the operator's, as of a tenant, whose capitals the library drops."""
    prefix, *parts = variable.split("__")
    place: Any = _below(Settings, prefix.lower().removeprefix("guardian_"))
    for count, part in enumerate(parts):
        if _of_own_names(place) and part != part.lower():
            whole = "__".join((prefix, *parts[:count]))
            raise ConfigurationError(
                f"{variable}: capitals in the name of a variable do not count, {part!r} would be {part.lower()!r};"
                f""" write {whole}='{{"{part}": …}}', or small letters where the name has no capitals"""
            )
        place = _below(place, part.lower())


def _replaces_a_map(variable: str, body: dict[str, Any]) -> None:
    """Take out of the file's settings a map of the operator's names that a variable gives whole: the library would
    add to it, and a gateway that was left out would still be believed."""
    *sections, last = variable.lower().removeprefix("guardian_").split("__")
    place: Any = Settings
    within: Any = body
    for section in sections:
        place, within = _below(place, section), within.get(section) if isinstance(within, dict) else None
    if isinstance(within, dict) and _of_own_names(_below(place, last)):
        within.pop(last, None)


def _of_own_names(place: Any) -> bool:
    """Whether it is a map whose names are the operator's."""
    return get_origin(place) is dict and get_origin(get_args(place)[0]) is Annotated


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


def _explain(error: ValidationError, path: Path | None) -> str:
    where = str(path) if path is not None else "the settings"
    lines = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) or "''" for part in problem["loc"]).removesuffix(".[key]")
        name += _set_by(problem["loc"])
        if problem["type"] == "extra_forbidden":
            said = f"unknown setting{_known_beside(problem['loc'])}"
        else:
            said = in_words(problem["type"], problem["msg"], empty=problem["input"] is None)
        lines.append(f"{name}: {said}" if name else said)
    return f"{where}: " + "; ".join(lines)


def _set_by(loc: tuple[int | str, ...]) -> str:
    """Who looks for it in the file would not find it there."""
    variable = "GUARDIAN_" + "__".join(map(str, loc)).upper()
    return f" (set by {variable})" if variable in map(str.upper, os.environ) else ""


def in_words(kind: str, said: str, *, empty: bool) -> str:
    """What is wrong with a value, by pydantic's name and words for it."""
    expected = _EXPECTED.get(kind)
    if expected is None:
        return said.removeprefix("Value error, ")
    return f"there is nothing below it; leave it out, or give it {expected}" if empty else f"takes {expected}"


def _known_beside(loc: tuple[int | str, ...]) -> str:
    place: Any = Settings
    for part in loc[:-1]:
        place = _below(place, part)
    known = _fields(place)
    return f" (known here: {', '.join(sorted(known))})" if known else ""


def _below(place: Any, name: int | str) -> Any:
    """The type of what stands under a name in a section, a map or a list; None where nothing does."""
    if get_origin(place) in (dict, list):
        return get_args(place)[-1]
    field = _fields(place).get(name)
    return None if field is None else field.annotation


def _fields(place: Any) -> Mapping[Any, FieldInfo]:
    """What a section takes, also of one that may be left out; of anything else nothing."""
    sections = (each for each in (place, *get_args(place)) if hasattr(each, "model_fields"))
    return getattr(next(sections, None), "model_fields", {})
