"""How far a pushing face came: a name as long as a topic's may be, and nothing that nobody reads."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with op.batch_alter_table("control_cursor") as table:
        table.alter_column("name", existing_type=sa.String(256), type_=sa.String(512), existing_nullable=False)
        for unread in ("failures", "last_error", "at"):
            table.drop_column(unread)
