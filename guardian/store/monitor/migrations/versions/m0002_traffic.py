"""What the sessions of one task have read, and whether traffic has left the calibration."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "m0002"
down_revision = "m0001"


def upgrade() -> None:
    op.create_table(
        "task_reads",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("task_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "task_id", "session_id", name="pk_task_reads"),
    )
    op.create_index("ix_task_reads_touched_at", "task_reads", ["touched_at"])
    op.create_table(
        "departures",
        sa.Column("calibration", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("calibration", name="pk_departures"),
    )
