"""case, take, note, snooze: one session as people decide on it, and who works on it."""

from contextlib import suppress
from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, Tenant, Why, client, one_line
from guardian.cli.common import JsonOption, print_json
from guardian.cli.sessions import Session, waits
from guardian.domain.text import counted, moment
from guardian.errors import ControlError
from guardian.wire.audit import AuditPage
from guardian.wire.cases import CaseView

_NOTES = 20


def register(app: typer.Typer) -> None:
    for command in (case, take, note, snooze):
        app.command()(command)


def case(tenant: Tenant, session: Session, config: ControlOption = None, as_json: JsonOption = False) -> None:
    """Show where a session's case stands: who works on it, what waits for a second person, what people noted.

    `guardian findings --session ID` lists what it is about.

    Example: guardian case tenant_acme sess_42
    """
    notes = AuditPage(items=())
    with client(config) as control:
        view = control.case(tenant, session)
        with suppress(ControlError):  # for who may decide and not read the evidence
            notes = control.session_audit(tenant, session, limit=_NOTES, action="note")
    if as_json:
        print_json(view)
        return
    _show(view)
    for entry in notes.items:
        if entry.record.get("result") == "noted":
            typer.echo(one_line("noted by {actor} at {at}: {reason}".format_map(entry.record)))


def take(
    tenant: Tenant,
    session: Session,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, if you like; it is audited.")] = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that you work on a case: nobody is called for help unless it becomes worse.

    Who takes it later takes it over.

    Example: guardian take tenant_acme sess_42
    """
    with client(config) as control:
        view = control.take(tenant, session, reason=reason)
    _told(view, f"{session} is taken by {view.taken_by}", as_json=as_json)


def note(
    tenant: Tenant,
    session: Session,
    reason: Annotated[str, typer.Option("--reason", help="The words; they are audited and shown to others.")],
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave words on a case for whoever looks at it next.

    Example: guardian note tenant_acme sess_42 --reason "asked the account's owner; answer by noon"
    """
    with client(config) as control:
        view = control.note(tenant, session, reason=reason)
    _told(view, f"the note on {session} is kept", as_json=as_json)


def snooze(
    tenant: Tenant,
    session: Session,
    reason: Why,
    hours: Annotated[int, typer.Option(min=1, max=24, help="For how many hours.")] = 4,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Be quiet about a case for some hours, unless it becomes worse. Guardian goes on judging and revoking.

    A later snooze replaces an earlier one.

    Example: guardian snooze tenant_acme sess_42 --hours 8 --reason "its owner answers tomorrow"
    """
    with client(config) as control:
        view = control.snooze(tenant, session, hours=hours, reason=reason)
    until = "" if view.snoozed_until is None else f" until {moment(view.snoozed_until)}"
    _told(view, f"{session} is quiet{until}", as_json=as_json)


def _told(view: CaseView, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(view)
    else:
        typer.echo(one_line(text))


def _show(view: CaseView) -> None:
    finding = view.shown.finding
    protected = ", protected" if view.protected else ""
    told = [
        f"{view.tenant_id}/{view.session_id}: {view.state.replace('_', ' ')}{protected}",
        f"about: {finding.id} ({finding.severity}): {finding.title}",
        f"{counted(view.findings, 'finding')}, {counted(view.unjudged, 'drift')} that nobody has judged",
    ]
    if view.taken_by is not None:
        told.append(f"taken by {view.taken_by}")
    if view.snoozed_until is not None:
        told.append(f"quiet until {moment(view.snoozed_until)}, says {view.snoozed_by}")
    if view.ignored is not None:
        told.append(f"a gateway lets it act although it is revoked, or may ({view.ignored})")
    told += [
        f"its {e.subject_type} {e.subject_id} is revoked until {moment(e.expires_at)}" for e in view.also_revoked
    ]
    told += [
        f"before: {past.session_id}, {past.ended.replace('_', ' ')}: {past.finding_id}" for past in view.similar
    ]
    for line in told:
        typer.echo(one_line(line))
    for approval in view.approvals:
        typer.echo(waits(approval))
