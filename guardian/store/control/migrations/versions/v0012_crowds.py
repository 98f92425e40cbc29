"""Finding the cases of a crowd, and those that a digest lists, among very many."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index("ix_control_case_tenant_id_opened_at", "control_case", ["tenant_id", "opened_at"])
    due = ["tenant_id", "status", "opened_at"]
    op.create_index("ix_control_case_tenant_id_status_opened_at", "control_case", due)
    op.create_index("ix_control_case_folded_into", "control_case", ["folded_into"])
