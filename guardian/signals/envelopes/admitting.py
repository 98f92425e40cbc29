"""Whether an envelope's list of allowed values admits one that an agent wrote. Pure and bounded.

What is certainly another spelling of an allowed value is admitted; what only may be one is told apart from what
lies outside. A text that lists several values is admitted where each of them is.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from guardian.signals.envelopes.comparing import spent
from guardian.signals.envelopes.covering import IDENTIFIERS, covered, like_identifiers, wildcards
from guardian.signals.envelopes.spelling import HOSTS, REPOSITORIES, certain, possible
from guardian.signals.words.constraints import text
from guardian.signals.words.identifiers import ADDRESS
from guardian.signals.words.listing import AROUND, SEVERAL, listed
from guardian.signals.words.wording import canonical

_IDENTIFYING = frozenset({"id"})
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
    sure = told is None or covered(allowed, told.group())
    return not sure and not _admits_all(_without_hosts(allowed, dots=2), said)  # `*.pdf` is no host


def _admits_all(allowed: frozenset[str], said: str) -> bool:
    each = _each(said)
    addresses = said.count("@")
    whole = allowed
    if len(each) > 1:
        whole = frozenset(entry for entry in allowed if not 0 < entry.count("@") < addresses)
    return covered(whole, said) or (bool(each) and all(covered(allowed, one) for one in each))


def _admits_mailboxes(allowed: frozenset[str], said: str) -> bool:
    """Whether a text is of addresses only, after their owners' names or bare, and each is admitted."""
    each = dict.fromkeys(one.strip() for one in _RECIPIENT.findall(said))
    found = (_MAILBOX.fullmatch(one) or _BARE.fullmatch(one) for one in each)
    return all(box is not None and covered(allowed, box[1]) for box in found)


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
    return last in _IDENTIFYING and any(
        _MARK.search(one) and not _MEASURE.fullmatch(one) for one in _strange(allowed, said)
    )


def _is_host(allowed: frozenset[str], said: str) -> bool:
    """Whether a host, or that of a URL, is admitted.

    >>> mine = frozenset({"*.acme.example*"})
    >>> [_is_host(mine, said) for said in ("https://www.acme.example/a", "evil.example/.acme.example")]
    [True, False]
    """
    host = _BELOW.split(_SCHEME.sub("", said), maxsplit=1)[0].rpartition("@")[2]
    return _HOST.fullmatch(host) is not None and covered(allowed, host)


def _strange(allowed: frozenset[str], said: str) -> Iterator[str]:
    """Of the words of a text, those that may be identifiers of a wildcard's kind and are not admitted."""
    words = _each(said)
    kinds = [entry for entry, _, _ in wildcards(allowed) if IDENTIFIERS.fullmatch(entry)] if len(words) > 1 else []
    others = (one for one in words if kinds and not covered(allowed, one))
    return (one for one in others if any(like_identifiers(entry, [one]) for entry in kinds))


def _lists_others(allowed: frozenset[str], pieces: list[str]) -> bool:
    """Whether among paths there is one that is not admitted; `Acme, A/B` is none, then another."""
    paths = (one.strip(AROUND) for one in pieces) if len(pieces) > 1 and "/" in pieces[0] else ()
    return any(_PATH.fullmatch(one) and not covered(allowed, one) for one in paths)


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
