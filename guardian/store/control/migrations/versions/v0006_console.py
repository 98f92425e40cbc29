"""The evidence pages: who is signed in to them, and which audit entries are about a session."""

import json

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0006"
down_revision = "0005"

_AT_ONCE = 2000


def upgrade() -> None:
    op.create_table(
        "control_audit_about",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "seq", name="pk_control_audit_about"),
    )
    op.create_table(
        "control_visit",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("jti", sa.String(512), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_control_visit"),
    )
    _look_back()


def _look_back() -> None:
    """The entries that are there already."""
    connection = op.get_bind()
    about = sa.table("control_audit_about", *map(sa.column, ("tenant_id", "session_id", "seq")))
    after = 0
    while True:
        wanted = sa.text("SELECT seq, record FROM control_audit WHERE seq > :after ORDER BY seq LIMIT :most")
        rows = connection.execute(wanted, {"after": after, "most": _AT_ONCE}).all()
        if not rows:
            return
        after = rows[-1].seq
        found = [
            {"tenant_id": told["tenant_id"], "session_id": told["session_id"], "seq": row.seq}
            for row in rows
            if isinstance(told := _record(row.record), dict)
            and _fits(told.get("tenant_id"))
            and _fits(told.get("session_id"))
        ]
        if found:
            connection.execute(about.insert(), found)


def _fits(name: object) -> bool:
    """What no column of PostgreSQL's can hold names no session: such an entry is found in the trail alone."""
    return isinstance(name, str) and len(name) <= 512 and "\x00" not in name


def _record(text: str) -> object:
    try:
        return json.loads(text)
    except (TypeError, ValueError):  # damaged: the verification of the trail says so, an upgrade does not stop
        return None
