"""What holds for all tests."""

import functools
import gc
import io
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings
from sqlalchemy import Dialect, inspect
from sqlalchemy.util import LRUCache

from guardian.store import engine, schema
from guardian.telemetry import configure_logging

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker's torch would else start a thread per core, which burn what the other workers need.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test asks a server whose certificate a public CA issued: to read all of theirs takes each client 6 ms.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("tools") / "one_ca.pem")
if (coverage := getattr(sys.modules.get("slipcover.pytest_plugin"), "_slipcover_instance", None)) is not None:
    # Probes stay where a line was seen. To take them out slipcover walks through all that modules and the frames
    # of every thread hold: that takes longer than the probes do, and Python 3.11 has crashed over it. (Workers do
    # not read the setting, `threshold`.)
    coverage.d_miss_threshold = 1_000_000_000
    if os.environ.get("PYTEST_XDIST_WORKER") != "gw0":  # one looks for files that nobody imported
        coverage.source = None
# The commands are the same each time, and to put all hundred of them together takes longer than most of them run.
typer.main.get_command = typer.testing._get_command = functools.cache(typer.main.get_command)  # type: ignore[attr-defined]
# No test asserts how long anything takes, nor what drawing examples takes on a busy machine. Every run draws other
# examples: half as many as usual are enough.
settings.register_profile("guardian", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("guardian")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected, a million objects, stays: to look through it time and again takes a tenth of all."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shared out over several workers, the long ones begin first: the others take over what is short."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def _what_is_migrated_once_is_copied() -> Generator[None]:
    """The first empty database of SQLite goes through all revisions; each later one gets what they left:
    there are hundreds, and it would take a fifth of a second each time."""
    upgrade, left = schema.command.upgrade, dict[str, list[str]]()

    def copied(config: Any, revision: str) -> None:
        connection, scripts = config.attributes["connection"], config.get_main_option("script_location")
        empty = connection.dialect.name == "sqlite" and not inspect(connection).get_table_names()
        if empty and scripts in left:
            for statement in left[scripts]:
                connection.exec_driver_sql(statement)
            return
        upgrade(config, revision)
        if empty:
            dumped = connection.connection.driver_connection.iterdump()
            left[scripts] = [said for said in dumped if said not in ("BEGIN TRANSACTION;", "COMMIT;")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "command", SimpleNamespace(upgrade=copied))
        yield


class _Compiled(LRUCache[Any, Any]):
    """SQL that was put together once, by statement. SQLAlchemy's own key begins with the dialect of one engine."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, value: Any) -> None:
        assert isinstance(key[0], Dialect)
        super().__setitem__(key[1:], value)


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Generator[None]:
    """Not anew for each database of SQLite, of which there are thousands: it takes longer than to run them."""
    made, compiled = engine.create_engine, _Compiled(2_000)

    def created(*args: Any, **options: Any) -> Any:
        opened = made(*args, **options)
        if opened.dialect.name == "sqlite":
            opened._compiled_cache = compiled
        return opened

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "create_engine", created)
        yield


@pytest.fixture(scope="session", autouse=True)
def _the_shipped_model_is_loaded_once() -> Generator[None]:
    """Its encoder keeps nothing of what it is asked. Each time that it is opened its files are verified as ever;
    to make its graphs of them takes a sixth of a second."""
    from guardian.embedding import onnx  # its libraries look at OMP_NUM_THREADS when they are imported

    made, shipped = onnx.OnnxEncoder, Path(__file__).resolve().parents[1] / "models"
    once = functools.cache(made)

    def opened(directory: Path, threads: int) -> onnx.OnnxEncoder:
        return (once if directory.resolve() == shipped else made)(directory, threads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "OnnxEncoder", opened)
        yield


@pytest.fixture(autouse=True)
def _logging_is_as_no_test_before_configured_it(request: pytest.FixtureRequest) -> None:
    structlog.reset_defaults()
    if "guardian" in request.fixturenames:
        # What a server of the same test logs is no part of what the command says. A logger writes to what stdout
        # was when something was bound to it: so before there is a `capsys`.
        configure_logging(level="warning", json=False)


@pytest.fixture
def guardian(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `guardian ARGS` in an empty folder, within this process, which spares a start: for commands that end by
    themselves."""
    from guardian.cli import main

    def run(
        *args: str, stdin: str | bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("GUARDIAN_")]:
                patch.delenv(name)
            for name, value in {"COLUMNS": "200", "NO_COLOR": "1", **(env or {})}.items():
                patch.setenv(name, value)
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", ["guardian", *args])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
            with pytest.raises(SystemExit) as done:
                main()
        told, code = capsys.readouterr(), done.value.code
        status = code if isinstance(code, int) else int(code is not None)
        return subprocess.CompletedProcess(args, status, told.out, told.err)

    return run
