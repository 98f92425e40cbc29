"""Agents' text made safe for frames, their HTML, terminals and figures."""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from guardian.alerting.neutralise import csv_cell
from guardian.disk import write_atomically
from guardian.domain.text import plain

LONGEST = 8192
_SHOWN_MARK = "‹"
_SPELT = len("‹U+10FFFF×2›")  # of one character that hides


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


def to_csv(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a frame for spreadsheets, in which no text is a formula (`'=…`); returns the file, which its owner
    alone can read. What it is indexed by comes first, unless that only numbers the rows and has no name.

    Raises OSError, and then leaves an older file in place.
    """
    numbers = pd.api.types.is_numeric_dtype(frame.index) and frame.index.name is None
    rows = frame if numbers else frame.reset_index(allow_duplicates=True)
    told = [list(map(_cell, rows.iloc[:, n])) for n in range(rows.shape[1])]
    made = pd.DataFrame(dict(enumerate(told)), dtype="object")
    with write_atomically(Path(path), mode=0o600) as file:
        # quoted, or where a semicolon parts the cells what follows one in a text would be a cell, too
        made.to_csv(file, header=list(map(_cell, rows.columns)), index=False, quoting=csv.QUOTE_NONNUMERIC)
    return Path(path)


def _cell(value: Any) -> Any:
    return csv_cell(value, _SPELT * len(value) + 1) if isinstance(value, str) else value


def label(value: Any, limit: int = 36) -> str:
    """For a figure: bounded, never a formula, and never hidden from the legend. What is missing is told, too."""
    if pd.isna(value):
        return "(not logged)"
    line = plain(str(value), limit).replace("$", r"\$")
    return f"\u200a{line}" if line.startswith("_") else line


def labels(values: Iterable[Any], limit: int = 36) -> list[str]:
    return [label(value, limit) for value in values]
