import socket
import subprocess
import sys
import uuid
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import confluent_kafka
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.cluster import ClusterMetadata
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import (
    CorruptRecordError,
    InconsistentGroupProtocolError,
    InvalidRecordError,
    InvalidTimestampError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from kafka.record.util import calc_crc32c, crc32c_c
from kafka.structs import MemberState, OffsetAndMetadata
from ports import listens, port_of, reserve
from until import until

import guardian.bus.kafka as kafka_module
import guardian.bus.kafka_producer as producer_module
import guardian.bus.local_broker as local_broker_module
from guardian.bus import kafka_ends
from guardian.bus.admin import ensure_topics, read_by, topic_partitions
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.kafka_settings import KafkaSettings, bus_error
from guardian.bus.local_broker import LocalBroker
from guardian.domain.record import Place
from guardian.errors import BusError, ConfigurationError, RecordRefused


@pytest.fixture
def nobody():
    with reserve() as held:
        yield f"127.0.0.1:{port_of(held)}"


@pytest.mark.parametrize(
    "option", ["enable_auto_commit", "isolation_level", "group_id", "acks", "max_poll_records"]
)
def test_an_option_that_guardian_sets_itself_is_refused_by_name(option):
    with pytest.raises(ConfigurationError, match=option):
        KafkaSettings("b:9092", client_options={option: "x"})


def test_passwords_do_not_show_in_the_settings():
    told = {"security_protocol": "SASL_SSL", "sasl_plain_password": "hunter2"}
    settings = KafkaSettings("b:9092", client_options=told)
    assert "hunter2" not in repr(settings)
    assert settings.connection["sasl_plain_password"] == "hunter2"


def test_a_broker_that_is_not_there_is_a_bus_error_that_names_it(nobody):
    settings = KafkaSettings(nobody, bootstrap_timeout_ms=300)
    with pytest.raises(BusError, match=nobody):
        KafkaConsumer(settings, ["t"]).start(lambda places: {})


def test_an_option_that_no_client_knows_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"no_such_option.*sasl_mechanism"):
        KafkaSettings("127.0.0.1:1", client_options={"no_such_option": 1})


@pytest.mark.parametrize(
    "options", [{"request_timeout_ms": 60_000}, {"fetch_max_bytes": 1000}, {"linger_ms": 5}, {"max_block_ms": 500}]
)
def test_an_option_is_given_to_the_clients_that_take_it(options, nobody):
    settings = KafkaSettings(nobody, bootstrap_timeout_ms=300, client_options=options)
    with pytest.raises(BusError, match="Unable to bootstrap"):
        KafkaProducer(settings, timeout_s=1).send("t", b"x")
    with pytest.raises(BusError, match="Unable to bootstrap"):
        KafkaConsumer(settings, ["t"]).start(lambda places: {})


def test_options_that_contradict_each_other_are_a_matter_of_configuration(nobody):
    settings = KafkaSettings(nobody, client_options={"request_timeout_ms": 10})
    with pytest.raises(ConfigurationError, match="must be larger than fetch_max_wait_ms"):
        KafkaConsumer(settings, ["t"]).start(lambda places: {})


def test_what_the_client_refuses_is_not_blamed_on_the_broker():
    assert "bootstrap_servers" not in str(bus_error("cannot write to '/t'", ValueError("illegal topic name")))
    assert "bootstrap_servers" in str(bus_error("cannot write to 't'", OSError("no route")))


class Client:
    """The library's consumer, with one partition that it holds; `found` is fetched, or raised. `first` is the
    first offset that the broker has."""

    DEFAULT_CONFIG = kafka_module._Client.DEFAULT_CONFIG

    def __init__(self, found, first=0):
        self.found, self.first, self.at = found, first, 0

    def __call__(self, **_options):
        return self

    def subscribe(self, *, topics, listener):
        self.listener = listener
        listener.on_partitions_assigned([TopicPartition(topics[0], 0)])

    def group_metadata(self):
        return SimpleNamespace(member_id="m", state=MemberState.STABLE)

    def assignment(self):
        return {TopicPartition("t", 0)}

    def seek(self, _partition, offset):
        self.at = offset

    def seek_to_beginning(self, _partition):
        self.at = self.first

    def position(self, _partition, **_options):
        return self.at

    def beginning_offsets(self, partitions, **_options):
        if isinstance(self.first, Exception):
            raise self.first
        return dict.fromkeys(partitions, self.first)

    def end_offsets(self, partitions, **_options):
        return dict.fromkeys(partitions, 7)

    def highwater(self, _partition):
        return None  # as of a partition that no fetch told of

    def poll(self, **_options):
        if isinstance(self.found, Exception):
            raise self.found
        return {TopicPartition("t", 0): self.found} if self.found else {}

    def close(self, **_options):
        """There is nothing to close."""


@pytest.mark.parametrize(
    ("settings", "wait_ms"),
    [
        (KafkaSettings("b:9092"), 100),
        (KafkaSettings("b:9092", client_options={"fetch_max_wait_ms": 7}), 7),
        (LocalBroker().settings, 20),
    ],
)
def test_a_broker_keeps_a_fetch_that_finds_nothing_as_long_as_suits_it(monkeypatch, settings, wait_ms):
    """Each partition's leader is asked so often, all day."""

    class Asked(Client):
        def __call__(self, **options):
            self.wait_ms = options["fetch_max_wait_ms"]
            return self

    monkeypatch.setattr(kafka_module, "_Client", client := Asked([]))
    KafkaConsumer(settings, ["t"]).start(lambda places: {})
    assert client.wait_ms == wait_ms


@pytest.fixture
def reading(monkeypatch):
    def read(found, stored=0, first=0):
        monkeypatch.setattr(kafka_module, "_Client", Client(found, first))
        consumer = KafkaConsumer(KafkaSettings("b:9092"), ["t"])
        consumer.start(lambda places: {} if stored is None else dict.fromkeys(places, stored))
        return consumer.poll(timeout_s=0, max_records=9)

    return read


def _message(**more):
    told = {"topic": "t", "partition": 0, "offset": 0, "value": b"x", "timestamp": 1_700_000_000_000}
    return ConsumerRecord(**{**dict.fromkeys(ConsumerRecord._fields), **told, **more})


@pytest.mark.parametrize(
    "stamp",
    [1_700_000_000_000_000, 1_700_000_000_000_000_000, -1, None, 0, 1_700_000_000, 946_684_799_999],
)
def test_an_odd_timestamp_is_no_timestamp_and_the_record_is_read_like_any_other(stamp, reading):
    odd, good = reading([_message(timestamp=stamp), _message(offset=1)])
    assert (odd.value, odd.timestamp) == (b"x", None)
    assert good.timestamp == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_record_that_the_client_cannot_read_is_told_with_what_to_do(reading):
    under = "A record of the topic cannot be read at all"
    with pytest.raises(BusError, match=rf"t\[0\] at 41: torn; .*config/README\.md says under '{under}'") as told:
        reading(CorruptRecordError("t[0] at 41: torn"), stored=41)
    assert "TLS" not in str(told.value)
    assert f"### {under}\n" in (Path(__file__).parents[2] / "config/README.md").read_text("utf-8")


def test_a_group_of_two_assignors_is_told_by_the_setting_and_how_to_find_the_other_member(reading):
    told = r"group 'guardian' has a member .* kafka\.assignor: cooperative-sticky; .*--members --group guardian"
    with pytest.raises(BusError, match=told) as refused:
        reading(InconsistentGroupProtocolError())
    assert "TLS" not in str(refused.value)


def test_a_topic_that_goes_back_behind_what_was_read_is_opened_again(reading):
    assert len(reading([_message(offset=6), _message(offset=7)], stored=6)) == 2
    with pytest.raises(BusError, match=r"t\[0\] went back from 6 to 0"):
        reading([_message(offset=0)], stored=6)


def test_a_topic_that_forgot_what_was_not_read_yet_is_opened_again(reading):
    with pytest.raises(BusError, match=r"t\[0\] goes on at 100 instead of 6"):
        reading([_message(offset=100)], stored=6, first=100)
    with pytest.raises(BusError, match=r"poll failed.*no answer"):
        reading([_message(offset=100)], stored=6, first=KafkaTimeoutError("no answer"))


@pytest.mark.parametrize(
    ("stored", "mark", "end", "told"),
    [(6, 5, 5, True), (6, 5, 6, False), (6, 6, 5, False), (6, None, 5, False), (None, 0, 0, False)],
)
def test_a_topic_that_ends_before_what_was_read_is_opened_again(reading, monkeypatch, stored, mark, end, told):
    """A broker that takes any offset never says that it is out of range. The mark of a partition's new leader is
    behind for a moment, and Tansu's end may be."""
    monkeypatch.setattr(Client, "highwater", lambda *_: mark)
    monkeypatch.setattr(Client, "end_offsets", lambda _, partitions, **__: dict.fromkeys(partitions, end))
    with pytest.raises(BusError, match=r"t\[0\] ends at 5, before 6") if told else nullcontext():
        assert reading([], stored=stored) == []


@pytest.mark.parametrize("away", [KafkaTimeoutError("no answer"), KeyError(TopicPartition("t", 0))])
def test_where_a_topic_ends_is_not_known_while_its_broker_is_away(reading, monkeypatch, away):
    monkeypatch.setattr(Client, "highwater", lambda *_: 5)
    monkeypatch.setattr(Client, "end_offsets", Mock(side_effect=away))
    assert reading([], stored=6) == []


@pytest.mark.parametrize("stored", [{}, {Place("t", 0): 4}])
@pytest.mark.parametrize("verb", ["seek", "seek_to_beginning", "pause", "resume", "highwater"])
def test_a_partition_that_is_taken_away_in_this_moment_is_no_fault(monkeypatch, verb, stored):
    """The library joins its group on another thread, and raises what it likes of what is gone."""

    class Losing(Client):
        pause = resume = lambda *_: None

    monkeypatch.setattr(kafka_module, "_Client", client := Losing([]))
    consumer = KafkaConsumer(KafkaSettings("b:9092"), ["t"])
    for error in (ValueError("Unassigned partition"), KeyError(TopicPartition("t", 0))):

        def gone(*_, error=error):
            raise error

        with monkeypatch.context() as at_once:
            at_once.setattr(client, verb, gone)
            consumer.start(lambda places: stored)
            assert consumer.poll(timeout_s=0, max_records=9) == []
            consumer.pause()
            assert consumer.lag().keys() <= {Place("t", 0)}
            consumer.resume()
    client.listener.on_partitions_lost([TopicPartition("t", 0)])
    client.listener.on_partitions_assigned([TopicPartition("t", 0)])
    consumer.poll(timeout_s=0, max_records=9)
    assert consumer.assignment() == {Place("t", 0)}


@pytest.mark.parametrize(("stored", "left"), [(7, 0), (4, 3)])
def test_where_no_fetch_tells_how_much_is_left_the_broker_is_asked(monkeypatch, stored, left):
    monkeypatch.setattr(kafka_module, "_Client", client := Client([]))
    consumer = KafkaConsumer(KafkaSettings("b:9092"), ["t"])
    consumer.start(lambda places: dict.fromkeys(places, stored))
    consumer.poll(timeout_s=0, max_records=9)
    assert consumer.lag() == {}
    assert consumer.answers()
    assert consumer.lag() == {Place("t", 0): left}
    client.listener.on_partitions_lost([TopicPartition("t", 0)])
    client.listener.on_partitions_assigned([TopicPartition("t", 0)])
    consumer.poll(timeout_s=0, max_records=9)
    assert consumer.lag() == {}, "what was heard before it came back may be long ago"


def test_of_many_partitions_without_a_leader_each_is_asked_for_a_moment_only(monkeypatch):
    class Broken(Client):
        def beginning_offsets(self, partitions, *, timeout_ms):
            if any(each.partition < 7 for each in partitions):
                clock.at += timeout_ms / 1000
                raise KafkaTimeoutError("no leader")
            return dict.fromkeys(partitions, 3)

    clock = SimpleNamespace(at=0.0)
    monkeypatch.setattr(kafka_module, "_Client", Broken([]))
    monkeypatch.setattr(kafka_ends, "time", SimpleNamespace(monotonic=lambda: clock.at))
    consumer = KafkaConsumer(KafkaSettings("b:9092"), ["t"])
    consumer.start(lambda _: {})
    places = [Place("t", n) for n in range(24)]
    assert consumer.bounds(dict.fromkeys(places, 0)) == dict.fromkeys(places[7:], (3, 7))


def test_an_end_before_a_position_is_not_known_until_a_fetch_confirms_it(monkeypatch):
    asked, told = [], {}
    monkeypatch.setattr(kafka_module, "_Client", Client([]))
    monkeypatch.setattr(kafka_module, "fetched_ends", lambda _, listed, **_options: asked.append(listed) or told)
    consumer, place = KafkaConsumer(KafkaSettings("b:9092"), ["t"]), Place("t", 0)
    consumer.start(lambda _: {})
    assert consumer.bounds({place: 7}) == {place: (0, 7)}
    assert asked == [], "of most starts nothing more is asked"
    assert consumer.bounds({place: 9}) == {}
    told[place] = 8
    assert consumer.bounds({place: 9}) == {place: (0, 8)}
    assert asked == [{place: 7}] * 2


@pytest.mark.parametrize(("stored", "first"), [(6, 0), (6, 6), (None, 100)])
def test_offsets_without_a_record_are_passed_over(stored, first, reading):
    assert len(reading([_message(offset=100), _message(offset=103)], stored=stored, first=first)) == 2


@pytest.mark.parametrize(
    ("error", "of_one_record"),
    [
        (MessageSizeTooLargeError(), True),
        (InvalidTimestampError("Timestamp is out of range"), True),
        (InvalidRecordError(), True),
        (TopicAuthorizationFailedError(), False),
        (KafkaTimeoutError(), False),
    ],
)
def test_a_record_that_is_refused_is_told_from_a_topic_that_takes_none(error, of_one_record, monkeypatch):
    class Client:
        DEFAULT_CONFIG = producer_module._Producer.DEFAULT_CONFIG

        def __init__(self, **options):
            self.config = options

        def send(self, *_, **_more):
            raise error

        def close(self, **_options):
            """There is nothing to close."""

    monkeypatch.setattr(producer_module, "_Producer", Client)
    with pytest.raises(BusError, match="'t'") as refused:
        KafkaProducer(KafkaSettings("b:9092")).send("t", b"x")
    assert isinstance(refused.value, RecordRefused) is of_one_record


def _send(producer, value):
    """However slow the broker is at first."""
    for _ in range(5):
        try:
            return producer.send("t", value)
        except BusError:
            continue
    pytest.fail("the producer is broken")


@pytest.mark.slow
def test_a_producer_recovers_when_its_broker_lost_everything():
    broker = LocalBroker()
    broker.start()
    producer = KafkaProducer(broker.settings, timeout_s=3)
    try:
        _send(producer, b"1")
        broker.kill()
        with pytest.raises(BusError, match="'t'"):
            producer.send("t", b"2")
        broker.start()
        _send(producer, b"3")
    finally:
        producer.close()
        broker.stop()


@pytest.mark.slow
def test_a_broker_that_went_away_is_nothing_to_read_and_no_answer():
    with LocalBroker() as broker:
        producer = KafkaProducer(broker.settings)
        _send(producer, b"1")
        producer.close()
        consumer = KafkaConsumer(broker.settings, ["t"])
        consumer.start(lambda places: {})
        while not consumer.poll(timeout_s=0.1, max_records=1):
            pass
        assert consumer.answers()
        broker.kill()
        try:
            assert consumer.poll(timeout_s=0.1, max_records=1) == []
            assert consumer.assignment()
            assert not consumer.answers()
        finally:
            consumer.close()


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_topic_is_read_however_its_gateway_compresses(local_broker, compression):
    topic, values = f"t{uuid.uuid4().hex}", [b"%d" % n * 500 for n in range(20)]
    ensure_topics(local_broker.settings, {topic: 1})
    gateway = confluent_kafka.Producer(
        {"bootstrap.servers": local_broker.address, "compression.type": compression, "linger.ms": 50}
    )
    for value in values:
        gateway.produce(topic, value)
    gateway.flush()
    consumer, read = KafkaConsumer(local_broker.settings, [topic], group=topic), []
    try:
        consumer.start(lambda places: {})
        while len(read) < len(values):
            read += [record.value for record in consumer.poll(timeout_s=0.1, max_records=99)]
    finally:
        consumer.close()
    assert read == values


def test_checksums_are_computed_in_c():
    """In Python they take longer than judging does, of calls with 10 kB of arguments."""
    assert calc_crc32c.__defaults__ == (crc32c_c,)
    assert crc32c_c is not None


@pytest.mark.slow
def test_a_partition_that_has_no_leader_keeps_nobody_from_reading_the_others(local_broker, monkeypatch):
    topic = f"t{uuid.uuid4().hex}"
    ensure_topics(local_broker.settings, {topic: 2})
    producer = KafkaProducer(local_broker.settings)
    producer.send(topic, b"x", partition=1)
    producer.close()
    leader = ClusterMetadata.leader_for_partition
    dead = TopicPartition(topic, 0)  # as a broker says it whose only replica is down
    monkeypatch.setattr(
        ClusterMetadata, "leader_for_partition", lambda self, asked: -1 if asked == dead else leader(self, asked)
    )
    consumer, bounds = KafkaConsumer(local_broker.settings, [topic], group=topic), {}
    try:
        begin = lambda places: dict.fromkeys(places, 0)  # noqa: E731
        consumer.start(lambda places: bounds.update(consumer.bounds(begin(places))) or begin(places))
        while not (records := consumer.poll(timeout_s=0.1, max_records=9)):
            pass
        assert [record.value for record in records] == [b"x"]
        assert bounds == {Place(topic, 1): (0, 1)}
        assert consumer.bounds({Place(*dead): 0}) == {}
        assert not consumer.answers()
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("state", "found", "answered"),
    [
        (MemberState.STABLE, {}, True),
        (MemberState.REBALANCING, {}, False),
        (MemberState.STABLE, KafkaTimeoutError("no such topic"), False),
    ],
)
def test_a_member_without_a_partition_is_answered_once_it_is_admitted_and_the_topic_is_there(
    monkeypatch, state, found, answered
):
    class Spare(Client):
        def subscribe(self, **_options):
            """Others have it."""

        def assignment(self):
            return set()

        def group_metadata(self):
            return SimpleNamespace(member_id="m", state=state)

        def end_offsets(self, partitions, **_options):
            if isinstance(found, Exception):
                raise found
            return dict.fromkeys(partitions, 9)

    monkeypatch.setattr(kafka_module, "_Client", Spare([]))
    consumer = KafkaConsumer(KafkaSettings("b:9092"), ["t"])
    consumer.start(lambda places: {})
    assert consumer.answers() is answered


@pytest.mark.slow
def test_a_topic_that_does_not_exist_has_no_partitions(local_broker):
    assert topic_partitions(local_broker.settings, "nope") is None


@pytest.mark.slow
def test_how_far_a_group_has_read_is_known_but_for_what_it_read_of_a_topic_that_was_there_before(local_broker):
    settings, topic, other = local_broker.settings, f"t{uuid.uuid4().hex}", f"t{uuid.uuid4().hex}"
    ensure_topics(settings, {topic: 3, other: 3})
    gateway = confluent_kafka.Producer({"bootstrap.servers": local_broker.address})
    for name, partition in ((topic, 0), (topic, 1), (other, 2)):
        gateway.produce(name, b"x", partition=partition)
    gateway.flush()
    assert read_by(settings, topic, group=topic) == {}
    read = {TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 2, TopicPartition(other, 2): 1}
    admin = KafkaAdminClient(bootstrap_servers=local_broker.address)
    admin.alter_group_offsets(topic, {place: OffsetAndMetadata(at, "", -1) for place, at in read.items()})
    admin.close()
    assert read_by(settings, topic, group=topic) == {0: 1}


@pytest.mark.slow
def test_a_topic_that_the_broker_does_not_show_is_not_taken_for_one_that_does_not_exist(local_broker, monkeypatch):
    answer = [{"error_code": 29, "name": "log", "partitions": []}]
    monkeypatch.setattr(KafkaAdminClient, "describe_topics", lambda *_: answer)
    with pytest.raises(BusError, match=r"not describe 'log' \(TopicAuthorizationFailedError\); let this user"):
        topic_partitions(local_broker.settings, "log")


@pytest.mark.slow
def test_the_local_broker_listens_on_this_machine_only_and_is_gone_after_stop():
    with LocalBroker() as broker:
        host, port = broker.address.split(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), timeout=1).close()
        process = broker._process
    assert process is not None
    assert process.poll() is not None  # the port may be somebody else's already, the process cannot


@pytest.mark.slow
def test_the_local_broker_does_not_outlive_a_process_that_is_killed(tmp_path):
    script = (
        "import sys, time\nfrom guardian.bus.local_broker import LocalBroker\n"
        "broker = LocalBroker(); broker.start(); print(broker.address, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    host, port = owner.stdout.readline().strip().split(":")
    socket.create_connection((host, int(port)), timeout=1).close()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not listens(int(port)))


def test_a_port_that_is_taken_is_named():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BusError, match=str(port)):
            LocalBroker(port=port).start()


@pytest.mark.slow
def test_a_port_that_somebody_takes_before_the_broker_does_is_given_up_for_another(monkeypatch):
    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", 0))
        taken = theirs.getsockname()[1]
        found, free = [taken, taken], local_broker_module._bindable
        monkeypatch.setattr(local_broker_module, "_bindable", lambda port: found.pop() if found else free(port))
        with LocalBroker() as broker:
            assert broker.address != f"127.0.0.1:{taken}"
            assert topic_partitions(broker.settings, "nope") is None
        found.append(taken)
        with pytest.raises(BusError, match=f"ended at once.*{taken}"):
            LocalBroker(port=taken).start()
