"""What the filters in an action ask for, `{"field": "contract_id", "op": "eq", "value": "c_9"}`. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from guardian.signals.words.constraints import text
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.operators import compares, leaves_out, ranges
from guardian.signals.words.wording import canonical, word_set

_FIELDS = word_set("attribute column field field_name key name parameter path property property_name")
_HELD = word_set("operand val value")
_OPERATORS = word_set("comparator comparison op operator predicate")
_EQUAL = word_set("any_of eq equal equal_to in is one_of") | {"=", "==", "==="}
"""Canonical names under which a filter says what it is about, what that must be, and how the two compare."""


@dataclass(frozen=True)
class Filters:
    """Those of one action, by the path of the object that they are."""

    action: Touched

    def strange(self, admitted: Callable[[str], bool], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """What filters about one of the names ask for, where it is not admitted. In a list of filters about other
        things too nobody knows which value is whose: there one admitted value settles it."""
        for path, told, alone in self.asked(names):
            strange = [said for said in told if not admitted(said)]
            if strange and (alone or len(strange) == len(told)):
                yield path, strange[0]

    def surely(self, name: str) -> Iterator[tuple[str, str]]:
        """What filters about this name and nothing else ask for, where each says that it must be that."""
        for path, told, alone in self.asked((name,)):
            operators = self._operators[path]
            equal = len(operators) >= len(self._held[path]) and all(map(_equals, operators))
            if alone and equal and operators and not leaves_out(path):
                yield from ((path, said) for said in told)

    def asked(self, names: tuple[str, ...]) -> Iterator[tuple[str, list[str], bool]]:
        """Where filters about one of the names ask for what they hold, what, and whether they are of no other."""
        for path, fields in self._about.items():
            if not fields.isdisjoint(names) and path not in self._inverted:
                yield path, [*chain(*self._held[path])], fields <= {*names}

    def others(self, names: tuple[str, ...]) -> Iterator[tuple[str, frozenset[str]]]:
        """Where filters about one of the names ask for others than they hold, and what they surely leave out."""
        for path, operator in self._inverted.items():
            if not self._about[path].isdisjoint(names):
                yield path, left_out(operator, chain(*self._held[path]))

    @cached_property
    def _about(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for leaf in self.action.named(_FIELDS):
            told = (canonical(said.rpartition(".")[2]) for said in leaf.scalars if isinstance(said, str))
            found[_above(leaf)].update(told)
        return found

    @cached_property
    def _held(self) -> Mapping[str, list[list[str]]]:
        found: dict[str, list[list[str]]] = {path: [] for path in self._about}
        for leaf in self.action.named(_HELD) if found else ():
            if (path := _above(leaf)) in found and (leaf.values or not leaf.count):
                found[path].append([said for said in map(text, leaf.scalars) if said.strip()])
        return found

    @cached_property
    def _operators(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {path: [] for path in self._about}
        for leaf in self.action.named(_OPERATORS) if found else ():
            if (path := _above(leaf)) in found:
                found[path] += map(text, leaf.scalars)
        return found

    @cached_property
    def _inverted(self) -> Mapping[str, str]:
        """The operators of those that ask for others than they hold. In a list of filters all must."""
        return {
            path: max(said, key=ranges)
            for path, said in self._operators.items()
            if said and len(said) >= len(self._held[path]) and all(map(compares, said))
        }


def _above(leaf: Leaf) -> str:
    return leaf.path.rpartition(".")[0]


def _equals(operator: str) -> bool:
    return (canonical(operator) or operator) in _EQUAL


def left_out(operator: str, told: Iterable[str]) -> frozenset[str]:
    """What an operator that means others surely leaves out."""
    return frozenset() if ranges(operator) else frozenset(said.strip().casefold() for said in told)
