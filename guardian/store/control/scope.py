"""Rows of some tenants only."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, Subquery, func, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

Scope = Collection[str] | None
"""Tenants to look at; None means every tenant."""

_MUCH = 5000  # rows that are read and sorted in less time than a person notices


def within(column: ColumnElement[str], scope: Scope) -> ColumnElement[bool]:
    """Whether a row's tenant, the `column`, is within `scope`."""
    return true() if scope is None else column.in_(sorted(scope))


def walked_within(connection: Connection, column: ColumnElement[str], scope: Scope) -> ColumnElement[bool]:
    """The same, for the newest few of the rows.

    With the tenant's index SQLite would read and sort everything that the tenant has. Where that is much, it walks
    along the table instead and passes over the rows of others. PostgreSQL decides by its statistics.
    """
    return within(NoIndex(column) if has_much(connection, column, scope) else column, scope)


def has_much(connection: Connection, column: ColumnElement[str], scope: Scope) -> bool:
    """Whether the rows within `scope` are too many to read and sort."""
    if scope is None:
        return True
    return few(connection, select(column).where(within(column, scope))) is None


def few(connection: Connection, wanted: Select[Any]) -> Subquery | None:
    """These rows, None where they are too many to read and sort. For their limit a database reads them by
    themselves, and does not look for each row of another table whether it is among them."""
    some = wanted.limit(_MUCH).subquery()
    found = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return some if found < _MUCH else None


class NoIndex(FunctionElement[str]):
    """A column that SQLite uses no index for (sqlite.org/optoverview.html, disqualifying WHERE terms)."""

    name = "no_index"
    type = String()
    inherit_cache = True


@compiles(NoIndex)
def _as_it_is(element: Any, compiler: Any, **more: Any) -> str:
    return str(compiler.process(element.clauses, **more))


@compiles(NoIndex, "sqlite")
def _disqualified(element: Any, compiler: Any, **more: Any) -> str:
    return f"+{compiler.process(element.clauses, **more)}"
