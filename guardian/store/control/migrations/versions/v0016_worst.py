"""How severe the worst is of what still accuses a session, beside its flag, and the most pressing found by it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_FILL = """
UPDATE control_session SET worst = coalesce((
  SELECT max(CASE
    WHEN finding LIKE '%"severity":"info"%' THEN 0
    WHEN finding LIKE '%"severity":"low"%' THEN 1
    WHEN finding LIKE '%"severity":"medium"%' THEN 2
    WHEN finding LIKE '%"severity":"high"%' THEN 3
    WHEN finding LIKE '%"severity":"critical"%' THEN 4
  END) FROM control_finding AS told
  WHERE told.tenant_id = control_session.tenant_id AND told.session_id = control_session.session_id
    AND kind <> 'control' AND effect <> 'none'
    AND (verdict IS NULL OR verdict LIKE '%"verdict":"confirmed"%')
    AND received_at >= coalesce(CASE kind WHEN 'drift' THEN cleared_at ELSE restarted_at END, received_at)
), 9) WHERE findings > 0
"""


def upgrade() -> None:
    op.add_column("control_session", sa.Column("worst", sa.SmallInteger(), nullable=False, server_default="9"))
    op.execute(_FILL)
    news = sa.text("(CASE WHEN (last_word_at > last_seen) THEN last_word_at ELSE last_seen END)")
    op.create_index(
        "ix_control_session_pressing",
        "control_session",
        ["worst", news, "seq", "tenant_id"],
        sqlite_where=sa.text("flagged = 1"),
        postgresql_where=sa.text("flagged"),
    )
