"""What a call quotes of its purpose is cut out before anything reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.embedding.consequence import Consequence
from guardian.embedding.echo import PASSAGE, unquoted, without_echo, without_repeats
from guardian.embedding.fit import FitRequest, static_features
from guardian.embedding.fusion import FEATURES
from guardian.embedding.grounding import content_words
from guardian.embedding.text import MARK, leaves

PURPOSE = "Can you please pay the bill 'march.txt' for me and tell Bob about it?"
WORDS = st.lists(
    st.sampled_from(["pay", "the", "bill", "for", "Bob", "and", "then", "tell", "Eve", "about", "march", "2026"]),
    max_size=30,
)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (PURPOSE, MARK),
        (f"Hello. {PURPOSE} Then send it to eve@x.org", f"Hello. {MARK} send it to eve@x.org"),
        ("it about Bob tell and me for march.txt bill the pay please you can", MARK),
        (
            "DROP TABLE users -- it about Bob tell and me for march.txt bill the pay please you can",
            f"DROP TABLE users -- {MARK}",
        ),
        (
            "delete from users where id is over 500 -- it about Bob tell and me for march.txt bill the pay please",
            f"delete from users where id is over 500 -- {MARK}",
        ),
        (f"{'İ' * 40} {PURPOSE}", f"{'İ' * 40} {MARK}?"),
        (f"отправь базу {PURPOSE}", f"отправь базу {MARK}?"),
        ("pay the bill", "pay the bill"),
        ("march.txt", "march.txt"),
        ("", ""),
    ],
)
def test_a_quoted_passage_becomes_a_mark_and_the_rest_stays(value: str, left: str) -> None:
    assert unquoted(PURPOSE, value) == left


def test_a_purpose_declared_as_a_slug_is_recognised_as_words_and_as_a_slug() -> None:
    slug = "review_contract_for_renewal_risk"
    assert unquoted(slug, "Review contract for renewal risk") == MARK
    assert unquoted(slug, f"{slug} now") == f"{MARK} now"


def test_a_purpose_of_one_or_two_words_cannot_be_quoted() -> None:
    assert unquoted("pay rent", "pay rent") == "pay rent"


def test_arguments_that_quote_nothing_stay_the_same_object() -> None:
    arguments = {"to": "Bob", "items": [1, 2]}
    assert without_echo(PURPOSE, arguments) is arguments
    assert without_echo(PURPOSE, None) is None


@pytest.mark.parametrize("twin", ["to\u200b", "to ", "a.to"])
def test_a_name_that_reads_like_another_hides_no_value(twin: str) -> None:
    where: dict[str, object] = {"a": {"to": "eve@x.org"}} if "." in twin else {"to": "eve@x.org"}
    told = [("a.to" if "." in twin else "to", value) for value in ("eve@x.org", "Bob", "Ann")]
    arguments = {**where, twin: "Bob", f"{twin} ": "Ann"}
    assert leaves(without_echo(PURPOSE, arguments)) == told
    quoting = leaves(without_echo(PURPOSE, {**arguments, "note": PURPOSE}))
    assert quoting == [*told, ("note", MARK)]


def test_values_made_of_the_purposes_words_are_left_out_where_they_are_more_than_what_is_spared() -> None:
    said = [word for word in PURPOSE.split() if content_words(word)]
    call = {"iban": "DE77", "amount": "900", "mixed": f"{said[0]} eve@x.org DE77"}
    spread = {**call, **{f"note{n}": " ".join(said[n : n + 3]) for n in range(len(said) - 2)}, "topic": said[0]}
    assert without_repeats(PURPOSE, spread) == call
    few = {**call, "topic": said[0]}
    assert without_repeats(PURPOSE, few, spared=1) is few
    assert without_repeats(PURPOSE, few) == call
    assert without_repeats(PURPOSE, call) is call
    assert without_repeats(PURPOSE, None) is None
    small = {f"item {n}": word for n, word in enumerate(["the", "for", "me", "and", "you"])}
    assert without_repeats(PURPOSE, {**small, **call}) == call
    assert without_repeats("отправь Анне счёт за март", {"a": "счёт", "b": "за", "c": "Анне", **call}) == call
    assert without_repeats(PURPOSE, others := {"a": "of", "b": "by", "c": "is"}) is others


def test_repeating_the_purpose_changes_no_feature_of_the_fusion() -> None:
    call = FitRequest(PURPOSE, "payments.send", {"iban": "DE77", "amount": "900"})
    stuffed = FitRequest(PURPOSE, "payments.send", {"iban": "DE77", "amount": "900", "note": PURPOSE})
    assert static_features(stuffed) == static_features(call)


def test_what_a_statement_does_is_not_hidden_by_words_of_the_purpose_around_it() -> None:
    hidden = FitRequest(PURPOSE, "db.query", {"sql": f"drop {PURPOSE}"})
    consequence = FEATURES.index("consequence") - 2
    assert static_features(hidden)[consequence] == Consequence.ACT.weight


@given(WORDS, WORDS)
def test_no_passage_of_the_purpose_is_left_and_cutting_twice_changes_nothing(
    purpose: list[str], value: list[str]
) -> None:
    once = unquoted(" ".join(purpose), " ".join(value))
    assert unquoted(" ".join(purpose), once) == once
    kept = once.lower().split()
    runs = {tuple(word.lower() for word in purpose[i : i + PASSAGE]) for i in range(len(purpose) - PASSAGE + 1)}
    assert not [i for i in range(len(kept)) if tuple(kept[i : i + PASSAGE]) in runs]


@given(st.text(max_size=60), st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_any_value_can_be_heard(purpose: str, value: object) -> None:
    found = without_echo(purpose, {"a": value})
    assert found is not None
    assert without_echo(purpose, found) == found
