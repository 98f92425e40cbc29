"""Databases and archive as the doctor looks at them, without making or changing anything."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from guardian.bootstrap.archiving import check_settled
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import open_control_store, restore_is_noticed
from guardian.bootstrap.databases import is_there, sqlite_file
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.commands.checks import Unknown
from guardian.config import Settings
from guardian.errors import ArchiveError, ConfigurationError, StoreError

_ENOUGH = 64 * 1024
_WAYS_OUT = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room on its disk",
    errno.EROFS: "name it under ReadWritePaths in guardian's unit, or mount it so that it can be written",
}


def database_checked(settings: Settings, *, monitor: bool = True, control: bool = True) -> str:
    """For the doctor: those of what runs here answer, as far as they are there. Raises StoreError, and
    ConfigurationError where a restored backup would go unnoticed."""
    mine = [url for url, here in ((settings.store.monitor, monitor), (settings.store.control, control)) if here]
    for url in mine:
        path = sqlite_file(settings, url)
        if path is None or not path.exists():
            continue
        beside = [path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm")]  # with the mode path once had
        for each in (path, *(file for file in beside if file.exists()), path.parent):
            if not os.access(each, os.W_OK):
                raise StoreError(f"{each} cannot be written by this user; mend its owner or mode")
    files = [file for url in mine if (file := sqlite_file(settings, url)) is not None]
    if control and settings.store.epoch_file is not None:
        files.append(settings.resolve(settings.store.epoch_file))
    for folder in sorted({file.parent for file in files if file.parent.is_dir()}):
        try:
            _write(folder)
        except OSError as error:
            raise StoreError(f"{folder} {_unwritten(error)}") from error
    if control:
        _open_control(settings)
    if monitor and not is_there(settings, settings.store.monitor):
        answers = "the control database answers; " if control else ""
        return f"{answers}the monitor's is made by the first start of a monitor"
    if monitor:
        with closing(open_monitor_store(settings)) as store, _told():
            store.check_room(utc_now())
    if monitor and control:
        return "monitor and control databases answer, their schemas are up to date"
    return f"the {'monitor' if monitor else 'control'} database answers, its schema is up to date"


def _open_control(settings: Settings) -> None:
    if not is_there(settings, settings.store.control):
        raise StoreError(
            f"{sqlite_file(settings, settings.store.control)} is not there: no token, revocation or finding of "
            "before counts; put it back from a copy and leave the epoch file as it is (more: config/README.md, 'A "
            "backup was restored'); where there never was one, `guardian serve` makes it; where the monitor alone "
            "runs ask `guardian doctor --for watch`"
        )
    restore_is_noticed(settings)
    with closing(open_control_store(settings)) as store:
        store.check_epoch()
        with _told():
            store.check_room()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise StoreError(
            f"{error}; it answers, and takes no writes: make room on the server's disk or, where it is a standby"
            " or made read-only, name the server that takes them"
        ) from error


def archive_checked(settings: Settings) -> str:
    """For the doctor: where an archive is kept it can be written, and is the database's. Raises ArchiveError, and
    Unknown where the database does not say."""
    if settings.archive.path is None:
        return "none is kept (archive.path)"
    root = settings.resolve(settings.archive.path)
    there = next(each for each in (root, *root.parents) if each.exists())
    try:
        _write(there)
    except OSError as error:
        raise ArchiveError(f"{root} {_unwritten(error)}, or set archive.path") from error
    if is_there(settings, settings.store.monitor):
        try:
            with closing(open_monitor_store(settings)) as store:
                check_settled(root, store.spool)
        except (ConfigurationError, StoreError) as error:  # which other checks say
            said = f"{root} can be written; whether it is the database's is not known: that cannot be opened"
            raise Unknown(said) from error
    return f"{root} can be written"


def _write(folder: Path) -> None:
    """As much as a full disk does not take, into a file without a name. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ENOUGH))
        file.flush()
        os.fsync(file.fileno())


def _unwritten(error: OSError) -> str:
    way_out = _WAYS_OUT.get(error.errno or 0, "mend its disk, owner or mode")
    return f"cannot be written: {error.strerror} (errno {error.errno}); {way_out}"
