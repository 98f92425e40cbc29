"""What a gateway asks for, and which list it ends up with, whatever happens to the server."""

import json
import threading
import time

import pytest
from until import until

from guardian.gateway.client import Revision
from guardian.gateway.connection import Server


def test_a_revocation_arrives_as_a_delta_through_the_long_poll(ledger, follow) -> None:
    ledger.append("s1")
    revoked = follow(interval_s=3600)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    ledger.append("s2")
    until(lambda: revoked.is_revoked("acme", "s2"))
    assert revoked.is_revoked("acme", "s1")
    assert ledger.requests[1]["since"] == "1.1"
    assert ledger.requests[1]["If-None-Match"] == '"1.1"'
    assert float(ledger.requests[1]["wait"]) > 0


def test_a_304_keeps_the_list_fresh_without_sending_it(ledger, follow, clocks) -> None:
    ledger.long_poll = False
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    clocks.pass_by(29)
    until(lambda: revoked.state().age_s == 0)
    assert revoked.state().status == "fresh"
    assert revoked.is_revoked("acme", "s1")


def test_a_server_without_long_poll_is_asked_at_the_interval_and_not_in_a_hot_loop(ledger, follow, clocks) -> None:
    ledger.long_poll = False
    revoked = follow(interval_s=3600)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    threading.Event().wait(0.3)
    assert len(ledger.requests) == 2


def test_after_a_restart_of_the_server_the_list_catches_up(ledger, follow, served) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    served.stop()
    ledger.append("s2")
    until(lambda: revoked.state().last_error != "")
    served.start()
    until(lambda: revoked.state().revision == Revision(1, 2))
    assert revoked.is_revoked("acme", "s2")
    assert revoked.state().last_error == ""


def test_an_older_revision_of_the_same_epoch_is_refused_and_confirms_nothing(ledger, follow, clocks) -> None:
    ledger.append("s1")
    ledger.append("s2")
    revoked = follow()
    assert revoked.wait_ready(10)
    old = {"revision": {"epoch": 1, "n": 1}, "issued_at": "2026-05-12T12:00:00Z", "entries": [], "complete": True}
    ledger.break_everything(lambda *_: (200, {"ETag": '"x"'}, json.dumps(old).encode()))
    until(lambda: "went_back" in revoked.state().last_error)
    clocks.pass_by(31)
    assert revoked.state().revision == Revision(1, 2)
    assert revoked.state().status == "stale"
    assert revoked.is_revoked("acme", "s2")


def test_an_older_epoch_is_refused_even_with_a_higher_number(ledger, follow) -> None:
    ledger.epoch = 3
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    old = {"revision": {"epoch": 2, "n": 99}, "issued_at": "2026-05-12T12:00:00Z", "entries": [], "complete": True}
    ledger.break_everything(lambda *_: (200, {}, json.dumps(old).encode()))
    until(lambda: "went_back" in revoked.state().last_error)
    assert revoked.is_revoked("acme", "s1")


def test_a_new_epoch_replaces_the_list_although_its_numbers_begin_again(ledger, follow) -> None:
    for n in range(5):
        ledger.append(f"s{n}")
    revoked = follow()
    assert revoked.wait_ready(10)
    with ledger.changed:
        ledger.epoch, ledger.n, ledger.entries = 2, 0, []
    ledger.append("s9")
    until(lambda: revoked.state().revision == Revision(2, 1))
    assert revoked.is_revoked("acme", "s9")
    assert not revoked.is_revoked("acme", "s0")


def test_a_delta_of_another_epoch_has_nothing_to_build_on(ledger, follow) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    delta = {
        "revision": {"epoch": 2, "n": 1},
        "issued_at": "2026-05-12T12:00:00Z",
        "entries": [],
        "complete": False,
    }
    ledger.break_everything(lambda *_: (200, {}, json.dumps(delta).encode()))
    until(lambda: "no_base" in revoked.state().last_error)
    assert revoked.is_revoked("acme", "s1")


@pytest.mark.parametrize("status", [400, 409, 410])
def test_a_server_that_no_longer_knows_our_revision_is_asked_for_the_whole_list(
    ledger, follow, status: int
) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)

    def forgetful(ledger, seen):
        return (status, {}, b"") if "since" in seen else (200, {"ETag": ledger.etag()}, ledger.body())

    with ledger.changed:  # at once, or s2 might still come as a change
        ledger.break_everything(forgetful)
        ledger.n += 100
        ledger.append("s2")
    until(lambda: revoked.is_revoked("acme", "s2"))


def test_the_tag_that_a_packing_proxy_weakened_is_presented_as_guardian_gave_it(ledger, follow) -> None:
    """What a 304 confirms is signed, and that is the strong tag."""
    ledger.break_everything(lambda kept, _: (200, {"ETag": f"W/{kept.etag()}"}, kept.body()))
    follow()
    ledger.wait_requests(2)
    assert ledger.requests[1]["If-None-Match"] == ledger.etag()


@pytest.mark.parametrize("line", [b": still here\n\n", b"event: weather\ndata: rain\n\n", b"retry: 5\n"])
def test_a_stream_that_says_nothing_of_the_list_is_given_up(ledger, follow, clocks, caplog, line) -> None:
    def answer(kept, seen):
        if seen["path"].endswith("/stream"):
            return 200, {"Content-Type": "text/event-stream"}, line * 100
        return 200, {"ETag": kept.etag()}, kept.body()

    def clock() -> float:
        clocks.pass_by(1)
        return clocks.clock()

    ledger.break_everything(answer)
    follow(push=True, clock=clock)
    until(lambda: "not refreshed (silent" in caplog.text)


def test_a_stream_that_is_held_back_on_its_way_is_polled_instead(ledger, follow, caplog) -> None:
    def answer(kept, seen):
        if seen["path"].endswith("/stream"):
            return 200, {"Content-Type": "text/event-stream"}, (kept.silence() for _ in range(1))
        return 200, {"ETag": kept.etag()}, kept.body()

    def streams() -> int:
        return sum(seen["path"].endswith("/stream") for seen in ledger.requests)

    ledger.break_everything(answer)
    revoked = follow(push=True, clock=time.monotonic, timeout_s=0.2, max_stale_s=2)
    until(lambda: streams() == 1)
    ledger.append("s1")
    until(lambda: revoked.is_revoked("acme", "s1") and revoked.state().status == "fresh")
    ledger.wait_requests(20)
    assert (revoked.state().transport, streams()) == ("poll", 1)
    assert "revocation list polled while it is not streamed (held_back: " in caplog.text


def test_where_no_stream_can_be_reached_within_its_time_the_list_is_polled_between_two_tries(
    ledger, follow, monkeypatch
) -> None:
    tried = []

    def out_of_reach(*_):
        tried.append(threading.Event().wait(1.1))
        raise TimeoutError
        yield

    monkeypatch.setattr(Server, "events", out_of_reach)
    revoked = follow(push=True, clock=time.monotonic, max_stale_s=2)  # so long a stream may say nothing: 1 s
    until(lambda: tried)
    ledger.append("s1")
    until(lambda: revoked.refusal("acme", session="s1") == "session_revoked")
