"""Which archive a folder is: an id that lies in it, made once, and goes along wherever the folder is copied."""

import re
from contextlib import suppress
from pathlib import Path

from guardian.disk import make_folder, write_atomically
from guardian.errors import ArchiveError

NAME = "archive.id"
_ID = re.compile("[0-9a-f]{32}")


def folder_id(root: Path) -> str | None:
    """None where it has none, or is not there. Raises ArchiveError where that cannot be known."""
    try:
        found = (root / NAME).read_text("utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        why = f"{root / NAME} cannot be read ({error.strerror})"
        raise ArchiveError(f"archive: {why}; mend its owner or mode, or what stands in its way") from error
    if _ID.fullmatch(found):
        return found
    mend = "put it back from a copy, or remove it and run `guardian archive adopt`"
    raise ArchiveError(f"archive: {root / NAME} is damaged; {mend}")


def made_id(root: Path, new: str) -> str:
    """The folder's id: `new`, 32 digits in hex, unless it has one. Raises ArchiveError where it takes none."""
    try:
        make_folder(root, mode=0o700)
        with suppress(FileExistsError), write_atomically(root / NAME, mode=0o600, replace=False) as file:
            file.write(f"{new}\n".encode())
    except OSError as error:
        why = f"cannot write {root / NAME}: {error.strerror}"
        raise ArchiveError(f"archive: {why}; free the disk or move `archive.path`") from error
    return folder_id(root) or new


def check_folder(root: Path, known: str) -> None:
    """Raises ArchiveError unless it is the folder with this id."""
    here = folder_id(root)
    if here != known:
        which = f"has {'no' if here is None else 'another'} {NAME}"
        raise ArchiveError(
            f"archive: {root} {which}: it is not the archive of this monitor's database, so nothing is written and"
            " all waits; mount that archive there, or set archive.path to it (all monitors of a database need the"
            " same); where this folder is to take its place, `guardian archive adopt`"
        )
