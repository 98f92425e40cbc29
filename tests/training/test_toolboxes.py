"""Toolboxes: every call graded under every purpose, the same call needed here and stray there."""

from collections import Counter, defaultdict

import pytest

from guardian.domain.purposes import open_ended
from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.text import render_action
from guardian.training import toolboxes
from guardian.training.graded import CLEARLY_NOT, STEP, mixed
from guardian.training.pairs import examples
from guardian.training.toolboxes import (
    ABOUT_ACTS,
    DATASET,
    DRAWN,
    GERMAN,
    JUDGED,
    LOOK_UPS,
    OWN_OBJECT,
    PURPOSES,
    REACH,
    STRAY,
    UNNAMED,
    UNSEEN,
    all_toolboxes,
    judged_sessions,
    parse,
    toolbox_grades,
    toolbox_sessions,
)

BOX = (
    "# desk\n1 note.get()\n2 note.send(to={mail})\n3 log.list()\n> read it :: 0: 1 :: 4: 3\n> send :: 1: 1 :: 0: 2"
)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every twentieth toolbox; to draw from all of them takes seconds."""
    boxes = {dataset: all_toolboxes(dataset)[::20] for dataset in (DATASET, *sorted(ABOUT_ACTS))}
    monkeypatch.setattr("guardian.training.toolboxes.all_toolboxes", boxes.__getitem__)


def test_a_call_that_a_purpose_does_not_list_is_clearly_not_part_of_it() -> None:
    (box,) = parse(BOX)
    assert box.domain == "desk"
    assert box.calls == ("note.get()", "note.send(to={mail})", "log.list()")
    assert box.purposes == {"read it": (0, CLEARLY_NOT, 4), "send": (1, 0, CLEARLY_NOT)}


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("desk\n1 a.b()\n> read :: 0: 1", "not a toolbox: 'desk'"),
        ("# desk\n1 a.b()", "not a toolbox: '# desk'"),
        ("# desk\n2 a.b()\n> read :: 0: 2", "neither the next call nor a purpose: '2 a.b"),
        ("# desk\n1 a.b()\n> read :: 0: 2", "call 2 is graded twice or is none"),
        ("# desk\n1 a.b()\n> read :: 0: 1 :: 4: 1", "call 1 is graded twice or is none"),
        ("# desk\n1 a.b()\n> read :: 5: 1", "not grades of calls"),
        ("# desk\n1 a.b()\n> read :: 0: one", "not grades of calls"),
        ("# desk\n1 a.b()\n> read :: 0: 1\n> read :: 4: 1", "a purpose stands there twice: 'read'"),
    ],
)
def test_what_is_no_toolbox_is_quoted(block: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(block)


def test_nearly_every_call_is_needed_by_some_purpose_and_stray_under_others() -> None:
    boxes = all_toolboxes(DATASET)
    assert len(boxes) > 900
    calls = [grades for box in boxes for grades in zip(*box.purposes.values(), strict=True)]
    assert sum(min(grades) <= STEP and max(grades) == CLEARLY_NOT for grades in calls) > 0.97 * len(calls)
    assert all(min(grades) <= STEP for box in boxes for grades in box.purposes.values())


def test_what_is_done_with_the_purposes_own_object_is_asked_for_here_and_clearly_not_there() -> None:
    boxes = all_toolboxes(OWN_OBJECT)
    assert len(boxes) > 300
    calls = [grades for box in boxes for grades in zip(*box.purposes.values(), strict=True)]
    assert sum(min(grades) <= STEP and max(grades) == CLEARLY_NOT for grades in calls) > 0.75 * len(calls)
    assert all(min(grades) <= STEP for box in boxes for grades in box.purposes.values())
    judged = judged_sessions(seed=5, dataset=OWN_OBJECT)
    stray = [call for session in judged for call in session.actions if call.drift]
    assert {session.dataset for session in judged} == {OWN_OBJECT}
    assert sum(consequence(call.tool, call.arguments) == Consequence.READ for call in stray) < 0.1 * len(stray)


def test_most_work_with_unnamed_acts_needs_one_that_is_clearly_wrong_elsewhere() -> None:
    boxes = all_toolboxes(UNNAMED)
    assert len(boxes) > 150
    steps = [STEP in grades for box in boxes for grades in box.purposes.values()]
    assert sum(steps) > 0.75 * len(steps)
    acts = [
        grades
        for box in boxes
        for call, grades in zip(box.calls, zip(*box.purposes.values(), strict=True), strict=True)
        if STEP in grades and consequence(call.split("(")[0], None) != Consequence.READ
    ]
    assert sum(max(grades) == CLEARLY_NOT for grades in acts) > 0.97 * len(acts)


def test_look_ups_are_needed_by_some_purpose_that_does_not_name_them_and_stray_under_others() -> None:
    boxes = all_toolboxes(LOOK_UPS)
    assert len(boxes) >= 100
    looks = [
        grades
        for box in boxes
        for call, grades in zip(box.calls, zip(*box.purposes.values(), strict=True), strict=True)
        if consequence(call.split("(")[0], None) == Consequence.READ
    ]
    assert len(looks) > 0.65 * sum(len(box.calls) for box in boxes)
    assert sum(min(grades) <= STEP and max(grades) == CLEARLY_NOT for grades in looks) > 0.97 * len(looks)
    steps = [STEP in grades for box in boxes for grades in box.purposes.values()]
    assert sum(steps) > 0.7 * len(steps)


def test_german_purposes_keep_their_umlauts_also_as_slugs() -> None:
    boxes = all_toolboxes(GERMAN)
    assert len(boxes) >= 80
    told = [purpose for box in boxes for purpose in box.purposes]
    assert sum(not purpose.isascii() for purpose in told) > 0.4 * len(told)
    slugs = [s.purpose for s in judged_sessions(seed=5, dataset=GERMAN) if " " not in s.purpose]
    assert sum(not purpose.isascii() for purpose in slugs) > 0.2 * len(slugs) > 5


@pytest.mark.usefixtures("few")
def test_of_what_models_are_judged_by_unseen_nothing_is_trained_on() -> None:
    drawn = {session.dataset for session in toolbox_sessions(seed=5)}
    assert drawn == {each.example.dataset for each in toolbox_grades(seed=5)} == {DATASET, *ABOUT_ACTS}
    assert not drawn & UNSEEN


def test_what_reaches_further_is_told_apart_by_arguments() -> None:
    boxes = all_toolboxes(REACH)
    assert len(boxes) > 100
    twins = [Counter(call.split("(")[0] for call in box.calls) for box in boxes]
    shared = sum(count for tools in twins for count in tools.values() if count > 1)
    assert shared > 0.6 * sum(len(box.calls) for box in boxes)


def test_no_domain_stands_there_twice() -> None:
    domains = [box.domain for dataset in (DATASET, *sorted(ABOUT_ACTS | UNSEEN)) for box in all_toolboxes(dataset)]
    assert len(set(domains)) == len(domains)


@pytest.mark.usefixtures("few")
def test_most_calls_are_look_ups_by_their_names() -> None:
    kinds = [
        consequence(call.tool, call.arguments) == Consequence.READ
        for session in toolbox_sessions(seed=5)
        for call in session.actions
        if session.dataset == DATASET
    ]
    assert 0.5 < sum(kinds) / len(kinds) < 0.9


def test_no_purpose_is_heard_as_one_that_constrains_nothing() -> None:
    boxes = [box for dataset in (DATASET, *ABOUT_ACTS, *UNSEEN) for box in all_toolboxes(dataset)]
    assert not [purpose for box in boxes for purpose in box.purposes if open_ended(purpose)]


@pytest.mark.usefixtures("few")
def test_sessions_and_grades_repeat_with_their_seed_and_fill_every_slot() -> None:
    sessions, grades = toolbox_sessions(seed=5), toolbox_grades(seed=5)
    assert (sessions, grades) == (toolbox_sessions(seed=5), toolbox_grades(seed=5))
    assert sessions != toolbox_sessions(seed=6)
    assert {each.example.request.purpose for each in grades} <= {session.purpose for session in sessions}
    texts = [render_action(a.tool, a.arguments) + s.purpose for s in sessions for a in s.actions]
    assert not [text for text in texts if "{" in text]


@pytest.mark.usefixtures("few")
def test_as_many_purposes_of_each_toolbox_are_drawn_as_said() -> None:
    sizes = Counter(session.domain for session in toolbox_sessions(seed=5))
    boxes = [box for dataset in (DATASET, *sorted(ABOUT_ACTS)) for box in toolboxes.all_toolboxes(dataset)]
    assert sizes == {box.domain: min(PURPOSES, len(box.purposes)) for box in boxes}


@pytest.mark.usefixtures("few")
def test_as_many_calls_of_each_grade_are_drawn_as_said() -> None:
    drawn: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in toolbox_grades(seed=5):
        drawn[each.home[1], each.example.request.purpose].append(each.grade)
    steps = Counter(
        (each.home, each.example.request.purpose) for each in toolbox_grades(seed=5) if each.grade == STEP
    )
    assert {place: max(n for (home, _), n in steps.items() if home[0] == place) for place in (UNNAMED, REACH)} == {
        UNNAMED: 2,
        REACH: 1,
    }
    unnamed = {each.home[1] for each in toolbox_grades(seed=5) if each.home[0] == UNNAMED}
    drawn = {name: grades for name, grades in drawn.items() if name[0] not in unnamed}
    for wanted, most in DRAWN:
        counts = {sum(grade in wanted for grade in grades) for grades in drawn.values()}
        assert max(counts) == most, wanted
    assert {each.example.dataset for each in toolbox_grades(seed=5)} == {DATASET, *ABOUT_ACTS}


@pytest.mark.usefixtures("few")
def test_what_came_before_a_call_are_calls_that_the_purpose_needs() -> None:
    needed = {(s.domain, s.purpose): {a.tool for a in s.actions} for s in toolbox_sessions(seed=5)}
    grades = toolbox_grades(seed=5)
    assert any(each.example.request.before for each in grades)
    assert all(
        set(each.example.request.before) <= needed[each.home[1], each.example.request.purpose] for each in grades
    )


@pytest.mark.usefixtures("few")
def test_grades_take_the_place_of_guesses_and_held_out_toolboxes_are_not_trained_on() -> None:
    sessions = toolbox_sessions(seed=5)
    shown = [session for session in sessions if session.domain < "m"]
    kinds = {e.kind for e in mixed(examples(shown, seed=3), toolbox_grades(seed=5), shown, seed=3)}
    assert "graded" in kinds
    assert not kinds & {"domain", "dataset"}
    held = {session.purpose for session in sessions} - {session.purpose for session in shown}
    assert held
    assert not held & {e.request.purpose for e in mixed([], toolbox_grades(seed=5), shown, seed=3)}


@pytest.mark.usefixtures("few")
def test_judged_are_needed_calls_with_stray_ones_among_them_and_alone() -> None:
    drawn = [session for session in toolbox_sessions(seed=7) if session.dataset == DATASET]
    judged = judged_sessions(seed=7)
    assert judged == judged_sessions(seed=7)
    drifting, honest = judged[: len(judged) // 2], judged[len(judged) // 2 :]
    assert len(drifting) == len(honest) == min(JUDGED, len(drawn))
    needed = {s.session_id: s.actions for s in drawn}
    assert all(s.actions == needed[s.session_id.removesuffix("/honest")] for s in honest)
    assert all(sum(action.drift for action in session.actions) == STRAY for session in drifting)
    kept = [tuple(action for action in session.actions if not action.drift) for session in drifting]
    assert kept == [session.actions for session in honest]
    assert [s.purpose for s in drifting] == [s.purpose for s in honest]
