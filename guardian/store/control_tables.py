"""The control database's tables. The revisions in `migrations_control/` build exactly these."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from guardian.store.engine import NAMING, UtcDateTime

metadata = MetaData(naming_convention=NAMING)

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
    Column("findings", Integer, nullable=False),
    Column("last_word", String(32)),
    Column("last_word_at", UtcDateTime),
    Column("restarted_at", UtcDateTime),
    Column("restarts", Integer, nullable=False, default=0, server_default="0"),
    Column("freshened", Integer, nullable=False, default=0, server_default="0"),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    UniqueConstraint("tenant_id", "session_id"),
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
    Index(None, "tenant_id", "session_id"),
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
    Index(None, "tenant_id", "subject_type", "subject_id"),
    Index(None, "tenant_id", "cause"),
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

audit = Table(
    "control_audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)

alert = Table(
    "control_alert",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("case_key", Text, nullable=False),
    Column("idempotency_key", String(64), nullable=False, unique=True),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("claimed_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("remote", Text),
    Column("last_error", Text, nullable=False),
    Index(None, "state", "next_at"),
    Index(None, "case_key"),
)

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
    Index(None, "tenant_id", "session_id"),
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
    PrimaryKeyConstraint("tenant_id", "session_id", "version"),
    UniqueConstraint("tenant_id", "session_id", "digest"),
    Index(None, "tenant_id", "at"),
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

# Signed statements about the audit trail up to an entry; copies are exported.
checkpoint = Table(
    "control_checkpoint",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
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

# How far each face that leaves this process has brought the ledger (and the findings) to its receiver.
cursor = Table(
    "control_cursor",
    metadata,
    Column("name", String(512), primary_key=True),  # with a topic's name in it, and what is brought over
    Column("epoch", Integer, nullable=False),
    Column("n", Integer, nullable=False),
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
    Index(None, "status", "next_at"),
    Index(None, "tenant_id", "session_id"),
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

# Which entries of the audit trail are about a session: for looking them up, and believed for nothing else.
audit_about = Table(
    "control_audit_about",
    metadata,
    Column("tenant_id", String(512), nullable=False),
    Column("session_id", String(512), nullable=False),
    Column("seq", Integer, nullable=False, autoincrement=False),
    PrimaryKeyConstraint("tenant_id", "session_id", "seq"),
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
