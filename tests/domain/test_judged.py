"""What the feed says beside a person's word: the finding they judged and the rules they knew of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.session import HumanWord, judged, left_standing, rules_told


@pytest.mark.parametrize(
    ("detail", "finding", "rules"),
    [
        ("", "", frozenset()),
        ("fnd_1", "fnd_1", frozenset()),
        ("-", "", frozenset({"-"})),
        ("fnd_1 envelope_expired parent_revoked", "fnd_1", frozenset({"envelope_expired", "parent_revoked"})),
        ("envelope_expired", "", frozenset({"envelope_expired"})),
        ("fnd_1 session_mismatch session_mismatch?", "fnd_1", frozenset({"session_mismatch?"})),
    ],
)
def test_a_finding_is_told_apart_from_the_rules(detail: str, finding: str, rules: frozenset[str]) -> None:
    assert judged(detail) == (finding, rules)


@given(st.frozensets(st.sampled_from(["a", "b", "c", "a?", "b?", "c?"])))
def test_the_rules_that_are_told_are_those_that_are_heard(known: frozenset[str]) -> None:
    facts = {name for name in known if not name.endswith("?")}
    assert judged(f"fnd_1 {rules_told(known)}") == ("fnd_1", known - {f"{name}?" for name in facts})


def test_a_reader_that_knows_of_no_doubts_finds_their_names_too() -> None:
    assert rules_told({"b?", "a"}) == "a b b?"
    assert rules_told(()) == ""


@pytest.mark.parametrize("word", list(HumanWord))
@pytest.mark.parametrize("detail", ["", "fnd_1", "fnd_1 -", "fnd_1 - confirmed"])
def test_only_who_takes_a_verdict_back_leaves_another_word_standing(word: HumanWord, detail: str) -> None:
    beside = word is HumanWord.WITHDRAWN and detail.endswith("confirmed")
    assert left_standing(word, detail) is (HumanWord.CONFIRMED if beside else word)
