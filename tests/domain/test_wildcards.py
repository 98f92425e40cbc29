"""Wildcards in an envelope's lists: a star stands for any characters, and nothing else is special."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.wildcards import allows, covers, hull, shared


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("crm.read", "crm.read", True), ("crm.read", "crm.edit", False), ("crm.*", "crm.read", True),
        ("*.read", "crm.edit", False), ("a*b", "ab", True), ("ab*bc", "abc", False),
        ("crm.*.read.*", "crm.x.read.y", True), ("crm.*.read.*", "crm.x.edit.y", False), ("crm.*", "*", False),
        ("crm.?", "crm.a", False), ("items[].sku", "items[].sku", True), ("crm.[ab]", "crm.a", False),
    ],
)  # fmt: skip
def test_a_star_stands_for_any_characters(pattern, name, expected):
    assert covers(pattern, name) == expected


def test_a_list_allows_what_an_entry_covers_and_an_empty_one_everything():
    listed = ("crm.*", "mail.send")
    assert [allows(listed, tool) for tool in ("crm.read", "mail.send", "mail.read")] == [True, True, False]
    assert allows((), "mail.read")


@given(name=st.text("ab.", max_size=8), pieces=st.lists(st.integers(0, 8), max_size=4))
def test_a_name_with_holes_cut_into_it_covers_the_name(name: str, pieces: list[int]) -> None:
    cuts = sorted({min(cut, len(name)) for cut in pieces})
    pattern = "*".join(name[start:end] for start, end in zip([0, *cuts], [*cuts, len(name)], strict=True))
    assert covers(pattern, name)
    assert covers("*", name)
    assert not covers(pattern, name + "x") or pattern.endswith("*")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("/srv/*", "*.pem", {"/srv/*.pem"}), ("us-*", "us-east", {"us-east"}), ("us-*", "us-e*", {"us-e*"}),
        ("eu-*", "us-*", set()), ("*.pem", "*.txt", set()), ("eu", "us", set()), ("us", "us-*", set()),
        ("/srv/*", "*/key", {"/srv/*/key", "/srv/key"}), ("*", "a*b", {"a*b"}), ("ab*", "*bc", {"ab*bc", "abc"}),
        ("*/keys/*", "/srv/*", {"/srv/*/keys/*", "/srv/keys/*"}), ("", "*", {""}),
    ],
)  # fmt: skip
def test_what_two_entries_share_is_told_whichever_comes_first(one, other, both):
    assert shared(one, other) == shared(other, one) == both


@pytest.mark.parametrize(("one", "other"), [("/srv/*", "*" + "a" * 2_000), ("*a" * 8 + "*", "*b" * 8 + "*")])
def test_of_long_entries_and_of_many_shared_ones_the_hull_is_told(one, other):
    assert shared(one, other) == {hull(one, other)}


_ENTRY = st.text("ab*", max_size=6)


@given(one=_ENTRY, other=_ENTRY, name=st.text("ab", max_size=6))
def test_what_two_entries_share_covers_what_they_both_cover_and_only_that(one: str, other: str, name: str) -> None:
    both, around = covers(one, name) and covers(other, name), hull(one, other)
    assert any(covers(entry, name) for entry in shared(one, other)) == both
    assert not both or (around is not None and covers(around, name))
