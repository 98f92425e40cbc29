"""Files that are there whole, durably, or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

UNFINISHED = ".unfinished-"
"""Begins the name of a file that a crash may leave behind; nobody reads those."""

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}
"""What exFAT, SMB and mounted buckets answer."""


@contextmanager
def write_atomically(path: Path, *, mode: int = 0o666, replace: bool = True) -> Iterator[IO[bytes]]:
    """Write beside the file, flush to the disk, then rename: a reader sees the old content or the new.

    Where the block or the disk fails, the old file stays and nothing is left behind. `mode` is before the umask;
    whoever could not read the old file cannot read the new one either, and its group stays where this user may.
    Raises OSError; unless `replace`, FileExistsError where the name is taken: the file system decides, so of
    processes that write together one succeeds.
    """
    # the token comes last: `*.parquet` of a lake engine matches hidden files too, and must not match this one
    unfinished = path.with_name(f"{UNFINISHED}{path.name}-{secrets.token_hex(4)}")
    old = None
    with suppress(FileNotFoundError):
        old = path.stat()
        mode &= old.st_mode
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            leave_to_owner(descriptor, path)
            if old is not None:
                _keep_group(descriptor, old.st_gid)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            unfinished.replace(path)
        else:
            _take_name(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _keep_group(descriptor: int, group: int) -> None:
    """Where that is refused no group may read it: the old one's members are not this one's."""
    made = os.fstat(descriptor)
    if made.st_gid != group:
        try:
            os.fchown(descriptor, -1, group)
        except OSError:
            os.fchmod(descriptor, stat.S_IMODE(made.st_mode) & ~stat.S_IRWXG)


def _take_name(unfinished: Path, path: Path) -> None:
    try:
        os.link(unfinished, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))  # others may see it empty, for a moment
        unfinished.replace(path)
    else:
        unfinished.unlink()


def make_file(path: Path, *, mode: int) -> None:
    """Make an empty file unless there is one. What root makes belongs to the owner of the folder.

    Root follows no link: the owner of the folder could have files made anywhere. Raises OSError.
    """
    if path.exists():
        return
    if os.geteuid() != 0:
        path.touch(mode)
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        if path.exists():  # another process was faster
            return
        raise OSError(
            errno.ELOOP, "a link that leads nowhere, which root does not follow to make a file", str(path)
        ) from error
    with os.fdopen(descriptor):
        leave_to_owner(descriptor, path.parent)


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are missing; `mode` is its own, before the umask.

    What root makes belongs to the owner of the folder above it. Raises OSError.
    """
    if os.geteuid() == 0 and not path.exists():
        if not path.parent.exists():
            make_folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir(mode)
            _leave_folder(path)
    path.mkdir(mode, parents=True, exist_ok=True)


def _leave_folder(made: Path) -> None:
    descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not os.listdir(descriptor):  # another one may have been put there meanwhile: only an empty one is given
            leave_to_owner(descriptor, made.parent)
    finally:
        os.close(descriptor)


def leave_to_owner(descriptor: int, path: Path) -> None:
    """Give what root has just made to the owner of `path`, or else of its folder: the service works on with it.

    It goes by the open file, never by a name, which may be another file's by now.
    """
    if os.geteuid() == 0:
        owned = (path if path.exists() else path.parent).stat()
        with suppress(OSError):  # the root of a container may be nobody outside of it
            os.fchown(descriptor, owned.st_uid, owned.st_gid)


def sync_folder(folder: Path) -> None:
    """Wait until the names in it are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
