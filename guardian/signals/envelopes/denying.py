"""Whether an envelope's list of denied values touches one that an agent wrote. Pure and bounded.

No spelling gets by: a value is read in every way in which its letters, its path, the host of its URL or several
values in one text may be read. An entry for what lies in a folder denies the folder too, and a denied folder what
lies in it.
"""

import re
import unicodedata
from functools import lru_cache

from guardian.domain.wildcards import covers, hull, shared
from guardian.signals.envelopes.admitting import admits_class
from guardian.signals.envelopes.comparing import spend
from guardian.signals.envelopes.covering import spelt
from guardian.signals.words.constraints import text
from guardian.signals.words.identifiers import folded
from guardian.signals.words.listing import AROUND, ELSEWHERE, SEVERAL, listed
from guardian.signals.words.paths import FILE, LONGEST, URL, decoded, every_end, resolved, shrinks
from guardian.signals.words.wording import canonical

_AROUND = AROUND + "`<>()"
_MARK = re.compile(r"[\d@]")
"""In a word that is rather an identifier than part of a name: `New York` is not `York`."""
_NO_ADDRESS = re.compile(r"[^\w.+@-]+")
_FULL_STOP = re.compile(r"(?<=\w)\.(?=[/:?#]|\Z)")
"""It changes neither a domain's meaning nor, on some systems, a file's."""
_JOINT = re.compile(r"[^\w*]+")
_PORT = re.compile(r":\d*\Z")
_ABSOLUTE = re.compile(r"(?:~?/|[a-z]:/).*[^/]", re.DOTALL)
_HOME = re.compile(r"~[^/]*/")
_ABOVE = re.compile(r"((?:[a-z]:|[a-z][a-z0-9+.-]*://[^/]*)?/)(?:\.\./)+|(?:\.\./){3,}")
"""How a path begins that climbs above its root, or so far above its beginning that it hardly means what is beside
it, as `../lib/a.py` does."""
_LINKS = ("root", "cwd")
_MINUS = "\u2212"
_PAIRS = 4_096
_Entries = tuple[frozenset[str], tuple[str, ...]]
"""Those without a wildcard and those with one."""


def touches(denied: frozenset[str], value: object, *, based: bool = False) -> bool:
    """Whether a value is in a list of denied ones, in any spelling; where one text lists several values, or a path
    may end in several places, whether one of them is. `based`: the folder that it begins at stands beside it, so
    that one which climbs from there need not lead to the root.

    >>> mine = frozenset({"us-east", "/etc/*", "c_9"})
    >>> [touches(mine, said) for said in ("eu", "eu, US-East", "/srv/..//%65tc/passwd", "/../etc", "c_1 c_9")]
    [False, True, True, True, True]
    """
    if not denied:
        return False
    said = _read(text(value))
    marked = (one for one in SEVERAL.split(said) if "/" not in one and _MARK.search(one))
    each = {one.strip(_AROUND) for one in (*listed(said), *ELSEWHERE.findall(said), *marked)}
    each |= {said, *(one for one in _NO_ADDRESS.split(said) if "@" in one)}
    exact, wild = _entries(denied)
    ends = frozenset[str]().union(*(_ends(_one_spelling(one), based) for one in each))
    if not ends.isdisjoint(exact):
        return True
    return spend(len(wild), *ends) and any(covers(entry, end) for entry in wild for end in ends)


def beyond(value: object) -> bool:
    """Whether a path in a value may be longer than is resolved, so that nobody knows where it leads. That goes by
    how it is read: one character may stand for several. A file's that stays too long to be opened, as content in
    base64 does, leads nowhere."""
    said = _one_spelling(_read(text(value)))
    return len(said) > LONGEST and "/" in said and (shrinks(said) or URL.match(said) is not None)


def touches_class(denied: frozenset[str], name: str) -> bool:
    """Whether a data class is in a list of denied ones, in any spelling.

    >>> [touches_class(frozenset({"payroll_data", "hr_*"}), said) for said in ("PayrollData", "HR-Files", "terms")]
    [True, True, False]
    """
    return touches(denied, name) or touches(_canonical(denied), canonical(folded(name)))


def freed(theirs: frozenset[str], mine: frozenset[str], listed: frozenset[str] | None) -> list[str]:
    """What the first denies and may be reached by one who denies the second and lists the third (everything, where
    that is None): entries of the first, and values that are listed.

    >>> freed(frozenset({"us-*", "cn"}), frozenset({"US-West"}), frozenset({"us-west", "us-east", "eu"}))
    ['us-east']
    >>> freed(frozenset({"*.pem", "/etc"}), frozenset({"/srv/*.pem"}), frozenset({"/srv/*", "/opt/*"}))
    ['*.pem']
    """
    kept, other = _entries(mine), theirs - mine
    dropped = [entry for entry in other if not all(_denies(kept, form) for form in sorted(_forms(entry)))]
    if listed is None:
        return sorted(dropped)
    reach = [form for entry in listed if "*" in entry for form in _forms(entry)]
    if not spend(len(dropped) * len(reach)):
        return []
    exactly = len(dropped) * len(reach) <= _PAIRS
    within = {
        entry
        for entry in dropped
        if any(_reached(kept, form, own, exactly=exactly) for form in _forms(entry) for own in reach)
    }
    return sorted(within | {value for value in listed if touches(other, value) and not touches(mine, value)})


def _reached(kept: _Entries, form: str, own: str, *, exactly: bool) -> bool:
    """Whether what an entry and one's own share is not all kept from one."""
    both = hull(form, own)
    if both is None or _denies(kept, both):
        return False
    return not exactly or any(not _denies(kept, each) for each in shared(form, own))


def freed_classes(theirs: frozenset[str], mine: frozenset[str], listed: frozenset[str] | None) -> list[str]:
    """As `freed`, for data classes.

    >>> freed_classes(frozenset({"payroll_*"}), frozenset(), frozenset({"Payroll-2026", "terms"}))
    ['payroll_2026']
    """
    if listed is None:
        return freed(_canonical(theirs), _canonical(mine), None)
    found = freed(_canonical(theirs), _canonical(mine), _canonical(listed))
    return found or sorted(name for name in theirs if admits_class(listed, name) and not touches_class(mine, name))


def _read(said: str) -> str:
    plain = folded(decoded(folded(said))).replace("\\", "/")
    return plain if plain.isascii() else "".join("-" if _is_dash(each) else each for each in plain)


def _is_dash(character: str) -> bool:
    return character == _MINUS or unicodedata.category(character) == "Pd"


def _one_spelling(said: str) -> str:
    return _FULL_STOP.sub("", FILE.sub("", spelt(said).lower(), count=1))


def _ends(said: str, based: bool) -> frozenset[str]:
    """All places where a path or URL may lead: without user and port too, and without a scheme. One that climbs
    above somebody's home, or far above its beginning, may lead to the root."""
    if "/" not in said:
        return frozenset({said})
    told = {said[:LONGEST], _linked(said[:LONGEST])}
    if (found := URL.match(said[:LONGEST])) and (host := _PORT.sub("", found[2].rpartition("@")[2])):
        told |= {host, host + found[3], f"{found[1]}://{host}{found[3]}"}
    ends = frozenset[str]().union(*map(every_end, told))
    home = _HOME.match(said)
    climbing = (_ABOVE.match(end) for end in ends | (every_end(said[home.end() - 1 : LONGEST]) if home else set()))
    ends |= {(up[1] or "/") + up.string[up.end() :] for up in climbing if up and (up[1] or not based)}
    return ends | {end.rstrip("/") for end in ends} | {said}


def _linked(path: str) -> str:
    """Where a path leads through the links to the root and to the folder where one is that Linux has for each
    process (proc(5)); the path itself where it goes through none.

    >>> _linked("/srv/../proc/self/root/../etc"), _linked("proc/1/task/1/cwd/../a"), _linked("/proc/root/etc")
    ('/etc', '../a', '/proc/root/etc')
    """
    root, left, linked = path[:1] == "/", list[str](), False
    for step in path.split("/"):
        name = step.partition(";")[0]
        if name == "..":
            if left and left[-1] != "..":
                left.pop()
            elif not root:
                left.append(name)
        elif name not in ("", "."):
            left.append(step)
            if name in _LINKS and "proc" in (*left[-3:-2], *(left[-5:-4] if left[-3:-2] == ["task"] else ())):
                root, left, linked = name == "root", [], True
    return ("/" if root else "") + "/".join(left) if linked else path


def _denies(entries: _Entries, end: str) -> bool:
    exact, wild = entries
    return end in exact or not spend(len(wild), end) or any(covers(entry, end) for entry in wild)


@lru_cache(maxsize=16)
def _entries(denied: frozenset[str]) -> _Entries:
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
    if not path.strip("*"):  # `./*` is no `*`
        return frozenset({said})
    folder = path.rstrip("*").removesuffix("/") if path.endswith("/*") else path
    if folder != path:
        return frozenset({path, folder} if folder.strip("*/") else {path})
    below = "://" not in said and (_ABSOLUTE.fullmatch(path) or (said != path and said.endswith("/")))
    return frozenset({path, f"{path}/*"} if below else {path})


@lru_cache(maxsize=16)
def _canonical(denied: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_class, denied)) - {""}


def _class(entry: str) -> str:
    return _JOINT.sub("_", entry.lower()) if "*" in entry else canonical(entry)
