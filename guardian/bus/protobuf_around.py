"""Protobuf that its library refuses for what an agent wrote, made so that it can be read. Pure.

Source: Protocol Buffers, encoding. The library parses a message whole or not at all, and in it may lie the calls
of many. Exporters write what they are given: text that is not UTF-8, values that nest deeper than the library
goes, and numbers that are not finite, which the JSON of a `google.protobuf.Value` cannot carry.
"""

import math
import struct
from collections.abc import Iterator
from typing import Any

_DEEPEST = 64
_AND_THEN = 8
"""How many levels more there may be to the next one that can hold a text."""
_SIZED = 2
"""The wire type of what has a length: texts, bytes, messages."""
_VALUE = "google.protobuf.Value"
_NUMBER = 2 << 3 | 1
_TEXT = 3 << 3 | _SIZED
"""The tags of the number and of the text that such a value may be."""


def around(value: bytes, descriptor: Any, mark: str, room: int = _DEEPEST) -> bytes:
    """A message of this type in which a text that is not UTF-8, and one in the place of what nests too deep or is
    no finite number, begins with `mark`. Raises ValueError for what is no message."""
    if room <= 0:
        text = next((each for each in descriptor.fields if each.type == each.TYPE_STRING), None)
        if text is not None:
            return _sized(text.number << 3 | _SIZED, f"{mark} nested too deep".encode())
        if room == -_AND_THEN:
            raise ValueError("nested too deep, and without a text")
    parts, of_json = [], descriptor.full_name == _VALUE
    for start, at, end, tag in fields(value):
        field = descriptor.fields_by_number.get(tag >> 3) if tag & 7 == _SIZED else None
        inner = value[at:end]
        if field is not None and field.type == field.TYPE_MESSAGE:
            parts.append(_sized(tag, around(inner, field.message_type, mark, room - 1)))
        elif field is not None and field.type == field.TYPE_STRING and not _is_utf8(inner):
            parts.append(_sized(tag, (mark + inner.decode("utf-8", "replace")).encode()))
        elif of_json and tag == _NUMBER and not math.isfinite(*struct.unpack("<d", inner)):
            parts.append(_sized(_TEXT, f"{mark} a number that is not finite".encode()))
        else:
            parts.append(value[start:end])
    return b"".join(parts)


def fields(value: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Where each field of a message begins, where its content does, where it ends, and its tag: number and type.
    Raises ValueError for what is no message."""
    end = 0
    while end < len(value):
        start = end
        tag, at = varint(value, start)
        match tag & 7:
            case 0:
                _, end = varint(value, at)
            case 1:
                end = at + 8
            case 2:
                size, at = varint(value, at)
                end = at + size
            case 5:
                end = at + 4
            case _:
                raise ValueError("a group, or no field")
        if end > len(value) or not tag >> 3:
            raise ValueError("cut short, or no field")
        yield start, at, end, tag


def varint(value: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends. Raises ValueError."""
    number = 0
    for shift in range(0, 70, 7):
        if at == len(value):
            break
        byte = value[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
    raise ValueError("no number")


def _sized(tag: int, content: bytes) -> bytes:
    return _varint(tag) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
