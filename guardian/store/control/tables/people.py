"""Who may do what: tokens, sign-ins, approvals, break-glass, exceptions, and answers kept for them."""

from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from guardian.store.columns import UtcDateTime
from guardian.store.control.tables.naming import metadata

token = Table(
    "control_token",
    metadata,
    Column("jti", String(512), primary_key=True),
    Column("principal_id", Text, nullable=False),
    Column("role", String(32), nullable=False),
    Column("tenants", Text, nullable=False),
    Column("kid", Text, nullable=False),
    Column("issued_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("revoked_by", Text),
    Column("certificate", String(64)),  # its thumbprint; empty where it is bound to none, NULL from before 0017
    Index(None, "principal_id", "revoked_at"),
)

# Signing keys that are believed no more, whatever the key file of a process says.
retired_key = Table(
    "control_retired_key",
    metadata,
    Column("kid", String(512), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

# Who is signed in to the evidence pages, and links that wait to be opened: a hash and a sealed token each.
visit = Table(
    "control_visit",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("jti", String(512), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

idempotency = Table(
    "control_idempotency",
    metadata,
    Column("principal_id", String(512), nullable=False),
    Column("key", String(256), nullable=False),
    Column("request_digest", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("principal_id", "key"),
    Index(None, "at"),
)

# An act that policy permits only with a second person's word, and what came of it.
approval = Table(
    "control_approval",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512)),
    Column("action", String(32), nullable=False),
    Column("act", Text, nullable=False),
    Column("proposer", Text, nullable=False),
    Column("proposer_role", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("finding_id", Text),
    Column("policy_ids", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", UtcDateTime),
    Column("decision_reason", Text, nullable=False),
    Column("result", Text, nullable=False),
    Index(None, "tenant_id", "state"),
    Index(None, "tenant_id", "session_id", "expires_at"),
    Index(None, "state", "expires_at"),
)

break_glass = Table(
    "control_break_glass",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(512), nullable=False),
    Column("principal_id", String(512), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", Text),
    Index(None, "tenant_id", "principal_id"),
)

# "This is fine", for a purpose and a tool, owned and for a while.
exception = Table(
    "control_exception",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("tenant_id", String(512), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("tool", String(512), nullable=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("finding_id", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", Text),
    Column("uses", Integer, nullable=False),
    Index(None, "tenant_id"),
)
