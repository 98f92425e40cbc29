"""Work whose purposes leave open what is to be done: written lines, drawn sessions, and what is said of them."""

from guardian.domain.purposes import open_ended
from guardian.training import on_the_way, scenarios
from guardian.training.open_ended import DRIFTING, REPEATS, all_work, judged_sessions


def test_nearly_every_purpose_is_heard_as_one_that_constrains_nothing() -> None:
    purposes = {session.purpose for session in judged_sessions(seed=7)}
    heard = [purpose for purpose in purposes if open_ended(purpose)]
    assert len(heard) / len(purposes) > 0.8  # "go through the list for the tour" says a little


def test_hardly_any_other_written_purpose_is_heard_so() -> None:
    others = [purpose for work in (*scenarios.all_work(), *on_the_way.all_work()) for purpose in work.purposes]
    assert len([purpose for purpose in others if open_ended(purpose)]) < len(others) / 1_000


def test_each_session_comes_with_drift_and_without_and_always_the_same() -> None:
    drawn = judged_sessions(seed=7)
    half = len(all_work()) * REPEATS
    assert len(drawn) == 2 * half
    assert all(sum(action.drift for action in session.actions) == DRIFTING for session in drawn[:half])
    assert not any(action.drift for session in drawn[half:] for action in session.actions)
    assert drawn == judged_sessions(seed=7)
    assert drawn != judged_sessions(seed=8)


def test_no_tool_is_honest_in_one_kind_of_work_and_drift_in_the_same() -> None:
    for work in all_work():
        honest, drift = ({call.split("(")[0] for call in calls} for calls in (work.honest, work.drift))
        assert len(honest & drift) < len(honest), work.domain
