"""What an action names: every value of its arguments and resource, with the names it answers to. Pure and bounded.

`contract_ids`, `contract_id`, `contract: {"id": …}` and a resource of type `contract` answer to one name. A value
may be wrapped: `{"contract_id": {"eq": …}}` speaks for its object. Whether the object's name means its other
members is not certain. Where an action holds more than the bounds allow, the rest is not looked at and `cut` says
so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import NamedTuple

from guardian.domain.event import DecisionEvent
from guardian.domain.signal import Observation
from guardian.signals.words import hiding
from guardian.signals.words.hiding import Rule
from guardian.signals.words.keys import NAME_CHARS, Said, lists_in, names_of, said_by, step_of, through_of
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.operators import WRAPPERS, compares
from guardian.signals.words.wording import canonical

_MAX_VALUES = 10_000
_MAX_LEAVES = 2_000
_MAX_PLACES = 20_000
"""How many values, lists and objects are looked at: a call may hold a million empty ones."""
_MAX_DEPTH = 12


def touched(event: DecisionEvent) -> Touched:
    """The values that the action's arguments and resource name."""
    return _touched(event, {})


def comparable(seen: Observation) -> Touched:
    """As `touched`, without what redaction hid: only the rest can be compared with an envelope."""
    action = _touched(seen.event, seen.redacted)
    if not seen.credentials:
        return action
    marks = [leaf for leaf in action.leaves if any(map(hiding.marked, leaf.values))]
    kept = (
        replace(leaf, values=tuple(value for value in leaf.values if not hiding.marked(value)))
        for leaf in action.leaves
    )
    return replace(action, leaves=tuple(kept), hidden=(*action.hidden, *marks))


def below(leaf: Leaf, value: object, at: int) -> Touched:
    """What a value names that stands in the place of a leaf's value, by its number."""
    rules = leaf.rules if leaf.count is None else hiding.below(leaf.rules, str(at))
    return _bounded(_walk(value, _Place(leaf.path, (leaf.path.rpartition(".")[2],), leaf.inside, rules=rules)))


def _touched(event: DecisionEvent, redacted: Mapping[str, str]) -> Touched:
    known, without, found = _newest[0]
    if known is not event or without != redacted:
        found = _bounded(_action_leaves(event, redacted))
        _newest[0] = (event, redacted, found)
    return found


_newest: list[tuple[DecisionEvent | None, Mapping[str, str], Touched]] = [(None, {}, Touched((), cut=False))]
"""The last answer: several signals ask about one call, one after another. An event never changes."""


def _bounded(walked: Iterable["Leaf | _Aside"]) -> Touched:
    found: list[Leaf] = []
    cut = False
    for places, leaf in enumerate(walked):
        if places == _MAX_PLACES or (len(found) == _MAX_LEAVES and isinstance(leaf, Leaf)):
            cut = True
            break
        if isinstance(leaf, Leaf):
            found.append(leaf)
        cut = cut or leaf is _Aside.BEYOND
    hidden = tuple(leaf for leaf in found if leaf.hidden)
    return Touched(tuple(leaf for leaf in found if not leaf.hidden) if hidden else tuple(found), cut, hidden)


class _Aside(Enum):
    """What a walk passes that is no value."""

    WITHIN = "a list, an object or nothing"
    BEYOND = "more than is looked at"


def _action_leaves(event: DecisionEvent, redacted: Mapping[str, str]) -> Iterator[Leaf | _Aside]:
    resource = event.action.resource
    rules = hiding.under(redacted, "action.resource")
    if resource is not None:
        kind = resource.type or ""
        if resource.id is not None:
            last = kind.replace("/", ".").rsplit(".", 1)[-1]
            names = {"resource", "resource_id", *(canonical(n) for n in (kind, kind + "_id", last, last + "_id"))}
            hidden = () in hiding.below(rules, "id")
            yield Leaf("resource.id", frozenset(names) - {"", "id"}, (resource.id,), hidden=hidden)
        if resource.type is not None:
            yield Leaf("resource.type", frozenset({"resource_type"}), (resource.type,))
        yield from _walk(resource.model_extra or {}, _Place("resource", rules=rules))
    rules = hiding.under(redacted, "action.arguments")
    yield from _walk(event.action.arguments or {}, _Place("arguments", rules=rules))


class _Place(NamedTuple):
    """Where a walk stands: the path for people, the keys that lead there, the names of the objects around it, and
    the redaction rules that go on from there."""

    path: str
    keys: tuple[str, ...] = ()
    inside: frozenset[str] = frozenset()
    depth: int = 0
    rules: tuple[Rule, ...] = ()

    def below(self, key: str, inside: frozenset[str]) -> "_Place":
        rules = self.rules and hiding.below(self.rules, key)
        said = said_by(key) if len(key) <= NAME_CHARS else Said(key, key[-NAME_CHARS:])
        path, keys, inside = f"{self.path}.{step_of(said.path)}", (*self.keys, said.name), inside | said.inside
        for operator in said.operators:
            inside = inside if canonical(operator) in WRAPPERS else inside | names_of(keys) | through_of(keys)
            path, keys = f"{path}.{step_of(operator)}", (*keys, operator)
        return _Place(path, keys, inside, self.depth + 1, rules)

    def list(self, key: str, inside: frozenset[str], items: int) -> Leaf:
        """For the list below that keys spell out item by item."""
        told = self.below(key, inside).leaf([])
        return replace(told, path=self.below(f"{key}[0]", inside).path, count=items)

    def item(self, at: int) -> "_Place":
        """An item of the list here: an item of `records` is a `record`."""
        head, slash, last = self.keys[-1].rpartition("/")
        keys = (*self.keys[:-1], head + slash + canonical(last))
        rules = self.rules and hiding.below(self.rules, str(at))
        return _Place(self.path, keys, self.inside, self.depth + 1, rules)

    def leaf(self, value: object) -> Leaf:
        """One for a scalar or a list of them."""
        values = tuple(value[:_MAX_VALUES]) if isinstance(value, (list, tuple)) else (value,)
        count = len(value) if isinstance(value, (list, tuple)) else None
        names, through = names_of(self.keys), through_of(self.keys)
        hidden = hiding.hides(self.rules, value)
        return Leaf(self.path, names, values, count, through, self.inside, hidden, self.rules)


def _walk(value: object, at: _Place) -> Iterator[Leaf | _Aside]:
    if at.depth > _MAX_DEPTH:
        yield _Aside.BEYOND
    elif isinstance(value, (str, int, float)):  # as most are, and asking for a Mapping takes long
        yield at.leaf(value)
    elif isinstance(value, Mapping):
        yield _Aside.WITHIN
        wraps = not WRAPPERS.isdisjoint(map(canonical, value))
        around = at.inside if wraps or not at.keys else at.inside | names_of(at.keys) | through_of(at.keys)
        for key, item in value.items():
            yield from _walk(item, at.below(key, around))
        yield from (at.list(key, around, len(items)) for key, items in lists_in(value).items())
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        yield _Aside.WITHIN
        if any(isinstance(item, Mapping) for item in value):
            yield replace(at.leaf([]), count=len(value))
        for number, item in enumerate(value):
            yield from _walk(item, at.item(number))
    elif isinstance(value, (list, tuple)):
        yield at.leaf(value)
        if len(value) > _MAX_VALUES:
            yield _Aside.BEYOND
    else:
        nothing = value is None and not (at.keys and compares(at.keys[-1]))
        yield _Aside.WITHIN if nothing else at.leaf(value)
