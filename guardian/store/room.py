"""Whether a server's database takes what needs room: a full one goes on to take what fits into a page it has."""

import os
from typing import Any

from sqlalchemy import Engine, Table

from guardian.errors import StoreError
from guardian.store.engine import writing

_ENOUGH = 256 * 1024
_DISK_FULL = "53100"  # PostgreSQL's disk_full


def check_room(engine: Engine, table: Table, wide: str, row: dict[str, Any]) -> None:
    """Write a row whose column `wide` takes many pages, and take it back unseen. Raises StoreError.

    SQLite is not asked: it writes nothing before the commit, and its folder can be looked at.
    """
    if engine.dialect.name == "sqlite":
        return
    with writing(engine) as connection:
        connection.execute(table.insert().values({**row, wide: os.urandom(_ENOUGH).hex()}))
        connection.rollback()


def wants_room(error: StoreError) -> bool:
    """Whether it was refused because the disk is full."""
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) == _DISK_FULL
