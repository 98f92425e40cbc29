"""A database at another revision than the newest."""

import importlib.resources

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from guardian.store.engine import writing
from guardian.store.schema import CONTROL


def go(engine: Engine, revision: str, scripts: str = CONTROL) -> None:
    """As `migrate` does: up to "head", or down to a revision."""
    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files(scripts)))
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        config.attributes.update(connection=connection, version_table=f"{scripts.rpartition('.')[2]}_version")
        (command.upgrade if revision == "head" else command.downgrade)(config, revision)
