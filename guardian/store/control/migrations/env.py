"""Alembic's way in; `guardian.store.schema.migrate` holds the connection."""

from guardian.store.schema import run_migrations

run_migrations()
