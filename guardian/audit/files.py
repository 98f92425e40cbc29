"""Files of checkpoints, one note after the other, an empty line between them. They only ever grow."""

import os
from collections.abc import Iterator
from pathlib import Path

from guardian.audit.note import MOST_CHARACTERS
from guardian.disk import make_file, sync_folder
from guardian.errors import ConfigurationError

_SIGNATURE = ("—", "\ufffd")  # the second is a dash that was cut off half-way
_MOST_LINES = 64


def append_note(path: Path, note: str) -> None:
    """Add a note and wait until it is on the disk. Raises OSError, also where the folder is missing, as on a disk
    that is not mounted: nobody would look for a new one there.

    A note that is already the last one is not added again: a crash may have come before it was remembered as
    exported. What an interrupted attempt left behind is closed with an empty line, for the file may be
    append-only.
    """
    written = (note + "\n").encode()
    tail = _tail(path, len(written))
    if tail == written:
        return
    ahead = b"" if not tail or tail.endswith(b"\n\n") else b"\n\n"
    make_file(path, mode=0o644)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(descriptor, "wb") as file:
        file.write(ahead + written)
        file.flush()
        os.fsync(file.fileno())
    if tail is None:
        sync_folder(path.parent)


def notes_in(path: Path) -> Iterator[tuple[int, str]]:
    """Every note with the line where it begins. What is no note is yielded as it is, for the reader to refuse.

    A fragment that is followed by the same note in full is passed over. Raises ConfigurationError.
    """
    held: tuple[int, str] | None = None
    for found in _blocks(path):
        if held is not None and not _begins(held[1], found[1]):
            yield held
        held = found
    if held is not None:
        yield held


def _blocks(path: Path) -> Iterator[tuple[int, str]]:
    block: list[str] = []
    began, signed = 1, False
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for number, line in enumerate(iter(lambda: file.readline(MOST_CHARACTERS), ""), 1):
                is_signature = line.startswith(_SIGNATURE)
                over = signed or (block and block[-1] == "\n")
                if block and (not is_signature if over else len(block) > _MOST_LINES):
                    yield began, "".join(block)
                    block, signed = [], False
                if block or line != "\n":
                    began = began if block else number
                    block.append(line)
                    signed = signed or is_signature
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if block:
        yield began, "".join(block)


def _begins(fragment: str, note: str) -> bool:
    return fragment != note and note.startswith(fragment.rstrip("\n\ufffd"))


def _tail(path: Path, length: int) -> bytes | None:
    """The file's last bytes; None when there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - length))
            return file.read()
    except FileNotFoundError:
        return None
