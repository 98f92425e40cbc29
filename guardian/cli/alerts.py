"""alerts: try the channels, look at what they would show, and send again, or give up, what they refused."""

from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, OnlyTenant, client
from guardian.cli.common import FAULT, ConfigOption, JsonOption, escape, print_json, settings_from
from guardian.domain.text import counted
from guardian.errors import ConfigurationError
from guardian.telemetry import configure_logging

_Ids = Annotated[list[int] | None, typer.Argument(help="Ids from `alerts list`.")]
_OnlyChannel = Annotated[str | None, typer.Option("--channel", help="Only what this channel refused.")]

alerts_app = typer.Typer(
    no_args_is_help=True, help="Try the alert channels, look at what they show, and see to what they refused."
)


def register(app: typer.Typer) -> None:
    app.add_typer(alerts_app, name="alerts")


@alerts_app.command("test")
def try_channels(
    channel: Annotated[str | None, typer.Option(help="Only this channel of the configuration.")] = None,
    config: ConfigOption = None,
) -> None:
    """Send samples to every configured channel: Slack gets one of each kind of message; the others one that was
    flagged, one that was revoked, and twice what became of the first: an update, and the end of it.

    Exit code 1 if a channel does not take it. Example: guardian alerts test --channel slack
    """
    from guardian.commands.alert_tests import send_samples

    settings, failed = settings_from(config), False
    configure_logging(level=settings.logging.level, json=settings.logging.format == "json")  # so the log is tried
    for sent in send_samples(settings, only=channel):
        typer.echo(f"{'ok  ' if sent.ok else 'FAIL'}  {sent.channel:<10} {sent.kind:<20} {escape(sent.found)}")
        failed = failed or not sent.ok
    if failed:
        raise typer.Exit(FAULT)


@alerts_app.command()
def preview(
    finding: Annotated[
        str, typer.Argument(help="A finding's id, fnd_..., or a sample: flagged, revoked, digest, ...")
    ],
    as_json: JsonOption = False,
    config: ControlOption = None,
) -> None:
    """Print the Slack blocks of a finding's case, as text or with --json as they are sent; of the finding alone,
    in full, where its case shows another.

    Example: guardian alerts preview fnd_5f0c --json
    """
    from guardian.alerting.plain_text import as_text
    from guardian.bootstrap.clock import utc_now
    from guardian.commands.samples import samples, shown

    known = samples(utc_now())
    if finding in known:
        blocks = shown(known[finding])
    elif not finding.startswith(("fnd_", "news_")):
        raise ConfigurationError(f"{finding!r} is no finding's id, nor a sample: {', '.join(known)}")
    else:
        from guardian.commands.alert_tests import preview_of

        with client(config) as control:
            blocks = preview_of(finding, control)
    if as_json:
        print_json({"blocks": blocks})
    else:
        typer.echo(escape(as_text(blocks)))


@alerts_app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the alerts that a channel refused for good, with its reason; they went to the log instead. What became
    of one is held until the channel has it: how many that are stands there as well.

    Slack is asked again by itself, within the hour: what waits for that is listed below them, without an id. So is
    how much any other channel did not take yet, which is away or busy, and is tried again by itself.
    Example: guardian alerts list --json
    """
    from guardian.commands.letters import late_alerts, refused_alerts, waiting_cases

    settings = settings_from(config)
    refused, waiting, late = refused_alerts(settings), waiting_cases(settings), late_alerts(settings)
    if as_json:
        print_json([*refused, *waiting, *late])
        return
    for each in refused:
        about = f"{each['finding']}  {each['tenant_id']}/{each['session_id']}" if "finding" in each else "?"
        behind = f"  (holds back {each['held']} of what became of it)" if each["held"] else ""
        typer.echo(escape(f"{each['id']}  {each['channel']}  {each['at']}  {about}  {each['why']}{behind}"))
    for case in waiting:
        about = f"{case['tenant_id']}/{case['session_id']}"
        typer.echo(escape(f"slack  asked again at {case['next_at']}  {about}  {case['why']}"))
    for each in late:
        waits = f"{each['channel']}  {each['waiting']} not taken since {each['since']}"
        typer.echo(escape(f"{waits}  tried again at {each['next_at']}  {each['why']}"))
    slacks = f"; {len(waiting)} of Slack's wait, and `guardian alerts release --all` asks now" if waiting else ""
    others = "".join(f"; {each['waiting']} waiting for {each['channel']}" for each in late)
    typer.echo(f"{counted(len(refused), 'alert')} refused{slacks}{others}", err=True)


@alerts_app.command()
def release(
    ids: _Ids = None,
    every: Annotated[bool, typer.Option("--all", help="Every one; Slack is asked again at once.")] = False,
    channel: _OnlyChannel = None,
    tenant: OnlyTenant = None,
    config: ConfigOption = None,
) -> None:
    """Let control send refused alerts again, once what they were refused for is mended. It is audited.

    A channel that took one before and cannot be asked gets it again, under the same id.
    Example: guardian alerts release 17
    """
    from guardian.commands.letters import release_alerts
    from guardian.store.control.alerts import Chosen

    if bool(ids) == every:
        raise ConfigurationError("name the alerts to send again, or say --all")
    released, hurried = release_alerts(settings_from(config), Chosen(ids or None, channel, tenant))
    slacks = f"; {hurried} of Slack's are tried again now" if hurried else ""
    _say(f"{len(released)} released", ids, [each.id for each in released], slacks)


@alerts_app.command()
def drop(
    ids: _Ids = None,
    every: Annotated[bool, typer.Option("--all", help="Every one that was refused.")] = False,
    channel: _OnlyChannel = None,
    tenant: OnlyTenant = None,
    config: ConfigOption = None,
) -> None:
    """Give refused alerts up: who refused one does not get it any more, nor what became of that finding, where it
    was told nothing else of it. They stay in the log, and it is audited. What two channels refused has one id.

    Example: guardian alerts drop 17   (or: guardian alerts drop --all --channel webhook --tenant tenant_acme)
    """
    from guardian.commands.letters import drop_alerts
    from guardian.store.control.alerts import Chosen

    if bool(ids) == every:
        raise ConfigurationError("name the alerts to give up, or say --all")
    dropped = drop_alerts(settings_from(config), Chosen(ids or None, channel, tenant))
    behind = sum(each.held for each in dropped)
    held = f", with {behind} that they held back" if behind else ""
    _say(f"{len(dropped)} dropped{held}", ids, [each.id for each in dropped])


def _say(done: str, ids: Sequence[int] | None, found: Collection[int], more: str = "") -> None:
    """What was done, and which of the ids were not there; then it raises Exit with FAULT."""
    absent = sorted(set(ids or ()) - set(found))
    told = f"; not refused: {', '.join(map(str, absent))}" if absent else ""
    typer.echo(f"{done}{told}{more}")
    if absent:
        raise typer.Exit(FAULT)
