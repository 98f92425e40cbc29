"""How far a session's giving back has come with what followed from it: not all of it is given back at once."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    op.drop_index("ix_control_ledger_tenant_id_cause", "control_ledger")
    op.drop_table("control_lifting")
