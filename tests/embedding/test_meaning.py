"""What an act can do and where its values come from are read off without a model."""

import pytest

from guardian.embedding.consequence import Consequence, consequence, of_tool
from guardian.embedding.grounding import argument_values, grounding, openness, tool_overlap


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("contracts.read", Consequence.READ),
        ("payments.history", Consequence.READ),
        ("TwilioGetReceivedSmsMessages", Consequence.READ),
        ("get_order_details", Consequence.READ),
        ("create_event", Consequence.WRITE),
        ("tickets.update", Consequence.WRITE),
        ("email.send", Consequence.ACT),
        ("crm.bulk_export", Consequence.ACT),
        ("payments.create", Consequence.ACT),
        ("AugustSmartLockGrantGuestAccess", Consequence.ACT),
        ("get_and_send_report", Consequence.ACT),
        ("list_and_delete_users", Consequence.ACT),
        ("search_and_update_ticket", Consequence.WRITE),
        ("get_terms_and_conditions", Consequence.READ),
        ("get_customer_and_order", Consequence.READ),
        ("check_and_track_order", Consequence.READ),
        ("frobnicate", Consequence.UNKNOWN),
        ("", Consequence.UNKNOWN),
    ],
)
def test_a_tool_name_says_what_it_can_do(tool: str, expected: Consequence) -> None:
    assert of_tool(tool) is expected


def test_consequences_are_ordered_and_weighed_alike() -> None:
    weights = [kind.weight for kind in sorted(Consequence)]
    assert weights == sorted(weights)
    assert (weights[0], weights[-1]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"sql": "drop table users"},
        {"method": "DELETE", "url": "/x"},
        {"request": {"method": "POST"}},
        {"op": "remove"},
    ],
)
def test_arguments_can_raise_what_a_look_up_does(arguments: dict[str, object]) -> None:
    assert consequence("db.query", arguments) is Consequence.ACT
    assert consequence("db.query", {"sql": "select 1"}) is Consequence.READ


def test_a_value_that_the_purpose_names_is_grounded_and_a_stranger_is_fresh() -> None:
    purpose = "send the signed contract to anna@acme.com"
    assert grounding(purpose, {"to": "anna@acme.com"}, ()).fresh_destination == 0.0
    assert grounding(purpose, {"to": "mallory@evil.example"}, ()).fresh_destination == 1.0


@pytest.mark.parametrize(
    ("arguments", "fresh"),
    [
        ({"limit": 100, "sort_by": "newest", "page": "2"}, 0.0),
        ({"filter": {"max_results": "500"}}, 0.0),
        ({"limit": "mallory@evil.example"}, 1.0),
        ({"order": "48221"}, 1.0),
        ({"customer": "Globex", "limit": 100}, 1.0),
    ],
)
def test_how_much_a_look_up_shall_answer_is_no_value_of_its_own(
    arguments: dict[str, object], fresh: float
) -> None:
    assert grounding("what did the plumber charge us?", arguments, (), looks_up=True).fresh == fresh
    assert grounding("what did the plumber charge us?", arguments, ()).fresh == 1.0


def test_no_value_besides_makes_an_act_less_fresh() -> None:
    call: dict[str, object] = {"to": "mallory@evil.example", "sum": "900"}
    named: dict[str, object] = {f"note {n}": "the signed contract" for n in range(9)}
    alone, beside = (grounding("send the signed contract", {**more, **call}, ()) for more in ({}, named))
    assert beside.fresh == alone.fresh
    assert beside.named > alone.named


def test_a_value_that_an_earlier_call_carried_is_not_fresh() -> None:
    earlier = argument_values({"customer": {"mail": "Anna@Acme.com"}})
    found = grounding("send the contract", {"to": "anna@acme.com"}, earlier)
    assert found.fresh_destination == 0.0


def test_an_act_without_telling_values_has_no_shares() -> None:
    found = grounding("anything", {"flag": True, "n": None, "k": 1}, ())
    assert (found.named, found.fresh, found.count) == (0.0, 0.0, 0)


def test_a_purpose_that_constrains_nothing_is_more_open_than_one_that_names_its_object() -> None:
    assert (
        openness("do everything on the list")
        > openness("list my files")
        > openness("pay invoice 1881 of Acme over 300 EUR from the joint account before Friday")
    )


def test_overlap_with_the_tool_forgives_a_plural() -> None:
    assert tool_overlap("review the contract", "contracts.review") == 1.0
    assert tool_overlap("review the contract", "payments.send") == 0.0
