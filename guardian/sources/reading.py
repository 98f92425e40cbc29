"""Records of foreign formats → decisions: take the wrapping off, tell the format, take batches apart, complete."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from guardian.bus.port import Record
from guardian.domain.event import SCHEMA, DecisionEvent
from guardian.domain.text import shown
from guardian.errors import DecodeError
from guardian.sources import cloudevents
from guardian.sources.cloudevents import Wrapping
from guardian.sources.completing import Completion
from guardian.sources.guardian import GuardianDecisions, explain, name_of, own
from guardian.sources.hostile import kind
from guardian.sources.port import Format, Told

FORMAT_HEADER = "guardian-format"
"""A record's header that names its format; it goes before what the content looks like."""

_GZIP = b"\x1f\x8b"
_SESSION_KEYS = ("session_id", "sessionId", "session", "session.id", "mcp.session.id", "gen_ai.conversation.id")
_WRAPPED_AT_MOST = 2


@dataclass(frozen=True)
class Reader:
    """`formats` by name: with one of them, records are read as that one; with several, the format is told record
    by record, by header first. `wrapped`: only CloudEvents are taken."""

    formats: Mapping[str, Format]
    completion: Completion = field(default_factory=Completion)
    wrapped: bool = False
    max_bytes: int = 8_388_608
    max_depth: int = 64

    @cached_property
    def _parser(self) -> GuardianDecisions:
        return GuardianDecisions(max_bytes=self.max_bytes, max_depth=self.max_depth)

    def read(self, record: Record) -> Sequence[Told | DecodeError]:
        """Every decision of the record, in its order; see the port."""
        found: list[Told | DecodeError] = []
        try:
            wrapping = cloudevents.binary(record)
            for name, body in self._bodies(record):
                found += [body] if isinstance(body, DecodeError) else self._body(record, name, body, wrapping)
        except DecodeError as error:
            found.append(error)
        return found

    def format_of(self, record: Record) -> str | None:
        """The format's name; None where the record is of none of them."""
        try:
            for name, body in self._bodies(record):
                told = cloudevents.structured(body) or (body, None)
                return name or self._recognised(record, told[0])
        except DecodeError:
            pass
        return None

    def _bodies(self, record: Record) -> Iterator[tuple[str | None, Any]]:
        """JSON values, or why a line is none; with the format's name where the value is not JSON and only that
        format opens it."""
        value = self._unpacked(record.value)
        if value.lstrip()[:1] not in (b"{", b"["):
            for name, each in self.formats.items():
                body = each.opens(value)
                if body is not None:
                    yield name, body
                    return
        for body in self._parsed(value):
            yield from ((None, item) for item in (body if isinstance(body, list) else (body,)))

    def _parsed(self, value: bytes) -> Iterator[Any]:
        """One JSON value, or one in each line: a line that is none is told in its turn."""
        parser = self._parser
        try:
            yield parser.parse(value)
        except DecodeError as error:
            lines = [line for line in value.splitlines() if line.strip()]
            if error.code == "too_large" or len(lines) < 2 or not lines[0].rstrip().endswith((b"}", b"]")):
                raise
            for line in lines:
                try:
                    body = parser.parse(line)
                except DecodeError as refused:
                    body = refused
                yield body

    def _unpacked(self, value: bytes) -> bytes:
        """What the gzip holds, of one member or several; anything else as it is."""
        text, rest = b"", value
        while rest.startswith(_GZIP):
            unpacking = zlib.decompressobj(wbits=31)
            try:
                text += unpacking.decompress(rest, self.max_bytes + 1 - len(text))
            except zlib.error:
                raise DecodeError("not_json", "the gzip is damaged") from None
            if len(text) > self.max_bytes:
                raise DecodeError("too_large", f"unpacked it has more than {self.max_bytes} bytes")
            if not unpacking.eof:
                raise DecodeError("not_json", "the gzip is cut short")
            rest = unpacking.unused_data
        if rest is not value and rest.strip(b"\0"):
            raise DecodeError("not_json", "something else follows the gzip")
        return value if rest is value else text

    def _body(
        self, record: Record, name: str | None, body: Any, wrapping: Wrapping | None
    ) -> Iterator[Told | DecodeError]:
        try:
            for _ in range(_WRAPPED_AT_MOST):
                inner = cloudevents.structured(body)
                if inner is None:
                    break
                body, wrapping = inner
            if self.wrapped and wrapping is None:
                raise DecodeError("unknown_format", f"expected a CloudEvent, got {_sketch(body)}")
            if isinstance(body, list):  # a wrapped batch
                for item in body:
                    yield from self._body(record, name, item, wrapping)
                return
            name = name or self._recognised(record, body)
            if name is None:
                known = ", ".join(self.formats)
                raise DecodeError("unknown_format", f"expected one of {known}; got {_sketch(body)}")
            if not isinstance(body, Mapping):
                raise DecodeError("invalid", f"expected a JSON object, got {kind(body)}")
            entries = self.formats[name].entries(body)
        except DecodeError as error:
            yield self._salvaged(error, body)
            return
        for entry in entries:
            try:
                told = self._entry(record, name, entry, wrapping)
            except DecodeError as error:
                yield self._salvaged(error, entry)
            else:
                if told is not None:
                    yield told

    def _entry(self, record: Record, name: str, entry: Any, wrapping: Wrapping | None) -> Told | None:
        digest = hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        if isinstance(entry, Mapping) and entry.get("schema") == SCHEMA:
            return Told(_canonical(entry), digest)
        if not isinstance(entry, Mapping):
            raise DecodeError("invalid", f"expected a JSON object, got {kind(entry)}")
        facts = self.formats[name].facts(entry)
        if facts is None:
            return None
        if wrapping is not None:
            facts = wrapping.onto(facts)
        return Told(self.completion.complete(facts, record, format=name, digest=digest), digest)

    def _recognised(self, record: Record, body: Any) -> str | None:
        if len(self.formats) == 1:
            return next(iter(self.formats))
        header = next((value for key, value in record.headers if key.lower() == FORMAT_HEADER), b"")
        named = header.decode("utf-8", "replace")
        if named in self.formats:
            return named
        return next((name for name, each in self.formats.items() if each.recognises(body)), None)

    def _salvaged(self, error: DecodeError, body: Any) -> DecodeError:
        """The refusal with the gateway, tenant and session that the entry still names."""
        if not isinstance(body, Mapping):
            return error
        levels = [
            body,
            *(body[key] for key in ("context", "envelope", "attributes") if isinstance(body.get(key), dict)),
        ]
        session = next((s for level in levels for key in _SESSION_KEYS if (s := name_of(level.get(key)))), None)
        tenant = next((t for level in levels if (t := name_of(level.get("tenant_id")))), self.completion.tenant)
        named = next((g for level in levels if (g := name_of(level.get("gateway")))), None)
        gateway = error.gateway or name_of(self.completion.gateway) or named
        if error.session_id is not None:
            tenant, session = error.tenant_id, error.session_id
        return DecodeError(error.code, error.reason, tenant_id=tenant, session_id=session, gateway=gateway)


def _canonical(entry: Mapping[str, Any]) -> DecisionEvent:
    try:
        return own(DecisionEvent.model_validate_json(json.dumps(entry)))
    except ValidationError as error:
        raise DecodeError("invalid", explain(error)) from None


def _sketch(body: Any) -> str:
    if not isinstance(body, Mapping):
        return kind(body)
    keys = ", ".join(shown(str(key), 32) for key in list(body)[:8])
    return f"an object with the keys {keys}" if keys else "an empty object"


def alone(name: str, format: Format, completion: Completion | None = None) -> Reader:
    """A reader of one format."""
    return Reader({name: format}, completion or Completion())
