"""The figures are those of the textbook, and their intervals know about repetition."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, norm
from sklearn.metrics import auc, roc_curve

from guardian.evaluation.metrics import RATES, Separation, separation, share


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


@pytest.mark.parametrize(("most", "some", "end"), [(2.0, 0.975, 1.0), (-1.0, 0.935, 0.0)])
def test_an_interval_never_falls_while_the_recall_rises(most: float, some: float, end: float) -> None:
    """What four acts leave open where all are caught, or none, they leave open where all but a few are."""
    honest, drift = [n / 100 for n in range(100)], [most] * 60 + [some] * 4
    acts = [""] * 100 + [str(n % 4) for n in range(64)]
    names = [f"honest {n}" for n in range(100)] + [f"drift {n // 4}" for n in range(64)]
    found = separation([*honest, *drift], [False] * 100 + [True] * 64, names, acts=acts, seed=7).recall
    assert {each.value == end for each in found} == {True, False}
    for bounds in ([each.low for each in found], [each.high for each in found]):
        assert bounds == sorted(bounds)
    assert all(each.low <= each.value <= each.high for each in found)


def test_an_interval_holds_its_value_and_repeats_with_its_seed() -> None:
    scores, drift = sample(3)
    names = [str(i) for i in range(len(scores))]
    found, again = (separation(scores, drift, names, seed=4, resamples=200) for _ in range(2))
    assert found == again
    assert found.auc.low < found.auc.value < found.auc.high


def by_the_library(
    scores: list[float], drift: list[bool], names: list[str], resamples: int, acts: list[str] | None = None
) -> np.ndarray:
    """Bounds of a bootstrap, row by row as Owen says, whose every curve scikit-learn draws."""
    rng, rows = np.random.default_rng(6), []
    (of_acts,) = rng.spawn(1)
    does = acts or [""] * len(names)
    under = {act: {name for name, other in zip(names, does, strict=True) if other == act} for act in does if act}
    weights = [np.ones(len(scores))]
    for _ in range(resamples):
        drawn = [str(np.unique(names)[at]) for at in rng.integers(0, len(set(names)), len(set(names)))]
        done = [sorted(under)[at] for at in of_acts.integers(0, len(under), len(under))] if under else []
        weights.append(
            np.array(
                [
                    drawn.count(name) * (done.count(act) if len(under.get(act, ())) > 1 else 1)
                    for name, act in zip(names, does, strict=True)
                ]
            )
        )
    for weight in weights:
        if not 0 < weight @ np.array(drift) < weight.sum():
            continue
        fpr, tpr, _ = roc_curve(drift, scores, sample_weight=weight, drop_intermediate=False)
        rows.append([auc(fpr, tpr), *(tpr[fpr <= rate + 1e-12].max() for rate in RATES)])
    return np.percentile(rows, [2.5, 97.5], axis=0)


def bounds(found: Separation) -> np.ndarray:
    return np.array([[each.low, each.high] for each in (found.auc, *found.recall)]).T


def opened(bounds: np.ndarray, found: Separation, cases: int) -> np.ndarray:
    """An area with what so many cases leave open that are parted whole, or not once; a recall with its exact
    bounds."""
    caught = np.array([each.value for each in found.recall]) * cases
    low = [beta.ppf(0.025, cases, 1), *np.where(caught > 0, beta.ppf(0.025, caught, cases - caught + 1), 0)]
    high = [beta.ppf(0.975, 1, cases), *np.where(caught < cases, beta.ppf(0.975, caught + 1, cases - caught), 1)]
    return np.array([np.minimum(bounds[0], low), np.maximum(bounds[1], high)])


def rising(bounds: np.ndarray) -> np.ndarray:
    """With the bounds of a recall at one rate where they are wider than at those above, or below."""
    low, high = bounds[:, 1:]
    bounds[0, 1:] = [low[at:].min() for at in range(len(low))]
    bounds[1, 1:] = [high[: at + 1].max() for at in range(len(high))]
    return bounds


@pytest.mark.parametrize("cases", [1, 2, 60, 1_000])
def test_a_share_is_no_surer_than_so_many_independent_cases(cases: int) -> None:
    names = [str(n) for n in range(cases)]
    for hits in {0, 1, 2, 5, cases // 2, cases - 1, cases} & set(range(cases + 1)):
        found = share([n < hits for n in range(cases)], names, seed=7)
        exact = binomtest(hits, cases).proportion_ci()
        assert found.low <= exact.low + 1e-9
        assert found.high >= exact.high - 1e-9


@pytest.mark.parametrize(("cases", "rate"), [(60, 0.06), (200, 0.018), (1_000, 0.0036), (60, 0.94), (40, 0.3)])
def test_nineteen_in_twenty_intervals_hold_a_rare_share(cases: int, rate: float) -> None:
    names, covered = [str(n) for n in range(cases)], 0.0
    for hits in np.flatnonzero(binom.pmf(range(cases + 1), cases, rate) > 1e-6):
        found = share([n < hits for n in range(cases)], names, seed=7, resamples=100)
        covered += binom.pmf(hits, cases, rate) * (found.low <= rate <= found.high)
    assert 0.95 <= covered < 0.998


def test_nineteen_in_twenty_intervals_hold_a_rare_share_of_purposes_of_unlike_size() -> None:
    """All sessions of a purpose go the same way: no more is known than of so many purposes."""
    rng, covered = np.random.default_rng(3), 0
    for _ in range(300):
        sizes, flagged = rng.integers(1, 8, 60), rng.random(60) < 0.05
        names = [str(n) for n in np.repeat(range(60), sizes)]
        found = share(np.repeat(flagged, sizes), names, seed=7, resamples=60)
        covered += found.low <= 0.05 <= found.high
    assert covered >= 0.94 * 300


def test_nineteen_in_twenty_intervals_hold_an_area_near_the_end() -> None:
    rng, drift = np.random.default_rng(3), [False] * 60 + [True] * 20
    names, area, covered = [str(n) for n in range(80)], norm.cdf(3 / 2**0.5), 0
    for _ in range(200):
        found = separation([*rng.normal(0, 1, 60), *rng.normal(3, 1, 20)], drift, names, seed=7, resamples=60).auc
        covered += found.low <= area <= found.high
    assert covered >= 0.95 * 200


@pytest.mark.parametrize(("honest", "drifting"), [(2, 9), (9, 3)])
def test_a_few_cases_that_are_parted_whole_leave_much_open_of_the_area_too(honest: int, drifting: int) -> None:
    scores, drift = [float(n) for n in range(honest + drifting)], [False] * honest + [True] * drifting
    names = [str(n) for n in range(honest + drifting)]
    left = pytest.approx(0.025 ** (1 / min(honest, drifting)))
    parted = separation(scores, drift, names, seed=7)
    assert [(each.value, each.low, each.high) for each in (parted.auc, *parted.recall)] == [(1.0, left, 1.0)] * 6
    turned = separation([-each for each in scores], drift, names, seed=7).auc
    assert (turned.value, turned.low, 1 - turned.high) == (0.0, 0.0, left)


def test_a_few_drifting_cases_that_were_all_caught_or_all_missed_leave_much_open() -> None:
    scores, drift = [float(n) for n in range(24)], [False] * 20 + [True] * 4
    names = [str(n) for n in range(24)]
    caught = separation(scores, drift, names, seed=7).recall[2]
    assert (caught.value, caught.low, caught.high) == (1.0, pytest.approx(0.025**0.25), 1.0)
    missed = separation([-each for each in scores], drift, names, seed=7).recall[2]
    assert (missed.value, missed.low, missed.high) == (0.0, 0.0, pytest.approx(1 - 0.025**0.25))
    purposes = [*names[:20], "p", "p", "q", "q"]
    assert separation(scores, drift, purposes, seed=7).recall[2].low == pytest.approx(0.025**0.5)
    one_act = [""] * 20 + ["send"] * 4
    assert separation(scores, drift, names, acts=one_act, seed=7).recall[2].low == pytest.approx(0.025)


ROW = st.tuples(
    st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.booleans(), st.sampled_from("abcdef"), st.sampled_from("uvwxyz")
)
Rows = list[tuple[float, bool, str, str]]


def columns(rows: Rows) -> tuple[list[float], list[bool], list[str], list[str]]:
    """Scores, labels, purposes, and acts of the drifting rows."""
    assume(len({drift for _, drift, _, _ in rows}) == 2)
    return (
        [score for score, *_ in rows],
        [drift for _, drift, _, _ in rows],
        [name for *_, name, _ in rows],
        [act if drift else "" for _, drift, _, act in rows],
    )


@given(st.lists(ROW, min_size=2))
def test_every_resample_is_measured_as_the_library_would(rows: Rows) -> None:
    scores, drift, names, acts = columns(rows)
    found = separation(scores, drift, names, seed=6, resamples=20)
    honest, purposes = (len({n for n, d in zip(names, drift, strict=True) if d is of}) for of in (False, True))
    expected = by_the_library(scores, drift, names, 20)
    assert bounds(found) == pytest.approx(rising(opened(expected, found, min(honest, purposes))))
    crossed = separation(scores, drift, names, acts=acts, seed=6, resamples=20)
    expected, cases = by_the_library(scores, drift, names, 20, acts), min(honest, purposes, len(set(acts) - {""}))
    assert bounds(crossed) == pytest.approx(rising(opened(expected, crossed, cases)))


@given(st.lists(ROW, min_size=1), st.data())
def test_one_flag_more_never_lowers_a_bound(rows: Rows, data: st.DataObject) -> None:
    flags, names, acts = ([row[at] for row in rows] for at in (1, 2, 3))
    more = [*flags]
    more[data.draw(st.integers(0, len(rows) - 1))] = True
    for does in (None, acts):
        fewer, found = (share(each, names, acts=does, seed=6, resamples=20) for each in (flags, more))
        assert fewer.low <= found.low + 1e-12
        assert fewer.high <= found.high + 1e-12
        assert found.low <= found.value <= found.high


ALL_BUT_ONE = [(0.1, False, name, "u") for name in "abcdef"] + [
    (0.1 if (name, act) == ("a", "u") else 0.9, True, name, act) for name in "abcdef" for act in "uvwxyz"
]


@given(st.lists(ROW, min_size=2), st.integers(0, 99))
@example(ALL_BUT_ONE, 0)
def test_a_higher_score_of_drift_never_lowers_a_bound(rows: Rows, which: int) -> None:
    scores, drift, names, acts = columns(rows)
    drifting = [n for n, drifts in enumerate(drift) if drifts]
    at = drifting[which % len(drifting)]
    higher = [*scores[:at], scores[at] + 0.6, *scores[at + 1 :]]
    lower, found = (
        bounds(separation(each, drift, names, acts=acts, seed=6, resamples=20)) for each in (scores, higher)
    )
    assert (lower <= found + 1e-12).all()


@given(st.lists(ROW, min_size=2))
def test_acts_move_no_value_and_are_counted(rows: Rows) -> None:
    scores, drift, names, acts = columns(rows)
    one = separation(scores, drift, names, seed=6, resamples=5)
    other = separation(scores, drift, names, acts=acts, seed=6, resamples=5)
    assert [each.value for each in (other.auc, *other.recall)] == [each.value for each in (one.auc, *one.recall)]
    assert (one.acts, other.acts) == (None, len(set(acts) - {""}))
    flags = [score > 0.2 for score in scores]
    assert share(flags, names, acts=acts, seed=6).value == share(flags, names, seed=6).value


@given(st.lists(ROW, min_size=2))
def test_acts_of_one_purpose_each_leave_the_interval_that_is_over_purposes(rows: Rows) -> None:
    scores, drift, names, acts = columns(rows)
    nested = [act and f"{act} for {name}" for act, name in zip(acts, names, strict=True)]
    found = separation(scores, drift, names, acts=nested, seed=6, resamples=20)
    assert replace(found, acts=None) == separation(scores, drift, names, seed=6, resamples=20)
    flags = [score > 0.2 for score in scores]
    assert share(flags, names, acts=nested, seed=6) == share(flags, names, seed=6)


@given(st.integers(0, 2**32 - 1), st.integers(4, 8))
def test_a_few_acts_under_many_purposes_leave_more_open_than_as_many_purposes(seed: int, several: int) -> None:
    rng, purposes = np.random.default_rng(seed), [f"p{n}" for n in range(20)]
    honest = [(float(rng.normal()), False, purpose, "") for purpose in purposes for _ in range(5)]
    shifts = np.linspace(-1.0, 3.0, several)
    drifting = [
        (float(rng.normal(shift, 0.2)), True, purpose, f"a{n}")
        for purpose in purposes
        for n, shift in enumerate(shifts)
    ]
    scores, drift, names, acts = columns([*honest, *drifting])
    one, other = (separation(scores, drift, names, acts=does, seed=seed).auc for does in (None, acts))
    assert other.high - other.low > 1.2 * (one.high - one.low)
    flags = [score > 0.5 for score, *_ in drifting]
    by_purpose, by_both = (
        share(flags, names[len(honest) :], acts=does, seed=seed) for does in (None, acts[len(honest) :])
    )
    assert by_both.high - by_both.low > 1.3 * (by_purpose.high - by_purpose.low)


def test_one_act_under_many_purposes_is_one_case_and_honest_rows_are_cases_of_their_purposes() -> None:
    flags, names = [True] * 40, [str(n) for n in range(40)]
    assert share(flags, names, acts=["a"] * 40, seed=2).low == pytest.approx(0.025)
    assert share(flags, names, acts=["a"] * 20 + [""] * 20, seed=2).low == pytest.approx(0.025 ** (1 / 21))


def test_of_one_purpose_no_interval_is_as_narrow_as_its_value() -> None:
    scores, drift = sample(5, 80)
    found = share(drift, ["p"] * 80, seed=7)
    assert 0.025 < found.value < 0.975
    assert found.low < 0.025 < 0.975 < found.high
    whole = separation(scores, drift, ["p"] * 80, seed=7)
    assert (bounds(whole)[0] <= 0.025 + 1e-9).all()
    assert (bounds(whole)[1] >= 0.975 - 1e-9).all()
    honest_apart = [str(n) if not drifts else "p" for n, drifts in enumerate(drift)]
    assert bounds(separation(scores, drift, honest_apart, seed=7)) == pytest.approx(bounds(whole))


def test_one_long_purpose_takes_no_room_for_each_row() -> None:
    purposes = ["p" * 100_000, *(str(n) for n in range(100))]
    tracemalloc.start()
    share([True, False] * 50 + [True], purposes, seed=2, resamples=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_resample_that_draws_no_row_is_no_share() -> None:
    flags, names, acts = [True, True, False, False], ["p", "q", "q", "r"], ["a", "a", "b", "b"]
    found = share(flags, names, acts=acts, seed=2)  # of p alone, and b alone, there is none
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_what_is_measured_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, drift = sample(2)
    names = [str(i // 3) for i in range(len(scores))]
    at_once = separation(scores, drift, names, seed=6, resamples=50)
    monkeypatch.setattr("guardian.evaluation.metrics._AT_ONCE", 3 * len(scores))
    assert separation(scores, drift, names, seed=6, resamples=50) == at_once
    expected = opened(by_the_library(scores, drift, names, 50), at_once, 106)
    assert bounds(at_once) == pytest.approx(rising(expected))
    acts = [f"a{i % 7}" if drifts else "" for i, drifts in enumerate(drift)]
    in_parts = separation(scores, drift, names, acts=acts, seed=6, resamples=50)
    monkeypatch.undo()
    assert separation(scores, drift, names, acts=acts, seed=6, resamples=50) == in_parts


def test_repeating_every_row_does_not_narrow_a_clustered_interval() -> None:
    scores, drift = sample(5, 80)
    names = [str(i) for i in range(80)]
    once = separation(scores, drift, names, seed=2, resamples=300).auc
    often = separation(scores * 10, drift * 10, names * 10, seed=2, resamples=300).auc
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.05)


def test_rows_may_be_the_cases_and_purposes_are_resampled_all_the_same() -> None:
    purposes, flags = [f"p{n % 7}" for n in range(350)], [False] * 350
    assert share(flags, purposes, cases="rows", seed=7) == share(flags, list(map(str, range(350))), seed=7)
    assert share(flags, purposes, cases="rows", seed=7).high < 0.02 < 0.4 < share(flags, purposes, seed=7).high
    of_one = [purpose == "p0" for purpose in purposes]
    assert share(of_one, purposes, cases="rows", seed=7).high > 0.3


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
    with pytest.raises(ValueError, match="one of each"):
        separation([0.1, 0.2], [True, False], ["a", "b"], acts=["x"], seed=1)
