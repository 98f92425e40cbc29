"""JSON of hostile bytes or text: bounded, without duplicate keys, with finite numbers and whole characters only.

A parser that silently picks one of two duplicate keys may pick another one than the gateway's policy did. So
whatever comes from outside is read by this parser only, also JSON within a JSON string. No reason quotes what was
read, because reasons pass neither the redaction rules nor the credential scanner.
"""

import codecs
import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from guardian.domain.record import MAX_RECORD
from guardian.errors import DecodeError

MAX_DEPTH = 64
MAX_CALL_BYTES = 8 * 1024 * 1024
MAX_BYTES = MAX_RECORD
"""The most that is read at once. Meanwhile its values may take sixty times as much memory: 2 GB."""

LEAST, BEYOND = -(2**63), 2**64
"""Between which whole numbers lie: those of 64 bits, with or without a sign, as ids and hashes are."""

_WIDE = "it looks like UTF-16: write it as UTF-8"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def canonical_json(value: Any) -> str:
    """JSON in one spelling: keys in order, no spaces, ASCII. It never changes, for digests of it are stored."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def parse(value: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """The JSON value of bytes. Raises DecodeError."""
    if len(value) > max_bytes:
        raise DecodeError("too_large", f"larger than the {max_bytes} bytes that are read at most")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        wide = value.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        raise DecodeError(
            "not_utf8", _WIDE if wide else f"the byte at position {error.start} is not UTF-8"
        ) from None
    return parse_text(text, max_depth=max_depth)


def parse_text(text: str, *, max_depth: int = MAX_DEPTH) -> Any:
    """The JSON value of a text. Raises DecodeError."""
    if text.count("{") + text.count("[") > max_depth and _depth(text) > max_depth:
        raise DecodeError("too_deep", f"nested more than {max_depth} levels deep")
    try:
        parsed = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        wide = "\0\0" in (text[:4:2], text[1:4:2]) and text[:4].strip("\0")  # as with plain letters
        why = _WIDE if wide else f"{error.msg.removesuffix(' at')} at position {error.pos}"
        raise DecodeError("not_json", why) from None
    except RecursionError:
        raise DecodeError("not_json", "the JSON cannot be parsed") from None
    if _SURROGATE.search(text):
        try:
            json.dumps(parsed, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise DecodeError("not_utf8", "a \\u escape is half of a surrogate pair") from None
    return parsed


def unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON from its members in order. Raises DecodeError for a key that is there twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise DecodeError("ambiguous", f"a key of {len(twice)} characters occurs twice in one object")
    return made


def _bad_number(text: str) -> NoReturn:
    raise DecodeError("not_json", f"a number of {len(text)} characters is not one that JSON can carry")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _bad_number(text)
    return number


def _int(text: str) -> int:
    if len(text) > 20 or not LEAST <= (number := int(text)) < BEYOND:
        _bad_number(text)
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=unambiguous, parse_constant=_bad_number, parse_float=_float, parse_int=_int
)


def _depth(text: str) -> int:
    """How deep the brackets nest, strings left out; linear, and it needs no stack."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest
