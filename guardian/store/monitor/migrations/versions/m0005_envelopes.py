"""Envelopes that logs do not carry, and the records that wait for theirs."""

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import UtcDateTime

revision = "m0005"
down_revision = "m0004"

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "envelopes",
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name="pk_envelopes"),
    )
    op.create_index("ix_envelopes_at", "envelopes", ["at"])
    op.create_table(
        "waiting",
        sa.Column("topic", sa.String(1024), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", _COUNT, nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.Column("session_id", sa.String(512), nullable=False),
        sa.Column("record_key", sa.LargeBinary()),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("stamped_at", UtcDateTime()),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", "offset", "entry", name="pk_waiting"),
    )
    op.create_index("ix_waiting_tenant_id_session_id", "waiting", ["tenant_id", "session_id"])
    op.create_index("ix_waiting_since", "waiting", ["since"])
