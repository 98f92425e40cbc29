"""The statistics hold what they promise."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.scoring.conformal import SMALLEST_P, Reference

reals = st.floats(min_value=-50, max_value=50, allow_nan=False)


@given(st.lists(reals, min_size=1, max_size=60), reals)
def test_a_p_value_lies_between_one_in_n_plus_one_and_one(sample: list[float], value: float) -> None:
    reference = Reference.fit(sample, least_scale=0.1)
    assert 1 / (len(sample) + 1) <= reference.p_value(value) <= 1


@given(st.lists(reals, min_size=1, max_size=60), reals, reals)
def test_further_out_is_never_less_unusual(sample: list[float], a: float, b: float) -> None:
    reference = Reference.fit(sample, least_scale=0.1)
    low, high = sorted((a, b))
    assert reference.estimate(high)[0] <= reference.estimate(low)[0]


@given(st.lists(reals, min_size=1, max_size=60), reals)
def test_the_tail_only_speaks_past_the_sample_and_says_that_it_estimates(
    sample: list[float], value: float
) -> None:
    reference = Reference.fit(sample, least_scale=0.1)
    p, promised = reference.estimate(value)
    if value <= max(sample):
        assert promised
        assert p == reference.p_value(value)
    else:
        assert SMALLEST_P <= p <= reference.p_value(value)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.05, 0.2]))
def test_p_values_are_valid_on_exchangeable_data(seed: int, level: float) -> None:
    rnd = random.Random(seed)
    trials, n = 2_000, 99
    rejected = 0
    for _ in range(trials // 20):
        reference = Reference.fit([rnd.gauss(0, 1) ** 3 for _ in range(n)], least_scale=0.1)
        rejected += sum(reference.p_value(rnd.gauss(0, 1) ** 3) <= level for _ in range(20))
    # given a reference its 20 tests are dependent: allow four standard errors of 100 clusters
    spread = math.sqrt(level * (1 - level) / (trials // 20)) / 2 + 0.01
    assert rejected / trials <= level + 4 * spread


def test_an_empty_or_broken_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Reference.fit([], least_scale=1)
    with pytest.raises(ValueError, match="at least one"):
        Reference((), 1.0)
    with pytest.raises(ValueError, match="finite"):
        Reference.fit([0.0, math.nan], least_scale=1)
    with pytest.raises(ValueError, match="ascend"):
        Reference((2.0, 1.0), 1.0)
    with pytest.raises(ValueError, match="positive"):
        Reference((1.0,), 0.0)


def test_a_clumped_sample_does_not_shorten_the_tail() -> None:
    clumped = Reference.fit([0.0] * 90 + [1.0] * 10, least_scale=0.4)
    assert clumped.scale == 0.4
    assert clumped.estimate(1.4)[0] == pytest.approx(1 / 101 / math.e)
