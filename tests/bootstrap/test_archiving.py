"""Of one database all goes into one archive, whichever of its monitors writes."""

import shutil
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from guardian.archive.folder import NAME, folder_id, made_id
from guardian.bootstrap.archiving import check_archive, open_archiving
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.cli import app
from guardian.commands.initialise import initialise
from guardian.commands.storing import archive_checked
from guardian.config import Settings, load
from guardian.domain.batch import Change
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.errors import ArchiveError
from guardian.telemetry import Metrics


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return initialise(tmp_path / "home")


def monitor(home: Path, folder: str = "data/archive") -> Settings:
    """Of one database, with an archive of its own."""
    return load(home, overrides={"archive": {"path": folder}})


def write(settings: Settings, word: int) -> int:
    """People say one more thing, and this monitor writes all that waits."""
    with closing(open_monitor_store(settings, makes=True)) as store:
        store.words.apply([Change(word, SessionKey("acme", "s"), HumanWord.CONFIRMED, utc_now())], now=utc_now())
        opened = open_archiving(settings, store.spool, {}, fingerprint_key=b"k", metrics=Metrics())
        return opened.write_due(everything=True)


def files(settings: Settings) -> int:
    return len(list(settings.resolve(settings.archive.path).glob("labels/*.parquet")))


def test_the_first_that_writes_settles_where_all_of_them_write(home: Path) -> None:
    ours, elsewhere = monitor(home), monitor(home, "data/own")
    (home.parent / "data/archive/labels").mkdir(parents=True)  # by a version that knew no ids
    assert write(ours, 1) == 1
    with pytest.raises(ArchiveError, match=r"data/own has no archive.id: it is not the archive of this monitor's"):
        write(elsewhere, 2)
    made_id(home.parent / "data/own", "0" * 32)  # as where another database is archived
    with pytest.raises(ArchiveError, match=r"data/own has another archive.id"):
        write(elsewhere, 3)
    assert (files(elsewhere), write(ours, 4)) == (0, 3)


def test_a_copy_of_the_archive_is_the_archive(home: Path) -> None:
    ours, moved = monitor(home), monitor(home, "data/moved")
    write(ours, 1)
    shutil.copytree(home.parent / "data/archive", home.parent / "data/moved")
    assert (write(moved, 2), files(moved)) == (1, 2)


def test_a_database_that_was_put_back_from_before_learns_where_its_archive_is(home: Path) -> None:
    write(monitor(home), 1)
    before = folder_id(home.parent / "data/archive")
    (home.parent / "data/monitor.db").unlink()
    assert write(monitor(home), 1) == 1
    assert folder_id(home.parent / "data/archive") == before


def test_the_doctor_names_a_folder_that_is_not_the_archive_and_a_person_can_make_it_so(home: Path) -> None:
    settings = monitor(home)
    assert archive_checked(settings).endswith("can be written")
    write(settings, 1)
    assert archive_checked(settings).endswith("can be written")
    shutil.rmtree(home.parent / "data/archive")
    with pytest.raises(ArchiveError, match=r"archive has no archive.id: .*; mount .* `guardian archive adopt`"):
        archive_checked(settings)
    told = CliRunner().invoke(app, ["archive", "adopt", "-c", str(home)])
    assert f"{home.parent / 'data/archive'} is this database's archive from now on" in told.stdout
    assert archive_checked(settings).endswith("can be written")
    assert write(settings, 2) == 1


@pytest.mark.parametrize("theirs", [True, False])
def test_in_another_archive_no_day_is_too_old(
    home: Path, monkeypatch: pytest.MonkeyPatch, *, theirs: bool
) -> None:
    """As in that of another deployment, which keeps its days for longer."""
    monkeypatch.setattr("guardian.bootstrap.archiving.SureTime", lambda *_: lambda now: now)
    write(monitor(home), 1)
    made_id(home.parent / "data/theirs", "0" * 32)
    root = home.parent / ("data/theirs" if theirs else "data/archive")
    day = root / "events/date=2020-01-01/tenant=acme/one.parquet"
    day.parent.mkdir(parents=True)
    day.touch()
    stop = Mock(is_set=Mock(side_effect=[False, False, True]))
    with closing(open_monitor_store(settings := monitor(home, str(root)))) as store:
        open_archiving(settings, store.spool, {}, fingerprint_key=b"k", metrics=Metrics()).run(stop)
    assert day.exists() is theirs


def test_nothing_is_made_before_something_waits(home: Path) -> None:
    settings = monitor(home)
    with closing(open_monitor_store(settings, makes=True)) as store:
        check_archive(home.parent / "data/archive", store.spool)
        assert store.spool.folder() is None
    assert not (home.parent / "data/archive").exists()


def test_those_that_write_first_at_the_same_moment_agree(tmp_path: Path) -> None:
    """In one folder, and of folders of their own on which one it is."""
    assert folder_id(tmp_path / "new") is None
    assert [made_id(tmp_path / "new", each * 32) for each in "ab"] == ["a" * 32] * 2
    with closing(open_monitor_store(load(initialise(tmp_path / "home")), makes=True)) as store:
        assert [store.spool.settle(each * 32) for each in "ab"] == ["a" * 32] * 2


def test_an_id_that_cannot_be_read_or_made_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\xff")
    with pytest.raises(ArchiveError, match=r"archive.id is damaged; put it back .* `guardian archive adopt`"):
        folder_id(tmp_path)
    with pytest.raises(ArchiveError, match=r"archive.id: File exists; free the disk or move"):
        made_id(tmp_path / NAME, "0" * 32)
    with pytest.raises(ArchiveError, match=r"cannot be read \(Not a directory\); mend"):
        folder_id(tmp_path / NAME)
