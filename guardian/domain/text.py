"""Text that others wrote, made fit to be shown."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

_MOST = 1_000_000_000  # no calibration knows of more; the evidence of a session is not bounded


def shown(text: str, limit: int = 80) -> str:
    """`text` on one bounded line: control, format and bidirectional characters become U+FFFD.

    >>> shown("a\\nb" + "c" * 9, 6)
    'a�bcc…'
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)


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
