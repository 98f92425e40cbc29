"""Whether an envelope's list of allowed values admits one that an agent wrote. Pure and bounded.

Another spelling of an allowed value is admitted. A value that only looks covered by a wildcard is not: a path that
climbs out of it, another host before it, several values of which only one is covered.
"""

import re
import unicodedata
from functools import lru_cache

from guardian.domain.wildcards import covers
from guardian.signals.constraints import text
from guardian.signals.identifiers import as_uuid
from guardian.signals.listing import AROUND, ELSEWHERE, SEVERAL, listed
from guardian.signals.paths import URL, decoded, ends
from guardian.signals.wording import canonical

_NUMBERED = re.compile(r"(?=\D*\d)\S+")
_NAMES = re.compile(r"[\w:-]*(?:\*[\w:-]*)+")
_CODE_CHARS = 3
_SPELT_CHARS = 512


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
    each = {one.strip(AROUND) for one in SEVERAL.split(said)} - {""}
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


@lru_cache(maxsize=16)
def _canonical(listed: frozenset[str]) -> frozenset[str]:
    return frozenset(canonical(entry) for entry in listed if "*" not in entry) - {""}


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
        others = [one for one in listed(said)[1:] if one.startswith(begins)] + ELSEWHERE.findall(said)
        return all(covers(entry, one.strip(AROUND)) for one in others)
    if 0 < entry.count("@") < decoded(said).count("@"):
        return False
    each = listed(said) if _NAMES.fullmatch(entry) else []
    return all(covers(entry, one) for one in each) or not all(map(_NUMBERED.fullmatch, each))


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
