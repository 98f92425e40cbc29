"""The monitor's tables. `monitor/migrations/` creates them; a test holds the two against each other."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from guardian.store.columns import NAMING, UtcDateTime

metadata = MetaData(naming_convention=NAMING)
Count = BigInteger().with_variant(Integer(), "sqlite")

sessions = Table(
    "sessions",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("session_id", String(512), primary_key=True),
    Column("version", Integer, nullable=False),  # optimistic: a writer names the version that it read
    Column("state", Text, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("word", String(32)),  # the last thing people said
    Column("learned", SmallInteger, nullable=False),  # as `sessions` names them
    Column("touched_at", UtcDateTime, nullable=False),
    Index("ix_sessions_learned_touched_at", "learned", "touched_at"),
)
seen = Table(
    "seen",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("gateway", String(512), primary_key=True),  # as `in_key` writes it
    Column("decision_id", String(512), primary_key=True),  # likewise
    Column("digest", String(128), nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    sqlite_with_rowid=False,
)
agents = Table(
    "agents",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("agent_id", String(512), primary_key=True),  # as `in_key` writes it
    Column("purposes", Text, nullable=False),
    Column("touched_at", UtcDateTime, nullable=False, index=True),
)
findings = Table(
    "findings",
    metadata,
    Column("id", String(512), primary_key=True),
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
)
outbox = Table(
    "outbox",
    metadata,
    Column("id", Count, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("ref", String(1024), nullable=False),  # the finding's id, or the dead letter's
    Column("rank", SmallInteger, nullable=False, server_default="1"),  # 0 goes first
    Column("lane", String(512), nullable=False, server_default=""),  # of a finding that waits: its tenant
    Column("state", String(16), nullable=False),  # due, delivered, parked
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Column("note", Text, nullable=False),  # the last error, or what control answered
    Index("uq_outbox_kind_ref", "kind", "ref", unique=True),
    Index(
        "ix_outbox_state_kind_rank_lane_next_at_attempts",
        *("state", "kind", "rank", "lane", "next_at", "attempts"),
    ),
)
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String(1024), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", Count, nullable=False),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("tenant_id", String(512)),
    Column("session_id", String(512)),
    Column("gateway", String(512), nullable=False),
    Column("record_key", LargeBinary),
    Column("headers", Text, nullable=False),  # JSON pairs [name, base64]
    Column("sealed", LargeBinary, nullable=False),
    Column("timestamp", UtcDateTime),  # the broker's, of the record
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("redriven_at", UtcDateTime),
)
places = Table(
    "places",
    metadata,
    Column("topic", String(1024), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", Count, nullable=False),
    Column("member", String(512), nullable=False),  # who claimed it last; only that member may commit
    Column("claims", Integer, nullable=False),  # claims since the last commit: a crash loop shows here
    Column("touched_at", UtcDateTime, nullable=False),
)
attempts = Table(
    "attempts",
    metadata,
    Column("topic", String(1024), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", Count, primary_key=True),
    Column("count", Integer, nullable=False),
)
spool = Table(
    "spool",
    metadata,
    Column("id", Count, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),  # events, labels
    Column("rows", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # as the archive packs them
    Column("at", UtcDateTime, nullable=False),
    Column("group", String(64), index=True),  # the files that it goes into; null: not yet decided
    Column("leased_until", UtcDateTime),
)
archive = Table(
    "archive",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),  # there is one row at most
    Column("folder", String(32), nullable=False),  # the id of the folder that the spool goes into
)
words = Table(
    "words",
    metadata,
    Column("seq", Count, primary_key=True, autoincrement=False),
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("word", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
baselines = Table(
    "baselines",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("purpose_digest", String(64), primary_key=True),  # a purpose may be longer than an index key
    Column("n", Integer, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("version", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False, index=True),
)
task_reads = Table(
    "task_reads",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("task_id", String(512), primary_key=True),  # as `in_key` writes it
    Column("session_id", String(512), primary_key=True),
    Column("weight", Float, nullable=False),  # of the most sensitive kind: which sessions matter most
    Column("body", Text, nullable=False),
    Column("touched_at", UtcDateTime, nullable=False, index=True),
    Index("ix_task_reads_tenant_id_task_id_weight", "tenant_id", "task_id", "weight", "session_id"),
)
departures = Table(
    "departures",
    metadata,
    Column("calibration", String(64), primary_key=True),  # its version
    Column("body", Text, nullable=False),
    Column("touched_at", UtcDateTime, nullable=False),
)

envelopes = Table(
    "envelopes",
    metadata,
    Column("tenant_id", String(512), primary_key=True),
    Column("session_id", String(512), primary_key=True),
    Column("body", Text, nullable=False),  # redacted
    Column("digest", String(64), nullable=False),  # of the envelope as it was registered
    Column("source", String(16), nullable=False),  # control, whose word is final, or topic
    Column("at", UtcDateTime, nullable=False, index=True),
)
waiting = Table(
    "waiting",
    metadata,
    Column("topic", String(1024), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", Count, primary_key=True),
    Column("entry", Integer, primary_key=True),  # which decision of the record
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("record_key", LargeBinary),
    Column("headers", Text, nullable=False),  # JSON pairs [name, base64]
    Column("sealed", LargeBinary, nullable=False),  # the record's untouched value
    Column("stamped_at", UtcDateTime),  # the broker's time
    Column("since", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),  # how often judging it was begun
    Index("ix_waiting_tenant_id_session_id", "tenant_id", "session_id"),
    Index("ix_waiting_since", "since"),
)
