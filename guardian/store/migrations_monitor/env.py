"""Alembic's way in; `guardian.store.engine.migrate` holds the connection."""

from guardian.store.engine import run_migrations

run_migrations()
