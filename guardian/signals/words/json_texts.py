"""JSON that an action holds as text, read as if it were nested there. Pure and bounded.

The texts of parameters (`params: "{…}"`) say what a call does, as many a tool takes its arguments. Any other text
may be a document, which may speak of anything. A text of JSON may stand in another one as a string, and readers
differ in what they forgive: of parameters that begin as an object and are no JSON nobody knows what they say.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from guardian.signals.words import hiding
from guardian.signals.words.leaves import below
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.wording import word_set

_PARAMETERS = word_set("arg argument filter kwarg param parameter query request variable where")
"""Canonical names."""
_BEGINS = re.compile(r'[\s\ufeff]*(?=["{]|\[[^{]*\{)')
_ASIDE = r"(?>[\s\ufeff]|(?://|#)[^\n]*\n|/\*(?:[^*]|\*(?!/))*+\*/)*+"
_FORGIVING = re.compile(
    rf"""(?>[\s\ufeff"'`\\]|(?<=`)json\w*)*+{_ASIDE}"""
    rf"""(?:\{{{_ASIDE}(?:["'`}}\\]|[\w$-]++{_ASIDE}:)|(?:\[{_ASIDE})++(?:["'`{{\\]|[\w.-]++{_ASIDE},))"""
)
"""How an object or a list begins for readers that take comments, and other quotation marks or none.
`{user(id: 5) {name}}`, `{job="api"}` and `[a-z]{3}` are other languages."""
_MAX_DEPTH = 3
"""Texts in texts."""
_MAX_LEAVES = 4_000
_DIGITS = 400


def unfolded(action: Touched) -> tuple[Touched, Touched]:
    """The action with what the texts of its parameters hold; and apart from it what its other texts hold."""
    told, apart = list(action.leaves), list[Leaf]()
    hidden, hidden_apart = list(action.hidden), list[Leaf]()
    cut, cut_apart, most = action.cut, False, len(action.leaves) + _MAX_LEAVES
    queue = [(leaf, True, 0) for leaf in action.leaves]
    for leaf, above, depth in queue:  # it grows on the way
        certain = above and not _PARAMETERS.isdisjoint(leaf.names)
        for held in _held(leaf):
            if held is None:
                cut_apart = cut_apart or certain
                continue
            room = depth < _MAX_DEPTH and len(queue) < most
            if room:
                (told if certain else apart).extend(held.leaves)
                (hidden if certain else hidden_apart).extend(held.hidden)
                queue += ((each, certain, depth + 1) for each in held.leaves)
            if held.cut or not room:
                cut, cut_apart = cut or certain, cut_apart or not certain
    counts = (len(told), len(hidden), cut)
    same = counts == (len(action.leaves), len(action.hidden), action.cut)  # as mostly: its indices are used again
    whole = action if same else replace(action, leaves=tuple(told), cut=cut, hidden=tuple(hidden))
    return whole, Touched(tuple(apart), cut_apart, tuple(hidden_apart))


def _held(leaf: Leaf) -> Iterator[Touched | None]:
    """What each text of JSON in a leaf holds; None for one that other readers may take for JSON, if redaction did
    not hide it whole, as it does where a rule leads into it."""
    for at, said in enumerate(leaf.values):
        if not isinstance(said, str) or not ("{" in said or "\\u" in said):
            continue
        try:
            held = _parsed(said)
        except ValueError:
            rules = leaf.rules if leaf.count is None else hiding.below(leaf.rules, str(at))
            if "{" in said and not rules and _FORGIVING.match(said):
                yield None
        except RecursionError:
            yield Touched((), cut=True)
        else:
            yield below(leaf, held, at)


def _parsed(said: str) -> object:
    """What a text of JSON holds, also as a string within another one; `ValueError` where it holds no object."""
    held: object = said
    for _ in range(_MAX_DEPTH):
        if not (isinstance(held, str) and (begins := _BEGINS.match(held))):
            break
        held = json.loads(held[begins.end() :].rstrip(), parse_int=_integer, object_pairs_hook=_every)
    if isinstance(held, str):
        raise ValueError("no object")
    return held


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def _every(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of a key that comes twice some readers take the first, others the last."""
    found: dict[str, list[object]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: values if len(values) > 1 else values[0] for key, values in found.items()}
