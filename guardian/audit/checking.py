"""A printed proof held against the checkpoint in it, as an auditor elsewhere does: without trail and database."""

import base64
import codecs
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from guardian.audit.checkpoint import Checkpoint
from guardian.audit.note import MOST_CHARACTERS, NoteError, NoteKey, SignedNote, parse, verify
from guardian.audit.proofs import verify_consistency, verify_inclusion
from guardian.audit.tree import leaf_data, leaf_hash
from guardian.domain import strict_json
from guardian.errors import DecodeError, ProofError
from guardian.store.control.audit import canonical

# All 32 bytes: a leaf is record and hash in one, and a shorter hash could pass the end of the record for its own.
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
_Note = Annotated[str, StringConstraints(max_length=MOST_CHARACTERS)]


class _Printed(BaseModel):
    """The members of a printed proof that are read; others are left aside."""

    model_config = ConfigDict(strict=True)

    seq: int
    leaf_index: int | None = None
    record: Any = None
    damaged: str | None = None
    hash: _Hash
    inclusion: list[_Hash]
    checkpoint: _Note
    since: int | None = None
    consistency: list[_Hash] = Field(default=[])

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.leaf_index not in (None, self.seq - 1):
            raise ValueError(f"leaf_index is {self.leaf_index}, and seq less one is {self.seq - 1}")
        if ("record" in self.model_fields_set) == (self.damaged is not None):
            raise ValueError("it needs either `record` or `damaged`, and not both")
        return self

    @property
    def leaf(self) -> bytes:
        """Raises ValueError or TypeError for a record that no trail can hold."""
        if self.damaged is not None:
            record = base64.b64decode(self.damaged, validate=True)
        else:
            record = canonical(self.record).encode()
        return leaf_hash(leaf_data(record, bytes.fromhex(self.hash)))


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
    def parse(cls, text: bytes, *, name: str) -> Self:
        """Believes nothing yet. Raises ProofError, which says what is wrong where in the file called `name`."""
        try:
            told = strict_json.parse(text.removeprefix(codecs.BOM_UTF8), max_bytes=strict_json.MAX_BYTES)
            if not isinstance(told, dict):
                raise ValueError("it is no JSON object")
            printed = _Printed.model_validate(told)
            leaf = printed.leaf
            note = parse(printed.checkpoint)
            checkpoint = Checkpoint.parse(note.text)
        except NoteError as error:
            raise ProofError(f"the checkpoint in {name} is none: {error}") from error
        except (DecodeError, ValueError, TypeError) as error:
            raise ProofError(
                f"{name} is no proof as `guardian audit prove` prints it: {_what_is_wrong(error):.200}"
            ) from error
        return cls(
            entry=printed.seq,
            leaf=leaf,
            inclusion=tuple(map(bytes.fromhex, printed.inclusion)),
            note=note,
            checkpoint=checkpoint,
            since=printed.since,
            consistency=tuple(map(bytes.fromhex, printed.consistency)),
        )

    def check(self, keys: Sequence[NoteKey]) -> None:
        """That one of `keys` signed the checkpoint, and that the entry is under it. Raises ProofError."""
        signed = self.checkpoint
        try:
            verify(self.note, signed.origin, keys)
        except NoteError as error:
            raise ProofError(f"its checkpoint proves nothing: {error}") from error
        if not verify_inclusion(
            index=self.entry - 1, size=signed.size, leaf=self.leaf, proof=self.inclusion, root=signed.root
        ):
            raise ProofError(f"entry {self.entry} as it stands there is not under the checkpoint of {signed.size}")

    def check_extends(self, roots: Collection[bytes]) -> None:
        """That the checkpoint extends those of `since` entries with these roots. Raises ProofError."""
        new, since = self.checkpoint, self.since or 0
        for old in roots:
            if not verify_consistency(
                first=since, second=new.size, first_root=old, second_root=new.root, proof=self.consistency
            ):
                raise ProofError(f"the checkpoint of {new.size} entries does not extend that of {since}")


def _what_is_wrong(error: Exception) -> str:
    """In one line, with the place: that of the first member that is missing or wrong, or of the first byte."""
    match error:
        case ValidationError():
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            if first["type"] == "missing":
                return f"{place!r} is missing"
            says = str(first["msg"]).removeprefix("Value error, ")
            return f"{place!r}: {says}" if place else says
        case DecodeError():
            return error.reason
        case _:
            return str(error)
