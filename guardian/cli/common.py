"""What every command shares: the configuration option, progress on stderr, output for people or programs."""

import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from errno import EPIPE
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from guardian.config import Settings, load
from guardian.domain.text import visible
from guardian.errors import ConfigurationError

if TYPE_CHECKING:
    from guardian.commands.checks import Check

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; default $GUARDIAN_CONFIG, else ./guardian.yaml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]

FAULT = 1
TO_MEND = 2
"""The exit code of wrong usage, and of what starting again does not mend."""
UNREADABLE = 3
"""The exit code of what was done although some lines could not be read."""
STOPPED = 4
"""The exit code of a monitor that stopped because most records of a gateway cannot be read."""
WAITS = 5
"""The exit code of an act that is not done: it was put up, and waits for a second person."""
INTERRUPTED = 130
CUT_OFF = 141
"""The exit code where whoever read the output has closed the pipe: what a shell says of any program there."""
_READ = frozenset({"gateway_not_entitled", "no_gateway", "no_tenant"})
"""The codes of what could be read, and of which the configuration must say who sends it or whose it is."""
_NARROWEST = 20
_KEPT = "\N{NO-BREAK SPACE}"
_MARKS = {True: "ok  ", False: "MEND", None: "?   "}


class Screen(Console):
    """Standard output for tables. That its pipe was closed is told as of any other output."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(EPIPE, "nobody reads this any more")


def settings_from(
    config: Path | None, *, required: bool = True, instead: str = "write one with `guardian init FOLDER`"
) -> Settings:
    """Load settings; where none are required, defaults do. Raises ConfigurationError with the way out, `instead`
    among others."""
    if config is None and (named := os.environ.get("GUARDIAN_CONFIG")):
        config = Path(named)
    if config is None and Path("guardian.yaml").is_file():
        config = Path("guardian.yaml")
    if config is None and required:
        raise ConfigurationError(f"no configuration: give --config FILE, set GUARDIAN_CONFIG, or {instead}")
    return load(config)


def escape(text: str) -> str:
    """Text for a terminal, line by line: in what a hostile log may carry nothing steers or hides."""
    return "\n".join(map(visible, text.split("\n")))


def as_json_line(value: Any) -> str:
    """JSON in printable ASCII: what an agent wrote stays escaped, whoever prints it."""
    told = json.loads(value.model_dump_json()) if isinstance(value, BaseModel) else value
    return json.dumps(told, ensure_ascii=True, default=str).replace("\x7f", "\\u007f")


def print_json(value: Any) -> None:
    typer.echo(as_json_line(value))


def show_checks(checks: "Iterable[Check]", as_json: bool) -> None:
    """Each check as soon as it is done, with what to mend; as JSON all at the end. Raises Exit with FAULT when
    one fails; one that knows nothing does not."""
    done = []
    for check in checks:
        done.append(check)
        if as_json:
            continue
        _show_part(f"{_MARKS[check.ok]}  {check.name:<11} ", check.found)
        if check.ok is False:
            _show_part(f"{'':<18}→ ", check.mend)
    if as_json:
        print_json([asdict(check) for check in done])
    if any(check.ok is False for check in done):
        raise typer.Exit(FAULT)


def _show_part(head: str, text: str) -> None:
    """Text beside its head: each line whole, or where a terminal is narrower in several below one another, none of
    which breaks a command in back-ticks."""
    screen = Screen()
    width = max(screen.width - len(head), _NARROWEST) if screen.is_terminal else sys.maxsize
    for line in escape(text).split("\n"):
        kept = re.sub("`[^`]*`", lambda command: command[0].replace(" ", _KEPT), line)
        for part in textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False) or [""]:
            typer.echo(head + part.replace(_KEPT, " "))
            head = " " * len(head)


@contextmanager
def progress(title: str, *, of_bytes: bool = False) -> Iterator[Callable[..., None]]:
    """A bar on stderr, silent when that is no terminal. Yields `update(done, total or None, doing="")`."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if of_bytes else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def update(done: int, total: int | None, doing: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{title}: {doing}" if doing else title)

        yield update


def existing_file(path: Path, *, or_pipe: bool = False) -> Path:
    """`-` (stdin) or a regular file; with `or_pipe` also what can be read only once. Raises ConfigurationError."""
    if str(path) == "-":
        if sys.stdin is None:
            raise ConfigurationError("standard input is closed; name a file")
        return path
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigurationError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if S_ISDIR(mode):
        raise ConfigurationError(f"{path} is a folder, not a file")
    if not S_ISREG(mode) and not or_pipe:
        raise ConfigurationError(f"{path} is not a regular file; `-` reads from standard input")
    return path


def existing_source(path: Path) -> Path:
    """A readable file, or the folder of an archive. Raises ConfigurationError."""
    return path if (path / "events").is_dir() else existing_file(path)


def say_if_empty(file: Path, records: int) -> None:
    """What every command says of a log that holds nothing; it is no fault."""
    if not records:
        typer.echo(escape(f"{'standard input' if str(file) == '-' else file} holds no records"), err=True)


def hint_format(settings: Settings, file: Path, *, decisions: int, refused: Mapping[str, int]) -> None:
    """Where most of a log could not be read, say how to find out whether it has another format. `refused`: how
    many by code."""
    read = decisions + sum(refused.get(code, 0) for code in _READ)
    unread = decisions + sum(refused.values()) - read
    if unread > read and settings.source.format != "auto":
        typer.echo(
            f"Perhaps it has another format: `guardian detect {file}` says which one, and how to read it"
            f" (source.format is {settings.source.format}; auto reads every known format, and JSON arrays)",
            err=True,
        )


def other_file(output: Path, *inputs: Path) -> Path:
    """`-` (stdout), or a file to write that is none of the inputs, nor a folder. Raises ConfigurationError."""
    if str(output) == "-" and sys.stdout is None:
        raise ConfigurationError("standard output is closed; name a file to write with --output")
    if str(output) != "-" and not output.parent.is_dir():
        raise ConfigurationError(f"{output}: there is no folder {output.parent}; make it, or name another file")
    if str(output) == "-" or not output.exists():
        return output
    if output.is_dir():
        raise ConfigurationError(f"{output} is a folder; name a file to write")
    there = output.stat()
    for path in inputs:
        if os.path.samestat(there, os.fstat(0) if str(path) == "-" else path.stat()):
            raise ConfigurationError(f"{output} is what is read; name another file to write")
    return output
