"""One step up per state change; people's word starts afresh."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.breach import Breach
from guardian.domain.finding import Effect
from guardian.domain.gathered import Gathered
from guardian.domain.session import HumanWord, SessionState, Stage
from guardian.response.hearing import hear
from guardian.response.ladder import REVOKE_BREACHES, Ladder

NOW = datetime(2026, 5, 12, tzinfo=UTC)
ladder = Ladder()


def wanted(one_in: float = 1.0, *names: str, hard: bool = True, pardoned: tuple[str, ...] = ()) -> Effect:
    return ladder.wanted(one_in=one_in, breaches=[Breach(n, "", hard=hard) for n in names], pardoned=pardoned)


@pytest.mark.parametrize(
    ("one_in", "effect"),
    [(1, Effect.NONE), (999, Effect.NONE), (1_000, Effect.FLAG), (19_999, Effect.FLAG), (20_000, Effect.REVOKE)],
)
def test_thresholds_are_in_honest_sessions(one_in: float, effect: Effect) -> None:
    assert wanted(one_in) is effect


def test_a_named_rule_flags_and_a_fatal_one_asks_for_revocation() -> None:
    assert wanted(1, "copied_authority", hard=False) is Effect.FLAG
    for name in REVOKE_BREACHES:
        assert wanted(1, name) is Effect.REVOKE
        assert wanted(1, name, hard=False) is Effect.FLAG


def test_configuration_overrides_what_a_rule_asks_for() -> None:
    custom = Ladder(breach_effects={"envelope_expired": Effect.NONE, "copied_authority": Effect.REVOKE})
    assert custom.wanted(one_in=1, breaches=[Breach("envelope_expired", "")]) is Effect.NONE
    assert custom.wanted(one_in=1, breaches=[Breach("copied_authority", "")]) is Effect.REVOKE


def test_a_doubt_can_be_quieted_without_the_fact_of_the_same_name() -> None:
    fact, doubt = Breach("session_mismatch", ""), Breach("session_mismatch", "", hard=False)
    for told, of_fact, of_doubt in (
        ({"session_mismatch?": Effect.NONE}, Effect.REVOKE, Effect.NONE),
        ({"session_mismatch": Effect.NONE}, Effect.NONE, Effect.NONE),
        ({"session_mismatch": Effect.NONE, "session_mismatch?": Effect.FLAG}, Effect.NONE, Effect.FLAG),
    ):
        custom = Ladder(breach_effects=told)
        assert (custom.breach_effect(fact), custom.breach_effect(doubt)) == (of_fact, of_doubt)


@pytest.mark.parametrize("name", ["arguments_unchecked", "other_purpose", "reissued_unclear", "renewed"])
def test_what_is_merely_noted_asks_for_nothing_unless_it_is_hard_or_configured(name: str) -> None:
    assert wanted(1, name, hard=False) is Effect.NONE
    assert wanted(1_000, name, hard=False) is Effect.FLAG
    assert wanted(1, name) is Effect.FLAG
    custom = Ladder(breach_effects={name: Effect.FLAG})
    assert custom.wanted(one_in=1, breaches=[Breach(name, "", hard=False)]) is Effect.FLAG


def test_a_pardoned_rule_asks_for_nothing() -> None:
    assert wanted(1, "copied_authority", pardoned=("copied_authority",)) is Effect.NONE


def test_impossible_thresholds_are_refused() -> None:
    with pytest.raises(ValueError, match="flag 10"):
        Ladder(flag_one_in=10, revoke_one_in=5)


@given(st.sampled_from(Stage), st.sampled_from(Effect))
def test_the_ladder_never_climbs_down(stage: Stage, effect: Effect) -> None:
    order = [Stage.CLEAR, Stage.FLAGGED, Stage.REVOKED]
    assert order.index(Ladder.climb(stage, effect)) >= order.index(stage)


def test_a_rule_that_was_waved_through_neither_asks_again_nor_keeps_more_evidence_from_asking() -> None:
    asked = SessionState(stage=Stage.REVOKED, asked_at=NOW, asked_one_in=20_000.0, pardoned=("envelope_expired",))
    expired = [Breach("envelope_expired", "")]
    assert not ladder.asks_again(asked, one_in=20_000.0, breaches=expired, now=NOW)
    assert ladder.asks_again(asked, one_in=200_000.0, breaches=expired, now=NOW)
    unheard = [*expired, Breach("tenant_mismatch", "", about=("b",))]
    assert ladder.asks_again(asked, one_in=20_000.0, breaches=unheard, now=NOW)
    for named, again in (("tenant_mismatch#a", False), ("tenant_mismatch#a?", True), ("session_mismatch#b", True)):
        heard = asked.model_copy(update={"breaches": (named,)})
        assert ladder.asks_again(heard, one_in=20_000.0, breaches=unheard, now=NOW) is again


def test_ten_times_the_evidence_asks_again_unless_a_rule_asks_by_itself() -> None:
    asked = SessionState(stage=Stage.REVOKED, asked_at=NOW, asked_one_in=20_000.0, breaches=("broken",))
    broken = [Breach("broken", "")]
    assert ladder.asks_again(asked, one_in=200_000.0, breaches=broken, now=NOW)
    assert not ladder.asks_again(asked, one_in=100_000.0, breaches=broken, now=NOW)
    revokes = Ladder(breach_effects={"broken": Effect.REVOKE})
    assert not revokes.asks_again(asked, one_in=200_000.0, breaches=broken, now=NOW)


def test_a_revocation_is_remembered_with_its_time() -> None:
    state = hear(SessionState(), HumanWord.REVOKED, NOW, lasting=())
    assert (state.revoked_at, state.stage) == (NOW, Stage.REVOKED)


@pytest.mark.parametrize("word", [HumanWord.REINSTATED, HumanWord.FALSE_POSITIVE])
def test_a_human_no_starts_evidence_afresh_and_pardons_what_was_named(word: HumanWord) -> None:
    before = SessionState(
        stage=Stage.REVOKED,
        transition=2,
        revoked_at=NOW,
        evidence=Gathered(n=1, m=9.0),
        signals={"denial_pressure": {"n": 3}, "purpose_baseline": {"tally": 1}},
        breaches=("copied_authority",),
        pardoned=("wider_tools",),
    )
    after = hear(before, word, NOW, lasting={"purpose_baseline"})
    assert (after.epoch, after.transition, after.stage, after.evidence) == (1, 0, Stage.CLEAR, Gathered())
    assert after.signals == {"purpose_baseline": {"tally": 1}}
    assert after.pardoned == ("wider_tools", "copied_authority")
    assert after.breaches == ()
    assert (after.revoked_at is None) is (word is HumanWord.REINSTATED)


def test_a_confirmation_changes_nothing_in_the_fold() -> None:
    state = SessionState(stage=Stage.FLAGGED)
    assert hear(state, HumanWord.CONFIRMED, NOW, lasting=()) == state
