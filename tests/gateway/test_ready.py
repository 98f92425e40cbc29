"""Ready is who holds a fresh list at that moment, not who once did."""

import asyncio
import http.client
import threading

import pytest
from until import until

from guardian.gateway.aio import AsyncRevocationList
from guardian.gateway.client import RevocationList


@pytest.fixture
def stale(ledger, follow, clocks) -> RevocationList:
    """One that was ready, and whose server only fails since."""
    revoked = follow(max_stale_s=30)
    assert revoked.wait_ready(10)
    ledger.break_everything(lambda *_: (503, {}, b""))
    ledger.wait_requests(len(ledger.requests) + 2)  # none of the good answers is on its way
    clocks.pass_by(31)
    return revoked


def test_a_list_that_grew_stale_is_not_ready(stale) -> None:
    assert stale.state().status == "stale"
    assert not stale.wait_ready(0)
    assert not stale.wait_ready(0.05)


def test_everybody_who_waits_hears_of_the_next_fresh_list(ledger, stale) -> None:
    heard: list[bool] = []
    waiters = [threading.Thread(target=lambda: heard.append(stale.wait_ready(10))) for _ in range(3)]
    for each in waiters:
        each.start()
    ledger.break_everything(None)
    for each in waiters:
        each.join(10)
    assert heard == [True] * 3


def test_a_list_that_was_under_way_for_long_is_not_fresh_as_it_comes(ledger, follow, clocks, monkeypatch) -> None:
    read = http.client.HTTPResponse.read1

    def slowly(answer: http.client.HTTPResponse, most: int) -> bytes:
        if chunk := read(answer, most):
            clocks.pass_by(31)
        return chunk

    answers = [(200, {}, ledger.body())]
    ledger.always = lambda *_: answers.pop() if answers else None
    with monkeypatch.context() as slow:
        slow.setattr(http.client.HTTPResponse, "read1", slowly)
        revoked = follow(max_stale_s=30)
        until(lambda: revoked.state().revision is not None)
        assert (revoked.state().status, revoked.state().age_s) == ("stale", 31)
    ledger.break_everything(None)
    assert revoked.wait_ready(10)


def test_nobody_waits_for_a_list_that_was_stopped(stale) -> None:
    heard: list[bool] = []
    waiter = threading.Thread(target=lambda: heard.append(stale.wait_ready()), daemon=True)
    waiter.start()
    stale.stop()
    waiter.join(10)
    assert heard == [False]


def test_nor_for_one_that_never_began(follow) -> None:
    heard: list[bool] = []
    revoked = follow(start=False)
    waiter = threading.Thread(target=lambda: heard.append(revoked.wait_ready()), daemon=True)
    waiter.start()
    revoked.stop()
    waiter.join(10)
    assert heard == [False]


def test_nor_does_anybody_for_asyncio(ledger, stale) -> None:
    revoked = AsyncRevocationList(ledger.url, "token-of-the-gateway")
    revoked._list = stale

    async def scenario() -> bool:
        ready, _ = await asyncio.gather(asyncio.wait_for(revoked.wait_ready(), 10), revoked.stop())
        return ready

    assert asyncio.run(scenario()) is False


def test_for_asyncio_it_is_the_same(ledger, stale) -> None:
    revoked = AsyncRevocationList(ledger.url, "token-of-the-gateway")
    revoked._list = stale

    async def probe() -> list[bool]:
        before = [await revoked.wait_ready(0), await revoked.wait_ready(0.05)]
        ledger.break_everything(None)
        return [*before, await revoked.wait_ready(10)]

    assert asyncio.run(probe()) == [False, False, True]
