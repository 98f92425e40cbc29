"""dlq list, dlq redrive."""

from collections.abc import Iterable
from typing import Annotated

import typer

from guardian.cli.common import FAULT, ConfigOption, JsonOption, as_json_line, escape, settings_from
from guardian.domain.text import counted
from guardian.errors import ConfigurationError

dlq_app = typer.Typer(no_args_is_help=True, help="Records that could not be read: list them, send them again.")


def register(app: typer.Typer) -> None:
    app.add_typer(dlq_app, name="dlq")


@dlq_app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters with reason, topic, partition and offset. Their bytes stay sealed.

    Example: guardian dlq list --json
    """
    from guardian.commands.letters import dead_letters, kept_letters

    settings = settings_from(config)
    letters = dead_letters(settings, limit)
    shown = _print_json(letters) if as_json else _print_lines(letters)
    total = max(shown, kept_letters(settings))  # the two are read one after the other
    of = f"{shown} of " if shown < total else ""
    typer.echo(f"{of}{counted(total, 'dead letter')}", err=True)


def _print_lines(letters: Iterable[dict[str, object]]) -> int:
    """One line each, as they come. Returns how many there were."""
    shown = 0
    for letter in letters:
        again = " (redriven)" if letter["redriven_at"] else ""
        typer.echo(escape(f"{letter['id']}  {letter['at']}  {letter['code']}: {letter['reason']}{again}"))
        shown += 1
    return shown


def _print_json(letters: Iterable[dict[str, object]]) -> int:
    """One array, as its parts come. Returns how many there were."""
    shown = 0
    for letter in letters:
        typer.echo((", " if shown else "[") + as_json_line(letter), nl=False)
        shown += 1
    typer.echo("]" if shown else "[]")
    return shown


@dlq_app.command()
def redrive(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids from `dlq list`.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every one of the configured topics that was not sent again yet.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Send dead letters to the topic they came from, byte for byte, at least once; a header says that they were.

    Example: guardian dlq redrive decisions/0/4711
    """
    from guardian.commands.letters import redrive_letters

    if bool(ids) == every:
        raise ConfigurationError("name the dead letters to send again, or say --all")

    def tell(letters: int) -> None:
        if every:
            typer.echo(
                f"sending {counted(letters, 'dead letter')} again; those that still cannot be read will come back"
                " here",
                err=True,
            )

    done = redrive_letters(settings_from(config), ids or None, tell)
    absent = f"; not kept (any more): {', '.join(done.missing)}" if done.missing else ""
    shut = f"; too old, altered or their key is gone: {', '.join(done.shut)}" if done.shut else ""
    failed = f"; could not be sent: {', '.join(done.failed)}" if done.failed else ""
    left = f"; {done.left} of a file or another topic left as they are" if done.left else ""
    typer.echo(escape(f"{len(done.sent)} sent again{absent}{shut}{failed}{left}"))
    if done.shut or done.failed or set(ids or ()) - set(done.sent):
        raise typer.Exit(FAULT)
