"""The figures are those of the textbook, and their intervals know about repetition."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_curve

from guardian.evaluation.metrics import RATES, Separation, separation


def sample(seed: int, n: int = 400) -> tuple[list[float], list[bool]]:
    rng = np.random.default_rng(seed)
    drift = rng.random(n) < 0.4
    scores = np.round(rng.normal(drift * 1.2, 1.0), 1)
    return [float(s) for s in scores], [bool(d) for d in drift]


@pytest.mark.parametrize("seed", range(5))
def test_area_and_recall_are_those_of_their_definitions_even_with_ties(seed: int) -> None:
    scores, drift = sample(seed)
    found = separation(scores, drift, [str(i) for i in range(len(scores))], seed=1, resamples=10)
    x, y = np.array(scores), np.array(drift)
    ahead = x[y][:, None] - x[~y][None, :]
    assert found.auc.value == pytest.approx(np.mean(ahead > 0) + np.mean(ahead == 0) / 2)
    for rate, recall in zip(RATES, found.recall, strict=True):
        allowed = [at for at in (*np.unique(x), np.inf) if np.mean(x[~y] >= at) <= rate]
        assert recall.value == pytest.approx(np.mean(x[y] >= min(allowed)))


def test_an_interval_holds_its_value_and_repeats_with_its_seed() -> None:
    scores, drift = sample(3)
    names = [str(i) for i in range(len(scores))]
    found, again = (separation(scores, drift, names, seed=4, resamples=200) for _ in range(2))
    assert found == again
    assert found.auc.low < found.auc.value < found.auc.high


def by_the_library(scores: list[float], drift: list[bool], names: list[str], resamples: int) -> np.ndarray:
    """Bounds of a bootstrap whose every curve scikit-learn draws."""
    cluster = np.unique(names, return_inverse=True)[1]
    groups, rng, rows = cluster.max() + 1, np.random.default_rng(6), []
    weights = [np.bincount(rng.integers(0, groups, groups), minlength=groups)[cluster] for _ in range(resamples)]
    for weight in (*weights, np.ones(len(scores))):
        if not 0 < weight @ np.array(drift) < weight.sum():
            continue
        fpr, tpr, _ = roc_curve(drift, scores, sample_weight=weight, drop_intermediate=False)
        rows.append([auc(fpr, tpr), *(tpr[fpr <= rate + 1e-12].max() for rate in RATES)])
    return np.percentile(rows, [2.5, 97.5], axis=0)


def bounds(found: Separation) -> np.ndarray:
    return np.array([[each.low, each.high] for each in (found.auc, *found.recall)]).T


ROW = st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.booleans(), st.sampled_from("abcdef"))


@given(st.lists(ROW, min_size=2))
def test_every_resample_is_measured_as_the_library_would(rows: list[tuple[float, bool, str]]) -> None:
    scores, drift, names = (list(column) for column in zip(*rows, strict=True))
    assume(len(set(drift)) == 2)
    found = separation(scores, drift, names, seed=6, resamples=20)
    assert bounds(found) == pytest.approx(by_the_library(scores, drift, names, 20))


def test_what_is_measured_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, drift = sample(2)
    names = [str(i // 3) for i in range(len(scores))]
    at_once = separation(scores, drift, names, seed=6, resamples=50)
    monkeypatch.setattr("guardian.evaluation.metrics._AT_ONCE", 3 * len(scores))
    assert separation(scores, drift, names, seed=6, resamples=50) == at_once
    assert bounds(at_once) == pytest.approx(by_the_library(scores, drift, names, 50))


def test_repeating_every_row_does_not_narrow_a_clustered_interval() -> None:
    scores, drift = sample(5, 80)
    names = [str(i) for i in range(80)]
    once = separation(scores, drift, names, seed=2, resamples=300).auc
    often = separation(scores * 10, drift * 10, names * 10, seed=2, resamples=300).auc
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.05)


def test_one_class_alone_has_no_area() -> None:
    found = separation([0.1, 0.2], [False, False], ["a", "b"], seed=1, resamples=5)
    assert np.isnan(found.auc.value)


def test_nothing_at_all_has_no_area() -> None:
    assert np.isnan(separation([], [], [], seed=1).auc.value)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        separation([0.1, score], [False, True], ["a", "b"], seed=1)


def test_rows_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one of each"):
        separation([0.1], [True, False], ["a"], seed=1)
