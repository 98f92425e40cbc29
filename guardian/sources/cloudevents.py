"""CloudEvents 1.0 on Kafka, binary and structured, around a record of any other format.

Source: CloudEvents 1.0.2 and its Kafka protocol binding. Structured: `content-type` begins with
`application/cloudevents` (or the value says so itself), the value is the whole event. Binary: headers `ce_*`, the
value is the data. Where the wrapped record lacks id, time, gateway, session or trace, the wrapper's are used; its
`partitionkey` names no session, since it may be a tenant's.
"""

import base64
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.domain.strict_json import MAX_BYTES, MAX_DEPTH, parse
from guardian.errors import DecodeError
from guardian.sources.facts import CARRIED, Facts, at, expected, first, moment, text, trace_of
from guardian.sources.hostile import agents_own
from guardian.sources.lines import line
from guardian.sources.partly import Partly
from guardian.sources.port import Format
from guardian.sources.unread import read_around, text_of


@dataclass(frozen=True, slots=True)
class Wrapping:
    """The context attributes of one event. An event may hold several calls: the first has the event's id,
    `numbers` tell the others apart."""

    attributes: Mapping[str, Any]
    numbers: Iterator[int] = field(default_factory=itertools.count, compare=False, repr=False)

    def onto(self, facts: Facts) -> Facts:
        """The facts, completed from the wrapper, which goes before what an agent claims. Raises DecodeError for a
        time that cannot be read."""
        said = self.attributes
        told: dict[str, Any] = {
            "session": None if at(facts.envelope, "session_id") else text(said.get("sessionid")),
            "trace": first(said.get("traceid"), trace_of(said.get("traceparent"))),
        }
        ours = {name: value for name, value in told.items() if value is not None and not facts.knows(name)}
        return dataclasses.replace(
            facts,
            id=facts.id or self._next_id(),
            time=facts.time or moment(said.get("time"), "time"),
            gateway=facts.gateway or text(said.get("source")),
            claimed=facts.claimed - ours.keys(),
            **ours,
        )

    def without(self, name: str) -> "Wrapping":
        """The same event without an attribute."""
        return dataclasses.replace(self, attributes={**self.attributes, name: None})

    def _next_id(self) -> str | None:
        name, number = text(self.attributes.get("id")), next(self.numbers)
        return f"{name}/{number}" if name is not None and number else name


def binary(record: Record) -> Wrapping | None:
    """The attributes in a record's headers; None where it is no binary event."""
    headers = {name.lower(): value for name, value in record.headers}
    if "ce_specversion" not in headers:
        return None
    said = {
        name.removeprefix("ce_"): value.decode("utf-8", "replace")[:2048]
        for name, value in headers.items()
        if name.startswith("ce_")
    }
    _check_version(said.get("specversion"))
    return Wrapping(said)


def structured(body: Any) -> tuple[Any, Wrapping] | None:
    """The data and attributes of a structured event; None where the body is none. `data_base64` must hold JSON.
    The data are `Partly` where they are JSON in a string that cannot be read whole."""
    if not isinstance(body, Mapping) or "specversion" not in body or agents_own(body):
        return None
    if not ("data" in body or "data_base64" in body):
        return None
    _check_version(body["specversion"])
    said = {name: value for name, value in body.items() if name not in ("data", "data_base64")}
    data = body["data"] if "data" in body else _from_base64(body["data_base64"])
    if isinstance(data, str):
        data = _json(data.encode("utf-8"), "data")
    return data, Wrapping(said)


@dataclass(frozen=True)
class CloudEvents(Format):
    """With `source.format: cloudevents` every record must be one; the format inside is recognised by its
    content."""

    title: ClassVar[str] = "CloudEvents 1.0 around any other format (Kafka binary and structured mode)"
    carries: ClassVar[frozenset[str]] = frozenset(CARRIED)

    def recognises(self, body: Any) -> bool:
        return isinstance(body, Mapping) and "specversion" in body and ("data" in body or "data_base64" in body)

    def facts(self, entry: Any) -> Facts | None:
        """Always refuses: wrappers are taken off before, so what arrives here is no CloudEvent."""
        raise expected("specversion", 'a CloudEvent of version "1.0"', entry.get("specversion"))

    def write(self, event: DecisionEvent) -> bytes:
        data = event.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"origin"})
        attributes = {
            "specversion": "1.0", "id": event.id, "source": event.gateway, "type": "dev.guardian.decision.v1",
            "time": event.time.isoformat(), "datacontenttype": "application/json",
            "partitionkey": event.envelope.session_id,
        }  # fmt: skip
        return line({**attributes, "data": data})


plugin = CloudEvents


def _check_version(version: object) -> None:
    if version not in ("1.0", "0.3"):
        raise expected("specversion", 'the CloudEvents version "1.0"', version)


def _from_base64(value: object) -> Any:
    if not isinstance(value, str):
        raise expected("data_base64", "base64", value)
    try:
        return _json(base64.b64decode(value, validate=True), "data_base64")
    except ValueError:
        raise expected("data_base64", "base64 of JSON", value) from None


def _json(value: bytes, path: str) -> Any:
    try:
        return parse(value, max_bytes=MAX_BYTES)
    except DecodeError as error:
        try:
            return Partly(read_around(text_of(value), MAX_DEPTH), error, hashlib.sha256(value).digest())
        except (ValueError, RecursionError):
            raise DecodeError("invalid", f"{path}: expected JSON") from None
