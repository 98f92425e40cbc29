"""What an action names that may lie outside its envelope, where the comparison is not certain. Pure.

A value in an object may or may not be what the object's name is about, unless another value in it is: `{id: c_1,
title: Foo}` is settled by `c_1`; `{not: c_1}` means all the others. `contract: "c_9"` may be an id or a title;
"400 euros" is no number; the number in `records: [5000]` may name one record or count them. Such doubts are told
with little weight: alone they flag nobody, and the action is not called inside its envelope either.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from guardian.domain.event import UNTOLD
from guardian.domain.signal import Observation
from guardian.signals.admitting import admits, unsure
from guardian.signals.constraints import DATA_CLASS, Constraints, Number, number, price, text
from guardian.signals.envelope_rules import alike
from guardian.signals.hiding import dropped
from guardian.signals.leaves import Leaf, Touched
from guardian.signals.limits import counted, counts_things
from guardian.signals.wording import canonical, shown, word_set, words

_WORD = re.compile(r"\S{1,200}")
_OTHERS = word_set(
    "except exclude excluded excluding ge gt gte le lt lte must_not ne neq nin not not_equal not_in"
)
"""Canonical names under which a query holds what it does not ask for, or where that ends."""
_FIELDS = word_set("attribute column field field_name key name parameter path property property_name")
_HELD = word_set("operand val value")
"""Canonical names under which a filter says what it is about, and what that must be."""
_REFERENCE = re.compile(r"(?=\D{0,199}\d)\S{1,200}")
"""A word with a digit in it: rather an id than a name."""


@dataclass(frozen=True)
class Doubts:
    """An envelope against one action."""

    constraints: Constraints
    seen: Observation
    action: Touched

    def told(self) -> Iterator[str]:
        """One sentence for each doubt."""
        yield from self._owners()
        yield from self._resources()
        for prefix, bounds in (("max_", self.constraints.maxima), ("min_", self.constraints.minima)):
            for name, bound in bounds.items():
                yield from self._quantities(name, prefix, bound)
        yield from self._limits()

    def hidden(self) -> tuple[str, ...]:
        """The places where redaction hid something that the envelope binds, or dropped what may have been such a
        thing; each once."""
        if not (self.seen.redacted or self.action.hidden):
            return ()
        bounds, limits = self.constraints, [*self.constraints.maxima, *self.constraints.minima]
        keys = [
            *bounds.allowed,
            *bounds.denied,
            *limits,
            *(f"max_{name}" for name in limits),
            *(f"min_{name}" for name in limits),
        ]
        bound = {"tenant_id", "session_id", DATA_CLASS, *keys}
        bound |= {other for key in keys for other in self.constraints.also(key)}
        bound |= {name.removesuffix("_id") for name in bound}
        places = [leaf.path for leaf in self.action.hidden if bound & (leaf.names | leaf.through | leaf.inside)]
        gone = dropped(self.seen.redacted, "action") if bounds.spelt else ()
        told = [*(f"envelope.{key}" for key in bounds.hidden), *places, *map(".".join, gone)]
        return tuple(dict.fromkeys(told))

    def _owners(self) -> Iterator[str]:
        envelope = self.seen.event.envelope
        if envelope.tenant_id == UNTOLD:
            return
        tenant = envelope.tenant_id.casefold()
        for leaf, said in self._may_name(lambda told: told.casefold() == tenant, "tenant_id"):
            if _WORD.fullmatch(said):
                yield f"{shown(leaf.path)} is {shown(said)}, which may be another tenant"
        if "session_id" in self.seen.features_missing:
            return
        for leaf, said in self._may_name(lambda told: told == envelope.session_id, "session_id"):
            if _REFERENCE.fullmatch(said) and alike(said, envelope.session_id):
                yield f"{shown(leaf.path)} is {shown(said)}, which may be another session"

    def _resources(self) -> Iterator[str]:
        classes = self.constraints.data_classes
        listed = {} if classes is None else {DATA_CLASS: classes}
        for name, allowed in {**self.constraints.allowed, **listed}.items():
            wanted = (name, *self.constraints.also(name))
            for leaf in self.action.named(wanted):
                for said in map(text, leaf.scalars):
                    if unsure(allowed, said, name) and admits(allowed, said, name):
                        yield f"{shown(leaf.path)} is {shown(said)}, more than {self._spelt(name)} may allow"
            for leaf, said in self._may_name(partial(admits, allowed, name=name), *wanted):
                if not leaf.inside.isdisjoint(wanted) or _REFERENCE.fullmatch(said):
                    yield f"{shown(leaf.path)} is {shown(said)}, which {self._spelt(name)} may not allow"
            for path, said in self._filtered(partial(admits, allowed, name=name), wanted):
                yield f"{shown(path)} is {shown(said)}, which {self._spelt(name)} may not allow"
            for leaf in (*self.action.named(wanted), *self.action.around(wanted)):
                if _means_others(leaf):
                    yield f"{shown(leaf.path)} may mean others than it names, {self._spelt(name)} bounds them"

    def _filtered(self, admitted: Callable[[str], bool], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """What filters about one of the names ask for, `{"field": "contract_id", "value": "c_9"}`, where it is not
        admitted. In a list of filters that are about other things too nobody knows which value belongs to which:
        there one admitted value settles it."""
        about = {path: fields for path, fields in self._filters.items() if not fields.isdisjoint(names)}
        told: dict[str, list[str]] = defaultdict(list)
        for leaf in self.action.named(_HELD) if about else ():
            told[leaf.path.rpartition(".")[0]] += filter(str.strip, map(text, leaf.scalars))
        for path, fields in about.items():
            strange = [said for said in told[path] if not admitted(said)]
            if strange and (fields <= {*names} or len(strange) == len(told[path])):
                yield path, strange[0]

    @cached_property
    def _filters(self) -> Mapping[str, set[str]]:
        """Path of an object -> the names that it says it is about."""
        found: dict[str, set[str]] = defaultdict(set)
        for leaf in self.action.named(_FIELDS):
            told = (canonical(_last(said)) for said in leaf.scalars if isinstance(said, str))
            found[leaf.path.rpartition(".")[0]].update(told)
        return found

    def _may_name(self, admitted: Callable[[str], bool], *names: str) -> Iterator[tuple[Leaf, str]]:
        """Values that are not admitted and lie in an object of one of the names, or under the name without its
        `_id`. An admitted member settles its object; in a list of objects, if every one of them has it."""
        wanted, bare = frozenset(names), [name.removesuffix("_id") for name in names if name.endswith("_id")]
        inside = list(self.action.around(wanted))
        members: dict[str, bool] = {}
        for leaf in inside:
            for value in leaf.scalars:
                members[leaf.path] = members.get(leaf.path, True) and admitted(text(value))
        settled = {path.rpartition(".")[0] for path, every in members.items() if every}
        unsettled = (leaf for leaf in inside if leaf.path.rpartition(".")[0] not in settled)
        for leaf in (*self.action.named(bare), *unsettled):
            if not leaf.answers(wanted):
                named = (said for said in map(text, leaf.scalars) if said.strip())
                yield from ((leaf, said) for said in named if not admitted(said))

    def _quantities(self, name: str, prefix: str, bound: Number) -> Iterator[str]:
        key, others = prefix + name, self.constraints.also(prefix + name)
        things = counts_things(self.constraints, key)
        plural = "_".join(words(self.constraints.spelt[key]))
        wanted = frozenset({plural.removeprefix(prefix), plural, *others} if things else {name, key, *others})
        lying: dict[str, list[object]] = defaultdict(list)
        for leaf in (*self.action.named(wanted), *self.action.around(wanted)):
            if leaf.answers(wanted) if not things else not leaf.names.isdisjoint(wanted):
                listed = counted(leaf, name) and (things or leaf.count != 1)
                if not listed and any(_may_break(value, prefix, bound) for value in leaf.values):
                    yield f"{shown(leaf.path)} is no number, {self._spelt(key)} bounds it"
            else:
                lying[leaf.path.rpartition(".")[0]] += leaf.values
        for leaf in self.action.named({name, *others}) if things else ():
            one = leaf.count == 1 and key not in leaf.names
            if one and any(_beyond(number(value), prefix, bound) for value in leaf.values):
                yield f"{shown(leaf.path)} is one thing or a number in a list, {self._spelt(key)} bounds it"
        for path, values in lying.items():
            quantities = [quantity for value in values if (quantity := number(value)) is not None]
            if not quantities or any(_beyond(quantity, prefix, bound) for quantity in quantities):
                yield f"{shown(path)} is an object, {self._spelt(key)} bounds it"

    def _limits(self) -> Iterator[str]:
        """Limits that are no numbers, where the action touches what they bound."""
        for key, allowed in self.constraints.allowed.items():
            name = key[len("max_") :]
            if not key.startswith(("max_", "min_")):
                continue
            met = any(_unlike(leaf, allowed) for leaf in self.action.named((name, *self.constraints.also(key))))
            if met or (name == "record" and "records" not in self.seen.features_missing):
                yield f"{self._spelt(key)} is {shown(', '.join(sorted(allowed)), 60)}, which is no number"

    def _spelt(self, key: str) -> str:
        return shown(self.constraints.spelt[key], 60)


def _last(said: str) -> str:
    return said.rpartition(".")[2]


def _means_others(leaf: Leaf) -> bool:
    around = not _OTHERS.isdisjoint(leaf.names | leaf.inside) or leaf.path.endswith((".!=", ".<>"))
    return around and any(map(_says, leaf.values))


def _may_break(value: object, prefix: str, bound: Number) -> bool:
    """Of what is no number: whether it may be one beyond the bound."""
    if number(value) is not None or not _says(value):
        return False
    told = price(value)
    return told is None or _beyond(told, prefix, bound)


def _beyond(quantity: Number | None, prefix: str, bound: Number) -> bool:
    return quantity is not None and (quantity > bound if prefix == "max_" else quantity < bound)


def _says(value: object) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def _unlike(leaf: Leaf, allowed: frozenset[str]) -> bool:
    return leaf.count is not None or any(_says(value) and not admits(allowed, value) for value in leaf.values)
