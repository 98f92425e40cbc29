"""The security team's queue: cases as a channel shows them, their timeline, and exceptions."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "control_case",
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("place", sa.String(64), nullable=True),
        sa.Column("folded_into", sa.String(128), nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("shown", sa.String(64), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=True),
        sa.Column("replied_at", UtcDateTime(), nullable=True),
        sa.Column("acted_at", UtcDateTime(), nullable=True),
        sa.Column("escalated_at", UtcDateTime(), nullable=True),
        sa.Column("snoozed_until", UtcDateTime(), nullable=True),
        sa.Column("snoozed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_control_case"),
    )
    op.create_index("ix_control_case_status_next_at", "control_case", ["status", "next_at"])
    op.create_index("ix_control_case_tenant_id_session_id", "control_case", ["tenant_id", "session_id"])
    op.create_table(
        "control_case_event",
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "n", name="pk_control_case_event"),
    )
    op.create_table(
        "control_followed",
        sa.Column("feed", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("feed", name="pk_control_followed"),
    )
    op.create_table(
        "control_exception",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("tool", sa.String(512), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("finding_id", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_control_exception"),
        sa.UniqueConstraint("id", name="uq_control_exception_id"),
    )
    op.create_index("ix_control_exception_tenant_id", "control_exception", ["tenant_id"])
    # What people were told before there were cases is not told again.
    op.execute("INSERT INTO control_followed SELECT 'alerts', COALESCE(MAX(id), 0) FROM control_alert")
    op.execute("INSERT INTO control_followed SELECT 'audit', COALESCE(MAX(seq), 0) FROM control_audit")
    op.execute("INSERT INTO control_followed SELECT 'changes', COALESCE(MAX(seq), 0) FROM control_change")
