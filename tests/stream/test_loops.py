"""The loops beside the worker: what they do not foresee is told, retried and seen from outside."""

import threading

import pytest

from guardian.domain.backoff import Backoff
from guardian.errors import ArchiveError
from guardian.stream.loops import Loops, Pace
from guardian.telemetry import Metrics


class Watch:
    """A monotonic clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def keep(watch):
    made = []

    def begin(**loops):
        made.append(Loops(loops, timer=watch, metrics=Metrics(), pace=Pace(Backoff(0.001, 0.001), mended_s=30)))
        made[-1].start()
        return made[-1]

    yield begin
    for loops in made:
        loops.stop()
        loops.join(10)


class Loop:
    """Fails with each of `troubles`, then runs until it is stopped."""

    def __init__(self, *troubles, before=lambda: None):
        self.troubles, self.before, self.runs = list(troubles), before, threading.Event()

    def __call__(self, stop):
        if self.troubles:
            self.before()
            raise self.troubles.pop(0)
        self.runs.set()
        stop.wait()


def test_a_loop_is_shown_before_it_fails():
    metrics = Metrics()
    Loops({"outbox": Loop()}, timer=Watch(), metrics=metrics)
    assert b'guardian_loop_failures_total{loop="outbox"} 0.0' in metrics.render()


def test_a_loop_that_fails_begins_again_and_the_others_go_on(keep):
    failing, good = Loop(ValueError("x"), OverflowError("date value out of range"), OSError()), Loop()
    loops = keep(failing=failing, good=good)
    assert failing.runs.wait(10)
    assert good.runs.wait(10)
    assert loops._metrics.value("guardian_loop_failures_total", loop="failing") == 3


def test_it_counts_as_failing_until_it_has_run_for_a_while(keep, watch):
    loop = Loop(ValueError("x"))
    loops = keep(outbox=loop)
    assert loop.runs.wait(10)
    watch.now = 29
    assert loops.failing() == {"outbox": "ValueError"}
    watch.now = 31
    assert loops.failing() == {}


def test_what_took_long_to_fail_must_run_as_long_to_be_mended(keep, watch):
    def an_hourly_round():
        watch.now += 120

    loop = Loop(ArchiveError("x"), before=an_hourly_round)
    loops = keep(archive=loop)
    assert loop.runs.wait(10)
    watch.now += 119
    assert loops.failing() == {"archive": "ArchiveError"}
    watch.now += 2
    assert loops.failing() == {}


def test_the_log_says_what_failed_and_where_but_nothing_that_an_agent_wrote(keep, capfd):
    loop = Loop(ValueError("an agent's secret"), ArchiveError("the disk is full"))
    keep(archive=loop)
    assert loop.runs.wait(10)
    said = "".join(capfd.readouterr())
    assert "ValueError" in said
    assert "test_loops.py" in said
    assert "the disk is full" in said
    assert "secret" not in said


def test_a_loop_that_fails_again_and_again_ends_when_it_is_told(keep):
    def fails(_stop):
        raise ValueError

    loops = keep(failing=fails)
    loops.stop()
    loops.join(10)
    assert not any(thread.is_alive() for thread in loops._threads)
