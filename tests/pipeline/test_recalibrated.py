"""Evidence counts under the calibration that measured it: another one begins it afresh."""

from dataclasses import replace

import pytest

from guardian.domain.gathered import Gathered
from guardian.domain.session import HumanWord, SessionState, Stage
from guardian.pipeline.carrying import afresh, measured_by
from guardian.response.ladder import Ladder

FIGURES = Gathered(m=3.0, n=4, top=2.5, act=3.0, best={"mail.send": 40.0})


def recalibrate(world, version: str) -> None:
    judge = replace(world.pipeline.judging, versions={"calibration": version})
    world.pipeline = replace(world.pipeline, judging=judge)


def test_a_session_under_way_begins_its_evidence_afresh_under_another_calibration(new_world, drifting) -> None:
    world = new_world(versions={"calibration": "c1"}, ladder=Ladder(flag_one_in=100, revoke_one_in=1e9))
    world.feed(*[drifting(n) for n in range(11)])
    flagged = world.state()
    assert (flagged.stage, flagged.calibration, flagged.undivided) == (Stage.FLAGGED, "c1", True)
    recalibrate(world, "c2")
    world.feed(drifting(11))
    state, alone = world.state(), new_world(versions={"calibration": "c2"})
    alone.feed(drifting(11))
    assert state.evidence == alone.state().evidence, "as if it were its first call"
    assert world.scored[-1].drift.one_in < world.scored[-2].drift.one_in
    assert (state.stage, state.actions, state.calibration) == (Stage.FLAGGED, 12, "c2")
    assert (state.undivided, alone.state().undivided) == (False, True)


def test_evidence_goes_on_under_its_own_calibration_whoever_reads_on(new_world, drifting) -> None:
    world, restarted = new_world(versions={"calibration": "c1"}), new_world(versions={"calibration": "c1"})
    world.feed(*[drifting(n) for n in range(3)])
    restarted.memory = world.memory
    restarted.feed(drifting(3))
    world.feed(drifting(3))
    assert restarted.state() == world.state()
    assert world.state().evidence.n == 4


@pytest.mark.parametrize("kept", ["c1", ""])
def test_what_another_calibration_or_an_older_guardian_measured_is_dropped_but_for_a_broken_rule(kept) -> None:
    known = SessionState(
        actions=4, evidence=FIGURES, peak=3.5, asked_one_in=1e6, calibration=kept, undivided=bool(kept)
    )
    state = measured_by("c2", known)
    assert (state.evidence, state.peak, state.calibration, state.undivided) == (Gathered(), None, "c2", False)
    assert state.asked_one_in == 1.0, "on the other one's scale, too"
    broken = known.model_copy(update={"evidence": FIGURES.model_copy(update={"broke": True})})
    assert measured_by("c2", broken).evidence == Gathered(broke=True)
    assert measured_by("c2", state) is state
    assert not measured_by("c1", state).undivided, "not even where the first one is back"


def test_a_session_that_was_only_registered_is_measured_from_its_first_call_on(new_world, body) -> None:
    world = new_world(versions={"calibration": "c1"})
    world.hear(HumanWord.REGISTERED, detail="d" * 64)
    world.feed(body(0))
    assert world.state().undivided
    assert measured_by("c2", afresh(world.state())).undivided, "the next session of its name too"
