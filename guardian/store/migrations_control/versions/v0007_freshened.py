"""How often an exception, and no person, made a session's evidence start afresh."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("control_session") as table:
        table.add_column(sa.Column("freshened", sa.Integer(), nullable=False, server_default="0"))
    session = sa.table(
        "control_session", *(sa.column(name) for name in ("tenant_id", "session_id", "restarts", "freshened"))
    )
    change = sa.table("control_change", *(sa.column(name) for name in ("tenant_id", "session_id", "word")))
    fresh = (
        sa.select(sa.func.count())
        .where(
            change.c.tenant_id == session.c.tenant_id,
            change.c.session_id == session.c.session_id,
            change.c.word.in_(("reinstated", "false_positive")),
        )
        .scalar_subquery()
    )
    op.execute(  # what exceptions did until now
        session.update().where(fresh > session.c.restarts).values(freshened=fresh - session.c.restarts)
    )


def downgrade() -> None:
    with op.batch_alter_table("control_session") as table:
        table.drop_column("freshened")
