"""The first schema of the control database."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "control_head",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("writes", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("epoch_at", UtcDateTime(), nullable=False),
        sa.Column("change_seq", sa.Integer(), nullable=False),
        sa.Column("audit_seq", sa.Integer(), nullable=False),
        sa.Column("audit_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_control_head"),
    )
    op.create_table(
        "control_session",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("delegator_id", sa.Text(), nullable=True),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("last_word", sa.String(32), nullable=True),
        sa.Column("last_word_at", UtcDateTime(), nullable=True),
        sa.Column("restarted_at", UtcDateTime(), nullable=True),
        sa.Column("restarts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("first_seen", UtcDateTime(), nullable=False),
        sa.Column("last_seen", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_control_session"),
        sa.UniqueConstraint("tenant_id", "session_id", name="uq_control_session_tenant_id_session_id"),
    )
    op.create_table(
        "control_finding",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("effect", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_control_finding"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_control_finding_tenant_id_id"),
    )
    op.create_index("ix_control_finding_tenant_id_session_id", "control_finding", ["tenant_id", "session_id"])
    op.create_table(
        "control_ledger",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("subject_type", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.String(512), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason_code", sa.String(128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("finding_id", sa.Text(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "n", name="pk_control_ledger"),
    )
    op.create_index("ix_control_ledger_tenant_id_automatic_at", "control_ledger", ["tenant_id", "automatic", "at"])
    op.create_index(
        "ix_control_ledger_tenant_id_subject_type_subject_id",
        "control_ledger",
        ["tenant_id", "subject_type", "subject_id"],
    )
    op.create_table(
        "control_live",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("subject_type", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.String(512), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "subject_type", "subject_id", name="pk_control_live"),
    )
    op.create_index("ix_control_live_expires_at", "control_live", ["expires_at"])
    op.create_table(
        "control_mode",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_control_mode"),
    )
    op.create_table(
        "control_change",
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("word", sa.String(32), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_control_change"),
    )
    op.create_table(
        "control_audit",
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_control_audit"),
    )
    op.create_table(
        "control_alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("case_key", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.String(64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("remote", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_control_alert"),
        sa.UniqueConstraint("idempotency_key", name="uq_control_alert_idempotency_key"),
    )
    op.create_index("ix_control_alert_case_key", "control_alert", ["case_key"])
    op.create_index("ix_control_alert_state_next_at", "control_alert", ["state", "next_at"])
    op.create_table(
        "control_token",
        sa.Column("jti", sa.String(512), nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("tenants", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("jti", name="pk_control_token"),
    )
    op.create_table(
        "control_idempotency",
        sa.Column("principal_id", sa.String(512), nullable=False),
        sa.Column("key", sa.String(256), nullable=False),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "key", name="pk_control_idempotency"),
    )
    op.create_index("ix_control_idempotency_at", "control_idempotency", ["at"])
