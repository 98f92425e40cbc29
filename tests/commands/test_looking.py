"""Who looks at a database neither makes it nor changes it."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from revisions import go

from guardian.bootstrap import running
from guardian.bootstrap.control_store import migrate_control, open_control_store
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.commands import letters, purposes, tokens
from guardian.commands.auditing import checkpoints_checked
from guardian.commands.initialise import initialise
from guardian.commands.storing import database_checked
from guardian.config import Settings, load
from guardian.errors import GuardianError, StoreError
from guardian.store.engine import open_engine, reading
from guardian.store.schema import CONTROL, MONITOR

Wrong = Callable[[Path], dict[str, Any]]

OF_CONTROL = {
    "token list": tokens.issued,
    "token revoke": lambda settings: tokens.revoke(settings, "j"),
    "alerts list": letters.refused_alerts,
    "doctor --for serve": lambda settings: database_checked(settings, monitor=False),
    "doctor --for serve, of checkpoints": checkpoints_checked,
}
OF_MONITOR = {
    "dlq list": lambda settings: list(letters.dead_letters(settings, 9)),
    "outbox list": letters.refused_findings,
    "purposes": purposes.known_purposes,
    "doctor --for watch": lambda settings: database_checked(settings, control=False),
}


@pytest.fixture
def older(tmp_path: Path) -> Settings:
    """Both databases as the version before last left them, which may still be running."""
    settings = load(initialise(tmp_path / "home"))
    for each in (tmp_path / "home/data").iterdir():
        each.unlink()
    for url, scripts, revision in (
        (settings.store.control, CONTROL, "0010"),
        (settings.store.monitor, MONITOR, "m0007"),
    ):
        engine = open_engine(settings.store_url(url))
        go(engine, revision, scripts)
        engine.dispose()
    return settings


def revision(settings: Settings, room: str) -> str:
    engine = open_engine(settings.store_url(getattr(settings.store, room)))
    with reading(engine) as connection:
        found = connection.exec_driver_sql(f"SELECT version_num FROM migrations_{room}_version").scalar_one()
    engine.dispose()
    return str(found)


@pytest.mark.parametrize("command", [*OF_CONTROL, *OF_MONITOR])
def test_what_only_looks_leaves_an_older_schema_to_the_version_that_still_runs(
    older: Settings, command: str
) -> None:
    room, at, needs, starts = (
        ("control", "0010", "0024", "guardian serve")
        if command in OF_CONTROL
        else ("monitor", "m0007", "m0013", "guardian watch")
    )
    with pytest.raises(StoreError, match=f"is at {at}, this version needs {needs}; `{starts}` brings it there"):
        (OF_CONTROL | OF_MONITOR)[command](older)
    assert revision(older, room) == at


def _no_signing_key(home: Path) -> dict[str, Any]:
    (home / "keys/signing.jwks.json").unlink()
    return {}


def _calibration_of_nothing(home: Path) -> dict[str, Any]:
    (home / "calibration.json").write_text("{}")
    return {"model": {"calibration": "calibration.json"}}


def _empty(home: Path) -> str:
    (home / "empty").mkdir()
    return "empty"


WRONG_FOR_CONTROL: dict[str, Wrong] = {
    "cannot listen on": lambda _: {"control": {"host": "192.0.2.1"}},  # as on a port that is taken
    "signing.jwks.json": _no_signing_key,
    "/empty": lambda home: {"policy": {"path": _empty(home)}},
    "unknown alerts": lambda _: {"alerts": {"nosuch": {}}},
}
WRONG_FOR_THE_MONITOR: dict[str, Wrong] = {
    "unknown model.engine": lambda _: {"model": {"engine": "nosuch"}},
    "home/empty": lambda home: {"model": {"path": _empty(home)}},
    "calibration": _calibration_of_nothing,
    "unknown signals": lambda _: {"signals": {"nosuch": {}}},
    "unknown source.format": lambda _: {"source": {"format": "nosuch"}},
}


@pytest.mark.parametrize(
    ("start", "said", "wrong"),
    [
        *((running.serve, said, wrong) for said, wrong in WRONG_FOR_CONTROL.items()),
        *((running.watch, said, wrong) for said, wrong in WRONG_FOR_THE_MONITOR.items()),
        *((running.run, said, WRONG_FOR_CONTROL[said]) for said in ("cannot listen on", "/empty")),
        *((running.run, said, WRONG_FOR_THE_MONITOR[said]) for said in ("calibration", "unknown source.format")),
    ],
)
def test_a_start_that_fails_leaves_an_older_schema_to_the_version_that_was_there(
    older: Settings, start: Callable[[Settings], object], said: str, wrong: Wrong
) -> None:
    home = older.base
    overrides = wrong(home)
    overrides["control"] = {"port": 0} | overrides.get("control", {})
    with pytest.raises(GuardianError, match=said):
        start(load(home / "guardian.yaml", overrides=overrides))
    assert (revision(older, "control"), revision(older, "monitor")) == ("0010", "m0007")


def test_what_runs_guardian_and_the_owners_command_bring_a_schema_up_to_date(older: Settings) -> None:
    migrate_control(older)
    assert revision(older, "control") == "0024"
    open_monitor_store(older, makes=True).close()
    assert revision(older, "monitor") == "m0013"
    assert database_checked(older).startswith("monitor and control databases answer")


def test_an_empty_database_is_told_and_stays_empty(tmp_path: Path) -> None:
    settings = load(initialise(tmp_path / "home"))
    file = tmp_path / "home/data/control.db"
    for each in file.parent.iterdir():
        each.unlink()
    file.touch()
    with pytest.raises(StoreError, match="has no tables yet; `guardian serve` makes them"):
        open_control_store(settings)


def test_a_command_that_asks_the_wrong_database_leaves_the_epoch_to_who_serves(tmp_path: Path) -> None:
    """A shell without what the service's unit file sets: SQLite's file of `guardian init`, a live epoch file."""
    settings = load(initialise(tmp_path / "home"))
    file = settings.resolve(settings.store.epoch_file or Path())
    live = json.dumps({"epoch": 1, "n": 80, "change_seq": 80, "audit_seq": 9999})
    file.write_text(live)
    tokens.issued(settings)
    letters.refused_alerts(settings)
    with pytest.raises(StoreError, match="is ahead of"):
        tokens.issue(settings, "maya", role="admin", tenants=["*"], ttl=timedelta(days=1))
    with pytest.raises(StoreError, match="is ahead of"):
        database_checked(settings, monitor=False)
    assert file.read_text() == live
    with closing(open_control_store(settings)) as store:
        assert str(store.head().revision) == "1.0"


def test_tokens_can_be_issued_before_control_was_ever_started(tmp_path: Path) -> None:
    """As postgres-roles.sql says: the owner makes the tables, and the first token is issued."""
    settings = load(initialise(tmp_path / "home"))
    file = tmp_path / "home/data/control.db"
    for each in file.parent.iterdir():
        each.unlink()
    file.touch(0o600)
    migrate_control(settings)
    tokens.issue(settings, "admin", role="admin", tenants=["*"], ttl=timedelta(days=1))
    assert [each.principal for each in tokens.issued(settings)] == ["admin"]
