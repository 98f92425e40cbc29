"""Alerts go to each channel by a queue of its own."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "control_channel",
        sa.Column("name", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_control_channel"),
    )
    op.create_table(
        "control_delivery",
        sa.Column("alert_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=True),
        sa.Column("remote", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "channel", name="pk_control_delivery"),
    )
    # Which channels are configured is not known here: control moves what waits to them when it starts.
    op.execute("INSERT INTO control_channel VALUES ('')")
    op.execute(
        "INSERT INTO control_delivery"
        " (alert_id, channel, state, attempts, next_at, claimed_at, remote, last_error)"
        " SELECT id, '', state, attempts, next_at, claimed_at, remote, last_error FROM control_alert"
    )
    order = ["channel", "state", "next_at", "alert_id"]
    op.create_index("ix_control_delivery_channel_state_next_at_alert_id", "control_delivery", order)
    op.drop_index("ix_control_alert_state_next_at", "control_alert")
    with op.batch_alter_table("control_alert") as table:
        for column in ("state", "attempts", "next_at", "claimed_at", "remote", "last_error"):
            table.drop_column(column)
