"""The benches of the switch and of advice run and print their figures; none is asserted."""

import json
import subprocess
import sys

import pytest


def bench(*args):
    command = [sys.executable, "-m", "guardian", "bench", *args, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


@pytest.mark.slow
def test_advice_is_measured_cold_and_warm_beside_a_plain_check():
    rows = bench("advise", "--calls", "5")
    assert [row["name"] for row in rows] == [
        f"advice, {kind}, p{q}" for kind in ("cold", "warm") for q in (50, 99)
    ]
    assert all(row["value"] > 0 and row["baseline"] > 0 for row in rows)
