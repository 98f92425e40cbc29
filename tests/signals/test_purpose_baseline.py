"""The baseline is learnt from sessions that the fold itself tallied, so both sides are held to each other."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain.signal import BaselineFact
from guardian.errors import ConfigurationError
from guardian.signals.baseline.learning import MAX_NEXT_TOOLS, MAX_SIZES, MAX_TOOLS, REMEMBERED, UNITS, learn
from guardian.signals.purpose_baseline import PurposeBaseline

STEPS = [("contracts.read", 1), ("crm.read", 3), ("contracts.read", 1), ("tickets.create", 1)]


def session(observe: Any, steps: list[tuple[str, int]], **facts: Any) -> list[Any]:
    return [observe(action__tool=tool, action__records=n, result__records=n, facts=facts) for tool, n in steps]


@pytest.fixture(scope="module")
def grown(observe: Any, folded: Any) -> Any:
    """A baseline of so many honest sessions, one in ten of them ending with an export of the report."""

    def build(sessions: int) -> BaselineFact:
        known: BaselineFact | None = None
        for at in range(sessions):
            steps = [*STEPS, ("reports.export", 2)] if at % 10 == 0 else STEPS
            tally, _ = folded(PurposeBaseline(), session(observe, steps))
            known = learn(known, tally, weight=1.0, version=f"v{at}")
        assert known is not None
        return known

    return build


@pytest.fixture(scope="module")
def hundred(grown: Any) -> BaselineFact:
    found: BaselineFact = grown(100)
    return found


def values(folded: Any, observe: Any, known: BaselineFact | None, steps: list[tuple[str, int]]) -> list[float]:
    return [signal.value for signal in folded(PurposeBaseline(), session(observe, steps, baseline=known))[1]]


@pytest.mark.parametrize("sessions", [0, 19])
def test_it_is_silent_until_it_has_seen_enough(observe: Any, folded: Any, grown: Any, sessions: int) -> None:
    known = grown(sessions) if sessions else None
    _, signals = folded(PurposeBaseline(), session(observe, STEPS, baseline=known))
    assert all(signal.silent for signal in signals)
    assert f"{sessions} past sessions seen, 20 needed" in signals[0].reason


def test_typical_honest_actions_stay_low(observe: Any, folded: Any, hundred: BaselineFact) -> None:
    assert max(values(folded, observe, hundred, [*STEPS, ("reports.export", 2)])) <= 0.1


@pytest.mark.parametrize("sessions", [20, 100])
def test_a_changing_tool_never_seen_comes_out_high(observe: Any, folded: Any, grown: Any, sessions: int) -> None:
    assert values(folded, observe, grown(sessions), [("contracts.read", 1), ("payments.send", 1)])[-1] >= 0.8


def test_a_lookup_never_seen_weighs_less_than_a_change(observe: Any, folded: Any, hundred: BaselineFact) -> None:
    lookup = values(folded, observe, hundred, [("contracts.read", 1), ("wiki.search", 1)])[-1]
    change = values(folded, observe, hundred, [("contracts.read", 1), ("wiki.delete", 1)])[-1]
    assert 0.3 < lookup < change


def test_a_known_tool_in_an_unknown_place_is_a_little_unusual(observe: Any, folded: Any, hundred: Any) -> None:
    usual = values(folded, observe, hundred, STEPS)[-1]
    at_once = values(folded, observe, hundred, [("reports.export", 2)])[-1]
    assert usual < 0.1 < at_once < 0.5


def test_a_bulk_export_is_unusual_by_its_volume(observe: Any, folded: Any, hundred: BaselineFact) -> None:
    few, many = (values(folded, observe, hundred, [("contracts.read", n)])[-1] for n in (3, 400))
    assert few <= 0.1
    assert many >= 0.6
    _, (signal,) = folded(PurposeBaseline(), session(observe, [("contracts.read", 400)], baseline=hundred))
    assert signal.reason.startswith("400 records are more than usual")


def test_a_missing_record_count_is_told_and_not_judged(observe: Any, folded: Any, hundred: BaselineFact) -> None:
    seen = observe(action__records=None, result=None, facts={"baseline": hundred})
    state, (signal,) = folded(PurposeBaseline(), [seen])
    assert "records missing" in signal.reason
    assert state["sizes"] == []


def test_an_unusual_hour_adds_a_little_unless_the_clock_is_suspect(
    observe: Any, folded: Any, hundred: Any
) -> None:
    def at(time: str, *, suspect: bool = False) -> float:
        seen = observe(time=time, facts={"baseline": hundred, "clock_suspect": suspect})
        return float(folded(PurposeBaseline(), [seen])[1][0].value)

    day, night = at("2026-05-12T17:30:00Z"), at("2026-05-12T03:30:00Z")
    assert day < night <= 0.1
    assert at("2026-05-12T03:30:00Z", suspect=True) <= day


def test_a_baseline_without_volumes_hours_or_steps_still_judges_tools(observe: Any, folded: Any) -> None:
    known = BaselineFact("v1", 100, {"contracts.read": 100, "crm.read": 100}, {}, (), (0,) * 24)
    assert values(folded, observe, known, [("contracts.read", 400)])[-1] <= 0.1
    assert values(folded, observe, known, [("payments.send", 1)])[-1] >= 0.8


def test_the_judgement_does_not_depend_on_the_unit_of_the_counts(observe: Any, folded: Any) -> None:
    one = BaselineFact("v1", 100, {"a.read": 100, "b.make": 7}, {"": {"a.read": 100}}, (), (0,) * 24)
    tenth = BaselineFact("v1", 100, {"a.read": 1000, "b.make": 70}, {"": {"a.read": 1000}}, (), (0,) * 24)
    steps = [("a.read", 1), ("b.make", 1), ("c.make", 1)]
    assert values(folded, observe, one, steps) == pytest.approx(values(folded, observe, tenth, steps))


def test_what_was_denied_does_not_become_usual(observe: Any, folded: Any) -> None:
    state, _ = folded(
        PurposeBaseline(), [observe(), observe(action__tool="payments.send", decision__effect="deny")]
    )
    assert state["tools"] == {"contracts.read": 1}
    assert state["last"] == "contracts.read"


def test_a_long_session_keeps_a_bounded_tally(observe: Any, folded: Any) -> None:
    steps = [(f"tool_{n % 300}", n) for n in range(400)]
    state, _ = folded(PurposeBaseline(), session(observe, steps))
    assert len(state["tools"]) == 64
    assert sum(map(len, state["transitions"].values())) == 128
    assert len(state["sizes"]) == 64
    assert 399 in state["sizes"], "the newest sizes replace the oldest"


def test_a_suspect_clock_teaches_no_hours(observe: Any, folded: Any) -> None:
    assert folded(PurposeBaseline(), [observe(facts={"clock_suspect": True})])[0]["hours"] == {}


TALLY = {
    "tools": {"contracts.read": 9, "crm.read": 1},
    "transitions": {"": {"contracts.read": 1}, "contracts.read": {"crm.read": 1, "contracts.read": 8}},
    "sizes": [5, 1, 3],
    "hours": {"9": 4, "10": 6},
}


def test_a_session_counts_once_however_busy_it_was() -> None:
    known = learn(None, TALLY, weight=1.0, version="v1")
    assert known.tools == {"contracts.read": UNITS, "crm.read": UNITS}
    assert known.transitions == {
        "": {"contracts.read": UNITS},
        "contracts.read": {"contracts.read": UNITS, "crm.read": UNITS},
    }
    assert (known.version, known.sessions, known.record_sizes) == ("v1", 1, (1, 3, 5))
    assert (known.hours[8:11], sum(known.hours)) == ((0, UNITS, UNITS), 2 * UNITS)


def test_a_flagged_session_teaches_slowly_and_never_brings_the_baseline_to_speak() -> None:
    known = learn(None, TALLY, weight=1.0, version="v1")
    flagged = {**TALLY, "tools": {"payments.send": 3}, "sizes": [400] * 3}
    after = learn(known, flagged, weight=0.1, version="v2")
    assert after.sessions == 1
    assert after.tools["payments.send"] == 1
    assert 400 not in after.record_sizes


def test_one_busy_session_does_not_make_its_volumes_usual(observe: Any, folded: Any) -> None:
    known: BaselineFact | None = None
    for at in range(200):
        known = learn(known, TALLY, weight=1.0, version=f"v{at}")
    bulk = [("contracts.read", 10_000)]
    before = values(folded, observe, known, bulk)
    known = learn(known, {**TALLY, "sizes": [10_000] * 64}, weight=1.0, version="busy")
    assert before[-1] >= 0.6
    assert values(folded, observe, known, bulk)[-1] >= 0.6


@pytest.mark.parametrize("sessions", [20, 60, 180])
def test_one_busy_session_makes_no_volume_usual_where_few_are_known(
    observe: Any, folded: Any, sessions: int
) -> None:
    known: BaselineFact | None = None
    for at in range(sessions):
        known = learn(known, {**TALLY, "sizes": [10 + at % 7]}, weight=1.0, version=f"v{at}")
    known = learn(known, {**TALLY, "sizes": [10_000] * 64}, weight=1.0, version="busy")
    assert values(folded, observe, known, [("contracts.read", 10_000)])[-1] >= 0.6


@pytest.mark.parametrize(("tally", "weight"), [(TALLY, 0.0), ({"tools": {}}, 1.0), ({}, 1.0)])
def test_a_session_without_weight_or_actions_changes_the_version_only(tally: Any, weight: float) -> None:
    known = learn(None, TALLY, weight=1.0, version="v1")
    after = learn(known, tally, weight=weight, version="v2")
    assert after == BaselineFact("v2", 1, known.tools, known.transitions, known.record_sizes, known.hours)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_its_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        learn(None, TALLY, weight=weight, version="v1")


def test_learning_does_not_change_what_it_learns_from() -> None:
    known = learn(None, TALLY, weight=1.0, version="v1")
    copy = learn(None, TALLY, weight=1.0, version="v1")
    learn(known, TALLY, weight=1.0, version="v2")
    assert known == copy


def test_long_memory_fades() -> None:
    once = {"rare.tool": 1}
    old = BaselineFact(
        "v1", 5_000, {"a": 50_000, **once}, {"": {"a": 50_000}, "a": dict(once)}, (1,), (50_000, *(0,) * 23)
    )
    after = learn(old, {"tools": {"a": 1}, "transitions": {"": {"a": 1}}}, weight=1.0, version="v2")
    assert after.tools == {"a": 25_005}
    assert after.transitions == {"": {"a": 25_005}}
    assert after.hours[0] == 25_000
    assert after.sessions == 2_500


def test_a_snapshot_that_counted_every_session_ever_is_right_from_the_next_one_on(
    observe: Any, folded: Any
) -> None:
    counts = {"a.make": 40_000, "b.make": 4_000}
    old = BaselineFact("v1", 100_000, counts, {"": counts}, (), (44_000, *(0,) * 23))
    known = learn(old, {"tools": {"a.make": 1}, "transitions": {"": {"a.make": 1}}}, weight=1.0, version="v2")
    assert known.sessions == REMEMBERED
    one_in_ten = values(folded, observe, known, [("b.make", 1)])
    assert one_in_ten == pytest.approx(
        values(folded, observe, replace(known, sessions=4_400), [("b.make", 1)]), abs=0.01
    )


def test_a_tool_without_a_visible_name_begins_no_session_anew(observe: Any, folded: Any) -> None:
    state, _ = folded(PurposeBaseline(), session(observe, [("a.make", 1), ("\u200b", 1), ("b.make", 1)]))
    assert state["transitions"][""] == {"a.make": 1}


def test_what_is_usual_stays_usual_however_many_sessions_there_were(observe: Any, folded: Any) -> None:
    usual, rare = {"tools": {"a.make": 1}}, {"tools": {"a.make": 1, "b.make": 1}}
    usual["transitions"] = {"": {"a.make": 1}}
    rare["transitions"] = {"": {"b.make": 1}, "b.make": {"a.make": 1}}
    known: BaselineFact | None = None
    found = []
    for at in range(60_000):
        known = learn(known, rare if at % 50 == 0 else usual, weight=1.0, version="v")
        if at in (4_000, 59_999):
            found.append(values(folded, observe, known, [("b.make", 1), ("a.make", 1)]))
    assert found[1] == pytest.approx(found[0], abs=0.01)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_snapshot_stays_bounded_and_keeps_its_quantiles(seed: int) -> None:
    rng = random.Random(seed)
    known: BaselineFact | None = None
    for at in range(30):
        names = [f"t{rng.randrange(1_000)}" for _ in range(64)]
        tally = {
            "tools": dict.fromkeys(names, 1),
            "transitions": {
                "": dict.fromkeys(names, 1),
                names[0]: dict.fromkeys(names, 1),
                **{n: {n: 1} for n in names},
            },
            "sizes": [rng.randrange(100) for _ in range(64)],
            "hours": {str(at % 24): 1},
        }
        known = learn(known, tally, weight=1.0, version=str(at))
    assert known is not None
    assert len(known.tools) <= MAX_TOOLS
    assert len(known.transitions) <= MAX_TOOLS + 1
    assert "" in known.transitions
    assert all(len(row) <= MAX_NEXT_TOOLS for row in known.transitions.values())
    assert len(known.record_sizes) == MAX_SIZES
    assert list(known.record_sizes) == sorted(known.record_sizes)
    assert 35 <= known.record_sizes[MAX_SIZES // 2] <= 65


@pytest.mark.parametrize("sessions", [0, REMEMBERED])
def test_impossible_options_are_refused_by_name(sessions: int) -> None:
    with pytest.raises(ConfigurationError, match=r"purpose_baseline\.min_sessions"):
        PurposeBaseline(min_sessions=sessions)
