"""Ids are typed into the next command: no output may cut one."""

from io import StringIO

import pytest
from rich.console import Console

from guardian.cli.tables import show_rows

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
