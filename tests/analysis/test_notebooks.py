"""The notebooks run, say what was planted, define nothing, and are copied whole."""

import ast
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import jupytext
import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient
from typer.testing import CliRunner

from guardian.cli import app
from guardian.commands import notebooks as shipped
from guardian.commands.notebooks import copy_notebooks, notebooks
from guardian.demo.scenario import Plant
from guardian.errors import ConfigurationError

SOURCES = [path for path in notebooks() if path.suffix == ".py"]
MOST_BYTES = 1_500_000


def named(paths):
    return pytest.mark.parametrize("source", paths, ids=[path.stem for path in paths])


def shown(cells):
    """What each cell showed: text by kind."""
    return [output["data"] for cell in cells for output in cell.get("outputs", ()) if "data" in output]


def shown_here(source):
    """What its cells show, run in this process: a kernel takes longer to start than most notebooks to run."""
    names, show, told = {"__name__": "__main__"}, DisplayFormatter().format, []
    for cell in (each for each in jupytext.read(source).cells if each.cell_type == "code"):
        *body, last = ast.parse(cell.source, source.name).body
        value = isinstance(last, ast.Expr)
        exec(compile(ast.Module(body if value else [*body, last], []), source.name, "exec"), names)
        made = eval(compile(ast.Expression(last.value), source.name, "eval"), names) if value else None
        if made is not None:
            told.append(show(made)[0])
    return told


def shows_what_is_kept(told, source):
    kept = shown(nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells)
    assert [sorted(each) for each in told] == [sorted(each) for each in kept]
    assert sum("image/png" in each for each in told) >= 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # those of the kernel's own packages
def test_the_first_notebook_runs_top_to_bottom_in_a_kernel_and_starts_no_control(
    sample_root, tmp_path, monkeypatch, planted
):
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(sample_root))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = jupytext.read(SOURCES[0])
    loaded = "import sys; print([name for name in ('fastapi', 'slack_sdk') if name in sys.modules])"
    notebook.cells.append(nbformat.v4.new_code_cell(loaded))
    done = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    told = shown(done.cells)
    shows_what_is_kept(told, SOURCES[0])
    assert not any(output.get("name") == "stderr" for c in done.cells for output in c.get("outputs", ()))
    assert done.cells[-1].outputs[0].text == "[]\n"
    for first in (told[0], shown(nbformat.read(SOURCES[0].with_suffix(".ipynb"), as_version=4).cells)[0]):
        place, worst = first["text/plain"].splitlines()[1].split()[:2]
        assert place == "0"
        assert planted[worst] is not Plant.NONE


@pytest.mark.slow
@pytest.mark.filterwarnings("error::DeprecationWarning:__main__")  # which a kernel would print
@named(SOURCES[1:])
def test_a_notebook_runs_top_to_bottom_on_the_sample(source, sample_root, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(sample_root))
    monkeypatch.chdir(tmp_path)
    shows_what_is_kept(shown_here(source), source)
    assert capfd.readouterr().err == ""


def test_there_are_six_in_order():
    assert [path.stem for path in SOURCES] == [
        "01_what_happened", "02_one_session", "03_thresholds", "04_model", "05_tightening", "06_hunt",
    ]  # fmt: skip


@named(SOURCES)
def test_py_and_ipynb_are_the_same_notebook_and_the_latter_has_outputs(source):
    kept = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(kept)
    ours = jupytext.read(source)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [(c.cell_type, c.source) for c in ours.cells]
    assert all(cell.execution_count for cell in kept.cells if cell.cell_type == "code")
    assert not any(output.output_type == "error" for c in kept.cells for output in c.get("outputs", ()))
    assert str(Path.home()) not in json.dumps(kept)


def test_the_outputs_are_small_enough_for_a_forge():
    assert sum(path.stat().st_size for path in notebooks()) < MOST_BYTES


@named(SOURCES)
def test_a_notebook_defines_nothing(source):
    tree = ast.parse(source.read_text(encoding="utf-8"))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert not [node for node in ast.walk(tree) if isinstance(node, defined)]


def test_the_query_that_hunters_are_shown_is_one_that_duckdb_reads(archive):
    (query,) = re.findall(
        r"duckdb\.sql\('(.+?)'\)", (SOURCES[0].parent / "06_hunt.py").read_text(encoding="utf-8")
    )
    events = archive.events(since=archive.days[-1], columns=["at", "tool"])
    with duckdb.connect() as database:
        database.register("events", events)
        told = {tool: (calls, first) for tool, calls, first in database.execute(query).fetchall()}
    for tool, calls in events.groupby("tool"):
        assert told[tool] == (len(calls), calls["at"].min())


@named(SOURCES)
def test_a_notebook_says_what_it_cannot_tell(source):
    assert "**What this cannot tell.**" in source.read_text(encoding="utf-8")


def test_the_command_copies_them_and_overwrites_only_when_told(tmp_path):
    folder = tmp_path / "hunting"
    outcome = CliRunner().invoke(app, ["notebooks", str(folder), "--no-open"])
    assert outcome.exit_code == 0
    assert "6 notebooks" in outcome.output
    assert sorted(path.name for path in folder.iterdir()) == [path.name for path in notebooks()]
    mine = folder / "06_hunt.py"
    mine.write_text("# my own hunt", encoding="utf-8")
    (folder / "01_what_happened.py").unlink()
    with pytest.raises(ConfigurationError, match="is there already; --force overwrites"):
        copy_notebooks(folder, force=False)
    assert not (folder / "01_what_happened.py").exists()  # nothing was written
    assert CliRunner().invoke(app, ["notebooks", str(folder), "--no-open", "--force"]).exit_code == 0
    assert mine.read_text(encoding="utf-8") != "# my own hunt"


def test_a_file_is_no_folder_for_them(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is a file"):
        copy_notebooks(tmp_path / "file", force=True)
    with pytest.raises(ConfigurationError, match="cannot write to"):
        copy_notebooks(tmp_path / "file" / "below", force=True)


def test_the_command_says_how_to_install_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "find_spec", lambda name: None)
    outcome = CliRunner().invoke(app, ["notebooks", str(tmp_path / "n")])
    assert "pip install 'intent-guardian[notebooks]'" in outcome.output
    monkeypatch.setattr(shipped, "find_spec", lambda name: None if name in ("jupyterlab", "notebook") else name)
    outcome = CliRunner().invoke(app, ["notebooks", str(tmp_path / "m")])
    assert "pip install jupyterlab" in outcome.output
    outcome = CliRunner().invoke(app, ["notebooks", str(tmp_path / "k"), "--no-open"])
    assert "not installed" not in outcome.output, "nobody asked to open them"


def test_the_command_opens_jupyter_in_the_folder_where_it_is_installed(tmp_path, monkeypatch):
    opened = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "find_spec", lambda name: name)
    monkeypatch.setattr(os, "execv", lambda path, words: opened.append((Path.cwd(), path, words)))
    assert (
        CliRunner()
        .invoke(app, ["notebooks", "n", "--no-open"])
        .output.endswith(f"Open them: cd n && {sys.executable} -m jupyterlab\n")
    )
    assert not opened
    assert CliRunner().invoke(app, ["notebooks", "m"]).exit_code == 0
    assert opened == [(tmp_path / "m", sys.executable, [sys.executable, "-m", "jupyterlab"])]


def test_the_sample_is_made_on_demand(tmp_path, sample_root, monkeypatch):
    monkeypatch.setattr("guardian.demo.sample._kept", lambda: sample_root)
    outcome = CliRunner().invoke(app, ["notebooks", str(tmp_path / "n"), "--sample", "--no-open"])
    assert f"{sample_root}: sample data of six weeks" in outcome.output


@named(SOURCES)
def test_a_notebook_copes_with_an_archive_that_holds_little(source, lay, monkeypatch, capsys):
    """One name that two tenants' sessions have, a last day on which a drift was planted; no vectors, no drift, no
    labels, no control."""
    for tenant in ("acme", "globex"):
        lay(tenant_id=tenant, session_id="parent")
        lay(tenant_id=tenant, tool="files.list", one_in=50.0, parent_session_id="parent")
    root = lay(gateway="gw-test", at=datetime(2026, 5, 13, tzinfo=UTC))
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(root))
    monkeypatch.setenv("GUARDIAN_REVOCATION__SELF_TEST__GATEWAY", "gw-test")
    exec(compile(source.read_text(encoding="utf-8"), source.name, "exec"), {})


@named(SOURCES)
def test_a_notebook_says_that_nothing_lies_there_for_that_tenant(source, lay, monkeypatch):
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(lay()))
    monkeypatch.setenv("GUARDIAN_TENANT", "acm")
    with pytest.raises(ConfigurationError, match="this archive holds nothing of these tenants"):
        exec(compile(source.read_text(encoding="utf-8"), source.name, "exec"), {})
