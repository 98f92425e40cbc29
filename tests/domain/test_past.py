import re
from datetime import UTC, datetime

import pytest
from cost import cost
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.identity import SessionKey
from guardian.domain.past import (
    LIST,
    OBJECT,
    Label,
    Vectors,
    agent_role,
    argument_leaves,
    envelope_values,
    flat_arguments,
    revoked,
    standing,
    verdicts,
)
from guardian.domain.rules import argument
from guardian.domain.session import HumanWord


@pytest.mark.parametrize(
    ("agent", "role"),
    [
        ("agent_review-07", "agent_review"), ("agent_review.v2", "agent_review"), ("agent-3f9a2b7c1d", "agent"),
        ("agent_review", "agent_review"), ("42", "42"), ("-1", "-1"), (None, ""),
        ("agent-550e8400-e29b-41d4-a716-446655440000", "agent"), ("a-550e8400-e29b", "a-550e8400-e29b"),
        ("a.550E8400-E29B-41D4-A716-446655440000.v2", "a"), ("agent-5d59d67564-bcdfg-1", "agent"),
        ("agent-review-7d9f8b6c5-x7k2p", "agent-review"), ("agent-review-https", "agent-review-https"),
        ("nightly-29384756-zq9wt", "nightly"), ("agent-7d9f8b6c5-audit", "agent-7d9f8b6c5-audit"),
    ],
)  # fmt: skip
def test_instances_of_one_agent_share_a_role(agent, role):
    assert agent_role(agent) == role


@given(st.lists(st.sampled_from([*"-_.v07afx٣\n", "00000000", "0000000a", "-v1", "--"]), max_size=9).map("".join))
def test_a_role_is_what_is_left_of_numbers_and_hashes_at_the_end(agent):
    pod = "[0-9a-f]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"
    assert agent_role(agent) == (re.sub(rf"(?:[-_.:/@#]+(?:{pod}|v?\d+|[0-9a-f]{{8,}}))+$", "", agent) or agent)


@pytest.mark.parametrize(
    ("begin", "repeated", "most"), [("a", "-00000000", 56), ("a", "-00000000-22222", 32), ("", "-", 511)]
)
def test_no_name_of_an_agent_takes_long_to_read(begin, repeated, most):
    """Also not in the way in which a pattern that tries everything takes long: from eight times to sixteen
    it would take hundreds of times as long."""

    def reading(n):
        name = f"{begin}{repeated * n}x"
        assert agent_role(name) == name
        return cost(lambda: agent_role(name))

    assert reading(16) < 16 * reading(8)
    assert reading(most) < 128 * reading(most // 8)


def test_vectors_have_whole_numbers_in_them():
    assert Vectors("m", b"ab", b"abcd").model == "m"
    with pytest.raises(ValueError, match="two bytes"):
        Vectors("m", b"abc", b"ab")


def test_leaves_have_paths_and_members_of_a_list_share_one():
    found = list(argument_leaves({"a": {"b": 1, "c.d": "x"}, "items": [{"sku": "s"}, {"sku": "t"}], "n": None}))
    assert found == [("a.b", 1), ("a.c\\.d", "x"), ("items[].sku", "s"), ("items[].sku", "t"), ("n", None)]


def test_what_nests_without_end_is_cut():
    deep: dict = {}
    inner = deep
    for _ in range(100):
        inner["a"] = {"l": [[]]}
        inner = inner["a"]
    lists: list = []
    for _ in range(100):
        lists = [lists]
    assert list(argument_leaves(deep)) == []
    assert list(argument_leaves(lists)) == []
    assert max(path.count(".") for path in flat_arguments(deep)) <= 17


def test_a_policy_sees_scalars_and_that_other_things_are_no_scalars():
    told = {"a": 1, "b": [1], "c": {"d": True, "e": None}, "c.d": "other", "n": None}
    assert flat_arguments(told) == {"a": 1, "b": LIST, "c": OBJECT, "c.d": True, "c\\.d": "other"}


@pytest.mark.parametrize(
    ("real", "decoy", "path"),
    [
        ({"a.b": 9000}, {"a\\": {"b": 1}}, "a\\.b"),
        ({"amount": 9000}, {"": {"amount": 1}}, "amount"),
        ({"to": {"iban": "X"}}, {"to.iban": "Y"}, "to.iban"),
    ],
)
def test_no_argument_hides_behind_another_of_the_same_path(real, decoy, path):
    told = {**real, **decoy}
    assert flat_arguments(told)[path] == flat_arguments(real)[path] == argument(told, path)
    assert len({where for where, _ in argument_leaves(told)}) == 2


def test_an_argument_is_found_under_the_path_that_it_has():
    told = {"a\\": 1, "b.c": 2, "": {"d": 3}, "e": {"f\\": 4}}
    assert {path: argument(told, path) for path, _ in argument_leaves(told)} == dict(argument_leaves(told))


def test_single_numbers_and_switches_of_an_envelope_are_nothing_to_pin_to():
    assert envelope_values({"ids": ["c1", 7, True, ""], "region": "eu", "max": 25, "on": True, "empty": ""}) == {
        "ids": ["c1", "7"], "region": ["eu"], "max": [], "on": [], "empty": [],
    }  # fmt: skip


def test_a_long_name_is_not_repeated_for_each_of_the_values_below_it():
    """An agent chooses its names: a megabyte of them became gigabytes of paths."""
    for told in ({"k" * 513: {"a": 1}, "b": 2}, {"k" * 500: {"a" * 20: 1}, "b": 2}):
        assert list(argument_leaves(told)) == [("b", 2)]
        assert {path: value for path, value in flat_arguments(told).items() if value is not OBJECT} == {"b": 2}
    long = {"k" * 200_000: {f"a{n}": "c1" for n in range(20_000)}}
    assert list(argument_leaves(long)) == []
    assert flat_arguments(long) == {}


SAID = {
    "F": HumanWord.FALSE_POSITIVE,
    "C": HumanWord.CONFIRMED,
    "W": HumanWord.WITHDRAWN,
    "R": HumanWord.REVOKED,
}


@pytest.mark.parametrize(
    ("said", "stands", "verdict", "stopped"),
    [
        ("F1 W1", "", None, False),
        ("C1 W1", "", None, False),
        ("F1 C1 W1", "", None, False),
        ("F1 W1 C1", "C1", HumanWord.CONFIRMED, False),
        ("C1 F2 W2", "C1", HumanWord.CONFIRMED, False),
        ("C1 F2 W1", "F2", HumanWord.FALSE_POSITIVE, False),
        ("R F1", "R F1", HumanWord.FALSE_POSITIVE, False),
        ("R F1 W1", "R", None, True),  # that it was dismissed had set it free of a word
        ("F W1", "", None, False),  # of which finding it was said is not known: it may be that one
        ("W1", "", None, False),
    ],
)
def test_a_verdict_that_was_taken_back_is_none(said, stands, verdict, stopped):
    key, other = SessionKey("acme", "s1"), SessionKey("acme", "s2")

    def labels(text, of=key):
        told = enumerate(text.split())
        return [Label(of, SAID[each[0]], datetime(2026, 5, 12, tzinfo=UTC), n, each[1:]) for n, each in told]

    beside = labels("F1", other)
    assert [label.word for label in standing(labels(said))] == [label.word for label in labels(stands)]
    judged = verdicts([*beside, *labels(said)])
    assert judged.pop(other).word is HumanWord.FALSE_POSITIVE, "another session's is left alone"
    assert {label.word for label in judged.values()} == ({verdict} - {None})
    assert (key in revoked(labels(said))) is stopped
