"""The bytes of one record → JSON values: gzip, lines, arrays, and as much of each as can be read. Pure."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from guardian.errors import DecodeError
from guardian.sources.guardian import GuardianDecisions
from guardian.sources.partly import Partly

_GZIP = b"\x1f\x8b"


def unpacked(value: bytes, max_bytes: int) -> bytes:
    """What a gzip of one or more members holds, cut one byte beyond `max_bytes`; anything else as it is. Raises
    DecodeError."""
    if not value.startswith(_GZIP):
        return value
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(value)).read(max_bytes + 1)
    except EOFError:
        raise DecodeError("not_json", "the gzip is cut short") from None
    except (OSError, zlib.error):
        raise DecodeError("not_json", "the gzip is damaged, or something else follows it") from None


def values_of(value: bytes, parser: GuardianDecisions) -> Iterator[Any]:
    """The record's JSON values: one, or one a line; an array counts as its items. Each is `Partly` where only a
    part of it can be read, and a DecodeError where nothing can."""
    try:
        yield from items_of(parser.parse(value))
    except DecodeError as error:
        lines = [line for line in value.splitlines() if line.strip()]
        if error.code == "too_large" or len(lines) < 2 or not lines[0].rstrip().endswith((b"}", b"]")):
            yield from items_of(_around(value, error, parser))
            return
        for line in lines:
            yield from items_of(_line(line, parser))


def items_of(body: Any) -> Iterable[Any]:
    """The items of an array, or the value itself; an item that can be read whole is no longer `Partly`."""
    if isinstance(body, Partly):
        return body.items()
    return body if isinstance(body, list) else (body,)


def _line(line: bytes, parser: GuardianDecisions) -> Any:
    try:
        return parser.parse(line)
    except DecodeError as error:
        return _around(line, error, parser)


def _around(value: bytes, why: DecodeError, parser: GuardianDecisions) -> Partly | DecodeError:
    """The parts that can be read of a value that was refused; the refusal itself where there are none."""
    body = parser.parse_around(value)
    return why if body is None else Partly(body, why, hashlib.sha256(value).digest())
