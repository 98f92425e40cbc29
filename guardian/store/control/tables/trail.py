"""The audit trail and the signed statements about it."""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from guardian.store.columns import InKey, UtcDateTime
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

# Who did what in which tenant, and when, of every entry: for looking up, and believed for nothing else. Each index
# is walked along from the newest entry on; in its last columns it shows which are passed over.
audit_told = Table(
    "control_audit_told",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", InKey, nullable=False),
    Column("action", InKey, nullable=False),
    Column("tenant_id", InKey),
    Index(None, "at", "seq", "tenant_id", "actor", "action"),
    Index(None, "actor", "at", "seq", "tenant_id", "action"),
    Index(None, "tenant_id", "at", "seq", "actor", "action"),
)

# Signed statements about the audit trail up to an entry; copies are exported.
checkpoint = Table(
    "control_checkpoint",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
