"""A mark on records that guardian itself sends again. Only the sealing key makes it: a gateway cannot forge it."""

import hashlib
import hmac
from dataclasses import dataclass, field

from guardian.domain.record import Record

REDRIVEN = "guardian-redriven"
"""The header of a dead letter that was sent again: its id, a space, and the proof."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`keys` are the seal's, newest first. The newest makes marks, any of them verifies one."""

    keys: tuple[bytes, ...] = field(default=(), repr=False)

    def of(self, letter_id: str, value: bytes) -> bytes:
        """The header's value for the record of a dead letter."""
        return f"{letter_id} {_proof(self.keys[0], letter_id, value)}".encode()

    def on(self, record: Record) -> bool:
        """Whether guardian sent exactly this record again."""
        letter_id, _, proof = (record.header(REDRIVEN) or "").rpartition(" ")
        return bool(letter_id) and any(
            hmac.compare_digest(proof.encode(), _proof(key, letter_id, record.value).encode()) for key in self.keys
        )


def _proof(key: bytes, letter_id: str, value: bytes) -> str:
    said = f"{REDRIVEN} {letter_id} ".encode() + hashlib.sha256(value).digest()
    return hmac.new(key, said, hashlib.sha256).hexdigest()
