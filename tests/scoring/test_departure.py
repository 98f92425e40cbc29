"""Traffic that left the calibration is noticed; traffic that did not is warned of no more often than stated."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.scoring.departure import EDGES, Departure

GAUSS = random.Random(1)
CALIBRATION = [GAUSS.gauss(0.0, 0.5) for _ in range(400)]


def fold(values: list[float], *, calibration: list[float] = CALIBRATION, seed: int = 0) -> list[Departure]:
    rnd, state, states = random.Random(seed), Departure.start(calibration), []
    for value in values:
        state = state.step(value, rnd.random())
        states.append(state)
    return states


def first_warning(states: list[Departure]) -> int | None:
    return next((at for at, state in enumerate(states) if state.left()), None)


@settings(max_examples=60, deadline=None)
@given(pool=st.lists(st.floats(-3, 4) | st.sampled_from([0.0, 0.5, 1.0]), min_size=3, max_size=12), data=st.data())
def test_one_step_is_a_fair_bet_whatever_the_values_are(pool: list[float], data: st.DataObject) -> None:
    """Exchangeable: given the bag of values, each is equally likely to be the live one that comes last."""
    steps = 20  # the capital is linear in the number that breaks ties
    mean = 0.0
    for last in range(len(pool)):
        rest = [value for at, value in enumerate(pool) if at != last]
        before = Departure.start(rest)
        bets = [before.step(pool[last], (n + 0.5) / steps).capital for n in range(steps)]
        mean += sum(bets) / steps / len(pool)
    assert mean == pytest.approx(1.0, abs=1e-6)


def test_capital_averages_one_over_many_exchangeable_streams_and_seldom_rises() -> None:
    ends, warned = [], 0
    for seed in range(600):
        rnd = random.Random(seed)
        centre = rnd.choice([-1.0, 0.0, 0.3])  # whatever the law, as long as both samples share it
        values = [round(rnd.gauss(centre, 0.6), 1) for _ in range(110)]
        states = fold(values[60:], calibration=values[:60], seed=seed)
        ends.append(states[-1].capital)
        warned += states[-1].left(20)
    mean = sum(ends) / len(ends)
    error = math.sqrt(sum((end - mean) ** 2 for end in ends)) / len(ends)
    assert mean <= 1.0 + 4 * error
    assert warned / len(ends) <= 1 / 20 + 0.03


def test_a_month_of_unchanged_traffic_does_not_warn() -> None:
    rnd = random.Random(5)
    states = fold([rnd.gauss(0.0, 0.5) for _ in range(5_000)])
    assert not states[-1].left()
    assert states[-1].seen == 5_000


@pytest.mark.parametrize(("shift", "direction"), [(0.6, "further out"), (-0.6, "tamer")])
@pytest.mark.parametrize("quiet", [0, 2_000])
def test_a_shift_is_found_within_a_hundred_sessions_also_after_a_long_quiet(
    shift: float, direction: str, quiet: int
) -> None:
    rnd = random.Random(7)
    values = [rnd.gauss(0.0, 0.5) for _ in range(quiet)] + [rnd.gauss(shift, 0.5) for _ in range(100)]
    states = fold(values)
    found = first_warning(states)
    assert found is not None
    assert quiet <= found < quiet + 100
    assert states[found].direction == direction


def test_the_session_at_which_a_plain_shift_is_found_is_pinned() -> None:
    rnd = random.Random(7)
    assert first_warning(fold([rnd.gauss(0.6, 0.5) for _ in range(100)])) == 34


def test_a_handful_of_attacks_is_no_change_of_traffic() -> None:
    rnd = random.Random(3)
    values = [rnd.gauss(0.0, 0.5) for _ in range(500)]
    for at in range(50, 450, 100):
        values[at] = 3.5
    assert not fold(values)[-1].left()


def test_a_warning_stays_until_a_new_calibration() -> None:
    rnd = random.Random(7)
    values = [rnd.gauss(0.8, 0.5) for _ in range(200)] + [rnd.gauss(0.0, 0.5) for _ in range(500)]
    states = fold(values)
    assert states[-1].left()
    assert states[-1].peak >= states[-1].capital


def test_state_is_bounded_and_survives_storage() -> None:
    states = fold([0.1] * 300 + [9.0, -9.0, math.inf, -math.inf])
    for state in (states[0], states[-1]):
        stored = json.loads(json.dumps(state.to_state()))
        assert Departure.from_state(stored) == state
        assert len(json.dumps(stored)) < 1_000
    assert sum(states[-1].counts) == len(CALIBRATION) + 304
    assert len(states[-1].counts) == len(EDGES) + 1


def test_capital_stays_finite_however_long_the_change_lasts() -> None:
    assert math.isfinite(fold([9.0] * 3_000)[-1].capital)


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="without sessions"):
        Departure.start([])
    start = Departure.start(CALIBRATION)
    for u in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="breaks ties"):
            start.step(0.0, u)
    with pytest.raises(ValueError, match="not a number"):
        start.step(math.nan, 0.5)
    with pytest.raises(ValueError, match="at least 1"):
        start.left(0.5)
    with pytest.raises(ValueError, match="start afresh"):
        Departure.from_state({**start.to_state(), "counts": [1, 2]})
