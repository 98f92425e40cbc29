import asyncio

import pytest
from structlog.testing import capture_logs

from guardian.control.rounds import Rounds
from guardian.errors import StoreError
from guardian.telemetry import Metrics


def test_what_goes_on_failing_is_told_once_a_minute_and_when_it_is_over() -> None:
    now = [0.0]
    rounds = Rounds(lambda: now[0], Metrics())

    def at(second: float, error: Exception | None) -> None:
        now[0] = second
        with rounds.told("follow_failed"):
            if error is not None:
                raise error

    with capture_logs() as lines:
        for second in range(130):
            at(second, StoreError("its database is away"))
        at(130, ValueError("something else"))
        at(131, None)
        at(132, None)
        at(133, StoreError("away again"))
    assert [(line["event"], line.get("error")) for line in lines] == [
        ("follow_failed", "StoreError"),
        ("follow_failed", "StoreError"),
        ("follow_failed", "StoreError"),
        ("follow_failed", "ValueError"),
        ("works_again", None),
        ("follow_failed", "StoreError"),
    ]
    assert lines[0]["detail"] == "its database is away"


def test_failures_of_one_name_hide_none_of_another() -> None:
    rounds = Rounds(lambda: 0.0, Metrics())
    with capture_logs() as lines:
        for name in ("sweep_failed", "watch_failed", "sweep_failed"):
            with rounds.told(name):
                raise StoreError("away")
    assert [line["event"] for line in lines] == ["sweep_failed", "watch_failed"]


def test_each_failure_is_counted_and_a_loop_is_shown_before_it_fails() -> None:
    metrics = Metrics()
    rounds = Rounds(lambda: 0.0, metrics)
    with rounds.told("watch_failed"):
        assert b'guardian_loop_failures_total{loop="watch_failed"} 0.0' in metrics.render()
    for _ in range(3):
        with rounds.told("watch_failed"):
            raise StoreError("away")
    assert metrics.value("guardian_loop_failures_total", loop="watch_failed") == 3


def test_a_loop_that_is_cancelled_ends() -> None:
    with pytest.raises(asyncio.CancelledError), Rounds(lambda: 0.0, Metrics()).told("sweep_failed"):
        raise asyncio.CancelledError
