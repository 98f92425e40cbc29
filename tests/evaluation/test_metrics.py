"""The figures are those of the textbook, and their intervals know about repetition."""

import numpy as np
import pytest

from guardian.evaluation.metrics import RATES, separation


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


def test_rows_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one of each"):
        separation([0.1], [True, False], ["a"], seed=1)
