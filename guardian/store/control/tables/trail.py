"""The audit trail and the signed statements about it."""

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Table, Text

from guardian.store.columns import UtcDateTime
from guardian.store.control.tables.naming import metadata

audit = Table(
    "control_audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)

# Which entries of the audit trail are about a session: for looking them up, and believed for nothing else.
audit_about = Table(
    "control_audit_about",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("seq", Integer, nullable=False, autoincrement=False),
    PrimaryKeyConstraint("tenant_id", "session_id", "seq"),
)

# Signed statements about the audit trail up to an entry; copies are exported.
checkpoint = Table(
    "control_checkpoint",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
