import gzip

import lz4.frame
import pytest
import snappy
import zstandard
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.consumer.subscription_state import SubscriptionState
from kafka.errors import CorruptRecordError
from kafka.record import default_records
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from guardian.bus.kafka_reading import bound_reading
from guardian.bus.port import BATCH_BYTES
from guardian.domain.record import MAX_RECORD

NONE, GZIP, SNAPPY, LZ4, ZSTD = CODECS = range(5)
PLACE = TopicPartition("t", 3)


class Manager:
    """Of the library's network thread: there is none."""

    broker_version = (2, 0)
    _net = None


class Net:
    _manager = Manager()


def batch(codec, *values, key=b"k", headers=(("gateway", b"gw"),), at_ms=1):
    made = MemoryRecordsBuilder(2, codec, 1 << 40)
    for value in values:
        made.append(at_ms, key, value, list(headers))
    return packed(made)


def packed(made):
    made.close()
    return made.buffer()


def polls(fetched, at=0):
    """What each poll of up to 500 records hands on, until nothing is left."""
    bound_reading()
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user([PLACE])
    subscriptions.seek(PLACE, at)
    fetcher = Fetcher(Net(), subscriptions)
    fetcher._next_partition_records = Fetcher.PartitionRecords(at, PLACE, MemoryRecords(bytes(fetched)))
    while fetcher._next_partition_records:
        found, _ = fetcher.fetched_records(500)
        if found:
            yield found[PLACE]


@pytest.mark.parametrize("compression", CODECS)
def test_a_header_whose_name_is_no_utf_8_hides_neither_its_record_nor_those_behind_it(compression):
    class Bare(str):
        def encode(self, *_):
            return b"caf\xe9\xff"

    batch = MemoryRecordsBuilder(2, compression, 1 << 20)
    value = b"\x80caf\xe9\xff"
    for headers in ([], [(Bare("x"), b"\xff"), ("gateway", b"gw")], [("h", None)], [(Bare("x"), b"")]):
        batch.append(1, b"\xffk", value, headers)
    [read] = polls(packed(batch))
    assert [(each.offset, each.key, each.value) for each in read] == [(n, b"\xffk", value) for n in range(4)]
    spelt = "caf\\xe9\\xff"
    assert [each.headers for each in read] == [
        [], [(spelt, b"\xff"), ("gateway", b"gw")], [("h", None)], [(spelt, b"")]
    ]  # fmt: skip


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_is_read_whole_however_long_it_is_unpacked(codec):
    """Each record as a gateway may send it; agents may choose arguments that pack as well as they like."""
    values = [b"%d" % n * 400_000 for n in range(10, 30)]
    assert [each.value for poll in polls(batch(codec, *values)) for each in poll] == values


def test_a_poll_that_holds_enough_takes_no_further_records():
    values = [b"a" * 1_000_000] * 100
    read = list(polls(batch(ZSTD, *values)))
    assert sum(len(poll) for poll in read) == 100
    assert max(sum(len(each.value) for each in poll) for poll in read) < 2 * BATCH_BYTES
    assert [len(poll) for poll in polls(batch(ZSTD, *[b"a"] * 600))] == [500, 100]


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
@pytest.mark.parametrize("longer", ["value", "key", "headers"])
def test_of_a_record_that_is_too_long_the_beginning_is_kept_and_those_behind_it_are_read(
    codec, longer, monkeypatch
):
    monkeypatch.setattr("guardian.bus.kafka_reading._LONGEST", 1_000_000)
    monkeypatch.setattr("guardian.bus.kafka_reading.MAX_RECORD", 900_000)
    much = b"a" * 3_000_000
    made = MemoryRecordsBuilder(2, codec, 1 << 40)
    made.append(1, b"k", b"before", [])
    value, key, headers = {
        "value": (much, b"k", []),
        "key": (b"{}", much, []),
        "headers": (b"{}", b"k", [("h", much)]),
    }[longer]
    made.append(7, key, value, headers)
    made.append(1, b"k", b"behind", [])
    [[before, cut, behind]] = polls(packed(made))
    assert (before.value, behind.value) == (b"before", b"behind")
    assert (cut.offset, cut.timestamp, cut.headers) == (1, 7, [])
    assert cut.key == (None if longer == "key" else b"k")
    assert len(cut.value) == 900_001  # one byte more than is read
    assert cut.value.strip() == {"value": b"a" * 900_001, "key": b"", "headers": b"{}"}[longer]


def test_of_a_record_that_is_too_long_the_key_may_end_where_what_is_kept_of_it_ends(monkeypatch):
    monkeypatch.setattr("guardian.bus.kafka_reading._LONGEST", 1_000_000)
    monkeypatch.setattr("guardian.bus.kafka_reading.MAX_RECORD", 900_000)
    for length in range(999_970, 1_000_010):
        made = MemoryRecordsBuilder(2, ZSTD, 1 << 40)
        made.append(1, b"k" * length, b"a" * 3_000, [])
        made.append(1, b"k", b"behind", [])
        [[cut, behind]] = polls(packed(made))
        assert (len(cut.value), behind.value) == (900_001, b"behind")


def test_a_value_as_long_as_is_read_comes_whole():
    value = b"a" * MAX_RECORD
    assert [each.value for poll in polls(batch(ZSTD, value)) for each in poll] == [value]


XERIAL = b"\x82SNAPPY\0\0\0\0\1\0\0\0\1"


def blocks(data, size):
    found = (snappy.compress(bytes(data[at : at + size])) for at in range(0, len(data), size))
    return b"".join(len(each).to_bytes(4, "big") + each for each in found)


@pytest.mark.parametrize("pack", [snappy.compress, lambda data: XERIAL + blocks(data, 100)])
def test_snappy_is_read_in_one_block_and_in_those_of_the_java_library(pack, monkeypatch):
    monkeypatch.setattr(default_records, "snappy_encode", lambda data: pack(bytes(data)))
    values = [b"a" * 10_000, b"b" * 50_000]
    assert [each.value for poll in polls(batch(SNAPPY, *values)) for each in poll] == values


@pytest.mark.parametrize("begins", [b"", XERIAL + (7).to_bytes(4, "big")])
def test_nothing_is_held_for_what_snappy_says_and_cannot_hold(begins, monkeypatch):
    """4 GB: where the system has not so much left, the library ends the process, and no error is raised."""
    monkeypatch.setattr(default_records, "snappy_encode", lambda _: begins + b"\xff\xff\xff\xff\x0f\0a")
    with pytest.raises(CorruptRecordError, match="7 bytes of snappy cannot hold 4294967295"):
        list(polls(batch(SNAPPY, b"a" * 100)))


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD, 5])
def test_a_batch_that_cannot_be_unpacked_is_told_by_its_place_after_all_before_it_is_read(codec, monkeypatch):
    good = batch(GZIP, b"1", b"2")
    monkeypatch.setattr(default_records, "gzip_encode", lambda _: b"rubbish")
    bad = bytearray(batch(GZIP, b"3", b"4"))
    bad[7] = 2  # the batch begins at offset 2
    bad[22] = codec
    bad[17:21] = default_records.calc_crc32c(memoryview(bad)[21:]).to_bytes(4, "big")
    read = polls(good + bytes(bad))
    assert [each.value for each in next(read)] == [b"1", b"2"]
    with pytest.raises(CorruptRecordError, match=r"t\[3\] at 2: the batch of offsets 2 to 3 cannot be read \(\w+"):
        next(read)


def test_a_batch_with_a_wrong_checksum_is_told_with_where_it_ends():
    bad = bytearray(batch(NONE, b"1", b"2"))
    bad[-1] ^= 1
    with pytest.raises(CorruptRecordError, match=r"at 0: the batch of offsets 0 to 1 cannot be read \(its check"):
        list(polls(bad))


@pytest.mark.parametrize(
    ("codec", "encode", "pack"),
    [
        (GZIP, "gzip_encode", gzip.compress),
        (LZ4, "lz4_encode", lz4.frame.compress),
        (ZSTD, "zstd_encode", zstandard.compress),
    ],
)
@pytest.mark.parametrize("torn", ["cut", "packed cut", "more"])
def test_a_batch_that_ends_elsewhere_than_its_records_is_told_and_none_of_them_is_cut(
    codec, encode, pack, torn, monkeypatch
):
    tear = {
        "cut": lambda data: pack(bytes(data)[:-1]),
        "packed cut": lambda data: pack(bytes(data))[:-15],
        "more": lambda data: pack(bytes(data) + b"x"),
    }[torn]
    monkeypatch.setattr(default_records, encode, tear)
    value = bytes(range(256)) * 800  # longer than what is unpacked at once
    read = []
    with pytest.raises(CorruptRecordError, match=r"the batch of offsets 0 to 1 cannot be read"):
        read.extend(polls(batch(codec, value, value)))
    assert all((each.value, each.headers) == (value, [("gateway", b"gw")]) for poll in read for each in poll)
