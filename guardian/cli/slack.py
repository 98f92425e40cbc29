"""slack: set up an app, and check it."""

import re
from typing import Annotated

import typer

from guardian.cli.common import ConfigOption, JsonOption, settings_from, show_checks
from guardian.errors import ConfigurationError

slack_app = typer.Typer(no_args_is_help=True, help="Set up Slack, and check it.")


def register(app: typer.Typer) -> None:
    app.add_typer(slack_app, name="slack")


@slack_app.command()
def manifest(
    url: Annotated[
        str | None,
        typer.Option(
            help="Where Slack reaches control, such as https://guardian.example.com; absent: Socket Mode."
        ),
    ] = None,
) -> None:
    """Print the app manifest to paste at https://api.slack.com/apps (Create New App, From a manifest).

    Example: guardian slack manifest --url https://guardian.example.com
    """
    from guardian.commands.manifest import manifest_text

    if url is not None and not re.fullmatch(r"https://[^\s/?#]+(/[^\s?#]*)?", url):
        raise ConfigurationError(
            f"--url {url!r}: Slack reaches https addresses, such as https://guardian.example.com"
        )
    typer.echo(manifest_text(url))


@slack_app.command()
def check(
    send: Annotated[bool, typer.Option("--send/--no-send", help="Post a test case to the channel.")] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check token, scopes, channels, signing secret and people, and send a test case.

    Exit code 1 if one fails. Example: guardian slack check -c guardian.yaml
    """
    from guardian.commands.slack_check import check_slack

    show_checks(check_slack(settings_from(config), send=send), as_json)
