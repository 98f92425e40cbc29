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
    """What the gzip holds, of one member or several, up to the first byte that is too many; anything else as it
    is. Raises DecodeError."""
    if not value.startswith(_GZIP):
        return value
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(value)).read(max_bytes + 1)
    except EOFError:
        raise DecodeError("not_json", "the gzip is cut short") from None
    except (OSError, zlib.error):
        raise DecodeError("not_json", "the gzip is damaged, or something else follows it") from None


def values_of(value: bytes, parser: GuardianDecisions) -> Iterator[Any]:
    """One JSON value, or one in each line, the items of an array each; `Partly` where only a part can be read, a
    DecodeError where nothing can: a line that is none is told in its turn."""
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
    """The items of an array, each of which may be readable whole; anything else as it is."""
    if isinstance(body, Partly):
        return body.items()
    return body if isinstance(body, list) else (body,)


def _line(line: bytes, parser: GuardianDecisions) -> Any:
    try:
        return parser.parse(line)
    except DecodeError as error:
        return _around(line, error, parser)


def _around(value: bytes, why: DecodeError, parser: GuardianDecisions) -> Partly | DecodeError:
    """What can be read of a value that was refused; the refusal where that is nothing."""
    body = parser.parse_around(value)
    return why if body is None else Partly(body, why, hashlib.sha256(value).digest())
