"""Finding whose tokens were withdrawn, and what a digest listed lately, among very many."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    mine = ["principal_id", "revoked_at"]
    op.create_index("ix_control_token_principal_id_revoked_at", "control_token", mine)
    op.create_index("ix_control_case_tenant_id_replied_at", "control_case", ["tenant_id", "replied_at"])
