"""Reading around what cannot be read, so that an agent cannot hide a call by what it puts into it. Pure.

A gateway logs an agent's arguments faithfully: numbers beyond 64 bits, half a surrogate pair, a byte that is not
UTF-8, a key twice, nesting without end. Such parts become `Unread`, and the rest of the record is judged. Names
are recognised by where they stand in the JSON, never by how they look: arguments may hold anything.
"""

import json
import math
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from guardian.domain.event import SCHEMA
from guardian.domain.strict_json import BEYOND, LEAST
from guardian.domain.text import plain
from guardian.sources.hostile import agents_own

SIGN = "\ufffd"
"""Begins, or stands in, the text that is shown for anything unread."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}:,]', re.DOTALL)
_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_HALF = re.compile(r"[\ud800-\udfff]")
_QUOTE = 0x22
_LONGEST_NAME = 4096
_WHOLE = frozenset({"schema", "time", "gateway", "envelope", "envelope_jws", "decision"})

Place = tuple[str, ...]
SESSION_NAMES = ("session_id", "sessionId", "session", "session.id", "mcp.session.id", "gen_ai.conversation.id")
TENANT_NAMES = ("tenant_id", "tenant")
"""What logs call a session and a tenant, the likeliest first."""
NAMES: tuple[Place, ...] = (
    ("gateway",),
    ("envelope", "tenant_id"),
    ("envelope", "session_id"),
    *((name,) for name in (*TENANT_NAMES, *SESSION_NAMES)),
)


class Unread(str):
    """A JSON value that was not read, as the text that is shown in its place."""


def _unread(what: str) -> Unread:
    return Unread(f"{SIGN} {what}")


def text_of(value: bytes) -> str:
    """The bytes as text for `read_around`: each byte that is not UTF-8 becomes half a surrogate pair, which is
    unread."""
    return value.decode("utf-8", "surrogateescape")


def read_around(text: str, max_depth: int) -> Any:
    """The JSON value of `text`, `Unread` where a part cannot be read. Raises ValueError for what is no JSON."""
    mark = secrets.token_hex(16)  # no text can hold it
    return unmarked(_DECODER.decode(_shallow(text, max_depth, mark)), mark)


def unmarked(value: Any, mark: str) -> Any:
    """The value, `Unread` where a text begins with `mark` or holds half of a surrogate pair."""
    match value:
        case str() if value.startswith(mark):
            return Unread(SIGN + value.removeprefix(mark))
        case str() if _HALF.search(value):
            return Unread(_HALF.sub(SIGN, value))
        case dict():
            return {unmarked(key, mark): unmarked(item, mark) for key, item in value.items()}
        case list():
            return [unmarked(item, mark) for item in value]
        case _:
            return value


def unread_in(value: object) -> bool:
    """Whether anything in it, however deep, was not read."""
    if isinstance(value, str):  # runs for every decision, so the likeliest type comes first
        return isinstance(value, Unread)
    if isinstance(value, dict):
        return any(map(unread_in, value)) or any(map(unread_in, value.values()))
    return isinstance(value, (list, tuple)) and any(map(unread_in, value))


def unread_of(value: object) -> Iterator[Unread]:
    """Every part of it, however deep, that was not read."""
    match value:
        case Unread():
            yield value
        case dict():
            for key, item in value.items():
                yield from unread_of(key)
                yield from unread_of(item)
        case list() | tuple():
            for item in value:
                yield from unread_of(item)


def without_unread(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """A guardian.decision/v1 body as far as it can be read; None where more is unread than an agent may choose:
    who acts, with which tool, and what was decided. Of the arguments, all that could be read stays.
    """
    action = body.get("action")
    if body.get("schema") != SCHEMA or not isinstance(action, Mapping):
        return None
    kept = {
        key: value
        for key, value in action.items()
        if not unread_in(value) or (key == "arguments" and isinstance(value, Mapping))
    }
    rest = {
        key: value
        for key, value in body.items()
        if key != "action" and (key in _WHOLE or not (unread_in(key) or unread_in(value)))
    }
    decision = rest.get("decision")
    if isinstance(decision, Mapping) and unread_in(decision.get("reason")):
        rest["decision"] = {**decision, "reason": ""}
    return None if "tool" not in kept or unread_in(rest) else {**rest, "action": kept}


def names_in(value: bytes) -> dict[Place, str]:
    """The first of each name that stands at its place in a record, which need not be valid JSON. Empty for a
    message as an agent sent it: there the names are the agent's word."""
    found: dict[Place, str] = {}
    for place, token in _strings(value):
        if agents_own(place[:1]):
            return {}
        if place in NAMES and place not in found and len(token) <= _LONGEST_NAME:
            try:
                found[place] = json.loads(token.decode("utf-8", "replace"))
            except ValueError:  # a control character in it
                continue
    return found


def _strings(value: bytes) -> Iterator[tuple[Place, bytes]]:
    """The string values of the outermost object and of the objects in it, each with the keys that lead to it; and
    every key of the outermost object, with an empty value."""
    depth, outer = 0, b""  # the key of the object in hand, where that is one level down
    key, last = b"", b""
    for match in _TOKEN.finditer(value):
        token = match.group()
        if token[0] == _QUOTE:
            if key and depth == 1:
                yield (_name(key),), token
            elif key and depth == 2 and outer:
                yield (_name(outer), _name(key)), token
            last = token
        elif token == b":":
            key = last
            if key and depth == 1:
                yield (_name(key),), b""
        elif token in b"{[":
            depth += 1
            outer = key if depth == 2 and token == b"{" else outer if depth > 2 else b""
            key = b""
        elif token in b"}]":
            depth -= 1
            key = b""
        else:
            key = b""


def _name(token: bytes) -> str:
    text = token[1:-1].decode("utf-8", "replace")
    try:
        return str(json.loads(f'"{text}"')) if "\\" in text else text
    except ValueError:
        return text


def _shallow(text: str, max_depth: int, mark: str) -> str:
    """`text` with a string that begins with `mark` in place of every value deeper than `max_depth` brackets."""
    if text.count("{") + text.count("[") <= max_depth:
        return text
    parts: list[str] = []
    depth = kept = 0
    for match in _BRACKET.finditer(text):
        bracket = match.group()
        if bracket in ("{", "["):
            depth += 1
            if depth == max_depth + 1:
                parts += [text[kept : match.start()], f'"{mark} nested too deep"']
        elif bracket in ("}", "]"):
            if depth == max_depth + 1:
                kept = match.end()
            depth -= 1
    return text if depth else "".join([*parts, text[kept:]])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Unread:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _unread("an object with a key twice")


def _float(text: str) -> float | Unread:
    number = float(text)
    return number if math.isfinite(number) else _unread(f"the number {plain(text, 32)}")


def _int(text: str) -> int | Unread:
    if len(text) > 20 or not LEAST <= (number := int(text)) < BEYOND:
        return _unread(f"the number {plain(text, 32)}")
    return number


_DECODER = json.JSONDecoder(  # not strict: a control character as it is means what it does escaped
    object_pairs_hook=_object, parse_constant=_unread, parse_float=_float, parse_int=_int, strict=False
)
