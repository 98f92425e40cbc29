"""Whether an envelope's list of denied values touches one that an agent wrote. Pure and bounded.

No spelling gets by: a value is read in every way in which its letters, its path, the host of its URL or several
values in one text may be read. An entry for what lies in a folder denies the folder too, and a denied folder what
lies in it.
"""

import re
from functools import lru_cache

from guardian.domain.wildcards import covers
from guardian.signals.admitting import spelt
from guardian.signals.constraints import text
from guardian.signals.identifiers import folded
from guardian.signals.listing import AROUND, ELSEWHERE, SEVERAL, listed
from guardian.signals.paths import LONGEST, URL, decoded, every_end, resolved
from guardian.signals.wording import canonical

_AROUND = AROUND + "`<>()"
_MARKED = re.compile(r"(?=\D*\d)[^/]+|[^/]*@[^/]*")
"""A word that is rather an identifier than part of a name: `New York` is not `York`."""
_NO_ADDRESS = re.compile(r"[^\w.+@-]+")
_FULL_STOP = re.compile(r"(?<=\w)\.(?=[/:?#]|\Z)")
"""It changes neither a domain's meaning nor, on some systems, a file's."""
_FILE = re.compile(r"file:(?://(?:localhost)?)?(?=/)")
_JOINT = re.compile(r"[^\w*]+")
_PORT = re.compile(r":\d*\Z")
_FOLDER = re.compile(r"(?:~?/|[a-z]:/)[^*]*[^*/]|[^*]*[^*:/]/")
"""An absolute path, which may be a folder, or any that ends as folders do; no URL's host."""


def touches(denied: frozenset[str], value: object) -> bool:
    """Whether a value is in a list of denied ones, in any spelling; where one text lists several values, or a path
    may end in several places, whether one of them is.

    >>> mine = frozenset({"us-east", "/etc/*", "c_9"})
    >>> [touches(mine, said) for said in ("eu", "eu, US-East", "/srv/..//%65tc/passwd", "/etc", "c_1 c_9")]
    [False, True, True, True, True]
    """
    if not denied:
        return False
    said = _read(text(value))
    marked = filter(_MARKED.fullmatch, SEVERAL.split(said))
    each = {one.strip(_AROUND) for one in (*listed(said), *ELSEWHERE.findall(said), *marked)}
    each |= {said, *(one for one in _NO_ADDRESS.split(said) if "@" in one)}
    return any(_denies(denied, end) for one in each for end in _ends(_one_spelling(one)))


def touches_class(denied: frozenset[str], name: str) -> bool:
    """Whether a data class is in a list of denied ones, in any spelling.

    >>> [touches_class(frozenset({"payroll_data", "hr_*"}), said) for said in ("PayrollData", "HR-Files", "terms")]
    [True, True, False]
    """
    return touches(denied, name) or touches(_canonical(denied), canonical(folded(name)))


def _read(said: str) -> str:
    return folded(decoded(folded(said))).replace("\\", "/")


def _one_spelling(said: str) -> str:
    return _FULL_STOP.sub("", _FILE.sub("", spelt(said).lower(), count=1))


def _ends(said: str) -> frozenset[str]:
    """All places where a path or URL may lead: without user and port too, and without a scheme."""
    if "/" not in said:
        return frozenset({said})
    told = {said[:LONGEST]}
    if (found := URL.match(said[:LONGEST])) and (host := _PORT.sub("", found[2].rpartition("@")[2])):
        told |= {host, host + found[3], f"{found[1]}://{host}{found[3]}"}
    ends = frozenset[str]().union(*map(every_end, told))
    return ends | {end.rstrip("/") for end in ends} | {said}


def _denies(denied: frozenset[str], end: str) -> bool:
    exact, wild = _entries(denied)
    return end in exact or any(covers(entry, end) for entry in wild)


@lru_cache(maxsize=16)
def _entries(denied: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Those without a wildcard and those with one."""
    told = frozenset[str]().union(*map(_forms, denied))
    return frozenset(entry for entry in told if "*" not in entry), tuple(entry for entry in told if "*" in entry)


def _forms(entry: str) -> frozenset[str]:
    """An entry in its one spelling, for a folder and for what lies in it.

    >>> sorted(_forms("/srv//Keys/*")), sorted(_forms("/etc")), sorted(_forms("acme/shop")), sorted(_forms("*/*"))
    (['/srv/keys', '/srv/keys/*'], ['/etc', '/etc/*'], ['acme/shop'], ['*/*'])
    """
    said = _one_spelling(_read(entry))
    if "/" not in said:
        return frozenset({said})
    path = resolved(said, merged=True).rstrip("/") or said
    folder = path.rstrip("*").removesuffix("/") if path.endswith("/*") else path
    if folder == path:
        below = "://" not in said and _FOLDER.fullmatch(said)
        return frozenset({path, f"{path}/*"} if below else {path})
    return frozenset({path, folder} if folder.strip("*/") else {path})


@lru_cache(maxsize=16)
def _canonical(denied: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_class, denied)) - {""}


def _class(entry: str) -> str:
    return _JOINT.sub("_", entry.lower()) if "*" in entry else canonical(entry)
