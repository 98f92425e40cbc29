"""Which format is a log, and what does guardian understand of it? For people about to point it at theirs."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import yaml

from guardian.bootstrap import plugins
from guardian.bootstrap.sources import AUTO, OWN, WRAPPER, completion_of, formats_of, options_of, read_mapping
from guardian.commands.offline import Update, batches
from guardian.commands.tally import Tally
from guardian.commands.text_logs import way_to_json
from guardian.config import Settings
from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.pipeline.decoding import EVERY_TENANT
from guardian.sources.completing import Completion
from guardian.sources.facts import CARRIED, Facts
from guardian.sources.port import Format, Source, Told
from guardian.sources.reading import Reader
from guardian.sources.session_lines import LineError, SessionLine, is_session_line, read_session_lines

SESSIONS = "session lines"
"""What stands for a format where a file holds whole sessions, which are no log; their acts count as decisions."""
_NOBODY = "-"
_GRANTS = 20


@dataclass(frozen=True, slots=True)
class FormatFacts:
    """One format of `guardian sources`. `options`: what `source.options` may say for it, in words; empty where
    nothing."""

    name: str
    title: str
    carries: tuple[str, ...]
    missing: tuple[str, ...]
    options: str


@dataclass(frozen=True, slots=True)
class Line:
    """What was understood of one record: events or the reason why not."""

    record: Record
    format: str | None
    events: tuple[DecisionEvent, ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        """The record's first line, from 1."""
        return self.record.offset + 1


def list_formats() -> Iterator[FormatFacts]:
    """Every format with what its records can carry."""
    for name in plugins.names("sources"):
        format = plugins.find("sources", name)
        carries = tuple(fact for fact in CARRIED if fact in format.carries)
        missing = tuple(fact for fact in CARRIED if fact not in format.carries)
        options = " ".join(format.__doc__.split()).removeprefix("Options: ") if dataclasses.fields(format) else ""
        yield FormatFacts(name, format.title, carries, missing, options)


def detect(settings: Settings, file: Path, update: Update) -> list[Tally]:
    """How much of a file is of which format, the most frequent first; nothing about the deployment is needed, and
    what is configured counts."""
    reader = Reader(_every_format(settings), _anybody(settings))
    own: Source = plugins.make("sources", OWN, {})
    tallies: dict[str | None, Tally] = {}
    for line in _lines(reader, file, update):
        session = _session_in(line)
        if isinstance(session, SessionLine):
            tally = tallies.setdefault(SESSIONS, Tally(SESSIONS))
            tally.records += 1
            tally.decisions += len(session.actions)
            continue
        tally = tallies.setdefault(line.format, Tally(line.format))
        tally.records += 1
        tally.decisions += len(line.events)
        tally.refused += len(line.refusals)
        tally.skipped += not line.events and not line.refusals
        if line.format == OWN:
            tally.only_auto += sum(isinstance(each, Told) for each in own.read(line.record)) < len(line.events)
        tally.reasons.update(line.refusals)
        if line.format is None:
            tally.ways[way_to_json(line.record.value)] += 1
        if session is not None:
            tally.reasons[f"as a session line {session.error}"] += 1
        for event in line.events:
            tally.count(event)
        tally.missing.update(name for event in line.events for name in (*_unsaid(event), *event.features_missing))
    return sorted(tallies.values(), key=lambda tally: -tally.records)


def section(settings: Settings, tallies: Iterable[Tally], format: str) -> str:
    """`source` for a log of this format, as lines of a configuration in ASCII, with what it says now. Its gateway
    only where the log names no other: such records would be refused."""
    source = settings.source
    by_format = source.options if source.format in (AUTO, WRAPPER) else {source.format: source.options}
    options = {name: each for name, each in by_format.items() if each}
    named = {gateway for tally in tallies for gateway, _ in tally.spoken}
    sender = source.gateway if named <= {source.gateway, settings.revocation.self_test.gateway} else None
    told: dict[str, Any] = {"format": format, "gateway": sender, "tenant": source.tenant}
    told["options"] = options if format in (AUTO, WRAPPER) else options.get(format)
    said = {name: value for name, value in told.items() if value}
    lines = yaml.safe_dump(said, sort_keys=False, width=math.inf).splitlines()
    others = sorted(source.model_fields_set - set(told))
    more = [f"# and, as now: {', '.join(others)}"] if others else []
    return "\n  ".join(["source:", *lines, *more])


def grants(tallies: Iterable[Tally]) -> str:
    """Which gateway speaks for whom in a log, as lines of a configuration in ASCII: the most frequent, and how
    many more. GATEWAY and TENANT stand for names that not every record says; a configured gateway sends all."""
    spoken: Counter[tuple[str, str]] = sum((tally.spoken for tally in tallies), Counter())
    one = any(gateway == _NOBODY for gateway, _ in spoken)
    pairs = dict.fromkeys(
        ("GATEWAY" if one else gateway, "TENANT" if tenant == _NOBODY else tenant)
        for (gateway, tenant), _ in spoken.most_common()
        if tenant != EVERY_TENANT  # which no record may name
    )
    told: dict[str, list[str]] = {}
    for gateway, tenant in islice(pairs, _GRANTS):
        told.setdefault(gateway, []).append(tenant)
    lines = yaml.safe_dump(told, default_flow_style=None, sort_keys=False, width=math.inf).splitlines()
    more = [f"# and {len(pairs) - _GRANTS:,} more"] if len(pairs) > _GRANTS else []
    head = "gateways:  # as the log has it; leave out whom a gateway may not speak for"
    return "\n  ".join([head, *lines, *more])


def _session_in(line: Line) -> SessionLine | LineError | None:
    """The session that a line holds which is of no format, or why it cannot be read."""
    if line.format is not None or not is_session_line(line.record.value):
        return None
    return next(read_session_lines([line.record]))


def try_mapping(settings: Settings, mapping: Path, file: Path) -> Iterator[Line]:
    """What a mapping understands of a file, line by line. Raises ConfigurationError for a mapping that is none."""
    options = read_mapping(mapping)
    reader = Reader(formats_of("mapping", options), _anybody(settings))
    return _lines(reader, file)


def _every_format(settings: Settings) -> dict[str, Format]:
    """Each format, the configured one with its options."""
    name = settings.source.format
    formats = {**formats_of(AUTO, {}), **formats_of(name, options_of(settings))}
    if name != "mapping":
        return formats
    mapping = formats.pop(name)
    return {name: _Mapping(mapping, tuple(formats.values())), **formats}


@dataclass(frozen=True)
class _Mapping(Format):
    """The configured mapping. Where it reads a log alone it need not know a record by its content: here it gets
    those that no other format knows."""

    title: ClassVar[str] = "the configured mapping"
    carries: ClassVar[frozenset[str]] = frozenset()

    mapping: Format
    others: tuple[Format, ...]

    def recognises(self, body: Any) -> bool:
        return self.mapping.recognises(body) or not any(each.recognises(body) for each in self.others)

    def facts(self, entry: Any) -> Facts | None:
        return self.mapping.facts(entry)

    def write(self, event: DecisionEvent) -> bytes:
        return self.mapping.write(event)


class _Anybody(Completion):
    """Who sends a log does not matter here, nor whose it is; where neither a record nor the configuration says it,
    that is told."""

    def sender(self, record: Record, said: str | None) -> str | None:
        return super().sender(record, said) or _NOBODY

    def owner(self, gateway: str | None, said: str | None) -> str | None:
        return super().owner(gateway, said) or _NOBODY

    def check_sender(self, event: DecisionEvent) -> None:
        """Whoever it names is believed."""


def _anybody(settings: Settings) -> Completion:
    known = completion_of(settings)
    return _Anybody(**{each.name: getattr(known, each.name) for each in dataclasses.fields(known)})


def _unsaid(event: DecisionEvent) -> Iterator[str]:
    """What a record must say, or the configuration for it."""
    if event.gateway == _NOBODY:
        yield "gateway"
    if event.envelope.tenant_id == _NOBODY:
        yield "tenant"


def _lines(reader: Reader, file: Path, update: Update = lambda _done, _total: None) -> Iterator[Line]:
    for batch in batches(file, update):
        for record in batch:
            if record.value.strip():
                yield _line(reader, record)


def _line(reader: Reader, record: Record) -> Line:
    found = list(reader.read(record))
    events = tuple(each.event for each in found if isinstance(each, Told))
    whys = (each if isinstance(each, DecodeError) else each.unread for each in found)
    refusals = tuple(f"{why.code}: {why.reason}" for why in whys if why is not None)
    return Line(record, reader.format_of(record), events, refusals)
