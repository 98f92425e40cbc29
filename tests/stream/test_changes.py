import dataclasses
import threading
from datetime import timedelta

import pytest

from guardian.domain.batch import Change, Wanted
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.domain.signal import BaselineFact
from guardian.errors import ControlError
from guardian.store.monitor import words
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


def _all(tail):
    return sum(iter(tail.follow, 0))


def _told(rig):
    return [item.finding.title for item in rig.store.outbox.due(rig.clock(), 9) if item.finding is not None]


@pytest.mark.parametrize(("before", "heard"), [("one", 5), ("", 5), ("one", 0)])
def test_of_another_control_all_is_heard_and_people_are_told_once(rig, control, tail, monkeypatch, before, heard):
    monkeypatch.setattr(words, "WORDS_KEPT", 2)
    control.name, control.feed = before, control.feed[:heard]
    _all(tail)
    new = SessionKey("acme", "new")
    control.name, control.feed = "other", [Change(n, new, HumanWord.REVOKED, rig.clock()) for n in range(1, 4)]
    assert (_all(tail), rig.store.words.cursor()) == (3, 3)
    sessions = rig.store.load(dataclasses.replace(ONLY, sessions=frozenset({KEY, new}))).sessions
    assert sessions.keys() == ({KEY, new} if heard else {new})
    control.feed.append(Change(4, new, HumanWord.REINSTATED, rig.clock()))
    assert tail.follow() == 1
    assert rig.store.words.feed() == "other"
    [told] = _told(rig)
    assert "another database than before" in told


def test_a_control_that_says_for_the_first_time_which_it_is_says_nothing_twice(rig, control, tail):
    _all(tail)
    control.name = "one"
    assert _all(tail) == 0
    control.name = ""  # back to the older version, and on again
    control.feed.append(Change(6, KEY, HumanWord.REINSTATED, rig.clock()))
    assert _all(tail) == 1
    control.name = "one"
    assert _all(tail) == 0
    assert _told(rig) == []


def test_what_the_former_control_said_meanwhile_is_not_taken_for_the_new_ones(rig, control, tail):
    control.name = "one"
    _all(tail)
    late = Change(6, KEY, HumanWord.REINSTATED, rig.clock())

    def meanwhile(since, ask=control.changes):  # another monitor of this database hears the new control
        rig.store.words.turn_to("other", "one", None, now=rig.clock())
        return dataclasses.replace(ask(since), items=[late], feed="one")

    control.changes = meanwhile
    assert tail.follow() == 0
    assert rig.store.words.cursor() == 5


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
