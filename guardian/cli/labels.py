"""labels: what people said of findings, as the lines that calibrate, train and evaluate read."""

from collections.abc import Iterator

import typer

from guardian.cli.asking import OnlyTenant, client, one_line
from guardian.cli.common import ConfigOption
from guardian.domain.finding import Finding, Kind
from guardian.wire.base import listed
from guardian.wire.findings import FindingView, Verdict


def register(app: typer.Typer) -> None:
    app.command()(labels)


def labels(
    tenant: OnlyTenant = None,
    config: ConfigOption = None,
) -> None:
    """Print what people said of findings, one line each, for calibrate, train and evaluate.

    TENANT/SESSION/INDEX drift names the act that was confirmed, TENANT/SESSION drift a session that did what its
    gateway should not have allowed; TENANT/SESSION benign a false alarm.

    Example: guardian labels > labels.txt
    """
    with client(config) as control:

        def found(kind: Kind) -> Iterator[FindingView]:
            return listed(lambda at: control.findings(tenant_id=tenant, kind=kind.value, limit=200, cursor=at))

        said = [
            (view.verdict.verdict == "confirmed", view.verdict.at, label)
            for kind in (Kind.DRIFT, Kind.GATEWAY)
            for view in found(kind)
            if view.verdict is not None and (label := _label(view.finding, view.verdict))
        ]
    for *_, label in sorted(said):  # of one name the last line counts: what was confirmed stands, until it is not
        typer.echo(one_line(label))


def _label(finding: Finding, said: Verdict) -> str:
    """Empty where people said nothing of what the session did. Which act a gateway should not have allowed is not
    told."""
    name = f"{finding.tenant_id}/{finding.session_id}"
    drifted = finding.drifted(confirmed=said.verdict == "confirmed")
    if drifted is None:
        return ""
    seen = finding.evidence.actions_seen if finding.kind is Kind.DRIFT else 0
    return f"{name}/{seen - 1} drift" if drifted and seen else f"{name} {'drift' if drifted else 'benign'}"
