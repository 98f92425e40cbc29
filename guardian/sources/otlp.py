"""OTLP messages, JSON or protobuf, as plain dictionaries: spans and log records with their attributes flattened.

Source: OpenTelemetry protocol. In OTLP/JSON ids are hex and 64-bit numbers are strings. The protobuf library gives
ids in base64; they become hex here. Protobuf needs the extra `protobuf`.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from guardian.errors import DecodeError
from guardian.sources.facts import at

_DIGITS = re.compile(r"-?[0-9]{1,19}")
_RECORDS: Mapping[Literal["spans", "logs"], tuple[str, str, str]] = {
    "spans": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}


def records_of(body: Any, kind: Literal["spans", "logs"]) -> Iterator[dict[str, Any]]:
    """Each span or log record of a message; `attributes` and `resource` are flat, `trace` and `span` hex."""
    resources, scopes, records = _RECORDS[kind]
    for resource in _list(body, resources):
        about = attributes(at(resource, "resource", "attributes"))
        for scope in _list(resource, scopes):
            name = at(scope, "scope", "name")
            for record in _list(scope, records):
                if isinstance(record, Mapping):
                    yield {
                        **record,
                        "attributes": attributes(record.get("attributes")),
                        "resource": about,
                        "scope": name if isinstance(name, str) else "",
                        "trace": hex_of(record.get("traceId"), 16),
                        "span": hex_of(record.get("spanId"), 8),
                    }


def attributes(pairs: Any) -> dict[str, Any]:
    """`[{"key", "value": {"stringValue": …}}]` as a flat dictionary of plain values."""
    if not isinstance(pairs, list):
        return {}
    return {
        pair["key"]: plain(pair.get("value"))
        for pair in pairs
        if isinstance(pair, Mapping) and isinstance(pair.get("key"), str)
    }


def plain(value: Any) -> Any:
    """The value of an AnyValue."""
    if not isinstance(value, Mapping) or not value:
        return None
    name, inner = next(iter(value.items()))
    match name:
        case "intValue":
            return _whole(inner)
        case "arrayValue":
            return [plain(item) for item in _list(inner, "values")]
        case "kvlistValue":
            return attributes(at(inner, "values"))
        case _:
            return inner


def _whole(said: Any) -> Any:
    """A 64-bit number from its digits; anything else as it is."""
    if isinstance(said, str) and _DIGITS.fullmatch(said) and -(2**63) <= int(said) < 2**63:
        return int(said)
    return said


def from_protobuf(value: bytes) -> dict[str, Any] | None:
    """Bytes of a TracesData or LogsData message (an export request is the same on the wire); None for others.

    Raises DecodeError where the library is absent and the bytes look like such a message.
    """
    if not value.startswith(b"\n"):  # field 1, length-delimited: all of these messages begin so
        return None
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError as BadMessage
        from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
        from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
    except ImportError:
        if value.lstrip()[:1] in (b"{", b"["):
            return None
        raise DecodeError(
            "unsupported",
            "these bytes look like OTLP protobuf; reading it needs: pip install 'intent-guardian[protobuf]'",
        ) from None
    for message in (TracesData(), LogsData()):
        try:
            message.ParseFromString(value)
        except BadMessage:
            continue
        body: dict[str, Any] = MessageToDict(message)
        kind: Literal["spans", "logs"] = "spans" if "resourceSpans" in body else "logs"
        if any(True for _ in records_of(body, kind)) and _known(message):
            return body
    return None


def _known(message: Any) -> bool:
    """Whether the bytes are really of this message. Log records that are read as spans all lack a time; a single
    span without one may be an agent's, and must not hide the others."""
    if not hasattr(message, "resource_spans"):
        return True
    return any(
        span.name and span.start_time_unix_nano
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )


def hex_of(value: Any, size: int) -> str | None:
    """An id of `size` bytes as hex digits, whether it came so or in base64; None where there is none."""
    if not isinstance(value, str) or not value:
        return None
    if len(value) == size * 2:
        return value
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value
    return raw.hex() if len(raw) == size else value


def _list(body: Any, name: str) -> list[Any]:
    found = at(body, name)
    return found if isinstance(found, list) else []
