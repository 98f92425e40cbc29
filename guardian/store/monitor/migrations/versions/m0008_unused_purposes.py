"""An index by which baselines of purposes are found that nobody has had for long."""

from alembic import op

revision = "m0008"
down_revision = "m0007"


def upgrade() -> None:
    op.create_index("ix_baselines_published_at", "baselines", ["published_at"])
