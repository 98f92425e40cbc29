"""Making a checkpoint: only what is new since the last one is read, and nothing is signed over a contradiction."""

from datetime import datetime

from guardian.audit.checkpoint import Checkpoint, read, write
from guardian.audit.note import NoteError, note_keys
from guardian.audit.tree import MerkleTree, leaf_data, leaf_hash
from guardian.errors import StoreError
from guardian.keys.signing import KeySet
from guardian.store.control.audit import AuditRows, RawEnd, doubt
from guardian.store.control.checkpoints import Progress, StoredCheckpoint
from guardian.store.control.head import GENESIS
from guardian.store.control.store import ControlStore
from guardian.telemetry import logger

_log = logger("audit")


def make_checkpoint(store: ControlStore, keys: KeySet, *, base: str, now: datetime) -> StoredCheckpoint | None:
    """Sign and keep a checkpoint of the trail as it is; None when there is nothing new since the last one.

    Writers wait only while the finished checkpoint is put down. Raises StoreError when the trail does not hold,
    or no longer extends the last checkpoint: what was signed is never contradicted. How much that was is also
    remembered outside the database, in which checkpoints can be removed with what they were signed over.
    """
    grown = _grown(store, keys)
    if grown is None:
        return None
    end, tree, chain = grown
    note = write(keys, base=base, epoch=end.epoch, size=tree.size, root=tree.root(), chain=chain, now=now)
    with store.write() as rows:  # which begins an epoch where the database went back meanwhile
        same = (rows.audit.end().epoch, rows.audit.digest(tree.size)) == (end.epoch, chain.hex())
        there = rows.checkpoints.latest()
        made = same and (there is None or there.size < tree.size)  # else another process was faster
        if made:
            rows.checkpoints.add(tree.size, note, frontier=[node.hex() for node in tree.frontier], now=now)
    if not same:  # said only here, so that the epoch stays
        raise _refused("it changed while it was read")
    # before it goes out: a restored backup must not sign another trail as the same log
    store.remember(signed=tree.size, signed_as=chain.hex())
    return StoredCheckpoint(tree.size, note, now) if made else None


def check_trail(store: ControlStore, keys: KeySet) -> None:
    """Raises StoreError where `make_checkpoint` would not sign the trail as it is. Changes nothing."""
    _grown(store, keys)


def _grown(store: ControlStore, keys: KeySet) -> tuple[RawEnd, MerkleTree, bytes] | None:
    """Where the trail ends, its tree and its chain hash there; None when nothing is new. Raises StoreError."""
    signed, signed_as = store.signed()
    with store.read() as rows:
        if signed and rows.audit.digest(signed) != signed_as:
            raise _refused(
                f"it was signed up to entry {signed} already, and that was another trail; the next start of"
                " `guardian serve` (or `run`) begins another log and calls people"
            )
        end, latest = rows.audit.end(), rows.checkpoints.latest()
        if end.seq == (latest.size if latest is not None else 0):
            return None
        tree, last = _resume(rows.checkpoints.progress(), latest, keys)
        return end, tree, _grow(rows.audit, tree, end, last)


def _resume(
    progress: Progress, latest: StoredCheckpoint | None, keys: KeySet
) -> tuple[MerkleTree, Checkpoint | None]:
    """The tree to go on with, and the last checkpoint, which it must come to or come from."""
    if latest is None:
        return MerkleTree(), None
    try:
        last = read(latest.note, keys=note_keys(keys.jwks()))
    except NoteError as error:
        if error.code == "unknown_key":  # its key was retired: nothing it says counts, the trail is read afresh
            _log.warning("audit_checkpoint_by_retired_key", size=latest.size)
            return MerkleTree(), None
        raise _refused(f"its stored checkpoint of {latest.size} entries is false: {error}") from error
    try:
        tree = MerkleTree(progress.size, map(bytes.fromhex, progress.frontier))
    except ValueError:
        return MerkleTree(), last
    if (tree.size, tree.root()) != (last.size, last.root) or last.chain is None:
        return MerkleTree(), last
    return tree, last


def _grow(audit: AuditRows, tree: MerkleTree, end: RawEnd, last: Checkpoint | None) -> bytes:
    """Add what is new, each entry checked; returns the chain hash at the end."""
    fresh = tree.size == 0
    before = bytes.fromhex(GENESIS) if fresh or last is None or last.chain is None else last.chain
    for entry in audit.raw(None if fresh else tree.size):
        found = doubt(entry, tree.size + 1, before)
        if found is not None or entry.record is None or entry.hash is None:
            raise _refused(f"entry {tree.size + 1} is {found}")
        before = bytes.fromhex(entry.hash.decode())
        tree.append(leaf_hash(leaf_data(entry.record, before)))
        if last is not None and tree.size == last.size and tree.root() != last.root:
            raise _refused(f"its first {last.size} entries are not those that were signed at {last.time}")
    if (tree.size, before.hex().encode()) != (end.seq, end.hash) or (last is not None and last.size > tree.size):
        raise _refused(f"it ends at entry {tree.size} and should not")
    return before


def _refused(why: str) -> StoreError:
    return StoreError(f"the audit trail is not signed again: {why}; `guardian audit verify` says more")
