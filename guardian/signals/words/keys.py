"""What the keys on the way to a value spell out: names, items of lists, members of objects, operators. Pure.

A key that spells out a list or an operator, as forms and queries do (`contract_ids[0]`, `contract_id__in`), is
read as if that were nested.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from guardian.signals.words.operators import COMPARING, WRAPPERS
from guardian.signals.words.wording import canonical, word_set, words

NAME_CHARS = 512
_STEP_CHARS = 80
_MATCHING = word_set(
    "between contain ends_with endswith exact icontain iendswith iexact ilike iregex isnull istartswith like "
    "match range regex starts_with startswith"
)
_OPERATORS = WRAPPERS | COMPARING | _MATCHING
_ITEM = re.compile(r"(?<![^.\[/])([^\[\]./\d][^\[\]./]*?\]?)(?:\[\d{1,3}\]|(?:\.|__)\d{1,3}(?=[.\[]|__|\Z))+")
"""An item of a list in a key. A longer number is rather what an object is called: `orders[5512]`."""
_MEMBERS, _HELD = re.compile(r"[.\[\]]+(?=[^.\[\]])"), re.compile(r"\[([^\[\]]+)\]")
"""Where a key goes on to a member of an object, `to[email]`."""
_JOINT = re.compile(r"(.+)(?:__|[.\[])([^.\[\]]+)\]?(?:\[\])*", re.DOTALL)
_SIGN = re.compile(r"(.*?\w)\s*([<>]=?|!=|<>)\s*", re.DOTALL)
_ENDING = re.compile(
    rf"(.+?)_({'|'.join(sorted(filter(str.islower, COMPARING)))}"
    r"|contains|ends_with|eq|(?<=id_)in|(?<=ids_)in|like|starts_with)"
)
"""Where an operator stands behind a name: `contract_id[ne]`, `amount >=`, `contractIdNotIn`. `sign_in` is none."""
_MAX_STEPS = 3


class Said(NamedTuple):
    """What a key spells out: the path of what it names, the name, in the singular where it means an item, the
    names of objects around it, and the operators behind it."""

    path: str
    name: str
    inside: frozenset[str] = frozenset()
    operators: tuple[str, ...] = ()


@lru_cache(maxsize=8_192)
def said_by(key: str) -> Said:
    """
    >>> [said_by(key)[1::2] for key in ("order_ids[0]", "orders.0.id__in", "idNe", "sign_in")]
    [('order_id', ()), ('order.id', ('in',)), ('id', ('ne',)), ('sign_in', ())]
    >>> said_by("to[0][email]").path, said_by("to[0][email]").inside
    ('to.email', frozenset({'to'}))
    """
    slash = key.rfind("/") + 1
    name, operators = _ITEM.sub(_one, key[slash:]), list[str]()
    while len(operators) < _MAX_STEPS:
        found = _JOINT.fullmatch(name)
        if found is None or (canonical(found[2]) or found[2]) not in _OPERATORS:
            found = _SIGN.fullmatch(name) or _ENDING.fullmatch("_".join(words(name)))
        if found is None:
            break
        name, operators = found[1], [found[2], *operators]
    *above, _ = _MEMBERS.split(name)
    around = frozenset[str]().union(*map(_named, above[-_MAX_STEPS:], ("", *above[-_MAX_STEPS:])))
    name = key[:slash] + name
    return Said(_HELD.sub(r".\1", name), name, around - {""}, tuple(operators))


def _one(items: re.Match[str]) -> str:
    above, joint, last = items[1].rpartition("__")
    name = last.removesuffix("]")
    return above + joint + (canonical(name) or name) + last[len(name) :]


def lists_in(value: Mapping[str, object]) -> Mapping[str, set[str]]:
    """The lists that an object's keys spell out item by item, and these items."""
    found: dict[str, set[str]] = {}
    for key in value:
        if item := _ITEM.search(key[:NAME_CHARS]):
            found.setdefault(key[: item.end(1)], set()).add(item[0])
    return found


def step_of(key: str) -> str:
    """A key as a step of a path. A long one is cut, and its digest tells it apart: it is repeated in the path of
    each value below it."""
    if len(key) <= _STEP_CHARS:
        return key
    return f"{key[:_STEP_CHARS]}…{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def names_of(keys: tuple[str, ...]) -> frozenset[str]:
    return _named(keys[-1], keys[-2] if len(keys) > 1 else "")


@lru_cache(maxsize=8_192)
def _named(key: str, above: str) -> frozenset[str]:
    """The names of a value, by its own key and by that joined to the key above, for `contracts: [{"id": …}]`."""
    tail, above = _tail(key), _tail(above)
    joined = {f"{above}_{key}", f"{canonical(above)}_{key}"}
    return frozenset({"_".join(words(tail)), canonical(tail), *map(canonical, joined)})


def through_of(keys: tuple[str, ...]) -> frozenset[str]:
    if len(keys) < 2:
        return frozenset()
    name = canonical(_tail(keys[-1]))
    if name in WRAPPERS or (name == "id" and canonical(_tail(keys[-2])).endswith("_id")):
        return names_of(keys[:-1]) | through_of(keys[:-1])
    return frozenset()


def _tail(key: str) -> str:
    return key.rpartition("/")[2]
