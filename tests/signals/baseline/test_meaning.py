"""What an act means, beside what the past of its purpose meant; and how much a purpose has constrained."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.signal import BaselineFact, Sketch
from guardian.signals.baseline.learning import UNITS, learn
from guardian.signals.baseline.meaning import (
    FAR,
    MAX_MEANINGS,
    NEAR,
    constraint,
    gathered,
    nearest,
    new_meanings,
    strangeness,
)
from guardian.signals.envelope_hygiene import EnvelopeHygiene
from guardian.signals.purpose_baseline import PurposeBaseline

bits = st.integers(0, 2**256 - 1).map(lambda n: f"{n:064x}")
ZERO = "0" * 64


def apart(count: int, seed: int = 1) -> str:
    """A sketch that differs from ZERO in `count` bits."""
    return f"{sum(1 << place for place in random.Random(seed).sample(range(256), count)):064x}"


@given(bits, bits)
def test_distance_is_symmetric_and_zero_only_between_the_same(one: str, other: str) -> None:
    assert nearest(one, [other])[0] == nearest(other, [one])[0]
    assert (nearest(one, [other])[0] == 0) == (one == other)


def test_near_sketches_are_one_meaning_and_a_session_counts_it_once() -> None:
    known = gathered({}, [ZERO, apart(NEAR), apart(NEAR, 2)], UNITS)
    assert known == {ZERO: UNITS}
    assert gathered(known, [apart(NEAR + 1)], UNITS) == {ZERO: UNITS, apart(NEAR + 1): UNITS}
    assert nearest(ZERO, ()) == (256, "")


@given(st.lists(bits, max_size=300))
def test_meanings_are_bounded_and_the_most_usual_stay(fresh: list[str]) -> None:
    known = gathered({ZERO: 50}, fresh, UNITS)
    assert len(known) <= MAX_MEANINGS
    assert known[ZERO] >= 50


def test_strangeness_rises_from_near_to_far() -> None:
    values = [strangeness(apart(n), [ZERO]) for n in (0, NEAR, (NEAR + FAR) // 2, FAR, 200)]
    assert values == [0.0, 0.0, 0.5, 1.0, 1.0]


def history(observe: Any, folded: Any, sketches: list[list[str]], **changes: Any) -> BaselineFact:
    known: BaselineFact | None = None
    for session in sketches:
        seen = [observe(facts={"sketch": Sketch("m1", b)}, **changes) for b in session]
        known = learn(known, folded(PurposeBaseline(), seen)[0], weight=1.0, version="v1")
    assert known is not None
    return known


def doubt(observe: Any, folded: Any, known: BaselineFact, sketch: str, encoder: str = "m1", **more: Any) -> Any:
    facts = {"baseline": known, "sketch": Sketch(encoder, sketch)}
    return folded(PurposeBaseline(), [observe(facts=facts, **more)])[1][0]


@pytest.fixture
def steady(observe: Any, folded: Any) -> BaselineFact:
    """A hundred sessions that mean much the same."""
    return history(observe, folded, [[apart(5, n)] for n in range(100)])


def test_the_same_tool_asked_for_something_else_is_odd_where_nothing_new_is_usual(
    steady: BaselineFact, observe: Any, folded: Any
) -> None:
    usual = doubt(observe, folded, steady, apart(10, 7))
    other = doubt(observe, folded, steady, apart(120, 7))
    assert other.value > usual.value
    assert "means something new here" in other.reason
    assert "means something new" not in usual.reason


def test_a_write_that_means_something_new_counts_for_more_than_a_read(
    steady: BaselineFact, observe: Any, folded: Any
) -> None:
    read = doubt(observe, folded, steady, apart(120))
    writes = {"action__tool": "tickets.create"}
    wrote = history(observe, folded, [[apart(5, n)] for n in range(100)], **writes)
    write = doubt(observe, folded, wrote, apart(120), **writes)
    assert 0.03 < read.value < 0.1 < write.value


def test_where_every_session_means_something_new_one_more_is_not_odd_and_the_purpose_constrains_nothing(
    observe: Any, folded: Any
) -> None:
    open_ended = history(observe, folded, [[apart(120, n)] for n in range(60)])
    assert (
        doubt(observe, folded, open_ended, apart(120, 999)).value
        == doubt(observe, folded, open_ended, apart(120, 1)).value
    )
    found = constraint(open_ended, UNITS)
    assert found is not None
    assert found < 0.05
    breaches = folded(EnvelopeHygiene(), [observe(facts={"baseline": open_ended})])[1][0].breaches
    assert "purpose_unconstrained" in [breach.name for breach in breaches]


def test_a_purpose_whose_sessions_repeat_themselves_constrains(
    steady: BaselineFact, observe: Any, folded: Any
) -> None:
    assert constraint(steady, UNITS) == pytest.approx(1 - new_meanings(steady.sketches, UNITS))
    assert constraint(steady, UNITS) > 0.95  # type: ignore[operator]
    breaches = folded(EnvelopeHygiene(), [observe(facts={"baseline": steady})])[1][0].breaches
    assert "purpose_unconstrained" not in [breach.name for breach in breaches]
    assert constraint(history(observe, folded, [[ZERO]] * 3), UNITS) is None


def test_sketches_of_another_encoder_are_not_compared_and_begin_anew(
    steady: BaselineFact, observe: Any, folded: Any
) -> None:
    assert (
        doubt(observe, folded, steady, apart(120), encoder="m2").value
        == doubt(observe, folded, steady, apart(0), encoder="m2").value
    )
    tally, _ = folded(PurposeBaseline(), [observe(facts={"sketch": Sketch("m2", ZERO)})])
    after = learn(steady, tally, weight=1.0, version="v2")
    assert (after.sketches, after.sketched_by) == ({ZERO: UNITS}, "m2")
    mixed = [observe(facts={"sketch": Sketch(e, ZERO)}) for e in ("m1", "m2")]
    assert folded(PurposeBaseline(), mixed)[0]["sketched_by"] == "m2"
    silent, _ = folded(PurposeBaseline(), [observe()])
    assert learn(steady, silent, weight=1.0, version="v2").sketches == steady.sketches


def test_a_session_remembers_a_bounded_number_of_meanings(observe: Any, folded: Any) -> None:
    seen = [observe(facts={"sketch": Sketch("m1", apart(100, n))}) for n in range(60)]
    assert len(folded(PurposeBaseline(), seen)[0]["sketches"]) == 32
