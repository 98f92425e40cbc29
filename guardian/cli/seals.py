"""seal: rotate the key that dead letters and waiting records are sealed with."""

from typing import Annotated

import typer

from guardian.cli.common import ConfigOption, settings_from
from guardian.domain.text import counted
from guardian.errors import ConfigurationError

seal_app = typer.Typer(
    no_args_is_help=True, help="Rotate the key that dead letters and waiting records are sealed with."
)


def register(app: typer.Typer) -> None:
    app.add_typer(seal_app, name="seal")


@seal_app.command("rotate")
def rotate_seal(
    lost: Annotated[
        bool, typer.Option("--lost", help="No monitor or backup has the key: give up what lies sealed.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Seal with a fresh key once the monitors were started anew; what lies sealed can still be opened.

    Bring the file to every monitor of this store first: one that lacks the key cannot read what the others seal.

    Example: guardian seal rotate -c guardian.yaml
    """
    from guardian.bootstrap.databases import monitor_url
    from guardian.bootstrap.secrets import SecretFiles
    from guardian.keys.seal import replace_lost_seal_file, rotate_seal_file

    settings = settings_from(config)
    monitor_url(settings, makes=False)  # on control's machine lies a key that seals nothing
    path = SecretFiles.of(settings).seal
    (replace_lost_seal_file if lost else rotate_seal_file)(path)
    if lost:
        typer.echo(f"{path} is a new key; nobody opens any more what was sealed before")
    typer.echo(
        f"{path} has a fresh key; copy it to every other monitor of this store, then start the monitors anew:"
        " until then they seal with the old one"
    )


@seal_app.command("retire")
def retire_seals(
    force: Annotated[
        bool, typer.Option("--force", help="Give up what only they open: dead letters, waiting records.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Forget every sealing key but the newest: what they sealed can be opened no more.

    Rotate first and start every monitor anew: what one that was not seals from now on, nobody opens.

    Example: guardian dlq redrive --all && guardian seal retire
    """
    from guardian.bootstrap.secrets import SecretFiles
    from guardian.commands.letters import sealed_before
    from guardian.keys.seal import retire_old_seals

    settings = settings_from(config)
    if not force and (needed := sealed_before(settings)):
        raise ConfigurationError(
            f"an older key alone opens {counted(needed, 'sealed record')} (dead letters, waiting records); start"
            " every monitor anew, redrive what is wanted (`guardian dlq redrive`), and give up the rest with"
            " --force"
        )
    retired = retire_old_seals(SecretFiles.of(settings).seal)
    if not retired:
        raise ConfigurationError("there is no older sealing key; rotate first: `guardian seal rotate`")
    they = "it" if retired == 1 else "they"
    typer.echo(f"{counted(retired, 'older sealing key')} retired: nobody opens any more what {they} sealed")
