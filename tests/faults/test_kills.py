"""A monitor killed anywhere ends with exactly the findings and revocations of an undisturbed run.

`KILLS=100 pytest tests/faults` is the long set; CI runs a shorter one.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import pytest

from guardian.bus.local_broker import LocalBroker

POINTS = ("before_commit", "after_commit", "before_send", "after_send", "before_produce", "after_produce")
KILLS = int(os.environ.get("KILLS", "6"))
BROKEN = [b"{not json", b'{"schema":"guardian.decision/v9"}', b"\xff\xfe", b"[1,2]"]


@dataclass(frozen=True)
class Undisturbed:
    """What a log leads to when nothing happens to the monitor."""

    lines: list[bytes]
    findings: set[tuple[str, str]]
    ledger: list[tuple[str, str, str]]
    letters: int


@pytest.fixture(scope="module")
def calm(
    tmp_path_factory: pytest.TempPathFactory,
    day: list[bytes],
    open_estate: Callable[..., Any],
    close: Callable[..., None],
) -> Undisturbed:
    lines = [line for pair in zip(day, cycle([None, None, None, *BROKEN]), strict=False) for line in pair if line]
    with LocalBroker() as broker:
        estate = open_estate(tmp_path_factory.mktemp("calm") / "estate", broker)
        try:
            estate.produce(lines)
            estate.watch()
            estate.finish(len(lines))
            found = Undisturbed(lines, estate.told(), estate.revocations(), estate.dead_letters())
        finally:
            close(estate)
    assert len(found.ledger) > 0, "the scenario must lead to revocations, or the tests prove nothing"
    assert found.letters >= len(BROKEN)
    return found


@pytest.mark.slow
def test_kills_at_every_step_change_nothing(estate: Any, calm: Undisturbed) -> None:
    share = -(-len(calm.lines) // KILLS)
    for kill, point in enumerate(islice(cycle(POINTS), KILLS)):
        estate.produce(calm.lines[kill * share : (kill + 1) * share])
        process = estate.watch(crash_at=f"{point}:{1 + kill // len(POINTS) % 2}", name=f"kill{kill}-{point}")
        try:
            process.wait(timeout=12)  # it dies at the point, or wherever it is when the time is over
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    estate.watch()
    assert estate.settled(calm.findings) == calm.findings
    assert sorted(estate.revocations()) == sorted(calm.ledger)
    assert estate.dead_letters_at_last(calm.letters) == calm.letters


@pytest.mark.slow
def test_two_monitors_share_the_work_and_losing_one_loses_nothing(estate: Any, calm: Undisturbed) -> None:
    first, second = estate.watch(name="first"), estate.watch(name="second")
    half = len(calm.lines) // 2
    estate.produce(calm.lines[:half])
    time.sleep(10)  # both have joined and are at work
    first.send_signal(signal.SIGKILL)
    estate.produce(calm.lines[half:])
    assert estate.settled(calm.findings) == calm.findings
    assert sorted(estate.revocations()) == sorted(calm.ledger)
    assert second.poll() is None
    assigned = [
        json.loads(line)
        for name in ("first", "second")
        for line in (estate.folder / f"{name}.log").read_text(encoding="utf-8").splitlines()
        if '"assigned"' in line
    ]
    assert {place for entry in assigned for place in entry["places"]} == {
        "guardian.decisions[0]",
        "guardian.decisions[1]",
    }


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
