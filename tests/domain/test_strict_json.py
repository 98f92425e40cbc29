"""JSON of hostile bytes, and the one spelling of which digests are made."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.strict_json import canonical_json, parse, parse_text
from guardian.errors import DecodeError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "code", "why"),
    [
        (b"[" + b" " * 99 + b"]", "too_large", "larger than the 100 bytes that are read at most"),
        (b"\xff", "not_utf8", "the byte at position 0 is not UTF-8"),
        ("{}".encode("utf-16"), "not_utf8", "it looks like UTF-16: write it as UTF-8"),
        ("{ }".encode("utf-16-le"), "not_json", "it looks like UTF-16: write it as UTF-8"),
        (b'{"ab": 1, "c": {"ab": 1}, "ab": 2}', "ambiguous", "a key of 2 characters occurs twice in one object"),
        (b"[NaN]", "not_json", "a number of 3 characters is not one that JSON can carry"),
        (b"-1e999", "not_json", "a number of 6 characters is not one that JSON can carry"),
        (b"18446744073709551616", "not_json", "a number of 20 characters is not one that JSON can carry"),
        (b"1" * 90, "not_json", "a number of 90 characters is not one that JSON can carry"),
        (b'"\\ud83d"', "not_utf8", "a \\u escape is half of a surrogate pair"),
        (b"[" * 9 + b"]" * 9, "too_deep", "nested more than 8 levels deep"),
        (b"{", "not_json", "Expecting property name enclosed in double quotes at position 1"),
    ],
)
def test_what_two_parsers_might_read_differently_is_refused(value: bytes, code: str, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        parse(value, max_bytes=100, max_depth=8)
    assert (refused.value.code, refused.value.reason) == (code, why)


def test_what_nests_deeper_than_the_stack_is_refused_whatever_depth_is_allowed() -> None:
    with pytest.raises(DecodeError, match="the JSON cannot be parsed"):
        parse_text("[" * 200_000 + "]" * 200_000, max_depth=10**6)


def test_brackets_are_no_depth_where_they_do_not_nest() -> None:
    told = [*[[]] * 9, "[[{" * 9]
    assert parse_text(json.dumps(told), max_depth=2) == told


@given(VALUES)
def test_the_one_spelling_is_read_as_what_it_was_made_of(value: object) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert parse(text.encode(), max_bytes=10**6) == value
    assert canonical_json(parse_text(text)) == text


def test_the_one_spelling_stays_as_it_is() -> None:
    told = {"z": 25.0, "a": {"ids": ["é", None, True], "y": 1e300, "x": -0.0}, "€": '"\\\n\x7f😀'}
    assert canonical_json(told) == (
        r'{"a":{"ids":["\u00e9",null,true],"x":-0.0,"y":1e+300},"z":25.0,"\u20ac":"\"\\\n\u007f\ud83d\ude00"}'
    )
