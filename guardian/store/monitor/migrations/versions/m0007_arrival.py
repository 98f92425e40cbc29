"""When the record of a dead letter came, for the day on which it is sent again."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "m0007"
down_revision = "m0006"


def upgrade() -> None:
    op.add_column("dead_letters", sa.Column("timestamp", UtcDateTime))
