"""Which values of an act are known, whatever its agent does to hide them."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.embedding.fit import FitRequest, static_features
from guardian.embedding.fusion import FEATURES
from guardian.embedding.grounding import argument_values, grounding
from guardian.embedding.text import MAX_LEAVES, items

PURPOSE = "send the nested list to ann@acme.com"
EVE = "eve@evil.io"


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": EVE},
        {"to": f"{' ' * 1_600}{EVE}"},
        {"to": reduce(lambda held, _: {"to": held}, range(12), EVE)},
        {"rows": [{"n": n} for n in range(2_000)], "to": EVE},
        {"to": ["ann@acme.com", EVE]},
        {"to": f'"Acme, Ann" <ann@acme.com>; {EVE}'},
        {"to": f"ann@acme.com <{EVE}>"},
        {"to": [f"ann@acme.com,{EVE}", "ann@acme.com"]},
        {"to": [*["ann@acme.com"] * 99, EVE]},
        {"to": ["ann@acme.com"] * 300},
        {"to": ["ann@acme.com"] * 128, "members": ["ann@acme.com"] * 129},
    ],
    ids=[
        "plain",
        "padded",
        "deep",
        "behind",
        "in a list",
        "in a row",
        "under another's name",
        "in both",
        "after many",
        "uncounted",
        "too many",
    ],
)
def test_a_stranger_is_one_wherever_it_is_put(arguments):
    found = grounding(PURPOSE, arguments, argument_values({"x": reduce(lambda held, _: [[held]], range(9), EVE)}))
    assert found.fresh == found.fresh_destination == 1.0


def test_destinations_that_are_known_are_so_in_a_list_and_in_a_row():
    carried = argument_values({"found": ["carl@acme.com", "dora@acme.com"], "owner": "ed@acme.com"})
    for told, each in (
        (["ann@acme.com", "dora@acme.com"], ["ann@acme.com", "dora@acme.com"]),
        ("Dora <dora@acme.com>; ann@acme.com", ["Dora <dora@acme.com>", "ann@acme.com"]),
    ):
        least = max(grounding(PURPOSE, {"to": item}, carried).fresh for item in each)
        assert grounding(PURPOSE, {"to": told}, carried).fresh == least < 1.0


def test_each_item_of_a_list_may_be_carried_on_by_itself():
    found = argument_values({"ids": ["user-17", "user-18"], "to": "a@x.org, b@x.org"})
    assert found >= {"user-17", "user-18", "a@x.org", "b@x.org", "user-17, user-18"}
    assert len(argument_values({"rows": [f"row {n}" for n in range(1_000)]})) == MAX_LEAVES


def test_a_stranger_in_a_list_is_seen_although_another_argument_quotes_the_purpose():
    request = FitRequest(PURPOSE, "mail.send", {"members": ["ann", "acme", "eve77"], "note": PURPOSE})
    assert dict(zip(FEATURES[2:], static_features(request), strict=True))["fresh_destination"] == 1.0


@given(
    st.lists(st.text(min_size=3, max_size=12), min_size=2, max_size=30), st.lists(st.text(max_size=12), max_size=5)
)
def test_more_items_never_make_the_least_known_destination_better_known(told, more):
    alone, beside = (grounding(PURPOSE, {"to": each}, ()) for each in (told, [*more, *told]))
    assert beside.fresh_destination >= alone.fresh_destination


@pytest.mark.parametrize("between", [" ", "\t", "|", "，", "；", "、", "\u2028", "\x85"])
def test_no_separator_hides_a_second_address_behind_one_that_is_known(between: str) -> None:
    row = f"bob@x.org{between}evil@y.example"
    alone = grounding("send the report to bob@x.org", {"to": "evil@y.example"}, ()).fresh_destination
    assert grounding("send the report to bob@x.org", {"to": row}, ()).fresh_destination == alone


def test_an_address_that_bears_itself_as_its_name_is_no_stranger_to_it() -> None:
    assert items("bob@x.org <bob@x.org>") == ["bob@x.org", "bob@x.org"]
