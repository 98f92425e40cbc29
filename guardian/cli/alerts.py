"""alerts: try the channels, and look at what they would show."""

from typing import Annotated

import typer

from guardian.cli.common import ConfigOption, JsonOption, escape, print_json, settings_from
from guardian.errors import ConfigurationError

_FAULT = 1

alerts_app = typer.Typer(no_args_is_help=True, help="Try the alert channels, and look at what they show.")


def register(app: typer.Typer) -> None:
    app.add_typer(alerts_app, name="alerts")


@alerts_app.command("test")
def try_channels(
    channel: Annotated[str | None, typer.Option(help="Only this channel of the configuration.")] = None,
    config: ConfigOption = None,
) -> None:
    """Send a sample of each kind of message to every configured channel. Exit code 1 if one does not take it.

    Example: guardian alerts test --channel slack
    """
    from guardian.bootstrap.alert_tests import send_samples

    failed = False
    for sent in send_samples(settings_from(config), only=channel):
        typer.echo(f"{'ok  ' if sent.ok else 'FAIL'}  {sent.channel:<10} {sent.kind:<20} {escape(sent.found)}")
        failed = failed or not sent.ok
    if failed:
        raise typer.Exit(_FAULT)


@alerts_app.command()
def preview(
    finding: Annotated[
        str, typer.Argument(help="A finding's id, fnd_..., or a sample: flagged, revoked, digest, ...")
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the Slack blocks of a finding's case, as text or with --json as they are sent.

    Example: guardian alerts preview fnd_5f0c --json
    """
    from guardian.alerting.plain_text import as_text
    from guardian.bootstrap.clock import utc_now
    from guardian.bootstrap.samples import samples, shown
    from guardian.cli.asking import client

    known = samples(utc_now())
    if finding in known:
        blocks = shown(known[finding])
    elif not finding.startswith(("fnd_", "news_")):
        raise ConfigurationError(f"{finding!r} is no finding's id, nor a sample: {', '.join(known)}")
    else:
        from guardian.control.desk import alert_of

        with client(config) as control:
            view = control.finding(finding).finding
            blocks = shown(alert_of("preview", control.case(view.tenant_id, view.session_id)))
    if as_json:
        print_json({"blocks": blocks})
    else:
        typer.echo(escape(as_text(blocks)))
