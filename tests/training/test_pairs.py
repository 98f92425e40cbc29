"""Training examples are seeded, balanced and never call an honest call drift."""

from collections import Counter
from dataclasses import replace

import pytest

from guardian.embedding.consequence import Consequence
from guardian.embedding.fusion import FEATURES
from guardian.embedding.text import render_action
from guardian.training.folds import families, folds
from guardian.training.fusing import KEPT, Row, fit_fusion
from guardian.training.on_the_way import on_the_way_sessions
from guardian.training.pairs import HONEST, SWAPPED, examples, slug
from guardian.training.scenarios import all_work, parse, scenario_sessions


def test_examples_repeat_with_their_seed_and_change_with_another() -> None:
    sessions = scenario_sessions(seed=1, repeats=1)
    assert examples(sessions, seed=3) == examples(sessions, seed=3)
    assert examples(sessions, seed=3) != examples(sessions, seed=4)


def test_labels_become_targets_and_swapped_calls_are_weighed_by_what_they_can_do() -> None:
    found = examples(scenario_sessions(seed=1, repeats=2), seed=3)
    kinds = Counter(e.kind for e in found)
    assert kinds["honest"] > 100
    assert kinds["attack"] > 50
    assert kinds["domain"] > 20
    assert all(e.target == HONEST for e in found if e.kind == "honest")
    assert SWAPPED[Consequence.READ] < SWAPPED[Consequence.WRITE] < SWAPPED[Consequence.ACT]


def test_what_nobody_judged_is_an_example_of_nothing_and_stands_before_those_that_are() -> None:
    sessions = scenario_sessions(seed=1, repeats=1)
    mute = [
        replace(s, actions=(replace(s.actions[0], tool="nobody.knows", label="unknown"), *s.actions[1:]))
        for s in sessions
    ]
    found = examples(mute, seed=3)
    assert len(found) > 100
    assert "nobody.knows" not in {e.request.tool for e in found}
    assert "nobody.knows" in {tool for e in found for tool in e.request.before}


def test_a_swapped_call_is_never_one_that_the_same_work_makes_honestly() -> None:
    sessions = scenario_sessions(seed=2, repeats=4)
    work = {s.purpose: s.work for s in sessions}
    own = {(s.work, render_action(a.tool, a.arguments)) for s in sessions for a in s.actions if not a.drift}
    swapped = [e for e in examples(sessions, seed=3) if e.kind in ("domain", "dataset", "foreign")]
    calls = {(work.get(e.request.purpose), render_action(e.request.tool, e.request.arguments)) for e in swapped}
    assert len(calls) > 100
    assert not calls & own


def test_repetition_of_one_purpose_is_capped() -> None:
    sessions = scenario_sessions(seed=2, repeats=1)[:1] * 50
    assert sum(e.kind in ("honest", "attack") for e in examples(sessions, seed=1, cap=10)) == 10


def test_a_slug_keeps_the_words_that_matter() -> None:
    assert slug("Please review the contract of Acme for renewal risk.") == "review_contract_acme_renewal_risk"


def test_scenarios_fill_every_slot_and_name_tools_in_many_styles() -> None:
    sessions = scenario_sessions(seed=5, repeats=4)
    texts = [render_action(a.tool, a.arguments) + s.purpose for s in sessions for a in s.actions]
    assert not [text for text in texts if "{" in text]
    tools = {a.tool for s in sessions for a in s.actions}
    assert any("." in t for t in tools)
    assert any("_" in t for t in tools)
    assert any(t[0].isupper() for t in tools)
    assert any(s.drift for s in sessions)
    assert any(not s.drift for s in sessions)
    assert any(" " not in s.purpose for s in sessions)


def test_every_kind_of_work_has_honest_and_drifting_calls() -> None:
    for work in all_work():
        assert len(work.honest) >= 3, work
        assert len(work.drift) >= 3, work


def test_a_line_that_is_not_notation_is_quoted() -> None:
    for line in ("just words", "desk: a purpose :: a.read()", "desk: a purpose :: a.b() :: c.d() :: e.f()"):
        with pytest.raises(ValueError, match=f"2 fields of calls: '{line[:9]}"):
            parse(line)


def test_data_sets_of_one_world_are_held_out_together() -> None:
    base = scenario_sessions(seed=1, repeats=1)

    def named(name: str, start: int, stop: int) -> list:
        return [s.__class__(name, s.session_id, s.domain, s.purpose, s.actions) for s in base[start:stop]]

    sessions = named("big", 0, 20) + named("twin", 0, 8) + named("mid", 20, 30) + named("small", 30, 34)
    assert ("big", "twin") in families(sessions)
    work = [*scenario_sessions(seed=2, repeats=1), *on_the_way_sessions(seed=2, repeats=1)]
    written = {s.dataset for s in work}
    for fold in folds(sessions, work):
        inside, outside = {s.dataset for s in fold.train}, {s.dataset for s in fold.held}
        assert {"big", "twin"} <= inside
        assert inside & outside == written
        domains = [{s.domain for s in part if s.dataset in written} for part in (fold.train, fold.held)]
        assert not domains[0] & domains[1]


def test_what_a_session_to_train_on_declares_is_unseen_in_no_fold() -> None:
    big, *rest = scenario_sessions(seed=1, repeats=1)
    sessions = [replace(big, dataset="big")]
    for name in ("a", "b"):
        sessions += [replace(rest[0], dataset=name, purpose=told, actions=()) for told in (name, big.purpose)]
    for fold in folds(sessions, ()):
        assert big.purpose in {session.purpose for session in fold.train}
        assert fold.unseen == [session.dataset for session in fold.held if session.purpose != big.purpose]


def row(target: float, dataset: str = "a", **features: float) -> Row:
    return Row(tuple(features.get(name, 0.0) for name in FEATURES), target, dataset)


def test_a_feature_that_points_the_wrong_way_gets_no_weight_and_a_telling_one_does() -> None:
    rows = [row(0.97, logit=2 + n / 50, closed=0.1) for n in range(40)]
    rows += [row(0.02, logit=-2 + n / 50, closed=0.9) for n in range(40)]
    fusion = fit_fusion(rows)
    weights = dict(zip(FEATURES, fusion.weights, strict=True))
    assert weights["logit"] > 0
    assert weights["closed"] == 0
    assert fusion.score(rows[0].features) > 0.7 > 0.3 > fusion.score(rows[-1].features)


def test_an_ablated_feature_gets_no_weight() -> None:
    rows = [row(0.97, logit=1.0, distance=1.0), row(0.02)] * 20
    fusion = fit_fusion(rows, without=frozenset({"logit"}))
    weights = dict(zip(FEATURES, fusion.weights, strict=True))
    assert weights["logit"] == 0 < weights["distance"]


def test_a_large_data_set_weighs_no_more_than_a_small_one() -> None:
    small = [row(0.97, "small", distance=1.0), row(0.02, "small")] * 20
    large = [row(0.97, "large", fresh=1.0), row(0.02, "large")] * 200
    weights = dict(zip(FEATURES, fit_fusion([*small, *large]).weights, strict=True))
    assert weights["distance"] == pytest.approx(weights["fresh"], rel=0.4)


def test_what_an_act_can_do_keeps_the_part_of_its_weight_that_is_stated() -> None:
    rows = [row(0.97, distance=1.0, consequence=1.0), row(0.02)] * 20
    weights = dict(zip(FEATURES, fit_fusion(rows).weights, strict=True))
    assert weights["consequence"] == pytest.approx(KEPT["consequence"] * weights["distance"])
