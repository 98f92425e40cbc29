"""Of what is urgent, and of the rest, each tenant's alerts wait in a lane of their own."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_AT_ONCE = 1000
_NEWEST = 2**31 - 1


def upgrade() -> None:
    op.add_column("control_delivery", sa.Column("rank", sa.SmallInteger(), nullable=False, server_default="1"))
    op.add_column("control_delivery", sa.Column("lane", sa.String(512), nullable=False, server_default=""))
    _fill(op.get_bind())
    op.drop_index("ix_control_delivery_channel_state_next_at_alert_id", "control_delivery")
    order = ["channel", "state", "rank", "lane", "next_at", "alert_id"]
    op.create_index(f"ix_control_delivery_{'_'.join(order)}", "control_delivery", order)


def _fill(connection: sa.Connection) -> None:
    """What is still to be sent, or waits for people, gets its turn; what was sent needs none. From the newest on:
    what is urgent takes along what waits of its case from before."""
    sends = sa.table("control_delivery", *map(sa.column, ("alert_id", "state", "rank", "lane")))
    alert = sa.table("control_alert", *map(sa.column, ("id", "case_key", "payload")))
    waits = sa.select(sends.c.alert_id).where(sends.c.state.in_(["pending", "sending", "parked"]))
    waits = waits.group_by(sends.c.alert_id).order_by(sends.c.alert_id.desc()).limit(_AT_ONCE)
    change = sa.update(sends).where(sends.c.alert_id == sa.bindparam("its_id"))
    change = change.values(rank=sa.bindparam("its_rank"), lane=sa.bindparam("its_lane"))
    urgent: set[str] = set()
    newest = _NEWEST
    while ids := connection.execute(waits.where(sends.c.alert_id <= newest)).scalars().all():
        turns = []
        for row in connection.execute(sa.select(alert).where(alert.c.id.in_(ids)).order_by(alert.c.id.desc())):
            rank, lane = _turn(row.payload)
            if rank == 0:
                urgent.add(row.case_key)
            its_rank = 0 if row.case_key in urgent else 1
            turns.append({"its_id": row.id, "its_rank": its_rank, "its_lane": lane})
        connection.execute(change, turns)
        newest = ids[-1] - 1


def _turn(payload: str) -> tuple[int, str]:
    try:
        finding = json.loads(payload)["finding"]
        urgent = finding["wanted"] == "revoke" or finding["severity"] in ("high", "critical")
        return 0 if urgent else 1, str(finding["tenant_id"])
    except (ValueError, TypeError, KeyError):  # it is parked when it is read
        return 1, ""
