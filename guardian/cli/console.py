"""link: the way to the evidence pages for whoever has a token."""

import time
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from urllib.parse import urlencode

import typer

from guardian.cli.asking import ControlOption, client, named
from guardian.cli.common import JsonOption, print_json
from guardian.errors import ConfigurationError, ControlError

_BROWSER_READS_S = 5.0


def register(app: typer.Typer) -> None:
    app.command()(link)


def link(
    tenant: Annotated[
        str | None, typer.Argument(help="The tenant of the session; give both or neither.", callback=named)
    ] = None,
    session: Annotated[str | None, typer.Argument(help="The session to look at.", callback=named)] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a link that signs you in to the evidence pages: once, within minutes, with your token's reach.

    Give it to nobody.

    Example: guardian link tenant_acme sess_42 --open
    """
    if (tenant is None) != (session is None):
        raise ConfigurationError("name a tenant and a session, or neither")
    from guardian.bootstrap.visiting import ROOT

    page = "" if tenant is None else f"{ROOT}/session?{urlencode({'tenant': tenant, 'id': session})}"
    with client(config) as control:
        try:
            made = control.sign_in_link(page)
        except ControlError as error:
            if error.code != "no_console":
                raise
            raise ControlError(
                "control runs without evidence pages; set console.enabled on its machine and start it again"
            ) from error
    if browse:
        _open(made.url)
    if as_json:
        print_json(made)
    elif not browse:
        typer.echo(made.url)
        typer.echo(f"opens once, until {made.expires_at.isoformat(timespec='seconds')}", err=True)


def _open(url: str) -> None:
    """By way of a file of one's own: whoever lists the processes of this machine must not find the link."""
    import webbrowser

    with TemporaryDirectory(prefix="guardian-link-") as folder:  # for this user alone
        page = Path(folder) / "link.html"
        page.touch(mode=0o600)
        page.write_text(f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(url)}">')
        if not webbrowser.open(page.as_uri()):
            raise ConfigurationError("no browser was found on this machine; leave out --open and copy the link")
        time.sleep(_BROWSER_READS_S)
