"""Work with what lies beside it: honest look-ups that no purpose names, and stray ones."""

from collections import Counter, defaultdict

import pytest

from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.text import render_action
from guardian.training.on_the_way import (
    DATASET,
    REPEATS,
    all_work,
    judged_sessions,
    on_the_way_sessions,
    parse,
    stray,
)
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
    for line in (
        "just words",
        "desk: a purpose :: a.read() :: b.read()",
        "no purpose :: a.b() :: c.d() :: e.f() :: g.h()",
    ):
        with pytest.raises(ValueError, match=f"4 fields of calls: '{line[:9]}"):
            parse(line)


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


@pytest.mark.slow
def test_a_stray_look_up_is_doubtful_and_an_act_that_drifts_an_attack() -> None:
    sessions = on_the_way_sessions(seed=5, repeats=1)
    places = [(session, index) for session in sessions for index in range(len(session.actions))]
    assert any(stray(*place) for place in places)
    assert not any(stray(session, index) and not session.actions[index].drift for session, index in places)
    targets: dict[tuple[str, Consequence], Counter[float]] = defaultdict(Counter)
    for example in examples(sessions, seed=3):
        request = example.request
        targets[example.kind, consequence(request.tool, request.arguments)][example.target] += 1
    assert set(targets["honest", Consequence.READ]) == {HONEST}
    assert targets["attack", Consequence.READ][DOUBTFUL] > 20 * targets["attack", Consequence.READ][ATTACK]
    assert targets["attack", Consequence.ACT][ATTACK] > targets["attack", Consequence.ACT][DOUBTFUL]


def test_a_drifting_look_up_of_another_data_set_is_not_stray() -> None:
    sessions = scenario_sessions(seed=5, repeats=1)
    assert not any(stray(session, index) for session in sessions for index in range(len(session.actions)))


def test_judged_are_sessions_of_a_training_and_the_honest_calls_of_each() -> None:
    judged, trained = judged_sessions(seed=7), on_the_way_sessions(seed=7, repeats=REPEATS)
    assert len({session.session_id for session in judged}) == len(judged) == 2 * len(all_work())
    assert {session.purpose for session in judged} <= {session.purpose for session in trained}
    honest = [session for session in judged if not session.drift]
    assert len(honest) == len(all_work())
    whole = {session.session_id: session for session in judged}
    for session in honest:
        drawn = whole[session.session_id.removesuffix("/honest")]
        assert session.actions == tuple(action for action in drawn.actions if not action.drift)
