"""approvals, approve, deny, break-glass, break-glass-end, breaker: acts that take two people."""

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from guardian.cli.asking import (
    ControlOption,
    Limit,
    OnlyTenant,
    Tenant,
    Why,
    client,
    named,
    newest,
    one_line,
    show_unheard_tenant,
)
from guardian.cli.common import JsonOption, print_json
from guardian.errors import ConfigurationError
from guardian.wire.approvals import ApprovalState, ApprovalView, BreakerView, BreakGlassPage, BreakGlassView
from guardian.wire.base import listed
from guardian.wire.evidence import EvidenceClient

State = Literal[ApprovalState, "all"]
Approval = Annotated[str, typer.Argument(help="The approval's id, apr_...")]


def register(app: typer.Typer) -> None:
    for command in (approvals, approve, deny, breaker):
        app.command()(command)
    app.command("break-glass")(break_glass)
    app.command("break-glass-end")(break_glass_end)


def approvals(
    tenant: OnlyTenant = None,
    state: Annotated[
        State, typer.Option(metavar="<state>", help=f"Only acts in this state: {', '.join(get_args(State))}.")
    ] = "pending",
    limit: Limit = 50,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the acts that wait for a second person, the newest first.

    Example: guardian approvals --tenant tenant_acme
    """
    wanted = None if state == "all" else state
    with client(config) as control:
        page = newest(
            limit, lambda n, after: control.approvals(tenant_id=tenant, state=wanted, limit=n, cursor=after)
        )
    if as_json:
        print_json(page)
    else:
        _show(page.items)


def approve(approval: Approval, reason: Why, config: ControlOption = None, as_json: JsonOption = False) -> None:
    """Approve an act as the second person: it is done at once, if policy still permits it.

    Example: guardian approve apr_5f0c --reason "saw the transcript, the export was asked for"
    """
    decide(approval, "approve", reason, config, as_json=as_json)


def deny(approval: Approval, reason: Why, config: ControlOption = None, as_json: JsonOption = False) -> None:
    """Refuse an act that waits for a second person; it is not done.

    Example: guardian deny apr_5f0c --reason "the export was not asked for"
    """
    decide(approval, "deny", reason, config, as_json=as_json)


def break_glass(
    tenant: Annotated[
        str | None, typer.Argument(help="The tenant; absent: show the grants of all.", callback=named)
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why; it is audited and shown to others. Absent: show who holds a grant."),
    ] = None,
    minutes: Annotated[
        int | None,
        typer.Option(min=1, max=1440, help="For how long, default 30; control.break_glass.most_minutes caps it."),
    ] = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reinstate without a second person for some minutes: for emergencies, and everybody is told.

    Without a reason nothing is granted: it shows who may do so now, until when, and the id that ends it.

    Example: guardian break-glass tenant_acme --minutes 15 --reason "payroll stands still, nobody answers"
    """
    if minutes is not None and reason is None:
        raise ConfigurationError('say why: --reason "..." (it is audited)')
    if tenant is None and reason is not None:
        raise ConfigurationError("name the tenant: a grant is for one")
    with client(config) as control:
        if tenant is None or reason is None:
            _show_grants(control, tenant, as_json=as_json)
        else:
            grant = control.break_glass(tenant, reason=reason, minutes=minutes or 30)
            _show_grant(grant, as_json=as_json)
            show_unheard_tenant(grant)


def break_glass_end(
    grant: Annotated[str, typer.Argument(help="The grant's id, bgl_...")],
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a break-glass grant before its time.

    Example: guardian break-glass-end bgl_5f0c
    """
    with client(config) as control:
        _show_grant(control.end_break_glass(grant), as_json=as_json)


def breaker(
    tenant: Tenant,
    reset: Annotated[bool, typer.Option("--reset", help="Close it before its time.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is audited.")] = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or reset a tenant's circuit breaker: while it is open, guardian only flags.

    Example: guardian breaker tenant_acme --reset --reason "the batch job was ours"
    """
    if reset and not reason:
        raise ConfigurationError('say why: --reason "..." (it is audited)')
    if reason and not reset:
        raise ConfigurationError("--reason goes with --reset")
    with client(config) as control:
        view = control.reset_breaker(tenant, reason=reason) if reset and reason else control.breaker(tenant)
    show_unheard_tenant(view)
    if as_json:
        print_json(view)
    else:
        typer.echo(one_line(_breaker(view)))


def decide(
    approval: str,
    decision: Literal["approve", "deny", "withdraw"],
    reason: str,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """One person's word on one request."""
    with client(config) as control:
        view = control.decide_approval(approval, decision, reason=reason)
    if as_json:
        print_json(view)
    else:
        came = "" if view.result == view.state else f": {view.result}"
        typer.echo(one_line(f"{view.id} is {view.state}{came}"))


def _show(items: tuple[ApprovalView, ...]) -> None:
    from guardian.cli.tables import plain, show_rows

    headings = ("approval", "state", "act", "tenant / session", "asked by", "why", "until", "result")
    rows = [
        (
            plain(view.id),
            view.state,
            plain(" ".join([view.action, *(f"{name}={told}" for name, told in view.particulars.items())])),
            plain(f"{view.tenant_id} / {view.session_id}" if view.session_id else view.tenant_id),
            plain(view.proposer),
            plain(view.reason),
            view.expires_at.isoformat(timespec="seconds"),
            plain(view.result),
        )
        for view in items
    ]
    empty = "Nothing waits for a second person."
    show_rows(headings, rows, whole={"approval", "tenant / session"}, empty=empty)


def _show_grants(control: EvidenceClient, tenant: str | None, *, as_json: bool) -> None:
    """All that hold now: each is a person who acts alone."""
    from guardian.cli.tables import plain, show_rows

    found = listed(lambda cursor: control.break_glass_grants(tenant_id=tenant, holding=True, cursor=cursor))
    views = tuple(each for each in found if each.ended_at is None)  # a control of an older version lists all
    if as_json:
        print_json(BreakGlassPage(items=views))
        return
    headings = ("grant", "tenant", "who", "since", "until", "why")
    rows = [
        (
            plain(view.id),
            plain(view.tenant_id),
            plain(view.principal_id),
            view.at.isoformat(timespec="seconds"),
            view.until.isoformat(timespec="seconds"),
            plain(view.reason),
        )
        for view in views
    ]
    empty = "Nobody acts without a second person now; with --reason you do."
    show_rows(headings, rows, whole={"grant", "tenant"}, empty=empty)


def _show_grant(view: BreakGlassView, *, as_json: bool) -> None:
    if as_json:
        print_json(view)
    elif view.ended_at is not None:
        typer.echo(one_line(f"{view.id} of {view.principal_id} ended at {view.ended_at.isoformat()}"))
    else:
        until = view.until.isoformat(timespec="seconds")
        typer.echo(
            one_line(
                f"{view.principal_id} acts alone in {view.tenant_id} until {until}; "
                f"end it with: guardian break-glass-end {view.id}"
            )
        )


def _breaker(view: BreakerView) -> str:
    numbers = f"{view.recent} automatic revocations, opens at {view.limit}"
    if not view.open:
        return f"{view.tenant_id}: closed ({numbers})"
    until = "" if view.until is None else f" until {view.until.isoformat(timespec='seconds')}"
    return f"{view.tenant_id}: open{until}: {view.reason}"
