"""What a word of people's does to a session's memory, and what it leaves alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.gathered import Gathered
from guardian.domain.session import HumanWord, SessionState, Stage, rules_told
from guardian.response.hearing import NAMES_KEPT, REGISTERED_KEPT, hear, naming

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)


def registered(*digests: str, state: SessionState | None = None) -> SessionState:
    state = state or SessionState()
    for digest in digests:
        state = hear(state, HumanWord.REGISTERED, NOW, digest, lasting=())
    return state


def test_a_registered_digest_is_remembered_and_nothing_else_moves() -> None:
    gathered = Gathered(n=1, m=1.0)
    before = SessionState(stage=Stage.FLAGGED, epoch=2, transition=1, evidence=gathered, revoked_at=NOW)
    after = registered("a", "b", state=before)
    assert after == before.model_copy(update={"registered": ("a", "b")})


def test_a_digest_heard_again_is_kept_once_and_becomes_the_newest() -> None:
    assert registered("a", "b", "a").registered == ("b", "a")


def test_a_digest_that_is_registered_after_all_was_not_reported() -> None:
    other = ("envelope:b", "gap:2026-05-12:envelope:ba", "gap:2026-05-12:gateway:a")
    state = SessionState(reported=("envelope:a", "gap:2026-05-12:envelope:a", *other))
    assert registered("a", state=state).reported == other


@given(st.lists(st.integers(0, 200).map(str), max_size=300))
def test_the_newest_digests_are_kept_and_never_more_than_the_bound(digests: list[str]) -> None:
    newest = list(dict.fromkeys(reversed(digests)))[:REGISTERED_KEPT]
    assert list(registered(*digests).registered) == newest[::-1]


@pytest.mark.parametrize("word", [word for word in HumanWord if word is not HumanWord.REGISTERED])
def test_no_other_word_takes_a_registration_away(word: HumanWord) -> None:
    assert hear(registered("a"), word, NOW, lasting=()).registered == ("a",)


@pytest.mark.parametrize("word", [HumanWord.REINSTATED, HumanWord.FALSE_POSITIVE])
def test_people_wave_through_what_was_named_when_they_spoke(word: HumanWord) -> None:
    named = {"envelope_expired": NOW - timedelta(hours=1), "signature_invalid": NOW + timedelta(seconds=1)}
    state = SessionState(breaches=("of_an_older_version", *named), named_at=named, pardoned=("copied_authority",))
    after = hear(state, word, NOW, lasting=())
    assert after.pardoned == ("copied_authority", "of_an_older_version", "envelope_expired")
    later = NOW + timedelta(seconds=1)
    assert (after.breaches, after.named_at) == (("signature_invalid",), {"signature_invalid": later})
    assert "signature_invalid" in hear(after, word, later, lasting=()).pardoned


@pytest.mark.parametrize(
    ("known", "pardoned"),
    [
        ((), ("rule?", "rule", "other")),
        (("rule?",), ("rule?",)),
        (("rule",), ("rule?", "rule")),
        (("rule?", "rule"), ("rule?", "rule")),
        (("other",), ("other",)),
    ],
)
def test_who_knew_of_a_doubt_has_not_pardoned_the_fact(known: tuple[str, ...], pardoned: tuple[str, ...]) -> None:
    named = ("rule?", "rule", "other")
    state = SessionState(breaches=named, named_at=dict.fromkeys(named, NOW))
    after = hear(state, HumanWord.FALSE_POSITIVE, NOW, f"fnd_1 {rules_told(known)}", lasting=())
    assert after.pardoned == pardoned
    assert after.breaches == tuple(name for name in named if name not in pardoned)


def test_whoever_corrects_a_dismissal_pardons_nothing_of_it_and_may_dismiss_it_again() -> None:
    named = dict.fromkeys(("expired", "outside#1?", "outside#2"), NOW - timedelta(hours=1))
    state = SessionState(breaches=tuple(named), named_at=named, pardoned=("of_another_finding",))
    said = f"fnd_1 {rules_told(['expired', 'outside#1?'])}"
    dismissed = hear(state, HumanWord.FALSE_POSITIVE, NOW, said, lasting=())
    later = NOW + timedelta(seconds=1)
    after = hear(dismissed, HumanWord.CONFIRMED, later, said, lasting=())
    assert after.pardoned == ("of_another_finding",)
    assert set(after.breaches) == set(named) == set(after.named_at)
    again = hear(after, HumanWord.FALSE_POSITIVE, later + timedelta(seconds=1), said, lasting=())
    assert (again.pardoned, again.breaches) == (dismissed.pardoned, dismissed.breaches)


@pytest.mark.parametrize("detail", ["", "fnd_1", "fnd_1 -", "fnd_1 expired"])
def test_a_first_confirmation_leaves_the_memory_as_it_is(detail: str) -> None:
    state = SessionState(
        stage=Stage.FLAGGED, breaches=("expired",), named_at={"expired": NOW}, pardoned=("other",)
    )
    assert hear(state, HumanWord.CONFIRMED, NOW, detail, lasting=()) == state


@pytest.mark.parametrize("stage", [Stage.CLEAR, Stage.FLAGGED])
def test_a_lapse_leaves_flagged_what_was(stage: Stage) -> None:
    state = SessionState(stage=stage, transition=3, evidence=Gathered(n=1, top=3.0))
    for n in range(2):
        state = hear(state, HumanWord.REVOKED, NOW + timedelta(hours=n), lasting=())
    after = hear(state, HumanWord.LAPSED, NOW, lasting=())
    assert (after.stage, after.revoked_at, after.evidence) == (stage, None, state.evidence)


def test_what_people_called_a_false_alarm_is_clear_when_its_revocation_lapses() -> None:
    revoked = hear(SessionState(stage=Stage.FLAGGED, transition=1), HumanWord.REVOKED, NOW, lasting=())
    dismissed = hear(revoked, HumanWord.FALSE_POSITIVE, NOW, lasting=())
    assert hear(dismissed, HumanWord.LAPSED, NOW, lasting=()).stage is Stage.CLEAR


def test_a_state_that_an_older_version_left_revoked_is_flagged_after_a_lapse() -> None:
    left = SessionState.model_validate_json('{"stage": "revoked", "revoked_at": "2026-05-12T17:00:00Z"}')
    assert hear(left, HumanWord.LAPSED, NOW, lasting=()).stage is Stage.FLAGGED


def test_a_lapse_of_what_was_not_revoked_changes_no_stage() -> None:
    for stage in (Stage.CLEAR, Stage.FLAGGED):
        assert hear(SessionState(stage=stage), HumanWord.LAPSED, NOW, lasting=()).stage is stage


def test_of_rules_that_are_forgotten_the_time_is_too_and_of_one_the_first_is_kept() -> None:
    state = SessionState()
    for n in range(200):
        state = state.model_copy(update=naming(state, ["first", f"rule {n}"], NOW + timedelta(seconds=n)))
        assert set(state.named_at) == set(state.breaches)
        assert n > NAMES_KEPT - 4 or state.named_at["first"] == NOW
    assert len(state.breaches) == NAMES_KEPT


def test_of_a_thousand_values_the_newest_are_remembered_and_no_rule_is_forgotten_for_them() -> None:
    state = SessionState()
    for n in range(1_000):
        state = state.model_copy(update=naming(state, ["expired", f"outside#{n}"], NOW))
        if n % 300 == 299:
            state = hear(state, HumanWord.FALSE_POSITIVE, NOW, lasting=())
            assert (state.pardoned[0], state.pardoned[-1], len(state.pardoned)) == (
                "expired",
                f"outside#{n}",
                NAMES_KEPT,
            )
    assert (state.breaches[0], state.breaches[-1], len(state.breaches)) == ("expired", "outside#999", 101)


def test_values_of_some_rules_do_not_make_another_one_forgotten() -> None:
    state = SessionState()
    for n in range(1_000):
        state = state.model_copy(update=naming(state, [*["tool#1"] * (n == 0), f"a#{n}", f"b#{n}?"], NOW))
    assert (state.breaches[0], len(state.breaches)) == ("tool#1", NAMES_KEPT)


@pytest.mark.parametrize("word", [HumanWord.CONFIRMED, HumanWord.WITHDRAWN])
def test_of_a_verdict_that_is_corrected_or_taken_back_nothing_stays_pardoned_and_nothing_else_moves(
    word: HumanWord,
) -> None:
    gathered = Gathered(n=1, m=1.0)
    before = SessionState(
        stage=Stage.REVOKED, epoch=2, evidence=gathered, revoked_at=NOW, pardoned=("outside", "copied_authority")
    )
    after = hear(before, word, NOW, "fnd_1 outside", lasting=())
    assert after == before.model_copy(
        update={"pardoned": ("copied_authority",), "breaches": ("outside",), "named_at": {"outside": NOW}}
    )
    assert hear(before, word, NOW, "fnd_1 -", lasting=()) == before
