"""Inclusion and consistency proofs (RFC 9162, sections 2.1.3 and 2.1.4).

A proof is the roots of some ranges of leaves. Which ranges is arithmetic; their roots come from one pass over the
leaves in O(log n) memory. The verifying side needs neither the trail nor this database.
"""

from collections.abc import Iterable, Iterator, Sequence

from guardian.audit.tree import EMPTY_ROOT, MerkleTree, leaf_data, leaf_hash, node_hash
from guardian.store.control.audit import RawEntry

Range = tuple[int, int]
"""Leaves from, to (exclusive); the first leaf is 0."""


def leaves_of(entries: Iterable[RawEntry]) -> Iterator[bytes]:
    """The leaf hashes of a trail that was verified."""
    for entry in entries:
        chain_hash = bytes.fromhex((entry.hash or b"").decode())
        yield leaf_hash(leaf_data(entry.record or b"", chain_hash))


def inclusion_ranges(index: int, size: int) -> tuple[Range, ...]:
    """What proves that leaf `index` is in the tree of `size` leaves, nearest sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return tuple(reversed(ranges))


def consistency_ranges(first: int, second: int) -> tuple[Range, ...]:
    """What proves that the tree of `first` leaves is the beginning of the tree of `second` leaves."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves cannot be the beginning of one of {second}")
    if first in (0, second):
        return ()
    ranges: list[Range] = []
    start, end = 0, second
    while first < end:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # else the old root itself begins the proof, and the verifier has it
        ranges.append((start, end))
    return tuple(reversed(ranges))


def prove(leaves: Iterable[bytes], ranges: Sequence[Range]) -> tuple[bytes, ...]:
    """The roots of disjoint ranges, in their order. Raises ValueError when the leaves end too early."""
    waiting = sorted(ranges, reverse=True)
    roots: dict[Range, bytes] = {}
    tree = MerkleTree()
    for index, leaf in enumerate(leaves):
        if not waiting:
            break
        start, end = waiting[-1]
        if index >= start:
            tree.append(leaf)
        if index + 1 == end:
            roots[waiting.pop()] = tree.root()
            tree = MerkleTree()
    if waiting:
        raise ValueError(f"the proof needs leaf {waiting[0][1] - 1}, and there are fewer leaves")
    return tuple(roots[each] for each in ranges)


def verify_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows the leaf with the hash `leaf` at `index` under `root`."""
    if not 0 <= index < size:
        return False
    here, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(sibling, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `proof` shows that the tree under `second_root` begins with the one under `first_root`."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    path = [first_root, *proof] if first.bit_count() == 1 else list(proof)
    if not path:
        return False
    here, last = first - 1, second - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            new = node_hash(new, node)
        here, last = here >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
