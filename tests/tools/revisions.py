"""A database at an older revision than the newest, with what a version of that time left in it."""

import importlib.resources

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData, insert, select

from guardian.store.engine import reading, writing
from guardian.store.schema import CONTROL


def go(engine: Engine, revision: str, scripts: str = CONTROL) -> None:
    """As `migrate` does, but up to this revision ("head" is the newest)."""
    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files(scripts)))
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        table = f"migrations_{scripts.split('.')[-2]}_version"
        config.attributes.update(connection=connection, version_table=table)
        command.upgrade(config, revision)


def copy(newest: Engine, older: Engine, *tables: str) -> None:
    """The rows of these tables, in the columns that the older revision has."""
    with reading(newest) as read, writing(older) as connection:
        known = MetaData()
        known.reflect(connection, only=tables)
        for table in known.sorted_tables:
            rows = read.execute(select(*table.columns)).mappings().all()
            connection.execute(insert(table), [dict(row) for row in rows])
