"""A checkpoint: what the trail was when it had so many entries (C2SP tlog-checkpoint).

The origin is `<issuer>/audit/<epoch>`: a restored backup begins an epoch, and with it another log, so that no log
ever signs two trails that do not extend one another. Two extension lines follow the root: `chain`, the chain hash
of the last entry, and `time`.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from urllib.parse import quote

from guardian.audit.note import NoteError, NoteKey, parse, sign, verify
from guardian.keys.signing import KeySet


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`root` is the Merkle root over the first `size` entries, `chain` the hash of the last of them (32 bytes)."""

    origin: str
    size: int
    root: bytes
    chain: bytes | None = None
    time: str | None = None

    def text(self) -> str:
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode()]
        if self.chain is not None:
            lines.append(f"chain {self.chain.hex()}")
        if self.time is not None:
            lines.append(f"time {self.time}")
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NoteError. Unknown extension lines are left aside."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines) or not _is_size(lines[1]):
            raise NoteError("malformed", "it is not a checkpoint: origin, size, root, further lines")
        origin, size, root, *more = lines
        extensions = dict(line.partition(" ")[::2] for line in reversed(more))  # of a repeated one the first
        try:
            digest = base64.b64decode(root, validate=True)
            chain = bytes.fromhex(extensions["chain"]) if "chain" in extensions else None
        except (binascii.Error, ValueError) as error:
            raise NoteError("malformed", "its root or its chain hash cannot be read") from error
        if len(digest) != 32 or (chain is not None and len(chain) != 32):
            raise NoteError("malformed", "its root and its chain hash must have 32 bytes")
        return cls(origin, int(size), digest, chain, extensions.get("time"))


def origin_base(issuer: str) -> str:
    """What this deployment's origins start with: its issuer without the scheme, safe in a signature line."""
    return f"{quote(issuer.partition('://')[2] or issuer, safe='/:.-_~@')}/audit"


def epoch_of(origin: str) -> int | None:
    """The epoch that an audit trail's origin names; None for the origin of anything else."""
    before, _, epoch = origin.rpartition("/")
    named = before.endswith("/audit") and epoch.isascii() and epoch.isdecimal() and len(epoch) < 10
    return int(epoch) if named else None


def write(keys: KeySet, *, base: str, epoch: int, size: int, root: bytes, chain: bytes, now: datetime) -> str:
    """A signed checkpoint as a note."""
    origin = f"{base}/{epoch}"
    stamp = now.isoformat(timespec="seconds")
    return sign(Checkpoint(origin, size, root, chain, stamp).text(), origin, keys)


def read(note: str, *, keys: Iterable[NoteKey]) -> Checkpoint:
    """A checkpoint that one of `keys` signed, whatever its issuer: that may change. Raises NoteError."""
    signed = parse(note)
    found = Checkpoint.parse(signed.text)
    if epoch_of(found.origin) is None:
        raise NoteError(
            "origin", f"its origin is {found.origin[:100]!r}, and a trail's is '<issuer>/audit/<epoch>'"
        )
    verify(signed, found.origin, keys)
    return found


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19 and str(int(text)) == text
