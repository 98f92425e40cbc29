"""Every bench prints its figures beside a baseline of the same run; no figure is asserted here."""

import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from typer.testing import CliRunner

import guardian.bench
from guardian.bench import e2e
from guardian.cli.benching import bench_app
from guardian.demo import history
from guardian.demo.gateway import Trace
from guardian.demo.scenario import Scenario

Done = subprocess.CompletedProcess[str]
Rows = list[dict[str, Any]]


def printed(done: Done) -> Rows:
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert set(told) == {"bench", "version", "machine", "rows"}
    rows: Rows = told["rows"]
    for row in rows:
        assert set(row) == {"name", "unit", "value", "n", "baseline"}
        assert row["n"] > 0
    return rows


def bench(*args: str, first: str = "") -> Rows:
    """What `guardian bench ARGS` prints, in a process of its own that does `first` before."""
    run = f"{first}\nfrom guardian.cli import main\nmain()"
    command = [sys.executable, "-c", run, "bench", *args, "--json"]
    return printed(subprocess.run(command, capture_output=True, text=True, timeout=240, check=False))


@pytest.fixture
def bench_here(guardian: Callable[..., Done]) -> Callable[..., Rows]:
    """The same within this process, which spares the libraries' start and may be told less."""
    return lambda *args: printed(guardian("bench", *args, "--json"))


@pytest.fixture
def short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the honest week that a world learns from; the demo's own tests take all of it."""
    monkeypatch.setattr(history, "TEACHING_SESSIONS", 20)
    monkeypatch.setattr(history, "CALIBRATION_SESSIONS", 80)


def test_every_bench_is_a_command() -> None:
    names = {each.name for each in pkgutil.iter_modules(guardian.bench.__path__)}
    modules = {name for name in names if hasattr(import_module(f"guardian.bench.{name}"), "run")}
    assert {command.callback.__name__ for command in bench_app.registered_commands if command.callback} == modules


@pytest.mark.parametrize("gateways", ["0", "1,-5", "1,,2", "many", ""])
def test_numbers_of_gateways_that_cannot_be_are_refused_at_once(gateways: str) -> None:
    done = CliRunner().invoke(bench_app, ["revocation", "--gateways", gateways])
    assert "such as 1,10,100" in str(done.exception)


@pytest.mark.slow
def test_the_policy_bench_is_printed_like_the_others(bench_here: Callable[..., Rows]) -> None:
    rows = bench_here("policy", "--requests", "20")
    assert min(rows[0]["value"], rows[0]["baseline"]) > 0


@pytest.mark.slow
def test_the_scenario_bench_counts_every_planted_kind_and_false_alarms(
    bench_here: Callable[..., Rows], short_history: None
) -> None:
    rows = {r["name"]: r for r in bench_here("scenario", "--seeds", "1", "--sessions", "12", "--each", "1")}
    assert len(rows) == 6
    assert all(0 <= row["value"] <= 1 for name, row in rows.items() if name.startswith("caught"))
    assert rows["caught: copied_authority"]["baseline"] == 1.0  # a named rule needs no model


@pytest.mark.slow
def test_the_replay_bench_runs_cold_warm_and_without_the_model() -> None:
    rows = bench("replay", "--sessions", "60")
    cold, warm = rows[0], rows[1]
    assert cold["n"] == warm["n"]
    assert min(cold["value"], warm["value"], cold["baseline"]) > 0


@pytest.mark.slow
def test_the_scoring_bench_stands_beside_torch_where_it_is_installed(bench_here: Callable[..., Rows]) -> None:
    rows = bench_here("scoring", "--pairs", "64")
    assert rows[0]["value"] > 0
    pytest.importorskip("torch")
    assert rows[0]["baseline"] > 0


@pytest.mark.slow
def test_the_end_to_end_bench_measures_every_revocation(
    bench_here: Callable[..., Rows], short_history: None
) -> None:
    rows = bench_here("e2e", "--revocations", "3")
    assert rows[0]["n"] == 3
    assert rows[0]["value"] > 0
    assert rows[0]["baseline"] > 0


def test_revocations_that_never_arrived_are_no_figure() -> None:
    (session,) = Scenario(seed=1, sessions=1, each=0).plan()
    told = [Trace(session, {"d": 1.0}), Trace(session, {"d": 2.0})]
    seen = {"a": Trace(session, revoked_seen=1.5), "b": Trace(session, revoked_seen=3.0)}
    assert e2e._waits(dict(zip("ab", told, strict=True)), seen) == [500.0, 1000.0]
    seen["b"].revoked_seen = None
    with pytest.raises(RuntimeError, match="1 of 2 revocations were never refused; the first: b"):
        e2e._waits(dict(zip("ab", told, strict=True)), seen)


@pytest.mark.slow
def test_the_sources_bench_decodes_records_of_every_format_there_is(bench_here: Callable[..., Rows]) -> None:
    from guardian.bootstrap import plugins

    rows = {row["name"]: row for row in bench_here("sources", "--records", "100")}
    assert set(rows) == {f"decode, {name}" for name in plugins.names("sources")}
    assert all(row["value"] > 0 and row["baseline"] > 0 and row["n"] == 100 for row in rows.values())


@pytest.mark.slow
def test_a_monitor_starts_without_any_heavy_library() -> None:
    # in a process of its own: the peak of memory that Linux tells of a child begins with its parent's
    no_torch = "import guardian.bench.start as start; start.find_spec = lambda _: None"  # 15 s for a baseline
    told = bench("start", "--times", "1", "--rows", "100", first=no_torch)
    rows = {row["name"]: row for row in told}
    assert rows["heavy libraries imported"]["value"] == 0
    assert (
        0 < rows["ready to read (model loaded, database open)"]["value"] <= rows["first verdicts stored"]["value"]
    )
    assert rows["resident memory at its first verdicts, peak"]["value"] > 50
    at_work = rows["resident memory at work and archiving, peak"]
    assert at_work["value"] > at_work["baseline"] > 50
