"""How far behind a monitor of several partitions is: none of them hides another."""

from datetime import timedelta

import pytest

from guardian.bus.memory import MemoryConsumer
from guardian.domain.record import Place, Record
from guardian.stream.commit import Committer
from guardian.stream.vitals import Lateness

P0, P1 = Place("log", 0), Place("log", 1)
HOUR, NONE = timedelta(hours=1), timedelta(0)


class Desk:
    """Batches of one partition each, as kafka-python hands them out, through a committer."""

    def __init__(self, rig, pipeline):
        rig.broker.create_topic("log", 2)
        self.rig, self.lateness = rig, Lateness(rig.clock)
        self.consumer = Told(rig.broker, ["log"])
        self.consumer.start(
            lambda places: rig.store.claim(places, self.consumer.member(), now=rig.clock()).positions
        )
        self.consumer.poll(timeout_s=0, max_records=0)
        self.committer = Committer(
            pipeline=pipeline, store=rig.store, clock=rig.clock, timer=lambda: 0.0, metrics=rig.metrics,
            lateness=self.lateness,
        )  # fmt: skip

    def batch(self, partition, *, late=NONE, left=0):
        """A second later one record is read, and `left` more of its partition are not; how late that is."""
        self.rig.clock.forward(1)
        made = [self.rig.broker.append("log", b"x", partition=partition, timestamp=self.rig.clock() - late)]
        self.consumer.read(made)
        self.consumer.left[made[0].place] = left
        self.committer.judge(made, self.consumer)
        return self.lateness.lag()


class Told(MemoryConsumer):
    """`left` is what it says to be left; `asked` counts how often the broker was asked."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.left, self.answering, self.asked, self.looked = {P0: 0, P1: 0}, True, 0, 0

    def read(self, records):
        self._next |= {record.place: record.offset + 1 for record in records}

    def lag(self):
        self.looked += 1
        return {place: left for place, left in self.left.items() if place in self._next}

    def answers(self):
        self.asked += 1
        return self.answering


@pytest.fixture
def desk(rig, counting):
    return Desk(rig, counting())


def test_a_partition_that_is_behind_counts_as_long_as_something_is_left_in_it(desk):
    assert desk.batch(0, late=HOUR, left=9) == HOUR
    assert [desk.batch(1) for _ in range(3)] == [HOUR + timedelta(seconds=n) for n in (1, 2, 3)]
    assert desk.rig.metrics.value("guardian_time_lag_seconds") == 3603
    assert desk.batch(0, late=HOUR, left=0) == HOUR
    assert desk.batch(1) == NONE


def test_without_a_consumers_word_no_partition_hides_another(desk):
    lateness, now = desk.lateness, desk.rig.clock()
    for place, stamp in ((P0, now - HOUR), (P1, now)):
        lateness.handled([Record(*place, 0, b"", timestamp=stamp)])
        assert lateness.lag() == HOUR


def test_one_of_which_nobody_says_what_is_left_stays_where_it_was(desk):
    desk.batch(0, late=HOUR)
    del desk.consumer.left[P0]
    assert desk.batch(1) == HOUR + timedelta(seconds=1)
    desk.consumer.left[P0] = 0
    assert desk.batch(1) == NONE


def test_one_that_another_member_reads_now_no_longer_counts(desk):
    assert desk.batch(0, late=HOUR, left=9) == HOUR
    del desk.consumer._next[P0]
    assert desk.batch(1) == NONE


def test_one_that_was_never_read_is_not_hidden_either(desk):
    desk.consumer.left[P0] = 9
    shown = []
    for late in (HOUR, NONE):
        assert desk.batch(1, late=late) is None
        shown.append(desk.rig.metrics.value("guardian_time_lag_seconds"))
    assert shown == [3600, 0], "an alert on how far behind it is for sure does not wait for the other"
    desk.consumer.left[P0] = 0
    assert desk.batch(1) == NONE
    desk.consumer.left[P0] = 9
    assert desk.batch(1) == timedelta(seconds=1), "up to date a second ago"


def test_while_not_every_partition_can_be_read_none_counts_as_empty_for_long(desk):
    desk.batch(0)
    assert [desk.batch(1) for _ in range(5)] == [NONE] * 5
    desk.consumer.answering = False
    late = [desk.batch(1) for _ in range(30)]
    assert late[-1] >= timedelta(seconds=20)
    desk.consumer.answering = True
    assert [desk.batch(1) for _ in range(10)][-1] == NONE


def test_what_is_left_is_looked_up_once_a_second_and_the_broker_asked_every_ten(desk, monkeypatch):
    forward = desk.rig.clock.forward
    monkeypatch.setattr(desk.rig.clock, "forward", lambda seconds: forward(seconds / 10))
    desk.batch(0)
    for _ in range(300):
        assert desk.batch(1) <= timedelta(seconds=1)
    assert desk.consumer.looked <= 31
    assert desk.consumer.asked <= 4


def test_of_a_batch_in_pieces_the_partition_that_is_furthest_behind_counts_whichever_piece_comes_last(desk):
    now = desk.rig.clock()
    late, timely = (Record(*place, 0, b"", timestamp=stamp) for place, stamp in ((P0, now - HOUR), (P1, now)))
    for piece in (late, timely):
        desk.lateness.handled([piece])
    desk.lateness.handled_all([late, timely], desk.consumer)
    assert desk.lateness.lag() == HOUR
