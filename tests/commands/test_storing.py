"""What the doctor says of a disk that takes nothing more."""

import errno
import os
from pathlib import Path

import pytest

from guardian.bootstrap.control_store import open_control_store
from guardian.commands.initialise import initialise
from guardian.commands.storing import archive_checked, database_checked
from guardian.config import Settings, load
from guardian.errors import ArchiveError, StoreError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "durable").mkdir()
    path = initialise(tmp_path / "home")
    told = load(path).store.model_dump() | {"epoch_file": tmp_path / "durable" / "epoch"}
    settings = load(path, overrides={"store": told})
    open_control_store(settings, makes=True).close()
    return settings


def fill(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int = errno.ENOSPC) -> None:
    """The disk of this folder takes names, and no bytes."""
    sync = os.fsync

    def full(file: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{file}")).is_relative_to(folder) and os.fstat(file).st_size:
            raise OSError(number, os.strerror(number))
        sync(file)

    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize("folder", ["home/data", "durable"])
def test_a_disk_that_is_full_is_told_and_leaves_nothing_behind(tmp_path, settings, monkeypatch, folder) -> None:
    assert "answer" in database_checked(settings)
    assert "can be written" in archive_checked(settings)
    before = sorted(tmp_path.rglob("*"))
    fill(monkeypatch, tmp_path / folder)
    with pytest.raises(StoreError, match=rf"{folder} cannot be written: No space left on device \(errno 28\)"):
        database_checked(settings)
    if folder == "home/data":
        with pytest.raises(ArchiveError, match=r"cannot be written: No space left on device \(errno 28\)"):
            archive_checked(settings)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "make room on its disk"),
        (errno.EACCES, "mend its disk, owner or mode"),
        (errno.EROFS, "name it under ReadWritePaths in guardian's unit"),
    ],
    ids=errno.errorcode.get,
)
def test_what_cannot_be_written_is_told_with_what_mends_it(tmp_path, settings, monkeypatch, number, mend) -> None:
    fill(monkeypatch, tmp_path / "home" / "data", number)
    for check in (database_checked, archive_checked):
        with pytest.raises((StoreError, ArchiveError)) as told:
            check(settings)
        assert str(told.value).partition("; ")[2].startswith(mend)
