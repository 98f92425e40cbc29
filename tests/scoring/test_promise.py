"""At most one in N honest sessions is flagged, also when the actions of a session are strongly correlated."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain.breach import Breach
from guardian.domain.gathered import Gathered
from guardian.domain.signal import Signal
from guardian.errors import ModelError
from guardian.scoring.calibration import Calibration, logit
from guardian.scoring.conformal import Reference
from guardian.scoring.evidence import e_value
from guardian.scoring.fusion import Fusion
from guardian.scoring.scorer import Scorer, odder


def honest_session(rnd: random.Random, correlation: float) -> list[float]:
    mood = rnd.gauss(0, 1)
    length = rnd.choice([1, 2, 4, 8, 16])
    latent = (
        math.sqrt(correlation) * mood + math.sqrt(1 - correlation) * rnd.gauss(0, 1) - 2 for _ in range(length)
    )
    return [1 / (1 + math.exp(-z)) for z in latent]


def signal(value: float) -> list[Signal]:
    return [Signal("purpose_fit", value)]


def maxima(scorer: Scorer, session: list[float]) -> Gathered:
    state = Gathered()
    for value in session:
        state, _ = scorer.step(state, signal(value))
    return state


def calibrated(rnd: random.Random, correlation: float, sessions: int) -> Scorer:
    fusion = Fusion({"purpose_fit": 0.999})
    scores = [fusion.fuse(signal(v))[0] for _ in range(sessions) for v in honest_session(rnd, correlation)]
    flat = Calibration.fit(scores, [0.0], [0.0], source="first pass")
    replayed = [maxima(Scorer(fusion, flat), honest_session(rnd, correlation)) for _ in range(sessions)]
    return Scorer(
        fusion,
        Calibration.fit(scores, [r.top for r in replayed], [r.act for r in replayed], source="simulation"),
    )


def test_the_steps_of_a_session_add_up_to_its_evidence() -> None:
    scorer = calibrated(random.Random(7), 0.3, 50)
    state = Gathered(broke=True)  # as after a person's word: what was gathered before is gone
    steps = []
    for value in (0.1, 0.9, 0.2):
        state, drift = scorer.step(state, signal(value))
        steps.append(drift.step)
        assert sum(steps) == pytest.approx(drift.session_evidence)
    assert max(steps) == steps[1]


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("one_in", [20, 100])
def test_the_session_promise_holds_under_correlation(correlation: float, one_in: int) -> None:
    rnd = random.Random(int(correlation * 10) + one_in)
    scorer = calibrated(rnd, correlation, 1_500)
    trials, flagged = 4_000, 0
    for _ in range(trials):
        state = Gathered()
        hit = False
        for value in honest_session(rnd, correlation):
            state, drift = scorer.step(state, signal(value))
            hit = hit or drift.one_in >= one_in
        flagged += hit
    expected = 1 / one_in
    spread = math.sqrt(expected * (1 - expected) * (1 / trials + 1 / 1_500))
    assert flagged / trials <= expected + 3 * spread


def test_past_the_calibration_a_number_is_called_an_estimate() -> None:
    scorer = calibrated(random.Random(3), 0.3, 300)
    _, mild = scorer.step(Gathered(), signal(0.3))
    _, wild = scorer.step(Gathered(), signal(1.0))
    assert mild.promised
    assert not wild.promised
    assert wild.one_in > 150  # half of the sessions: past what 300 sessions could promise


@pytest.mark.parametrize("longest", [None, 16, 90])
def test_of_a_session_of_more_calls_than_any_of_the_calibrations_nothing_is_promised(longest: int | None) -> None:
    """Both statistics are maxima of all its calls, so with enough of them every honest session gets anywhere."""
    made = calibrated(random.Random(3), 0.3, 300)
    scorer = replace(made, calibration=replace(made.calibration, longest=longest))
    state, promised = Gathered(), []
    for _ in range(100):
        state, drift = scorer.step(state, signal(0.05), kind="crm.read")
        promised.append(drift.promised)
    assert promised.index(False) == (37 if longest is None else longest)
    assert not any(promised[promised.index(False) :])
    assert scorer.step(state.afresh(), signal(0.05))[1].promised


def test_where_the_baseline_had_a_part_in_it_nothing_is_promised_until_evidence_starts_afresh() -> None:
    """No calibration knows what a deployment has learnt of its purposes."""
    made = calibrated(random.Random(3), 0.3, 300)
    scorer = replace(made, fusion=Fusion({"purpose_fit": 0.999, "purpose_baseline": 0.5}))
    state, promised = Gathered(), []
    for learnt in (
        Signal("purpose_baseline", 0.0, silent=True),
        Signal("purpose_baseline", 0.0),
        Signal("purpose_baseline", 0.1),
        Signal("purpose_baseline", 0.0),
    ):
        state, drift = scorer.step(state, [*signal(0.05), learnt])
        promised.append(drift.promised)
    assert promised == [True, True, False, False]
    assert scorer.step(state.afresh(), signal(0.05))[1].promised


def test_one_decisive_act_flags_alone_whatever_the_size_of_the_calibration() -> None:
    for sessions in (40, 200, 2_000):
        scorer = calibrated(random.Random(4), 0.3, sessions)
        assert scorer.step(Gathered(), signal(1.0))[1].one_in >= 1_000


def test_when_every_signal_is_silent_nothing_is_said_either_way() -> None:
    scorer = calibrated(random.Random(5), 0.0, 100)
    before, _ = scorer.step(Gathered(), signal(0.9))
    after, drift = scorer.step(before, [Signal("purpose_fit", 0.0, silent=True)], ("purpose",))
    assert (drift.p_value, drift.e_value, drift.score) == (1.0, 1.0, 0.0)
    assert after.m > before.m  # M + 1: silence never lowers the evidence
    assert drift.features_missing == ("purpose",)


def test_the_tool_is_named_that_bet_most_unless_it_is_this_one() -> None:
    scorer = calibrated(random.Random(3), 0.0, 300)
    state, strange = scorer.step(Gathered(), signal(0.98), kind="mail.send")
    assert odder(state, strange, "mail.send") is None
    state, tame = scorer.step(state, signal(0.1), kind="git.push")
    assert odder(state, tame, "git.push") == "mail.send"
    assert odder(Gathered(), tame, "git.push") is None
    state, strange = scorer.step(state, signal(0.98), kind="git.push")
    assert odder(state, strange, "git.push") is None


@pytest.mark.parametrize("missing", ["arguments", "arguments (cut)"])
def test_a_call_whose_arguments_were_not_read_or_not_all_may_accuse_and_never_vouches(missing: str) -> None:
    scorer = calibrated(random.Random(5), 0.0, 100)
    before, _ = scorer.step(Gathered(), signal(0.9))
    calm, _ = scorer.step(before, signal(0.01))
    bare, drift = scorer.step(before, signal(0.01), (missing,))
    assert calm.m < before.m < bare.m
    assert drift.e_value == 1.0
    assert scorer.step(before, signal(1.0), (missing,))[1].e_value > 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.99)), min_size=1, max_size=7), st.data())
def test_the_fused_score_is_monotone_in_every_signal(
    parts: list[tuple[float, float]], data: st.DataObject
) -> None:
    fusion = Fusion({f"s{i}": weight for i, (_, weight) in enumerate(parts)})
    signals = [Signal(f"s{i}", value) for i, (value, _) in enumerate(parts)]
    score, shares = fusion.fuse(signals)
    assert 0 <= score <= 1
    assert sum(shares.values()) == pytest.approx(1.0) or score == 0
    which = data.draw(st.integers(0, len(parts) - 1))
    raised = list(signals)
    raised[which] = Signal(f"s{which}", data.draw(st.floats(signals[which].value, 1)))
    assert fusion.fuse(raised)[0] >= score - 1e-12


def test_an_impossible_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="weight of signal x"):
        Fusion({"x": 1.0})


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.lists(st.floats(-3, 9), min_size=1, max_size=30))
def test_a_calibration_survives_its_file(scores: list[float], evidence: list[float]) -> None:
    made = Calibration.fit(scores, evidence, [abs(e) for e in evidence], source="here")
    read = Calibration.from_json(made.to_json())
    assert read.source == "here"
    assert read.actions.values == pytest.approx(sorted(map(logit, scores)), abs=1e-5)
    assert read.to_json() == made.to_json()


samples = st.lists(st.floats(-3, 9) | st.sampled_from([1 / 64, 3 / 64, 0.1 + 2**-56]), min_size=1, max_size=30)


@given(samples, samples, st.floats(-3, 12), st.floats(-3, 12), st.data())
def test_a_calibration_read_from_its_file_never_promises_more_than_the_one_that_was_saved(
    evidence: list[float], acts: list[float], a: float, b: float, data: st.DataObject
) -> None:
    made = Calibration.fit([0.5], evidence, acts, source="here")
    read = Calibration.from_json(made.to_json())
    for reached in ((a, b), (data.draw(st.sampled_from(evidence)), data.draw(st.sampled_from(acts)))):
        assert read.one_in(*reached)[0] <= made.one_in(*reached)[0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.data())
def test_an_act_is_no_more_unusual_to_a_calibration_read_from_its_file(
    scores: list[float], data: st.DataObject
) -> None:
    made = Calibration.fit(scores, [0.0], [0.0], source="here")
    score = data.draw(st.sampled_from(scores) | st.floats(0, 1))
    assert Calibration.from_json(made.to_json()).p_value(score) >= made.p_value(score)


@pytest.mark.parametrize("rank", range(1, 20))
def test_an_act_that_several_honest_sessions_reached_is_promised_the_same_after_saving(rank: int) -> None:
    """p-values are discrete: many sessions share their largest act, and a loss at it would count them all out."""
    act = -math.log10(rank / 3_937)
    made = Calibration.fit([0.5], [0.0] * 200, [0.001 * n for n in range(197)] + [act] * 3, source="here")
    assert Calibration.from_json(made.to_json()).one_in(-1, act) == made.one_in(-1, act) == (25.125, True)


@pytest.mark.parametrize(("said", "written"), [("[0.0]", "[NaN]"), ("[0.0]", "[Infinity]"), ("1.5", "Infinity")])
def test_a_calibration_of_impossible_numbers_is_refused(said: str, written: str) -> None:
    made = Calibration(Reference((0.0,), 1.5), Reference((0.0,), 1.5), Reference((0.0,), 1.5), source="here")
    with pytest.raises(ModelError, match=r"finite.*run `guardian calibrate`"):
        Calibration.from_json(made.to_json().replace(said, written))


@pytest.mark.parametrize("said", ["[0.0]", "1.5"])
def test_a_calibration_of_a_number_beyond_every_float_is_refused(said: str) -> None:
    made = Calibration(Reference((0.0,), 1.5), Reference((0.0,), 1.5), Reference((0.0,), 1.5), source="here")
    with pytest.raises(ModelError, match=r"too large.*run `guardian calibrate`"):
        Calibration.from_json(made.to_json().replace(said, said.replace(said.strip("[]"), "9" * 400)))


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', "[1]", '{"format":1,"source":"x","actions":{}}'])
def test_a_broken_calibration_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(ModelError, match="guardian calibrate"):
        Calibration.from_json(text)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.95), st.sampled_from([20, 50]))
def test_the_session_promise_holds_whatever_binds_the_acts_of_a_session_together(
    seed: int, correlation: float, one_in: int
) -> None:
    """A mood per session, and half of the sessions repeat their first act: dependence as strong as it gets."""
    rnd = random.Random(seed)

    def session() -> list[float]:
        made = honest_session(rnd, correlation)
        return [made[0]] * len(made) if rnd.random() < 0.5 else made

    fusion, sessions, trials = Fusion({"purpose_fit": 0.999}), 300, 600
    scores = [fusion.fuse(signal(v))[0] for _ in range(sessions) for v in session()]
    flat = Scorer(fusion, Calibration.fit(scores, [0.0], [0.0], source="first pass"))
    replayed = [maxima(flat, session()) for _ in range(sessions)]
    made = Calibration.fit(scores, [r.top for r in replayed], [r.act for r in replayed], source="simulation")
    scorer = Scorer(fusion, made)
    flagged = 0
    for _ in range(trials):
        end = maxima(scorer, session())
        flagged += made.one_in(end.top, end.act)[0] >= one_in
    expected = 1 / one_in
    spread = math.sqrt(expected * (1 - expected) * (1 / trials + 1 / sessions))
    assert flagged / trials <= expected + 4.5 * spread


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3))
def test_a_bet_on_honest_acts_averages_at_most_one_whatever_their_law(seed: int, shape: float) -> None:
    """Exchangeable: of n + 1 honest acts each is equally likely to be the one that is judged by the others."""
    rnd = random.Random(seed)
    pool = [round(rnd.gauss(0, 1) * rnd.random() ** shape, 2) for _ in range(60)]  # rounded: with ties
    bets = []
    for at in range(len(pool)):
        reference = Reference.fit([v for other, v in enumerate(pool) if other != at], least_scale=1.0)
        bets.append(e_value(reference.p_value(pool[at])))
    assert sum(bets) / len(bets) <= 1.0 + 1e-9


def test_a_hard_breach_is_remembered_so_that_no_promise_speaks_of_the_session() -> None:
    scorer = calibrated(random.Random(6), 0.0, 60)
    broken = [Signal("envelope_breach", 0.5, breaches=(Breach("envelope_expired", "", hard=True),))]
    soft = [Signal("envelope_hygiene", 0.1, breaches=(Breach("no_expiry", "", hard=False),))]
    unsigned = [Signal("envelope_breach", 0.0, breaches=(Breach("signature_missing", "", hard=True),))]
    state, _ = scorer.step(scorer.step(Gathered(), soft)[0], unsigned)
    assert not state.broke
    state, _ = scorer.step(state, broken)
    state, _ = scorer.step(state, signal(0.1))
    assert state.broke


@pytest.mark.parametrize("told", ["0", "-1", "null", '"many"', "1e999"])
def test_a_calibration_whose_longest_session_has_no_calls_is_refused(told: str) -> None:
    made = Calibration.fit([0.5], [0.0], [0.0], source="here", longest=12)
    with pytest.raises(ModelError, match="run `guardian calibrate`"):
        Calibration.from_json(made.to_json().replace('"longest":12', f'"longest":{told}'))


def test_a_calibration_tells_how_long_its_sessions_were_where_it_knows() -> None:
    made = Calibration.fit([0.5], [0.0], [0.0], source="here", longest=90)
    old = Calibration.fit([0.5], [0.0], [0.0], source="here")
    assert (Calibration.from_json(made.to_json()).calls, Calibration.from_json(old.to_json()).calls) == (90, 37)
    assert "longest" not in old.to_json(), "read and written again it stays the same, and so does its version"


def test_a_calibration_names_its_fold_and_how_far_its_promises_reach() -> None:
    made = Calibration.fit([0.1] * 9, [0.0] * 9, [0.0] * 9, source="here", fold="m/1")
    assert Calibration.from_json(made.to_json()).fold == "m/1"
    assert made.reach == 5
    assert made.one_in(0.0, 0.0)[1]
    old = made.to_json().replace(',"fold":"m/1"', "")
    assert Calibration.from_json(old).fold == ""


def test_a_sessions_own_figure_is_covered_up_to_half_of_what_flags_are_promised_at() -> None:
    spread = [0.1 * n for n in range(129)]
    made = Calibration.fit([0.1], spread, spread, source="here")
    assert (made.reach, made.covered) == (65, 32.5)
    assert made.one_in(spread[-1], 0.0) == (32.5, True)
    past, promised = made.one_in(spread[-1] + 1e-9, 0.0)
    assert (round(past), promised) == (made.reach, False)
