"""A monitor killed anywhere ends with exactly the findings and revocations of an undisturbed run.

`KILLS=100 pytest tests/faults` is the long set; CI runs a shorter one.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from guardian.bus.local_broker import LocalBroker

POINTS = ("before_commit", "after_commit", "before_send", "after_send", "before_produce", "after_produce")
KILLS = int(os.environ.get("KILLS", "6"))
BROKEN = [b"{not json", b'{"schema":"guardian.decision/v9"}', b"\xff\xfe", b"[1,2]"]


@pytest.mark.slow
def test_kills_at_every_step_change_nothing(
    tmp_path: Path, day: list[bytes], open_estate: Callable[..., Any], close: Callable[..., None]
) -> None:
    lines = [line for pair in zip(day, cycle([None, None, None, *BROKEN]), strict=False) for line in pair if line]
    with LocalBroker() as broker:
        calm = open_estate(tmp_path / "calm", broker)
        try:
            calm.produce(lines)
            calm.watch()
            expected, ledger = calm.settled(), calm.revocations()
            assert len(ledger) > 0, "the scenario must lead to revocations, or the test proves nothing"
            assert calm.dead_letters() >= len(BROKEN)
            letters = calm.dead_letters()
        finally:
            close(calm)
    share = -(-len(lines) // KILLS)
    with LocalBroker() as broker:
        rough = open_estate(tmp_path / "rough", broker)
        try:
            for kill, point in enumerate(islice(cycle(POINTS), KILLS)):
                rough.produce(lines[kill * share : (kill + 1) * share])
                process = rough.watch(
                    crash_at=f"{point}:{1 + kill // len(POINTS) % 2}", name=f"kill{kill}-{point}"
                )
                try:
                    process.wait(timeout=12)  # it dies at the point, or wherever it is when the time is over
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
            rough.watch()
            assert rough.settled(expected) == expected
            assert sorted(rough.revocations()) == sorted(ledger)
            assert rough.dead_letters_at_last(letters) == letters
        finally:
            close(rough)


@pytest.mark.slow
def test_two_monitors_share_the_work_and_losing_one_loses_nothing(
    tmp_path: Path, day: list[bytes], open_estate: Callable[..., Any], close: Callable[..., None]
) -> None:
    with LocalBroker() as broker:
        calm = open_estate(tmp_path / "calm", broker)
        try:
            calm.produce(day)
            calm.watch()
            expected, ledger = calm.settled(), calm.revocations()
        finally:
            close(calm)
    with LocalBroker() as broker:
        shared = open_estate(tmp_path / "shared", broker)
        try:
            first, second = shared.watch(name="first"), shared.watch(name="second")
            shared.produce(day[: len(day) // 2])
            time.sleep(10)  # both have joined and are at work
            first.send_signal(signal.SIGKILL)
            shared.produce(day[len(day) // 2 :])
            assert shared.settled(expected) == expected
            assert sorted(shared.revocations()) == sorted(ledger)
            assert second.poll() is None
            assigned = [
                json.loads(line)
                for name in ("first", "second")
                for line in (shared.folder / f"{name}.log").read_text(encoding="utf-8").splitlines()
                if '"assigned"' in line
            ]
            assert {place for entry in assigned for place in entry["places"]} == {
                "guardian.decisions[0]",
                "guardian.decisions[1]",
            }
        finally:
            close(shared)


@pytest.mark.slow
def test_sigterm_ends_a_monitor_in_order(estate: Any, day: list[bytes]) -> None:
    estate.produce(day[:20])
    process = estate.watch()
    log, until = estate.folder / "monitor.log", time.monotonic() + 60
    while b"assigned" not in log.read_bytes():  # it consumes: its own handler stands, not that of coverage
        assert time.monotonic() < until, log.read_text("utf-8", "replace")
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
