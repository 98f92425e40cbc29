"""Where a very first start begins: told, and stored at once where it is not at the first record."""

from functools import partial

import pytest
from structlog.testing import capture_logs

from guardian.bus.memory import MemoryConsumer
from guardian.domain.record import Place
from guardian.errors import BusError
from guardian.stream.first_start import begin_at_newest

FIRST, OLDER, ADDED = (Place("log", n) for n in range(3))


@pytest.fixture
def start(rig, counting):
    """A monitor that begins where the topic ends, until it has read all; what it judged."""

    def go(consumer=None, until=rig.drained):
        consumer = consumer or MemoryConsumer(rig.broker, ["log"])
        begin = partial(begin_at_newest, "log", consumer.ends, rig.store, rig.clock)
        rig.read(rig.worker(pipeline := counting(), consumer=consumer, begin=begin), until)
        return pipeline.judged

    return go


def stored(rig):
    return rig.store.positions([Place("log", n) for n in range(3)])


@pytest.fixture
def begun(rig, start, make_event):
    """Three older records of each partition, and a monitor that was stopped before it read anything."""
    rig.broker.create_topic("log", 2)
    for n in range(6):
        rig.broker.append("log", make_event(n), partition=n % 2)

    class Silent(MemoryConsumer):
        def poll(self, **more):
            super().poll(**more | {"max_records": 0})
            return []

    with capture_logs() as logs:
        assert start(Silent(rig.broker, ["log"]), lambda: len(stored(rig)) == 2) == []
    assert [each["begins"] for each in logs if each["event"] == "first_start"] == [{"log[0]": 3, "log[1]": 3}]


def test_where_it_begins_is_stored_before_anything_is_read_so_that_a_restart_skips_nothing(
    rig, start, begun, make_event
):
    assert stored(rig) == {Place("log", 0): 3, OLDER: 3}
    rig.broker.append("log", make_event(10), partition=1)
    with capture_logs() as logs:
        assert start() == ["d10"]
    assert "first_start" not in {each["event"] for each in logs}


def test_partitions_that_are_added_later_begin_at_their_first_record(rig, start, begun, make_event):
    rig.broker._topics["log"].append([])
    rig.broker.append("log", make_event(10), partition=2)
    assert start() == ["d10"]
    assert stored(rig)[ADDED] == 1


@pytest.mark.parametrize("restarts", [False, True])
def test_a_topic_that_is_made_later_begins_at_its_first_record_also_when_it_is_made_anew(
    rig, start, make_event, restarts
):
    def made():
        rig.broker.create_topic("log", 2)
        for n in range(4):
            rig.broker.append("log", make_event(n), partition=n % 2)

    class Waiting(MemoryConsumer):
        def answers(self):
            if not restarts and not rig.broker.records("log"):
                made()
            return super().answers()

    reached = {FIRST: 0} if restarts else {FIRST: 2, OLDER: 2}
    judged = start(Waiting(rig.broker, ["log"]), lambda: stored(rig) == reached)
    if restarts:
        made()
        judged = start()
    assert sorted(judged) == ["d0", "d1", "d2", "d3"]
    rig.broker.create_anew("log")
    rig.broker.append("log", make_event(4), partition=1)
    assert start() == ["d4"]


def test_once_it_began_nobody_is_asked_where_partitions_end(rig, start, begun, make_event):
    class Leaderless(MemoryConsumer):
        def ends(self):
            raise BusError("no leader")

    rig.broker.append("log", make_event(10), partition=1)
    assert start(Leaderless(rig.broker, ["log"])) == ["d10"]


def test_what_was_begun_otherwise_is_read_on(rig, start, counting, make_event):
    rig.broker.create_topic("log", 2)
    rig.broker.append("log", make_event(0), partition=0)
    with capture_logs() as logs:
        rig.read(rig.worker(counting()), rig.drained)
    (told,) = (each["begins"] for each in logs if each["event"] == "first_start")
    assert told == {"log[0]": "first record", "log[1]": "first record"}
    rig.broker.append("log", make_event(1), partition=1)
    assert start() == ["d1"]


def test_another_member_begins_where_the_first_one_did(rig, start, begun, make_event):
    rig.broker.append("log", make_event(10), partition=1)
    assert rig.store.begin({Place("log", 0): 3, OLDER: 4}, now=rig.clock()) == {Place("log", 0): 3, OLDER: 3}


def test_a_broker_that_does_not_say_where_partitions_end_is_asked_again(rig, counting, make_event):
    rig.broker.append("log", make_event(0))
    consumer, asked = MemoryConsumer(rig.broker, ["log"]), []

    def ends():
        asked.append(1)
        if len(asked) < 3:
            raise BusError("no leader")
        return consumer.ends()

    begin = partial(begin_at_newest, "log", ends, rig.store, rig.clock)
    rig.read(rig.worker(pipeline := counting(), consumer=consumer, begin=begin), rig.drained)
    assert (pipeline.judged, rig.store.positions([Place("log", 0)])) == ([], {Place("log", 0): 1})
