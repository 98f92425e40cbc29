"""A bounded cache of computed values: the least recently used go first."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LookedUp(NamedTuple):
    """How many keys were known, and how many computed; one that a call repeats is a hit from its second on."""

    hits: int = 0
    misses: int = 0


class Recent(Generic[K, V]):
    """Values by key, at most `size` of them between two calls. Not thread-safe."""

    def __init__(self, size: int) -> None:
        self.looked_up = LookedUp()
        self._size = max(1, size)
        self._kept: OrderedDict[K, V] = OrderedDict()

    def look_up(self, keys: Sequence[K], compute: Callable[[list[K]], Iterable[V]]) -> dict[K, V]:
        """The value of every key; `compute` is called once, for those that are not known, in their order."""
        distinct = dict.fromkeys(keys)
        missing = [key for key in distinct if key not in self._kept]
        hits, misses = self.looked_up
        self.looked_up = LookedUp(hits + len(keys) - len(missing), misses + len(missing))
        if missing:
            self._kept |= dict(zip(missing, compute(missing), strict=True))
        found: dict[K, V] = {}
        for key in distinct:
            found[key] = self._kept[key]
            self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return found
