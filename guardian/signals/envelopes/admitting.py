"""Whether an envelope's list of allowed values admits one that an agent wrote. Pure and bounded.

What is certainly another spelling of an allowed value is admitted; what only may be one is told apart from what
lies outside. A value that only looks covered by a wildcard is not admitted: a path that climbs out of it, another
host before it, several values of which only one is covered.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from guardian.domain.wildcards import covers
from guardian.signals.envelopes.comparing import spend, spent
from guardian.signals.envelopes.spelling import HOSTS, REPOSITORIES, certain, possible
from guardian.signals.words.constraints import text
from guardian.signals.words.identifiers import ADDRESS, as_uuid, folded
from guardian.signals.words.listing import AROUND, ELSEWHERE, SEVERAL, listed
from guardian.signals.words.paths import URL, decoded, ends
from guardian.signals.words.wording import canonical

_NUMBERED = re.compile(r"(?=\D*\d)\S+")
_NAMES = re.compile(r"[#\w:.-]*(?:\*[\w:-]*)+")
_BARE_WORD = re.compile(r"[#*\w:-]+")
_WORD = re.compile(r"[#*\w:.-]+")
_IDENTIFIERS = frozenset({"id"})
_PROJECTS = frozenset({"project"})
"""Last words of names whose values hold no comma, as those of hosts and repositories; only a project's may hold
spaces."""
_PATH = re.compile(r"[\w.@-]+(?:/[\w.@*-]+)+")
_PAIR = re.compile(r"[\w.@-]+/[\w.@*-]+")
_HOST_ENTRY = re.compile(r"(?=[^*]*\*)[\w*-]+(?:\.[\w*-]+)+")
_SCHEME = re.compile(r"\A(?:(?:[A-Za-z][A-Za-z0-9+-]*|\*):)?//")
_BELOW = re.compile(r"[/?#\\]")
_HOST = re.compile(r"[\w*-]+(?:\.[\w*-]+)*\.?(?::(?:\d{1,5}|\*))?")
_PORT = re.compile(r"\d{1,5}")
_DOTTED = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?[\w-]+(?:\.[\w-]+)+(?=[/?#\\,;|\s])")
_PARTED = re.compile(r"[,;|\s/?#\\]")
_MARK = re.compile(r"[\d*]")
_MEASURE = re.compile(r"v?\d+(?:\.\d+)+|\d{1,2}(?::\d\d){1,2}|\d{4}-\d\d-\d\d")
"""A version, a time of day or a date."""
_CALLED = r"[^\W\d_][\w'’\u0300-\u036f-]{0,63}\.?"
_MAILBOX = re.compile(
    rf'(?:{_CALLED}(?: {_CALLED}){{0,7}} ?|"{_CALLED}(?:,? {_CALLED}){{0,7}}" ?)?<({ADDRESS.pattern})>'
)
"""An address after its owner's name, as mail programs write it: `Ann Miller <ann@acme.example>`. A name is plain
words, and a comma in it stands in quotes: without them it parts two addresses."""
_BARE = re.compile(f"({ADDRESS.pattern})")
_RECIPIENT = re.compile(r'(?:"[^"]*"|[^,;"])+')
_SIGNS = "_-:."
_CODE_CHARS = 3
_SPELT_CHARS = 512
_READ_CHARS = 64
"""To read so much of a text for what it lists takes as long as to compare it with a wildcard."""


def admits(allowed: frozenset[str], value: object, name: str = "") -> bool:
    """Whether a value is in a list of allowed ones, wildcards included; where one text lists several values,
    whether each of them is, and of an address after its owner's name whether the address is. A wildcard admits no
    text that lists other values beside those that it covers, and a wildcard for paths admits no path that climbs
    out of it. The canonical name says what may be a list: commas may belong to a file, but to no repository.

    >>> mine = frozenset({"c_1", "c_2", "*@acme.example"})
    >>> [admits(mine, said) for said in ("c_1, c_2", "A@Acme.example", "<x@evil.example>a@acme.example")]
    [True, True, False]
    >>> admits(mine, '["c_1", "c_2"]'), admits(frozenset({"acme_*"}), "acme_1,globex_2")
    (True, False)
    >>> [admits(frozenset({"acme/*"}), "acme/a,globex/b", name) for name in ("repo", "path")]
    [False, True]
    """
    said = text(value)
    if said in allowed:
        return True
    return any(_admits_read(*read, name) for read in _readings(allowed, said.strip(), name))


def may_admit(allowed: frozenset[str], value: object, name: str) -> bool:
    """Whether a value that is not admitted may yet be another spelling of one that is. What is not compared any
    more is none.

    >>> mine = frozenset({"acme/shop"})
    >>> [may_admit(mine, said, "repo") for said in ("Acme/Shop", "https://evil.example/acme/shop")]
    [True, False]
    """
    said = text(value).strip()
    read = (each for each in possible(allowed, said, name) if each != (allowed, said))
    return any(_admits_read(*each, name) for each in read) and not spent()


def unsure(allowed: frozenset[str], value: object, name: str) -> bool:
    """Whether a value that is admitted may yet list others, or lead to another host: under this name nobody knows.

    >>> [unsure(frozenset({"docs/*"}), said, "path") for said in ("docs/a,globex/b", "docs/my report/b.txt")]
    [True, False]
    """
    said = text(value).strip()
    if said in allowed or not _PARTED.search(said):
        return False
    read = next((each for each in _readings(allowed, said, name) if _admits_read(*each, name)), None)
    return read is not None and _lists_more(*read, name.rpartition("_")[2])


def _readings(allowed: frozenset[str], said: str, name: str) -> Iterator[tuple[frozenset[str], str]]:
    """Both as they stand, and then in each spelling that certainly means the same."""
    yield allowed, said
    yield from certain(allowed, said, name)


def _admits_read(allowed: frozenset[str], said: str, name: str) -> bool:
    admitted = _admits_all(allowed, said) or ("<" in said and _admits_mailboxes(allowed, said))
    return admitted and not _names_others(allowed, said, name.rpartition("_")[2])


def _lists_more(allowed: frozenset[str], said: str, last: str) -> bool:
    if said in allowed or not _PARTED.search(said):
        return False
    if any(_strange(allowed, said)) or (last in _PROJECTS and _lists_others(allowed, SEVERAL.split(said))):
        return True
    pieces = listed(said)
    if all(_PAIR.fullmatch(one.strip(AROUND)) for one in pieces) and _lists_others(allowed, pieces):
        return True
    told = _DOTTED.match(said)
    sure = told is None or _admits_spelt(allowed, told.group())
    return not sure and not _admits_all(_without_hosts(allowed, dots=2), said)  # `*.pdf` is no host


def _admits_all(allowed: frozenset[str], said: str) -> bool:
    each = _each(said)
    addresses = said.count("@")
    whole = allowed
    if len(each) > 1:
        whole = frozenset(entry for entry in allowed if not 0 < entry.count("@") < addresses)
    return _admits_spelt(whole, said) or (bool(each) and all(_admits_spelt(allowed, one) for one in each))


def _admits_mailboxes(allowed: frozenset[str], said: str) -> bool:
    """Whether a text is of addresses only, after their owners' names or bare, and each is admitted."""
    each = dict.fromkeys(one.strip() for one in _RECIPIENT.findall(said))
    found = (_MAILBOX.fullmatch(one) or _BARE.fullmatch(one) for one in each)
    return all(box is not None and _admits_spelt(allowed, box[1]) for box in found)


def _each(said: str) -> list[str]:
    return list(filter(None, dict.fromkeys(one.strip(AROUND) for one in SEVERAL.split(said))))


def _names_others(allowed: frozenset[str], said: str, last: str) -> bool:
    """Whether a text certainly names others too, by the last word of its name: another repository, project or
    identifier beside one that is covered, or anything else than hosts that are, their paths and ports."""
    if last in HOSTS:
        first, *others = _each(said) or [said]
        hosts = [first, *(one for one in others if not _PORT.fullmatch(one))]
        return not all(_is_host(allowed, one) for one in hosts) and not _admits_all(_without_hosts(allowed), said)
    if last in REPOSITORIES | _PROJECTS:
        return _lists_others(allowed, SEVERAL.split(said) if last in REPOSITORIES else listed(said))
    return last in _IDENTIFIERS and any(
        _MARK.search(one) and not _MEASURE.fullmatch(one) for one in _strange(allowed, said)
    )


def _is_host(allowed: frozenset[str], said: str) -> bool:
    """Whether a host, or that of a URL, is admitted.

    >>> mine = frozenset({"*.acme.example*"})
    >>> [_is_host(mine, said) for said in ("https://www.acme.example/a", "evil.example/.acme.example")]
    [True, False]
    """
    host = _BELOW.split(_SCHEME.sub("", said), maxsplit=1)[0].rpartition("@")[2]
    return _HOST.fullmatch(host) is not None and _admits_spelt(allowed, host)


def _strange(allowed: frozenset[str], said: str) -> Iterator[str]:
    """Of the words of a text, those that may be identifiers of a wildcard's kind and are not admitted."""
    words = _each(said)
    kinds = [entry for entry, _, _ in _wild(allowed) if _NAMES.fullmatch(entry)] if len(words) > 1 else []
    others = (one for one in words if kinds and not _admits_spelt(allowed, one))
    return (one for one in others if any(_joined(entry, [one]) for entry in kinds))


def _lists_others(allowed: frozenset[str], pieces: list[str]) -> bool:
    """Whether among paths there is one that is not admitted; `Acme, A/B` is none, then another."""
    paths = (one.strip(AROUND) for one in pieces) if len(pieces) > 1 and "/" in pieces[0] else ()
    return any(_PATH.fullmatch(one) and not _admits_spelt(allowed, one) for one in paths)


@lru_cache(maxsize=16)
def _without_hosts(allowed: frozenset[str], *, dots: int = 1) -> frozenset[str]:
    return frozenset(entry for entry in allowed if entry.count(".") < dots or not _HOST_ENTRY.fullmatch(entry))


def admits_class(allowed: frozenset[str], name: str) -> bool:
    """Whether a data class is in a list of allowed ones, however its words are joined and whatever their case.

    >>> [admits_class(frozenset({"renewal_terms"}), said) for said in ("Renewal-Terms", "terms")]
    [True, False]
    """
    return admits(allowed, name) or canonical(name) in _canonical(allowed)


@lru_cache(maxsize=16)
def _canonical(listed: frozenset[str]) -> frozenset[str]:
    return frozenset(canonical(entry) for entry in listed if "*" not in entry) - {""}


def _admits_spelt(allowed: frozenset[str], said: str) -> bool:
    """As it stands, or else in its one spelling."""
    if _admits(allowed, said):
        return True
    told, one = (_all_spelt(allowed), spelt(said)) if len(said) <= _SPELT_CHARS else (allowed, said)
    return (one != said or told != allowed) and _admits(told, one)


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
    if said in allowed:
        return True
    wild = _wild(allowed)
    if not spend(len(wild), said) or said in _folders(allowed):
        return True
    near = (entry for entry, head, tail in wild if said.startswith(head) and said.endswith(tail))
    return any(covers(entry, said) and _holds(entry, said) for entry in near)


@lru_cache(maxsize=16)
def _wild(allowed: frozenset[str]) -> tuple[tuple[str, str, str], ...]:
    """Each wildcard, with what it begins with and what it ends with."""
    entries = sorted(entry for entry in allowed if "*" in entry)
    return tuple((entry, entry.partition("*")[0], entry.rpartition("*")[2]) for entry in entries)


@lru_cache(maxsize=16)
def _folders(allowed: frozenset[str]) -> frozenset[str]:
    """The folders of wildcards, `/docs` of `/docs/*`: everything in them is covered."""
    found = (entry.removesuffix("/*") for entry in allowed if entry.endswith("/*"))
    return frozenset(folder for folder in found if "*" not in folder)


def _holds(entry: str, said: str) -> bool:
    """Whether a text that a wildcard covers says no more than it covers."""
    return not spend(1 + len(said) // _READ_CHARS) or all(holds(entry, said) for holds in _HOLD)


def _alone(entry: str, said: str) -> bool:
    """Whether a text lists nothing beside what a wildcard covers: no more addresses than the wildcard has, no path
    or URL that begins as it does or leads elsewhere, no other wildcard, no other identifier. In `@acme/*` the sign
    belongs to a path.

    >>> _alone("docs/acme/*", "docs/acme/Smith, John/b.txt"), _alone("docs/acme/*", "docs/acme/a /etc/passwd")
    (True, False)
    """
    pieces = [one.strip(AROUND) for one in listed(said) if one]
    wild = [one for one in pieces if "*" in one]
    others = wild if len(wild) > 1 else []
    if "/" in entry:
        begins = entry[: entry.index("/") + 1]
        others += [*(one for one in pieces[1:] if one.startswith(begins)), *ELSEWHERE.findall(said)]
    elif 0 < entry.count("@") < folded(decoded(said)).count("@"):
        return False
    elif _NAMES.fullmatch(entry):
        signs = _SIGNS.replace(":", "") if ", " in said else _SIGNS  # `msg:a, re:b` may be a sentence
        others += pieces if all(map(_NUMBERED.fullmatch, pieces)) or _joined(entry, pieces, signs) else []
    return all(covers(entry, one.strip(AROUND)) for one in others)


def _joined(entry: str, words: Iterable[str], signs: str = _SIGNS) -> bool:
    """Whether all are rather identifiers than words of a name: with a sign in them as it joins the wildcard's own
    parts. `Acme-West, Inc` under `Acme*` is a name, `acme_core,globex_core` under `acme_*` are two identifiers."""
    own = {sign for sign in signs if sign in entry}
    known = _WORD if "." in own else _BARE_WORD
    return all(known.fullmatch(one) and not own.isdisjoint(one) for one in words)


def _leads(entry: str, said: str) -> bool:
    """Whether a URL leads where a wildcard for URLs does: a `*` before the path covers no part of a path."""
    ours = URL.match(entry)
    if ours is None or "*" not in ours[1] + ours[2]:
        return True
    theirs, read = URL.match(said), URL.match(decoded(said))
    if theirs is None or read is None:
        return False
    kept = (ours[1], ours[2], ours[3] or "*")
    return all(map(covers, kept, theirs.groups())) and all(map(covers, kept[:2], read.groups()))


def _stays(entry: str, path: str) -> bool:
    """Whether a path with `..` in it ends within what a wildcard covers, however it is resolved."""
    led = ends(path)
    kept = (entry, *ends(entry)) if led else ()
    return all(any(covers(each, end) for each in kept) for end in led)


_HOLD = (_alone, _leads, _stays)
