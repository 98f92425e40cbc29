"""What became of findings by one act can be told as one: each such alert names the act."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("control_alert", sa.Column("act", sa.String(64)))
    op.create_index("ix_control_alert_act", "control_alert", ["act"])
