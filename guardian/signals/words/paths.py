"""Paths as those who open them read them. Pure and bounded."""

import re
from urllib.parse import unquote

URL = re.compile(r"([^/?#\\]*)://([^/?#\\]*)(.*)", re.DOTALL)
"""Its scheme, where it leads, and the rest; some readers take a backslash for a slash."""
FILE = re.compile(r"file:(?://(?:localhost)?)?(?=/)", re.ASCII | re.IGNORECASE)
"""What stands before a path that is written as a URL."""
_ROOT = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*|[A-Za-z]:(?=/))?/?")
_DECODINGS = 8
ROOTED = re.compile(r"[/\\~]|[A-Za-z][A-Za-z0-9+.-]*:")
"""How a path begins that does not begin at the folder where one happens to be."""
OPENED, LONGEST = 4_096, 65_536
"""Characters of the longest path that systems open as it stands, and how many of one are resolved: whoever
resolves it first, as file servers for agents do, opens what is left."""
JOINED = 256
"""How many paths are put together; one counts as several that is several times as long as systems open."""
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
"""Spaces and signs that some readers of a path drop."""
_DOTS = re.compile(rf"(?:^|(?<=[/?#]))(?:\.|{_UNSEEN.pattern[:-1]})+(?=[/?#;]|\Z)")
"""A step of a path that is nothing but dots, or nothing at all, for those readers."""


def ends(path: str) -> frozenset[str]:
    """All places where a path with `..` in it may end; empty where there is no `..`.

    >>> sorted(ends("docs/acme//%2e%2e/globex")), ends("docs/acme/a..b"), sorted(ends("docs/acme/.%09./b"))
    (['docs/acme/globex', 'docs/globex'], frozenset(), ['docs/b'])
    """
    path = _plain(path)
    return _resolved_in_all_ways(path) if _climbs(path) else frozenset()


def shrinks(path: str) -> bool:
    """Whether systems may open what is left of a path that is too long: one with `..` in it, or of which dots and
    slashes are most.

    >>> shrinks("/srv/" + "a" * 5_000), shrinks(f"/srv/{'a' * 5_000}/../b"), shrinks("/srv" + "/." * 5_000)
    (False, True, True)
    """
    path = _plain(path)
    return _climbs(path) or len(resolved(path, merged=True)) <= OPENED


def every_end(path: str) -> frozenset[str]:
    """All places where a path may end: percent signs decoded, with and without what follows ? or #, with doubled
    slashes as one or as two, and dots without invisible characters.

    >>> sorted(every_end("/srv/./keys//a?b"))
    ['/srv/keys//a', '/srv/keys//a?b', '/srv/keys/a', '/srv/keys/a?b']
    """
    return _resolved_in_all_ways(_plain(path))


def decoded(said: str) -> str:
    """Without percent signs, however often they were encoded."""
    for _ in range(_DECODINGS):
        before, said = said, unquote(said)
        if said == before:
            break
    return said


def resolved(path: str, *, merged: bool) -> str:
    """The path without its dots, doubled slashes as one if `merged`; those that would climb above its root, or
    above its beginning, stay."""
    found = _ROOT.match(path)
    root = found.group() if found else ""
    left: list[str] = []
    for part in path[len(root) :].split("/"):
        name = part.partition(";")[0]
        if name == ".." and left and left[-1] != "..":
            left.pop()
        elif name == ".." or (name != "." and (part or not merged)):
            left.append(name if name == ".." else part)
    return root + "/".join(left)


def _climbs(path: str) -> bool:
    return ".." in (part.partition(";")[0] for part in re.split("[/?#]", path))


def _plain(path: str) -> str:
    path = decoded(path).replace("\\", "/")
    return _DOTS.sub(lambda step: _UNSEEN.sub("", step.group()), path) if _UNSEEN.search(path) else path


def _resolved_in_all_ways(path: str) -> frozenset[str]:
    told = {path, re.split("[?#]", path, maxsplit=1)[0]}
    return frozenset(resolved(each, merged=merged) for each in told for merged in (True, False))
