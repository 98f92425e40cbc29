"""Schemas and their revisions. Whoever runs guardian brings them up to date; everybody else only compares.

Looking at a database must not change it: an older guardian that still runs would refuse it at its next start.
"""

import importlib.resources
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, select, text

from guardian.errors import StoreError
from guardian.store.engine import reading, writing
from guardian.store.urls import without_secrets

CONTROL = "guardian.store.control.migrations"
MONITOR = "guardian.store.monitor.migrations"
"""The packages with the alembic revisions: `env.py` holds only `run_migrations()`, `versions/` the revisions."""

_STARTS = {CONTROL: "guardian serve", MONITOR: "guardian watch"}
_BESIDES = {CONTROL: MONITOR, MONITOR: CONTROL}
_BY_THEIR_OWNER = (
    " (where its role does not own the tables, their owner does with `guardian migrate` and section 4 of"
    " config/examples/postgres-roles.sql)"
)
_ADVISORY_LOCK = 0x67756172  # "guar": two processes that start together migrate one after the other


def migrate(engine: Engine, scripts: str) -> None:
    """Bring the schema up to date in one transaction; one that is up to date is only read, beside any writer.

    Raises StoreError when the schema is newer than this version of guardian.
    """
    with reading(engine) as connection:
        if _known(connection, scripts) == _head(scripts):
            return
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):  # it may take its time
                connection.execute(text(f"SET LOCAL {setting} = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        if _known(connection, scripts) == _head(scripts):  # another process was faster
            return
        config = _config(scripts)
        config.attributes.update(connection=connection, version_table=_table(scripts))
        command.upgrade(config, "head")


def check_schema(engine: Engine, scripts: str) -> None:
    """Change nothing. Raises StoreError unless the schema is the one that this version works on."""
    with reading(engine) as connection:
        found, needed = _known(connection, scripts), _head(scripts)
    if found == needed:
        return
    shown, starts = without_secrets(engine.url), _STARTS[scripts]
    owned = _BY_THEIR_OWNER if scripts == CONTROL and engine.dialect.name == "postgresql" else ""
    if not found:
        raise StoreError(f"store: {shown} has no tables yet; `{starts}` makes them when it starts{owned}")
    raise StoreError(
        f"store: {shown} is at {found}, this version needs {needed}; `{starts}` brings it there when it starts"
        f"{owned}; older versions refuse it from then on"
    )


def check_rights(engine: Engine, needed: Mapping[str, Collection[str]]) -> None:
    """Raises StoreError where this role lacks a right in `needed` (SELECT, INSERT, UPDATE, DELETE, by table).

    For UPDATE one column is enough. SQLite has no roles.
    """
    if engine.dialect.name != "postgresql":
        return
    asked = [(right, table) for table in sorted(needed) for right in sorted(needed[table])]
    held = [
        func.has_table_privilege(table, right)
        if right == "DELETE"
        else func.has_any_column_privilege(table, right)
        for right, table in asked
    ]
    with reading(engine) as connection:
        row = connection.execute(select(*(each.label(f"a{n}") for n, each in enumerate(held)))).one()
    lacking = [f"{right} on {table}" for (right, table), may in zip(asked, row, strict=True) if not may]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise StoreError(
            f"store: {without_secrets(engine.url)}: this role lacks {', '.join(lacking[:3])}{more};"
            " the owner of the tables runs section 4 of config/examples/postgres-roles.sql, as after every upgrade"
        )


def run_migrations() -> None:
    """What an `env.py` calls. Runs the revisions on the connection that `migrate` holds open."""
    attributes: dict[Any, Any] = context.config.attributes
    context.configure(
        connection=attributes["connection"], version_table=attributes["version_table"], render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()


def _known(connection: Connection, scripts: str) -> str | None:
    """The database's revision; None where it is empty. Raises StoreError where a later version made it, where
    it is the other one of guardian's two, or, of a file of SQLite, another program's: a server's may be shared."""
    found = MigrationContext.configure(connection, opts={"version_table": _table(scripts)}).get_current_revision()
    if found is None and inspect(connection).has_table(_table(_BESIDES[scripts])):
        raise StoreError(
            f"store: {without_secrets(connection.engine.url)} is that of `{_STARTS[_BESIDES[scripts]]}`; monitor"
            " and control need a database each, as the monitor must not write the ledger: name another"
        )
    if found is None and connection.dialect.name == "sqlite":
        tables = inspect(connection).get_table_names()
        if tables and _table(scripts) not in tables:
            raise StoreError(
                f"store: {without_secrets(connection.engine.url)} is a database of something else (it has a table"
                f" {tables[0]!r}); name another file"
            )
    if found not in {None, *(script.revision for script in _revisions(scripts).walk_revisions())}:
        raise StoreError(
            f"store: the schema of {without_secrets(connection.engine.url)} is at revision {found!r}, which "
            "this version of guardian does not know; upgrade intent-guardian, or point it at another store"
        )
    return found


def _head(scripts: str) -> str | None:
    return _revisions(scripts).get_current_head()


def _table(scripts: str) -> str:
    return f"migrations_{scripts.split('.')[-2]}_version"  # databases hold it under this name


def _config(scripts: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files(scripts)).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _revisions(scripts: str) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(scripts))
