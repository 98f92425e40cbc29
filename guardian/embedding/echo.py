"""What a call repeats of its own purpose is no evidence about the call. Pure.

An agent can repeat the purpose in an argument, and then every measure of likeness speaks for the call. So before
anything reads a value, passages of the purpose in it are replaced by a mark, in honest and drifting calls alike.
If a value is mostly the purpose in another order, every word of the purpose is cut, and so is a row of its words
within a longer value. What was hidden among them stays.

Small values of the purpose's words ("customer: Acme") are what honest calls have and what an attacker can add at
will. The text vectors leave them out, the pair encoder has learned not to rely on them, and a call with so many of
them as hardly an honest one has is read a second time without them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from guardian.embedding.grounding import content_words
from guardian.embedding.text import MARK, every_leaf, flat, raw_leaves, render_purpose

PASSAGE = 6
"""A run of so many words that is also in the purpose is a quotation; of a shorter purpose, only the whole of
it."""
_LEAST = 3
_ITS_OWN, _ITS_SHARE = 0.85, 0.6
REPEATED = 12
"""The most words that a call may have in values made of the purpose's words and be read once."""
_MADE_OF_IT = 0.7
_TOKEN = re.compile(r"[^\W_]+(?:[.@:/'][^\W_]+)*")


def without_echo(purpose: str, arguments: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """`arguments` without what they quote of `purpose`; the same object where they quote nothing.

    >>> without_echo("pay the March invoice of Acme", {"to": "Eve", "note": "pay the March invoice of Acme now"})
    {'to': 'Eve', 'note': '... now'}
    """
    if not arguments:
        return arguments
    found = [value for _, value in every_leaf(arguments)]
    heard = [unquoted(purpose, value) for value in found]
    if heard == found:
        return arguments
    told = zip(raw_leaves(arguments), found, heard, strict=True)
    return flat((path, value if was == now else now) for (path, value), was, now in told)


def without_repeats(
    purpose: str, arguments: Mapping[str, object] | None, *, spared: int = 0
) -> Mapping[str, object] | None:
    """`arguments` without the values that are made of words of `purpose`; the same object if those have no more
    than `spared` words in total.

    >>> without_repeats("pay the March invoice of Acme", {"to": "Eve", "note": "March invoice", "for": "Acme"})
    {'to': 'Eve'}
    """
    if not arguments:
        return arguments
    sizes = [_repeated(purpose, value) for _, value in every_leaf(arguments)]
    if sum(sizes) <= spared:
        return arguments
    return flat(leaf for leaf, size in zip(raw_leaves(arguments), sizes, strict=True) if not size)


def _repeated(purpose: str, value: str) -> int:
    """How many words the value has, if it is made of the purpose's words; otherwise 0."""
    own = content_words(value)
    if not own:
        small = _TOKEN.findall(value.lower())
        return len(small) if _words(purpose).issuperset(small) else 0
    return len(own) if len(own & content_words(purpose)) >= _MADE_OF_IT * len(own) else 0


def unquoted(purpose: str, value: str) -> str:
    """`value` with each passage of `purpose` replaced by the mark."""
    size, runs = _passages(purpose)
    tokens = list(_TOKEN.finditer(value)) if size and len(value) > 2 * size else []
    if len(tokens) < size or not tokens:
        return value
    words = [token.group().lower() for token in tokens]
    told, own = content_words(purpose), content_words(value)
    if len(words) >= PASSAGE and len(own & told) >= max(_ITS_OWN * len(own), _ITS_SHARE * len(told), 1):
        quoted = [_is_of(purpose, word) for word in words]
        return MARK if all(quoted) else _cut(value, tokens, quoted)
    quoted = [a or b for a, b in zip(_within(words, size, runs), _shuffled(purpose, words), strict=True)]
    return _cut(value, tokens, quoted) if any(quoted) else value


def _within(words: Sequence[str], size: int, runs: frozenset[tuple[str, ...]]) -> list[bool]:
    """Which of the words stand in a run of the purpose."""
    quoted = [False] * len(words)
    for start in range(len(words) - size + 1):
        if tuple(words[start : start + size]) in runs:
            quoted[start : start + size] = [True] * size
    return quoted


def _shuffled(purpose: str, words: Sequence[str]) -> list[bool]:
    """Which of the words stand in a row of the purpose's words that holds most of the purpose."""
    out: list[bool] = []
    told = content_words(purpose)
    for alike, row in groupby(words, lambda word: _is_of(purpose, word)):
        found = list(row)
        own = frozenset[str]().union(*map(content_words, found)) if alike else frozenset[str]()
        enough = len(found) >= PASSAGE and len(own) >= max(_ITS_SHARE * len(told), 1)
        out += [enough] * len(found)
    return out


def _is_of(purpose: str, word: str) -> bool:
    """Whether the purpose has the word, or the word carries no meaning (beyond ASCII: whether it has the word)."""
    return content_words(word) <= content_words(purpose) if word.isascii() else word in _words(purpose)


def _cut(value: str, tokens: Sequence[re.Match[str]], quoted: Sequence[bool]) -> str:
    """`value` with a mark in place of each row of quoted tokens."""
    out, at = [], 0
    for index, (token, cut) in enumerate(zip(tokens, quoted, strict=True)):
        if cut:
            if not index or not quoted[index - 1]:
                out += [value[at : token.start()], MARK]
            at = token.end()
    return "".join([*out, value[at:]]).strip()


@lru_cache(maxsize=64)
def _words(purpose: str) -> frozenset[str]:
    return frozenset(_TOKEN.findall(purpose.lower()))


@lru_cache(maxsize=512)
def _passages(purpose: str) -> tuple[int, frozenset[tuple[str, ...]]]:
    words = _TOKEN.findall(render_purpose(purpose).lower())
    size = min(PASSAGE, len(words))
    if size < _LEAST:
        return 0, frozenset()
    return size, frozenset(tuple(words[i : i + size]) for i in range(len(words) - size + 1))
