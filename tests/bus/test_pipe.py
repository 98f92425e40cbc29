"""Standard input as a source: nothing is skipped, and nobody waits for what was not written yet."""

import os
import threading

import pytest

from guardian.bus.file import MAX_LINE
from guardian.bus.pipe import PipeConsumer
from guardian.domain.record import Place


@pytest.fixture
def pipe():
    read, write = os.pipe()
    consumer = PipeConsumer(read, topic="stdin-1")
    consumer.start(lambda places: {})
    with os.fdopen(write, "wb", buffering=0) as end:
        yield consumer, end
    os.close(read)


def _values(consumer, timeout_s=0.0, most=500):
    return [(record.offset, record.value) for record in consumer.poll(timeout_s=timeout_s, max_records=most)]


def test_what_was_written_is_handed_on_while_the_pipe_stays_open(pipe):
    consumer, end = pipe
    assert _values(consumer, timeout_s=0.01) == []
    assert list(consumer.lag().values()) == [0], "nothing was written that is not read"
    end.write(b"one\r\ntwo\nthr")
    assert _values(consumer, timeout_s=10) == [(0, b"one"), (1, b"two")]
    assert not consumer.exhausted()
    end.write(b"ee\n3\nfour")
    assert _values(consumer, most=1) == [(2, b"three")]
    assert list(consumer.lag().values()) == [1]
    assert _values(consumer) == [(3, b"3")]
    end.close()
    assert _values(consumer, timeout_s=10) == [(4, b"four")]
    assert _values(consumer) == []
    assert consumer.exhausted()


def test_a_paused_one_hands_nothing_on_and_loses_nothing(pipe):
    consumer, end = pipe
    end.write(b"one\n")
    consumer.pause()
    assert _values(consumer, timeout_s=10) == []
    consumer.resume()
    assert _values(consumer, timeout_s=10) == [(0, b"one")]


def test_what_was_handed_on_and_not_committed_is_handed_on_once_more_after_a_new_start(pipe):
    consumer, end = pipe
    end.write(b"one\ntwo\n")
    assert _values(consumer) == [(0, b"one"), (1, b"two")]
    consumer.commit({Place("stdin-1", 0): 1})
    end.write(b"three\n")
    consumer.close()
    consumer.start(lambda places: {})
    assert not consumer.exhausted()
    assert [_values(consumer) for _ in range(2)] == [[(1, b"two")], [(2, b"three")]]


def test_a_line_of_many_megabytes_is_cut_and_the_next_one_is_whole(pipe):
    consumer, end = pipe

    def write():
        with end:
            for part in (b"a" * (MAX_LINE + 3_000_000), b"\nnext\n", b"b" * 2_000_000, b"\n" * 3 + b"{}\n"):
                left = memoryview(part)
                while left:
                    left = left[end.write(left) :]

    writer = threading.Thread(target=write)
    writer.start()
    got = []
    while not consumer.exhausted():
        got += consumer.poll(timeout_s=10, max_records=500)
    writer.join()
    assert [len(record.value) for record in got] == [MAX_LINE, 4, 2_000_000, 2]
    assert [record.offset for record in got] == [0, 1, 2, 5]


def test_who_stops_it_gets_what_was_taken_and_nothing_after_the_line_that_was_begun(pipe):
    consumer, end = pipe
    end.write(b"one\ntwo\nthr")
    assert _values(consumer, most=1) == [(0, b"one")]
    assert consumer.left() == 3
    end.write(b"ee\nfour\n")
    consumer.pause()
    assert (consumer.finish(), consumer.finish()) == (True, False)
    assert _values(consumer) == [(1, b"two"), (2, b"three")]
    assert _values(consumer) == []
    assert consumer.exhausted()
    assert consumer.left() == 3
    consumer.commit({Place("stdin-1", 0): 3})
    assert consumer.left() == 0
    assert os.read(consumer._descriptor, 9) == b"four\n"
    assert not consumer.cut_off()


def test_a_line_of_which_no_more_comes_is_handed_on_as_it_is_when_it_is_stopped(pipe):
    consumer, end = pipe
    end.write(b"on")
    assert _values(consumer, timeout_s=0.01) == []
    consumer.finish()
    assert _values(consumer, timeout_s=0.01) == [(0, b"on")]


def test_of_a_file_that_a_shell_redirects_it_is_known_whether_some_was_not_read(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"{}\n" * 1_000_000)
    with log.open("rb", buffering=0) as file:
        consumer = PipeConsumer(file.fileno(), topic="stdin-1")
        consumer.start(lambda places: {})
        consumer.poll(timeout_s=0, max_records=1)
        assert consumer.cut_off()
        file.seek(0, os.SEEK_END)
        assert not consumer.cut_off()
