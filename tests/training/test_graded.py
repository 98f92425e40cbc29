"""Graded calls: found again in the sessions they were graded in, and nowhere else."""

import json
from collections import Counter
from dataclasses import replace
from importlib.resources import files

import pytest

from guardian.embedding.consequence import Consequence, consequence
from guardian.evaluation.sessions import LabelledSession
from guardian.training import graded as module
from guardian.training.graded import GUESSED, KIND, Graded, digest, graded, mixed
from guardian.training.pairs import examples, slug
from guardian.training.scenarios import scenario_sessions


@pytest.fixture(scope="module")
def written() -> list[Graded]:
    """Those of the written scenarios: the only ones whose sessions lie here."""
    return graded([])


def half(sessions: list[LabelledSession]) -> list[LabelledSession]:
    domains = sorted({session.domain for session in sessions})
    return [session for session in sessions if domains.index(session.domain) % 2]


def test_every_grade_of_the_written_scenarios_is_found_again(written: list[Graded]) -> None:
    lines = [json.loads(line) for line in (files("guardian.training") / "graded.jsonl").read_text().splitlines()]
    told = [
        line
        for line in lines
        if all(name.startswith("scenarios:") for name in (line["session"], *(call[0] for call in line["calls"])))
    ]
    assert len(told) > 100
    assert len(written) == sum(len(line["calls"]) for line in told)
    assert {each.grade for each in written} == set(range(6))


def test_a_higher_grade_is_a_higher_target_and_look_ups_are_less_sure(written: list[Graded]) -> None:
    targets: dict[tuple[bool, int], set[float]] = {}
    for each in written:
        request = each.example.request
        reads = consequence(request.tool, request.arguments) == Consequence.READ
        targets.setdefault((reads, each.grade), set()).add(each.example.target)
    assert all(len(found) == 1 for found in targets.values())
    for reads in (True, False):
        in_order = [targets[reads, grade].copy().pop() for grade in range(6)]
        assert in_order == sorted(in_order)
    assert max(targets[True, 5]) < max(targets[False, 5])


def test_what_is_not_what_was_graded_is_left_out(written: list[Graded], monkeypatch: pytest.MonkeyPatch) -> None:
    assert written
    other = [replace(s, purpose=f"soon {s.purpose}") for s in scenario_sessions(seed=7, repeats=6)]
    monkeypatch.setattr(module, "scenario_sessions", lambda **_: other)
    assert graded([]) == []


def test_a_digest_tells_purpose_past_and_calls_apart() -> None:
    actions = scenario_sessions(seed=7, repeats=1)[0].actions
    one, two = actions[:1], actions[1:2]
    told = [digest("p", one, two), digest("q", one, two), digest("p", two, one), digest("p", (), (*one, *two))]
    assert len(set(told)) == len(told)


def test_graded_calls_take_the_place_of_guessed_ones(written: list[Graded]) -> None:
    sessions = scenario_sessions(seed=7, repeats=2)
    made = examples(sessions, seed=3)
    kinds, before = Counter(e.kind for e in mixed(made, written, sessions, seed=3)), Counter(e.kind for e in made)
    assert kinds[KIND] == len(written)
    assert not kinds.keys() & GUESSED
    assert sum(kinds.values()) - kinds[KIND] == sum(n for kind, n in before.items() if kind not in GUESSED)


def test_without_grades_examples_stay_as_they_were() -> None:
    sessions = scenario_sessions(seed=7, repeats=1)
    made = examples(sessions, seed=3)
    assert Counter(map(str, mixed(made, [], sessions, seed=3))) == Counter(map(str, made))


def test_a_few_graded_calls_drive_out_no_guesses(written: list[Graded]) -> None:
    sessions = scenario_sessions(seed=7, repeats=2)
    made = examples(sessions, seed=3)
    kinds = Counter(e.kind for e in mixed(made, written[:20], sessions, seed=3))
    assert kinds[KIND] == 20
    assert all(kinds[kind] == sum(e.kind == kind for e in made) > 0 for kind in GUESSED)


def test_nothing_of_what_is_held_out_is_trained_on(written: list[Graded]) -> None:
    sessions = half(scenario_sessions(seed=7, repeats=6))
    purposes = {session.purpose for session in sessions}
    shown = mixed([], written, sessions, seed=3)
    assert 0 < len(shown) < len(written)
    assert {e.request.purpose for e in shown} <= purposes | set(map(slug, purposes))
    assert {e.request.tool for e in shown} <= {a.tool for session in sessions for a in session.actions}
