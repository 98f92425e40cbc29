"""sessions, revoke, reinstate, protect: which sessions act, and whether they may."""

from typing import Annotated

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
    show_unheard,
    show_unheard_session,
    waits,
)
from guardian.cli.common import WAITS, JsonOption, print_json
from guardian.cli.windows import moment_of
from guardian.domain.revocation import SubjectType
from guardian.domain.text import moment
from guardian.errors import ConfigurationError, ControlError
from guardian.wire.base import SessionStatus
from guardian.wire.client import ControlClient
from guardian.wire.evidence import EvidenceClient
from guardian.wire.peers import UNFOLLOWED
from guardian.wire.revocations import SubjectResult
from guardian.wire.sessions import ActResult

Session = Annotated[str, typer.Argument(help="The session's id.", callback=named)]
Subject = Annotated[SubjectType, typer.Option("--subject", help="What the id names; jti is a token's.")]


def register(app: typer.Typer) -> None:
    for command in (sessions, revoke, reinstate, protect):
        app.command()(command)


def sessions(
    one: Annotated[
        str | None,
        typer.Argument(metavar="session", help="A session's id: show this one, with its case.", callback=named),
    ] = None,
    tenant: OnlyTenant = None,
    status: Annotated[SessionStatus | None, typer.Option(help="Only sessions with this status.")] = None,
    session: Annotated[str | None, typer.Option(help="Only what is called so.", callback=named)] = None,
    agent: Annotated[str | None, typer.Option(help="Only sessions of this agent.", callback=named)] = None,
    delegator: Annotated[
        str | None, typer.Option(help="Only sessions on behalf of this delegator.", callback=named)
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only sessions of this task.", callback=named)] = None,
    since: Annotated[
        str | None, typer.Option(help="Only those met from this time on, ISO 8601; UTC without a zone.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only those met before this time.")] = None,
    limit: Limit = 50,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions that have findings, the newest first; or show one: who took its case, notes, findings.

    Example: guardian sessions sess_42

    Example: guardian sessions --status flagged

    Example: guardian sessions --agent agent_7 --since 2026-05-12
    """
    from guardian.cli.tables import show_sessions

    if one is not None:
        if status or session or agent or delegator or task or since or until:
            raise ConfigurationError("a session's id names one; --status, --agent and the like go with the list")
        with client(config) as control:
            _show_one(control, tenant or _tenant_of(control, one), one, as_json=as_json)
        return
    first, last = moment_of(since), moment_of(until)
    with client(config) as control:
        page = newest(
            limit,
            lambda n, after: control.sessions(
                tenant_id=tenant,
                status=status,
                session_id=session,
                agent_id=agent,
                delegator_id=delegator,
                task_id=task,
                since=first,
                until=last,
                limit=n,
                cursor=after,
            ),
        )
    if as_json:
        print_json(page)
    else:
        show_sessions(page.items)


def _tenant_of(control: EvidenceClient, session: str) -> str:
    """Whose the session of this name is. Raises ConfigurationError where it is none's, or several tenants'."""
    found = control.sessions(session_id=session, limit=2).items
    if not found:
        raise ControlError("no session within reach is called so", status=404)
    if len(found) > 1:
        raise ConfigurationError("several tenants have a session of this id: say whose with --tenant")
    return found[0].tenant_id


def _show_one(control: EvidenceClient, tenant: str, session: str, *, as_json: bool) -> None:
    """The session, what people do about it, and its newest findings. Who reads JSON takes a missing case for none,
    so there a case that cannot be read is an error."""
    from guardian.cli.cases import work_lines, worked_on
    from guardian.cli.tables import show_sessions, show_views

    detail = control.session(tenant, session)
    if as_json:
        worked = worked_on(control, tenant, session)
        notes = [each.record for each in worked.notes]
        case = None if worked.case is None else worked.case.model_dump(mode="json")
        print_json(detail.model_dump(mode="json") | {"case": case, "notes": notes})
        return
    show_sessions([detail.session])
    for line in work_lines(control, tenant, session):
        typer.echo(line)
    typer.echo()
    show_views(detail.findings)


def revoke(
    tenant: Tenant,
    session: Annotated[
        str, typer.Argument(help="The session's id, or with --subject that of another subject.", callback=named)
    ],
    reason: Why,
    subject: Subject = "session",
    minutes: Annotated[
        int | None,
        typer.Option(min=1, max=527_040, help="For how long, with --subject; default: as configured."),
    ] = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a session, and what it delegated: every gateway that follows the list refuses its next call.

    Exit code 5: policy wants a second person's word first, and nothing is revoked yet.

    Example: guardian revoke tenant_acme sess_42 --reason "exports the customer list"

    Example: guardian revoke tenant_acme agent_7 --subject agent --minutes 60 --reason "its image was altered"
    """
    if subject == "session" and minutes is not None:
        raise ConfigurationError("--minutes goes with --subject; a session is revoked for as long as it lives")
    with client(config) as control:
        if subject == "session":
            _show_act(control.revoke(tenant, session, reason=reason), as_json=as_json)
        else:
            seconds = None if minutes is None else minutes * 60
            done = control.revoke_subject(tenant, subject, session, reason=reason, seconds=seconds)
            _show_subject(done, as_json=as_json)
        if not _followed(control, tenant):
            typer.echo(UNFOLLOWED, err=True)


def reinstate(
    tenant: Tenant,
    session: Annotated[
        str, typer.Argument(help="The session's id, or with --subject that of another subject.", callback=named)
    ],
    reason: Why,
    subject: Subject = "session",
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a revoked session act again, with a second person's word; its evidence starts afresh.

    Exit code 5: it waits for that word, and the session is still revoked.

    With --subject: an agent, delegator, task or token, by another person than the one who revoked it.

    Example: guardian reinstate tenant_acme sess_42 --reason "the export was asked for"
    """
    with client(config) as control:
        if subject == "session":
            _show_act(control.reinstate(tenant, session, reason=reason), as_json=as_json)
        else:
            done = control.reinstate_subject(tenant, subject, session, reason=reason)
            _show_subject(done, as_json=as_json)


def protect(
    tenant: Tenant,
    session: Session,
    reason: Why,
    off: Annotated[bool, typer.Option("--off", help="Take the protection away.")] = False,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Protect a session: guardian may flag it, only people may revoke it.

    Example: guardian protect tenant_acme sess_42 --reason "the yearly audit"
    """
    with client(config) as control:
        result = control.protect(tenant, session, protected=not off, reason=reason)
    if as_json:
        print_json(result)
    else:
        typer.echo(one_line(f"{session} is {'protected' if result.session.protected else 'not protected'}"))
    _show_unheard(result)


def _show_act(result: ActResult, *, as_json: bool) -> None:
    """Raises Exit with WAITS where nothing is done yet."""
    if as_json:
        print_json(result)
    elif result.approval is not None:
        typer.echo(waits(result.approval))
    else:
        session = result.session
        how = f"revision {result.revision}" if result.revision else "as it was"
        typer.echo(one_line(f"{session.session_id} is {session.status}, {how}"))
    for entry in result.also_revoked:
        kind, until = entry.subject_type, moment(entry.expires_at)
        told = f"but its {kind} {entry.subject_id} is revoked until {until}; --subject {kind} gives that back"
        typer.echo(one_line(told), err=True)
    _show_unheard(result)
    if result.approval is not None:
        raise typer.Exit(WAITS)


def _followed(control: ControlClient, tenant: str) -> bool:
    """Whether a gateway is known to follow the list; what cannot be asked is not known, and the act is done."""
    try:
        return control.watch(tenant_id=tenant).followed
    except ControlError:
        return False


def _show_unheard(result: ActResult) -> None:
    show_unheard_session(result.session.tenant_id, result.session.session_id, unheard=result.unheard)


def _show_subject(done: SubjectResult, *, as_json: bool) -> None:
    of_token = done.subject_type == "jti"  # whose id control never hears
    name = done.tenant_id if of_token else f"{done.subject_type} {done.tenant_id}/{done.subject_id}"
    show_unheard(name, "session or envelope", unheard=done.unheard)
    if as_json:
        print_json(done)
        return
    until = f" until {done.expires_at.isoformat(timespec='seconds')}" if done.expires_at else ""
    state = "is revoked" if done.revoked else "is not revoked"
    how = f"revision {done.revision}" if done.changed else "as it was"
    typer.echo(one_line(f"{done.subject_type} {done.subject_id} {state}{until}, {how}"))
