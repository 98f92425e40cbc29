"""Files that are there whole or not at all."""

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardian.errors import StoreError
from guardian.store.control import ControlStore
from guardian.store.engine import open_engine
from guardian.store.files import UNFINISHED, make_file, make_folder, write_atomically
from guardian.store.monitor import MonitorStore


def test_what_was_written_replaces_the_old_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for content in (b"old", b"new"):
        with write_atomically(path, mode=0o600) as file:
            file.write(content)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_no_pattern_that_finds_the_file_finds_the_unfinished_one(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "a.parquet"):
        [unfinished] = tmp_path.iterdir()
        assert unfinished.name.startswith(UNFINISHED)
        assert list(tmp_path.glob("*.parquet")) == []  # as DuckDB and Polars match: hidden ones too
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_where_the_writing_fails_the_old_file_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    with pytest.raises(TypeError), write_atomically(path) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "a.yaml", []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(path.exists()))
    with write_atomically(path) as file:
        file.write(b"x")
    assert seen == [False, True]  # the content, then the folder's new name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_writes_belongs_to_who_had_it_or_to_whose_folder_it_is(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    path = tmp_path / "a.yaml"
    for owner in (65534, 1):
        with write_atomically(path, mode=0o600) as file:
            file.write(b"x")
        assert (path.stat().st_uid, path.stat().st_gid) == (owner, owner)
        os.chown(path, 1, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_so_does_a_database_that_root_opens_first(tmp_path: Path) -> None:
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
@pytest.mark.parametrize("there", ["file", "link"])
def test_nothing_that_somebody_puts_there_meanwhile_changes_hands(tmp_path: Path, monkeypatch, there) -> None:
    """Between the look and the making: as a file or a link of its name."""
    os.chown(tmp_path, 65534, 65534)
    path, other = tmp_path / "a.db", tmp_path / "other"
    other.touch()
    exists = Path.exists

    def just_before(self: Path, **more: bool) -> bool:
        was = exists(self, **more)
        if self == path and not was:
            (os.link if there == "file" else os.symlink)(other, path)
        return was

    with monkeypatch.context() as struck:
        struck.setattr(Path, "exists", just_before)
        with suppress(OSError):
            make_file(path, mode=0o600)
    assert other.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_so_do_the_folders_that_root_makes(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    make_folder(tmp_path / "date=2026-05-12" / "tenant=acme", mode=0o700)
    assert {each.name: each.stat().st_uid for each in tmp_path.rglob("*")} == {
        "date=2026-05-12": 65534,
        "tenant=acme": 65534,
    }
    assert (tmp_path / "date=2026-05-12" / "tenant=acme").stat().st_mode & 0o777 == 0o700
    open_engine(f"sqlite:///{tmp_path}/more/of/it/control.db").dispose()
    assert {each.stat().st_uid for each in (tmp_path / "more").rglob("*")} == {65534}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
@pytest.mark.parametrize("swapped", ["link", "folder"])
def test_no_folder_changes_hands_that_root_did_not_make(tmp_path: Path, monkeypatch, swapped) -> None:
    os.chown(tmp_path, 65534, 65534)
    mine, mkdir = tmp_path / "mine", Path.mkdir
    mine.mkdir()
    (mine / "secret").touch()

    def and_then(self: Path, *more: int, **also: bool) -> None:
        mkdir(self, *more, **also)
        if also:
            return
        self.rmdir()
        if swapped == "link":
            self.symlink_to(mine)
        else:
            mine.rename(self)

    monkeypatch.setattr(Path, "mkdir", and_then)
    with suppress(OSError):
        make_folder(tmp_path / "new")
    assert {each.stat().st_uid for each in tmp_path.rglob("*")} == {0}


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    before = tmp_path.stat()
    make_folder(tmp_path, mode=0o700)
    assert (tmp_path.stat().st_uid, tmp_path.stat().st_mode) == (before.st_uid, before.st_mode)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file" / "below")


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


def test_nor_does_that_of_the_monitor_become_controls(tmp_path):
    url = f"sqlite:///{tmp_path}/monitor.db"
    OPENED["monitor"](url).close()
    with pytest.raises(StoreError, match="of something else"):
        OPENED["control"](url)
