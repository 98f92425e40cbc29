"""Ids are typed into the next command: no output may cut one."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from guardian.alerting import sentences
from guardian.cli.common import escape
from guardian.cli.tables import plain, rarity, show_purposes, show_rows, show_views
from guardian.console import showing
from guardian.domain.finding import Effect, Evidence, Finding, Kind
from guardian.wire.findings import FindingOutcome, FindingView

HEADINGS = ("finding", "severity", "kind", "tenant / session", "what", "effect", "policy said", "people said")
ROW = (
    "fnd_0123456789abcdef0123456789abcdef",
    "high",
    "drift",
    "tenant_acme / sess_0123456789abcdef",
    "sends a customer list to a stranger " * 4,
    "revoke",
    "the budget of this hour allows it",
    "",
)


def shown(width: int, *, terminal: bool) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=terminal, color_system=None)
    show_rows(HEADINGS, [ROW, ROW], whole={"finding", "tenant / session"}, console=console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [60, 80, 120, 130, 140, 160, 200, 400])
def test_ids_are_whole_at_every_width(width: int, terminal: bool) -> None:
    text = shown(width, terminal=terminal)
    assert text.count(ROW[0]) == 2
    assert text.count(ROW[3]) == 2


def test_piped_output_is_one_plain_line_a_row() -> None:
    lines = shown(80, terminal=False).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(ROW[0])
    assert ROW[4].strip() in lines[1]
    assert "\t" not in lines[1]
    assert "…" not in lines[1]


def test_one_long_name_makes_no_other_row_long() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=False, color_system=None)
    show_rows(("agent", "status"), [("a" * 250, "flagged"), ("b", "active")], whole=set(), console=console)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines() == [
        f"{'agent':<40}  status", f"{'a' * 250}  flagged", f"{'b':<40}  active",
    ]  # fmt: skip


def test_a_table_without_rows_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_purposes([])
    assert capsys.readouterr().out.count("\n") == 1


def test_a_listed_finding_shows_when_it_was_told_which_is_what_the_list_is_sorted_by(
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = datetime(2026, 5, 12, 17, 4, 11, tzinfo=UTC)
    made = Finding(
        id="fnd_1", kind=Kind.DRIFT, tenant_id="acme", session_id="s", wanted=Effect.FLAG, severity="high",
        title="Acts on an expired envelope", time=at - timedelta(days=3),
    )  # fmt: skip
    outcome = FindingOutcome(
        finding_id="fnd_1", tenant_id="acme", session_id="s", wanted=Effect.FLAG, effect=Effect.FLAG,
        mode="shadow", note="", at=at,
    )  # fmt: skip
    show_views([FindingView(finding=made, outcome=outcome)])
    headings, row = capsys.readouterr().out.splitlines()
    assert headings.split()[:2] == ["finding", "told"]
    assert row.split()[:2] == ["fnd_1", "2026-05-12T17:04:11+00:00"]


@pytest.mark.parametrize(
    ("one_in", "figure"),
    [(19_960.0, "19,900"), (999.6, "999"), (2345.6, "2,340"), (1.3, ""), (3e13, "1,000,000,000 or more")],
)
def test_a_session_is_as_rare_in_slack_on_the_pages_and_in_a_table(one_in: float, figure: str) -> None:
    evidence = Evidence(one_in=one_in, promised=True)
    made = Finding(
        id="fnd_1", kind=Kind.DRIFT, tenant_id="acme", session_id="s", wanted=Effect.FLAG, severity="high",
        title="t", time=datetime(2026, 5, 12, tzinfo=UTC), evidence=evidence,
    )  # fmt: skip
    assert rarity(made) == figure
    for told in (sentences.rarity(evidence), showing.rarity(evidence)):
        assert told.startswith(f"at most 1 in {figure}" if figure else "nothing unusual")


def test_sessions_that_differ_in_what_nobody_sees_do_not_look_alike_in_a_terminal() -> None:
    names = [f"sess_42{hidden}" for hidden in ("", "\u3164", "\ufe0f", "\u115f", "\u200b", "\u2800")]
    for show in (escape, plain):
        assert [str(show(name)) for name in names] == [
            "sess_42",
            *(f"sess_42‹U+{code}›" for code in ("3164", "FE0F", "115F", "200B", "2800")),
        ]
        assert str(show("Z" + "\u0301" * 40)) == "Z" + "\u0301" * 3


def test_lines_for_a_terminal_stay_lines_with_their_spaces() -> None:
    assert escape("a  b\n    c\td\n") == "a  b\n    c d\n"
