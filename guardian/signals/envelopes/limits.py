"""Numeric limits of an envelope against one call, and what it moves of them. Pure.

The total of one call: items of a list add up. Quantities told in several places are one and the same, and the
largest counts: a resource repeats its arguments, a total stands beside its items. Where a limit does not count
things, it bounds each number in a list.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from guardian.domain import statements
from guardian.domain.breach import Breach, broken_by
from guardian.domain.signal import Observation
from guardian.signals.envelopes.acts import Act, act_of
from guardian.signals.words.constraints import Constraints, Number, at_least, at_most, number, text
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.wording import canonical, shown, singular, word_set, words

_CAP = 2**53  # sums stay exact in every JSON reader
_DIGITS = 9  # a sum of decimal amounts is no larger than they are
RECORD = "record"
_ROW = "row"
_MEASURES = frozenset(
    {"amount", "byte", "cost", "duration", "fee", "minute", "percent", "percentage", "price", "second"}
)
"""Words of what is measured."""
_MONEY = frozenset({"amount", "cost", "fee", "price"})
_SOUGHT = frozenset({"amount", "price"})
"""By these one looks for things; a `cost` or a `fee` may be that of the look-up itself."""
_METHOD = word_set("method http_method request_method verb http_verb")
_CHANGING_METHODS = word_set("delete patch post put")
_STATEMENTS = frozenset(map(canonical, statements.NAMES))
_QUERYING = word_set("query select sql")
_WRITING = word_set(
    "add append create delete drop edit import insert merge modify put remove replace update upsert write"
)
BOUNDING = word_set("count fetch first limit max maximum n page pagesize per size take top")
_SEEKING = word_set("browse find list lookup search")
_LETTERS = word_set("chat email file folder inbox mail message page thread")
_TABULAR = word_set(
    "airtable athena bigquery cassandra clickhouse csv database databricks dataframe dataset db dynamodb excel "
    "hive mongo mongodb mysql oracle parquet pg postgres postgresql query redshift row select sheet snowflake "
    "spreadsheet sql sqlite supabase table trino warehouse"
)
"""Found in what they keep, a thing is a row."""
_MANY = frozenset({"children", "data", "media", "men", "people", "staff", "women"})
"""Plurals that do not look like one."""


class Moved(NamedTuple):
    """What a call moved, in the smaller and in the larger reading of its quantities; `came`: what came back tells
    it, and no quantity of the agent's."""

    least: Number
    most: Number
    came: bool = False

    @classmethod
    def of(cls, came: Number) -> "Moved":
        return cls(together(came), together(came), came=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """An envelope's limits against one action."""

    constraints: Constraints
    seen: Observation
    action: Touched

    def per_call(self, summed: tuple[str, ...]) -> Iterator[Breach]:
        """Limits that this call alone breaks, by one quantity or, if the limit is summed, by their total."""
        bare = _bare(summed)
        for name, most in self.constraints.maxima.items():
            asked = self._asked(name, "max_") if self.applies(name) else []
            if asked and name in bare:
                asked.append(self._together(name))
            if asked and max(asked) > most:
                yield Breach(
                    "records_over_limit" if name == RECORD else "limit_exceeded",
                    f"{digits(max(asked))} asked for, {self._spelt('max_', name)} is {digits(most)}",
                    about=broken_by(f"max_{name}", max(asked)),
                )
        for name, least in self.constraints.minima.items():
            asked = self._asked(name, "min_") if self.applies(name) else []
            if asked and min(asked) < least:
                yield Breach(
                    "below_minimum",
                    f"{digits(min(asked))} asked for, {self._spelt('min_', name)} is {digits(least)}",
                    about=broken_by(f"min_{name}", -min(asked)),
                )

    def applies(self, name: str) -> bool:
        """Whether a limit may bound this call: who only looks for an amount asks for none."""
        return _SOUGHT.isdisjoint(name.split("_")) or not self._pays_nothing

    def added_up(self, summed: tuple[str, ...]) -> list[str]:
        """The bare names of the limits that also bound the session's total."""
        return [name for name in _bare(summed) if name in self.constraints.maxima]

    def bounds(self, name: str, leaf: Leaf) -> bool:
        """Whether a value certainly speaks of what a limit bounds."""
        wanted = {name, f"max_{name}", *self.constraints.also(f"max_{name}")}
        return leaf.answers(frozenset(wanted))

    def _asked(self, name: str, prefix: str) -> list[Number]:
        found: list[Number] = []
        key = prefix + name
        things = counts_things(self.constraints, key)
        for leaf in self._leaves(name, prefix):
            held = counted(leaf, name) and (not things or key in leaf.names)
            listed = _numbers(leaf) if held else []
            told = _quantities(leaf, name, most=prefix == "min_" and is_money(name))
            found += listed if listed and prefix == "min_" else [*told, *listed]
        if name == RECORD and "records" not in self.seen.features_missing:
            found.append(self.seen.event.records)
        return found

    def _leaves(self, name: str, prefix: str) -> Iterator[Leaf]:
        """The values that certainly speak of what a limit bounds."""
        wanted = {name, prefix + name, *self.constraints.also(prefix + name)}
        things = counts_things(self.constraints, prefix + name)
        return (leaf for leaf in self.action.named(wanted) if not things or not leaf.names.isdisjoint(wanted))

    def _places(self, name: str, *, most: bool) -> Iterable[list[Number]]:
        """The quantities told in each place; all items of a list are in one place."""
        places: dict[str, list[Number]] = defaultdict(list)
        for leaf in self._leaves(name, "max_"):
            places[leaf.path] += _paid(leaf, most=most) if is_money(name) else _quantities(leaf, name)
        return places.values()

    def _together(self, name: str, *, most: bool = False) -> Number:
        return max((together(*told) for told in self._places(name, most=most)), default=0)

    def moved(self, name: str) -> "Moved":
        """What the call moved of what a limit adds up."""
        event = self.seen.event
        came = event.action.records if event.result is None else event.result.records
        came = event.action.records if came is None else came
        if name == RECORD and came is not None:
            return Moved.of(came)
        if name == _ROW and came is not None and (rows := self._rows(came=came)) is not None:
            return Moved.of(rows)
        if is_money(name) and self._pays_nothing:
            return Moved(0, 0)  # a look-up of payments of 900, or of what 900 are worth, pays nothing
        return Moved(self._together(name), self._together(name, most=True))

    @property
    def _reads(self) -> bool:
        return act_of(self.seen.event.action.tool) is Act.LOOKS_UP

    @property
    def _pays_nothing(self) -> bool:
        """Whether it only looks up, and its arguments do not say that it does more: `http.fetch` may post."""
        return self._reads and not (
            any(said.strip().casefold() in _CHANGING_METHODS for said in self._said(_METHOD))
            or any(statements.changes(said, surely=False) for said in self._said(_STATEMENTS))
        )

    def _said(self, names: frozenset[str]) -> Iterator[str]:
        return (text(value) for leaf in self.action.named(names) for value in leaf.scalars)

    def _rows(self, *, came: Number) -> Number | None:
        """How many rows a call moved; None where its quantities tell that themselves. A look-up moved the rows
        that came back, whatever number the agent named; hits of a search and mail are no rows. A query that may
        write moved at least as many as it names."""
        leaves = list(self._leaves(_ROW, "max_"))
        tool = frozenset(map(singular, words(self.seen.event.action.tool)))
        if self._reads:
            elsewhere = tool.isdisjoint(_TABULAR) and not tool.isdisjoint(_SEEKING | _LETTERS)
            return 0 if elsewhere and not leaves else came
        if tool.isdisjoint(_QUERYING):
            return None
        also = self.constraints.also(f"max_{_ROW}")
        bound = {f"max_{_ROW}", *(name for name in also if not BOUNDING.isdisjoint(words(name)))}
        bounds = all(not leaf.names.isdisjoint(bound) for leaf in leaves if _quantities(leaf, _ROW))
        return came if bounds and tool.isdisjoint(_WRITING) else max(came, self._together(_ROW))

    def _spelt(self, prefix: str, name: str) -> str:
        return shown(self.constraints.spelt[prefix + name], 60)


def measured(name: str) -> bool:
    """Whether a list under this name holds quantities; a list under any other name is counted."""
    return not _MEASURES.isdisjoint(name.split("_"))


def counts_things(constraints: Constraints, key: str) -> bool:
    """Whether a limit bounds how many there are of something: `max_records`, but not `max_bytes` or `max_age`.

    Then a word or an object under its name in the singular is one such thing, and no quantity.
    """
    spelt = words(constraints.spelt[key])
    return not measured(key) and ("_".join(spelt) != key or spelt[-1] in _MANY)


def counted(leaf: Leaf, name: str) -> bool:
    """Whether it is a list of which a limit under this name counts the items."""
    return leaf.count is not None and not measured(name)


def _quantities(leaf: Leaf, name: str, *, most: bool = False) -> list[Number]:
    return [leaf.count] if leaf.count is not None and counted(leaf, name) else _numbers(leaf, most=most)


def _numbers(leaf: Leaf, *, most: bool = False) -> list[Number]:
    """Its numbers; `most`: in their larger reading."""
    numbers = (value for value in leaf.values if number(value) is not None)
    return [told for told in map(at_most if most else number, numbers) if told is not None]


def _paid(leaf: Leaf, *, most: bool) -> list[Number]:
    """Its quantities and prices: ten times "300 EUR" is no less than ten times 300."""
    return [told for told in map(at_most if most else at_least, leaf.values) if told is not None]


def is_money(name: str) -> bool:
    """Whether a limit under this name bounds what is paid."""
    return not _MONEY.isdisjoint(name.split("_"))


def together(*quantities: Number) -> Number:
    """The sum of the quantities; a negative one counts as 0, so that it takes nothing off the others."""
    return round(min(sum(min(max(quantity, 0), _CAP) for quantity in quantities), _CAP), _DIGITS)


@lru_cache(maxsize=16)
def _bare(summed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(canonical(key).removeprefix("max_") for key in summed)


def digits(quantity: Number) -> str:
    return format(quantity, ".15g") if isinstance(quantity, float) else shown(quantity)
