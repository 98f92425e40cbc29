"""findings, dismiss, confirm, withdraw: what guardian found, and what people make of it."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from guardian.cli.approving import decide
from guardian.cli.asking import ControlOption, Limit, OneOfMany, OnlyTenant, Why, client, named, newest, one_line
from guardian.cli.cases import work_lines
from guardian.cli.common import FAULT, JsonOption, escape, print_json
from guardian.domain.finding import Kind
from guardian.domain.identity import SessionKey
from guardian.domain.text import counted, moment, visible
from guardian.errors import ConfigurationError, ControlError
from guardian.wire.findings import FindingView, PersonsVerdict, Said

_ABOUT_ONE = frozenset({403, 404, 409, 412, 422})
"""What control answers of one finding; anything else would be its answer for the next one, too."""

Finding = Annotated[str, typer.Argument(help="The finding's id, fnd_...", callback=named)]


def register(app: typer.Typer) -> None:
    for command in (findings, dismiss, confirm, withdraw):
        app.command()(command)


def findings(
    finding: Annotated[
        str | None, typer.Argument(help="A finding's id, fnd_...: show this one in full.", callback=named)
    ] = None,
    tenant: OnlyTenant = None,
    session: Annotated[str | None, typer.Option(help="Only this session.")] = None,
    kind: Annotated[
        Kind | None, typer.Option(metavar="<kind>", help=f"Only findings of this kind: {', '.join(Kind)}.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only findings on this agent.", callback=named)] = None,
    breach: Annotated[str | None, typer.Option(help="Only with this broken rule.", callback=named)] = None,
    signal: Annotated[str | None, typer.Option(help="Only where this signal had a part.", callback=named)] = None,
    judged: Annotated[
        bool | None, typer.Option("--judged/--unjudged", help="Only with, or without, a person's verdict.")
    ] = None,
    limit: Limit = 50,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List findings and what policy made of them, the newest first; or show one: the act, why, what policy said.

    Example: guardian findings fnd_5f0c

    Example: guardian findings --agent agent_7 --unjudged
    """
    from guardian.cli.tables import show_views

    if finding is not None:
        if session or kind or agent or breach or signal or judged is not None:
            raise ConfigurationError("a finding's id names one; --session, --kind and the like go with the list")
        with client(config) as control:
            view = control.finding(finding, tenant_id=tenant)
            if as_json:
                print_json(view)
            else:
                _show_finding(view)
                for line in work_lines(control, view.finding.tenant_id, view.finding.session_id):
                    typer.echo(f"Case: {line}")
        return
    with client(config) as control:
        wanted: dict[str, Any] = {"tenant_id": tenant, "session_id": session, "kind": kind}
        wanted |= {"agent_id": agent, "breach": breach, "signal": signal}
        page = newest(limit, lambda n, after: control.findings(**wanted, judged=judged, limit=n, cursor=after))
    if as_json:
        print_json(page)
    else:
        show_views(page.items)


def dismiss(
    findings: Annotated[
        list[str], typer.Argument(help="Their ids, fnd_...; - reads more from standard input, one a line.")
    ],
    reason: Why,
    tenant: OneOfMany = None,
    benign: Annotated[
        bool, typer.Option("--benign", help="It was unusual, and all right; kept as another label.")
    ] = False,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call findings false positives; their sessions' evidence starts afresh, and other findings stand.

    `guardian findings ID` shows what one is about. Of several each is answered for itself.

    Example: guardian dismiss fnd_5f0c --reason "a planned migration"
    """
    _judge(_ids(findings), tenant, "benign" if benign else "false_positive", reason, config, as_json=as_json)


def confirm(
    finding: Finding,
    reason: Why,
    tenant: OneOfMany = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm a finding as drift; it is kept as a label.

    `guardian findings ID` shows what it is about.

    Example: guardian confirm fnd_5f0c --reason "nobody asked for it"
    """
    _judge([finding], tenant, "confirmed", reason, config, as_json=as_json)


def withdraw(
    findings: Annotated[
        list[str],
        typer.Argument(
            help="Findings' ids, fnd_..., or one request's, apr_...; - reads more findings from standard input.",
            metavar="FINDINGS|APPROVAL...",
        ),
    ],
    reason: Why,
    tenant: OneOfMany = None,
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back the verdict on findings, as if nobody had judged them, or a request of your own.

    What was dismissed is open again, and what was confirmed is no label any more; a revoked session stays revoked.
    Whose verdict that was is told.
    A request (apr_...) waits for a second person no longer.

    Example: guardian withdraw fnd_5f0c --reason "pressed on the wrong one"

    Example: guardian withdraw apr_5f0c --reason "it was another session"
    """
    if not findings[0].startswith("apr_"):
        _judge(_ids(findings), tenant, "withdrawn", reason, config, as_json=as_json)
    elif len(findings) == 1 and tenant is None:
        decide(findings[0], "withdraw", reason, config, as_json=as_json)
    else:
        raise ConfigurationError("a request is withdrawn by its id alone, without --tenant, one at a time")


def _show_finding(view: FindingView) -> None:
    """All that a channel would tell of it, and what people made of it since."""
    from guardian.alerting import blocks
    from guardian.alerting.plain_text import as_text
    from guardian.alerting.port import Alert
    from guardian.control.cases.case import case_key, told

    case = case_key(view.finding.key)
    alert = Alert(finding=view.finding, outcome=told(view.outcome), case=case)
    typer.echo(escape(as_text(blocks.in_full(alert, names=blocks.WHOLE)).rstrip()))
    if said := view.verdict:
        word = said.verdict.replace("_", " ")
        typer.echo(one_line(f"{said.actor} said on {moment(said.at)}: {word}, {said.reason}"))


def _ids(told: Sequence[str]) -> list[str]:
    """Each once. Raises ConfigurationError where none is named, or an empty one."""
    ids = list[str]()
    for each in told:
        if each == "-":
            try:
                ids += filter(None, map(str.strip, sys.stdin))
            except UnicodeDecodeError as error:
                raise ConfigurationError(f"standard input is no UTF-8 text: {error}") from error
        elif not each.strip():
            raise ConfigurationError("an id is empty and names nothing; give a finding's id, fnd_...")
        else:
            ids.append(each)
    if not ids:
        raise ConfigurationError("standard input names no finding; it takes one id a line")
    return list(dict.fromkeys(ids))


def _judge(
    findings: Sequence[str],
    tenant: str | None,
    verdict: Said,
    reason: str,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """One after the other. Of several, those that are refused are named, and the command ends with 1."""
    left, refused = dict[SessionKey, int](), 0
    with client(config) as control:
        for finding in findings:
            try:
                before = control.finding(finding, tenant_id=tenant).verdict if verdict == "withdrawn" else None
                view = control.judge(finding, verdict, reason=reason, tenant_id=tenant)
            except ControlError as refusal:
                if len(findings) == 1 or refusal.status not in _ABOUT_ONE:
                    raise
                refused += 1
                typer.echo(one_line(f"{finding}: {refusal}"), err=True)
                continue
            if as_json:
                print_json(view)
            else:
                typer.echo(one_line(f"{finding}: {_told(view.verdict, before)}"))
                left[view.finding.key] = view.unjudged
    for (tenant_id, session_id), others in left.items():
        if others and verdict in ("false_positive", "benign"):
            listed = _list_of(tenant_id, session_id)
            told = f"nobody has judged {counted(others, 'other drift finding')} of {session_id}"
            typer.echo(one_line(f"{told}; `{listed}` lists them"), err=True)
    if refused:
        done = "taken back" if verdict == "withdrawn" else "dismissed"
        typer.echo(f"{len(findings) - refused} {done}, {refused} refused", err=True)
        raise typer.Exit(FAULT)


def _told(verdict: PersonsVerdict | None, before: PersonsVerdict | None) -> str:
    """The verdict, or which was taken back, and whose: it may have been somebody else's, who saw to it."""
    if verdict is not None:
        return verdict.verdict
    return "nobody had judged it" if before is None else f"withdrawn; {before.actor} had said {before.verdict}"


def _list_of(tenant_id: str, session_id: str) -> str:
    """The command that lists a session's findings, safe to be copied: agents name sessions. A name in which
    something hides cannot be typed as it is shown, so the list is then a longer one."""
    options = {"--tenant": tenant_id, "--session": session_id}
    typed = [word for option in options.items() if visible(option[1]) == option[1] for word in option]
    return shlex.join(["guardian", "findings", *typed])
