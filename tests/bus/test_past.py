from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from guardian.bus.memory import MemoryBroker, MemoryConsumer
from guardian.bus.past import PastOnly
from guardian.errors import BusError

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)


class Ticks:
    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


@pytest.fixture
def topic():
    times = iter(NOW + timedelta(seconds=n) for n in (-2, -1, 0, 1, 2))
    broker = MemoryBroker(clock=lambda: next(times))
    for n in range(5):
        broker.append("log", b"%d" % n)
    return broker


def test_only_what_was_there_before_is_read_and_then_it_ends(topic):
    ticks = Ticks()
    past = PastOnly(MemoryConsumer(topic, ["log"]), until=NOW, timer=ticks, quiet_s=5, patience_s=60)
    past.start(lambda _: {})
    assert not past.exhausted()
    found = []
    for _ in range(6):
        found += past.poll(timeout_s=0, max_records=2)
    assert [record.value for record in found] == [b"0", b"1", b"2"]
    ticks.at = 4.9
    assert not past.exhausted()
    ticks.at = 5.1
    assert past.exhausted()
    past.commit(dict.fromkeys(past.assignment(), 5))
    assert topic.committed("guardian") == {}
    past.close()


def test_a_group_that_takes_time_to_form_is_waited_for(topic):
    ticks = Ticks()
    past = PastOnly(MemoryConsumer(topic, ["log"]), until=NOW, timer=ticks, quiet_s=5, patience_s=60)
    ticks.at = 59
    assert not past.exhausted()
    ticks.at = 60
    assert past.exhausted()


def test_where_every_partition_says_that_it_holds_nothing_only_the_quiet_is_waited_for():
    class Forming(MemoryConsumer):
        def poll(self, *, timeout_s, max_records):
            return super().poll(timeout_s=timeout_s, max_records=max_records) if ticks.at >= 20 else []

    (broker := MemoryBroker()).create_topic("log", 2)
    past = PastOnly(Forming(broker, ["log"]), until=NOW, timer=(ticks := Ticks()), quiet_s=5, patience_s=60)
    past.start(lambda _: {})
    while not past.exhausted():
        assert past.poll(timeout_s=0, max_records=9) == []
        ticks.at += 0.5
    assert 25 <= ticks.at < 27


def test_time_spent_on_what_was_read_is_no_quiet(topic):
    ticks = Ticks()
    past = PastOnly(MemoryConsumer(topic, ["log"]), until=NOW, timer=ticks, quiet_s=5, patience_s=60)
    past.start(lambda _: {})
    found = []
    while not past.exhausted():
        got = past.poll(timeout_s=0, max_records=1)
        found += got
        ticks.at += 100 if got else 0.25
    assert [record.value for record in found] == [b"0", b"1", b"2"]


def test_after_another_start_the_group_may_take_its_time_again(topic):
    class Forming(MemoryConsumer):
        """After the second start the group never settles."""

        def assignment(self):
            return frozenset() if ticks.at else super().assignment()

    ticks = Ticks()
    past = PastOnly(Forming(topic, ["log"]), until=NOW, timer=ticks, quiet_s=5, patience_s=60)
    past.start(lambda _: {})
    assert past.poll(timeout_s=0, max_records=5)
    for tried in (100, 130):  # the second one, before anything came, gives no more time
        ticks.at = tried
        past.start(lambda places: dict.fromkeys(places, 5))
        assert past.poll(timeout_s=0, max_records=5) == []
    ticks.at = 159
    assert not past.exhausted()
    ticks.at = 160
    assert past.exhausted()


def test_a_fetch_that_takes_long_is_not_the_end(topic):
    class Slow(MemoryConsumer):
        def poll(self, *, timeout_s, max_records):
            ticks.at += 1
            return [] if ticks.at % 10 else super().poll(timeout_s=timeout_s, max_records=1)

    ticks, found = Ticks(), []
    past = PastOnly(Slow(topic, ["log"]), until=NOW, timer=ticks, quiet_s=5, patience_s=60)
    past.start(lambda _: {})
    while not past.exhausted():
        found += past.poll(timeout_s=0, max_records=9)
    assert [record.value for record in found] == [b"0", b"1", b"2"]
    assert ticks.at < 60


def test_what_could_not_be_started_is_not_exhausted_and_asks_nothing_of_its_source(topic):
    class Closed(MemoryConsumer):
        def lag(self):
            raise BusError("it was not started")

    past = PastOnly(Closed(topic, ["log"]), until=NOW, timer=(ticks := Ticks()), quiet_s=5, patience_s=60)
    assert not past.exhausted()
    ticks.at = 60
    assert past.exhausted()


@pytest.mark.parametrize(("heard_after", "found"), [(15, 6), (1_000, 3)])
def test_a_partition_that_says_nothing_yet_is_waited_for_and_named_at_last(heard_after, found):
    class Silent(MemoryConsumer):
        def poll(self, *, timeout_s, max_records):
            ticks.at += 0.5
            got = super().poll(timeout_s=timeout_s, max_records=max_records)
            late.extend(record for record in got if record.partition == 1)
            heard = [late.pop(0) for _ in range(len(late) if ticks.at > heard_after else 0)]
            return [record for record in got if record.partition == 0] + heard

        def lag(self):
            return {place: left for place, left in super().lag().items() if place.partition == 0 or not late}

    ticks, late = Ticks(), []
    broker = MemoryBroker()
    broker.create_topic("log", 2)
    for n in range(6):
        broker.append("log", b"%d" % n, partition=n % 2, timestamp=NOW - timedelta(hours=1))
    past, read = PastOnly(Silent(broker, ["log"]), until=NOW, timer=ticks, quiet_s=5, patience_s=60), []
    past.start(lambda _: {})
    with capture_logs() as lines:
        while not past.exhausted():
            read += past.poll(timeout_s=0, max_records=9)
        assert past.exhausted(), "it is asked as long as something waits for envelopes"
    assert len(read) == found
    assert [line["partitions"] for line in lines] == ([] if found == 6 else [["log[1]"]])


def test_what_is_heard_at_last_is_not_named_again():
    class Late(MemoryConsumer):
        def lag(self):
            return {} if mute else super().lag()

    broker, mute = MemoryBroker(), [True]
    broker.append("log", b"0", timestamp=NOW - timedelta(hours=1))
    past = PastOnly(Late(broker, ["log"]), until=NOW, timer=(ticks := Ticks()), quiet_s=5, patience_s=60)
    past.start(lambda _: {})
    for _ in range(2):
        past.poll(timeout_s=0, max_records=9)
    ticks.at = 70
    with capture_logs() as lines:
        assert past.exhausted()
        mute.clear()
        assert past.exhausted()
    assert [line["partitions"] for line in lines] == [["log[0]"]]


def test_between_two_assignments_it_is_not_at_its_end(topic):
    class Between(MemoryConsumer):
        def assignment(self):
            return frozenset() if gone else super().assignment()

    gone = []
    past = PastOnly(Between(topic, ["log"]), until=NOW, timer=(ticks := Ticks()), quiet_s=5, patience_s=60)
    past.start(lambda _: {})
    assert past.poll(timeout_s=0, max_records=1)
    gone.append(True)
    past.poll(timeout_s=0, max_records=0)
    ticks.at = 30
    assert not past.exhausted()
    gone.clear()
    assert not past.exhausted(), "there is more"
    gone.append(True)
    ticks.at = 66
    assert past.exhausted(), "for so long nobody waits"
