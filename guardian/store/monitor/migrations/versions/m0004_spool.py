"""What waits to be archived."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "m0004"
down_revision = "m0002"


def upgrade() -> None:
    op.create_table(
        "spool",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("group", sa.String(64)),
        sa.Column("leased_until", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_spool"),
    )
    op.create_index("ix_spool_group", "spool", ["group"])
