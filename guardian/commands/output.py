"""Where a command's result goes: standard output, or a file that is there whole or not at all."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

from guardian.disk import write_atomically
from guardian.errors import ConfigurationError


@contextmanager
def writer(output: Path, *, private: bool = False) -> Iterator[Callable[[str], None]]:
    """Yields what writes one line. A file, also one that a link leads to, is there whole or not at all; a pipe or
    device gets lines as they come. Standard output by another name goes on where it is. `private`: a new
    file is the user's alone; one that is there stays readable for whom it was.

    Raises ConfigurationError for a file that cannot be written.
    """
    if to_stdout(output):
        yield lambda line: print(line, file=sys.stdout)
        return
    try:
        with ExitStack() as stack:
            try:
                new = not output.exists()
                replaceable = new or output.is_file()  # not /dev/null
                file = stack.enter_context(
                    write_atomically(output.resolve(), mode=0o600 if private and new else 0o666)
                    if replaceable
                    else output.open("wb")
                )
            except OSError as error:
                raise ConfigurationError(f"cannot write {output}: {error.strerror}") from error

            def write(line: str) -> None:
                file.write(f"{line}\n".encode())

            yield write
    except OSError as error:  # of a disk that is full nobody says which file it was
        if error.errno not in (ENOSPC, EDQUOT, EFBIG):
            raise
        raise OSError(error.errno, error.strerror, str(output)) from error


def to_stdout(output: Path) -> bool:
    """Whether it is `-`, or standard output by another name (`/dev/stdout`, the file that it goes to)."""
    try:
        return str(output) == "-" or os.path.samestat(output.stat(), os.fstat(1))
    except OSError:
        return False
