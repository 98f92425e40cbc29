"""Of what is urgent, and of the rest, each tenant's alerts wait in a lane of their own."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_AT_ONCE = 1000


def upgrade() -> None:
    op.add_column("control_delivery", sa.Column("rank", sa.SmallInteger(), nullable=False, server_default="1"))
    op.add_column("control_delivery", sa.Column("lane", sa.String(512), nullable=False, server_default=""))
    _fill(op.get_bind())
    op.drop_index("ix_control_delivery_channel_state_next_at_alert_id", "control_delivery")
    order = ["channel", "state", "rank", "lane", "next_at", "alert_id"]
    op.create_index(f"ix_control_delivery_{'_'.join(order)}", "control_delivery", order)


def _fill(connection: sa.Connection) -> None:
    """What is still to be sent, or waits for people, gets its turn; what was sent needs none."""
    sends = sa.table("control_delivery", *map(sa.column, ("alert_id", "state", "rank", "lane")))
    alert = sa.table("control_alert", *map(sa.column, ("id", "payload")))
    waits = sa.select(sends.c.alert_id).where(sends.c.state.in_(["pending", "sending", "parked"]))
    wanted = sa.select(alert.c.id, alert.c.payload).where(alert.c.id.in_(waits)).order_by(alert.c.id)
    change = sa.update(sends).where(sends.c.alert_id == sa.bindparam("its_id"))
    change = change.values(rank=sa.bindparam("its_rank"), lane=sa.bindparam("its_lane"))
    after = 0
    while rows := connection.execute(wanted.where(alert.c.id > after).limit(_AT_ONCE)).all():
        connection.execute(change, [{"its_id": row.id} | _turn(row.payload) for row in rows])
        after = rows[-1].id


def _turn(payload: str) -> dict[str, object]:
    try:
        finding = json.loads(payload)["finding"]
        urgent = finding["wanted"] == "revoke" or finding["severity"] in ("high", "critical")
        return {"its_rank": 0 if urgent else 1, "its_lane": str(finding["tenant_id"])}
    except (ValueError, TypeError, KeyError):  # it is parked when it is read
        return {"its_rank": 1, "its_lane": ""}
