"""OTLP messages, JSON or protobuf, as plain dictionaries: spans and log records with their attributes flattened.

Source: OpenTelemetry protocol. In OTLP/JSON ids are hex and 64-bit numbers are strings. The protobuf library gives
ids in base64; they become hex here. Protobuf needs the extra `protobuf`.
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from guardian.bus.protobuf_around import around, fields
from guardian.errors import DecodeError
from guardian.sources.facts import at
from guardian.sources.partly import Partly
from guardian.sources.unread import unmarked

_DIGITS = re.compile(r"-?[0-9]{1,19}")
_RECORDS: Mapping[Literal["spans", "logs"], tuple[str, str, str]] = {
    "spans": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}
_START = 7 << 3 | 1
"""The tag of a span's start, eight bytes; that of a log record's time is another."""
_UNREAD = DecodeError("not_utf8", "a text in the message is not UTF-8, or nests too deep")


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


def time_in(record: Mapping[str, Any], *names: str) -> Any:
    """The first of these times that the record says; 0 is OTLP's word for none."""
    return next((said for name in names if (said := record.get(name)) not in (None, "", 0, "0")), None)


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


def from_protobuf(value: bytes, kind: Literal["spans", "logs"]) -> dict[str, Any] | Partly | None:
    """Bytes of a TracesData or LogsData message (an export request is the same on the wire); None for others.
    `Partly` where some text in it cannot be read.

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
    message: Any = TracesData if kind == "spans" else LogsData
    try:
        if _are_spans(value) != (kind == "spans"):
            return None
        try:
            body, partly = MessageToDict(message.FromString(value)), False
        except BadMessage:
            mark, partly = secrets.token_hex(16), True
            rest = MessageToDict(message.FromString(around(value, message.DESCRIPTOR, mark)))
            body = unmarked(rest, mark)
    except (ValueError, BadMessage):
        return None
    if not any(True for _ in records_of(body, kind)):
        return None
    return Partly(body, _UNREAD, hashlib.sha256(value).digest()) if partly else body


def _are_spans(value: bytes) -> bool:
    """Whether the records of a message are spans. Those of logs say no time where a span's start is; a single span
    without one may be an agent's, and must not hide the others. Raises ValueError for what is no message."""
    return any(
        tag == _START and any(span[at:end])
        for resource in _inner(value, 1)
        for scope in _inner(resource, 2)
        for span in _inner(scope, 2)
        for _, at, end, tag in fields(span)
    )


def _inner(value: bytes, number: int) -> Iterator[bytes]:
    """The contents of each field of this number."""
    return (value[at:end] for _, at, end, tag in fields(value) if tag == number << 3 | 2)


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
