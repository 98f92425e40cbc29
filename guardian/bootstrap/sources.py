"""The log's format from settings: its reader, what completes its records, and envelopes that it does not carry."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from guardian.bootstrap import plugins
from guardian.config import Settings
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.identity import SessionKey
from guardian.domain.yaml_text import read_yaml
from guardian.errors import ConfigurationError
from guardian.pipeline.decoding import EVERY_TENANT, Redactor
from guardian.pipeline.filling import Filling, StaticEnvelope
from guardian.pipeline.redaction import FieldRules, redact_envelope
from guardian.sources.completing import Completion
from guardian.sources.port import Format, Source
from guardian.sources.reading import Reader
from guardian.sources.tool_names import ToolNames
from guardian.sources.unwrapping import Unwrapping

AUTO = "auto"
"""Every format there is, told record by record: by the header `guardian-format`, else by content."""

OWN = "guardian"
WRAPPER = "cloudevents"


def open_source(settings: Settings) -> Source:
    """The configured reader of records. Raises ConfigurationError for a name or an option that is unknown."""
    name = settings.source.format
    options = options_of(settings)
    registry = settings.source.schema_registry
    source: Source
    if name == OWN:
        source = plugins.make("sources", OWN, options)
    else:
        source = Reader(formats_of(name, options), completion_of(settings), wrapped=name == WRAPPER)
    if registry is None:
        return source
    from guardian.bus.schema_registry import SchemaRegistry  # its library comes with an extra

    return Unwrapping(source, SchemaRegistry(registry.url, registry.options).plain)


def formats_of(name: str, options: Mapping[str, Any]) -> dict[str, Format]:
    """The formats by name: all of them for `auto` and `cloudevents`, whose options are then by format."""
    if name not in (AUTO, WRAPPER):
        return {name: plugins.make("sources", name, options)}
    known = plugins.names("sources")
    if unknown := sorted(set(options) - set(known)):
        raise ConfigurationError(
            f"source.options.{unknown[0]}: with {name} these are options by format: {', '.join(known)}"
        )
    inner = [each for each in known if each != WRAPPER]
    return {each: plugins.make("sources", each, dict(options.get(each) or {})) for each in inner}


def options_of(settings: Settings) -> dict[str, Any]:
    """The options, with a mapping's file read in, also where they are by format."""
    options, name = dict(settings.source.options), settings.source.format
    if name == "mapping":
        return _with_file(settings, options)
    if name in (AUTO, WRAPPER) and isinstance(mapping := options.get("mapping"), Mapping):
        options["mapping"] = _with_file(settings, mapping)
    return options


def _with_file(settings: Settings, mapping: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(mapping)
    file = options.pop("file", None)
    return options if file is None else {**read_mapping(settings.resolve(Path(str(file)))), **options}


def read_mapping(path: Path) -> dict[str, Any]:
    """A mapping file as options. Raises ConfigurationError."""
    try:
        body = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"mapping {path}: cannot be read: {why}") from error
    if not isinstance(body, dict) or not all(isinstance(key, str) for key in body):
        raise ConfigurationError(f"mapping {path}: expected settings by name, with `fields` at least")
    return body


def completion_of(settings: Settings) -> Completion:
    """What the deployment knows of every record of its log."""
    section, tools = settings.source, settings.source.tools
    planted = settings.revocation.self_test.gateway
    return Completion(
        gateway=section.gateway,
        planted=frozenset({planted} if planted else ()),
        tenant=section.tenant,
        tenants={
            gateway: tenants[0]
            for gateway, tenants in settings.gateways.items()
            if len(tenants) == 1 and tenants[0] != EVERY_TENANT
        },
        session=tuple(section.session),
        tools=ToolNames(tuple(tools.patterns), tools.name, tools.aliases),
    )


def redactor_of(settings: Settings, scanner: Redactor, key: bytes) -> Redactor:
    """The credential scanner, and behind it the deployment's own rules where there are any."""
    return FieldRules(scanner, settings.source.redact, key) if settings.source.redact else scanner


def filling_of(settings: Settings, redactor: Redactor) -> Filling:
    """Where envelopes come from that the log does not carry."""
    section = settings.envelopes
    names = completion_of(settings).tools
    known: dict[SessionKey, Grant] = {}
    if section.file is not None:
        for envelope in read_envelopes(settings.resolve(section.file)):
            known[envelope.key] = Grant(redact_envelope(redactor, envelope), envelope.digest)
    return Filling(
        known=known,
        static=tuple(
            StaticEnvelope(
                match=dict(line.match),
                purpose=line.purpose,
                allowed_tools=tuple(line.allowed_tools),
                resource_constraints=dict(line.resource_constraints),
            )
            for line in section.static
        ),
        rename=names.of,
        wait=timedelta(seconds=section.wait_s),
        adapts=settings.source.format != OWN,
    )


def read_envelopes(path: Path) -> list[Envelope]:
    """A file with one envelope a line, as POST /v1/envelopes takes them. Raises ConfigurationError."""
    found, number = [], 0
    try:
        for line in path.read_bytes().splitlines():
            number += 1
            if line.strip():
                body = json.loads(line)
                inner = body.get("envelope", body) if isinstance(body, dict) else body
                found.append(Envelope.model_validate_json(json.dumps(inner)))
    except OSError as error:
        raise ConfigurationError(f"envelopes.file: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "not JSON"
        raise ConfigurationError(f"envelopes.file: {path}: line {number} is no envelope: {first}") from error
    return found


def cleaner(redactor: Redactor) -> Callable[[Envelope], Envelope]:
    """What is done to an envelope before it is stored."""
    return lambda envelope: redact_envelope(redactor, envelope)
