"""A printed proof held against the checkpoint in it, as an auditor elsewhere does: without trail and database."""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from guardian.audit.checkpoint import Checkpoint
from guardian.audit.note import NoteError, NoteKey, SignedNote, parse, verify
from guardian.audit.proofs import verify_consistency, verify_inclusion
from guardian.audit.tree import leaf_data, leaf_hash
from guardian.errors import ProofError
from guardian.store.control_audit import canonical

_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Proof:
    """What `guardian audit prove` prints, taken apart. `since` is the size of the checkpoint that was extended."""

    entry: int
    leaf: bytes
    inclusion: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint
    since: int | None
    consistency: tuple[bytes, ...]

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Believes nothing yet. Raises ProofError."""
        try:
            told = json.loads(text, object_pairs_hook=_once)
            note = parse(told["checkpoint"])
            note.text.encode()  # what is no text nobody signed
            since = told.get("since")
            entry = _whole(told["seq"])
            if _whole(told.get("leaf_index", entry - 1)) != entry - 1:
                raise ValueError("leaf_index is seq less one")
            return cls(
                entry=entry,
                leaf=leaf_hash(leaf_data(_record(told), _chain_hash(told["hash"]))),
                inclusion=_nodes(told["inclusion"]),
                note=note,
                checkpoint=Checkpoint.parse(note.text),
                since=None if since is None else _whole(since),
                consistency=_nodes(told.get("consistency", [])),
            )
        except NoteError as error:
            raise ProofError(f"its checkpoint is none: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ProofError(f"it is no proof as `guardian audit prove` prints it ({error!r:.200})") from error

    def check(self, keys: Sequence[NoteKey]) -> None:
        """That one of `keys` signed the checkpoint, and that the entry is under it. Raises ProofError."""
        signed = self.checkpoint
        try:
            verify(self.note, signed.origin, keys)
        except NoteError as error:
            raise ProofError(f"its checkpoint proves nothing: {error}") from error
        place = {"index": self.entry - 1, "size": signed.size}
        if not verify_inclusion(**place, leaf=self.leaf, proof=self.inclusion, root=signed.root):
            raise ProofError(f"entry {self.entry} as it stands there is not under the checkpoint of {signed.size}")

    def check_extends(self, roots: Collection[bytes]) -> None:
        """That the checkpoint extends those of `since` entries with these roots. Raises ProofError."""
        new, since = self.checkpoint, self.since or 0
        for old in roots:
            sizes = {"first": since, "second": new.size}
            if not verify_consistency(**sizes, first_root=old, second_root=new.root, proof=self.consistency):
                raise ProofError(f"the checkpoint of {new.size} entries does not extend that of {since}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name a reader may see the one that was not checked."""
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return told


def _record(told: Mapping[str, Any]) -> bytes:
    if "damaged" in told:
        if "record" in told:
            raise ValueError("a record is damaged or readable, not both")
        return base64.b64decode(told["damaged"], validate=True)
    return canonical(told["record"]).encode()


def _chain_hash(told: str) -> bytes:
    digest = bytes.fromhex(told)
    if len(digest) != _HASH_BYTES:  # the leaf is record and hash in one: else the end of the record passed as hash
        raise ValueError(f"a chain hash has {_HASH_BYTES} bytes")
    return digest


def _nodes(told: Any) -> tuple[bytes, ...]:
    if not isinstance(told, list):
        raise TypeError("a path is a list of hashes")
    return tuple(map(bytes.fromhex, told))


def _whole(told: Any) -> int:
    if type(told) is not int:
        raise TypeError("the number of an entry is a whole number")
    return told
