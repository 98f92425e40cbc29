"""Agents' text made safe for frames, their HTML, terminals and figures."""

import hashlib
from collections.abc import Iterable
from typing import Any

import pandas as pd

from guardian.domain.text import plain

LONGEST = 8192
_SHOWN_MARK = "‹"


def text(value: str) -> str:
    """On one line, with every hidden or steering character shown by its code point.

    >>> text("pay\\u202eeno")
    'pay‹U+202E›eno'
    """
    return value if value.isascii() and value.isprintable() else plain(value, LONGEST)


def name(value: str) -> str:
    """The same for a name that frames are joined by: two names that look alike stay two names.

    >>> name("sess_42"), name("sess_\\u200b42")
    ('sess_42', 'sess_‹U+200B›42‹#96fb313d›')
    """
    shown = text(value)
    if shown == value and _SHOWN_MARK not in value:
        return value
    return f"{shown}‹#{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}›"


def label(value: Any, limit: int = 36) -> str:
    """For a figure: bounded, never a formula, and never hidden from the legend. What is missing is told, too."""
    if pd.isna(value):
        return "(not logged)"
    line = plain(str(value), limit).replace("$", r"\$")
    return f"\u200a{line}" if line.startswith("_") else line


def labels(values: Iterable[Any], limit: int = 36) -> list[str]:
    return [label(value, limit) for value in values]
