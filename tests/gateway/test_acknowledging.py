"""What a gateway says it enforces: soon after it holds, until somebody heard it, and a good-bye."""

import threading

import pytest


@pytest.mark.parametrize("trouble", [502, OSError])
def test_an_acknowledgement_that_nobody_took_is_said_again_soon(ledger, follow, soon, trouble) -> None:
    answers = [204, trouble]

    def answer() -> int:
        told = answers.pop() if answers else 204
        if told is OSError:
            raise OSError
        return told

    ledger.acknowledging = answer
    follow(acknowledge=True, max_stale_s=600, wait_s=0)
    assert soon(lambda: len(ledger.acknowledged) == 2)
    assert [told["revision"] for told in ledger.acknowledged] == ["1.0", "1.0"]


def test_who_is_stopped_while_it_acknowledges_says_good_bye_too(ledger, follow, soon) -> None:
    goes_on = threading.Event()
    ledger.acknowledging = lambda: 204 if goes_on.wait(10) else 503
    revoked = follow(acknowledge=True, max_stale_s=600)
    assert soon(lambda: len(ledger.acknowledged) == 1)
    stopping = threading.Thread(target=revoked.stop)
    stopping.start()
    assert revoked._stop.wait(10)
    goes_on.set()
    stopping.join()
    assert [told["leaving"] for told in ledger.acknowledged] == [False, True]
