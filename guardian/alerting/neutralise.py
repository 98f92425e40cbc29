"""Text that agents wrote, made safe to show. Pure; each function is for one place of display.

Nothing is removed silently: a character that could steer a terminal, reverse a line or hide is shown as its code
point, because its presence is evidence. Every result is a single line within its bound.
"""

import re
import unicodedata

CUT = "…"
_INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_RUN = re.compile(r"(.)\1*", re.DOTALL)
_MARKS = 3  # combining marks on one letter; more of them paint over the lines above
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%", "＝", "＋", "－", "＠")
_SCHEME = re.compile(r"(?i)://|(?<=mailto):|(?<=tel):")
_WWW = re.compile(r"(?i)\bwww\.")
_EMOJI = re.compile(r":(?=[a-z0-9_+'-]+:)", re.IGNORECASE)
_MENTION = re.compile(r"(?<!\w)([@#])(?=\w)")
_OUTER_UNDERSCORE = re.compile(r"(?<!\w)_+|_+(?!\w)")
_LOOKALIKE = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ", "[": "［", "]": "］"})  # no markdown in any dialect


def plain(text: str, limit: int) -> str:
    """One visible line of at most `limit` characters: for terminals and logs. The others build on it.

    Control, bidi, zero-width, tag, private-use and unassigned characters and lone surrogates become ‹U+202E›
    (a run of one: ‹U+200B×40›); line breaks and tabs become spaces; piled-up accents are thinned out.
    """
    taken = text[: 4 * limit + 16]
    if taken.isascii() and taken.isprintable():  # as nearly all of it is: nothing to look for
        return _bounded(" ".join(taken.split()), limit, cut=len(text) > len(taken))
    shown = "".join(_visible(match.group()) for match in _RUN.finditer(taken))
    line = " ".join(_thinned(shown).split())
    return _bounded(line, limit, cut=len(text) > len(taken))


def prose(text: str, limit: int) -> str:
    """For Slack mrkdwn between our own words: no link, mention, channel, emoji code or markup survives."""
    line = plain(text, limit).translate(_LOOKALIKE)
    line = _OUTER_UNDERSCORE.sub(lambda match: "＿" * len(match.group()), line)
    line = _MENTION.sub(lambda match: "＠" if match.group() == "@" else "＃", line)
    line = _EMOJI.sub("∶", _defanged(line))
    if line.startswith(">"):
        line = "›" + line[1:]
    return _escaped(line, limit)


def code(text: str, limit: int) -> str:
    """For Slack mrkdwn as an inline code span of at most `limit` characters, its back-ticks included."""
    line = _MENTION.sub(lambda m: "＠" if m.group() == "@" else "#", _defanged(plain(text, limit)))
    return f"`{_escaped(line.replace('`', 'ˋ'), limit - 2) or '–'}`"


def header(text: str, limit: int) -> str:
    """For a header of a mail: no part of it is an encoded word (RFC 2047), to be decoded after all this."""
    return plain(text, limit).replace("=?", "＝?")


def csv_cell(text: str, limit: int) -> str:
    """For a spreadsheet cell: never a formula (OWASP, CSV injection)."""
    line = plain(text, limit)
    return "'" + line[: limit - 1] if line.startswith(_FORMULA) else line


def _visible(run: str) -> str:
    char = run[0]
    if char in "\t\n\r\v\f\x85\u2028\u2029 ":
        return " "
    category = unicodedata.category(char)
    hidden = category in ("Cc", "Cf", "Cs", "Co", "Cn") or char in _INVISIBLE or 0xFE00 <= ord(char) <= 0xFE0F
    if not hidden and not 0xE0100 <= ord(char) <= 0xE01EF:
        return " " if category == "Zs" else run
    return f"‹U+{ord(char):04X}×{len(run)}›" if len(run) > 1 else f"‹U+{ord(char):04X}›"


def _thinned(text: str) -> str:
    kept, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _MARKS:
            kept.append(char)
    return "".join(kept)


def _bounded(line: str, limit: int, *, cut: bool = False) -> str:
    if len(line) <= limit and not cut:
        return line
    return line[: max(limit - len(CUT), 0)] + CUT[:limit]


def _defanged(line: str) -> str:
    return _WWW.sub(
        lambda m: m.group()[:3] + "[.]", _SCHEME.sub(lambda m: f"[{m.group()[0]}]{m.group()[1:]}", line)
    )


def _escaped(line: str, limit: int) -> str:
    """`& < >` as entities, cut between characters and never inside an entity."""
    parts = ["&amp;" if c == "&" else "&lt;" if c == "<" else "&gt;" if c == ">" else c for c in line]
    if sum(map(len, parts)) <= limit:
        return "".join(parts)
    kept, room = [], limit - len(CUT)
    for part in parts:
        room -= len(part)
        if room < 0:
            break
        kept.append(part)
    return "".join(kept) + CUT
