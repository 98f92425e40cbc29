"""Revocation that reaches every gateway: causes, delegation, peers, self-tests, cursors of the pushing faces."""

import json

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "0004"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("control_ledger") as table:
        table.add_column(sa.Column("cause", sa.String(512), nullable=True))
    op.create_table(
        "control_delegation",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("parent_session_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "parent_session_id", "session_id", name="pk_control_delegation"),
    )
    op.create_index(
        "ix_control_delegation_tenant_id_session_id", "control_delegation", ["tenant_id", "session_id"]
    )
    op.create_table(
        "control_peer",
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("principal_id", sa.String(512), nullable=False),
        sa.Column("instance", sa.String(128), nullable=False),
        sa.Column("tenants", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("transport", sa.String(16), nullable=False),
        sa.Column("lag_s", sa.Integer(), nullable=False),
        sa.Column("first_seen", UtcDateTime(), nullable=False),
        sa.Column("last_seen", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("role", "principal_id", "instance", name="pk_control_peer"),
    )
    op.create_table(
        "control_self_test",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("deadline_at", UtcDateTime(), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=True),
        sa.Column("decided", sa.String(16), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=True),
        sa.Column("refused_at", UtcDateTime(), nullable=True),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_control_self_test"),
    )
    op.create_index("ix_control_self_test_tenant_id_session_id", "control_self_test", ["tenant_id", "session_id"])
    op.create_index("ix_control_self_test_result", "control_self_test", ["result"])
    op.create_table(
        "control_cursor",
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_control_cursor"),
    )
    _follow_registered()


def _follow_registered() -> None:
    """What envelopes registered before this revision say of their parents."""
    connection = op.get_bind()
    known = sa.table("control_envelope", *map(sa.column, ("tenant_id", "session_id", "envelope")))
    lines = sa.table("control_delegation", *map(sa.column, ("tenant_id", "parent_session_id", "session_id")))
    told = {
        (row.tenant_id, parent, row.session_id)
        for row in connection.execute(sa.select(known))
        if (parent := json.loads(row.envelope).get("parent_session_id"))
    }
    names = ("tenant_id", "parent_session_id", "session_id")
    for line in sorted(told):
        connection.execute(sa.insert(lines).values(**dict(zip(names, line, strict=True))))
