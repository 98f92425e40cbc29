"""A private key that stands in a list line by line, and what its text looks like."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set

LINE_CHARS = 100
"""So much of a line is looked at."""

_LEAST_BODY, _MOST_BODY, _LEAST_PIECE, _LEAST_DIGITS = 40, 200, 20, 2
_HEADERS = 32
_KEY_FIRST = re.compile(r"-{2,}\s*BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?\s*-{2,}")
_KEY_HEADER = re.compile(r"(?:[A-Za-z-]++:.*)?")
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{40,}+(?![.\w])|[A-Za-z0-9+/=]{16,}+(?![.\w:])")
_ENDS = " \t\r\n\"',"
_KEY_END = re.compile(r"-{2,}\s*(?:END|BEGIN) ")


def key_items(items: Sequence[object]) -> frozenset[int]:
    """Which items of a list are the body of a private key, given line by line: all of them up to its end."""
    found: set[int] = set()
    for first, item in enumerate(items):
        if first in found or not (fields := _first_line(item)):
            continue
        behind = range(first + 1, len(items))
        body = next((at for at in behind[:_HEADERS] if not _KEY_HEADER.fullmatch(_line(items[at], fields))), first)
        if _begins_a_body(_line(items[at], fields) for at in range(body, len(items))):
            end = next((at for at in behind if _KEY_END.match(_line(items[at], fields))), len(items))
            found.update(range(body, end))
    return frozenset(found)


def _first_line(item: object) -> frozenset[object]:
    """Under which names an object has a key's first line; a text has it under None. None at all: it is none."""
    texts = item if isinstance(item, Mapping) else {None: item}
    return frozenset(
        name
        for name, text in texts.items()
        if isinstance(text, str) and "PRIVATE KEY" in text and _KEY_FIRST.fullmatch(_stripped(text))
    )


def _line(item: object, fields: Set[object]) -> str:
    """An item of a list of lines, without what ends it: a text, or that of an object which looks most like a line,
    first among those of these names."""
    if isinstance(item, str):
        return _stripped(item)
    if not isinstance(item, Mapping):
        return ""
    texts = {name: _stripped(text) for name, text in item.items() if isinstance(text, str)}
    named = [text for name, text in texts.items() if name in fields]
    return max(
        named or texts.values(), key=lambda text: (_KEY_END.match(text) is not None, len(_piece(text))), default=""
    )


def _stripped(text: str) -> str:
    line = text.strip(_ENDS)
    return line.removesuffix("\\n").removesuffix("\\r").rstrip("\\") if line.endswith(("\\n", "\\r")) else line


def _begins_a_body(lines: Iterator[str]) -> bool:
    """By the first of its text that is long enough to tell; by more of it as long as lines are of one length, as a
    file's are and paths behind one another are not."""
    run, widths, looked = "", set[int](), False
    for line in lines:
        piece = _piece(line)
        run += piece
        widths.add(len(line))
        if not piece or (looked and len(widths) > 1) or len(run) > _MOST_BODY:
            return False
        if len(run) >= _LEAST_BODY:
            looked = True
            if is_key_text(run):
                return True
    return False


def _piece(line: str) -> str:
    """The base64 at the beginning of a line, where there is so much of it; none of a file's name."""
    found = _KEY_LINE.match(line[:LINE_CHARS])
    return found.group() if found is not None else ""


def is_key_text(run: str) -> bool:
    """Whether base64 may be a key's. Of 64 of its characters ten are digits and one is a slash: names have fewer
    digits, and slashes cut paths into short pieces."""
    digits = sum(map(str.isdigit, run))
    return is_mixed(run) and digits >= _LEAST_DIGITS and max(map(len, run.split("/"))) >= _LEAST_PIECE


def is_mixed(run: str) -> bool:
    """Whether it has small letters, capitals and digits."""
    return run != run.lower() and run != run.upper() and any(map(str.isdigit, run))
