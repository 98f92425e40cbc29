"""Model versions by tenant: what one tenant's findings name restrains nothing of another's."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("control_model") as table:
        table.add_column(sa.Column("tenant_id", sa.String(512), nullable=False, server_default="*"))
        table.drop_constraint("pk_control_model", type_="primary")
        table.create_primary_key("pk_control_model", ["tenant_id", "version"])
    with op.batch_alter_table("control_model") as table:
        table.alter_column("tenant_id", existing_type=sa.String(512), existing_nullable=False, server_default=None)
