"""What registered sessions act under, and what was lately decided about one, found without reading all of it."""

import json

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import InKey

revision = "0019"
down_revision = "0018"

_NAMES = ("agent_id", "task_id", "delegator_id")
_AT_ONCE = 1000


def upgrade() -> None:
    for name in _NAMES:
        op.add_column("control_envelope", sa.Column(name, InKey, nullable=True))
    _fill(op.get_bind())
    for names in (["agent_id", "delegator_id"], ["task_id", "delegator_id"], ["delegator_id"]):
        columns = ["tenant_id", *names]
        op.create_index(f"ix_control_envelope_{'_'.join(columns)}", "control_envelope", columns)
    lately = ["tenant_id", "session_id", "expires_at"]
    op.create_index(f"ix_control_approval_{'_'.join(lately)}", "control_approval", lately)
    op.drop_index("ix_control_approval_tenant_id_session_id", "control_approval")


def _fill(connection: sa.Connection) -> None:
    key = ("tenant_id", "session_id", "version")
    names = (sa.column(name, InKey) for name in _NAMES)
    known = sa.table("control_envelope", *map(sa.column, (*key, "envelope")), *names)
    place = sa.tuple_(*(known.c[name] for name in key))
    this = [known.c[name] == sa.bindparam(f"its_{name}") for name in key]
    told = sa.update(known).where(*this).values({name: sa.bindparam(f"told_{name}") for name in _NAMES})
    after = ("", "", 0)
    while rows := connection.execute(sa.select(known).where(place > after).order_by(*place).limit(_AT_ONCE)).all():
        connection.execute(
            told,
            [
                {f"its_{name}": getattr(row, name) for name in key}
                | {f"told_{name}": json.loads(row.envelope).get(name) for name in _NAMES}
                for row in rows
            ],
        )
        after = rows[-1].tenant_id, rows[-1].session_id, rows[-1].version
