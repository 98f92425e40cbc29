"""Files that are there whole or not at all."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from guardian.disk import UNFINISHED, make_file, make_folder, write_atomically
from guardian.keys.files import write_secret


def test_what_was_written_replaces_the_old_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for content in (b"old", b"new"):
        with write_atomically(path, mode=0o600) as file:
            file.write(content)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_who_could_not_read_the_old_file_cannot_read_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for before, after in ((0o600, 0o600), (0o640, 0o640), (0o400, 0o400), (0o644, 0o644)):
        path.unlink(missing_ok=True)
        path.touch()
        path.chmod(before)
        with write_atomically(path) as file:
            file.write(b"new")
            assert next(tmp_path.glob(f"{UNFINISHED}*")).stat().st_mode & 0o777 == after, "not for a moment either"
        assert path.stat().st_mode & 0o777 == after


@pytest.mark.parametrize(("allowed", "after"), [(True, 0o640), (False, 0o600)])
def test_the_group_that_may_read_a_file_stays_or_none_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool, after: int
) -> None:
    path, known, kept = tmp_path / "a.jsonl", os.fstat, list[int]()
    path.touch()
    path.chmod(0o640)
    group = path.stat().st_gid

    def elsewhere(descriptor: int) -> os.stat_result:
        found = list(known(descriptor))
        found[stat.ST_GID] = group + 1
        return os.stat_result(found)

    def give(_descriptor: int, _user: int, to: int) -> None:
        if not allowed:
            raise PermissionError(errno.EPERM, "not a member")
        kept.append(to)

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "fstat", elsewhere)
    monkeypatch.setattr(os, "fchown", give)
    with write_atomically(path) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == after
    assert kept == [group] * allowed


@pytest.mark.parametrize("hard_links", [True, False])
def test_what_is_not_to_be_replaced_stays_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not hard_links:
        monkeypatch.setattr(os, "link", refused)
    path = tmp_path / "a.pem"
    with write_atomically(path, mode=0o600, replace=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), write_atomically(path, replace=False) as file:
        file.write(b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_nlink == 1
    assert os.listdir(tmp_path) == ["a.pem"]


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


def plainly(path: Path, *, replace: bool) -> None:
    with write_atomically(path, replace=replace) as file:
        file.write(b"x")


def secretly(path: Path, *, replace: bool) -> None:
    write_secret(path, b"x", replace=replace)


@pytest.mark.parametrize("write", [plainly, secretly])
@pytest.mark.parametrize("replace", [True, False])
def test_it_is_on_the_disk_before_it_has_its_name_and_then_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., None], *, replace: bool
) -> None:
    path, seen = tmp_path / "a.yaml", []

    def sync(descriptor: int) -> None:
        seen.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    write(path, replace=replace)
    assert seen == [(False, False), (True, True)]  # the content, then the folder that has the new name


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
