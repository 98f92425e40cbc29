"""Which of two numbers or moments under one name allows more."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.signals.envelope_breach import EnvelopeBreach
from guardian.signals.envelopes.ordering import within


def both(key: str, less: str, more: str) -> tuple[bool | None, bool | None]:
    return within(key, {less}, {more}), within(key, {more}, {less})


@pytest.mark.parametrize(
    ("key", "less", "more"),
    [
        ("valid_from", "2026-05-03", "2026-05-01"),
        ("not_before", "2026-05-03T00:00", "2026-05-01T00:00"),
        ("no_later_than", "2026-05-01", "2026-05-03"),
        ("startTime", "1778605200", "1778605100000"),
        ("from_date", "1778605200", "1778605100"),
        ("until", "2026-05-12T18:00:00+02:00", "2026-05-12T17:00:00Z"),
        ("to", "2026-05-10", "2026-05-12T09:00:00Z"),
        ("budget_eur", "100.50", "500"),
        ("budget", "EUR 100", "EUR 500"),
        ("budget", "100€", "500€"),
        ("daily_quota", "10", "25"),
        ("limit_per_day", "10", "25"),
        ("timeout_min", "30", "60"),
        ("timeout", "500ms", "2s"),
        ("ttl", "5m", "1h"),
        ("max_duration", "1h30m", "PT2H"),
        ("max_duration", "P1D", "2 weeks"),
        ("rate_limit", "10 req/m", "100 req per minute"),
        ("max_size", "500 MB", "10 GiB"),
        ("lower_limit", "20", "10"),
        ("records_min", "6", "5"),
        ("min_delay", "10 min", "300 s"),
    ],
)
def test_a_name_says_which_of_two_allows_less(key: str, less: str, more: str) -> None:
    assert both(key, less, more) == (True, False)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("contract_id", "10", "25"),
        ("limit_id", "10", "25"),
        ("order", "10", "25"),
        ("record", "10", "25"),
        ("floor", "4", "3"),
        ("from", "4917012345678", "4917012345679"),
        ("to_account", "10", "25"),
        ("after", "5000", "6000"),
        ("no_limit", "10", "25"),
        ("ignore_before", "2026-05-03", "2026-05-01"),
        ("embargo_until", "2026-05-01", "2026-05-03"),
        ("since", "-7d", "-30d"),
        ("until", "0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z"),
        ("max_age", "9 m", "1 day"),
        ("max_duration", "1h5x", "1h9x"),
        ("max_duration", "P1Y", "P2Y"),
        ("budget", "100 EUR", "500 USD"),
        ("rate_limit", "100/min", "1000/h"),
        ("limit", "10", "inf"),
        ("limit", "1" + "0" * 70, "1" + "0" * 71),
    ],
)
def test_where_nothing_orders_them_each_is_another_one(key: str, one: str, other: str) -> None:
    assert both(key, one, other) == (False, False)


@pytest.mark.parametrize(
    ("key", "held", "granted"),
    [
        ("records", "10", "25"),
        ("total_amount", "100", "500"),
        ("price_eur", "100", "500"),
        ("limit", "0", "25"),
        ("limit", "25", "-1"),
        ("budget", "500 EUR", "1.000 EUR"),
        ("budget", "1.000", "500"),
        ("until", "2026-05-12T17:00:00", "2026-05-12T18:00:00Z"),
        ("since", "2026-05-01T10:00:00", "2026-05-01"),
    ],
)
def test_what_may_be_read_in_two_ways_is_not_certain(key: str, held: str, granted: str) -> None:
    assert within(key, {held}, {granted}) is None


def test_of_several_values_each_must_allow_no_more_than_any() -> None:
    assert within("limits", {"10", "20"}, {"25", "30"}) is True
    assert within("limits", {"10", "28"}, {"25", "30"}) is False
    assert within("limits", {"10", "0"}, {"25", "30"}) is None
    assert within("records", {"10", "20"}, {"25"}) is False, "a list of numbers names records"
    assert within("limits", set(), {"25"}) is within("limits", {"10"}, set()) is False
    assert within("limits", {*map(str, range(1, 20))}, {*map(str, range(50, 70))}) is False, (
        "more than are compared"
    )


@given(
    st.sampled_from(["", "until", "created_after", "max_duration", "records", "not_before", "from", "a_min"]),
    st.text(max_size=80) | st.from_regex(r"[-+]?\d{1,20}(\.\d{1,5})?( ?[A-Za-z€/]{1,8}){0,3}"),
    st.text(max_size=80) | st.from_regex(r"\d{4}-\d\d-\d\d(T\d\d:\d\d)?(Z|\+\d\d:\d\d)?"),
)
def test_no_text_of_an_agent_crashes_it_and_none_is_certainly_less_both_ways(
    key: str, one: str, other: str
) -> None:
    less, more = both(key, one, other)
    assert not (less and more) or within(key, {one}, {one}) is True


@pytest.mark.parametrize(
    ("constraints", "arguments"),
    [
        ({"amount": [25]}, {"amount": -10_000}),
        ({"records": [25]}, {"records": -1}),
        ({"start_times": ["2026-05-12T10:00Z", "2026-05-12T11:00Z"]}, {"start_time": "2027-06-01T10:00Z"}),
        ({"review_after": ["2026-05-12"]}, {"review_after": "2036-05-12"}),
    ],
)
def test_what_is_no_less_stays_a_breach(
    observe: Callable[..., Any],
    breaches: Callable[..., Any],
    constraints: dict[str, Any],
    arguments: dict[str, Any],
) -> None:
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen)["resource_outside_constraints"]
