"""What README and the rooms' own pages point to is there: files, headings, commands."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from guardian.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        *(found for room in ("config", "guardian", "models", "tests") for found in (ROOT / room).rglob("*.md")),
    ]
)
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_APART = re.compile(r"^ *\|.*$|!\[[^]]*\]|\]\([^)\s]+\)", re.MULTILINE)
"""What is no running text: a line of a table, a picture's caption, where a link leads."""
_COMMAND = re.compile(r"^(?:.*\| *)?guardian ([a-z][a-z-]*(?: [a-z][a-z0-9-]*)?)", re.MULTILINE)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def headings(page: Path) -> set[str]:
    """Their anchors, as a forge makes them."""
    lines = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def said(page: Path) -> Iterator[str]:
    """Every command of guardian in a block or in back-ticks."""
    text = page.read_text("utf-8")
    for block in _FENCE.findall(text):
        yield from _COMMAND.findall(block)
    for span in re.findall(r"`([^`]+)`", _FENCE.sub("", text)):
        yield from _COMMAND.findall(span)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_is_named_exists(page: Path) -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    for command in said(page):
        noun, _, verb = command.partition(" ")
        assert noun in known, command
        below = getattr(known[noun], "commands", None)
        if below is not None and verb:
            assert verb in below, command


def test_the_decision_in_the_readme_is_believed_by_the_configuration_that_init_writes(guardian, tmp_path) -> None:
    shown = re.findall(r"^```json\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (event,) = (json.loads(block) for block in shown if "guardian.decision/v1" in block)
    (tmp_path / "log").write_text(json.dumps(event))
    assert guardian("init", "home").returncode == 0
    done = guardian("replay", "log", "-c", "home/guardian.yaml", env={"GUARDIAN_MODEL__ENGINE": "lexical"})
    assert (done.returncode, "1 decision of 1 session" in done.stderr) == (0, True), done.stderr


def test_the_figures_in_the_readme_are_those_of_the_benches_page() -> None:
    all_of_them = (ROOT / "guardian" / "bench" / "README.md").read_text("utf-8").splitlines()
    short = (ROOT / "README.md").read_text("utf-8").partition("\n## Figures\n")[2].partition("\n## ")[0]
    rows = [line for line in short.splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert [row for row in rows if row not in all_of_them] == []


AT_ONCE = 12
"""What is said twice does not stay the same for long: no page repeats so many words of README in a row."""


def runs(text: str) -> set[str]:
    words = re.findall(r"[\w'’-]+", _APART.sub("", text).lower())
    return {" ".join(words[at : at + AT_ONCE]) for at in range(len(words) - AT_ONCE + 1)}


@pytest.mark.parametrize("page", [page for page in PAGES if page != ROOT / "README.md"], ids=named)
def test_what_a_page_says_the_readme_only_points_to(page: Path) -> None:
    before, _, figures = (ROOT / "README.md").read_text("utf-8").partition("\n## Figures\n")
    said_here = runs(before) | runs(figures.partition("\n## ")[2])
    assert len(said_here) > 2_000
    assert said_here & runs(page.read_text("utf-8")) == set()
