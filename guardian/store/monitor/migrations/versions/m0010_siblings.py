"""An index by which the most sensitive sessions of a task are found, however many it has."""

from alembic import op

revision = "m0010"
down_revision = "m0009"


def upgrade() -> None:
    in_order = ["tenant_id", "task_id", "weight", "session_id"]
    op.create_index("ix_task_reads_tenant_id_task_id_weight", "task_reads", in_order)
