"""A monitor killed anywhere ends with exactly the findings and revocations of an undisturbed run.

`KILLS=100 pytest tests/faults` is the long set; CI runs a shorter one.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import pytest
from quick_broker import QuickBroker
from until import until

POINTS = ("before_commit", "after_commit", "before_send", "after_send", "before_produce", "after_produce")
KILLS = int(os.environ.get("KILLS", "6"))
ENDS_S = 180.0  # a letter of a monitor that was killed is another's after a minute
BROKEN = [b"{not json", b'{"schema":"guardian.decision/v9"}', b"\xff\xfe", b"[1,2]"]


@dataclass(frozen=True)
class Undisturbed:
    """What a log leads to when nothing happens to the monitor, and how it ends when it is asked to."""

    lines: list[bytes]
    findings: set[tuple[str, str, str]]
    ledger: list[tuple[str, str, str]]
    letters: int
    status: int


@pytest.fixture(scope="module")
def calm(
    tmp_path_factory: pytest.TempPathFactory,
    day: list[bytes],
    open_estate: Callable[..., Any],
    close: Callable[..., None],
) -> Undisturbed:
    lines = [line for pair in zip(day, cycle([None, None, None, *BROKEN]), strict=False) for line in pair if line]
    with QuickBroker() as broker:
        estate = open_estate(tmp_path_factory.mktemp("calm") / "estate", broker)
        try:
            estate.produce(lines)
            monitor = estate.watch()
            until(lambda: estate.finished(len(lines)), ENDS_S)
            told, ledger, letters = estate.told(), estate.revocations(), estate.dead_letters()
            estate.produce(lines[:20])  # so that it is at work
            monitor.send_signal(signal.SIGTERM)
            found = Undisturbed(lines, told, ledger, letters, monitor.wait(timeout=60))
        finally:
            close(estate)
    assert len(found.ledger) > 0, "the scenario must lead to revocations, or the tests prove nothing"
    assert found.letters >= len(BROKEN)
    return found


@pytest.mark.slow
def test_kills_at_every_step_change_nothing(estate: Any, calm: Undisturbed) -> None:
    share = -(-len(calm.lines) // KILLS)
    died = []
    for kill, point in enumerate(islice(cycle(POINTS), KILLS)):
        done = min((kill + 1) * share, len(calm.lines))
        estate.produce(calm.lines[kill * share : done])
        process = estate.watch(crash_at=f"{point}:{1 + kill // len(POINTS) % 2}", name=f"kill{kill}-{point}")
        # it dies at the point; where all is done before it gets there, at rest
        until(lambda process=process, done=done: process.poll() is not None or estate.finished(done), ENDS_S)
        died.append(process.poll())
        process.kill()
        process.wait()
        estate.lapse()
    assert died.count(-signal.SIGKILL) >= len(POINTS) // 2, "they must die at work, or the test proves nothing"
    estate.watch()
    until(lambda: estate.finished(len(calm.lines)), ENDS_S)
    assert estate.told() == calm.findings
    assert sorted(estate.revocations()) == sorted(calm.ledger)
    assert estate.dead_letters() == calm.letters


@pytest.mark.slow
def test_two_monitors_share_the_work_and_losing_one_loses_nothing(estate: Any, calm: Undisturbed) -> None:
    first, second = estate.watch(name="first"), estate.watch(name="second")
    until(lambda: all(assigned(estate, name) for name in ("first", "second")))
    half = len(calm.lines) // 2
    estate.produce(calm.lines[:half])
    until(lambda: estate.count("select count(*) from seen") > 0)  # they must be at work
    first.send_signal(signal.SIGKILL)
    estate.produce(calm.lines[half:])
    until(lambda: estate.finished(len(calm.lines)), ENDS_S)
    assert estate.told() == calm.findings
    assert sorted(estate.revocations()) == sorted(calm.ledger)
    assert second.poll() is None
    assert assigned(estate, "second") == {"guardian.decisions[0]", "guardian.decisions[1]"}


def assigned(estate: Any, name: str) -> set[str]:
    """The partitions that a monitor was given, sooner or later."""
    log = (estate.folder / f"{name}.log").read_text(encoding="utf-8")
    told = [json.loads(line) for line in log.splitlines() if '"assigned"' in line and line.endswith("}")]
    return {place for entry in told for place in entry["places"]}


@pytest.mark.slow
def test_sigterm_ends_a_monitor_in_order(calm: Undisturbed) -> None:
    assert calm.status == 0
