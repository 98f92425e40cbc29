"""slack: set up an app, and check it."""

from typing import Annotated

import typer

from guardian.cli.common import ConfigOption, JsonOption, escape, print_json, settings_from

_FAULT = 1

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
    from guardian.bootstrap.manifest import manifest_text

    typer.echo(manifest_text(url))


@slack_app.command()
def check(
    send: Annotated[bool, typer.Option("--send/--no-send", help="Post a test case to the channel.")] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check token, scopes, channels, signing secret and people, and send a test case. Exit code 1 if one fails.

    Example: guardian slack check -c guardian.yaml
    """
    from guardian.bootstrap.slack_check import check_slack

    checks = list(check_slack(settings_from(config), send=send))
    if as_json:
        print_json([{"name": c.name, "ok": c.ok, "found": c.found, "mend": c.mend} for c in checks])
    for found in checks if not as_json else []:
        typer.echo(f"{'ok  ' if found.ok else 'MEND'}  {found.name:<10} {escape(found.found)}")
        if not found.ok:
            typer.echo(f"      {'':<10} → {escape(found.mend)}")
    if not all(found.ok for found in checks):
        raise typer.Exit(_FAULT)
