"""Of what is urgent, and of the rest, each tenant's findings wait in a lane of their own."""

import sqlalchemy as sa
from alembic import op

revision = "m0012"
down_revision = "m0011"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("lane", sa.String(512), nullable=False, server_default=""))
    op.execute(
        "UPDATE outbox SET lane = (SELECT tenant_id FROM findings WHERE findings.id = outbox.ref)"
        " WHERE state IN ('due', 'parked') AND kind = 'finding'"
        " AND EXISTS (SELECT 1 FROM findings WHERE findings.id = outbox.ref)"
    )
    op.drop_index("ix_outbox_state_kind_rank_next_at_attempts", "outbox")
    in_order = ["state", "kind", "rank", "lane", "next_at", "attempts"]
    op.create_index("ix_outbox_state_kind_rank_lane_next_at_attempts", "outbox", in_order)
