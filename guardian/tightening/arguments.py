"""Limits on arguments that were always a value of the envelope, or one of a few, or below a number, or of one
form."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from guardian.domain.restriction import Restriction
from guardian.domain.rules import LARGEST, ArgumentAtMost, ArgumentIn, ArgumentLike, PinArgument, Rule
from guardian.tightening.basis import Basis
from guardian.tightening.caution import Caution, roomy
from guardian.tightening.limits import above, fitted
from guardian.tightening.usage import ArgumentUse, ToolUse
from guardian.tightening.wording import literal

_SEPARATORS = "_-:/.@#|"
_LEAST_PREFIX, _LEAST_SUFFIX = 3, 4
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_YEAR_OR_TWO_DIGITS = re.compile(r"(?<!\d)(?:19|20)?\d\d(?!\d)")
"""Values of one window share the year that they name; next year's values do not have it."""
_LAST_WORD = re.compile(r"[A-Z]?[a-z]+$|[A-Z]+$")
_CALENDAR = frozenset(["day", "weekday", "week", "month", "quarter", "semester", "season", "period", "year", "fy"])
_PART_OF_A_YEAR = re.compile(
    r"(?<![a-z])(?:[qh][1-4]|fy[-_ ']?\d\d|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|spring|summer|autumn|winter)(?![a-z])",
    re.IGNORECASE,
)
"""A window of some months has seen no other part of the year, and the held-out end of it is of the same."""


def arguments(basis: Basis) -> Iterator[Restriction]:
    """At most one restriction per argument: the narrowest kind that fits."""
    history, whole, caution = basis.history, basis.whole, basis.caution
    for tool, use in sorted(whole.tools.items()):
        early = history.early.tools.get(tool, ToolUse())
        late = history.late.tools.get(tool, ToolUse())
        if use.unlogged:
            continue  # some calls did not log their arguments: nothing holds for all of them
        for path, argument in sorted(use.arguments.items()):
            if argument.sessions < caution.sessions:
                continue
            before, after = early.arguments.get(path), late.arguments.get(path)
            if before is None or after is None:
                continue
            named = (tool, path, argument.calls >= use.calls)
            found = _rule(_Seen(named, argument, before, after), caution)
            if found is None:
                continue
            rule, why, broken = found
            yield from fitted(basis, rule, why, broken, sessions=(late.sessions, use.sessions))


class _Seen(NamedTuple):
    """One argument in the whole window, and in its first and last part; `named` are its tool, its path, and
    whether every call has it."""

    named: tuple[str, str, bool]
    whole: ArgumentUse
    early: ArgumentUse
    late: ArgumentUse


def _rule(seen: _Seen, caution: Caution) -> tuple[Rule, str, int] | None:
    named, whole, early, late = seen
    if whole.bound and early.bound and late.bound is not None and whole.kinds <= {"str", "hidden"}:
        constraint = min(whole.bound)
        return PinArgument(*named, constraint), f"always a value of the envelope's {constraint}", 0
    if "hidden" in whole.kinds or len(whole.kinds) != 1:
        return None
    _, path, _ = named
    if (word := _LAST_WORD.search(path)) is not None and word.group().lower() in _CALENDAR:
        return None
    if (few := _few(seen, caution)) is not None:
        return few
    if whole.kinds == {"int"} and whole.largest and early.largest:
        most = max(whole.largest)
        limit = roomy(most, caution.headroom)
        if limit > LARGEST:
            return None  # an identifier in digits
        usual = max(early.largest)
        if 2 * sum(n for number, n in late.largest.items() if number > usual) > late.largest.total():
            return None  # it runs on: most of the later ones lie beyond all earlier ones
        broken = above(late.largest, roomy(usual, caution.headroom))
        return ArgumentAtMost(*named, limit), f"never needed more than {most:,}", broken
    if whole.kinds == {"str"} and whole.values is None:
        return _form(seen)
    return None


def _few(seen: _Seen, caution: Caution) -> tuple[Rule, str, int] | None:
    """One of a few values. A set with a rare value is not closed: values seen once foretell others that were never
    seen (Good, 1953). Nor is one that names a year or a part of one. Both truth values are all that there are."""
    named, whole, early, late = seen
    if whole.values is None or early.values is None or late.values is None or whole.kinds == {"int"}:
        return None
    values = whole.values.keys()
    if whole.kinds == {"bool"} and len(values) > 1:
        return None
    if not 0 < len(values) <= caution.values or min(whole.values.values()) < caution.each_value:
        return None
    if any(_YEAR.search(str(value)) or _PART_OF_A_YEAR.search(str(value)) for value in values):
        return None
    ordered = tuple(sorted(values, key=str))
    mined = early.values.keys() & values
    unseen = sum(count for value, count in late.values.items() if value not in mined)
    why = f"needed only {literal(ordered[0])}" if len(ordered) == 1 else f"needed only {len(ordered)} values"
    return ArgumentIn(*named, ordered), why, unseen


def _form(seen: _Seen) -> tuple[Rule, str, int] | None:
    named, whole, early, late = seen
    rule, mined = (ArgumentLike(*named, *_ends(use)) for use in (whole, early))
    if not rule.prefix and not rule.suffix:
        return None
    held = (
        (late.prefix or "").startswith(mined.prefix)
        and (late.suffix or "").endswith(mined.suffix)
        and late.shortest >= len(mined.prefix) + len(mined.suffix)
    )
    return rule, f"always of the form {rule.prefix}*{rule.suffix}", 0 if held else late.sessions


def _ends(use: ArgumentUse) -> tuple[str, str]:
    """The beginning and the end that all values share, without what the next year changes; empty if too short to
    say anything. They never overlap in a value."""
    prefix, suffix = to_separator(use.prefix or ""), from_separator(use.suffix or "")
    for passing in (_YEAR_OR_TWO_DIGITS, _PART_OF_A_YEAR):
        prefix, suffix = passing.split(prefix)[0], passing.split(suffix)[-1]
    if len(prefix) < _LEAST_PREFIX:
        prefix = ""
    if len(suffix) < _LEAST_SUFFIX or len(prefix) + len(suffix) > use.shortest:
        suffix = ""
    return prefix, suffix


def to_separator(text: str) -> str:
    """The beginning up to its last separator: what follows is a name or a number that varies."""
    end = max((text.rfind(sign) for sign in _SEPARATORS), default=-1)
    return text[: end + 1]


def from_separator(text: str) -> str:
    """The end from its first separator on."""
    starts = [at for sign in _SEPARATORS if (at := text.find(sign)) >= 0]
    return text[min(starts) :] if starts else ""
