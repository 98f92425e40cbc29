"""Files that are there whole, durably, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

UNFINISHED = ".unfinished-"
"""How the name of a file begins that a crash may leave behind; nobody reads those."""


@contextmanager
def write_atomically(path: Path, *, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """What the block writes, beside the file, flushed to the disk and renamed: a reader sees the old or the new.

    Where the block or the disk fails the old file stays and nothing is left behind. `mode` is before the umask.
    Raises OSError.
    """
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(4)}-{path.name}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            leave_to_owner(descriptor, path)
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def leave_to_owner(made: int | Path, path: Path) -> None:
    """What root makes belongs to whom `path` belongs to, or else its folder: the service goes on with it."""
    if os.geteuid() == 0:
        owned = (path if path.exists() else path.parent).stat()
        with suppress(OSError):  # the root of a container may be nobody outside of it
            os.chown(made, owned.st_uid, owned.st_gid)


def sync_folder(folder: Path) -> None:
    """Wait until the names in it are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
