"""The command line: argument parsing only. Work lies in `bootstrap` and below.

Exit codes: 0 done; 1 a fault (control away, model altered, ...); 2 wrong usage or configuration;
3 done, but some input lines could not be read; 130 interrupted.
"""

import sys
from importlib import import_module

import click
import typer
from rich.console import Console

from guardian.cli.common import escape, set_debug
from guardian.errors import ConfigurationError, GuardianError

app = typer.Typer(
    name="guardian",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="guardian watches AI agents' tool calls for intent drift and revokes sessions, within a policy.\n\n"
    "Start with `guardian demo`, or score a file: `guardian score sessions.jsonl -o verdicts.jsonl`.",
    epilog="Exit codes: 0 done; 1 a fault; 2 wrong usage or configuration; 3 some lines could not be read; "
    "130 interrupted.",
)

for _noun in ("showing", "scoring", "running", "setup", "people", "letters", "measuring"):
    import_module(f"guardian.cli.{_noun}").register(app)


@app.callback()
def _root(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks instead of one-line errors."),
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    set_debug(debug)
    if version:
        from guardian import __version__

        typer.echo(f"guardian {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `guardian` command."""
    debug = "--debug" in sys.argv
    try:
        code = app(standalone_mode=False)
    except click.exceptions.UsageError as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        typer.echo("guardian: interrupted", err=True)
        sys.exit(130)
    except GuardianError as error:
        if debug:
            raise
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"guardian: {escape(str(error))}", markup=False
        )
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except BrokenPipeError:  # `guardian ... | head`
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
