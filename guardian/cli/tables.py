"""Tables for people. Everything an agent wrote is escaped: a terminal obeys control characters."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardian.bootstrap.offline import ReplayOutcome
from guardian.cli.common import escape
from guardian.domain.finding import Finding
from guardian.wire.findings import FindingView
from guardian.wire.sessions import SessionView

SEVERITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}


def show_findings(findings: Sequence[Finding]) -> None:
    """One row per finding, in order."""
    if not findings:
        Console().print("No findings.")
        return
    table = Table(
        "severity", "kind", "wanted", "tenant / session", "what", "tool", "1 in N honest", show_lines=False
    )
    for finding in findings:
        table.add_row(
            Text(finding.severity, style=SEVERITY_STYLE[finding.severity]),
            finding.kind.value,
            finding.wanted.value,
            plain(f"{finding.tenant_id} / {finding.session_id}"),
            plain(finding.title),
            plain(finding.act.tool if finding.act else ""),
            rarity(finding),
        )
    Console().print(table)


def show_views(views: Iterable[FindingView]) -> None:
    """Findings with what policy made of them."""
    table = Table(
        "finding", "severity", "kind", "tenant / session", "what", "effect", "policy said", "people said"
    )
    for view in views:
        finding, outcome = view.finding, view.outcome
        table.add_row(
            finding.id,
            Text(finding.severity, style=SEVERITY_STYLE[finding.severity]),
            finding.kind.value,
            plain(f"{finding.tenant_id} / {finding.session_id}"),
            plain(finding.title),
            outcome.effect.value + (" (would revoke)" if outcome.would_revoke else ""),
            plain(outcome.note),
            view.verdict.verdict.replace("_", " ") if view.verdict else "",
        )
    Console().print(table if table.row_count else "No findings.")


def show_sessions(sessions: Iterable[SessionView]) -> None:
    table = Table("tenant", "session", "status", "agent", "on behalf of", "purpose", "findings", "last seen")
    for s in sessions:
        table.add_row(
            plain(s.tenant_id),
            plain(s.session_id),
            s.status + (" (protected)" if s.protected else ""),
            plain(s.agent_id or ""),
            plain(s.delegator_id or ""),
            plain(s.purpose[:80]),
            str(s.findings),
            s.last_seen.isoformat(timespec="seconds"),
        )
    Console().print(table if table.row_count else "No sessions with findings.")


def show_replay(outcome: ReplayOutcome) -> None:
    """A summary on stderr."""
    console = Console(stderr=True)
    rate = outcome.decisions / outcome.seconds if outcome.seconds else 0.0
    console.print(
        f"{outcome.decisions} decisions of {outcome.sessions} sessions in {outcome.seconds:.1f} s "
        f"({rate:,.0f}/s): {len(outcome.findings)} findings, {outcome.duplicates} duplicates, "
        f"{len(outcome.dead_letters)} lines refused"
    )
    for line, code, reason in outcome.dead_letters[:20]:
        console.print(plain(f"  line {line}: {code}: {reason}"))
    if len(outcome.dead_letters) > 20:
        console.print(f"  … and {len(outcome.dead_letters) - 20} more")


def rarity(finding: Finding) -> str:
    """The evidence in plain units; breaches are named instead."""
    evidence = finding.evidence
    if evidence.one_in <= 1.0:
        return ", ".join(b.name for b in finding.breaches)
    return f"{evidence.one_in:,.0f}" + ("" if evidence.promised else " (estimated)")


def plain(text: str) -> Text:
    """No markup, no control characters."""
    return Text(escape(text.replace("\n", " ")))
