"""Who has taken a case, and since when."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("control_case", sa.Column("taken_by", sa.Text()))
    op.add_column("control_case", sa.Column("taken_at", UtcDateTime()))
