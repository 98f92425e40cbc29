import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.errors import DecodeError
from guardian.sources.facts import arguments_of, count, effect_of, mapping, moment, names

AT = datetime(2026, 11, 24, 22, 7, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    [
        "2026-11-24T22:07:16Z", "2026-11-24T22:07:16.000000999Z", "2026-11-24 22:07:16",
        "2026-11-24T23:07:16+01:00",
        "2026-11-24T22:07:16+00:00Z", AT.timestamp(), int(AT.timestamp() * 1000), str(int(AT.timestamp())),
        str(int(AT.timestamp()) * 10**9), int(AT.timestamp()) * 10**6,
    ],
)  # fmt: skip
def test_times_are_read_as_logs_write_them(said):
    assert moment(said, "t") == AT


@pytest.mark.parametrize("said", ["yesterday", True, [], {}, "--5", "nan", "inf", 1e300, "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused_by_name(said):
    with pytest.raises(DecodeError) as caught:
        moment(said, "when")
    assert caught.value.reason.startswith("when: expected")


@given(st.text(max_size=30) | st.floats() | st.integers())
def test_a_time_is_aware_or_refused(said):
    try:
        read = moment(said, "t")
    except DecodeError:
        return
    assert read is None or read.tzinfo is not None


def test_arguments_that_are_json_in_a_string_or_no_object_are_kept():
    assert arguments_of('{"a": 1}') == {"a": 1}
    assert arguments_of("[1]") == {"value": [1]}
    assert arguments_of("plain words") == {"text": "plain words"}
    assert [arguments_of(value) for value in ([1], 3, True)] == [{"value": value} for value in ([1], 3, True)]
    assert arguments_of(None) is None


@pytest.mark.parametrize("said", [3, True, [{"purpose": "any"}], "env-7781", "[1]"])
def test_what_must_be_an_object_is_nothing_else(said):
    assert mapping('{"a": 1}', "x") == {"a": 1}
    with pytest.raises(DecodeError, match="x: expected an object"):
        mapping(said, "x")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (3, 3), ("3", 3), (400.0, 400), ("400.0", 400), (1e3, 1000), (0.0, 0), (2.0**64, None), (-1, None),
        (-1.0, None), (True, None), (3.5, None), ("3.5", None), ("3.", None), (math.inf, None), (math.nan, None),
        ("many", None), (None, None),
    ],
)  # fmt: skip
def test_counts_are_whole_and_not_negative(said, read):
    assert (count(said), type(count(said))) == (read, type(read))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (["salary", "terms"], ("salary", "terms")), ("salary", ("salary",)), ([], ()), ("", None), (None, None),
        ([{"name": "salary"}], None), ([None, 7], None), ({"name": "salary"}, None), (["salary", 7], ("salary",)),
    ],
)  # fmt: skip
def test_names_that_cannot_be_read_are_missing_not_none_at_all(said, read):
    assert names(said) == read


def test_decisions_are_booleans_or_the_usual_words():
    assert [effect_of(value, "d") for value in (True, "PERMIT", "Denied", False)] == [
        "allow",
        "allow",
        "deny",
        "deny",
    ]
    with pytest.raises(DecodeError):
        effect_of("maybe", "d")
