import threading
from datetime import timedelta

import pytest

from guardian.domain.batch import Change, Wanted
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.domain.signal import BaselineFact
from guardian.errors import ControlError
from guardian.stream.changes import ChangeTail
from guardian.stream.housekeeping import Housekeeping

KEY = SessionKey("acme", "s1")
ONLY = Wanted(frozenset({KEY}), frozenset(), frozenset(), frozenset())


@pytest.fixture
def tail(rig, control):
    control.feed = [Change(n, KEY, HumanWord.REINSTATED, rig.clock()) for n in range(1, 6)]
    return ChangeTail(words=rig.store.words, client=control, clock=rig.clock, idle_s=0.005, max_backoff_s=0.01)


def test_words_are_followed_page_by_page_to_the_newest(rig, tail):
    assert [tail.follow() for _ in range(4)] == [2, 2, 1, 0]
    assert rig.store.words.cursor() == 5
    assert KEY in rig.store.load(ONLY).sessions


def test_the_loop_survives_an_absent_control_and_stops_when_told(rig, control, tail):
    control.answers = [ControlError("no route")] * 4
    rig.read(tail, lambda: rig.store.words.cursor() == 5)


@pytest.mark.parametrize(("answers", "heard"), [([], 5), ([ControlError("no route")], 0)])
def test_who_waits_goes_on_once_all_words_are_read_or_control_gave_no_answer(rig, control, heard, answers):
    control.answers = answers
    control.feed = [Change(n, KEY, HumanWord.REINSTATED, rig.clock()) for n in range(1, 6)]
    tail = ChangeTail(words=rig.store.words, client=control, clock=rig.clock, idle_s=60)
    assert tail.wait(0) is False
    stop = threading.Event()
    loop = threading.Thread(target=tail.run, args=(stop,))
    loop.start()
    assert tail.wait(30) is True
    assert rig.store.words.cursor() == heard
    stop.set()
    loop.join()


def test_housekeeping_forgets_what_is_old(rig, tail):
    tail.follow()
    rig.clock.forward(timedelta(days=400).total_seconds())

    def learn(last, tallies):
        return BaselineFact("", 1, {}, {}, (), (0,) * 24)

    ahead = timedelta(days=400)
    Housekeeping(store=rig.store, learn=learn, clock=rig.clock, sure=lambda now: now - ahead).tidy()
    assert rig.store.load(ONLY).sessions, "but not by a clock that went ahead"
    Housekeeping(store=rig.store, learn=learn, clock=rig.clock).tidy()
    assert rig.store.load(ONLY).sessions == {}
