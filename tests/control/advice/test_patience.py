"""An adviser that hangs, or is asked too much: the fall-back answers in time, and nobody else waits."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs
from until import until

from guardian.control.advice.adviser import AdviceRule
from guardian.control.advice.patience import Patience
from guardian.errors import AdviserError
from guardian.telemetry import Metrics
from guardian.wire.advice import Weighing

GIVEN_UP = "the adviser is not asked now: it was late 5 times in a row"
REFUSED = "the adviser answered 503"
LATE = "the adviser gave no answer in time"
CALM = Weighing(score=0.1, session_evidence=0.0, one_in=1.0, promised=True, independent_signals=0)
TOO_BUSY = "control is too busy to ask the adviser in time"


class Hung:
    """Answers once it is let go; keeps what it was asked."""

    def __init__(self):
        self.asked, self.let_go = [], threading.Event()

    def weigh(self, line, timeout_s):
        self.asked.append(line)
        assert self.let_go.wait(90)
        return CALM


@pytest.fixture
def hung():
    adviser = Hung()
    yield adviser
    adviser.let_go.set()


def proposal(n):
    envelope = {"delegator_id": "u", "tenant_id": "acme", "session_id": f"s{n}", "purpose": "review"}
    return {
        "subject": {"type": "session", "id": f"s{n}"},
        "action": {"name": "crm.read"},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": envelope},
    }


def test_while_the_adviser_hangs_the_fall_back_answers_and_other_routes_do_too(make_stage, hung):
    stage = make_stage(adviser=hung, advice=AdviceRule(budget_s=0.5))
    with ThreadPoolExecutor(61) as pool:
        callers = [pool.submit(stage.call, "POST", "/v1/advise", "gateway", json=proposal(n)) for n in range(60)]
        other = pool.submit(stage.revocations)
        assert other.result(30).status_code == 200
        told = [each.result(30).json()["context"] for each in callers]
    assert {each["reason"] for each in told} <= {LATE, TOO_BUSY, GIVEN_UP}
    assert {(each["advice"], each["fallback"]) for each in told} == {("deny", True)}
    assert not hung.let_go.is_set()


def test_what_a_request_waited_before_it_is_weighed_is_time_of_its_budget(hung):
    hung.let_go.set()
    patience = Patience(hung, 60, stopwatch=lambda: 100.0, metrics=Metrics())
    assert asyncio.run(patience.weigh(b"new", 70.0)) == CALM
    with pytest.raises(AdviserError, match=TOO_BUSY):
        asyncio.run(patience.weigh(b"old", 69.0))
    assert hung.asked == [b"new"]


def test_a_question_that_finds_its_place_too_late_gives_it_to_those_behind(hung):
    now = 0.0

    async def scenario():
        patience = Patience(hung, 60, stopwatch=lambda: now, metrics=Metrics())
        first = [asyncio.ensure_future(patience.weigh(b"first", 0.0)) for _ in range(8)]
        late = asyncio.ensure_future(patience.weigh(b"late", 0.0))
        await asyncio.to_thread(until, lambda: len(hung.asked) >= 8)
        nonlocal now
        now = 31.0
        behind = asyncio.ensure_future(patience.weigh(b"behind", now))
        hung.let_go.set()
        return await asyncio.gather(*first, late, behind, return_exceptions=True)

    *first, late, behind = asyncio.run(scenario())
    assert [*first, behind] == [CALM] * 9
    assert str(late) == TOO_BUSY
    assert hung.asked == [b"first"] * 8 + [b"behind"]


class Asked:
    """An adviser that hangs or refuses, asked on a stopwatch that stands still."""

    def __init__(self, hung):
        self.now, self.refuses, self.metrics, self._hung = 0.0, False, Metrics(), hung
        self._patience = Patience(self, 60, stopwatch=lambda: self.now, metrics=self.metrics)

    def weigh(self, line, timeout_s):
        if self.refuses:
            raise AdviserError(REFUSED)
        return self._hung.weigh(line, timeout_s)

    async def __call__(self):
        self._patience._budget_s = 60 if self.refuses else 0.01
        try:
            await self._patience.weigh(b"", self.now)
        except AdviserError as error:
            return str(error)

    def given_up(self):
        return self.metrics.value("guardian_adviser_given_up")


def test_an_adviser_that_is_always_late_is_not_asked_until_it_answers_again(hung):
    async def scenario():
        ask = Asked(hung)
        assert "\nguardian_adviser_given_up 0.0\n" in ask.metrics.render().decode(), "for the alert to count from"
        assert [await ask() for _ in range(7)] == [LATE] * 5 + [GIVEN_UP] * 2
        assert ask.given_up() == 1
        ask.now = 1.0
        assert [await ask(), await ask()] == [LATE, GIVEN_UP], "one finds out that it still hangs"
        ask.now, ask.refuses = 2.0, True
        assert [await ask(), await ask()] == [REFUSED] * 2, "nobody waits in vain for who refuses at once"
        assert ask.given_up() == 0
        hung.let_go.set()

    with capture_logs() as lines:
        asyncio.run(scenario())
    assert [each["event"] for each in lines] == ["adviser_given_up", "adviser_answers_again"]


def test_an_adviser_that_only_says_when_the_time_is_over_that_it_has_no_answer_is_late_as_well():
    now = 0.0

    class Slow:
        def weigh(self, line, timeout_s):
            nonlocal now
            now += timeout_s
            raise AdviserError(REFUSED)

    async def scenario():
        patience, told = Patience(Slow(), 60, stopwatch=lambda: now, metrics=Metrics()), []
        for _ in range(6):
            with pytest.raises(AdviserError) as refused:
                await patience.weigh(b"", now)
            told.append(str(refused.value))
        return told

    assert asyncio.run(scenario()) == [REFUSED] * 5 + [GIVEN_UP]


def test_an_adviser_that_is_late_now_and_then_is_asked_each_time(hung):
    async def scenario():
        ask, told = Asked(hung), []
        for ask.refuses in (False, False, False, False, True) * 3:
            told.append(await ask())
        hung.let_go.set()
        return told

    assert asyncio.run(scenario()) == [*[LATE] * 4, REFUSED] * 3
