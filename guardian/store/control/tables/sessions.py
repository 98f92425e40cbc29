"""What is known of sessions: findings, people's words, envelopes, and the models that judged them."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from guardian.store.columns import InKey, UtcDateTime
from guardian.store.control.tables.naming import metadata

UNKNOWN = 9
"""For `worst`: nobody knows how severe, or nothing accuses the session. It sorts as what is more than critical."""

ACTS_UNDER = ("agent_id", "task_id", "delegator_id")
"""Of an envelope: whom to revoke stops its session."""

_JUDGED, _UNJUDGED = text("verdict IS NOT NULL"), text("verdict IS NULL")
_NEWS = text("(CASE WHEN (last_word_at > last_seen) THEN last_word_at ELSE last_seen END)")

session = Table(
    "control_session",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("delegator_id", Text),
    Column("agent_id", Text),
    Column("task_id", Text),
    Column("purpose", Text, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("protected", Boolean, nullable=False),
    Column("flagged", Boolean, nullable=False),
    # Of what still accuses it: a place among the severities, from 0 on.
    Column("worst", SmallInteger, nullable=False, default=UNKNOWN, server_default=str(UNKNOWN)),
    Column("findings", Integer, nullable=False),
    Column("last_word", String(32)),
    Column("last_word_at", UtcDateTime),
    Column("restarted_at", UtcDateTime),
    Column("cleared_at", UtcDateTime),
    Column("restarts", Integer, nullable=False, default=0, server_default="0"),
    Column("freshened", Integer, nullable=False, default=0, server_default="0"),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    *(Column(f"{name}_key", InKey) for name in ACTS_UNDER),  # for looking up; what is shown stands above
    UniqueConstraint("tenant_id", "session_id"),
    Index(None, "session_id"),
    # Walked along from the newest one on; in the last columns it shows which are passed over.
    *(Index(None, f"{name}_key", "seq", "tenant_id", "flagged") for name in ACTS_UNDER),
    # Walked along from the most pressing one on; the last column shows which are passed over.
    Index(
        "ix_control_session_pressing",
        "worst",
        _NEWS,
        "seq",
        "tenant_id",
        sqlite_where=text("flagged = 1"),
        postgresql_where=text("flagged"),
    ),
)

finding = Table(
    "control_finding",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("tenant_id", String(512), nullable=False),
    Column("id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("effect", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("finding", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("verdict", Text),
    Column("received_at", UtcDateTime, nullable=False),
    UniqueConstraint("tenant_id", "id"),
    Index(None, "session_id", "tenant_id"),
    # Walked along from the newest one on; in the last columns it shows which are passed over.
    Index(None, "kind", "seq", "tenant_id"),
    Index(None, "effect", "seq", "tenant_id", "kind"),
    Index("ix_control_finding_judged", "seq", "tenant_id", sqlite_where=_JUDGED, postgresql_where=_JUDGED),
    Index(
        "ix_control_finding_unjudged",
        "seq",
        "tenant_id",
        "kind",
        "effect",
        sqlite_where=_UNJUDGED,
        postgresql_where=_UNJUDGED,
    ),
)

# What a finding names: "agent:...", "breach:...", "signal:...". For looking it up, and believed for nothing else.
finding_about = Table(
    "control_finding_about",
    metadata,
    Column("what", InKey, nullable=False),
    Column("seq", Integer, nullable=False, autoincrement=False),
    Column("tenant_id", String(512), nullable=False),
    PrimaryKeyConstraint("what", "seq", "tenant_id"),
)

change = Table(
    "control_change",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("word", String(32), nullable=False),
    Column("detail", Text, nullable=False, default="", server_default=""),
    Column("at", UtcDateTime, nullable=False),
)

# Every envelope that the delegation service or a gateway registered; re-issues are further versions.
envelope = Table(
    "control_envelope",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("envelope", Text, nullable=False),
    Column("registered_by", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    *(Column(name, InKey) for name in ACTS_UNDER),  # as the envelope says
    PrimaryKeyConstraint("tenant_id", "session_id", "version"),
    UniqueConstraint("tenant_id", "session_id", "digest"),
    Index(None, "tenant_id", "at"),
    Index(None, "tenant_id", "agent_id", "delegator_id"),
    Index(None, "tenant_id", "task_id", "delegator_id"),
    Index(None, "tenant_id", "delegator_id"),
)

# Model versions in the order in which findings first named them; of tenant `*` what was not kept by tenant.
model = Table(
    "control_model",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("version", String(128), nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "version"),
)
