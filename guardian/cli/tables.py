"""Tables for people. Everything an agent wrote is escaped: a terminal obeys control characters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from guardian.cli.common import Screen
from guardian.domain.finding import Finding
from guardian.domain.text import counted, one_in, visible
from guardian.wire.findings import FindingView
from guardian.wire.peers import Watch
from guardian.wire.sessions import SessionView

if TYPE_CHECKING:  # a table of tokens need not load the pipeline
    from guardian.commands.offline import ReplayOutcome
    from guardian.commands.purposes import KnownPurpose

SEVERITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}

Row = tuple[str | Text, ...]
_LEAST = 10  # characters of a column that may be folded
_PADDED = 40  # characters: one long name widens its own row only


def show_findings(findings: Sequence[Finding]) -> None:
    """One row per finding, in order."""
    headings = ("severity", "kind", "wanted", "tenant / session", "what", "tool", "1 in N honest")
    rows: list[Row] = [
        (
            Text(finding.severity, style=SEVERITY_STYLE[finding.severity]),
            finding.kind.value,
            finding.wanted.value,
            plain(f"{finding.tenant_id} / {finding.session_id}"),
            plain(finding.title),
            plain(finding.act.tool if finding.act else ""),
            rarity(finding),
        )
        for finding in findings
    ]
    show_rows(headings, rows, whole={"tenant / session"}, empty="No findings.")


def show_views(views: Iterable[FindingView]) -> None:
    """Findings with when they were told, by which they are sorted, and what policy made of them."""
    headings = (
        "finding", "told", "severity", "kind", "tenant / session", "what", "effect", "policy said", "people said",
    )  # fmt: skip
    rows: list[Row] = []
    for view in views:
        finding, outcome = view.finding, view.outcome
        rows.append(
            (
                plain(finding.id),
                outcome.at.isoformat(timespec="seconds"),
                Text(finding.severity, style=SEVERITY_STYLE[finding.severity]),
                finding.kind.value,
                plain(f"{finding.tenant_id} / {finding.session_id}"),
                plain(finding.title),
                outcome.effect.value + (" (would revoke)" if outcome.would_revoke else ""),
                plain(outcome.note),
                view.verdict.verdict.replace("_", " ") if view.verdict else "",
            )
        )
    show_rows(headings, rows, whole={"finding", "tenant / session"}, empty="No findings.")


def show_sessions(sessions: Iterable[SessionView]) -> None:
    headings = ("tenant", "session", "status", "agent", "on behalf of", "purpose", "findings", "last seen")
    rows: list[Row] = [
        (
            plain(s.tenant_id),
            plain(s.session_id),
            plain(
                s.status
                + (" (protected)" if s.protected else "")
                + (f" (taken by {s.taken_by})" if s.taken_by else "")
            ),
            plain(s.agent_id or ""),
            plain(s.delegator_id or ""),
            plain(s.purpose[:80]),
            str(s.findings),
            s.last_seen.isoformat(timespec="seconds"),
        )
        for s in sessions
    ]
    show_rows(headings, rows, whole={"tenant", "session"}, empty="No sessions with findings.")


def show_purposes(purposes: Iterable[KnownPurpose]) -> None:
    headings = ("tenant", "purpose", "sessions", "tools", "meanings", "constrains")
    rows: list[Row] = [
        (
            plain(p.tenant_id),
            plain(p.purpose[:80]),
            str(p.sessions),
            str(p.tools),
            str(p.meanings),
            "not known yet" if p.constrains is None else f"{100 * p.constrains:.0f} %",
        )
        for p in purposes
    ]
    empty = "Nothing is learnt yet: a session teaches once it has been silent for a while."
    show_rows(headings, rows, whole={"tenant"}, empty=empty)


def show_rows(
    headings: Sequence[str],
    rows: Sequence[Row],
    *,
    whole: Collection[str],
    empty: str | None = None,
    console: Console | None = None,
) -> None:
    """A table in which the columns `whole` are never cut, for they are typed into the next command; `empty` where
    it has no rows.

    Where there is no terminal, each row is one plain line; where a terminal is too narrow, each row is a block.
    """
    console = console or Screen()
    if not rows and empty is not None:
        console.print(empty, soft_wrap=True)
        return
    widths = [max(cell_len(str(row[i])) for row in (headings, *rows)) for i in range(len(headings))]
    if not console.is_terminal:
        for row in (headings, *rows):
            cells = (_padded(str(cell), min(width, _PADDED)) for cell, width in zip(row, widths, strict=True))
            console.print(Text("  ".join(cells).rstrip()), soft_wrap=True)
        return
    least = [width if name in whole else _LEAST for name, width in zip(headings, widths, strict=True)]
    if sum(least) + 3 * len(headings) + 1 > console.width:
        for row in rows:
            block = Table("", Column("", overflow="fold"), box=None, show_header=False, pad_edge=False)
            for name, cell in zip(headings, row, strict=True):
                block.add_row(name, cell)
            console.print(block)
            console.print()
        return
    table = Table(*(Column(name, no_wrap=name in whole, overflow="fold") for name in headings))
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def show_replay(outcome: ReplayOutcome) -> None:
    """A summary on stderr."""
    console = Console(stderr=True)
    rate = outcome.decisions / outcome.seconds if outcome.seconds else 0.0
    console.print(
        f"{counted(outcome.decisions, 'decision')} of {counted(outcome.sessions, 'session')} in "
        f"{outcome.seconds:.1f} s ({rate:,.0f}/s): {counted(len(outcome.findings), 'finding')}, "
        f"{counted(outcome.duplicates, 'duplicate')}, {counted(len(outcome.dead_letters), 'line')} refused",
        soft_wrap=True,
    )
    for line, code, reason in outcome.dead_letters[:20]:
        console.print(plain(f"  line {line}: {code}: {reason}"), soft_wrap=True)
    if len(outcome.dead_letters) > 20:
        console.print(f"  … and {len(outcome.dead_letters) - 20:,} more")


def rarity(finding: Finding) -> str:
    """The evidence in plain units; breaches are named instead."""
    evidence = finding.evidence
    figure = one_in(evidence.one_in)
    if not figure:
        return ", ".join(b.name for b in finding.breaches)
    return figure + ("" if evidence.promised else " (estimated)")


def plain(text: str) -> Text:
    """No markup, no control characters."""
    return Text(visible(text))


_STATE_STYLE = {"current": "green", "lagging": "bold red", "silent": "red", "behind": "red", "passed": "green"}


def show_watch(watch: Watch) -> None:
    """Gateways, monitors and the latest self-tests, each under its own heading."""
    console = Screen()
    headings = ("gateway", "process", "tenants", "state", "enforces", "behind", "by", "last heard of")
    rows: list[Row] = [
        (
            plain(each.principal_id),
            plain(each.instance),
            plain(", ".join(each.tenants)),
            Text(each.state, style=_STATE_STYLE.get(each.state, "")),
            f"{each.revision} of {watch.revision}",
            f"{each.behind} ({each.lag_s:.0f} s)" if each.behind else "",
            each.transport,
            each.last_seen.isoformat(timespec="seconds"),
        )
        for each in watch.gateways
    ]
    show_rows(headings, rows, whole={"gateway"}, empty="No gateway follows the list now.")
    if not watch.monitors:
        console.print("No monitor is known: nobody watches.")
    for monitor in watch.monitors:
        seen = monitor.last_seen.isoformat(timespec="seconds")
        lag = "has read nothing yet, " if monitor.lag_s is None else f"{monitor.lag_s:.0f} s behind, "
        told = f"monitor {monitor.principal_id} {monitor.instance}: {monitor.state}, "
        told += f"{'' if monitor.state == 'stopped' else lag}last heard of {seen}"
        console.print(plain(told), soft_wrap=True)
    for test in watch.self_tests[:10]:
        at = test.started_at.isoformat(timespec="seconds")
        where = f" on partition {test.place}" if test.place else ""
        why = f": {test.missing}" if test.missing else ""
        console.print(plain(f"self-test {test.kind}{where} of {at}: {test.result}{why}"), soft_wrap=True)
