"""The values that an action names, each with the names it answers to. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from guardian.signals.words.hiding import Rule
from guardian.signals.words.operators import LEFT_OUT, OTHERS, compares, negations
from guardian.signals.words.paths import ROOTED
from guardian.signals.words.wording import canonical, word_set

_BASES = word_set("base base_dir base_path cwd dir directory folder parent prefix root workdir working_dir")
"""Canonical names of what a relative path beside it begins at."""
_NAMING = ("_code", "_id", "_key", "_name", "_ref", "_value")
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
        return compares(self.path.rpartition(".")[2]) or not OTHERS.isdisjoint(self.names | self.inside)

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
    return [each for each in joined if LEFT_OUT.isdisjoint(each.split("_"))]


def _index(named: Iterable[frozenset[str]]) -> Mapping[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for at, names in enumerate(named):
        for name in names:
            found.setdefault(name, []).append(at)
    return found
