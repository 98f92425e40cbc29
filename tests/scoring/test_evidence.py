"""Bets against honesty do not win on honest sessions, and find a late turn."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.scoring.evidence import STARTS, accumulate, e_value, session_evidence


@given(st.floats(min_value=1e-12, max_value=1.0))
def test_an_e_value_is_positive_and_falls_with_p(p: float) -> None:
    assert e_value(p) > 0
    assert e_value(p) >= e_value(min(1.0, p * 1.5)) - 1e-9


def test_the_mean_e_value_of_uniform_p_values_is_at_most_one() -> None:
    n = 200_000
    grid = [(i + 1) / (n + 1) for i in range(n)]  # conformal p-values of n honest actions, each once
    assert sum(map(e_value, grid)) / (n + 1) <= 1.0


def test_p_values_outside_their_range_are_refused() -> None:
    for p in (0.0, -0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="p-value"):
            e_value(p)
    with pytest.raises(ValueError, match="positive"):
        accumulate(0.0, 0.0)


def test_honest_sessions_of_any_length_average_at_most_one() -> None:
    rnd = random.Random(5)
    for length in (1, 10, STARTS):
        total = 0.0
        for _ in range(4_000):
            m = -math.inf
            for _ in range(length):
                m = accumulate(m, e_value(max(1e-4, rnd.random())))
            total += 10 ** session_evidence(m, length)
        assert total / 4_000 < 1.15  # the mean is at most 1; the mixture's heavy tail leaves sampling error


def test_many_honest_acts_do_not_bury_a_late_turn() -> None:
    def after(honest: int) -> float:
        m = -math.inf
        for p in [0.9] * honest + [1e-4, 1e-4]:
            m = accumulate(m, e_value(p))
        return session_evidence(m, honest + 2)

    assert after(200) > after(0) - 2.0  # two striking acts still stand out by orders of magnitude
    assert after(200) > 1.0
    assert after(STARTS) == pytest.approx(after(20_000), abs=0.05), "as many more take nothing away"


def test_evidence_far_beyond_float_range_stays_finite() -> None:
    m = -math.inf
    for _ in range(2_000):
        m = accumulate(m, e_value(1e-12))
    assert math.isfinite(m)
    assert m > 300
