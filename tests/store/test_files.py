"""Files that are there whole or not at all."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardian.store.control import ControlStore
from guardian.store.files import write_atomically


def test_what_was_written_replaces_the_old_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for content in (b"old", b"new"):
        with write_atomically(path, mode=0o600) as file:
            file.write(content)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a.yaml"]


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
