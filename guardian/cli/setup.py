"""init, doctor, migrate."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.common import ConfigOption, JsonOption, settings_from, show_checks
from guardian.commands.checks import Runs


def register(app: typer.Typer) -> None:
    for command in (init, doctor, migrate):
        app.command()(command)


def init(
    folder: Annotated[Path, typer.Argument(help="Where the configuration, keys and databases will lie.")],
    solo: Annotated[
        bool, typer.Option("--solo", help="For a one-person trial: one may do what otherwise takes two.")
    ] = False,
) -> None:
    """Write a commented configuration with fresh keys and the first tokens; shadow mode is on.

    Example: guardian init guardian-home
    """
    from guardian.commands.initialise import initialise

    target = initialise(folder, solo=solo)
    named = shlex.quote(str(target))  # what follows is there to be copied
    second = (
        "\nOne person may leave shadow and reinstate (--solo); every such act is audited as such."
        if solo
        else "\nThat and reinstating take two people; the second one needs a token of their own:\n"
        f"  guardian token issue NAME --role approver --tenant '*' -c {named}"
    )
    typer.echo(
        f"{target} written, with fresh keys and 90-day tokens in {target.parent / 'keys'} (yours only):\n"
        "  admin.token for people, gateway.token for gateways, monitor.token for the monitor\n"
        "Next: name your broker and your gateways in the file, then\n"
        f"  guardian run -c {named}\n"
        "and in another terminal, to see what does not work yet:\n"
        f"  guardian doctor -c {named}\n"
        "Shadow mode is on: nothing is revoked. Once the findings are right, let it act on a share of sessions:\n"
        f"  guardian mode TENANT canary --percent 5 --reason ... -c {named}\n"
        f"and later all: `enforce`.{second}"
    )


def doctor(
    runs: Annotated[
        Runs,
        typer.Option("--for", help="What runs on this machine: watch or serve alone, or run, which is both."),
    ] = "run",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the configuration against the world: broker, topic, databases, policy, model, Slack, clock.

    Exit code 1 if anything must be mended. Example: guardian doctor --for watch -c guardian.yaml
    """
    from guardian.commands.doctor import examine

    show_checks(examine(settings_from(config), runs), as_json)


def migrate(config: ConfigOption = None) -> None:
    """Bring control's database up to date as the role that owns its tables, where `serve` runs as another role.

    Example: GUARDIAN_STORE__CONTROL="$URL_OF_ITS_OWNER" guardian migrate
    """
    from guardian.bootstrap.control_store import migrate_control

    settings = settings_from(config)
    migrate_control(settings)
    roles = settings.store.control.startswith("postgresql")  # SQLite has none
    typer.echo("up to date" + "; now, as the owner, section 4 of config/examples/postgres-roles.sql" * roles)
