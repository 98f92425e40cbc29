"""How often an exception, and no person, made a session's evidence start afresh."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("control_session") as table:
        table.add_column(sa.Column("freshened", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("control_session") as table:
        table.drop_column("freshened")
