"""What a gateway says it enforces: soon after it holds, until somebody heard it, and a good-bye."""

import threading

import pytest
from until import until

from guardian.gateway import acknowledging


@pytest.mark.parametrize("trouble", [502, OSError])
def test_an_acknowledgement_that_nobody_took_is_said_again_soon(ledger, follow, trouble, monkeypatch) -> None:
    monkeypatch.setattr(acknowledging, "_AGAIN_S", 0.02)
    answers = [204, trouble]

    def answer() -> int:
        told = answers.pop() if answers else 204
        if told is OSError:
            raise OSError
        return told

    ledger.acknowledging = answer
    follow(acknowledge=True, max_stale_s=600, wait_s=0)
    until(lambda: len(ledger.acknowledged) == 2)
    assert [told["revision"] for told in ledger.acknowledged] == ["1.0", "1.0"]


@pytest.mark.parametrize("trouble", [401, 502])
def test_after_a_refusal_it_is_said_over_a_new_connection(ledger, follow, trouble, monkeypatch) -> None:
    """The kept one may show a client certificate that was renewed since."""
    monkeypatch.setattr(acknowledging, "_AGAIN_S", 0.02)
    answers, connections = [204, trouble], list[object]()
    ledger.acknowledging = lambda: answers.pop() if answers else 204
    revoked = follow(start=False, acknowledge=True, max_stale_s=600)
    ask = revoked._teller._exchange
    revoked._teller._exchange = lambda *what: (ask(*what), connections.append(revoked._teller._connection))[0]
    revoked.start()
    until(lambda: len(connections) == 2)
    assert connections[0] is not connections[1]


def test_who_is_stopped_while_it_acknowledges_says_good_bye_too(ledger, follow) -> None:
    goes_on = threading.Event()
    ledger.acknowledging = lambda: 204 if goes_on.wait(10) else 503
    revoked = follow(acknowledge=True, max_stale_s=600)
    until(lambda: len(ledger.acknowledged) == 1)
    stopping = threading.Thread(target=revoked.stop)
    stopping.start()
    assert revoked._follower.stop.wait(10)
    goes_on.set()
    stopping.join()
    assert [told["leaving"] for told in ledger.acknowledged] == [False, True]


def test_a_gateway_that_would_be_led_back_keeps_saying_what_it_holds_although_its_list_is_stale(
    ledger, follow, cache, clocks
) -> None:
    """After a restart it asks for the whole list: only by this can guardian hear how far the ledger had come."""
    ledger.append("s1")
    ledger.append("s2")
    first = follow(cache_path=cache)
    until(cache.exists)
    first.stop()
    with ledger.changed:
        ledger.n, ledger.entries = 1, ledger.entries[:1]
    clocks.pass_by(60)
    revoked = follow(cache_path=cache, acknowledge=True, wait_s=0, max_stale_s=0.2)
    until(lambda: [each["revision"] for each in ledger.acknowledged] == ["1.2", "1.2"])
    assert revoked.state().status == "stale"


def test_one_that_is_stale_because_guardian_is_away_says_nothing(ledger, follow, clocks) -> None:
    revoked = follow(acknowledge=True, max_stale_s=0.2)
    ledger.acknowledging = lambda: 204
    until(lambda: len(ledger.acknowledged) > 1)
    ledger.break_everything(lambda *_: (503, {}, b""))
    until(lambda: "503" in revoked.state().last_error)
    clocks.pass_by(60)
    before = len(ledger.acknowledged)
    revoked._held.moved.set()
    until(lambda: not revoked._held.moved.is_set())
    revoked.stop()
    assert len(ledger.acknowledged) <= before + 1  # one may have been on its way


@pytest.mark.parametrize(
    ("epoch", "ends"),
    [(1, "begin a new epoch, and does once"), (0, "write epoch 1 or a later one into its store")],
)
def test_a_list_that_went_back_is_an_error_that_says_what_ends_it(ledger, follow, caplog, epoch, ends) -> None:
    ledger.append("s1")
    revoked = follow()
    assert revoked.wait_ready(10)
    with ledger.changed:
        ledger.epoch, ledger.n, ledger.entries = epoch, 0, []
        ledger.changed.notify_all()
    until(lambda: ends in caplog.text)
    (said,) = [each for each in caplog.records if each.name == "guardian.gateway"]
    assert (said.levelname, "went_back" in said.getMessage()) == ("ERROR", True)
    assert ends in revoked.state().last_error
