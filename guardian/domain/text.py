"""Text that others wrote, made fit to be shown. Pure.

Nothing is removed silently: a character that could steer a terminal, reverse a line or hide is shown as its code
point, because its presence is evidence.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

CUT = "…"
_INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_LOST_SPACE = re.compile(r"^\s+|\s+$|\s{2,}|[^\S ]")
_RUN = re.compile(r"(.)\1*", re.DOTALL)
_CUT_OFF = re.compile(rf"{CUT} \(cut: [0-9,]+ characters in all\)\Z")
_MARKS = 3  # combining marks on one letter; more of them paint over the lines above
_MOST = 1_000_000_000  # no calibration knows of more; the evidence of a session is not bounded


def plain(text: str, limit: int = 80) -> str:
    """One `visible` line of at most `limit` characters, runs of spaces as one.

    >>> plain("a\\n b" + "c" * 9, 6), plain("pay\\u202eeno")
    ('a bcc…', 'pay‹U+202E›eno')
    """
    taken = text[: 4 * limit + 16]
    line = " ".join(visible(taken).split())
    if len(line) <= limit and len(taken) == len(text):
        return line
    return line[: max(limit - len(CUT), 0)] + CUT[:limit]


def cut_off(text: str, most: int) -> str:
    """As it is, or its first `most` characters and how many it has: the end may be what matters.

    >>> cut_off("abc", 3), cut_off("a" * 2000, 2)
    ('abc', 'aa… (cut: 2,000 characters in all)')
    """
    return text if len(text) <= most else f"{text[:most]}{CUT} (cut: {len(text):,} characters in all)"


def is_cut_off(text: str) -> bool:
    """Whether `cut_off` left something out.

    >>> is_cut_off(cut_off("abc", 2)), is_cut_off("abc")
    (True, False)
    """
    return _CUT_OFF.search(text) is not None


def as_name(name: str) -> str:
    """A name before it is shown: white space that `plain` would lose is spelt out, since it tells two names apart.

    >>> as_name("a b "), as_name("a  b"), as_name("a\\u00a0b")
    ('a b‹U+0020›', 'a‹U+0020›‹U+0020›b', 'a‹U+00A0›b')
    """
    return _LOST_SPACE.sub(lambda m: "".join(f"‹U+{ord(c):04X}›" for c in m.group()), name)


def visible(text: str) -> str:
    """One line of unknown length in which nothing hides.

    Control, bidi, zero-width, tag, private-use and unassigned characters and lone surrogates become ‹U+202E›
    (a run of one: ‹U+200B×40›); line breaks and tabs become spaces; piled-up accents are thinned out.
    """
    if text.isascii() and text.isprintable():  # as nearly all of it is: nothing to look for
        return text
    return _thinned("".join(_spelt_out(match.group()) for match in _RUN.finditer(text)))


def _spelt_out(run: str) -> str:
    char = run[0]
    if char in "\t\n\r\v\f\x85\u2028\u2029 ":
        return " " * len(run)
    category = unicodedata.category(char)
    hidden = category in ("Cc", "Cf", "Cs", "Co", "Cn") or char in _INVISIBLE or 0xFE00 <= ord(char) <= 0xFE0F
    if not hidden and not 0xE0100 <= ord(char) <= 0xE01EF:
        return " " * len(run) if category == "Zs" else run
    return f"‹U+{ord(char):04X}×{len(run)}›" if len(run) > 1 else f"‹U+{ord(char):04X}›"


def _thinned(text: str) -> str:
    kept, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _MARKS:
            kept.append(char)
    return "".join(kept)


def word_set(listed: str) -> frozenset[str]:
    """A list of words as a set."""
    return frozenset(listed.split())


def some(names: Sequence[str], most: int, spelt: Callable[[str], str] = str) -> str:
    """The first `most` of several names, and how many more there are.

    >>> some(("a", "b", "c"), 2), some((), 2)
    ('a, b and 1 more', '')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(spelt, names[:most])) + more


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun; `many` where the plural is not `one` with an s.

    >>> counted(1, "minute"), counted(2_000, "minute"), counted(0, "entry", "entries")
    ('1 minute', '2,000 minutes', '0 entries')
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def one_in(n: float) -> str:
    """The N of "at most 1 in N honest sessions", to three digits and rounded down: of a greater one it would not
    be true. Empty where it says nothing, below 2.

    >>> one_in(19_960), one_in(999.6), one_in(1.9), one_in(3e12)
    ('19,900', '999', '', '1,000,000,000 or more')
    """
    if not n >= 2:  # NaN too
        return ""
    if n >= _MOST:
        return f"{_MOST:,} or more"
    whole = int(n)
    place = 10 ** max(0, len(str(whole)) - 3)
    return f"{whole // place * place:,}"


def moment(at: datetime) -> str:
    """For people, to the minute: in Slack a second colon would be taken for the name of an emoji, and altered.

    >>> moment(datetime(2026, 5, 12, 9, 5, tzinfo=UTC))
    '2026-05-12 09:05 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
