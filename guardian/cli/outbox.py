"""outbox list, outbox release."""

from typing import Annotated

import typer

from guardian.cli.common import FAULT, ConfigOption, JsonOption, escape, print_json, settings_from
from guardian.domain.text import counted
from guardian.errors import ConfigurationError

outbox_app = typer.Typer(no_args_is_help=True, help="Findings that control refused: list them, send them again.")


def register(app: typer.Typer) -> None:
    app.add_typer(outbox_app, name="outbox")


@outbox_app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the findings that control refused, with its reason. What they ask for is not done.

    Example: guardian outbox list --json
    """
    from guardian.commands.letters import refused_findings

    refused = refused_findings(settings_from(config))
    if as_json:
        print_json([{"id": each.id, "at": each.at.isoformat(), "why": each.why} for each in refused])
        return
    for each in refused:
        typer.echo(escape(f"{each.id}  {each.at.isoformat()}  {each.why}"))
    typer.echo(f"{counted(len(refused), 'finding')} refused", err=True)


@outbox_app.command()
def release(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids from `outbox list`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every one that was refused.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let the monitor send refused findings again, once what they were refused for is mended.

    Example: guardian outbox release fnd_5f0c
    """
    from guardian.commands.letters import release_findings

    if bool(ids) == every:
        raise ConfigurationError("name the findings to send again, or say --all")
    released = release_findings(settings_from(config), ids or None)
    absent = sorted(set(ids or ()) - set(released))
    typer.echo(escape(f"{len(released)} released" + (f"; not refused: {', '.join(absent)}" if absent else "")))
    if absent:
        raise typer.Exit(FAULT)
