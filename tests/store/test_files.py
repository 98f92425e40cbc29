"""Whose a database file is, and which one is taken for ours."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardian.errors import StoreError
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine
from guardian.store.monitor.store import MonitorStore


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_a_database_that_root_opens_first_belongs_to_whose_folder_it_is(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    ControlStore.open(f"sqlite:///{tmp_path}/control.db", now=datetime(2026, 5, 12, tzinfo=UTC)).close()
    assert {file.name: file.stat().st_uid for file in tmp_path.iterdir()} == {
        "control.db": 65534,
        "control.db.epoch": 65534,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_root_makes_no_file_where_a_link_of_the_services_leads(tmp_path: Path) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    for folder in (elsewhere, home):
        folder.mkdir()
    os.chown(home, 65534, 65534)
    (home / "control.db").symlink_to(elsewhere / "cron-job")
    with pytest.raises(StoreError, match="a link that leads nowhere"):
        open_engine(f"sqlite:///{home}/control.db")
    assert os.listdir(elsewhere) == []


def test_a_database_may_be_a_link_to_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.db").touch()
    (tmp_path / "control.db").symlink_to(tmp_path / "disk" / "a.db")
    before = (tmp_path / "disk" / "a.db").stat()
    open_engine(f"sqlite:///{tmp_path}/control.db").dispose()
    assert ((tmp_path / "disk" / "a.db").stat().st_uid, before.st_size) == (before.st_uid, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_so_do_the_folders_of_a_database_that_root_makes(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    open_engine(f"sqlite:///{tmp_path}/more/of/it/control.db").dispose()
    assert {each.stat().st_uid for each in (tmp_path / "more").rglob("*")} == {65534}


OPENED = {
    "control": lambda url: ControlStore.open(url, now=datetime(2026, 5, 12, tzinfo=UTC)),
    "control, to look": lambda url: ControlStore.open(url, now=datetime(2026, 5, 12, tzinfo=UTC), migrates=False),
    "monitor": lambda url: MonitorStore(open_engine(url), seal=lambda _: b"", hear=lambda state, _: state),
}


@pytest.mark.parametrize("opened", OPENED)
def test_the_database_of_another_program_gets_no_table(opened, tmp_path):
    file = tmp_path / "crm.db"
    with closing(sqlite3.connect(file)) as theirs:
        theirs.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY)")
        theirs.commit()
    with pytest.raises(
        StoreError, match=r"crm\.db is a database of something else .*'customer'.*; name another file"
    ):
        OPENED[opened](f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("customer",)]


@pytest.mark.parametrize(
    ("first", "second", "whose"), [("monitor", "control", "watch"), ("control", "monitor", "serve")]
)
def test_nor_does_that_of_one_become_the_others(first, second, whose, tmp_path):
    url = f"sqlite:///{tmp_path}/one.db"
    OPENED[first](url).close()
    with pytest.raises(StoreError, match=rf"one\.db is that of `guardian {whose}`; .* a database each"):
        OPENED[second](url)
