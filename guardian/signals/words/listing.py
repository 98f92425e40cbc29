"""Several values that were written as one text, told apart. Pure and bounded."""

import re

SEVERAL = re.compile(r"[,;|\s]+")
_LISTED = re.compile(r"[,;|\n]")
AROUND = "[]\"'"
"""What stands around one of several where a list was written as text."""
ELSEWHERE = re.compile(r"(?<=[\s,;|])(?:/|~/|\.\./|[A-Za-z][A-Za-z0-9+.-]*://)[^\s,;|]+")
"""A path or URL that begins anew within a text; a comma or a space alone may belong to a file's name."""


def listed(said: str) -> list[str]:
    """What stands between commas and the like, each once.

    >>> listed("eu; us-east, eu")
    ['eu', 'us-east']
    """
    return list(dict.fromkeys(map(str.strip, _LISTED.split(said))))
