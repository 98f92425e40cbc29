"""Which signing keys are retired, for every process; and which certificate a token is bound to."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "control_retired_key",
        sa.Column("kid", sa.String(512), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_control_retired_key"),
    )
    op.add_column("control_token", sa.Column("certificate", sa.String(64), nullable=True))
