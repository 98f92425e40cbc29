"""What asks for revocation, or is critical, is delivered before all other findings."""

import sqlalchemy as sa
from alembic import op

revision = "m0011"
down_revision = "m0010"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("rank", sa.SmallInteger, nullable=False, server_default="1"))
    op.drop_index("ix_outbox_state_kind_next_at_attempts", "outbox")
    in_order = ["state", "kind", "rank", "next_at", "attempts"]
    op.create_index("ix_outbox_state_kind_rank_next_at_attempts", "outbox", in_order)
