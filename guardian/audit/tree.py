"""The Merkle tree over the audit trail (RFC 9162, section 2.1; the same tree as RFC 6962's).

A leaf's data is the entry's canonical record text in UTF-8, followed by the 32 bytes of its chain hash. Only the
frontier is kept: the roots of the perfect subtrees that the entries so far fill, at most one for each bit of
their number.
"""

import hashlib
from collections.abc import Iterable

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_data(record: bytes, chain_hash: bytes) -> bytes:
    return record + chain_hash


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """Grows leaf by leaf in O(log n) memory."""

    def __init__(self, size: int = 0, frontier: Iterable[bytes] = ()) -> None:
        """Go on from a frontier. Raises ValueError when it cannot be one of `size` leaves."""
        self._nodes = list(frontier)
        self._size = size
        if size < 0 or len(self._nodes) != size.bit_count() or any(len(node) != 32 for node in self._nodes):
            raise ValueError(f"a tree of {size} leaves does not have a frontier of {len(self._nodes)} hashes")

    @property
    def size(self) -> int:
        return self._size

    @property
    def frontier(self) -> tuple[bytes, ...]:
        """The largest subtree first."""
        return tuple(self._nodes)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        filled = self._size
        while filled & 1:
            leaf = node_hash(self._nodes.pop(), leaf)
            filled >>= 1
        self._nodes.append(leaf)
        self._size += 1

    def root(self) -> bytes:
        if not self._nodes:
            return EMPTY_ROOT
        root = self._nodes[-1]
        for node in reversed(self._nodes[:-1]):
            root = node_hash(node, root)
        return root
