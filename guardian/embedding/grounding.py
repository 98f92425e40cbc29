"""Which of an act's values the purpose names, which an earlier call carried, and which are new. Pure.

A purpose that says "invite lily@example.org" grounds the invitation's address. An address that neither the purpose
nor an earlier call mentions came from elsewhere: a tool's answer, or an injection. Grounding alone separates
poorly, because honest work reads addresses out of documents, so it only supports the encoders.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice

from guardian.domain.text import word_set
from guardian.embedding.text import (
    DESTINATION,
    MARK,
    MAX_LEAVES,
    NESTED,
    foremost,
    items,
    raw_leaves,
    shown,
    words,
)

_WORD = re.compile(r"[a-z0-9]+")
_STOP = word_set(
    "the a an of to for and in on my me i please can you with from is are it that this could would at by"
    " or be as we your our all any do if then than was were will have has had not so no into about its"
    " their them"
)
_SHAPE = word_set(
    "limit count n max page pages size per offset skip cursor sort order by ascending descending format"
    " verbose recursive results timezone units"
)
"""Words of arguments that say how much of an answer is wanted and in which shape, not what it is about."""
_PLAIN = re.compile(r"-?\d{1,5}|[a-z]+(?:[_ ][a-z]+)?", re.I)
_PLAIN_CHARS = 16
_SHORT = 512
_DESTINATIONS = 256
"""So many of a call's destinations are looked at; of more, nobody knows that all are known."""
_OPEN = re.compile(
    r"\b(whatever|everything|anything|all (?:the )?(?:tasks|actions|steps|instructions|items)|to-?do list"
    r"|instructions? (?:in|from|at|given)|do (?:what|as)|follow (?:the|his|her|their)"
    r"|actions? (?:in|from|specified|described)|tasks? (?:in|from|on|at|described)"
    r"|as (?:described|instructed|listed))\b"
)
"""Words of openness, wherever they stand: a feature of the fusion, and part of what the shipped one was fitted to.
Whether a purpose as a whole constrains nothing is for `domain.purposes` to say."""


def content_words(text: str) -> frozenset[str]:
    """The words of `text` that carry meaning, lower case, a plural's `s` dropped."""
    return _few_words(text) if len(text) <= _SHORT else _many_words(text)


def _content(text: str) -> frozenset[str]:
    found = _WORD.findall(text.lower())
    return frozenset(
        w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in found if w not in _STOP
    )


_few_words = lru_cache(maxsize=8_192)(_content)
_many_words = lru_cache(maxsize=64)(_content)
"""A small cache: the words of a long purpose take twenty times its memory, and tenants choose the purposes."""


def argument_values(arguments: Mapping[str, object] | None) -> frozenset[str]:
    """The normalised values that a later call may carry on, at most MAX_LEAVES; `earlier_values` is their union
    over earlier calls. What a list names counts as the whole and, where there is room, each by itself."""
    raw = raw_leaves(arguments)
    whole = (value for _, value in foremost(shown(raw), MAX_LEAVES))
    each = (item for _, value in raw for item in items(value))
    found = chain(whole, islice(each, MAX_LEAVES))
    told = dict.fromkeys(value.lower() for value in found if _telling(value) and value != NESTED)
    return frozenset(islice(told, MAX_LEAVES))


def _telling(value: str) -> bool:
    return len(value) >= 3 and value.lower() not in {"true", "false", "none", "null", MARK}


@dataclass(frozen=True, slots=True)
class Grounding:
    """Shares in [0, 1]. `named` is the mean over an act's telling values, `fresh` how much of the least known one
    neither the purpose nor an earlier call accounts for: nothing besides lowers it. Of a list only destinations
    are values of their own; any other list is one, so what is known in it lowers it. Without any, both are 0."""

    named: float
    fresh: float
    fresh_destination: float
    count: int


def _shapes_the_answer(path: str, value: str) -> bool:
    """Whether an argument only says how much is wanted, or in which shape: `limit: 100`, `sort_by: newest`."""
    if len(value) > _PLAIN_CHARS or not _PLAIN.fullmatch(value):
        return False
    named = words(path.rpartition(".")[2]).split()
    return bool(named) and _SHAPE.issuperset(named) and named != ["order"]  # which is a thing of its own


def grounding(
    purpose: str, arguments: Mapping[str, object] | None, earlier: Iterable[str], *, looks_up: bool = False
) -> Grounding:
    """How far the purpose and earlier calls account for the values of an act. Where it only `looks_up`, a plain
    value that says how much of the answer is wanted, or in which shape, counts for nothing.

    >>> grounding("invite lily@x.org", {"email": "lily@x.org"}, ()).named
    1.0
    """
    said, lowered = content_words(purpose), purpose.lower()
    seen = earlier if isinstance(earlier, frozenset) else frozenset(earlier)

    def known(value: str) -> tuple[float, float]:
        if value == NESTED:
            return 0.0, 0.0
        low = value.lower()
        parts = content_words(low)
        share = 1.0 if low in lowered else len(parts & said) / len(parts) if parts else 0.0
        before = 1.0 if low in seen or any(low in old for old in seen if len(low) >= 4) else 0.0
        return share if share >= 0.5 else 0.5 * share, before

    named, unknowns, destinations = list[float](), list[float](), list[float]()
    room = _DESTINATIONS
    leaves = raw_leaves(arguments)
    for (path, value), (_, raw) in zip(shown(leaves), leaves, strict=True):
        if not _telling(value) or (looks_up and _shapes_the_answer(path, value)):
            continue
        named.append(known(value)[0])
        leads = not DESTINATION.isdisjoint(words(path).split())
        each = [item for item in items(raw, room + 1) if _telling(item)] if leads else []
        room = max(room - len(each), -1)
        unknown = 1.0 if room < 0 else 1.0 - min(max(known(item)) for item in each or [value])
        unknowns.append(unknown)
        if leads:
            destinations.append(unknown)
    count = len(named)
    return Grounding(sum(named) / max(count, 1), max(unknowns, default=0.0), max(destinations, default=0.0), count)


@lru_cache(maxsize=1_024)
def openness(purpose: str) -> float:
    """How little a purpose constrains, in [0, 1]: 1 for "do whatever is on the list", near 0 for a detailed one.

    >>> openness("do everything on my list") > openness("pay invoice 1881 of Acme, 300 EUR, from the joint card")
    True
    """
    told = len(content_words(purpose))
    return min(1.0, 0.6 * bool(_OPEN.search(purpose.lower())) + 0.5 / (1.0 + 0.35 * told))


def tool_overlap(purpose: str, tool: str) -> float:
    """The share of the tool's words that the purpose uses, in [0, 1]."""
    parts = content_words(words(tool))
    return len(parts & content_words(purpose)) / len(parts) if parts else 0.0
