"""The command line: argument parsing only. Work lies in `commands` and below.

Exit codes: 0 done; 1 a fault (control away, database locked, no memory, ...); 2 wrong usage, or a configuration,
model or policy that has to be mended first; 3 done, but some input lines could not be read; 4 the monitor stopped,
because most records of a gateway cannot be read; 5 put up, and not done: it waits for a second person; 130
interrupted; 141 whoever read the output closed it.
"""

import os
import re
import select
import sys
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup
from typer.main import get_command_name

from guardian import __version__
from guardian.cli.common import CUT_OFF, FAULT, INTERRUPTED, STOPPED, TO_MEND, escape
from guardian.errors import (
    ConfigurationError,
    FuseBlown,
    GuardianError,
    ModelAway,
    ModelError,
    PlaceAway,
    PolicyError,
)
from guardian.telemetry import configure_logging

PANELS = {
    "Try it": "demo score replay detect sources schema",
    "Run it": "init doctor check-config migrate run watch serve mode token seal",
    "Look at sessions, and decide": "sessions findings revoked revoke reinstate dismiss confirm protect take note "
    "snooze approvals approve deny withdraw break-glass break-glass-end exceptions link",
    "Keep it in order": "gateways breaker alerts slack outbox dlq policy audit",
    "Learn from what was seen": "archive labels feedback purposes calibrate propose propose-own backtest reject "
    "verify authority notebooks",
    "Build and measure": "train evaluate bench",
}
"""What `--help` shows together, by who needs it, and in which order."""
_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names.split()}


class _ByPanel(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _tidy_help(self)

    def list_commands(self, ctx: Any) -> list[str]:
        known = list(_PANEL_OF)
        return sorted(super().list_commands(ctx), key=lambda name: known.index(name) if name in known else -1)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _with_the_value(error)
            raise
        except BrokenPipeError:
            if not _cut_off():
                raise
            sys.exit(CUT_OFF)


def _cut_off() -> bool:
    """Whether it is our output that nobody reads any more, and no other pipe; then the rest goes nowhere."""
    outputs = select.poll()
    for number in (1, 2):
        outputs.register(number, 0)
    broken = [number for number, _ in outputs.poll(0)]
    for number in broken:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return bool(broken)


def _with_the_value(error: typer.BadParameter) -> str:
    """What was given and is refused: not every message of typer's checks names it."""
    said = error.message.removeprefix("Value error, ")
    if not isinstance(error.__cause__, ValidationError):
        return said
    given = repr(error.__cause__.errors()[0]["input"])
    return said if given in said else f"{given}: {said}"


def _tidy_help(command: Any) -> None:
    """Paragraphs are filled by the terminal and not as the docstrings are. A flag takes no value, though typer's
    help would say <bool> beside it."""
    command.help = command.help and re.sub(r"(?<!\n)\n(?!\n)", " ", command.help)
    for option in (*command.params, command.get_help_option(typer.Context(command))):
        if getattr(option, "is_flag", False):
            option.metavar = ""
    for below in getattr(command, "commands", {}).values():
        _tidy_help(below)


app = typer.Typer(
    name="guardian",
    cls=_ByPanel,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="guardian watches AI agents' tool calls for intent drift and revokes sessions, within a policy.\n\n"
    "Start with `guardian demo`, or score a file: `guardian score sessions.jsonl -o verdicts.jsonl`.",
    epilog="Exit codes: 0 done; 1 a fault; 2 wrong usage, configuration, model or policy; 3 some lines could not "
    "be read; 4 most records of a gateway cannot be read; 5 not done yet, it waits for a second person; 130 "
    "interrupted; 141 its output was closed.",
)

for _noun in (
    "showing",
    "sources",
    "scoring",
    "running",
    "setup",
    "tokens",
    "seals",
    "sessions",
    "modes",
    "revoked",
    "findings",
    "cases",
    "labels",
    "console",
    "approving",
    "alerts",
    "slack",
    "exceptions",
    "policy",
    "auditing",
    "letters",
    "outbox",
    "watching",
    "archive",
    "proposing",
    "replaying",
    "authority",
    "notebooks",
    "training",
    "calibrating",
    "evaluating",
    "benching",
):
    import_module(f"guardian.cli.{_noun}").register(app)

_every: list[Any] = [*app.registered_commands, *app.registered_groups]
for _listed in _every:
    _listed.rich_help_panel = _PANEL_OF.get(_listed.name or get_command_name(_listed.callback.__name__))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"guardian {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks instead of one-line errors."),  # noqa: ARG001
    version: bool = typer.Option(  # noqa: ARG001
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    configure_logging(level="warning", json=False)


_LASTING = (ConfigurationError, ModelError, PolicyError)
"""What starting again does not mend: the units start nothing again after it."""
_PASSING = (ModelAway, PlaceAway)


def main() -> None:
    """Entry point of the `guardian` command."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if _interrupted(error):
            sys.exit(INTERRUPTED)
        if "--debug" in sys.argv:
            raise
        typer.echo(f"guardian: {escape(_in_words(error))}", err=True)
        sys.exit(_code(error))


def _code(error: Exception) -> int:
    if isinstance(error, _LASTING) and not isinstance(error, _PASSING):
        return TO_MEND
    return STOPPED if isinstance(error, FuseBlown) else FAULT


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is its cause: a native module that is interrupted while it loads raises an ImportError."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or _interrupted(error.__cause__))


def _in_words(error: Exception) -> str:
    match error:
        case GuardianError():
            return str(error)
        case OSError():  # a full disk, a folder of somebody else's
            return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}"
        case UnicodeEncodeError() if error.encoding != "utf-8":
            return f"this text has letters that {error.encoding} lacks; set PYTHONIOENCODING=utf-8"
        case _:
            name, own = type(error).__name__, f"{Path(__file__).parents[1]}/"
            frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename.startswith(own)]
            where = f" at {frames[-1].filename.removeprefix(own)}:{frames[-1].lineno}" if frames else ""
            return f"unexpected error: {name}{where}: {error}; guardian --debug COMMAND shows the traceback"
