"""Text that others wrote, made fit to be shown."""

from collections.abc import Callable, Sequence


def shown(text: str, limit: int = 80) -> str:
    """`text` on one bounded line: control, format and bidirectional characters become U+FFFD.

    >>> shown("a\\nb" + "c" * 9, 6)
    'a�bcc…'
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)


def some(names: Sequence[str], most: int, spelt: Callable[[str], str] = str) -> str:
    """The first of several, and how many more there are.

    >>> some(("a", "b", "c"), 2), some((), 2)
    ('a, b and 1 more', '')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(spelt, names[:most])) + more
