import pytest

from guardian.bus.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from guardian.domain.record import Place
from guardian.errors import BusError


def test_an_evicted_member_comes_back_under_another_name():
    broker = MemoryBroker()
    broker.create_topic("t", 2)
    consumer = MemoryConsumer(broker, ["t"])
    consumer.start(lambda places: {})
    consumer.poll(timeout_s=0, max_records=1)
    before = consumer.member()
    broker.evict(before)
    consumer.poll(timeout_s=0, max_records=1)
    assert consumer.member() != before
    assert consumer.assignment() == {Place("t", 0), Place("t", 1)}


def test_a_stopped_broker_refuses_and_a_restarted_one_has_its_records():
    broker = MemoryBroker()
    producer = MemoryProducer(broker)
    producer.send("t", b"1")
    broker.stop()
    with pytest.raises(BusError, match="stopped"):
        producer.send("t", b"2")
    broker.restart()
    producer.send("t", b"3")
    assert [r.value for r in broker.records("t")] == [b"1", b"3"]


def test_a_silent_broker_gives_nothing_and_no_error_until_it_is_back():
    broker = MemoryBroker()
    broker.append("t", b"1")
    consumer = MemoryConsumer(broker, ["t"])
    consumer.start(lambda places: {})
    broker.fall_silent()
    assert (consumer.poll(timeout_s=0, max_records=1), consumer.answers()) == ([], False)
    broker.restart()
    assert [record.value for record in consumer.poll(timeout_s=0, max_records=1)] == [b"1"]
    assert consumer.answers()
