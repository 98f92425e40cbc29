"""What an envelope constrains and what an action touches, in one vocabulary. Pure and bounded.

`contract_ids`, `contract_id` and `contractId` are one name; `max_records` bounds `records`; a resource of type
`contract` answers to `contract` and `contract_id`. What lies beyond the bounds is not checked, and says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from guardian.domain.event import DecisionEvent
from guardian.signals.wording import canonical, covers

Number = int | float

_MAX_VALUES = 1024
_MAX_LEAVES = 2_000
_MAX_DEPTH = 12
_NUMBER_CHARS = 40
_LIST_PREFIXES = ("allowed_", "permitted_")


@dataclass(frozen=True, slots=True)
class Constraints:
    """An envelope's `resource_constraints` by canonical name.

    `allowed` maps a name to the values it may take (`*` is a wildcard), `maxima` and `minima` a bare name
    (`record` for `max_records`) to a number. `spelt` keeps each key as it was written, for people.
    """

    allowed: Mapping[str, frozenset[str]]
    maxima: Mapping[str, Number]
    minima: Mapping[str, Number]
    data_classes: frozenset[str] | None
    spelt: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value that an action names: where it stands, the names it answers to, and its scalars.

    `many` tells a list of values from a single one.
    """

    path: str
    names: frozenset[str]
    values: tuple[object, ...]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Touched:
    """Everything that an action's arguments and resource name; `cut` when there was more than is looked at."""

    leaves: tuple[Leaf, ...]
    cut: bool

    def named(self, *names: str) -> Iterator[Leaf]:
        """The leaves that answer to one of the canonical names."""
        wanted = frozenset(names)
        return (leaf for leaf in self.leaves if leaf.names & wanted)


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
    """A quantity: a number, a number in a string, or how many items a list has; None for anything else."""
    match value:
        case bool():
            return None
        case int() | float():
            return value if value == value else None  # NaN is no quantity
        case str() if len(value) <= _NUMBER_CHARS:
            try:
                parsed = float(value)
            except ValueError:
                return None
            return parsed if parsed == parsed else None
        case list() | tuple():
            return len(value)
        case _:
            return None


def admits(allowed: frozenset[str], value: object) -> bool:
    """Whether a value is in a list of allowed ones, wildcards included."""
    said = text(value)
    return said in allowed or any("*" in entry and covers(entry, said) for entry in allowed)


def read(constraints: Mapping[str, object]) -> Constraints:
    """An envelope's `resource_constraints`, understood."""
    allowed: dict[str, frozenset[str]] = {}
    maxima: dict[str, Number] = {}
    minima: dict[str, Number] = {}
    spelt: dict[str, str] = {}
    classes: frozenset[str] | None = None
    for key, value in _entries(constraints, ""):
        name, quantity = canonical(key), number(value) if not isinstance(value, (list, tuple)) else None
        for prefix in _LIST_PREFIXES:
            name = name.removeprefix(prefix)
        if not name or value is None:
            continue
        if name == "data_class":
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
    return Constraints(allowed, maxima, minima, classes, spelt)


def touched(event: DecisionEvent) -> Touched:
    """The values that the action's arguments and resource name."""
    found: list[Leaf] = []
    cut = False
    for leaf in islice(_action_leaves(event), _MAX_LEAVES + 1):
        if leaf is None or len(found) == _MAX_LEAVES:
            cut = True
        else:
            found.append(leaf)
    return Touched(tuple(found), cut)


def _entries(value: Mapping[str, object], above: str, depth: int = 0) -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        joined = f"{above}_{key}" if above else key
        if isinstance(item, Mapping) and depth < _MAX_DEPTH:
            yield from _entries(item, joined, depth + 1)
        else:
            yield joined, item


def _scalars(value: object) -> tuple[object, ...]:
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(item for item in items if isinstance(item, (str, int, float)))


def _action_leaves(event: DecisionEvent) -> Iterator[Leaf | None]:
    resource = event.action.resource
    if resource is not None:
        kind = resource.type or ""
        if resource.id is not None:
            last = kind.replace("/", ".").rsplit(".", 1)[-1]
            names = {"resource", "resource_id", *(canonical(n) for n in (kind, kind + "_id", last, last + "_id"))}
            yield Leaf("resource.id", frozenset(names) - {"", "id"}, (resource.id,))
        if resource.type is not None:
            yield Leaf("resource.type", frozenset({"resource_type"}), (resource.type,))
        yield from _walk(resource.model_extra or {}, "resource", "", 0)
    yield from _walk(event.action.arguments or {}, "arguments", "", 0)


def _walk(value: object, path: str, name: str, depth: int) -> Iterator[Leaf | None]:
    if depth > _MAX_DEPTH:
        yield None
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            joined = f"{name.rpartition('/')[2]}/{key}"
            yield from _walk(item, f"{path}.{key}", joined, depth + 1)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        for item in value:
            yield from _walk(item, path, name, depth + 1)
    elif value is not None:
        above, _, last = name.rpartition("/")
        answers = {canonical(last), canonical(f"{above}_{last}")}
        if isinstance(value, (list, tuple)):
            yield Leaf(path, frozenset(answers), tuple(value[:_MAX_VALUES]), True)
            if len(value) > _MAX_VALUES:
                yield None
        else:
            yield Leaf(path, frozenset(answers), (value,))
