"""Indexes by which what is old is found, in place of one that nothing read."""

from alembic import op

revision = "m0006"
down_revision = "m0005"


def upgrade() -> None:
    op.drop_index("ix_findings_tenant_id_kind_at", "findings")
    op.create_index("ix_findings_at", "findings", ["at"])
    op.create_index("ix_agents_touched_at", "agents", ["touched_at"])
