"""How far a pushing face came: a name as long as a topic's may be, and nothing that nobody reads."""

import sqlalchemy as sa
from alembic import op

from guardian.store.engine import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with op.batch_alter_table("control_cursor") as table:
        table.alter_column("name", existing_type=sa.String(256), type_=sa.String(512), existing_nullable=False)
        for unread in ("failures", "last_error", "at"):
            table.drop_column(unread)


def downgrade() -> None:
    began = sa.text("'1970-01-01 00:00:00+00'")
    with op.batch_alter_table("control_cursor") as table:
        table.alter_column("name", existing_type=sa.String(512), type_=sa.String(256), existing_nullable=False)
        table.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("last_error", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("at", UtcDateTime(), nullable=False, server_default=began))
