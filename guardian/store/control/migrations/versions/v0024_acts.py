"""What became of findings by one act can be told as one: each such delivery names the act."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("control_delivery", sa.Column("act", sa.String(64)))
    op.create_index(
        "ix_control_delivery_act",
        "control_delivery",
        ["act", "channel", "state", "claimed_at", "next_at", "alert_id"],
        sqlite_where=sa.text("act IS NOT NULL"),
        postgresql_where=sa.text("act IS NOT NULL"),
    )
