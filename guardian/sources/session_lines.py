"""Session lines: whole sessions as `guardian score` reads them, one JSON object a line.

`{"session_id", "purpose", "domain", "actions": [{"tool", "args", …}]}`.
Only the fields below are read. Labels, if a line has any, are never looked at: they are for whoever judges us.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from guardian.domain.names import CAMEL
from guardian.domain.record import Record
from guardian.domain.text import word_set
from guardian.errors import DecodeError
from guardian.sources.guardian import GuardianDecisions

_PARSER = GuardianDecisions()
_ALIKE = 0.81
_ARGUMENTS = word_set("arg args argument arguments kwargs param params parameter parameters input inputs")
"""With one of them ends the name under which others keep a call's arguments, as in `tool_input`, and not that of
what is said about them, as in `args_hash`."""
_AS_TEXT = word_set("json raw")


@dataclass(frozen=True, slots=True)
class ActionLine:
    """One call of a session. `arguments` is None where the line has none, which is not the same as empty."""

    tool: str
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session. `line` counts from 1."""

    line: int
    session_id: str
    purpose: str
    domain: str
    actions: tuple[ActionLine, ...]


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that could not be read: its number from 1, and why."""

    line: int
    error: str


def read_session_lines(records: Iterable[Record]) -> Iterator[SessionLine | LineError]:
    """Every line in order, read or refused; blank lines are skipped. The line number is the offset + 1."""
    for record in records:
        if not record.value.strip():
            continue
        number = record.offset + 1
        try:
            yield _session(number, _PARSER.parse(record.value))
        except DecodeError as error:
            yield LineError(number, f"{error.code}: {error.reason}")
        except ValueError as error:
            yield LineError(number, f"invalid: {error}")


def arguments_of(index: int, action: Mapping[str, Any]) -> Any:
    """What a call says under `args` or, as in guardian's own log, under `arguments`; see `said`."""
    return said(action, "args", "arguments", where=f"actions.{index}: ")


def said(told: Mapping[str, Any], *names: str, where: str = "") -> Any:
    """What a session or call says under that of the names that says something; empty where none of those that are
    there does, and None where none is there.

    Raises ValueError where two of the names say different things; and where none says anything, but another key
    does that looks as if it were meant: to be misspelt is not to be absent.
    """
    there = [name for name in names if told.get(name) is not None]
    telling = [name for name in there if told[name]]
    for other in telling[1:]:
        if told[other] != told[telling[0]]:
            raise ValueError(f"{where}its {telling[0]!r} and its {other!r} say different things")
    if telling:
        return told[telling[0]]
    nothing = f"nothing in {there[0]!r}" if there else f"no {names[0]!r}"
    for key, value in told.items():
        if value and _looks_like(names[0], key, value):
            raise ValueError(f"{where}it has {nothing}, but {key[:80]!r}, which is not read")
    return told[there[0]] if there else None


def _looks_like(name: str, key: str, value: object) -> bool:
    if difflib.get_close_matches(name, [key.casefold()], cutoff=_ALIKE):
        return name != "domain" or isinstance(value, str)  # `domains` of a list are a line's own affair
    words = [word for word in re.findall("[a-z0-9]+", CAMEL.sub(" ", key).casefold()) if word not in _AS_TEXT]
    return name == "args" and isinstance(value, dict | list | str) and not _ARGUMENTS.isdisjoint(words[-1:])


def is_session_line(value: bytes) -> bool:
    """Whether a line looks like a session rather than like a single decision."""
    if b'"actions"' not in value and b"\\u" not in value:  # \\u may spell it; others need no parse
        return False
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and "actions" in parsed and "schema" not in parsed


def _session(number: int, parsed: Any) -> SessionLine:
    if not isinstance(parsed, dict):
        raise DecodeError("invalid", "expected a JSON object")
    actions = parsed.get("actions")
    if not isinstance(actions, list):
        raise DecodeError("invalid", "actions: expected an array of {tool, args}")
    session_id = parsed.get("session_id")
    if isinstance(session_id, int) and not isinstance(session_id, bool):
        session_id = str(session_id)
    if not isinstance(session_id, str) or not session_id:
        raise DecodeError("invalid", "session_id: expected a string")
    return SessionLine(
        line=number,
        session_id=session_id,
        purpose=_text(parsed, "purpose"),
        domain=_text(parsed, "domain"),
        actions=tuple(_action(index, action) for index, action in enumerate(actions)),
    )


def _text(parsed: Mapping[str, Any], name: str) -> str:
    value = said(parsed, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DecodeError("invalid", f"{name}: expected a string")
    return value


def _action(index: int, action: Any) -> ActionLine:
    if not isinstance(action, dict) or not isinstance(action.get("tool"), str) or not action["tool"]:
        raise DecodeError("invalid", f"actions.{index}: expected an object with a tool")
    arguments = arguments_of(index, action)
    if arguments is not None and not isinstance(arguments, dict):
        raise DecodeError("invalid", f"actions.{index}.args: expected an object")
    return ActionLine(tool=action["tool"], arguments=arguments)
