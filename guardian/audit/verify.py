"""Verification of the whole trail in one pass: the chain, the numbers, the head row, every checkpoint.

What each part can prove: the chain finds an edit, removal or move by somebody who did not recompute it, and names
the entry. Stored checkpoints, unless they were removed, bind it to the signing key. A checkpoint that was exported
cannot be changed with the database, so it also finds a trail, head and stored checkpoints that were rewritten
together; then the first bad entry lies between two checkpoints.
"""

import heapq
from collections.abc import Callable, Collection, Iterable

from guardian.audit.report import Claim, Report
from guardian.audit.tree import EMPTY_ROOT, leaf_data, leaf_hash
from guardian.audit.walk import Walk
from guardian.store.control.audit import RawEnd, RawEntry, doubt
from guardian.store.control.head import GENESIS

_EVERY = 5_000  # entries between two calls of the progress callback
_NEW_EPOCH = b'"action":"beginEpoch"'


def verify_trail(
    entries: Iterable[RawEntry],
    end: RawEnd,
    *,
    stored: Iterable[Claim] = (),
    given: Iterable[Claim] = (),
    restored: Collection[int] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Read `entries` once, in the order of their numbers. Claims come by size. `restored` are
    epochs before which people know that a backup was restored: what that lost is no fault.

    Memory does not grow with the trail. `progress` is called with the entries read and expected.
    """
    walk = Walk(end, heapq.merge(given, stored, key=lambda claim: claim.size), restored)
    tree, before, expected, done = walk.tree, bytes.fromhex(GENESIS), 0, 0
    walk.settle(before)
    for entry in entries:
        expected += 1
        done += 1
        found = doubt(entry, expected, before)
        if found is not None:
            walk.doubted(found, entry, expected)
            if found == "surplus":
                expected -= 1
                continue
            expected = entry.seq
        before = _digest(entry.hash)
        tree.append(leaf_hash(leaf_data(entry.record or b"", before)))
        if entry.record is not None and _NEW_EPOCH in entry.record:
            walk.epoch_begins(entry.seq, entry.record)
        if walk.due == tree.size:
            walk.settle(before)
        if done % _EVERY == 0:
            progress(done, max(done, end.seq))
    progress(done, max(done, end.seq))
    return walk.finish(expected, before)


def _digest(stored: bytes | None) -> bytes:
    """32 bytes to go on with; whatever cannot be a hash was doubted already."""
    try:
        digest = bytes.fromhex((stored or b"").decode())
    except ValueError:
        return EMPTY_ROOT
    return digest if len(digest) == 32 else EMPTY_ROOT
