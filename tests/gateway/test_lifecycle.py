"""A list is started, stopped and forked."""

import http.client
import os
import threading

import pytest
from until import until

from guardian.gateway.client import RevocationList


def test_stopping_does_not_wait_for_a_held_request(ledger, follow) -> None:
    revoked = follow(max_stale_s=3000, wait_s=1000, timeout_s=60)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    stopped = threading.Thread(target=revoked.stop)
    stopped.start()
    stopped.join(10)
    assert not stopped.is_alive()
    assert not any(thread.is_alive() for thread in revoked._threads)


def test_stopping_while_the_stream_is_being_opened_does_not_wait_for_it(ledger, follow, monkeypatch) -> None:
    def held(ledger, seen):
        if not seen["path"].endswith("/stream"):
            return 200, {"ETag": ledger.etag()}, ledger.body()
        ledger.changed.wait_for(lambda: ledger.closing)
        return None

    def slow(connection):
        if ledger.requests:  # the list was had: this one is for the stream
            opening.set()
            until(lambda: revoked._server._aborted)
        connect(connection)

    opening, connect = threading.Event(), http.client.HTTPConnection.connect
    monkeypatch.setattr(http.client.HTTPConnection, "connect", slow)
    ledger.always = held
    revoked = follow(start=False, push=True, timeout_s=60)
    revoked.start()
    assert opening.wait(10)
    stopped = threading.Thread(target=revoked.stop)
    stopped.start()
    stopped.join(10)
    assert not stopped.is_alive()
    assert not any(thread.is_alive() for thread in revoked._threads)


def test_as_a_context_it_starts_and_stops(ledger, served) -> None:
    with RevocationList(ledger.url, "token-of-the-gateway") as revoked:
        assert revoked.wait_ready(10)
    assert not any(thread.is_alive() for thread in revoked._threads)


def test_a_list_is_started_once(follow) -> None:
    with pytest.raises(RuntimeError, match="started or stopped already"):
        follow().start()


def test_a_list_that_was_stopped_before_its_start_does_not_pretend_to_follow(follow) -> None:
    revoked = follow(start=False)
    revoked.stop()
    with pytest.raises(RuntimeError, match="make a new one"):
        revoked.start()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("push", [False, True])
def test_a_forked_worker_says_that_nobody_follows_the_list_there_until_it_is_started_there(
    ledger, follow, push
) -> None:
    revoked = follow(push=push, on_stale="open", acknowledge=True)
    assert revoked.wait_ready(10)
    ledger.wait_requests(2)
    told, tell = os.pipe()
    worker = os.fork()
    if worker == 0:
        try:
            before = revoked.state()
            revoked.start()
            there = until(lambda: revoked.is_revoked("acme", "later")) and revoked.state().status == "fresh"
            revoked.stop()
            os.write(tell, f"{before.last_error} {there} {revoked._credentials.instance}".encode())
        finally:
            os._exit(0)
    ledger.append("later")
    os.close(tell)
    with open(told, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(worker, 0)
    assert said.startswith("forked: nobody follows the list in this process")
    assert said.endswith(f" True {revoked._credentials.instance}-{worker}")
    until(lambda: revoked.is_revoked("acme", "later"))  # and the parent goes on
    assert revoked.state().last_error == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("instance", ["", "gw-1"])
def test_workers_of_a_list_that_was_made_before_the_fork_have_a_name_each(ledger, follow, instance) -> None:
    revoked, workers = follow(start=False, instance=instance), []
    for _ in range(2):
        workers.append(os.fork())
        if workers[-1] == 0:
            try:
                revoked.start().wait_ready(10)
            finally:
                os._exit(0)
        os.waitpid(workers[-1], 0)
    made = revoked._credentials.instance
    asked = {seen["Guardian-Instance"] for seen in ledger.requests}
    assert asked == {f"{made}-{worker}" for worker in workers}


def test_a_good_bye_is_said_where_no_thread_can_be_started_any_more(ledger, follow, monkeypatch) -> None:
    def refused(_timer: threading.Timer) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    ledger.acknowledging = lambda: 204
    revoked = follow(acknowledge=True)
    until(lambda: len(ledger.acknowledged) == 1)
    monkeypatch.setattr(threading.Timer, "start", refused)  # as Python 3.12 ends
    revoked.stop()
    assert ledger.acknowledged[-1]["leaving"]
