"""The ledger, what is live of it, and how far it has been followed and brought to others."""

from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from guardian.store.columns import UtcDateTime
from guardian.store.control.tables.naming import metadata

# One row. Every write transaction updates it first, so writers queue and every number below is gap-free.
head = Table(
    "control_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("writes", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("epoch_at", UtcDateTime, nullable=False),
    Column("change_seq", Integer, nullable=False),
    Column("audit_seq", Integer, nullable=False),
    Column("audit_hash", String(64), nullable=False),
)

ledger = Table(
    "control_ledger",
    metadata,
    Column("epoch", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("tenant_id", String(512), nullable=False),
    Column("subject_type", String(32), nullable=False),
    Column("subject_id", String(512), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason_code", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("finding_id", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("cause", String(512)),
    PrimaryKeyConstraint("epoch", "n"),
    Index(None, "tenant_id", "automatic", "at"),
    # The first two in the ledger's order too: for its sake SQLite would take the third for what they find.
    Index(None, "tenant_id", "subject_type", "subject_id", "epoch", "n"),
    Index(None, "tenant_id", "cause", "epoch", "n"),
    Index(None, "tenant_id", "epoch", "n"),
)

# The latest revoking entry of every subject that is revoked: what replaying the ledger gives, kept ready.
live = Table(
    "control_live",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("subject_type", String(32), nullable=False),
    Column("subject_id", String(512), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "subject_type", "subject_id"),
    Index(None, "expires_at"),
)

# Who delegated to whom, as registered envelopes say it; a revocation follows these lines downwards.
delegation = Table(
    "control_delegation",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("parent_session_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    PrimaryKeyConstraint("tenant_id", "parent_session_id", "session_id"),
    Index(None, "tenant_id", "session_id"),
)

# Sessions below which not everything was asked about yet, and how many of those below were.
descent = Table(
    "control_descent",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("done", Integer, nullable=False),
    PrimaryKeyConstraint("tenant_id", "session_id"),
)

# Sessions that were given back, at which revision, while not all that followed from them has been.
lifting = Table(
    "control_lifting",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    PrimaryKeyConstraint("tenant_id", "session_id"),
)

# How far each face that leaves this process has brought the ledger (and the findings) to its receiver.
cursor = Table(
    "control_cursor",
    metadata,
    Column("name", String(512), primary_key=True),  # with a topic's name in it, and what is brought over
    Column("epoch", Integer, nullable=False),
    Column("n", Integer, nullable=False),
)
