"""The example's alert rules, as Prometheus reads them: alerts.test.yml says what fires which."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROMETHEUS = Path(__file__).parents[2] / "config" / "examples" / "prometheus"
CASES = Path(__file__).with_name("alerts.test.yml")
PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (apt-get install promtool); CI installs it"
)
@pytest.mark.parametrize(
    "words",
    [
        ["check", "rules", PROMETHEUS / "alerts.yml"],
        ["check", "config", "--syntax-only", PROMETHEUS / "scrape.yml"],
        ["test", "rules", CASES],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_prometheus_reads_them_and_they_fire_when_they_should(words: list[str | Path]) -> None:
    assert PROMTOOL is not None
    ran = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_rule_has_a_case_that_fires_it_and_one_that_does_not() -> None:
    """The first case is silent, and it must hold all that a rule asks for."""
    rules = [rule for group in _read(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]]
    cases = _read(CASES)["tests"]
    assert {expected["exp_samples"][0]["value"] for expected in cases[0]["promql_expr_test"]} == {0}
    well = {re.split(r"[{ ]", each["series"])[0] for each in cases[0]["input_series"]}
    fired = {name for case in cases for name in re.findall(r'alertname="(\w+)"', str(_samples(case)))}
    assert fired == {rule["alert"] for rule in rules}
    assert {name for rule in rules for name in re.findall(r"\b(?:up\b|guardian_\w+)", rule["expr"])} <= well


def _samples(case: dict[str, Any]) -> list[str]:
    """What a case expects to be there."""
    expected = [sample for each in case.get("promql_expr_test", ()) for sample in each["exp_samples"]]
    return [sample["labels"] for sample in expected if sample["value"]]


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))
