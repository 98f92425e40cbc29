"""Work with what lies beside it: honest look-ups that no purpose names, and stray ones."""

import pytest

from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.text import render_action
from guardian.training.on_the_way import DATASET, all_work, on_the_way_sessions, parse, stray
from guardian.training.pairs import ATTACK, DOUBTFUL, HONEST, examples
from guardian.training.scenarios import scenario_sessions


def test_every_kind_of_work_has_calls_of_all_four_sorts() -> None:
    works = all_work()
    assert len(works) > 800
    for work in works:
        assert len(work.purposes) >= 2, work
        assert min(map(len, (work.needed, work.passing, work.stray, work.drift))) >= 3, work


def test_no_call_of_a_kind_of_work_is_both_honest_and_drifting() -> None:
    for work in all_work():
        assert not {*work.needed, *work.passing} & {*work.stray, *work.drift}, work


def test_a_line_that_is_not_notation_is_quoted() -> None:
    with pytest.raises(ValueError, match="just words"):
        parse("just words")


def test_sessions_repeat_with_their_seed_and_fill_every_slot() -> None:
    sessions = on_the_way_sessions(seed=5, repeats=1)
    assert sessions == on_the_way_sessions(seed=5, repeats=1)
    assert sessions != on_the_way_sessions(seed=6, repeats=1)
    texts = [render_action(a.tool, a.arguments) + s.purpose for s in sessions for a in s.actions]
    assert not [text for text in texts if "{" in text]
    assert {session.dataset for session in sessions} == {DATASET}


def test_the_same_tool_is_honest_in_one_kind_of_work_and_stray_in_another() -> None:
    works = all_work()
    honest = {call.split("(")[0] for work in works for call in (*work.needed, *work.passing)}
    elsewhere = {call.split("(")[0] for work in works for call in work.stray}
    assert len(honest & elsewhere) > 300


def test_a_stray_look_up_is_doubtful_and_an_act_that_drifts_an_attack() -> None:
    sessions = on_the_way_sessions(seed=5, repeats=1)
    places = [(session, index) for session in sessions for index in range(len(session.actions))]
    assert any(stray(*place) for place in places)
    assert not any(stray(session, index) and not session.actions[index].drift for session, index in places)
    for example in examples(sessions, seed=3):
        reads = consequence(example.request.tool, example.request.arguments) == Consequence.READ
        if example.kind == "attack" and example.request.arguments and reads:
            assert example.target == DOUBTFUL
        elif example.kind in ("honest", "attack"):
            assert example.target in (HONEST, DOUBTFUL, ATTACK)


def test_a_drifting_look_up_of_another_data_set_is_not_stray() -> None:
    sessions = scenario_sessions(seed=5, repeats=1)
    assert not any(stray(session, index) for session in sessions for index in range(len(session.actions)))
