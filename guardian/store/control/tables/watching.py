"""What guardian may do by itself, and what it watches: modes, breakers, peers and self-tests."""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from guardian.store.columns import UtcDateTime
from guardian.store.control.tables.naming import metadata

mode = Table(
    "control_mode",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("mode", String(16), nullable=False),
    Column("canary_percent", Integer, nullable=False, default=0, server_default="0"),
    Column("set_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# The latest trip of each tenant's circuit breaker; open until `until`, or until a person resets it.
breaker = Table(
    "control_breaker",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("tripped_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reset_at", UtcDateTime),
    Column("reset_by", Text),
)

# Gateways and monitors as they were last heard of: the revision that one enforces, the lag that the other reports.
peer = Table(
    "control_peer",
    metadata,
    Column("role", String(32), nullable=False),
    Column("principal_id", String(512), nullable=False),
    Column("instance", String(128), nullable=False),
    Column("tenants", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("transport", String(16), nullable=False),
    Column("lag_s", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("role", "principal_id", "instance"),
)

# Self-tests: what was planted or revoked for the sake of seeing it noticed, and how far it came.
self_test = Table(
    "control_self_test",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("place", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("deadline_at", UtcDateTime, nullable=False),
    Column("found_at", UtcDateTime),
    Column("decided", String(16)),
    Column("epoch", Integer),
    Column("n", Integer),
    Column("refused_at", UtcDateTime),
    Column("result", String(16), nullable=False),
    Column("missing", Text, nullable=False),
    Index(None, "tenant_id", "session_id"),
    Index(None, "result"),
)
