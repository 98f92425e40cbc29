"""The Merkle tree and its proofs, held against the definitions of RFC 9162 written down naively."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.audit.proofs import (
    consistency_ranges,
    inclusion_ranges,
    prove,
    verify_consistency,
    verify_inclusion,
)
from guardian.audit.tree import EMPTY_ROOT, MerkleTree, leaf_data, leaf_hash

# The leaves that implementations of RFC 6962 test with, and the roots of the first 1 to 8 of them.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

SIZES = st.integers(0, 70)


def mth(leaves):
    """Section 2.1.1, word for word, over leaf data."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m, leaves):
    """Section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m, leaves, whole):
    """Section 2.1.4.1."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(size):
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def data(size):
    return [f"record {n}".encode() for n in range(size)]


def hashes(leaves):
    return [leaf_hash(leaf) for leaf in leaves]


def grown(leaves):
    tree = MerkleTree()
    for leaf in hashes(leaves):
        tree.append(leaf)
    return tree


def test_the_roots_are_those_that_every_implementation_of_rfc_6962_has():
    leaves = [bytes.fromhex(each) for each in INPUTS]
    assert [grown(leaves[: n + 1]).root().hex() for n in range(8)] == ROOTS
    assert grown([]).root() == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_leaf_is_the_record_followed_by_the_raw_chain_hash():
    assert leaf_hash(leaf_data(b'{"seq":1}', b"\x11" * 32)) == (
        hashlib.sha256(b"\x00" + b'{"seq":1}' + b"\x11" * 32).digest()
    )


@given(SIZES)
def test_a_tree_that_grows_has_the_root_of_the_definition(size):
    tree = grown(data(size))
    assert tree.root() == mth(data(size))
    assert len(tree.frontier) == size.bit_count()


@given(SIZES, SIZES)
def test_a_tree_goes_on_from_its_frontier(before, more):
    begun = grown(data(before))
    tree = MerkleTree(begun.size, begun.frontier)
    for leaf in hashes(data(before + more)[before:]):
        tree.append(leaf)
    assert tree.root() == mth(data(before + more))


@pytest.mark.parametrize(("size", "frontier"), [(3, [b"x" * 32]), (1, [b"short"]), (-1, []), (0, [b"x" * 32])])
def test_a_frontier_that_cannot_be_is_refused(size, frontier):
    with pytest.raises(ValueError, match="frontier"):
        MerkleTree(size, frontier)


@given(st.integers(1, 70), st.data())
def test_an_inclusion_proof_is_the_definitions_and_verifies(size, draw):
    index = draw.draw(st.integers(0, size - 1))
    leaves = data(size)
    proof = prove(hashes(leaves), inclusion_ranges(index, size))
    assert list(proof) == path(index, leaves)
    claim = {"index": index, "size": size, "leaf": leaf_hash(leaves[index]), "root": mth(leaves)}
    assert verify_inclusion(**claim, proof=proof)
    assert not verify_inclusion(**{**claim, "leaf": leaf_hash(b"another")}, proof=proof)
    assert not verify_inclusion(**claim, proof=(*proof, proof[-1] if proof else mth(leaves)))
    if proof:
        assert not verify_inclusion(**claim, proof=proof[:-1])
        assert not verify_inclusion(**claim, proof=(bytes(32), *proof[1:]))
        elsewhere = draw.draw(st.integers(-1, size).filter(lambda n: n != index))
        assert not verify_inclusion(**{**claim, "index": elsewhere}, proof=proof)


@given(SIZES, SIZES)
def test_a_consistency_proof_is_the_definitions_and_verifies(one, other):
    first, second = sorted((one, other))
    leaves = data(second)
    proof = prove(hashes(leaves), consistency_ranges(first, second))
    if first:
        assert list(proof) == subproof(first, leaves, True)
    claim = {"first": first, "second": second, "first_root": mth(leaves[:first]), "second_root": mth(leaves)}
    assert verify_consistency(**claim, proof=proof)
    assert not verify_consistency(**{**claim, "first_root": bytes(32)}, proof=proof)
    if first:
        assert not verify_consistency(**{**claim, "second_root": bytes(32)}, proof=proof)
        assert not verify_consistency(**claim, proof=(*proof, bytes(32)))
    if proof:
        assert not verify_consistency(**claim, proof=proof[:-1])
        assert not verify_consistency(**claim, proof=(*proof[:-1], bytes(32)))


@given(st.integers(2, 60), st.data())
def test_no_proof_made_for_a_rewritten_log_shows_that_it_extends_the_old_one(second, draw):
    first = draw.draw(st.integers(1, second - 1))
    edited = draw.draw(st.integers(0, first - 1))
    leaves = data(second)
    rewritten = [*leaves[:edited], b"edited", *leaves[edited + 1 :]]
    proof = prove(hashes(rewritten), consistency_ranges(first, second))
    assert not verify_consistency(
        first=first, second=second, first_root=mth(leaves[:first]), second_root=mth(rewritten), proof=proof
    )


def test_proofs_about_leaves_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="no leaf 3"):
        inclusion_ranges(3, 3)
    with pytest.raises(ValueError, match="beginning"):
        consistency_ranges(4, 3)
    with pytest.raises(ValueError, match="fewer leaves"):
        prove(hashes(data(4)), inclusion_ranges(0, 8))
    assert not verify_inclusion(index=3, size=3, leaf=bytes(32), proof=(), root=bytes(32))
    assert not verify_consistency(first=4, second=3, first_root=bytes(32), second_root=bytes(32), proof=())
