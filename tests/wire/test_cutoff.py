"""One deadline for a whole exchange, whoever speaks."""

import socket
import threading
from contextlib import suppress

import pytest
from receivers import Dripping

from guardian.wire import cutoff
from guardian.wire.cutoff import within


def _heard(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        told = b""
        while piece := connection.recv(1):
            told += piece
    return told


def test_an_answer_in_drops_is_cut_off_and_what_comes_of_that_is_a_timeout() -> None:
    with Dripping() as server, pytest.raises(TimeoutError, match=r"no whole answer within 0\.1 s"), within(0.1):
        assert _heard(server.port) == server.answer


def test_an_answer_in_time_and_a_failure_in_time_stay_what_they_are() -> None:
    with Dripping(answer=b"hello") as server, within(30):
        assert _heard(server.port) == b"hello"
    with pytest.raises(ConnectionRefusedError), within(30):
        _heard(server.port)


def test_after_the_deadline_nothing_more_is_connected_to() -> None:
    with Dripping(answer=b"hello") as server, pytest.raises(TimeoutError, match="no whole answer"), within(0.01):
        [_heard(server.port) for _ in range(1000)]


def test_other_threads_and_what_comes_after_have_all_the_time_that_they_need() -> None:
    with Dripping(answer=b"x" * 30) as server:
        told: list[bytes] = []
        other = threading.Thread(target=lambda: told.append(_heard(server.port)))
        with within(0.05):
            other.start()
            other.join()
        assert [*told, _heard(server.port)] == [b"x" * 30] * 2


def test_an_exchange_within_another_ends_no_others_deadline() -> None:
    told = b""
    with Dripping() as server:
        with suppress(TimeoutError), within(0.1):  # cut off by an end or by a reset, whichever comes first
            with within(30):
                pass
            told = _heard(server.port)
        assert len(told) < len(server.answer)


def test_without_a_thread_to_watch_the_time_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none)
        with pytest.raises(RuntimeError), within(30):
            pass
    assert getattr(cutoff._own, "exchange", None) is None
