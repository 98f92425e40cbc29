"""The README's promise: the demo catches every planted drift on a real broker, accuses nobody, and cleans up."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from guardian.demo.scenario import PLANTS


def environment(tmp: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GUARDIAN_")}
    return {**kept, "TMPDIR": str(tmp)}


@pytest.mark.slow
def test_the_demo_catches_every_planted_drift_and_nobody_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guardian", "demo", "--json", "--sessions", "24", "--seed", "11"],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert {p["kind"] for p in outcome["planted"]} == {plant.value for plant in PLANTS}
    assert all(p["effect"] in ("flagged", "revoked") for p in outcome["planted"])
    assert outcome["false_alarms"] == []
    revoked = [p for p in outcome["planted"] if p["effect"] == "revoked"]
    assert revoked
    assert all(p["refused_calls"] >= 1 for p in revoked), "the next call of a revoked session is refused"
    assert outcome["refusal_ms"]["n"] == len(revoked)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.slow
def test_ctrl_c_ends_the_demo_and_cleans_up(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "guardian", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
    )
    until = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    assert Path(tempfile.gettempdir()).exists()
