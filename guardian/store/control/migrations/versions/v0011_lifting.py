"""How far giving back has come with what followed from a session, and finding what is about one session."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "control_lifting",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name="pk_control_lifting"),
    )
    op.create_index("ix_control_ledger_tenant_id_cause", "control_ledger", ["tenant_id", "cause"])
    op.create_index("ix_control_approval_tenant_id_session_id", "control_approval", ["tenant_id", "session_id"])
