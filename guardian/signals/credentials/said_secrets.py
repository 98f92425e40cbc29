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
_VALUE = re.compile(r"[^\s;\"'&\\,<>(){}\[\]$]++")
_USER = re.compile(r"(?<!\S)(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,64}:([^\s\"'$<{]++)")
_CODE = re.compile(
    r"(?:~|\.{0,2})/|[^:]*+://|(?:argon|base|int|oauth|pbkdf|sha|string|utf|varchar)[-_]?\d+[a-z]*+$",
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
        value = None if name is None else _VALUE.match(text, at)
        if name is not None and value is not None:
            at = value.end()
            if _is_random(value, _LEAST_OTHER if name["password"] is None else _LEAST_PASSWORD):
                yield value.span()
    for user in _USER.finditer(text if _CURL in low else ""):
        if not user[1].isdigit() and not placeholder(user[1]):  # a number is a group, as in `docker -u 1000:1000`
            yield user.span(1)


def _has_a_word(low: str) -> bool:
    """Spelt out: every text is asked."""
    has = low.__contains__
    return has("key") or has("token") or has("pass") or has("pwd") or has("secret") or has("cookie")


def _small(text: str) -> str:
    """As long as the text itself."""
    return text.replace("İ", "i").lower()


def _is_random(value: re.Match[str], least: int) -> bool:
    said = value.group()
    called = value.string.startswith(("(", "["), value.end())
    both = any(map(str.isdigit, said)) and any(map(str.isalpha, said))
    return len(said) >= least and both and not called and _CODE.match(said) is None and not placeholder(said)
