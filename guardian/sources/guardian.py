"""`guardian.decision/v1` as JSON bytes: guardian's own log format, read from gateways that may be hostile.

The bytes are parsed twice on purpose: once by `strict_json`, which refuses duplicate keys, NaN and depth, then by
the model in strict JSON mode.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails

from guardian.domain.event import SCHEMA, DecisionEvent
from guardian.domain.finding import OPERATORS
from guardian.domain.record import Record
from guardian.domain.strict_json import MAX_BYTES, MAX_CALL_BYTES, MAX_DEPTH, parse
from guardian.domain.text import plain
from guardian.errors import DecodeError
from guardian.sources.facts import CARRIED, Facts, of_no_tool
from guardian.sources.hostile import agents_own, kind
from guardian.sources.lines import line
from guardian.sources.port import Format, Told
from guardian.sources.unread import (
    SESSION_NAMES,
    TENANT_NAMES,
    Place,
    names_in,
    read_around,
    text_of,
    without_unread,
)

_OURS = re.compile(r"guardian\.[a-z]{1,16}/v[0-9]{1,3}")
_CHOSEN = frozenset({"result", "trace_id", "agent_version"})
"""Fields of a decision, beside its action, that an agent can influence."""
_ANY_TOOL = "-"
OWN_ID = "sha256:"
"""How the ids begin that guardian gives where a log gives none, or none that an event can hold."""
_SHOWN_ERRORS = 3
_SALVAGE_BYTES = 2_097_152


@dataclass(frozen=True)
class GuardianDecisions(Format):
    """Options: `max_bytes` of one record, `max_depth` of its nesting."""

    title: ClassVar[str] = "guardian.decision/v1, one JSON object a record (`guardian schema`)"
    carries: ClassVar[frozenset[str]] = frozenset(CARRIED)

    max_bytes: int = MAX_CALL_BYTES
    max_depth: int = MAX_DEPTH

    def decode(self, record: Record) -> DecisionEvent:
        value = record.value
        parsed = self.parse(value)
        if not isinstance(parsed, dict):
            _refuse("invalid", f"expected a JSON object, got {kind(parsed)}", value)
        if parsed.get("schema") != SCHEMA:
            _refuse("unknown_schema", f"expected schema {SCHEMA!r}, got {_schema(parsed)}", value, parsed)
        try:
            return event_of(value, parsed)
        except ValidationError as error:
            _refuse("invalid", explain(error), value, parsed)

    def read(self, record: Record) -> Sequence[Told | DecodeError]:
        """The record's decision, or why it could not be read; both where only a part that an agent chose could
        not."""
        digest = hashlib.sha256(record.value).hexdigest()
        try:
            return (Told(self.decode(record), digest, size=len(record.value)),)
        except DecodeError as error:
            found = read_partly(self.parse_around(record.value), error, digest)
            if isinstance(found, DecodeError):
                return (placed(found, record),)
            return (Told(found, digest, error, len(record.value)),)

    def recognises(self, body: Any) -> bool:
        return isinstance(body, dict) and body.get("schema") == SCHEMA and not agents_own(body)

    def facts(self, entry: Any) -> Facts | None:
        """Canonical records are not completed, so what arrives here is none."""
        _refuse("unknown_schema", f"expected schema {SCHEMA!r}, got {_schema(entry)}", b"", entry)

    def write(self, event: DecisionEvent) -> bytes:
        body = event.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"origin"})
        return line(body)

    def parse(self, value: bytes) -> Any:
        """The JSON value of hostile bytes; see `strict_json`. A refusal has the names that could still be read."""
        try:
            return parse(value, max_bytes=self.max_bytes, max_depth=self.max_depth)
        except DecodeError as error:
            parsed = None
            if error.code == "too_large":  # the names may lie anywhere in it, before or after the arguments
                parsed = dataclasses.replace(self, max_bytes=MAX_BYTES).parse_around(value)
            _refuse(error.code, error.reason, value, parsed if isinstance(parsed, dict) else None)

    def parse_around(self, value: bytes) -> Any:
        """The JSON value with `Unread` in it, for bytes that `parse` refuses; None where that does not help."""
        if len(value) > self.max_bytes:
            return None
        try:
            return read_around(text_of(value), self.max_depth)
        except (ValueError, RecursionError):
            return None


plugin = GuardianDecisions


def read_partly(body: Any, why: DecodeError, digest: str) -> DecisionEvent | DecodeError:
    """The decision without the unreadable parts that an agent chose; `why`, where more than those is wrong. An id
    that no event can hold gives way to the digest of all of it: what comes again is the same decision still."""
    event = _partly(body, digest)
    if event is not None:
        return event
    action = body.get("action") if isinstance(body, dict) else None
    tool_less = {**body, "action": {**action, "tool": _ANY_TOOL}} if isinstance(action, dict) else None
    named = _partly(tool_less, digest)
    return why if named is None else of_no_tool(why, named.decision.effect)


def _partly(body: Any, digest: str) -> DecisionEvent | None:
    known = without_unread(body) if isinstance(body, dict) else None
    if known is None:
        return None
    try:
        return event_of(json.dumps(known), known)
    except ValidationError as error:
        places = [item["loc"] for item in error.errors(include_url=False, include_context=False)]
    kept: dict[str, Any] = {**known, "action": dict(known["action"])}
    for place in places:
        if place[0] == "action" and len(place) > 1 and place[1] != "tool":
            kept["action"].pop(str(place[1]), None)
        elif place == ("decision", "reason"):
            kept["decision"] = {**known["decision"], "reason": ""}
        elif place == ("id",) and "id" in body:
            kept["id"] = f"{OWN_ID}{digest[:40]}"
        elif place[0] in _CHOSEN:
            kept.pop(str(place[0]), None)
        else:
            return None
    try:
        return event_of(json.dumps(kept), kept)
    except ValidationError:
        return None


def placed(error: DecodeError, record: Record) -> DecodeError:
    """The error; where a record is too large and names no session, with the record's partition and day as the
    session. So people hear of it, because an agent can bring it about, but only once a day, because it can do so
    repeatedly."""
    if error.code != "too_large" or error.session_id is not None:
        return error
    return DecodeError(
        error.code,
        error.reason,
        tenant_id=error.tenant_id or OPERATORS,
        session_id=record.day_of_place,
        gateway=error.gateway,
    )


def event_of(text: str | bytes, body: Any) -> DecisionEvent:
    """The decision of a JSON text, which reads as `body`, without an `origin`. Raises ValidationError: of missing
    fields alone, where there are any, because the model's own keeps all that stands beside each, once for each."""
    if lacking := [place for place in _NEEDED if _lacks(body, place)]:
        told = [InitErrorDetails(type="missing", loc=place, input={}) for place in lacking]
        raise ValidationError.from_exception_data(DecisionEvent.__name__, told)
    return own(DecisionEvent.model_validate_json(text))


def _needed(model: type[BaseModel], at: Place = ()) -> Iterator[Place]:
    for name, field in model.model_fields.items():
        place = (*at, field.alias or name)
        if field.is_required():
            yield place
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _needed(field.annotation, place)


_NEEDED = tuple(_needed(DecisionEvent))


def _lacks(body: Any, place: Place) -> bool:
    """Whether an object lacks the field; where there is no such object, another one is missing or is no object."""
    for step in place[:-1]:
        body = body.get(step) if isinstance(body, dict) else None
    return isinstance(body, dict) and place[-1] not in body


def own(event: DecisionEvent) -> DecisionEvent:
    """The event without an `origin`: that is guardian's own note, and no gateway may write it."""
    return event if event.origin is None else event.model_copy(update={"origin": None})


def _refuse(code: str, reason: str, value: bytes, parsed: dict[str, Any] | None = None) -> NoReturn:
    tenant, session, gateway = _salvage_parsed(parsed) if parsed is not None else _salvage_bytes(value)
    raise DecodeError(code, reason, tenant_id=tenant, session_id=session, gateway=gateway) from None


def _salvage_parsed(parsed: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    if agents_own(parsed):
        return None, None, None
    envelope = parsed.get("envelope")
    found = envelope if isinstance(envelope, dict) else parsed
    return name_of(found.get("tenant_id")), name_of(found.get("session_id")), name_of(parsed.get("gateway"))


def _salvage_bytes(value: bytes) -> tuple[str | None, str | None, str | None]:
    """The names that can still be read from broken bytes: those that stand whole at the places where names
    belong."""
    names = names_in(value[:_SALVAGE_BYTES])
    tenant = next((t for each in _places(TENANT_NAMES) if (t := name_of(names.get(each)))), None)
    session = next((s for each in _places(SESSION_NAMES) if (s := name_of(names.get(each)))), None)
    return tenant, session, name_of(names.get(("gateway",)))


def _places(wanted: Sequence[str]) -> Iterator[Place]:
    return iter([("envelope", wanted[0]), *((name,) for name in wanted)])


def name_of(value: object) -> str | None:
    if not isinstance(value, str) or not 1 <= len(value) <= 512 or not value.isprintable():
        return None
    if "\ufffd" in value:  # bytes that were not UTF-8: this is nobody's real name
        return None
    return value


def _schema(parsed: dict[str, Any]) -> str:
    if "schema" not in parsed:
        return "none"
    schema = parsed["schema"]
    return repr(schema) if isinstance(schema, str) and _OURS.fullmatch(schema) else kind(schema)


def explain(error: ValidationError) -> str:
    """Where, what was expected, and which type came instead; never the value, which is the agent's."""
    found = error.errors(include_url=False, include_context=False)
    lines = []
    for item in found[:_SHOWN_ERRORS]:
        path = plain(".".join(str(part) for part in item["loc"]), 120) or "(record)"
        lines.append(f"{path}: {plain(item['msg'], 120)}, got {kind(item['input'])}")
    more = f"; and {len(found) - _SHOWN_ERRORS} more" if len(found) > _SHOWN_ERRORS else ""
    return "; ".join(lines) + more
