"""revoked: which sessions, agents, delegators, tasks and tokens may not act now."""

from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, Limit, OnlyTenant, client, named, newest
from guardian.cli.common import JsonOption, print_json
from guardian.domain.revocation import SubjectType


def register(app: typer.Typer) -> None:
    app.command()(revoked)


def revoked(
    name: Annotated[
        str | None,
        typer.Argument(help="A session's id, or that of another subject: only what is called so.", callback=named),
    ] = None,
    tenant: OnlyTenant = None,
    subject: Annotated[
        SubjectType | None, typer.Option("--subject", help="Only these; jti is a token's id.")
    ] = None,
    limit: Limit = 50,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is revoked now, the newest first: until when, by whom and why.

    Not only sessions, but also the agents, delegators, tasks and tokens that stop all that act under them.

    Example: guardian revoked --tenant tenant_acme --subject agent
    """
    from guardian.cli.tables import plain, show_rows

    with client(config) as control:
        page = newest(
            limit,
            lambda n, after: control.revoked(
                tenant_id=tenant, kind=subject, subject_id=name, limit=n, cursor=after
            ),
        )
    if as_json:
        print_json(page)
        return
    headings = ("kind", "tenant", "name", "since", "until", "by", "why", "revision")
    rows = [
        (
            entry.subject_type,
            plain(entry.tenant_id),
            plain(entry.subject_id),
            entry.at.isoformat(timespec="seconds"),
            entry.expires_at.isoformat(timespec="seconds"),
            plain(entry.actor),
            plain(entry.reason or entry.reason_code.replace("_", " ")),
            str(entry.revision),
        )
        for entry in page.items
    ]
    asked_for = name or tenant or subject
    empty = "Nothing of that is revoked." if asked_for else "Nothing is revoked."
    show_rows(headings, rows, whole={"tenant", "name"}, empty=empty)
