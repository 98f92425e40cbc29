"""What became of a finding is an alert that follows the one about the finding."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("control_alert", sa.Column("follows", sa.Integer()))
    op.create_index("ix_control_alert_follows", "control_alert", ["follows"])
