"""What people are told: alerts, and cases as a channel shows them."""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, SmallInteger, String, Table, Text, text

from guardian.store.columns import UtcDateTime
from guardian.store.control.tables.naming import metadata

_NAMES_ACT = text("act IS NOT NULL")

alert = Table(
    "control_alert",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("case_key", Text, nullable=False),
    Column("idempotency_key", String(64), nullable=False, unique=True),
    Column("payload", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("follows", Integer),  # the alert of the same finding before it, of one that says what became of that
    Index(None, "case_key"),
    Index(None, "follows"),
)

# The channels that alerts go to. Slack is none of them: it follows the alerts by their cases.
channel = Table("control_channel", metadata, Column("name", String(64), primary_key=True))

# Where an alert stands on its way to one channel. Its lane is its tenant, its rank 0 where it is urgent. Of what
# became of a finding `act` is the act by which it did, of which other findings may hear as well.
delivery = Table(
    "control_delivery",
    metadata,
    Column("alert_id", Integer, nullable=False, autoincrement=False),
    Column("channel", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("claimed_at", UtcDateTime),
    Column("remote", Text),
    Column("last_error", Text, nullable=False),
    Column("rank", SmallInteger, nullable=False, server_default="1"),
    Column("lane", String(512), nullable=False, server_default=""),
    Column("act", String(64)),
    PrimaryKeyConstraint("alert_id", "channel"),
    Index(None, "channel", "state", "rank", "lane", "next_at", "alert_id"),
    Index(
        "ix_control_delivery_act",
        "act",
        "channel",
        "state",
        "claimed_at",
        "next_at",
        "alert_id",
        sqlite_where=_NAMES_ACT,
        postgresql_where=_NAMES_ACT,
    ),
)

# A case as a channel of people shows it: where it stands there, and what is to be written next.
case = Table(
    "control_case",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("alert_id", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("place", String(64)),
    Column("folded_into", String(128)),
    Column("state", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("shown", String(64), nullable=False),
    Column("events", Integer, nullable=False),
    Column("told", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("step", Text),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("written_at", UtcDateTime),
    Column("replied_at", UtcDateTime),
    Column("acted_at", UtcDateTime),
    Column("escalated_at", UtcDateTime),
    Column("snoozed_until", UtcDateTime),
    Column("snoozed_by", Text),
    Column("taken_by", Text),
    Column("taken_at", UtcDateTime),
    Index(None, "status", "next_at"),
    Index(None, "tenant_id", "session_id"),
    Index(None, "tenant_id", "opened_at"),
    Index(None, "tenant_id", "status", "opened_at"),
    Index(None, "folded_into"),
    Index(None, "tenant_id", "replied_at"),
)

# What happened in a case, one line each, in order.
case_event = Table(
    "control_case_event",
    metadata,
    Column("key", String(128), nullable=False),
    Column("n", Integer, nullable=False, autoincrement=False),
    Column("event", Text, nullable=False),
    PrimaryKeyConstraint("key", "n"),
)

# How far the cases have followed alerts, audit trail and people's words.
followed = Table(
    "control_followed",
    metadata,
    Column("feed", String(16), primary_key=True),
    Column("seq", Integer, nullable=False),
)
