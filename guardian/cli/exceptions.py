"""exceptions: what people said is fine, for whom and until when."""

from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, Limit, OneOfMany, OnlyTenant, Why, client, newest, one_line
from guardian.cli.common import JsonOption, print_json
from guardian.wire.exceptions import ExceptionView

exceptions_app = typer.Typer(
    no_args_is_help=True, help="What people said is fine: for a purpose and some tools, with an owner and an end."
)


def register(app: typer.Typer) -> None:
    app.add_typer(exceptions_app, name="exceptions")


@exceptions_app.command("list")
def list_(
    tenant: OnlyTenant = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are over.")] = False,
    limit: Limit = 50,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List exceptions, the newest first.

    An exception outlives the token of its owner. "(token withdrawn)" marks those whose owner had a token withdrawn
    after they were made: end what nobody wants any more.

    Example: guardian exceptions list --tenant tenant_acme --ended
    """
    from guardian.cli.tables import plain, show_rows

    with client(config) as control:
        page = newest(
            limit, lambda n, after: control.exceptions(tenant_id=tenant, ended=ended, limit=n, cursor=after)
        )
    if as_json:
        print_json(page)
        return
    headings = ("exception", "tenant", "purpose", "tools", "owner", "until", "uses", "why")
    rows = [
        (
            view.id,
            plain(view.tenant_id),
            plain(view.purpose),
            plain(view.tool),
            plain(view.owner) + (" (token withdrawn)" if view.owner_withdrawn else ""),
            (view.ended_at or view.expires_at).isoformat(timespec="minutes"),
            str(view.uses),
            plain(view.reason),
        )
        for view in page.items
    ]
    show_rows(headings, rows, whole={"exception", "tools"}, empty="There are no exceptions.")


@exceptions_app.command()
def add(
    finding: Annotated[str, typer.Argument(help="The finding whose like is fine, fnd_...")],
    reason: Why,
    days: Annotated[
        int, typer.Option(min=1, max=365, help="How long it holds; at most control.exception_days.")
    ] = 14,
    tool: Annotated[
        str | None, typer.Option(help="A tool, or its beginning and a star; absent: the finding's own.")
    ] = None,
    tenant: OneOfMany = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an exception for findings like this one: its tenant, its purpose and these tools, for some days.

    It never covers broken rules, nor what is strong enough to revoke on, nor a session with other flags.

    Example: guardian exceptions add fnd_5f0c --tool 'crm.*' --days 30 --reason "part of the new review"
    """
    with client(config) as control:
        view = control.make_exception(finding, reason=reason, days=days, tool=tool, tenant_id=tenant)
    _show(view, as_json=as_json)


@exceptions_app.command()
def end(
    exception: Annotated[str, typer.Argument(help="The exception's id, exc_...")],
    reason: Why,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an exception before its time: guardian looks again.

    Example: guardian exceptions end exc_5f0c --reason "the migration is over"
    """
    with client(config) as control:
        view = control.end_exception(exception, reason=reason)
    _show(view, as_json=as_json)


def _show(view: ExceptionView, *, as_json: bool) -> None:
    if as_json:
        print_json(view)
        return
    until = (view.ended_at or view.expires_at).isoformat(timespec="minutes")
    over = "ended" if view.ended_at else "holds until"
    typer.echo(one_line(f"{view.id}: {view.tool} under {view.purpose} in {view.tenant_id} {over} {until}"))
