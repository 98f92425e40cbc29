"""What the audit trail says, on the wire."""

from typing import Any

from guardian.wire.base import Body, Page


class AuditLine(Body):
    """One entry: `record` is what was written at the time, `hash` covers it and everything before it."""

    seq: int
    record: dict[str, Any]
    hash: str


class AuditPage(Page[AuditLine]):
    """Newest first. The `record` of an entry that cannot be read is empty."""
