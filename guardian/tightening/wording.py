"""Restrictions in words, and agents' names made safe for the files that people and policy engines read."""

import hashlib
import re
from typing import assert_never

from guardian.domain.restriction import Scope
from guardian.domain.rules import (
    ROOT,
    ArgumentAtMost,
    ArgumentIn,
    ArgumentLike,
    ForbidDataClass,
    ForbidTool,
    MaxLifetime,
    MaxRecords,
    OnlyHours,
    PinArgument,
    Rule,
    Scalar,
)
from guardian.domain.text import counted, plain

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def said(rule: Rule) -> str:
    """The rule as the predicate of a sentence whose subject is `whom`; no Markdown, agents' text neutralised."""
    match rule:
        case ForbidTool(tool, exempt):
            return f"may not call {plain(tool)}" + (f", but {', '.join(map(plain, exempt))} may" if exempt else "")
        case ForbidDataClass(name):
            return f"may not touch {plain(name)}"
        case MaxRecords(limit):
            return f"may take at most {limit:,} records per call (per session, where an envelope sets the limit)"
        case OnlyHours(hours):
            return f"may act only in the hours {spans(hours)} (UTC)"
        case MaxLifetime(seconds):
            return f"may act for at most {counted(seconds // 60, 'minute')} per session"
        case PinArgument(tool, name, _, constraint):
            return f"{plain(tool)}: {plain(name)} must be in the envelope's {plain(constraint)}"
        case ArgumentIn(tool, name, _, values):
            return f"{plain(tool)}: {plain(name)} must be {' or '.join(plain(literal(value)) for value in values)}"
        case ArgumentAtMost(tool, name, _, limit):
            return f"{plain(tool)}: {plain(name)} must be a whole number, at most {limit:,}"
        case ArgumentLike(tool, name, _, prefix, suffix):
            return f"{plain(tool)}: {plain(name)} must look like {plain(prefix)}…{plain(suffix)}"
        case _:  # pragma: no cover
            assert_never(rule)


def literal(value: Scalar) -> str:
    """As people know it from JSON.

    >>> literal(True), literal("eu")
    ('true', 'eu')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def whom(scope: Scope) -> str:
    """The scope in one line."""
    by = "" if scope.parent_role == ROOT else f", called by {plain(scope.parent_role)}"
    return f"{plain(scope.role)} for {plain(scope.purpose, 160)}{by}"


def slug(scope: Scope) -> str:
    """A file name for a scope: readable, and distinct however alike two scopes look."""
    parts = (scope.purpose, scope.role, scope.parent_role)
    text = "\x1f".join((scope.tenant_id, *parts)).encode("utf-8", "surrogatepass")
    name = _UNSAFE.sub("-", "--".join(part for part in parts if part))[:80].strip("-.")
    return f"{name}-{hashlib.sha256(text).hexdigest()[:8]}"


def spans(hours: tuple[int, ...]) -> str:
    """Consecutive hours together.

    >>> spans((7, 8, 9, 22))
    '7-9, 22'
    """
    runs: list[list[int]] = []
    for hour in sorted(hours):
        if runs and hour == runs[-1][-1] + 1:
            runs[-1].append(hour)
        else:
            runs.append([hour])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def quoted(text: str) -> str:
    """A Cedar string literal of any text."""
    return f'"{escaped(text)}"'


def escaped(text: str, *, like: bool = False) -> str:
    """The inside of a Cedar string literal; with `like`, of a pattern in which `*` stands for itself."""
    made = []
    for sign in text:
        if sign in '"\\':
            made.append(f"\\{sign}")
        elif sign == "*" and like:
            made.append("\\*")
        elif sign.isprintable():
            made.append(sign)
        else:
            made.append(f"\\u{{{ord(sign):x}}}")
    return "".join(made)
