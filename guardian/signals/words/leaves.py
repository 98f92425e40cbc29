"""What an action names: every value of its arguments and resource, with the names it answers to. Pure and bounded.

`contract_ids`, `contract_id`, `contract: {"id": …}` and a resource of type `contract` answer to one name. A value
may be wrapped: `{"contract_id": {"eq": …}}` speaks for its object. Whether the object's name means its other
members is not certain. A key that spells out a list or an operator, as forms and queries do (`contract_ids[0]`,
`contract_id__in`), is read as if that were nested. Where an action holds more than the bounds allow, the rest is
not looked at and `cut` says so.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

from guardian.domain.event import DecisionEvent
from guardian.domain.signal import Observation
from guardian.signals.words import hiding
from guardian.signals.words.hiding import Rule
from guardian.signals.words.paths import ROOTED
from guardian.signals.words.wording import canonical, word_set, words

_MAX_VALUES = 10_000
_MAX_LEAVES = 2_000
_MAX_PLACES = 20_000
"""How many values, lists and objects are looked at: a call may hold a million empty ones."""
_MAX_DEPTH = 12
_NAME_CHARS = 512
_STEP_CHARS = 80
_LEFT_OUT = word_set(
    "blocked denied deny disallowed except exclude excluded excludes excluding exclusion exclusions forbidden "
    "ignore ignored not prohibited skip skipped without"
)
"""Words of names under which stands what a call does not ask for."""
_BASES = word_set("base base_dir base_path cwd dir directory folder parent prefix root workdir working_dir")
"""Canonical names of what a relative path beside it begins at."""
_NAMING = ("_code", "_id", "_key", "_name", "_ref", "_value")
WRAPPERS = frozenset({"value", "eq", "equal", "in", "any_of", "one_of"})
"""Canonical names under which an object holds what its own name is about."""
_RANGES = word_set("ge greater_than gt gte le less_than lt lte") | {"<", ">", "<=", ">="}
_COMPARING = _RANGES | word_set("is_not ne neq nin not not_equal not_equal_to not_in") | {"!=", "<>"}
_OTHERS = _COMPARING | _LEFT_OUT | {"must_not"}
"""Canonical names and signs under which a query holds what it does not ask for, or where that ends."""
_QUERYING = (_COMPARING - _RANGES) | word_set("except exclude excludes excluding ignore must_not not skip without")
"""Those that say what to do; the others may say what something is that the call does touch (`blocked: [...]`)."""
_MATCHING = word_set(
    "between contain ends_with endswith exact icontain iendswith iexact ilike iregex isnull istartswith like "
    "match range regex starts_with startswith"
)
_OPERATORS = WRAPPERS | _COMPARING | _MATCHING
_ITEM = re.compile(r"(?<![^.\[/])([^\[\]./\d][^\[\]./]*?\]?)(?:\[\d{1,3}\]|(?:\.|__)\d{1,3}(?=[.\[]|__|\Z))+")
"""An item of a list in a key. A longer number is rather what an object is called: `orders[5512]`."""
_MEMBERS, _HELD = re.compile(r"[.\[\]]+(?=[^.\[\]])"), re.compile(r"\[([^\[\]]+)\]")
"""Where a key goes on to a member of an object, `to[email]`."""
_JOINT = re.compile(r"(.+)(?:__|[.\[])([^.\[\]]+)\]?(?:\[\])*", re.DOTALL)
_SIGN = re.compile(r"(.*?\w)\s*([<>]=?|!=|<>)\s*", re.DOTALL)
_ENDING = re.compile(
    rf"(.+?)_({'|'.join(sorted(filter(str.islower, _COMPARING)))}"
    r"|contains|ends_with|eq|(?<=id_)in|(?<=ids_)in|like|starts_with)"
)
"""Where an operator stands behind a name: `contract_id[ne]`, `amount >=`, `contractIdNotIn`. `sign_in` is none."""
_MAX_STEPS = 3
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value that an action names: where it stands, the names it answers to, and its scalars.

    through  names that it answers to because it is wrapped
    inside   names of the objects around it, for which it may or may not speak
    count    how many items a list has; None for a single value
    rules    the redaction rules that go on from there, into a text of JSON

    `names` and `inside` hold each name both in its canonical spelling and in its own.
    """

    path: str
    names: frozenset[str]
    values: tuple[object, ...]
    count: int | None = None
    through: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()
    hidden: bool = False
    rules: tuple[Rule, ...] = ()

    def answers(self, names: frozenset[str]) -> bool:
        """Whether it certainly speaks for one of the names."""
        return not (names.isdisjoint(self.names) and names.isdisjoint(self.through))

    @property
    def inverted(self) -> bool:
        """Whether it stands for what a query does not ask for, or where that ends."""
        return compares(self.path.rpartition(".")[2]) or not _OTHERS.isdisjoint(self.names | self.inside)

    @property
    def spared(self) -> bool:
        """Whether it certainly stands for what a query does not ask for: `not` in `not` asks for it again, and a
        name of its own leaves nothing out."""
        return self.inverted and negations(self.path.rpartition(".")[0]) == 1

    @property
    def scalars(self) -> Iterator[str | int | float]:
        return (value for value in self.values if isinstance(value, (str, int, float)))


@dataclass(frozen=True)
class Touched:
    """Everything that an action's arguments and resource name; `cut`: there was more than is looked at.

    `hidden` are the places where redaction left nothing that could be compared; they are not among `leaves`.
    """

    leaves: tuple[Leaf, ...]
    cut: bool
    hidden: tuple[Leaf, ...] = ()

    def named(self, names: Iterable[str]) -> Iterator[Leaf]:
        """The leaves that answer to one of the canonical names."""
        return self._of(self._answering, names)

    def around(self, names: Iterable[str]) -> Iterator[Leaf]:
        """The leaves that lie in an object of one of the names."""
        return self._of(self._lying, names)

    def compounds(self, names: Iterable[str]) -> Iterator[Leaf]:
        """The leaves with a longer name for one of the names, `target_path`, `path_name` or `path_2` for `path`;
        any other that begins so is rather its date, size or state."""
        return self.named(_longer(self._answering, names))

    def around_compounds(self, names: Iterable[str]) -> Iterator[Leaf]:
        """The leaves that lie in an object with such a longer name."""
        return self.around(_longer(self._lying, names))

    def matching(self, fits: Callable[[str], bool]) -> Iterator[Leaf]:
        """The leaves that answer to a name of which this is so."""
        return self.named(list(filter(fits, self._answering)))

    def _of(self, index: Mapping[str, Sequence[int]], names: Iterable[str]) -> Iterator[Leaf]:
        found = [at for name in names if name in index for at in index[name]]
        return (self.leaves[at] for at in (sorted(set(found)) if len(found) > 1 else found))

    @cached_property
    def folders(self) -> Mapping[str, frozenset[str]]:
        """The rooted folders that each object names, by its path: what relative paths beside them begin at."""
        found: dict[str, set[str]] = {}
        for leaf in self.named(_BASES):
            rooted = (said for said in leaf.scalars if isinstance(said, str) and ROOTED.match(said))
            found.setdefault(leaf.path.rpartition(".")[0], set()).update(rooted)
        return {path: frozenset(folders) for path, folders in found.items() if folders}

    @cached_property
    def _answering(self) -> Mapping[str, Sequence[int]]:
        return _index(leaf.names | leaf.through for leaf in self.leaves)

    @cached_property
    def _lying(self) -> Mapping[str, Sequence[int]]:
        return _index(leaf.inside for leaf in self.leaves)


def _longer(known: Iterable[str], names: Iterable[str]) -> list[str]:
    wanted = frozenset(names)
    begin, end = tuple(f"{name}_" for name in wanted), tuple(f"_{name}" for name in wanted)
    joined = (
        each
        for each in known
        if each.endswith(end)
        or (each.endswith(_NAMING) and each.startswith(begin))
        or (each[-1:] in _DIGITS and canonical(each.rstrip(_DIGITS)) in wanted)
    )
    return [each for each in joined if _LEFT_OUT.isdisjoint(each.split("_"))]


def _index(named: Iterable[frozenset[str]]) -> Mapping[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for at, names in enumerate(named):
        for name in names:
            found.setdefault(name, []).append(at)
    return found


def compares(operator: str) -> bool:
    """Whether an operator of a query means other values than the one beside it.

    >>> [compares(said) for said in ("$ne", "!=", "not in", "eq")]
    [True, True, True, False]
    """
    return (canonical(operator) or operator) in _COMPARING


def ranges(operator: str) -> bool:
    """Whether it may mean the value beside it too."""
    return (canonical(operator) or operator) in _RANGES


def negations(path: str) -> int:
    """How often a query turns round what it asks for on the way to a value; 2 where nobody knows."""
    told = [step for key in path.split(".")[1:] if (step := canonical(key) or key) in _OTHERS]
    return len(told) if set(told) <= _QUERYING else 2


def leaves_out(path: str) -> bool:
    """Whether an object on the way to a value holds what a query does not ask for.

    >>> leaves_out("arguments.must_not.value"), leaves_out("arguments.filter.value")
    (True, False)
    """
    return not _OTHERS.isdisjoint(map(canonical, path.split(".")))


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
        said = _said(key) if len(key) <= _NAME_CHARS else _Said(key, key[-_NAME_CHARS:])
        path, keys, inside = f"{self.path}.{_cut(said.path)}", (*self.keys, said.name), inside | said.inside
        for operator in said.operators:
            inside = inside if canonical(operator) in WRAPPERS else inside | _names(keys) | _through(keys)
            path, keys = f"{path}.{_cut(operator)}", (*keys, operator)
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
        names, through = _names(self.keys), _through(self.keys)
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
        around = at.inside if wraps or not at.keys else at.inside | _names(at.keys) | _through(at.keys)
        for key, item in value.items():
            yield from _walk(item, at.below(key, around))
        yield from (at.list(key, around, len(items)) for key, items in _lists(value).items())
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


def _names(keys: tuple[str, ...]) -> frozenset[str]:
    return _named(keys[-1], keys[-2] if len(keys) > 1 else "")


@lru_cache(maxsize=8_192)
def _named(key: str, above: str) -> frozenset[str]:
    """The names of a value, by its own key and by that joined to the key above, for `contracts: [{"id": …}]`."""
    tail, above = _tail(key), _tail(above)
    joined = {f"{above}_{key}", f"{canonical(above)}_{key}"}
    return frozenset({"_".join(words(tail)), canonical(tail), *map(canonical, joined)})


def _through(keys: tuple[str, ...]) -> frozenset[str]:
    if len(keys) < 2:
        return frozenset()
    name = canonical(_tail(keys[-1]))
    if name in WRAPPERS or (name == "id" and canonical(_tail(keys[-2])).endswith("_id")):
        return _names(keys[:-1]) | _through(keys[:-1])
    return frozenset()


def _tail(key: str) -> str:
    return key.rpartition("/")[2]


class _Said(NamedTuple):
    """What a key spells out: the path of what it names, the name, in the singular where it means an item, the
    names of objects around it, and the operators behind it."""

    path: str
    name: str
    inside: frozenset[str] = frozenset()
    operators: tuple[str, ...] = ()


@lru_cache(maxsize=8_192)
def _said(key: str) -> _Said:
    """
    >>> [_said(key)[1::2] for key in ("order_ids[0]", "orders.0.id__in", "idNe", "sign_in")]
    [('order_id', ()), ('order.id', ('in',)), ('id', ('ne',)), ('sign_in', ())]
    >>> _said("to[0][email]").path, _said("to[0][email]").inside
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
    return _Said(_HELD.sub(r".\1", name), name, around - {""}, tuple(operators))


def _one(items: re.Match[str]) -> str:
    above, joint, last = items[1].rpartition("__")
    name = last.removesuffix("]")
    return above + joint + (canonical(name) or name) + last[len(name) :]


def _lists(value: Mapping[str, object]) -> Mapping[str, set[str]]:
    """The lists that an object's keys spell out item by item, and these items."""
    found: dict[str, set[str]] = {}
    for key in value:
        if item := _ITEM.search(key[:_NAME_CHARS]):
            found.setdefault(key[: item.end(1)], set()).add(item[0])
    return found


def _cut(key: str) -> str:
    """A key as a step of a path. A long one is cut, and its digest tells it apart: it is repeated in the path of
    each value below it."""
    if len(key) <= _STEP_CHARS:
        return key
    return f"{key[:_STEP_CHARS]}…{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
