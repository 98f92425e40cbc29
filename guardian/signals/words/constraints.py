"""What an envelope constrains, under the same names as `leaves` gives to what an action names. Pure and bounded.

`contract_ids`, `contract_id` and `contractId` are one name; `max_records` bounds `records`, also in an object
`limits`. A limit that is neither a number nor a price cannot be checked.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from guardian.signals.words.hiding import Rule, below, dropped, hides, under
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.operators import WRAPPERS
from guardian.signals.words.wording import canonical

Number = int | float

_MAX_DEPTH = 12
_NUMBER_CHARS = 400
_SEEN_THROUGH = WRAPPERS | {"allowed", "permitted"}
_GROUPS = frozenset({"limit", "constraint", "resource", "restriction", "scope"})
"""Canonical names of objects that only group constraints: a name of several words in them stands for itself."""
DATA_CLASS = "data_class"
_CLASSES = frozenset({DATA_CLASS, "data_class_id", "data_class_name"})
_AREA = "envelope.resource_constraints"
_PRICE = re.compile(
    r"\s*(?:[A-Z]{3}|[€$£¥])?\s*(?P<whole>\d{1,15}|\d{1,3}(?:[.,' ]\d{3}){1,4})(?:[.,](?P<part>\d{1,2}))?"
    r"\s*(?:[A-Z]{3}|[€$£¥])?\s*"
)
_LIST_PREFIXES = ("allowed_", "permitted_")
_DENYING = ("blocked_", "denied_", "disallowed_", "excluded_", "forbidden_", "prohibited_")
_SAYING_HOW = frozenset(("max", "min", *(prefix.removesuffix("_") for prefix in _DENYING)))
"""Keys of an object that say how it constrains what the object is named after."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """An envelope's `resource_constraints` by canonical name.

    allowed         name -> the values that it may take (`*` is a wildcard); also a limit that is no number, with
                    its prefix
    denied          name -> the values that it may not take
    maxima, minima  bare name (`record` for `max_records`) -> a number
    data_classes    the classes that may be touched; None where none are listed
    spelt           name -> the key as it was written, for people; with its prefix `max_` or `min_`, or with
                    `denied_` for what is denied
    hidden          keys of which redaction left nothing that could be compared
    mapping         `bare` key -> canonical names of further arguments that the constraint bounds
    """

    allowed: Mapping[str, frozenset[str]]
    denied: Mapping[str, frozenset[str]]
    maxima: Mapping[str, Number]
    minima: Mapping[str, Number]
    data_classes: frozenset[str] | None
    spelt: Mapping[str, str]
    hidden: tuple[str, ...]
    mapping: Mapping[str, tuple[str, ...]]

    def also(self, key: str) -> tuple[str, ...]:
        """The further arguments that the constraint of this key bounds."""
        return self.mapping.get(bare(key), ()) if self.mapping else ()


def text(value: object) -> str:
    """A scalar as it is compared: 5, 5.0 and "5" are the same, True is "true"."""
    match value:
        case bool():
            return str(value).lower()
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case int() if value.bit_length() > 256:
            return hex(value)  # decimal conversion of huge integers is refused by Python
        case _:
            return str(value)


def with_glued(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, with `contractid` for `contract_id` too."""
    return (*names, *(f"{name.removesuffix('_id')}id" for name in names if name.endswith("_id")))


def values(action: Touched, *names: str) -> Iterator[tuple[Leaf, str | int | float]]:
    """The values under the names, with `contractid` for `contract_id` too. Empty texts are left out: agents write
    them for nothing, like null."""
    return (
        (leaf, value) for leaf in action.named(with_glued(names)) for value in leaf.scalars if text(value).strip()
    )


def number(value: object) -> Number | None:
    """A quantity: a number, or a number in a string; None for anything else."""
    match value:
        case bool():
            return None
        case int() | float():
            return value if value == value else None  # NaN is no quantity
        case str() if len(told := value.strip()) <= _NUMBER_CHARS:
            try:
                parsed = float(told)
            except ValueError:
                return None
            return parsed if parsed == parsed else None
        case _:
            return None


def price(value: object) -> Number | None:
    """The quantity of "400 EUR", "$1,000.50" or "1.000": the larger one where it may be read in two ways.

    >>> price("9,999"), price("EUR 400.50"), price("2 GB")
    (9999.0, 400.5, None)
    """
    found = _PRICE.fullmatch(value) if isinstance(value, str) and len(value) <= 40 else None
    if found is None:
        return None
    whole = "".join(sign for sign in found["whole"] if sign.isdigit())
    return float(f"{whole}.{found['part'] or 0}")


def at_least(value: object) -> Number | None:
    """A number or a price, in its smaller reading where it is a number in one and a price in another."""
    plain = number(value)
    return price(value) if plain is None else plain


def at_most(value: object) -> Number | None:
    """The same in its larger reading: many write a thousand and more with a point.

    >>> at_least("12.345"), at_most("12.345"), at_most("0.125"), at_most("9,999"), at_most(12.345)
    (12.345, 12345.0, 0.125, 9999.0, 12.345)
    """
    plain, grouped = number(value), price(value)
    if plain is None or grouped is None:
        return grouped if plain is None else plain
    return max(plain, grouped) if plain >= 1 else plain


def read(
    constraints: Mapping[str, object],
    redacted: Mapping[str, str] = MappingProxyType({}),
    mapping: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Constraints:
    """An envelope's `resource_constraints`, understood. `redacted` are the rules by which it was redacted."""
    allowed: dict[str, frozenset[str]] = {}
    denied: dict[str, frozenset[str]] = {}
    maxima: dict[str, Number] = {}
    minima: dict[str, Number] = {}
    spelt: dict[str, str] = {}
    classes: frozenset[str] | None = None
    hidden = [".".join(rule) or "resource_constraints" for rule in dropped(redacted, _AREA)]
    for key, value, rules in _entries(constraints, "", under(redacted, _AREA)):
        name = bare(key)
        if hides(rules, value):
            hidden.append(key)
            continue
        if not name or value is None:
            continue
        told_as, listed, quantity = name, frozenset(map(text, _scalars(value))), at_least(value)
        if denies := next(filter(name.startswith, _DENYING), ""):
            name = bare(name.removeprefix(denies))
            told_as = "denied_" + name
            denied[name] = denied.get(name, frozenset()) | listed
        elif name.startswith("max_") and quantity is not None:
            name = name.removeprefix("max_")
            maxima[name] = min(quantity, maxima.get(name, quantity))
        elif name.startswith("min_") and quantity is not None:
            name = name.removeprefix("min_")
            minima[name] = max(quantity, minima.get(name, quantity))
        elif name == DATA_CLASS:
            classes = (classes or frozenset()) | listed
        else:
            allowed[name] = allowed.get(name, frozenset()) | listed
        spelt.setdefault(told_as, key)
    return Constraints(allowed, denied, maxima, minima, classes, spelt, tuple(dict.fromkeys(hidden)), mapping)


def bare(key: str) -> str:
    """The name under which a constraint's key is known here: canonical, without what says that it lists what is
    allowed.

    >>> bare("contractIds"), bare("allowed_contract_ids"), bare("data_class_names"), bare("maxRecords")
    ('contract_id', 'contract_id', 'data_class', 'max_record')
    """
    name = canonical(key)
    for prefix in _LIST_PREFIXES:
        name = name.removeprefix(prefix)
    return DATA_CLASS if name in _CLASSES else name


def _entries(
    value: Mapping[str, object], above: str, rules: tuple[Rule, ...], depth: int = 0
) -> Iterator[tuple[str, object, tuple[Rule, ...]]]:
    over = canonical(above)
    for key, item in value.items():
        name = canonical(key)
        joined = above if above and name in _SEEN_THROUGH else f"{over}_{key}" if over else key
        if over and over not in _GROUPS and name in _SAYING_HOW:
            joined = f"{name}_{over}"
        elif name.startswith(f"{over}_") or (over in _GROUPS and "_" in name):
            joined = key
        yield from _held(item, joined, below(rules, key), depth + 1)


def _held(
    item: object, name: str, rules: tuple[Rule, ...], depth: int
) -> Iterator[tuple[str, object, tuple[Rule, ...]]]:
    """What stands under a name. Of a list each object, as one of the things that the name lists, and then the
    rest."""
    if isinstance(item, Mapping) and depth <= _MAX_DEPTH:
        yield from _entries(item, name, rules, depth)
        return
    rest = item
    if isinstance(item, (list, tuple)) and depth <= _MAX_DEPTH:
        for number, each in enumerate(item):
            if isinstance(each, Mapping):
                yield from _entries(each, canonical(name), below(rules, str(number)), depth)
        rest = [each for each in item if not isinstance(each, Mapping)]
    if rest or not item:
        yield name, rest, rules


def _scalars(value: object) -> tuple[object, ...]:
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(item for item in items if isinstance(item, (str, int, float)))
