"""Whether one value is in a list of allowed ones in its one spelling, or covered by a wildcard. Pure and bounded.

A value that only looks covered by a wildcard is not: a path that climbs out of it, another host before it, several
values of which only one is covered.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from guardian.domain.wildcards import covers
from guardian.signals.envelopes.comparing import spend
from guardian.signals.words.identifiers import as_uuid, folded
from guardian.signals.words.listing import AROUND, ELSEWHERE, listed
from guardian.signals.words.paths import URL, decoded, ends

_NUMBERED = re.compile(r"(?=\D*\d)\S+")
IDENTIFIERS = re.compile(r"[#\w:.-]*(?:\*[\w:-]*)+")
_BARE_WORD = re.compile(r"[#*\w:-]+")
_WORD = re.compile(r"[#*\w:.-]+")
_SIGNS = "_-:."
_CODE_CHARS = 3
_SPELT_CHARS = 512
_READ_CHARS = 64
"""To read so much of a text for what it lists takes as long as to compare it with a wildcard."""


def covered(allowed: frozenset[str], said: str) -> bool:
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
    wild = wildcards(allowed)
    if not spend(len(wild), said) or said in _folders(allowed):
        return True
    near = (entry for entry, head, tail in wild if said.startswith(head) and said.endswith(tail))
    return any(covers(entry, said) and _holds(entry, said) for entry in near)


@lru_cache(maxsize=16)
def wildcards(allowed: frozenset[str]) -> tuple[tuple[str, str, str], ...]:
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
    elif IDENTIFIERS.fullmatch(entry):
        signs = _SIGNS.replace(":", "") if ", " in said else _SIGNS  # `msg:a, re:b` may be a sentence
        others += pieces if all(map(_NUMBERED.fullmatch, pieces)) or like_identifiers(entry, pieces, signs) else []
    return all(covers(entry, one.strip(AROUND)) for one in others)


def like_identifiers(entry: str, words: Iterable[str], signs: str = _SIGNS) -> bool:
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
