"""labels, feedback export: what people said of findings, as lines to calibrate and train by, and as data."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from guardian.cli.asking import ControlOption, OnlyTenant, client
from guardian.cli.common import other_file
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.session import HumanWord
from guardian.domain.text import counted
from guardian.wire.base import listed
from guardian.wire.findings import FindingView, PersonsVerdict
from guardian.wire.sessions import SessionView

_RULE, _DRIFT = 1, 2
"""What was confirmed, the weaker first: a broken rule alone, a drift."""

feedback_app = typer.Typer(no_args_is_help=True, help="People's verdicts as data.")


def register(app: typer.Typer) -> None:
    app.command()(labels)
    app.add_typer(feedback_app, name="feedback")


def labels(
    tenant: OnlyTenant = None,
    config: ControlOption = None,
) -> None:
    """Print what people said of findings, one line each, for calibrate, train and evaluate.

    TENANT/SESSION/INDEX drift names the act that was confirmed, TENANT/SESSION/INDEX rule one that was
    confirmed for a broken rule alone: no signal about its purpose spoke, and nothing is learnt of it.
    TENANT/SESSION rule is a session that a person revoked and nobody judged: of that nothing is learnt, either.
    TENANT/SESSION drift is a session that did what its gateway should not have allowed; TENANT/SESSION benign
    one of which every drift finding was a false alarm, and TENANT/SESSION/INDEX benign the act of one beside
    others that were confirmed.

    Example: guardian labels > labels.txt
    """
    from guardian.evaluation.labels import label_line

    with client(config) as control:

        def found(kind: Kind) -> Iterator[FindingView]:
            return listed(lambda at: control.findings(tenant_id=tenant, kind=kind.value, limit=200, cursor=at))

        said, open_ = list[tuple[int, datetime, str, str]](), set[str]()
        for kind in (Kind.DRIFT, Kind.GATEWAY):
            for view in found(kind):
                if view.verdict is not None:
                    said.extend(_said(view.finding, view.verdict))
                elif kind is Kind.DRIFT and view.outcome.effect is not Effect.NONE:
                    open_.add(_name(view.finding))
        stopped = [
            _name(view)
            for view in listed(lambda at: control.sessions(tenant_id=tenant, limit=200, cursor=at))
            if view.last_word is HumanWord.REVOKED
        ]
    drifted = {session for said_of, _, session, _ in said if said_of}
    told = dict[str, None]()  # however many were dismissed, once
    for said_of, _, session, act in sorted(said):  # of one name the last line counts: what was confirmed stands
        if said_of:
            told[label_line(f"{session}{act}", "rule" if said_of == _RULE else "drift")] = None
        elif session not in drifted and session not in open_:
            told[label_line(session, "benign")] = None
        elif session in drifted and act:
            told[label_line(f"{session}{act}", "benign")] = None
    for session in sorted(stopped):  # after what is benign
        if session not in drifted:
            told[label_line(session, "rule")] = None
    for line in told:
        typer.echo(line)


@feedback_app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; - is standard output.")] = Path(
        "-"
    ),
    tenant: OnlyTenant = None,
    config: ControlOption = None,
) -> None:
    """Write one JSON line per judged finding: label, drift, purpose, tool, signals, evidence, versions.

    `drift` is 0 or 1; null where the verdict does not say whether the session left its purpose, as one on a
    careless grant, or a confirmed one on a broken rule alone.

    `session_honest` marks sessions in which every drift was judged and none confirmed: those may calibrate
    (`guardian calibrate`).

    Example: guardian feedback export -o feedback.jsonl
    """
    from guardian.commands.output import to_stdout, writer

    other_file(output)
    count, aside = 0, to_stdout(output)
    with client(config) as control, writer(output, private=True) as write:
        for row in listed(lambda cursor: control.feedback(tenant_id=tenant, cursor=cursor)):
            told = {"schema": "guardian.feedback/v1", **row.model_dump(mode="json")}
            write(json.dumps(told, ensure_ascii=True, sort_keys=True))
            count += 1
    if not aside:
        typer.echo(f"{counted(count, 'labelled finding')} written to {output}", err=True)


def _said(finding: Finding, said: PersonsVerdict) -> Iterator[tuple[int, datetime, str, str]]:
    """What it did (0, `_RULE` or `_DRIFT`) and when that was said, its session and the act as `/INDEX`; nothing
    where people said nothing of what the session did. Which act a gateway should not have allowed is not told."""
    from guardian.evaluation.labels import of_a_rule_alone

    drifted = finding.drifted(confirmed=said.verdict == "confirmed")
    if drifted is not None:
        seen = finding.evidence.actions_seen if finding.kind is Kind.DRIFT else 0
        word = 0 if not drifted else _RULE if of_a_rule_alone(finding) else _DRIFT
        yield word, said.at, _name(finding), f"/{seen - 1}" if seen else ""


def _name(of: Finding | SessionView) -> str:
    return f"{of.tenant_id}/{of.session_id}"
