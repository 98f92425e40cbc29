"""An index by which what is due of one kind is found, however much of the other waits."""

from alembic import op

revision = "m0009"
down_revision = "m0008"


def upgrade() -> None:
    op.drop_index("ix_outbox_state_next_at", "outbox")
    op.create_index("ix_outbox_state_kind_next_at_attempts", "outbox", ["state", "kind", "next_at", "attempts"])
