"""Text that agents wrote, made safe to show. Pure; each function is for one place of display.

All build on `domain.text.plain`, in which nothing hides. Every result is a single line within its bound.
"""

import re

from guardian.domain.text import CUT, as_name, plain, visible

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%", "＝", "＋", "－", "＠")
_SCHEME = re.compile(r"(?i)://|(?<=mailto):|(?<=tel):")
_WWW = re.compile(r"(?i)www\.")  # within a word too: some programs see 漢字www.evil.example as two
_EMOJI = re.compile(r"(?!(?<=(?<![\d:])\d\d):\d\d:\d\d(?![\d:])):(?=[a-z0-9_+'-]+:)", re.I)  # none in 06:39:59
_MENTION = re.compile(r"(?<!\w)([@#])(?=\w)")
_OUTER_UNDERSCORE = re.compile(r"(?<!\w)_+|_+(?!\w)")
_STANDS_IN = re.compile(rf"[ˋ＠{CUT}]|\[[.:]\]|‹U\+[0-9A-F]{{4,6}}(×[0-9]+)?›")
_LOOKALIKE = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ", "[": "［", "]": "］"})  # no markdown in any dialect


def prose(text: str, limit: int) -> str:
    """For Slack mrkdwn between our own words: no link, mention, channel, emoji code or markup survives."""
    line = plain(text, limit).translate(_LOOKALIKE)
    line = _OUTER_UNDERSCORE.sub(lambda match: "＿" * len(match.group()), line)
    line = _MENTION.sub(lambda match: "＠" if match.group() == "@" else "＃", line)
    line = _EMOJI.sub("∶", unlinked(line))
    if line.startswith(">"):
        line = "›" + line[1:]
    return _escaped(line, limit)


def code(text: str, limit: int) -> str:
    """For Slack mrkdwn as an inline code span of at most `limit` characters, its back-ticks included."""
    return f"`{_escaped(_literally(plain(text, limit)), limit - 2) or '–'}`"


def codes(text: str, limit: int) -> list[str]:
    """As `code`, all of the text: in as many spans of at most `limit` characters as that takes."""
    spans = [""]
    for char in _entities(_literally(" ".join(visible(text).split()))):
        if len(spans[-1]) + len(char) > limit - 2:
            spans.append("")
        spans[-1] += char
    return [f"`{span or '–'}`" for span in spans]


def _literally(line: str) -> str:
    line = _MENTION.sub(lambda m: "＠" if m.group() == "@" else "#", unlinked(line))
    return line.replace("`", "ˋ")


def typed(name: str, limit: int) -> str:
    """As `code`, for a name that people type back: spaces that it would lose are spelt out, too."""
    return code(as_name(name), limit)


def is_altered(name: str) -> bool:
    """Whether it may be how `typed` shows another name: whoever types it from a message means that one."""
    return _STANDS_IN.search(name) is not None


def header(text: str, limit: int) -> str:
    """For a header of a mail: no link, and no part of it is an encoded word (RFC 2047), to be decoded after all
    this."""
    return plain(unlinked(plain(text, limit)), limit).replace("=?", "＝?")


def csv_cell(text: str, limit: int) -> str:
    """For a spreadsheet cell: never a formula (OWASP, CSV injection)."""
    line = plain(text, limit)
    return "'" + line[: limit - 1] if line.startswith(_FORMULA) else line


def unlinked(line: str) -> str:
    """The line with no address in it that begins with a scheme or with www.

    Mail programs that make links of bare names (login.example/reset, it-desk@evil.example) still do: the names of
    tools and agents, which people read and type back, are spelt in the same way.
    """
    return _WWW.sub(
        lambda m: m.group()[:3] + "[.]", _SCHEME.sub(lambda m: f"[{m.group()[0]}]{m.group()[1:]}", line)
    )


def _entities(line: str) -> list[str]:
    return ["&amp;" if c == "&" else "&lt;" if c == "<" else "&gt;" if c == ">" else c for c in line]


def _escaped(line: str, limit: int) -> str:
    """`& < >` as entities, cut between characters and never inside an entity."""
    parts = _entities(line)
    if sum(map(len, parts)) <= limit:
        return "".join(parts)
    kept, room = [], limit - len(CUT)
    for part in parts:
        room -= len(part)
        if room < 0:
            break
        kept.append(part)
    return "".join(kept) + CUT
