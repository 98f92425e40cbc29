"""How far a revocation has come with what the session delegated: not all of it follows in one transaction."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "control_descent",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name="pk_control_descent"),
    )
