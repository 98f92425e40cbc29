"""Guardian's own authority: approvals, break-glass, breakers, registered envelopes, models, checkpoints."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("control_mode") as table:
        table.add_column(sa.Column("canary_percent", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("control_change") as table:
        table.add_column(sa.Column("detail", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "control_approval",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=True),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("proposer", sa.Text(), nullable=False),
        sa.Column("proposer_role", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("finding_id", sa.Text(), nullable=True),
        sa.Column("policy_ids", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_control_approval"),
        sa.UniqueConstraint("id", name="uq_control_approval_id"),
    )
    op.create_index("ix_control_approval_state_expires_at", "control_approval", ["state", "expires_at"])
    op.create_index("ix_control_approval_tenant_id_state", "control_approval", ["tenant_id", "state"])
    op.create_table(
        "control_break_glass",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("principal_id", sa.String(512), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_control_break_glass"),
    )
    op.create_index(
        "ix_control_break_glass_tenant_id_principal_id", "control_break_glass", ["tenant_id", "principal_id"]
    )
    op.create_table(
        "control_breaker",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("tripped_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reset_at", UtcDateTime(), nullable=True),
        sa.Column("reset_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_control_breaker"),
    )
    op.create_table(
        "control_envelope",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("registered_by", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "version", name="pk_control_envelope"),
        sa.UniqueConstraint(
            "tenant_id", "session_id", "digest", name="uq_control_envelope_tenant_id_session_id_digest"
        ),
    )
    op.create_index("ix_control_envelope_tenant_id_at", "control_envelope", ["tenant_id", "at"])
    op.create_table(
        "control_model",
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("first_seen", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_control_model"),
    )
    op.create_table(
        "control_checkpoint",
        sa.Column("size", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_control_checkpoint"),
    )
