"""Whether an envelope's list of allowed values admits one that an agent wrote. Pure and bounded.

Another spelling of an allowed value is admitted. A value that only looks covered by a wildcard is not: a path that
climbs out of it, another host before it, several values of which only one is covered.
"""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

from guardian.domain.wildcards import covers
from guardian.signals.constraints import text
from guardian.signals.identifiers import as_uuid
from guardian.signals.wording import canonical

_SEVERAL = re.compile(r"[,;|\s]+")
_LISTED = re.compile(r"[,;|\n]")
_AROUND = "[]\"'"
"""What stands around one of several where a list was written as text."""
_NUMBERED = re.compile(r"(?=\D*\d)\S+")
_NAMES = re.compile(r"[\w:-]*(?:\*[\w:-]*)+")
_ELSEWHERE = re.compile(r"(?<=[\s,;|])(?:/|~/|\.\./|[A-Za-z][A-Za-z0-9+.-]*://)[^\s,;|]+")
"""A path or URL that begins anew within a text; a comma or a space alone may belong to a file's name."""
_URL = re.compile(r"([^/?#\\]*)://([^/?#\\]*)(.*)", re.DOTALL)
"""Its scheme, where it leads, and the rest; some readers take a backslash for a slash."""
_ROOT = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*)?/?")
_JOINT = re.compile(r"[^\w*]+")
_DECODINGS = 8
_CODE_CHARS = 3
_SPELT_CHARS = 512
_PATH_CHARS = 4_096
"""No system opens a longer path."""
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
"""Spaces and signs that some readers of a path drop."""
_DOTS = re.compile(rf"(?:^|(?<=[/?#]))(?:\.|{_UNSEEN.pattern[:-1]})+(?=[/?#;]|\Z)")
"""A step of a path that is nothing but dots, or nothing at all, for those readers."""


def admits(allowed: frozenset[str], value: object) -> bool:
    """Whether a value is in a list of allowed ones, wildcards included; where one text lists several values,
    whether each of them is. A wildcard admits no text that lists other values beside those that it covers, and a
    wildcard for paths admits no path that climbs out of it.

    >>> mine = frozenset({"c_1", "c_2", "*@acme.example"})
    >>> [admits(mine, said) for said in ("c_1, c_2", "A@Acme.example", "<x@evil.example>a@acme.example")]
    [True, True, False]
    >>> admits(mine, '["c_1", "c_2"]'), admits(frozenset({"acme_*"}), "acme_1,globex_2")
    (True, False)
    """
    said = text(value)
    if said in allowed:
        return True
    said = said.strip()
    each = {one.strip(_AROUND) for one in _SEVERAL.split(said)} - {""}
    addresses = said.count("@")
    whole = allowed
    if len(each) > 1:
        whole = frozenset(entry for entry in allowed if not 0 < entry.count("@") < addresses)
    return _admits_spelt(whole, said) or (bool(each) and all(_admits_spelt(allowed, one) for one in each))


def admits_class(allowed: frozenset[str], name: str) -> bool:
    """Whether a data class is in a list of allowed ones, however its words are joined and whatever their case.

    >>> [admits_class(frozenset({"renewal_terms"}), said) for said in ("Renewal-Terms", "terms")]
    [True, False]
    """
    return admits(allowed, name) or canonical(name) in _canonical(allowed)


def touches_class(denied: frozenset[str], name: str) -> bool:
    """Whether a data class is in a list of denied ones, in any spelling.

    >>> [touches_class(frozenset({"payroll_data", "hr_*"}), said) for said in ("PayrollData", "HR-Files", "terms")]
    [True, True, False]
    """
    known = canonical(name)
    wild = (_JOINT.sub("_", entry.lower()) for entry in _wild(denied))
    return touches(denied, name) or known in _canonical(denied) or any(covers(entry, known) for entry in wild)


@lru_cache(maxsize=16)
def _canonical(listed: frozenset[str]) -> frozenset[str]:
    return frozenset(canonical(entry) for entry in listed if "*" not in entry) - {""}


def touches(denied: frozenset[str], value: object) -> bool:
    """Whether a value is in a list of denied ones, whatever the case of its letters; where one text lists several
    values, or a path may end in several places, whether one of them is.

    >>> [touches(frozenset({"us-east", "/etc/*"}), said) for said in ("eu", "eu, US-East", "/srv/../etc/passwd")]
    [False, True, True]
    """
    said = text(value)
    each = {one.strip(_AROUND) for one in (*_listed(said), *_ELSEWHERE.findall(said))} | {said}
    return any(_touches(_all_lowered(denied), spelt(one).lower()) for one in each)


@lru_cache(maxsize=16)
def _all_lowered(denied: frozenset[str]) -> frozenset[str]:
    return frozenset(spelt(entry).lower() for entry in denied)


def _touches(denied: frozenset[str], said: str) -> bool:
    wild = _wild(denied)
    ends = (said, *_ends(said)) if wild and len(said) <= _PATH_CHARS else (said,)
    return said in denied or any(covers(entry, end) for entry in wild for end in ends)


def _admits_spelt(allowed: frozenset[str], said: str) -> bool:
    """As it stands, or else in its one spelling."""
    return _admits(allowed, said) or (len(said) <= _SPELT_CHARS and _admits(_all_spelt(allowed), spelt(said)))


def spelt(said: str) -> str:
    """One spelling for all that mean the same: of a currency or country, an address, a truth value, a UUID, and of
    letters that Unicode can compose."""
    if uuid := as_uuid(said):
        return uuid
    if not said.isascii():
        said = unicodedata.normalize("NFC", said)
    code = (len(said) <= _CODE_CHARS and said.isalpha()) or said.lower() in {"true", "false"}
    return said.lower() if code or ("@" in said and "/" not in said) else said


@lru_cache(maxsize=16)
def _all_spelt(allowed: frozenset[str]) -> frozenset[str]:
    return frozenset(map(spelt, allowed))


def _admits(allowed: frozenset[str], said: str) -> bool:
    wild = () if said in allowed else _wild(allowed)
    if said in allowed or any(_is_folder(entry, said) for entry in wild):
        return True
    return any(covers(entry, said) and all(holds(entry, said) for holds in _HOLD) for entry in wild)


@lru_cache(maxsize=16)
def _wild(allowed: frozenset[str]) -> tuple[str, ...]:
    return tuple(entry for entry in allowed if "*" in entry)


def _is_folder(entry: str, said: str) -> bool:
    """Whether it is the folder of a wildcard, `/docs` of `/docs/*`: everything in it is covered."""
    return entry.endswith("/*") and "*" not in said and entry.rstrip("*") == f"{said}/"


def _alone(entry: str, said: str) -> bool:
    """Whether a text lists nothing beside what a wildcard covers: no more addresses than the wildcard has, no path
    or URL that begins as it does or leads elsewhere, no other identifier. In `@acme/*` the sign belongs to a path.

    >>> _alone("docs/acme/*", "docs/acme/Smith, John/b.txt"), _alone("docs/acme/*", "docs/acme/a /etc/passwd")
    (True, False)
    """
    if "/" in entry:
        begins = entry[: entry.index("/") + 1]
        others = [one for one in _listed(said)[1:] if one.startswith(begins)] + _ELSEWHERE.findall(said)
        return all(covers(entry, one.strip(_AROUND)) for one in others)
    if 0 < entry.count("@") < _decoded(said).count("@"):
        return False
    each = _listed(said) if _NAMES.fullmatch(entry) else []
    return all(covers(entry, one) for one in each) or not all(map(_NUMBERED.fullmatch, each))


def _listed(said: str) -> list[str]:
    return list(dict.fromkeys(map(str.strip, _LISTED.split(said))))


def _leads(entry: str, said: str) -> bool:
    """Whether a URL leads where a wildcard for URLs does: a `*` before the path covers no part of a path."""
    ours = _URL.match(entry)
    if ours is None or "*" not in ours[1] + ours[2]:
        return True
    theirs, read = _URL.match(said), _URL.match(_decoded(said))
    if theirs is None or read is None:
        return False
    kept = (ours[1], ours[2], ours[3] or "*")
    return all(map(covers, kept, theirs.groups())) and all(map(covers, kept[:2], read.groups()))


def _stays(entry: str, path: str) -> bool:
    """Whether a path with `..` in it ends within what a wildcard covers, however it is resolved."""
    ends = _ends(path)
    kept = (entry, *_ends(entry)) if ends else ()
    return all(any(covers(each, end) for each in kept) for end in ends)


_HOLD = (_alone, _leads, _stays)


def _ends(path: str) -> frozenset[str]:
    """All places where a path with `..` in it may end: percent signs decoded, with and without what follows ? or
    #, with doubled slashes as one or as two, and dots without invisible characters. Empty where there is no `..`.

    >>> sorted(_ends("docs/acme//%2e%2e/globex")), _ends("docs/acme/a..b"), sorted(_ends("docs/acme/.%09./b"))
    (['docs/acme/globex', 'docs/globex'], frozenset(), ['docs/b'])
    """
    path = _decoded(path).replace("\\", "/")
    if _UNSEEN.search(path):
        path = _DOTS.sub(lambda step: _UNSEEN.sub("", step.group()), path)
    if ".." not in (part.partition(";")[0] for part in re.split("[/?#]", path)):
        return frozenset()
    told = {path, re.split("[?#]", path, maxsplit=1)[0]}
    return frozenset(_resolved(each, merged) for each in told for merged in (True, False))


def _decoded(said: str) -> str:
    for _ in range(_DECODINGS):
        before, said = said, unquote(said)
        if said == before:
            break
    return said


def _resolved(path: str, merged: bool) -> str:
    """The path without its dots; those that would climb above its root, or above its beginning, stay."""
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
