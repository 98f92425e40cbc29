"""Secrets on disk: readable by their owner only, replaced in one step."""

import stat
from collections.abc import Callable
from pathlib import Path

from guardian.disk import write_atomically
from guardian.errors import ConfigurationError
from guardian.wire.principal import Role

_LOST = "make a new deployment with `guardian init FOLDER`"


def write_secret(path: Path, content: bytes, *, replace: bool) -> None:
    """Write `content` with mode 0600, durably, all of it or nothing. Refuses to overwrite unless `replace`.

    A file that root writes keeps its owner, or gets that of its folder: the service has to read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with write_atomically(path, mode=0o600, replace=replace) as file:
            file.write(content)
    except FileExistsError as error:
        raise ConfigurationError(
            f"{path} exists already; keys are never overwritten, choose another folder"
        ) from error
    except OSError as error:
        way_out = "" if replace else "; choose another folder"
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}{way_out}") from error


def make_secret(path: Path, make: Callable[[], bytes]) -> None:
    """Write what `make` returns, unless the file exists. Of processes that start together one makes it for all."""
    if path.exists():
        return
    try:
        write_secret(path, make(), replace=False)
    except ConfigurationError:
        if not path.exists():  # else another process was faster
            raise


def stamp(path: Path) -> tuple[int, ...] | None:
    """A value that changes when the file does; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def read_secret(path: Path, *, lost: str = _LOST) -> bytes:
    """Read a secret; refuse one that is empty, or that other users of this machine could have read or written.

    `lost` is the way out where no backup has it.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} does not exist; restore it from your backup, or {lost}") from error
    except PermissionError as error:
        mend = "mend its owner or mode, or do this as the user that guardian runs as"
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; {mend}") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(f"{path} has mode {mode:04o}: others can read this key; run chmod 600 {path}")
    if not content.strip():
        raise ConfigurationError(f"{path} is empty; restore it from your backup, or {lost}")
    return content


def read_token(path: Path, role: Role) -> str:
    """A bearer token, which control issues anew where it is lost."""
    lost = f"put one there that control's machine issues: `guardian token issue {role} --role {role} --tenant '*'`"
    return read_secret(path, lost=lost).decode(errors="replace").strip()
