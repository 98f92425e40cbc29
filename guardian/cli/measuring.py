"""What calibrate, evaluate and train share: files that are read more than once, and what people said of them."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import UNREADABLE, existing_file
from guardian.domain.text import counted
from guardian.errors import ConfigurationError, GuardianError

LabelsOption = Annotated[
    Path | None,
    typer.Option("--labels", help="What people said, as `guardian labels` prints it."),
]


def rereadable(path: Path) -> Path:
    """The same path. Raises ConfigurationError for standard input and pipes: what a file holds is looked up before
    it is read."""
    if str(path) == "-" or (os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))):
        raise ConfigurationError(f"{path} can be read only once, and is read more often here: name a file")
    return path


def each_once(files: Iterable[Path]) -> list[Path]:
    """Without what is named a second time: its sessions would count twice."""
    return list({file.resolve(): file for file in files}.values())


def existing_labels(labels: Path | None) -> Path | None:
    """Raises ConfigurationError where there is no such file."""
    return labels and existing_file(rereadable(labels))


def unread_ends(records: int) -> None:
    """Done, without some records of the logs: told, and the exit code says so."""
    if records:
        are = "is" if records == 1 else "are"
        typer.echo(
            f"{counted(records, 'record')} could not be read or believed and {are} not part of it", err=True
        )
        raise typer.Exit(UNREADABLE)


@contextmanager
def labelled_lines() -> Iterator[None]:
    """A file that holds something else than labelled sessions is wrong usage, told in words."""
    try:
        yield
    except GuardianError as error:
        from guardian.evaluation.sessions import SessionFileError

        if not isinstance(error, SessionFileError):
            raise
        raise ConfigurationError(_line_in_words(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "a file is not UTF-8 text; give labelled session lines, or a .gz of them"
        ) from error


def _line_in_words(error: GuardianError) -> str:
    found = re.match(r"(.+?):(\d+): not a labelled session", str(error), re.DOTALL)
    if found is None:
        return str(error)
    match error.__cause__:
        case json.JSONDecodeError():
            why = "it is not JSON"
        case KeyError() as absent:
            why = f"it has no {absent.args[0]!r}"
        case ValueError() as wrong:
            why = str(wrong)
        case _:
            why = "a field is of another type than it must be"
    return (
        f"{found[1]}: line {found[2]} is not a labelled session: {why};"
        " it takes dataset, session_id, purpose and actions, each with tool, args and label"
        " (benign, drift or unknown)"
    )
