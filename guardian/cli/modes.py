"""mode: what guardian may do by itself, tenant by tenant."""

from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, client, named, one_line, show_unheard_tenant, waits
from guardian.cli.common import WAITS, JsonOption, print_json
from guardian.errors import ConfigurationError
from guardian.wire.base import Mode, listed
from guardian.wire.evidence import EvidenceClient
from guardian.wire.sessions import ModeView
from guardian.wire.tenants import TenantList, TenantView


def register(app: typer.Typer) -> None:
    app.command()(mode)


def mode(
    tenant: Annotated[
        str | None, typer.Argument(help="The tenant; absent: show the mode of each.", callback=named)
    ] = None,
    wanted: Annotated[
        Mode | None, typer.Argument(metavar="mode", help="The mode to set; absent: show the present one.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="With a mode: why; it is audited and shown to others.")
    ] = None,
    percent: Annotated[
        int | None, typer.Option("--percent", min=1, max=99, help="canary: the share of sessions to act on.")
    ] = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the tenants' modes, or set one: in shadow everything is computed and nothing revoked.

    More than guardian may do now takes a second person (exit code 5: nothing is changed yet); less takes one.

    Example: guardian mode tenant_acme canary --percent 10 --reason "two weeks of shadow without a false alarm"
    """
    if wanted is None and (reason or percent is not None):
        raise ConfigurationError("--reason and --percent go with a mode: shadow, canary or enforce")
    if wanted == "canary" and percent is None:
        raise ConfigurationError("canary needs --percent, from 1 to 99: the share of sessions to act on")
    if wanted not in (None, "canary") and percent is not None:
        raise ConfigurationError(f"--percent goes with canary, not with {wanted}")
    if wanted is not None and not reason:
        raise ConfigurationError('say why: --reason "..." (it is audited)')
    with client(config) as control:
        if tenant is None:
            _show_modes(control, as_json=as_json)
            return
        if wanted is None:
            view = control.mode(tenant)
        else:
            view = control.set_mode(tenant, wanted, reason=reason or "", canary_percent=percent)
    show_unheard_tenant(view)
    if as_json:
        print_json(view)
    else:
        source = f", set by {view.set_by}: {view.reason}" if view.set_by else " (default)"
        typer.echo(one_line(f"{view.tenant_id}: {_told(view)}{source}"))
        if view.approval is not None:
            typer.echo(waits(view.approval))
    if wanted is not None and view.approval is not None:
        raise typer.Exit(WAITS)


def _show_modes(control: EvidenceClient, *, as_json: bool) -> None:
    pages: list[TenantList] = []

    def ask(cursor: str | None) -> TenantList:
        pages.append(control.tenants(cursor=cursor))
        return pages[-1]

    views, more = {each.tenant_id: each for each in listed(ask)}, pages[-1].more
    if as_json:
        print_json(TenantList(items=tuple(views[name] for name in sorted(views)), more=more))
    else:
        for name in sorted(views):
            source = f", set by {views[name].set_by}" if views[name].set_by else " (default)"
            typer.echo(one_line(f"{name}: {_told(views[name])}{source}"))
    if more:
        typer.echo("these are not all: control is of an older version, which lists no more", err=True)


def _told(view: ModeView | TenantView) -> str:
    return f"{view.mode} {view.canary_percent} %" if view.mode == "canary" else view.mode
