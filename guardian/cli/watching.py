"""gateways: who follows the revocation list, who watches the topic, and whether the switch works."""

from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, client, named, one_line
from guardian.cli.common import JsonOption, print_json
from guardian.domain.text import counted


def register(app: typer.Typer) -> None:
    app.command()(gateways)


def gateways(
    tenant: Annotated[
        str | None, typer.Option(help="Only gateways that serve this tenant.", callback=named)
    ] = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every gateway with the revision it enforces, every monitor with its lag, and the latest self-tests.

    A gateway is lagging when it does not enforce the newest revision in time, silent when it is not heard of.

    Example: guardian gateways --tenant tenant_acme
    """
    from guardian.cli.tables import show_watch

    with client(config) as control:
        watch = control.watch(tenant_id=tenant)
    if as_json:
        print_json(watch)
        return
    show_watch(watch)
    if watch.unprotected_s is not None:
        lasts = counted(int(watch.unprotected_s // 60), "minute")
        typer.echo(one_line(f"UNPROTECTED for {lasts}: {watch.why_unprotected}"))
