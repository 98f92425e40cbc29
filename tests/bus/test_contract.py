"""What guardian relies on, of every bus."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from kafka.cluster import ClusterMetadata
from until import until

from guardian.domain.record import Place
from guardian.errors import BusError


def _until(condition, *readers):
    # Side by side, as processes would: a member that is not polling is a member that is not joining.
    with ThreadPoolExecutor(len(readers)) as pool:
        until(lambda: list(pool.map(lambda reader: reader.poll(), readers)) and condition())


def _fill(bus, topic, count, keys=12):
    producer = bus.producer()
    for n in range(count):
        producer.send(topic, f"v{n}".encode(), key=f"k{n % keys}".encode(), headers=[("h", b"\xff\x00")])


def test_records_arrive_byte_identical_and_in_order_per_partition(bus):
    topic = bus.topic(3)
    _fill(bus, topic, 30)
    reader = bus.reader(topic, "g-order").start()
    _until(lambda: len(reader.got) == 30, reader)
    assert {r.value for r in reader.got} == {f"v{n}".encode() for n in range(30)}
    assert all(r.headers == (("h", b"\xff\x00"),) for r in reader.got)
    for partition in range(3):
        mine = [r for r in reader.got if r.partition == partition]
        assert [r.offset for r in mine] == list(range(len(mine)))
        assert [int(r.value[1:]) for r in mine] == sorted(int(r.value[1:]) for r in mine)


def test_a_tombstone_is_told_from_an_empty_value(bus):
    topic, producer = bus.topic(1), bus.producer()
    for value in (b"", None, b"v"):
        producer.send(topic, value, key=b"k")
    reader = bus.reader(topic, "g-tombstone").start()
    _until(lambda: len(reader.got) == 3, reader)
    assert [(r.value, r.tombstone) for r in reader.got] == [(b"", False), (b"", True), (b"v", False)]


def test_a_key_always_lands_on_the_same_partition(bus):
    topic = bus.topic(3)
    _fill(bus, topic, 24, keys=4)
    reader = bus.reader(topic, "g-key").start()
    _until(lambda: len(reader.got) == 24, reader)
    assert len({(r.key, r.partition) for r in reader.got}) == 4


def test_reading_starts_at_the_stored_offset_and_at_the_beginning_where_nothing_is_stored(bus):
    topic = bus.topic(2)
    _fill(bus, topic, 40)
    stored = {Place(topic, 0): 4}
    reader = bus.reader(topic, "g-seek", stored).start()
    _until(lambda: set(reader.asked) == {Place(topic, 0), Place(topic, 1)} and len(reader.got) >= 36, reader)
    _until(lambda: not reader.poll(), reader)
    first = {p: min(r.offset for r in reader.got if r.partition == p) for p in (0, 1)}
    assert first == {0: 4, 1: 0}
    assert len({(r.partition, r.offset) for r in reader.got}) == len(reader.got) == 36


def test_where_every_partition_ends_is_told_at_the_start_and_what_is_older_is_not_read_from_there(bus):
    topic = bus.topic(3)
    _fill(bus, topic, 12, keys=1)
    reader = bus.reader(topic, "g-newest").start()
    ends = reader.stored = reader.consumer.ends()
    _until(lambda: len(reader.consumer.assignment()) == 3, reader)
    assert (sorted(ends), sum(ends.values())) == ([Place(topic, n) for n in range(3)], 12)
    bus.producer().send(topic, b"newer", key=b"k0")
    _until(lambda: reader.got, reader)
    assert [record.value for record in reader.got] == [b"newer"]


def test_a_topic_that_does_not_exist_ends_at_its_beginning(bus, monkeypatch):
    # kafka-python 3.0 does not hand its option on: a tenth of a second after a consumer subscribed, it asks for
    # the topics in a way that has a broker that makes topics make this one. Here it is about our own question.
    monkeypatch.setitem(ClusterMetadata.DEFAULT_CONFIG, "allow_auto_create_topics", False)
    reader = bus.reader("not-there", "g-newest").start()
    for _ in range(2):  # and is not made by the question
        assert reader.consumer.ends() == {Place("not-there", 0): 0}


def test_the_stored_offset_wins_over_the_one_committed_to_the_broker(bus):
    topic = bus.topic(1)
    _fill(bus, topic, 10)
    first = bus.reader(topic, "g-truth").start()
    _until(lambda: len(first.got) == 10, first)
    first.consumer.commit({Place(topic, 0): 10})
    first.consumer.close()
    second = bus.reader(topic, "g-truth", {Place(topic, 0): 7}).start()
    _until(lambda: len(second.got) == 3, second)
    assert [r.offset for r in second.got] == [7, 8, 9]


def test_a_store_that_is_away_at_assignment_is_asked_again_and_nothing_is_lost(bus):
    topic = bus.topic(2)
    _fill(bus, topic, 20)
    reader = bus.reader(topic, "g-away")
    reader.failing = 2
    reader.start()
    failures = 0

    def all_got() -> bool:
        nonlocal failures
        try:
            reader.poll()
        except RuntimeError:
            failures += 1
        return len(reader.got) == 20

    until(all_got)
    assert failures == 2
    assert len({(r.partition, r.offset) for r in reader.got}) == 20


def test_a_paused_consumer_is_given_nothing_until_it_resumes(bus):
    topic = bus.topic(1)
    reader = bus.reader(topic, "g-pause").start()
    _until(lambda: reader.consumer.assignment() == {Place(topic, 0)}, reader)
    reader.consumer.pause()
    _fill(bus, topic, 5)
    assert [reader.poll() for _ in range(5)] == [[]] * 5
    reader.consumer.resume()
    _until(lambda: len(reader.got) == 5, reader)


def test_two_members_share_the_partitions_and_one_that_leaves_hands_its_over(bus):
    topic = bus.topic(4)
    stored: dict[Place, int] = {}
    one = bus.reader(topic, "g-two", stored).start()
    _until(lambda: len(one.consumer.assignment()) == 4, one)
    two = bus.reader(topic, "g-two", stored).start()
    _until(lambda: len(one.consumer.assignment()) == len(two.consumer.assignment()) == 2, one, two)
    assert one.consumer.member() != two.consumer.member()
    assert one.consumer.assignment().isdisjoint(two.consumer.assignment())
    _fill(bus, topic, 40)
    _until(lambda: len(one.got) + len(two.got) == 40, one, two)
    two.consumer.close()
    _fill(bus, topic, 20)
    _until(lambda: len(one.got) + len(two.got) == 60, one)
    seen = [(r.partition, r.offset) for r in (*one.got, *two.got)]
    assert len(set(seen)) == len(seen) == 60


def test_a_consumer_that_is_started_again_leaves_no_member_behind_that_keeps_its_partitions(bus):
    topic = bus.topic(1)
    _fill(bus, topic, 3)
    reader = bus.reader(topic, "g-again").start()
    _until(lambda: len(reader.got) == 3, reader)
    reader.start()
    _fill(bus, topic, 2)
    _until(lambda: len(reader.got) == 5, reader)


def test_lag_is_what_was_not_read_yet(bus):
    topic = bus.topic(1)
    _fill(bus, topic, 10)
    reader = bus.reader(topic, "g-lag").start()
    _until(lambda: len(reader.got) == 10, reader)
    assert reader.consumer.lag() == {Place(topic, 0): 0}
    assert not reader.consumer.exhausted()


def test_the_bounds_of_a_place_are_its_first_offset_and_the_one_after_its_last(bus):
    topic = bus.topic(2)
    for n in range(3):
        bus.producer().send(topic, b"%d" % n, partition=1)
    reader = bus.reader(topic, "g-bounds").start()
    _until(lambda: len(reader.got) == 3, reader)
    places = [Place(topic, 0), Place(topic, 1)]
    assert reader.consumer.bounds(dict.fromkeys(places, 0)) == {places[0]: (0, 0), places[1]: (0, 3)}


def test_the_end_of_a_place_is_never_told_as_less_than_what_was_read(bus):
    topic = bus.topic(1)
    bus.batch(topic, [b"%d" % n for n in range(5)])
    reader = bus.reader(topic, "g-ends").start()
    _until(lambda: len(reader.got) == 5, reader)
    assert reader.consumer.bounds(reader.stored) == {Place(topic, 0): (0, 5)}


def test_the_end_of_a_place_that_does_not_reach_as_far_as_a_position_is_told(bus):
    empty, short = bus.topic(1), bus.topic(1)
    bus.batch(short, [b"%d" % n for n in range(5)])
    for topic, end in ((empty, 0), (short, 5)):
        place = Place(topic, 0)
        reader = bus.reader(topic, f"g-{topic}").start()
        _until(lambda reader=reader: bool(reader.consumer.assignment()), reader)
        assert reader.consumer.bounds({place: 50}) == {place: (0, end)}


@pytest.mark.parametrize("count", [0, 3])
def test_a_topic_that_is_created_anew_while_it_is_read_is_told_where_it_ends_before_what_was_read(bus, count):
    topic = bus.topic(1)
    bus.batch(topic, [b"%d" % n for n in range(5)])
    reader = bus.reader(topic, f"g-anew-{count}").start()
    _until(lambda: len(reader.got) == 5, reader)
    bus.create_anew(topic)
    _fill(bus, topic, count)
    with pytest.raises(BusError, match="anew"):
        _until(lambda: False, reader)
    assert reader.consumer.bounds({Place(topic, 0): 5}) == {Place(topic, 0): (0, count)}


def test_a_broker_that_is_there_answers(bus):
    topic = bus.topic(2)
    _fill(bus, topic, 3)
    reader = bus.reader(topic, "g-answers").start()
    _until(lambda: len(reader.got) == 3, reader)
    assert reader.consumer.answers()


def test_a_member_that_nothing_is_left_for_is_answered_too(bus):
    topic, stored = bus.topic(1), dict[Place, int]()
    _fill(bus, topic, 3)
    one = bus.reader(topic, "g-spare", stored).start()
    _until(lambda: len(one.got) == 3, one)
    two = bus.reader(topic, "g-spare", stored).start()

    def settled() -> bool:  # in between it is nobody's, and in the end whose the group says
        held = sorted([*one.consumer.assignment(), *two.consumer.assignment()])
        return held == [Place(topic, 0)] and one.consumer.answers() and two.consumer.answers()

    _until(settled, one, two)


@pytest.mark.parametrize("size", [1, 500_000])
def test_a_value_of_any_size_survives(bus, size):
    topic = bus.topic(1)
    bus.producer().send(topic, b"\x00" * size)
    reader = bus.reader(topic, "g-size").start()
    _until(lambda: len(reader.got) == 1, reader)
    assert reader.got[0].value == b"\x00" * size
    assert reader.got[0].key is None


def test_a_record_bears_the_time_it_is_given_else_the_present(bus):
    topic, then = bus.topic(1), datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    bus.producer().send(topic, b"then", timestamp=then)
    bus.producer().send(topic, b"now")
    reader = bus.reader(topic, "g-time").start()
    _until(lambda: len(reader.got) == 2, reader)
    assert [record.timestamp == then for record in reader.got] == [True, False]
