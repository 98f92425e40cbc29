"""What ends for good does not go by a clock that was ahead for a moment."""

from datetime import UTC, datetime, timedelta

import pytest

from guardian.store.sure_time import SureTime, apart, jumped

START = datetime(2026, 5, 12, tzinfo=UTC)


class Clocks:
    """Wall time and a stopwatch that began at another moment."""

    def __init__(self) -> None:
        self.now, self.seconds = START, 4711.0
        self.sure = SureTime(lambda: self.now, lambda: self.seconds)

    def go_on(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.seconds += timedelta(**span).total_seconds()

    def set(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def unsure(self) -> timedelta:
        return self.now - self.sure(self.now)


@pytest.fixture
def clocks() -> Clocks:
    """As they are an hour after the start."""
    clocks = Clocks()
    clocks.go_on(hours=1)
    assert clocks.unsure == timedelta(0)
    return clocks


def test_after_a_start_no_time_has_surely_come_for_a_quarter_of_an_hour():
    clocks = Clocks()
    for _ in range(14):
        clocks.go_on(minutes=1)
        assert clocks.unsure > timedelta(days=10_000)
        assert jumped(clocks.sure(clocks.now), clocks.now) is None, "so it is after every start"
    clocks.go_on(minutes=1)
    assert clocks.unsure == timedelta(0)


def test_a_machine_that_woke_with_a_wrong_clock_has_it_set_right_first():
    clocks = Clocks()
    clocks.go_on(minutes=10)
    clocks.set(days=-40)
    assert clocks.unsure > timedelta(days=10_000)
    clocks.go_on(minutes=14)
    assert clocks.unsure > timedelta(days=10_000)
    clocks.go_on(minutes=1)
    assert clocks.unsure == timedelta(0)


def test_a_jump_ahead_and_back_changes_nothing(clocks):
    clocks.set(days=40)
    for _ in range(3):
        clocks.go_on(seconds=4)
        assert clocks.unsure == timedelta(days=40)
        assert jumped(clocks.sure(clocks.now), clocks.now) == timedelta(days=40)
    clocks.set(days=-40)
    assert (clocks.unsure, jumped(clocks.sure(clocks.now), clocks.now)) == (timedelta(0), None)


def test_nor_does_a_time_that_was_read_while_the_clock_was_ahead_and_is_asked_about_later(clocks):
    read = clocks.now + timedelta(days=40)
    assert clocks.sure(read) == clocks.now


def test_a_jump_that_lasts_is_believed_after_a_quarter_of_an_hour(clocks):
    clocks.set(days=40)
    assert clocks.unsure == timedelta(days=40)
    for _ in range(14):
        clocks.go_on(minutes=1)
        assert clocks.unsure == timedelta(days=40)
    clocks.go_on(minutes=1)
    assert clocks.unsure == timedelta(0)


def test_it_goes_back_with_the_clock_at_once(clocks):
    clocks.set(hours=-3)
    assert clocks.sure(clocks.now) == clocks.now


@pytest.mark.parametrize(
    ("other", "differ"),
    [(0, 0), (299, 0), (360, 0), (361, 61), (-60, 0), (-61, -61)],
)
def test_another_clock_is_apart_only_by_what_cannot_have_passed_while_it_was_asked(other, differ):
    """This one was read, then that one, and this one again 300 s later, as where the process was frozen."""
    after = START + timedelta(seconds=300)
    assert apart(START + timedelta(seconds=other), START, after) == timedelta(seconds=differ)
