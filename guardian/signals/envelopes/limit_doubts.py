"""What an action names that may lie beyond a numeric limit of its envelope, where that is not certain. Pure.

"400 euros" is no number, and 12.345 may be two; the number in `records: [5000]` may name one record or count them;
`payment_amount` may be the `amount` that is limited.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain

from guardian.domain.signal import Observation
from guardian.signals.envelopes.admitting import admits
from guardian.signals.envelopes.limits import (
    BOUNDING,
    RECORD,
    Limits,
    counted,
    counts_things,
    digits,
    is_money,
    measured,
)
from guardian.signals.words.constraints import Constraints, Number, at_least, at_most, number
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.wording import shown, word_set, words

_HUNDREDTHS = word_set("cent cents minor pence penny")
_CURRENCIES = word_set(
    "aud brl cad chf cny czk dkk dollar dollars eur euro euros gbp hkd huf inr jpy krw mxn nok nzd pln pound "
    "pounds ron sek sgd usd zar"
)
_UNITS = _HUNDREDTHS | _CURRENCIES | {"in", "unit", "units"}
_SAYING_WHICH = _UNITS | word_set("due gross net paid payable total value")
"""Words after the name of a sum of money that leave it one: `amount_due`, `amount_eur`."""
_OTHER = word_set(
    "available balance before except excluded ignored left limit old original previous prior remaining skipped "
    "threshold"
)
"""Words before a name that make it something else than what a call moves."""


@dataclass(frozen=True)
class LimitDoubts:
    """An envelope's limits against one action."""

    constraints: Constraints
    seen: Observation
    action: Touched

    def told(self) -> Iterator[str]:
        """One sentence for each doubt."""
        for prefix, bounds in (("max_", self.constraints.maxima), ("min_", self.constraints.minima)):
            for name, bound in bounds.items():
                if self._limits.applies(name):
                    yield from self._quantities(name, prefix, bound)
                    yield from self._otherwise_called(name, prefix, bound)
        yield from self._unreadable()

    def answered(self) -> Iterator[tuple[str, bool]]:
        """Each limit that may bound the action, as it is written, and whether something in the action speaks of
        it."""
        bounds = self.constraints
        keys = [
            *(f"max_{name}" for name in bounds.maxima),
            *(f"min_{name}" for name in bounds.minima),
            *filter(is_limit, bounds.allowed),
        ]
        for key in keys:
            if self._limits.applies(key[len("max_") :]):
                yield bounds.spelt[key], self._answers(key)

    def _answers(self, key: str) -> bool:
        name = key[len("max_") :]
        if name == RECORD:
            return True  # where nobody told how many, that is missing
        most = self.constraints.maxima.get(name)
        if most is not None and self._limits.moved(name).came:
            asked = (number(value) for leaf in self.action.named(BOUNDING) for value in leaf.values)
            return not any(_beyond(quantity, "max_", most) for quantity in asked)
        wanted = {name, key, "_".join(words(self.constraints.spelt[key]))[len("max_") :]}
        wanted.update(self.constraints.also(key))
        leaves = chain(self.action.named(wanted), self.action.around(wanted))
        return any(leaf.count is not None or any(map(says, leaf.values)) for leaf in leaves)

    def _quantities(self, name: str, prefix: str, bound: Number) -> Iterator[str]:
        key, others = prefix + name, self.constraints.also(prefix + name)
        things = counts_things(self.constraints, key)
        plural = "_".join(words(self.constraints.spelt[key]))
        wanted = frozenset({plural.removeprefix(prefix), plural, *others} if things else {name, key, *others})
        lying: dict[str, list[object]] = defaultdict(list)
        for leaf in (*self.action.named(wanted), *self.action.around(wanted)):
            if leaf.answers(wanted) if not things else not leaf.names.isdisjoint(wanted):
                listed = counted(leaf, name) and (things or leaf.count != 1)
                breaks = partial(_may_break, prefix=prefix, bound=bound, paid=is_money(name))
                if not listed and any(map(breaks, leaf.values)):
                    yield f"{shown(leaf.path)} is no certain number, {self._spelt(key)} bounds it"
                without = prefix == "max_" and any(_may_be_all(value, bound, things) for value in leaf.values)
                if without and not listed:
                    yield f"{shown(leaf.path)} is below nothing, as if without limit, {self._spelt(key)} bounds it"
            else:
                lying[leaf.path.rpartition(".")[0]] += leaf.values
        for leaf in self.action.named({name, *others}) if things else ():
            one = leaf.count == 1 and key not in leaf.names
            if one and any(_beyond(number(value), prefix, bound) for value in leaf.values):
                yield f"{shown(leaf.path)} is one thing or a number in a list, {self._spelt(key)} bounds it"
        for path, told in lying.items():
            read = at_most if prefix == "max_" and is_money(name) else number
            quantities = [quantity for value in told if (quantity := read(value)) is not None]
            if not quantities or any(_beyond(quantity, prefix, bound) for quantity in quantities):
                yield f"{shown(path)} is an object, {self._spelt(key)} bounds it"

    def _otherwise_called(self, name: str, prefix: str, bound: Number) -> Iterator[str]:
        """Quantities under other names for what a limit bounds, beyond it: `payment_amount` for `amount`, and
        `to_recipients` for `recipients`."""
        key = prefix + name
        things = counts_things(self.constraints, key)
        if not (things or measured(name)) or (prefix == "min_" and self._answers(key)):
            return  # `page_size` is hardly the `size` that is limited, and a fee is below many a minimum
        plural = "_".join(words(self.constraints.spelt[key])).removeprefix(prefix)
        like = partial(_counts, name=name, plural=plural) if things else partial(_measures, name=name)
        wanted = frozenset({name, key, plural, prefix + plural, *self.constraints.also(key)})
        read = number if not is_money(name) else at_most if prefix == "max_" else at_least
        for leaf in self.action.matching(like):
            if leaf.answers(wanted) or leaf.inverted:
                continue
            told = [leaf.count] if things and leaf.count is not None else map(read, leaf.values)
            small, smaller = _hundredths(leaf.names | leaf.through, name), _hundredths({name}, name)
            for quantity in (each for each in told if each is not None):
                if _beyond(quantity * (1 if small else 100), prefix, bound * (1 if smaller else 100)):
                    yield f"{shown(leaf.path)} is {digits(quantity)}, which {self._spelt(key)} may not allow"

    def _unreadable(self) -> Iterator[str]:
        """Limits that are no numbers, where the action touches what they bound."""
        for key, allowed in self.constraints.allowed.items():
            name = key[len("max_") :]
            if not (is_limit(key) and self._limits.applies(name)):
                continue
            met = any(_unlike(leaf, allowed) for leaf in self.action.named((name, *self.constraints.also(key))))
            if met or (name == RECORD and "records" not in self.seen.features_missing):
                yield f"{self._spelt(key)} is {shown(', '.join(sorted(allowed)), 60)}, which is no number"

    @cached_property
    def _limits(self) -> Limits:
        return Limits(self.constraints, self.seen, self.action)

    def _spelt(self, key: str) -> str:
        return shown(self.constraints.spelt[key], 60)


def is_limit(key: str) -> bool:
    """Whether a constraint by this name is a limit, though it be no number."""
    return key.startswith(("max_", "min_"))


def says(value: object) -> bool:
    """Whether a value is one, and not left empty."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def _measures(known: str, *, name: str) -> bool:
    """Whether an argument's name is another one for what a limit measures.

    >>> [_measures(known, name="amount_eur") for known in ("amount", "total_amount", "amount_cents", "amount_at")]
    [True, True, True, False]
    """
    before, found, after = f"_{known}_".partition(f"_{_stem(name)}_")
    if not found or not _OTHER.isdisjoint(before.split("_")):
        return False
    which = set(filter(None, after.split("_")))
    return which <= _SAYING_WHICH if is_money(name) else not which


def _counts(known: str, *, name: str, plural: str) -> bool:
    return (known.endswith(f"_{plural}") and _OTHER.isdisjoint(known.split("_"))) or known == f"{name}_count"


@lru_cache(maxsize=1_024)
def _stem(name: str) -> str:
    """The name of a limit without the unit that it is in."""
    told = name.split("_")
    while is_money(name) and len(told) > 1 and told[-1] in _UNITS:
        told.pop()
    return "_".join(told)


def _hundredths(names: frozenset[str] | set[str], limit: str) -> bool:
    """Whether a quantity counts cents: its name says so, or that of the limit does, and it names no currency."""
    told = {word for name in names for word in name.split("_")}
    same = told.isdisjoint(_CURRENCIES) and not _HUNDREDTHS.isdisjoint(limit.split("_"))
    return same or not _HUNDREDTHS.isdisjoint(told)


def _may_break(value: object, *, prefix: str, bound: Number, paid: bool) -> bool:
    """Of what is no number, or two where it is what is paid: whether it may be one beyond the bound. What is
    beyond it in both is no doubt."""
    sure, told = at_least(value), at_most(value)
    if number(value) is None:
        return says(value) and (told is None or _beyond(told, prefix, bound))
    return paid and _beyond(sure, prefix, bound) is not _beyond(told, prefix, bound)


def _may_be_all(value: object, bound: Number, things: bool) -> bool:
    """Whether a negative number under a limit may stand for more than it: -1 things are all of them for many."""
    quantity = number(value)
    return quantity is not None and quantity < 0 and (things or -quantity > bound)


def _beyond(quantity: Number | None, prefix: str, bound: Number) -> bool:
    return quantity is not None and (quantity > bound if prefix == "max_" else quantity < bound)


def _unlike(leaf: Leaf, allowed: frozenset[str]) -> bool:
    return leaf.count is not None or any(says(value) and not admits(allowed, value) for value in leaf.values)
