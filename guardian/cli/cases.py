"""take, note, snooze: who works on a case, what they tell one another, and quiet for a while."""

from dataclasses import dataclass
from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, Tenant, Why, client, named, one_line
from guardian.cli.common import JsonOption, print_json
from guardian.domain.text import moment
from guardian.errors import ControlError
from guardian.wire.audit import AuditLine
from guardian.wire.cases import CaseView
from guardian.wire.evidence import EvidenceClient

Session = Annotated[str, typer.Argument(help="The session's id.", callback=named)]
_NOTES = 100


def register(app: typer.Typer) -> None:
    for command in (take, note, snooze):
        app.command()(command)


@dataclass(frozen=True, slots=True)
class Worked:
    """What people do about a session beside deciding on it; without a case they were told nothing of it."""

    case: CaseView | None
    notes: tuple[AuditLine, ...]

    def lines(self) -> list[str]:
        """One for each thing, safe for a terminal; the newest note first."""
        case, told = self.case, list[str]()
        if case is not None and case.taken_by is not None:
            told.append(f"taken by {case.taken_by}")
        if case is not None and case.snoozed_until is not None:
            told.append(f"snoozed until {moment(case.snoozed_until)} by {case.snoozed_by}")
        for each in self.notes:
            at = str(each.record.get("at", ""))[:19].replace("T", " ")
            told.append(f"note by {each.record.get('actor', '')} on {at}: {each.record.get('reason') or ''}")
        return [one_line(line) for line in told]


def worked_on(control: EvidenceClient, tenant: str, session: str) -> Worked:
    """Raises ControlError, but not where people were told nothing of the session."""
    try:
        case = control.case(tenant, session)
    except ControlError as error:
        if error.status != 404:
            raise
        case = None
    said = control.session_audit(tenant, session, limit=_NOTES, action="note").items
    return Worked(case, tuple(each for each in said if each.record.get("result") == "noted"))


def work_lines(control: EvidenceClient, tenant: str, session: str) -> list[str]:
    """Who took the session's case, its notes and its snooze. What they stand beside is shown, whatever becomes of
    that."""
    try:
        return worked_on(control, tenant, session).lines()
    except ControlError as error:
        typer.echo(one_line(f"its case cannot be read: {error}"), err=True)
        return []


def take(
    tenant: Tenant,
    session: Session,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, if there is more to say; it is audited.")
    ] = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a case: you work on it, everybody sees that, and nobody is called unless it becomes worse.

    Who takes it after you takes it over.

    Example: guardian take tenant_acme sess_42
    """
    with client(config) as control:
        before = control.case(tenant, session)
        view = control.take(tenant, session, reason=reason, seen=before.digest)
    if as_json:
        print_json(view)
        return
    over = "" if before.taken_by in (None, view.taken_by) else f", over from {before.taken_by}"
    typer.echo(one_line(f"{session} is taken by {view.taken_by}{over}"))


def note(
    tenant: Tenant, session: Session, reason: Why, config: ControlOption = None, as_json: JsonOption = False
) -> None:
    """Leave a note on a case for whoever looks at it next: --reason holds the words. It changes nothing else.

    `guardian sessions SESSION` shows the notes.

    Example: guardian note tenant_acme sess_42 --reason "asked the delegator, who answers tomorrow"
    """
    with client(config) as control:
        view = control.note(tenant, session, reason=reason)
    if as_json:
        print_json(view)
    else:
        typer.echo(one_line(f"{session} has your note"))


def snooze(
    tenant: Tenant,
    session: Session,
    reason: Why,
    hours: Annotated[int, typer.Option("--hours", min=1, max=24, help="For how long; a later snooze counts.")],
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a case quiet in the channel for some hours: no reminders, no replies, unless it becomes worse.

    Guardian goes on judging and revoking. A later snooze replaces an earlier one.

    Example: guardian snooze tenant_acme sess_42 --hours 4 --reason "the migration runs until noon"
    """
    with client(config) as control:
        view = control.snooze(tenant, session, hours=hours, reason=reason)
    if as_json:
        print_json(view)
    else:
        until = "" if view.snoozed_until is None else f" until {moment(view.snoozed_until)}"
        typer.echo(one_line(f"{session} is snoozed{until}; guardian goes on judging it"))
