"""The monitor's first schema."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "m0001"
down_revision = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(length: int = 512) -> sa.String:
    return sa.String(length)


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("tenant_id", _name(), nullable=False),
        sa.Column("session_id", _name(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stage", _name(16), nullable=False),
        sa.Column("word", _name(32)),
        sa.Column("learned", sa.SmallInteger(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_learned_touched_at", "sessions", ["learned", "touched_at"])
    op.create_table(
        "seen",
        sa.Column("tenant_id", _name(), nullable=False),
        sa.Column("gateway", _name(), nullable=False),
        sa.Column("decision_id", _name(), nullable=False),
        sa.Column("digest", _name(128), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "gateway", "decision_id", name="pk_seen"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_seen_at", "seen", ["at"])
    op.create_table(
        "agents",
        sa.Column("tenant_id", _name(), nullable=False),
        sa.Column("agent_id", _name(), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "agent_id", name="pk_agents"),
    )
    op.create_table(
        "findings",
        sa.Column("id", _name(), nullable=False),
        sa.Column("tenant_id", _name(), nullable=False),
        sa.Column("session_id", _name(), nullable=False),
        sa.Column("kind", _name(32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
    )
    op.create_index("ix_findings_tenant_id_kind_at", "findings", ["tenant_id", "kind", "at"])
    op.create_table(
        "outbox",
        sa.Column("id", _COUNT, autoincrement=True, nullable=False),
        sa.Column("kind", _name(32), nullable=False),
        sa.Column("ref", _name(1024), nullable=False),
        sa.Column("state", _name(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("uq_outbox_kind_ref", "outbox", ["kind", "ref"], unique=True)
    op.create_index("ix_outbox_state_next_at", "outbox", ["state", "next_at"])
    op.create_table(
        "dead_letters",
        sa.Column("id", _name(1024), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", _COUNT, nullable=False),
        sa.Column("code", _name(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tenant_id", _name()),
        sa.Column("session_id", _name()),
        sa.Column("gateway", _name(), nullable=False),
        sa.Column("record_key", sa.LargeBinary()),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("redriven_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
    )
    op.create_index("ix_dead_letters_at", "dead_letters", ["at"])
    op.create_index("ix_dead_letters_expires_at", "dead_letters", ["expires_at"])
    op.create_table(
        "places",
        sa.Column("topic", _name(1024), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", _COUNT, nullable=False),
        sa.Column("member", _name(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="pk_places"),
    )
    op.create_table(
        "attempts",
        sa.Column("topic", _name(1024), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", _COUNT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", "offset", name="pk_attempts"),
    )
    op.create_table(
        "words",
        sa.Column("seq", _COUNT, autoincrement=False, nullable=False),
        sa.Column("tenant_id", _name(), nullable=False),
        sa.Column("session_id", _name(), nullable=False),
        sa.Column("word", _name(32), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_words"),
    )
    op.create_table(
        "baselines",
        sa.Column("tenant_id", _name(), nullable=False),
        sa.Column("purpose_digest", _name(64), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("version", _name(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "purpose_digest", "n", name="pk_baselines"),
    )
