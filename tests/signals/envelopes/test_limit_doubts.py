"""What a call says under another name than its envelope's limit is not called inside it."""

from collections.abc import Callable
from typing import Any

import pytest

from guardian.domain.signal import Observation
from guardian.signals.envelope_breach import EnvelopeBreach

Told = Callable[..., tuple[dict[str, bool], str]]
UNCHECKED = {"arguments_unchecked": False}


@pytest.fixture
def told(observe: Callable[..., Observation], folded: Any) -> Told:
    """The breaches of one call, with their hardness, and the reason."""

    def of(bounds: dict[str, Any], arguments: dict[str, Any], **changes: Any) -> tuple[dict[str, bool], str]:
        seen = observe(
            envelope__resource_constraints=bounds,
            envelope__allowed_tools=["payments.create", "crm.read", "sql.query"],
            action__arguments=arguments,
            **{"action__tool": "payments.create", "action__resource": None, **changes},
        )
        _, (signal,) = folded(EnvelopeBreach(), [seen])
        return {breach.name: breach.hard for breach in signal.breaches}, signal.reason

    return of


@pytest.mark.parametrize(
    ("bounds", "arguments"),
    [
        ({"max_amount": 500}, {"payment_amount": 90_000}),
        ({"max_amount": 500}, {"paymentAmount": "90000"}),
        ({"max_amount": 500}, {"amount_cents": 99_999_999}),
        ({"max_amount": 500}, {"amountInCents": 50_001}),
        ({"max_amount": 500}, {"amount_minor": [50_001]}),
        ({"max_amount": 500}, {"total_amount": 90_000}),
        ({"max_amount": 500}, {"total_amount": "12.345"}),
        ({"max_amount": 500}, {"total_amount": "900 EUR"}),
        ({"max_amount": 500}, {"total_amount": {"value": 900}}),
        ({"max_amount": 500}, {"amount": 1, "payment_amount": 900}),
        ({"max_amount": 500}, {"transfer": {"amount_eur": 90_000}}),
        ({"max_amount_eur": 500}, {"amount": 90_000}),
        ({"max_amount_eur": 500}, {"amount_cents": 50_001}),
        ({"max_amount_cents": 50_000}, {"amount": 50_001}),
        ({"max_amount_cents": 50_000}, {"amount_eur": 501}),
        ({"min_amount": 10}, {"payment_amount": 0}),
        ({"max_recipients": 2}, {"to_recipients": ["a", "b", "c"]}),
        ({"max_recipients": 2}, {"message": {"ccRecipients": [{"address": n} for n in "abc"]}}),
        ({"max_attachments": 2}, {"attachment_count": 3}),
        ({"max_bytes": 500}, {"content_bytes": 501}),
    ],
)
def test_more_under_another_name_is_a_doubt(told: Told, bounds: dict[str, Any], arguments: dict[str, Any]) -> None:
    found, reason = told(bounds, arguments)
    assert found == UNCHECKED
    assert "may not allow" in reason


@pytest.mark.parametrize(
    ("bounds", "arguments"),
    [
        ({"max_amount": 500}, {"amount": 400, "amount_cents": 40_000, "payment_amount": 400}),
        ({"max_amount": 500}, {"amount": 400, "original_amount": 900, "available_amount": 9_000}),
        ({"max_amount": 500}, {"amount": 400, "amount_date": 20_260_512, "amount_currency": "EUR"}),
        ({"max_amount": 500}, {"amount": 400, "filter": {"total_amount": {"not": 900}}}),
        ({"max_amount_cents": 50_000}, {"amount_cents": 40_000, "amount": 40_000, "amount_eur": 400}),
        ({"max_recipients": 2}, {"recipients": ["a"], "excluded_recipients": ["b"] * 9, "recipient_id": 8812}),
        ({"max_size": 10}, {"size": 5, "page_size": 50}),
        ({"max_users": 10}, {"users": ["a"], "target_user": 8812}),
        ({"min_age": 18}, {"age": 30, "account_age": 3}),
        ({"min_amount": 10}, {"amount": 50, "fee_amount": 2}),
        ({"max_bytes": 500}, {"bytes": 5, "bytes_total": 900}),
        ({"max_duration_minutes": 30}, {"duration_minutes": 20, "start_minute": 59}),
    ],
)
def test_what_is_not_more_or_not_the_same_is_none(
    told: Told, bounds: dict[str, Any], arguments: dict[str, Any]
) -> None:
    assert told(bounds, arguments) == ({}, "inside its envelope")


NOT_COMPARED = "nothing in the call answers to {}, so that was not compared"


@pytest.mark.parametrize(
    ("bounds", "arguments", "reason"),
    [
        ({"max_amount": 500}, {"payment_amount": 400}, NOT_COMPARED.format("max_amount")),
        ({"max_amount": 500}, {"sum": 90_000}, NOT_COMPARED.format("max_amount")),
        ({"maxAmount": 500}, {"amount": " "}, NOT_COMPARED.format("maxAmount")),
        ({"max_amount": 500}, {"amount": 400}, "inside its envelope"),
        ({"max_amount": 500}, {"amount": {"gross": 400}}, "inside its envelope"),
        ({"max_recipients": 3}, {"recipient": "ann@acme.example"}, "inside its envelope"),
        ({"max_recipients": 3}, {"recipients": []}, "inside its envelope"),
        (
            {"max_amount": 500, "min_days": 2},
            {"days": 3},
            "inside its envelope; nothing in the call answers to max_amount",
        ),
        ({"max_amount": 500, "min_days": 2}, {}, NOT_COMPARED.format("max_amount, min_days")),
        ({"max_duration": "30d"}, {"duration": "30d"}, "inside its envelope"),
        ({"max_duration": "30d"}, {"until": "2027"}, NOT_COMPARED.format("max_duration")),
        ({"max_records": 25}, {"limit": 1_000}, "inside its envelope"),
        (
            {"contract_ids": ["c_1"], "max_amount": 5},
            {"amount": 4},
            "inside its envelope; nothing in the call answers to contract_ids",
        ),
    ],
)
def test_a_limit_that_nothing_answers_to_is_not_called_kept(
    told: Told, bounds: dict[str, Any], arguments: dict[str, Any], reason: str
) -> None:
    assert told(bounds, arguments) == ({}, reason)


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("sql.query", {"limit": 5}, "inside its envelope"),
        ("sql.query", {}, "inside its envelope"),
        ("sql.query", {"limit": 1_000}, NOT_COMPARED.format("max_rows")),
        ("payments.create", {"limit": 1_000}, NOT_COMPARED.format("max_rows")),
    ],
)
def test_rows_that_came_back_answer_to_a_limit_unless_more_were_asked_for(
    told: Told, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    assert told({"max_rows": 100}, arguments, action__tool=tool) == ({}, reason)


def test_to_a_limit_of_money_a_look_up_need_not_answer(told: Told) -> None:
    looks = {"action__tool": "crm.read"}
    assert told({"max_amount": 500}, {"total_amount": 900}, **looks) == ({}, "inside its envelope")
    assert told({"max_amount": "500 euros"}, {"amount": 900}, **looks) == ({}, "inside its envelope")


def test_a_mapping_says_which_other_name_is_the_limits(observe: Callable[..., Observation], breaches: Any) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 500}, "action__tool": "tickets.create"}
    seen = observe(**bounds, action__arguments={"payment_amount": 900})
    signal = EnvelopeBreach(summed=(), mapping={"max_amount": ("payment_amount",)})
    assert breaches(signal, seen) == {"limit_exceeded": True}
