"""The README's promise: the demo catches every planted drift on a real broker, accuses nobody, and cleans up."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from until import until

from guardian.bus.kafka import KafkaConsumer
from guardian.bus.kafka_settings import KafkaSettings
from guardian.config import load
from guardian.demo.scenario import PLANTS
from guardian.domain.record import Record


def environment(tmp: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GUARDIAN_")}
    return {**kept, "TMPDIR": str(tmp)}


def staying(process: "subprocess.Popen[str]", screen: Path) -> str:
    """What a demo that stays has shown, once its day is over."""
    until(lambda: "GUARDIAN_TOKEN" in screen.read_text() or process.poll() is not None, 240, screen.read_text)
    assert process.poll() is None, screen.read_text()
    return screen.read_text()


def listed_as_told(told: str, tmp: Path) -> list[dict[str, object]]:
    """The findings, by a shell that was given what the demo prints for it."""
    given = [line for line in told.splitlines() if line.startswith("  export ")]
    script = "\n".join(["set -e", *given, f"{sys.executable} -m guardian findings --json"])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment(tmp), check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_beside(told: str) -> list[Record]:
    """The first records that a monitor with the settings of `guardian init` reads at the demo's broker."""
    (broker,) = re.findall(r"broker (\S+)", told)
    ours = load(None).kafka
    session = KafkaSettings(broker, session_timeout_ms=6000, heartbeat_interval_ms=500, assignor=ours.assignor)
    consumer = KafkaConsumer(session, [ours.topic], group=ours.group)
    consumer.start(lambda _: {})
    try:
        return until(lambda: consumer.poll(timeout_s=1, max_records=10))
    finally:
        consumer.close()


@pytest.mark.slow
def test_the_demo_catches_every_planted_drift_and_nobody_else_and_stays_to_be_looked_at(tmp_path: Path) -> None:
    home, screen = tmp_path / "home", tmp_path / "screen"
    home.mkdir()
    with screen.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "guardian", "demo", "--keep", "--json", "--sessions", "24", "--seed", "11"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment(home),
        )
    try:
        told = staying(process, screen)
        assert listed_as_told(told, home)
        assert read_beside(told)
    finally:
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 0, screen.read_text()
    outcome = json.loads(shown)
    assert {p["kind"] for p in outcome["planted"]} == {plant.value for plant in PLANTS}
    assert all(p["effect"] in ("flagged", "revoked") for p in outcome["planted"])
    assert outcome["false_alarms"] == []
    revoked = [p for p in outcome["planted"] if p["effect"] == "revoked"]
    assert revoked
    assert all(p["refused_calls"] >= 1 for p in revoked), "the next call of a revoked session is refused"
    assert outcome["refusal_ms"]["n"] == len(revoked)
    assert list(home.iterdir()) == [], "nothing is left behind"


@pytest.mark.slow
def test_ctrl_c_ends_the_demo_and_cleans_up(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "guardian", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
    )
    until(lambda: list(tmp_path.iterdir()))
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    assert Path(tempfile.gettempdir()).exists()
