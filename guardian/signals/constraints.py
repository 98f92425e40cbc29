"""What an envelope constrains, in the vocabulary of `leaves`, and how values are compared. Pure and bounded.

`contract_ids`, `contract_id` and `contractId` are one name; `max_records` bounds `records`, in `limits` too. A
limit that is neither a number nor a price bounds nothing that can be checked.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import unquote

from guardian.signals.hiding import Rule, below, dropped, hides, under
from guardian.signals.leaves import WRAPPERS
from guardian.signals.wording import canonical, covers

Number = int | float

_MAX_DEPTH = 12
_NUMBER_CHARS = 400
_SEEN_THROUGH = WRAPPERS | {"allowed", "permitted"}
_GROUPS = frozenset({"limit", "constraint"})
"""Canonical names of objects that only hold limits together."""
_CLASSES = frozenset({"data_class", "data_class_id", "data_class_name"})
_AREA = "envelope.resource_constraints"
_PRICE = re.compile(
    r"\s*(?:[A-Z]{3}|[€$£¥])?\s*(?P<whole>\d{1,15}|\d{1,3}(?:[.,' ]\d{3}){1,4})(?:[.,](?P<part>\d{1,2}))?"
    r"\s*(?:[A-Z]{3}|[€$£¥])?\s*"
)
_SEVERAL = re.compile(r"[,;\s]+")
_ROOT = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*)?/?")
_DECODINGS = 8
_CODE_CHARS = 3
_SPELT_CHARS = 512
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
"""Spaces and signs that some readers of a path drop."""
_DOTS = re.compile(rf"(?:^|(?<=[/?#]))(?:\.|{_UNSEEN.pattern[:-1]})+(?=[/?#;]|\Z)")
"""A step of a path that is nothing but dots, or nothing at all, for those readers."""
_LIST_PREFIXES = ("allowed_", "permitted_")


@dataclass(frozen=True, slots=True)
class Constraints:
    """An envelope's `resource_constraints` by canonical name.

    `allowed` maps a name to the values it may take (`*` is a wildcard), `maxima` and `minima` a bare name
    (`record` for `max_records`) to a number. A limit that is no number stands among `allowed` with its prefix.
    `spelt` keeps each key as it was written, for people. `hidden` are those that redaction left nothing of that
    could be compared.
    """

    allowed: Mapping[str, frozenset[str]]
    maxima: Mapping[str, Number]
    minima: Mapping[str, Number]
    data_classes: frozenset[str] | None
    spelt: Mapping[str, str]
    hidden: tuple[str, ...] = ()


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


def admits(allowed: frozenset[str], value: object) -> bool:
    """Whether a value is in a list of allowed ones, wildcards included; or each of several that one text lists. A
    wildcard for addresses admits no text with more of them because of its first or last one, and one for paths
    none that climbs out of it.

    >>> mine = frozenset({"c_1", "c_2", "*@acme.example"})
    >>> [admits(mine, said) for said in ("c_1, c_2", "A@Acme.example", "<x@evil.example>a@acme.example")]
    [True, True, False]
    """
    said = text(value)
    if said in allowed:
        return True
    each = [one for one in _SEVERAL.split(said) if one]
    if len(each) < 2:
        return _admits_spelt(allowed, said)
    addresses = said.count("@")
    whole = frozenset(entry for entry in allowed if not 0 < entry.count("@") < addresses)
    return _admits_spelt(whole, said) or all(_admits_spelt(allowed, one) for one in set(each))


def _admits_spelt(allowed: frozenset[str], said: str) -> bool:
    """As it stands, or else in the one spelling of what is the same."""
    return _admits(allowed, said) or (len(said) <= _SPELT_CHARS and _admits(_all_spelt(allowed), _spelt(said)))


def _spelt(said: str) -> str:
    """One spelling of what is the same: of a currency or country, of an address, of a truth value, of letters that
    Unicode can compose."""
    if not said.isascii():
        said = unicodedata.normalize("NFC", said)
    code = (len(said) <= _CODE_CHARS and said.isalpha()) or said.lower() in {"true", "false"}
    return said.lower() if code or ("@" in said and "/" not in said) else said


@lru_cache(maxsize=16)
def _all_spelt(allowed: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_spelt, allowed))


def _admits(allowed: frozenset[str], said: str) -> bool:
    wild = () if said in allowed else _wild(allowed)
    if said in allowed or any(_is_folder(entry, said) for entry in wild):
        return True
    return any(covers(entry, said) and _alone(entry, said) and _stays(entry, said) for entry in wild)


@lru_cache(maxsize=16)
def _wild(allowed: frozenset[str]) -> tuple[str, ...]:
    return tuple(entry for entry in allowed if "*" in entry)


def _is_folder(entry: str, said: str) -> bool:
    """Whether it is the folder that a wildcard is about, `/docs` of `/docs/*`: what lies in it is all covered."""
    return entry.endswith("/*") and "*" not in said and entry.rstrip("*") == f"{said}/"


def _alone(entry: str, said: str) -> bool:
    """Whether a text holds no more addresses than a wildcard for some has; in `@acme/*` the sign is of a path."""
    return "/" in entry or not 0 < entry.count("@") < _decoded(said).count("@")


def _stays(entry: str, path: str) -> bool:
    """Whether a path with `..` in it ends within what a wildcard covers, whoever resolves it."""
    ends = _ends(path)
    kept = (entry, *_ends(entry)) if ends else ()
    return all(any(covers(each, end) for each in kept) for end in ends)


def _ends(path: str) -> frozenset[str]:
    """Where a path with `..` in it may end: percent signs decoded, with what stands behind ? or # and without,
    with doubled slashes as one or as two, and dots without what cannot be seen. None where there is no `..`.

    >>> sorted(_ends("docs/acme//%2e%2e/globex")), _ends("docs/acme/a..b"), sorted(_ends("docs/acme/.%09./b"))
    (['docs/acme/globex', 'docs/globex'], frozenset(), ['docs/b'])
    """
    path = _decoded(path).replace("\\", "/")
    if _UNSEEN.search(path):
        path = _DOTS.sub(lambda step: _UNSEEN.sub("", step.group()), path)
    if ".." not in (part.partition(";")[0] for part in re.split("[/?#]", path)):
        return frozenset()
    told = {path, re.split("[?#]", path, maxsplit=1)[0]}
    return frozenset(_resolved(each, merged) for each in told for merged in (True, False))


def _decoded(said: str) -> str:
    for _ in range(_DECODINGS):
        before, said = said, unquote(said)
        if said == before:
            break
    return said


def _resolved(path: str, merged: bool) -> str:
    """The path without its dots; what would climb above its root, or above where it begins, keeps them."""
    found = _ROOT.match(path)
    root = found.group() if found else ""
    left: list[str] = []
    for part in path[len(root) :].split("/"):
        name = part.partition(";")[0]
        if name == ".." and left and left[-1] != "..":
            left.pop()
        elif name == ".." or (name != "." and (part or not merged)):
            left.append(name if name == ".." else part)
    return root + "/".join(left)


def read(constraints: Mapping[str, object], redacted: Mapping[str, str] = MappingProxyType({})) -> Constraints:
    """An envelope's `resource_constraints`, understood. `redacted` are the rules by which it was redacted."""
    allowed: dict[str, frozenset[str]] = {}
    maxima: dict[str, Number] = {}
    minima: dict[str, Number] = {}
    spelt: dict[str, str] = {}
    classes: frozenset[str] | None = None
    hidden = [".".join(rule) or "resource_constraints" for rule in dropped(redacted, _AREA)]
    for key, value, rules in _entries(constraints, "", under(redacted, _AREA)):
        name = canonical(key)
        if hides(rules, value):
            hidden.append(key)
            continue
        for prefix in _LIST_PREFIXES:
            name = name.removeprefix(prefix)
        if not name or value is None:
            continue
        quantity = _limit(value) if name.startswith(("max_", "min_")) else None
        if name in _CLASSES:
            name = "data_class"
            classes = (classes or frozenset()) | frozenset(map(text, _scalars(value)))
        elif name.startswith("max_") and quantity is not None:
            name = name.removeprefix("max_")
            maxima[name] = min(quantity, maxima.get(name, quantity))
            spelt.setdefault("max_" + name, key)
            continue
        elif name.startswith("min_") and quantity is not None:
            name = name.removeprefix("min_")
            minima[name] = max(quantity, minima.get(name, quantity))
            spelt.setdefault("min_" + name, key)
            continue
        else:
            allowed[name] = allowed.get(name, frozenset()) | frozenset(map(text, _scalars(value)))
        spelt.setdefault(name, key)
    return Constraints(allowed, maxima, minima, classes, spelt, tuple(dict.fromkeys(hidden)))


def _limit(value: object) -> Number | None:
    quantity = number(value)
    return price(value) if quantity is None else quantity


def _entries(
    value: Mapping[str, object], above: str, rules: tuple[Rule, ...], depth: int = 0
) -> Iterator[tuple[str, object, tuple[Rule, ...]]]:
    for key, item in value.items():
        joined = above if above and canonical(key) in _SEEN_THROUGH else f"{above}_{key}" if above else key
        if canonical(above) in _GROUPS and canonical(key).startswith(("max_", "min_")):
            joined = key
        yield from _held(item, joined, below(rules, key), depth + 1)


def _held(
    item: object, name: str, rules: tuple[Rule, ...], depth: int
) -> Iterator[tuple[str, object, tuple[Rule, ...]]]:
    """What stands under a name; of a list each object, which is one of what the name lists, and the rest."""
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
