"""When people last cleared a session of all that they had been told of it."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    with op.batch_alter_table("control_session") as table:
        table.add_column(sa.Column("cleared_at", UtcDateTime(), nullable=True))
    session = sa.table("control_session", sa.column("cleared_at"), sa.column("restarted_at"))
    op.execute(session.update().values(cleared_at=session.c.restarted_at))  # until now every word did
