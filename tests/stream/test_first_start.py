"""Where a very first start begins: told, and stored at once where it is not at the first record."""

import pytest
from structlog.testing import capture_logs

from guardian.bus.memory import MemoryConsumer
from guardian.domain.record import Place
from guardian.errors import BusError

OLDER, ADDED = Place("log", 1), Place("log", 2)


@pytest.fixture
def start(rig, counting):
    """A monitor that begins where the topic ends, until it has read all; what it judged."""

    def go(consumer=None, until=rig.drained):
        consumer = consumer or MemoryConsumer(rig.broker, ["log"])
        rig.read(rig.worker(pipeline := counting(), consumer=consumer, begins=consumer.ends), until)
        return pipeline.judged

    rig.broker.create_topic("log", 2)
    return go


def stored(rig):
    return rig.store.positions([Place("log", n) for n in range(3)])


@pytest.fixture
def begun(rig, start, make_event):
    """Three older records of each partition, and a monitor that was stopped before it read anything."""
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


def test_what_was_begun_otherwise_is_read_on(rig, start, counting, make_event):
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

    rig.read(rig.worker(pipeline := counting(), consumer=consumer, begins=ends), rig.drained)
    assert (pipeline.judged, rig.store.positions([Place("log", 0)])) == ([], {Place("log", 0): 1})
