"""Sessions by whom they act under, findings by what they name, and the audit trail by who did what and when."""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from guardian.store.columns import InKey, UtcDateTime, in_key

revision = "0022"
down_revision = "0021"

_NAMES = ("agent_id", "task_id", "delegator_id")
_AT_ONCE = 1000
_MOST = 64
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    for name in _NAMES:
        op.add_column("control_session", sa.Column(f"{name}_key", InKey, nullable=True))
    op.create_table(
        "control_finding_about",
        sa.Column("what", InKey, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("tenant_id", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("what", "seq", "tenant_id", name="pk_control_finding_about"),
    )
    op.create_table(
        "control_audit_told",
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", InKey, nullable=False),
        sa.Column("action", InKey, nullable=False),
        sa.Column("tenant_id", InKey),
        sa.PrimaryKeyConstraint("seq", name="pk_control_audit_told"),
    )
    connection = op.get_bind()
    _key_sessions(connection)
    _look_into_findings(connection)
    _look_into_trail(connection)
    op.create_index("ix_control_session_session_id", "control_session", ["session_id"])
    for name in _NAMES:
        _index("control_session", f"{name}_key", "seq", "tenant_id", "flagged")
    for columns in (
        ("at", "seq", "tenant_id", "actor", "action"),
        ("actor", "at", "seq", "tenant_id", "action"),
        ("tenant_id", "at", "seq", "actor", "action"),
    ):
        _index("control_audit_told", *columns)
    op.create_index(
        "ix_control_finding_unjudged",
        "control_finding",
        ["seq", "tenant_id", "kind", "effect"],
        sqlite_where=sa.text("verdict IS NULL"),
        postgresql_where=sa.text("verdict IS NULL"),
    )


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _raw(connection: sa.Connection, name: str) -> sa.ColumnElement[Any]:
    """A text as it lies there: in SQLite one that was damaged need be no UTF-8, and would not be read at all."""
    text = sa.column(name, sa.Text)
    return sa.cast(text, sa.LargeBinary).label(name) if connection.dialect.name == "sqlite" else text


def _key_sessions(connection: sa.Connection) -> None:
    keys = (sa.column(f"{name}_key", InKey) for name in _NAMES)
    known = sa.table("control_session", sa.column("seq"), *map(sa.column, _NAMES), *keys)
    change = sa.update(known).where(known.c.seq == sa.bindparam("its_seq"))
    change = change.values({f"{name}_key": sa.bindparam(f"told_{name}") for name in _NAMES})
    wanted, after = sa.select(known).order_by(known.c.seq).limit(_AT_ONCE), 0
    while rows := connection.execute(wanted.where(known.c.seq > after)).all():
        told = [{f"told_{name}": getattr(row, name) for name in _NAMES} | {"its_seq": row.seq} for row in rows]
        connection.execute(change, told)
        after = rows[-1].seq


def _look_into_findings(connection: sa.Connection) -> None:
    about = sa.table("control_finding_about", *map(sa.column, ("what", "seq", "tenant_id")))
    after = 0
    seq, lies = sa.column("seq", sa.Integer), _raw(connection, "finding")
    wanted = sa.select(seq, sa.column("tenant_id"), lies).select_from(sa.table("control_finding")).order_by(seq)
    while rows := connection.execute(wanted.where(seq > after).limit(200)).all():
        found = [
            {"what": what, "seq": row.seq, "tenant_id": row.tenant_id}
            for row in rows
            for what in sorted(_named(row.finding))
        ]
        if found:
            connection.execute(about.insert(), found)
        after = rows[-1].seq


def _named(text: str | bytes) -> set[str]:
    """As `FindingRows.add` writes it down; nothing of what cannot be read."""
    try:
        told = json.loads(text)
        agent = (told.get("subject") or {}).get("agent_id")
        names = [] if agent is None else [f"agent:{agent}"]
        names += [f"breach:{each['name']}" for each in told.get("breaches", [])[:_MOST]]
        names += [f"signal:{each['signal']}" for each in told.get("reasons", [])[:_MOST]]
        return {in_key(_storable(name)) for name in names}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return set()


def _look_into_trail(connection: sa.Connection) -> None:
    at = sa.column("at", UtcDateTime)
    told = sa.table("control_audit_told", *map(sa.column, ("seq", "actor", "action", "tenant_id")), at)
    after = 0
    seq, lies = sa.column("seq", sa.Integer), _raw(connection, "record")
    wanted = sa.select(seq, lies).select_from(sa.table("control_audit")).order_by(seq).limit(_AT_ONCE)
    while rows := connection.execute(wanted.where(seq > after)).all():
        connection.execute(told.insert(), [{"seq": row.seq, **_told(row.record)} for row in rows])
        after = rows[-1].seq


def _told(text: str | bytes) -> dict[str, Any]:
    """As `AuditRows.append` writes it down; a damaged entry stays to be found by nobody's name."""
    try:
        record = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        record = {}
    try:
        at = datetime.fromisoformat(record["at"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        at = _NO_TIME
    names = {name: _name(record.get(name)) for name in ("actor", "action", "tenant_id")}
    return {"at": at, **names, "actor": names["actor"] or "", "action": names["action"] or ""}


def _name(told: object) -> str | None:
    return in_key(_storable(told)) if isinstance(told, str) else None


def _storable(name: str) -> str:
    """Without NUL, which PostgreSQL cannot store, and halves of pairs, which no database can."""
    return name.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
