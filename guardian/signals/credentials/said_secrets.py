"""Secrets that a text tells by name, as commands, connection strings and JSON within texts do. Pure, and linear:
what was read is not read again.

As weak as a field's name, and prose and code speak of passwords too: only what has a letter and a digit counts,
and no call, path, address or type.
"""

import re
from collections.abc import Iterator

from guardian.signals.credentials.named_secrets import OTHERS, PASSWORDS, placeholder

_ENDINGS = ("passphrase", "passcode", "password", "passwd", "pass", "pwd", "secret", "cookie", "token", "key")
_SIGNS = r"s?[\"'\\]{0,4}\s{0,3}[:=]\s{0,3}[\"'\\]{0,4}"
_OPTION = rf"--(?:[a-z]{{1,20}}[_-]){{0,2}}(?:{'|'.join(_ENDINGS)})\s{{1,3}}[\"']?(?!-)"
_SAYS = re.compile("|".join([*(ending + _SIGNS for ending in _ENDINGS), _OPTION]))
"""What stands before a value, in small letters. Each begins with a character: others are passed quickly."""
_NAME = re.compile(rf"(?:(?P<password>{PASSWORDS})|{OTHERS})s?[\"'\\\s:=]+$")
_LONGEST_FRONT = 16
_PLAIN = r"[^\s;\"'&\\,<>(){}\[\]$]"
_VALUE = re.compile(rf"{_PLAIN}(?:{_PLAIN}|\$(?![({{]))*+")
_ON = re.compile(rf"(?:(?![&,]\w{{1,32}}[=:])[$&,(){{}}\[\]]++{_PLAIN}++)*+")
"""What a value goes on with, unless another field begins there."""
_OPENED = re.compile(r"(?<![\"'\\])(\\*)([\"'])$")
_QUOTED = {
    (escaped, quote): re.compile(
        rf"([^\s\\{quote}]++)[^\n\\{quote}]{{0,256}}+(?=\\+{quote})"
        if escaped
        else rf"((?:[^\s\\{quote}]|\\\S)++)(?:[^\n\\{quote}]|\\.){{0,256}}+(?={quote})"
    )
    for escaped in (True, False)
    for quote in "\"'"
}
"""A value in quotes is all that is in them, told by its first word."""
_CURLS = re.compile(
    r"curl\b(?:(?!\s(?:&&|\|\|?)\s|;\s)[^\r\n]|(?<=\\)\r?\n|\r?\n(?=[ \t]*-[a-z-]))*+", re.IGNORECASE
)
_USER = re.compile(
    r"(?<!\S)(?:-[fsSkLvigjnN#]{0,8}[uU]|--(?:proxy-)?user)[ =]?\\*([\"']?)([^\s:\"'\\]{1,64}):"
    r"((?![$<{])(?:[^\s\"'\\]|(?!\1)[\"'](?=\S))++)"
)
_CODE = re.compile(
    r"(?:~|\.{0,2})/|[^:]*+://|(?:argon|base|int|oauth|pbkdf|sha|string|utf|varchar)[-_]?\d+[a-z]*+$"
    r"|=|(?:args|body|conf|config|data|env|event|form|local|module|opts|options|os|params|process|props|req|request"
    r"|self|settings|this|user|values|var)\d?\.[a-z_]"
    r"|\$[({]|\{\{|\{\w+\}$|(?-i:\$[A-Z_][A-Z0-9_]*$)|\^?\[(?:redacted|\w-)",
    re.IGNORECASE,
)
_CURL = "curl"
_LEAST_PASSWORD, _LEAST_OTHER = 6, 16


def says_secret(text: str) -> bool:
    """Whether a text may tell a secret by name; quick where it does not, as nearly always."""
    low = _small(text)
    return _CURL in low or (_has_a_word(low) and _SAYS.search(low) is not None)


def said_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Where the values stand.

    >>> text = "PGPASSWORD=s3cr3tpassw psql; password: required, passwd=f2(x)"
    >>> [text[first:last] for first, last in said_secrets(text)]
    ['s3cr3tpassw']
    """
    low = _small(text)
    at = 0 if _has_a_word(low) else len(low)
    while (said := _SAYS.search(low, at)) is not None:
        at = said.end()
        name = _NAME.search(low[max(0, said.start() - _LONGEST_FRONT) : at])
        word = "" if name is None else _word(text, at)
        if name is not None and word:
            called = text.startswith(("(", "["), at + len(word))
            if not called and _is_random(word, _LEAST_OTHER if name["password"] is None else _LEAST_PASSWORD):
                end = _end(text, at, word)
                yield at, end
                at = end
            else:
                at += len(word)
    for command in _CURLS.finditer(text if _CURL in low else ""):
        for user in _USER.finditer(text, *command.span()):
            ids = user[2].isdigit() and user[3].isdigit()  # as in `curl x; docker run -u 1000:1000`
            if not ids and not placeholder(user[3]):
                yield user.span(3)


def _in_quotes(text: str, at: int) -> re.Match[str] | None:
    opened = _OPENED.search(text[max(0, at - 5) : at])
    return None if opened is None else _QUOTED[bool(opened[1]), opened[2]].match(text, at)


def _word(text: str, at: int) -> str:
    """By which a value is judged."""
    quoted = _in_quotes(text, at)
    value = _VALUE.match(text, at) if quoted is None else None
    return quoted[1] if quoted is not None else value.group() if value is not None else ""


def _end(text: str, at: int, word: str) -> int:
    """Where the whole value ends; looked for only where it goes, so that nothing is read twice."""
    whole = _in_quotes(text, at) or _ON.match(text, at + len(word))
    return at + len(word) if whole is None else whole.end()


def _has_a_word(low: str) -> bool:
    """Spelt out: every text is asked."""
    has = low.__contains__
    return has("key") or has("token") or has("pass") or has("pwd") or has("secret") or has("cookie")


def _small(text: str) -> str:
    """As long as the text itself."""
    return text.replace("İ", "i").lower()


def _is_random(said: str, least: int) -> bool:
    both = any(map(str.isdigit, said)) and any(map(str.isalpha, said))
    return len(said) >= least and both and _CODE.match(said) is None and not placeholder(said)
