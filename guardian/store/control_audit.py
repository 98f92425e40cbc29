"""The audit trail: records in canonical JSON (RFC 8785), each hash covering everything before it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from guardian.store.control_head import GENESIS, extend_audit, read_head
from guardian.store.control_tables import audit

_DOMAIN = b"guardian.audit/v1\x00"


class AuditEntry(NamedTuple):
    """One line of the trail; `record` is the canonical text that `hash` covers."""

    seq: int
    record: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditRows:
    connection: Connection

    def append(self, record: Mapping[str, Any]) -> AuditEntry:
        """Chain one record. The head row's lock is held, so the chain cannot fork."""
        end = read_head(self.connection)
        seq = end.audit_seq + 1
        text = canonical({**record, "seq": seq})
        digest = chain(end.audit_hash, text)
        self.connection.execute(insert(audit).values(seq=seq, record=text, hash=digest))
        extend_audit(self.connection, seq, digest)
        return AuditEntry(seq, text, digest)

    def entries(self, after: int = 0) -> Iterator[AuditEntry]:
        wanted = select(audit).where(audit.c.seq > after).order_by(audit.c.seq)
        for row in self.connection.execute(wanted):
            yield AuditEntry(row.seq, row.record, row.hash)

    def first_bad(self) -> int | None:
        """The first entry that was edited, removed, moved or cut off; None when the chain holds."""
        end = read_head(self.connection)
        before, seq = GENESIS, 0
        for entry in self.entries():
            seq += 1
            if entry.seq != seq or entry.hash != chain(before, entry.record):
                return seq
            before = entry.hash
        return None if (seq, before) == (end.audit_seq, end.audit_hash) else seq + 1


def chain(before: str, record: str) -> str:
    """SHA-256 over a domain, the previous hash and the record: no other hash of ours can collide with it."""
    return hashlib.sha256(_DOMAIN + bytes.fromhex(before) + record.encode()).hexdigest()


def canonical(value: Any) -> str:
    """RFC 8785 for what audit records hold: strings, integers, booleans, null, lists and objects.

    Floats are refused, so that two languages cannot disagree about a number. Raises TypeError, ValueError.
    """
    match value:
        case None | bool() | str():
            text = json.dumps(value, ensure_ascii=False)
            text.encode()  # lone surrogates have no canonical form
            return text
        case int():
            if abs(value) >= 2**53:
                raise ValueError(f"{value} is beyond the integers that JSON can carry exactly")
            return str(value)
        case list() | tuple():
            return "[" + ",".join(canonical(item) for item in value) + "]"
        case dict():
            ordered = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
            return "{" + ",".join(f"{canonical(name)}:{canonical(item)}" for name, item in ordered) + "}"
        case _:
            raise TypeError(f"an audit record cannot hold a {type(value).__name__}")
