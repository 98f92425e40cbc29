"""Which folder is the archive of what waits in the spool."""

import sqlalchemy as sa
from alembic import op

revision = "m0013"
down_revision = "m0012"


def upgrade() -> None:
    op.create_table(
        "archive",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("folder", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_archive"),
    )
