"""Inserting rows whose key may be there already: `ON CONFLICT`, which both databases have and SQL does not."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Row = dict[str, Any]


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert the rows whose key is not there yet; the others stay as they are."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    over: ColumnElement[bool] | None = None,
    keep: Collection[str] = (),
) -> None:
    """Insert the rows, each over the one with its key where there is one.

    With `over` only such rows are replaced and the others stay; the columns in `keep` stay in any case.
    """
    if rows:
        statement = _insert(connection, table)
        key = [column.name for column in table.primary_key.columns]
        newer = {name: statement.excluded[name] for name in rows[0] if name not in {*key, *keep}}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=newer, where=over), list(rows))


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
