import base64
import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest

from guardian.bus.documents import Documents
from guardian.bus.file import MAX_LINE, FileConsumer, FileProducer, place_of
from guardian.domain.record import Place
from guardian.errors import BusError, ConfigurationError


def _read(consumer, start=0):
    consumer.start(lambda places: dict.fromkeys(places, start))
    got = []
    while not consumer.exhausted():
        got.extend(consumer.poll(timeout_s=0, max_records=3))
    consumer.close()
    return got


def test_every_line_that_says_something_is_a_record_and_its_offset_the_line_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\ntwo\r\n\n\xff\xfe\x00\nlast without an end")
    got = _read(FileConsumer(path))
    assert [(r.offset, r.value) for r in got] == [
        (0, b"one"), (1, b"two"), (3, b"\xff\xfe\x00"), (4, b"last without an end"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "offsets"), [(b"one\n\n \t\r\ntwo\n\n", [0, 3]), (b"\r\none", [1]), (b"\n" * 9, [])]
)
def test_a_blank_line_is_counted_but_is_no_record(tmp_path, written, offsets):
    path = tmp_path / "a.jsonl"
    path.write_bytes(written)
    assert [record.offset for record in _read(FileConsumer(path))] == offsets
    assert _read(FileConsumer(path), start=9) == []


def test_a_run_of_blank_lines_ends_a_batch_and_not_the_file(tmp_path):
    (tmp_path / "log").write_bytes(b"\n" * 20 + b"a\n")
    consumer = FileConsumer(tmp_path / "log")
    consumer.start(lambda _: {})
    assert consumer.poll(timeout_s=0, max_records=8) == []
    assert not consumer.exhausted()
    assert [consumer.poll(timeout_s=0, max_records=8), consumer.exhausted()] == [[], False]
    assert [record.value for record in consumer.poll(timeout_s=0, max_records=8)] == [b"a"]


def test_the_byte_order_mark_of_an_editor_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n")
    consumer = FileConsumer(tmp_path / "a.jsonl")
    consumer.start(lambda _: {})
    read = consumer.poll(timeout_s=0, max_records=9)
    assert [record.value for record in read] == [b"{}", b"\xef\xbb\xbf{}"]


def test_reading_goes_on_at_the_stored_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b"%d\n" % n for n in range(10)))
    assert [r.value for r in _read(FileConsumer(path), start=7)] == [b"7", b"8", b"9"]
    assert _read(FileConsumer(path), start=99) == []


def test_a_last_line_that_is_still_being_written_waits_until_it_is_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2, "te')
    assert [r.value for r in _read(FileConsumer(path))] == [b'{"n": 1}']
    assert [r.value for r in _read(Documents(path))] == [b'{"n": 1}', b'{"n": 2, "te']  # is read once only
    path.write_bytes(b'{"n": 1}\n{"n": 2, "text": "x"}')
    assert [r.value for r in _read(FileConsumer(path), start=1)] == [b'{"n": 2, "text": "x"}']


@pytest.mark.parametrize("last", [b"{bad}", b'{"n": "\xff"}', b'{"n": %s}' % (b"9" * 5000), b'{"n": "{"}}'])
def test_a_last_line_that_ends_but_is_no_json_waits_for_nothing(tmp_path, last):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n' + last)
    assert [r.value for r in _read(FileConsumer(path))] == [b'{"n": 1}', last]


@pytest.mark.parametrize("whole", [b'{"a": [{"b": "x{"}], "c": 1}', b'[{"a": 1}, {"b": "\\"]"}]'])
def test_every_beginning_of_a_document_waits(tmp_path, whole):
    path = tmp_path / "a.jsonl"
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        assert _read(FileConsumer(path)) == []
    path.write_bytes(whole)
    assert [r.value for r in _read(FileConsumer(path))] == [whole]


def test_a_file_is_known_by_where_it_lies_and_how_it_begins(tmp_path, monkeypatch):
    (tmp_path / "monday").mkdir()
    path = tmp_path / "monday" / "log.jsonl"
    path.write_bytes(b"one\n")
    known = place_of(path)
    monkeypatch.chdir(tmp_path / "monday")
    path.write_bytes(b"one\ntwo\n")
    assert place_of(Path("log.jsonl")) == known  # it grew
    path.rename("log.jsonl.1")
    path.write_bytes(b"three\n")
    assert place_of(Path("log.jsonl")) != known  # it was rotated
    (tmp_path / "log.jsonl").write_bytes(b"one\n")
    monkeypatch.chdir(tmp_path)
    assert place_of(Path("log.jsonl")) != known
    (tmp_path / "bad.gz").write_bytes(b"no archive")
    assert "bad.gz#" in place_of(Path("bad.gz"))


def test_a_compressed_file_reads_like_a_plain_one(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    assert [r.value for r in _read(FileConsumer(path, topic="log"))] == [b"one", b"two"]
    assert FileConsumer(path, topic="log").assignment() == {Place("log", 0)}


def test_standard_input_is_a_source(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x\ny")))
    assert [r.value for r in _read(FileConsumer("-"))] == [b"x", b"y"]


def test_a_line_of_many_megabytes_is_cut_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a" * (MAX_LINE + 3_000_000) + b"\nnext\n" + b"b" * 5_000_000 + b"\nlast")
    got = _read(FileConsumer(path))
    assert [len(r.value) for r in got] == [MAX_LINE, 4, 5_000_000, 4]
    assert got[1].value == b"next"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nope\.jsonl"):
        _read(FileConsumer(tmp_path / "nope.jsonl"))


def test_a_damaged_archive_ends_with_an_error_after_its_good_lines(tmp_path):
    path = tmp_path / "a.gz"
    whole = [b'{"n": "%s"}' % os.urandom(16).hex().encode() for _ in range(2_000)]
    path.write_bytes(gzip.compress(b"\n".join(whole))[:-20_000])
    consumer = FileConsumer(path)
    consumer.start(lambda places: {})
    got = []
    while len(got) % 300 == 0:
        got += consumer.poll(timeout_s=0, max_records=300)
        assert not consumer.exhausted()
    with pytest.raises(BusError, match=rf"a\.gz broke off after line {len(got)}:"):
        consumer.poll(timeout_s=0, max_records=300)
    assert consumer.exhausted()
    assert [r.value for r in got] == whole[: len(got)]
    assert len(got) > 1_000


@pytest.mark.parametrize("cut", [-20_000, -8, -1])
def test_of_a_gzip_that_ends_too_early_and_is_read_once_every_line_is_read_and_one_more_refused(tmp_path, cut):
    path = tmp_path / "a.gz"
    whole = [b'{"n": "%s"}\n' % os.urandom(16).hex().encode() for _ in range(2_000)]
    path.write_bytes(gzip.compress(b"".join(whole))[:cut])
    *good, last = _read(Documents(path))
    assert [r.value + b"\n" for r in good] == whole[: len(good)]
    assert len(good) > 1_000
    assert b"the file breaks off here" in last.value
    assert last.offset == len(good)


def test_a_document_that_is_whole_where_the_gzip_breaks_off_is_read(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b'{"n": 1}\n{"n": 2}')[:-8])
    assert [r.value for r in _read(Documents(path))][:2] == [b'{"n": 1}', b'{"n": 2}']
    with pytest.raises(BusError, match="after line 1"):
        _read(FileConsumer(path))


def test_damage_within_a_gzip_ends_it_and_is_no_crash(tmp_path):
    path = tmp_path / "a.gz"
    whole = [b'{"n": "%s"}\n' % os.urandom(16).hex().encode() for _ in range(2_000)]
    packed = bytearray(gzip.compress(b"".join(whole)))
    middle = len(packed) // 2
    packed[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(packed)
    got = _read(Documents(path))
    assert got[500].value + b"\n" == whole[500]
    assert b"the file breaks off here" in got[-1].value


def test_what_is_no_gzip_from_its_first_byte_on_is_an_error(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b'{"n": 1}\n')
    with pytest.raises(ConfigurationError, match=r"a\.gz is no gzip: give it a name that does not end in \.gz"):
        _read(Documents(path))


def test_a_dead_letter_file_keeps_the_bytes(tmp_path):
    producer = FileProducer(tmp_path / "dlq")
    producer.send("dlq./var/log/../x", b"\xff", key=None, headers=[("h", b"\x00")])
    producer.send("dlq./var/log/../x", b"2", key=b"k")
    (path,) = (tmp_path / "dlq").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [base64.b64decode(line["value"]) for line in lines] == [b"\xff", b"2"]
    assert lines[0]["key"] is None
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_whose_name_is_no_utf_8_has_a_place_that_a_database_holds(tmp_path):
    one, other = (Path(os.fsdecode(os.fsencode(tmp_path) + b"/log-" + sign)) for sign in (b"\xff", b"\xfe"))
    for path in (one, other):
        path.write_bytes(b"{}\n")
    assert [r.value for r in _read(FileConsumer(one))] == [b"{}"]
    assert FileConsumer(one)._place.topic.encode().endswith(b"log-\\xff")
    assert place_of(one).encode() != place_of(other).encode()


def test_a_last_line_that_is_whole_by_the_next_start_is_unfinished_no_more(tmp_path):
    log = tmp_path / "log"
    log.write_text("{}\n{")
    consumer = FileConsumer(log)
    for unfinished in (True, False):
        consumer.start(lambda places: {})
        while consumer.poll(timeout_s=0, max_records=9):
            """On."""
        assert consumer.unfinished == unfinished
        log.write_text("{}\n{}\n")
    consumer.close()
