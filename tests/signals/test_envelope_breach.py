import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.session import HumanWord, SessionState
from guardian.domain.signal import Observation, ParentFact, ParentStatus
from guardian.errors import ConfigurationError
from guardian.response.hearing import hear
from guardian.signals.envelope_breach import EnvelopeBreach
from guardian.signals.envelopes import comparing, rules
from guardian.signals.envelopes.ownership import named_sessions, ownership
from guardian.signals.words.constraints import read
from guardian.signals.words.leaves import comparable, touched

Observe = Callable[..., Observation]
Breaches = Callable[..., dict[str, bool]]
KNOWING = EnvelopeBreach(tenants=frozenset({"tenant_acme", "tenant_globex"}))
BARE = {"delegator_id": "u", "tenant_id": "t", "session_id": "s"}
CONSTRAINTS = {"customer_id": "cust_acme_1042", "contract_ids": ["contract_7781"], "max_records": 25}


def test_an_honest_call_is_inside_its_envelope(observe: Observe, folded: Any) -> None:
    _, (signal,) = folded(EnvelopeBreach(), [observe()])
    assert (signal.value, signal.breaches, signal.silent) == (0.0, (), False)
    assert signal.reason == "inside its envelope; nothing in the call answers to customer_id"


NOT_COMPARED = "nothing in the call answers to contractIds, so that was not compared"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"id": "c_9"}, NOT_COMPARED),
        ({"contract_number": "c_9"}, NOT_COMPARED),
        ({}, NOT_COMPARED),
        ({"contract": "c_1"}, "inside its envelope"),
        ({"contract": {"id": "c_1", "title": "Foo"}}, "inside its envelope"),
        ({"filter": {"field": "contract_id", "op": "eq", "value": "c_1"}}, "inside its envelope"),
        ({"params": '{"contract_id": "c_1"}'}, "inside its envelope"),
    ],
)
def test_a_list_that_nothing_in_the_call_answers_to_is_not_called_kept(
    observe: Observe, folded: Any, arguments: dict[str, Any], reason: str
) -> None:
    seen = observe(
        envelope__resource_constraints={"contractIds": ["c_1"], "max_amount": 500, "denied_regions": ["cn"]},
        action__arguments=arguments,
        action__resource=None,
    )
    _, (signal,) = folded(EnvelopeBreach(), [seen])
    assert (signal.value, signal.breaches, signal.reason) == (0.0, (), reason)


PAYING = {"action__tool": "tickets.create"}
"""A tool of the envelope that does not only look up."""


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tool_not_allowed", {"action__tool": "payments.export"}),
        ("envelope_expired", {"time": "2026-05-12T18:31:00Z"}),
        ("resource_outside_constraints", {"action__arguments": {"contract_id": "contract_9"}}),
        ("resource_outside_constraints", {"action__arguments": {"contractIds": ["contract_7781", "contract_9"]}}),
        ("resource_outside_constraints", {"action__arguments": {"contractIDs": ["contract_7781", "contract_9"]}}),
        ("resource_outside_constraints", {"action__arguments": {"filter": {"customer": {"id": "cust_other"}}}}),
        ("resource_outside_constraints", {"action__arguments": {"steps": [{"customer_id": "cust_other"}]}}),
        ("resource_outside_constraints", {"action__arguments": {"customer_id": "*"}}),
        ("resource_outside_constraints", {"action__resource": {"type": "contract", "id": "contract_9"}}),
        ("resource_outside_constraints", {"action__resource": {"type": "crm/customer", "id": "cust_other"}}),
        ("resource_outside_constraints", {"action__resource": {"type": "note", "customer_id": "cust_other"}}),
        ("records_over_limit", {"action__records": 26, "result": None}),
        ("records_over_limit", {"result__records": 400}),
        ("records_over_limit", {"action__arguments": {"max_records": 400}}),
        ("records_over_limit", {"action__arguments": {"records": "400"}}),
        ("data_class_outside", {"action__data_classes": ["payment_history"]}),
        ("data_class_outside", {"result__data_classes": ["renewal_terms", "payment_history"]}),
        ("data_class_outside", {"action__arguments": {"data_class": "payment_history"}}),
        ("tenant_mismatch", {"action__arguments": {"tenant_id": "tenant_globex"}}),
        ("tenant_mismatch", {"action__arguments": {"tenantIDs": ["tenant_acme", "tenant_globex"]}}),
        ("tenant_mismatch", {"action__resource": {"type": "tenant", "id": "tenant_globex"}}),
        ("session_mismatch", {"action__arguments": {"session_id": "sess_2026_05_12_999"}}),
    ],
)
def test_a_broken_rule_is_named_and_hard(
    observe: Observe, breaches: Breaches, name: str, changes: dict[str, Any]
) -> None:
    found = breaches(replace(KNOWING, summed=()), observe(**changes))
    assert found == {name: True}


def test_a_signature_that_does_not_hold_is_named(observe: Observe, breaches: Breaches) -> None:
    assert breaches(EnvelopeBreach(), observe(facts={"signature": "invalid"})) == {"signature_invalid": True}
    assert breaches(EnvelopeBreach(), observe(facts={"signature": "valid"})) == {}


@pytest.mark.parametrize("changes", [{}, {"action__tool": "payments.export"}, {"envelope": BARE}], ids=str)
def test_an_envelope_that_nobody_signed_is_named_beside_the_rest_and_counts_for_nothing(
    observe: Observe, folded: Any, changes: dict[str, Any]
) -> None:
    told = [
        folded(EnvelopeBreach(), [observe(**changes, facts={"signature": stands})])[1][0]
        for stands in ("absent", "missing")
    ]
    assert (told[0].value, told[0].silent) == (told[1].value, told[1].silent)
    assert told[0].breaches == told[1].breaches[:-1]
    assert (told[1].breaches[-1].name, told[1].breaches[-1].hard) == ("signature_missing", True)
    assert told[1].reason == f"{told[0].reason}; {told[1].breaches[-1].detail}"


def test_a_denied_attempt_is_a_breach_of_lower_force(observe: Observe, folded: Any) -> None:
    tried = {"action__tool": "payments.export"}
    _, (allowed,) = folded(EnvelopeBreach(), [observe(**tried)])
    _, (denied,) = folded(EnvelopeBreach(), [observe(**tried, decision__effect="deny")])
    assert [breach.hard for breach in denied.breaches] == [False]
    assert 0.0 < denied.value < allowed.value == 1.0
    assert denied.reason.startswith("denied, but tried: ")


@pytest.mark.parametrize("entry", ["*", "contracts.*", "*.read", "contracts.read", "c*t*.read"])
def test_a_wildcard_in_the_list_of_tools_matches(observe: Observe, breaches: Breaches, entry: str) -> None:
    assert breaches(EnvelopeBreach(), observe(envelope__allowed_tools=["email.send", entry])) == {}


@pytest.mark.parametrize("entry", ["crm.*", "contracts.read.*", "contracts", "c*x*.read", "contracts.r*.read"])
def test_a_wildcard_that_does_not_reach_the_tool_does_not_cover_it(
    observe: Observe, breaches: Breaches, entry: str
) -> None:
    assert breaches(EnvelopeBreach(), observe(envelope__allowed_tools=[entry])) == {"tool_not_allowed": True}


def test_an_empty_list_of_tools_is_no_breach_but_is_told(observe: Observe, folded: Any) -> None:
    _, (signal,) = folded(EnvelopeBreach(), [observe(envelope__allowed_tools=[])])
    assert signal.breaches == ()
    assert "tools_unlisted" in signal.reason


def test_a_long_list_of_tools_is_told_in_brief(observe: Observe, folded: Any) -> None:
    _, (signal,) = folded(EnvelopeBreach(), [observe(envelope__allowed_tools=[f"crm.t{n}" for n in range(9)])])
    assert "and 4 more" in signal.reason


def test_expiry_has_a_leeway_for_clocks_that_differ(observe: Observe, breaches: Breaches) -> None:
    at = observe().event.envelope.expires_at
    assert at is not None
    late = observe(facts={"now": at + timedelta(seconds=20)})
    assert breaches(EnvelopeBreach(), late) == {}
    assert breaches(EnvelopeBreach(leeway_seconds=10), late) == {"envelope_expired": True}


def test_an_expiry_that_the_calls_own_time_does_not_show_says_what_it_was_judged_by(
    observe: Observe, folded: Any
) -> None:
    at = datetime(2026, 6, 1, 9, 30, 0, 250, tzinfo=UTC)
    _, (own, arrival) = folded(
        EnvelopeBreach(),
        [observe(time="2026-05-12T18:31:00Z"), observe(facts={"now": at, "clock_suspect": True})],
    )
    assert own.reason == "the envelope expired at 2026-05-12T18:30:00+00:00"
    assert arrival.reason == (
        "the envelope expired at 2026-05-12T18:30:00+00:00, and the call arrived at 2026-06-01T09:30:00+00:00"
        " (its own time is not believed, and nobody knows whether it was in time)"
    )


def test_a_call_whose_own_time_is_not_believed_broke_no_expiry_for_certain_unless_it_says_so(
    observe: Observe, breaches: Breaches
) -> None:
    arrived = {"now": datetime(2026, 6, 1, 9, 30, tzinfo=UTC), "clock_suspect": True}
    for said, hard in (("17:00:00", False), ("18:30:20", False), ("18:31:00", True)):
        seen = observe(time=f"2026-05-12T{said}Z", facts=arrived)
        assert breaches(EnvelopeBreach(), seen) == {"envelope_expired": hard}


MAY = {"created_after": "2026-05-01", "created_before": "2026-05-31"}


@pytest.mark.parametrize(
    ("bounds", "arguments", "found"),
    [
        ({"created_after": "2026-05-01"}, {"created_after": "2026-05-03"}, {}),
        ({"created_after": "2026-05-03"}, {"created_after": "2026-05-01"}, {"resource_outside_constraints": True}),
        ({"budget": 500}, {"budget": 100}, {}),
        ({"budget": 100}, {"budget": 500}, {"resource_outside_constraints": True}),
        ({"timeout_seconds": 60}, {"timeout_seconds": 30}, {}),
        ({"records": 25}, {"records": 10}, {"arguments_unchecked": False}),
        ({"records": 25}, {"records": 26}, {"resource_outside_constraints": True}),
        ({"order": 25}, {"order": 10}, {"resource_outside_constraints": True}),
        (MAY, {"created_after": "2026-05-03", "created_before": "2026-05-04"}, {}),
        (MAY, {"created_after": "2026-07-01"}, {"resource_outside_constraints": True}),
        (MAY, {"created_before": "2026-01-01"}, {"resource_outside_constraints": True}),
        (MAY, {"created_after": "2026-05-31T09:00:00Z"}, {"arguments_unchecked": False}),
        ({**MAY, "updated_before": "2026-02-01"}, {"created_after": "2026-05-03"}, {}),
        ({"from": "2026-05-01", "expires": "2026-05-12T18:30:00Z"}, {"from": "2026-06-01"}, {}),
    ],
)
def test_less_than_a_constraint_allows_is_within_it(
    observe: Observe, breaches: Breaches, bounds: dict[str, Any], arguments: dict[str, Any], found: dict[str, bool]
) -> None:
    told = {"action__arguments": arguments, "action__resource": None}
    assert breaches(EnvelopeBreach(), observe(envelope__resource_constraints=bounds, **told)) == found


def test_a_moment_beside_more_constraints_than_are_compared_is_told_and_proves_nothing(
    observe: Observe, breaches: Breaches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "MOST", 1)
    told = {"action__arguments": {"created_after": "2026-05-03"}, "action__resource": None}
    found = breaches(EnvelopeBreach(), observe(envelope__resource_constraints=MAY, **told))
    assert found == {"arguments_cut": False, "arguments_unchecked": False}


def test_a_resource_without_a_type_answers_to_resource_ids(observe: Observe, breaches: Breaches) -> None:
    bounded = {"envelope__resource_constraints": {"resource_ids": ["doc_1"]}}
    assert breaches(EnvelopeBreach(), observe(**bounded, action__resource={"id": "doc_1"})) == {}
    outside = observe(**bounded, action__resource={"id": "doc_2"})
    assert breaches(EnvelopeBreach(), outside) == {"resource_outside_constraints": True}


def test_a_long_list_of_allowed_resources_is_read_to_its_end(observe: Observe, breaches: Breaches) -> None:
    many = {"envelope__resource_constraints": {"contract_ids": [f"contract_{n}" for n in range(3_000)]}}
    last = {"action__arguments": {"contract_id": "contract_2999"}, "action__resource": None}
    assert breaches(EnvelopeBreach(), observe(**many, **last)) == {}


@pytest.mark.parametrize("amount", [10**400, -(10**400), 1e308, -1e308])
def test_absurd_quantities_are_summed_and_told_without_harm(observe: Observe, folded: Any, amount: float) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"max_amount": 0.5, "min_amount": 0.1}}
    seen = observe(**bounds, action__arguments={"amount": amount})
    small = observe(**bounds, action__arguments={"amount": 0.25})
    state, signals = folded(EnvelopeBreach(), [small, seen, seen])
    assert signals[1].breaches
    assert len(signals[1].reason) < 200
    assert 0 < state["sums"]["amount"] <= 2**53


def test_many_small_reads_break_the_limit_together(observe: Observe, folded: Any) -> None:
    _, signals = folded(EnvelopeBreach(), [observe()] * 26)
    assert [bool(signal.breaches) for signal in signals] == [False] * 25 + [True]
    assert [breach.name for breach in signals[-1].breaches] == ["records_over_limit_session"]


def test_a_finding_that_people_called_wrong_gives_no_limit_back(observe: Observe, folded: Any) -> None:
    signal = EnvelopeBreach()
    state, _ = folded(signal, [observe()] * 25)
    before = SessionState(signals={signal.name: state})
    lasting = [signal.name] if signal.lasting else []
    after = hear(before, HumanWord.FALSE_POSITIVE, observe().now, lasting=lasting)
    _, told = signal.fold(after.signals.get(signal.name) or signal.start(), observe())
    assert [breach.name for breach in told.breaches] == ["records_over_limit_session"]


def test_a_denied_read_moved_nothing_and_is_not_summed(observe: Observe, folded: Any) -> None:
    denied = observe(decision__effect="deny", action__records=20, result=None)
    state, _ = folded(EnvelopeBreach(), [denied] * 3)
    assert state["sums"] == {}


def test_a_spent_limit_is_held_against_calls_that_move_records_only(observe: Observe, breaches: Breaches) -> None:
    spent = [observe()] * 25
    note = observe(action__tool="tickets.create", action__records=0, result__records=0)
    tried = observe(decision__effect="deny", result=None)
    assert breaches(EnvelopeBreach(), *spent, observe()) == {"records_over_limit_session": True}
    assert breaches(EnvelopeBreach(), *spent, observe(), note) == {}
    assert breaches(EnvelopeBreach(), *spent, tried) == {"records_over_limit_session": False}


def test_what_came_back_is_summed_not_what_was_asked_for(observe: Observe, folded: Any) -> None:
    state, _ = folded(EnvelopeBreach(), [observe(action__records=25, result__records=2)] * 3)
    assert state["sums"] == {"record": 6}


def test_a_query_takes_the_rows_that_came_back_and_not_those_it_would_have_taken(
    observe: Observe, folded: Any
) -> None:
    bounds = {"envelope__resource_constraints": {"max_rows": 1000}, "envelope__allowed_tools": []}
    asked = observe(**bounds, action__tool="sql.query", action__arguments={"max_rows": 1000}, result__records=7)
    state, signals = folded(EnvelopeBreach(), [asked, asked])
    assert [signal.breaches for signal in signals] == [(), ()]
    assert state["sums"] == {"row": 14}
    few = observe(**bounds, action__tool="sql.query", action__arguments={"max_rows": 10}, result__records=5000)
    assert folded(EnvelopeBreach(), [few])[0]["sums"] == {"row": 5000}  # what the agent named bounds nothing
    every = observe(**bounds, action__tool="sql.query", action__arguments={"sql": "select *"}, result__records=900)
    state, signals = folded(EnvelopeBreach(), [every, every])
    assert state["sums"] == {"row": 1800}
    assert [breach.name for breach in signals[1].breaches] == ["limit_exceeded_session"]
    rows = {"rows": [{"a": n} for n in range(600)]}
    written = observe(**bounds, action__tool="sheets.append", action__arguments=rows, result__records=0)
    _, signals = folded(EnvelopeBreach(), [written, written])
    assert [breach.name for breach in signals[1].breaches] == ["limit_exceeded_session"]


@pytest.mark.parametrize(
    ("tool", "arguments", "rows"),
    [
        ("db.run_query", {"text": "all"}, 900),
        ("bigquery.execute_sql", {"text": "all"}, 900),
        ("db.run_query", {"sql": "select *", "max_rows": 1000}, 900),
        ("sql.query", {"rows": 1}, 900),
        ("db.get_rows", {}, 900),
        ("warehouse.fetch", {"table": "customers"}, 900),
        ("sheets.read_rows", {"rows": [1, 2]}, 900),
        ("mysql.read", {}, 900),
        *((tool, {"max_rows": 1000}, 900) for tool in ("sql_db_query", "submit_query", "select", "sql.statement")),
        *((tool, {}, 900) for tool in ("spreadsheet.read", "duckdb.fetch", "airtable.get_records", "pg.read")),
        ("bigquery.list_rows", {}, 900),
        ("sheets.find_rows", {}, 900),
        ("warehouse.list", {}, 900),
        ("crm.search_customers", {"text": "all"}, 0),
        ("mail.get_messages", {}, 0),
        ("fs.read_file", {"path": "notes.txt"}, 0),
        ("crm.search", {"rows": 20}, 900),
        ("sql.insert", {"rows": 1600}, 1600),
        ("sql.insert", {"rows": [{"a": 1}, {"a": 2}]}, 900),
        ("sql.delete_rows", {"max_rows": 950}, 950),
        ("sheets.append", {"text": "all"}, 0),
    ],
)
def test_rows_are_those_that_came_back_whatever_a_reading_tool_is_called(
    observe: Observe, folded: Any, tool: str, arguments: dict[str, Any], rows: int
) -> None:
    bounds = {"envelope__resource_constraints": {"max_rows": 1000}, "envelope__allowed_tools": []}
    seen = observe(**bounds, action__tool=tool, action__arguments=arguments, result__records=900)
    assert folded(EnvelopeBreach(), [seen])[0].get("sums", {}).get("row", 0) == rows


@pytest.mark.parametrize("tool", ["sql.delete_rows", "db.query_update", "sql.insert"])
def test_rows_that_a_statement_names_count_where_none_came_back(observe: Observe, folded: Any, tool: str) -> None:
    bounds = {"envelope__resource_constraints": {"max_rows": 1000}, "envelope__allowed_tools": []}
    seen = observe(**bounds, action__tool=tool, action__arguments={"max_rows": 900}, result__records=0)
    assert folded(EnvelopeBreach(), [seen])[0]["sums"] == {"row": 900}


@pytest.mark.parametrize(("name", "rows"), [("limit", 5), ("pageSize", 5), ("affected_rows", 600)])
def test_a_bound_under_another_name_is_none_either(observe: Observe, folded: Any, name: str, rows: int) -> None:
    bounds = {"envelope__resource_constraints": {"max_rows": 1000}, "envelope__allowed_tools": []}
    seen = observe(**bounds, action__tool="run_query", action__arguments={name: 600}, result__records=5)
    fold = EnvelopeBreach(mapping={"max_rows": [name]})
    assert folded(fold, [seen])[0]["sums"] == {"row": rows}


@pytest.mark.parametrize(
    ("tool", "arguments", "came", "rows"),
    [
        ("run_query", {"sql": "select 1", "max_rows": 600}, 0, 0),  # a bound that nothing came up to
        ("sql.execute", {"rows": 900}, 1, 900),
        ("sql.bulk_load", {"rows": 900}, 1, 900),
        ("crm.get_customers", {"rows": -1}, 900, 900),
        ("crm.search_customers", {"rows": "all"}, 900, 900),
        ("data.fetch", {"sql": "select * from customers"}, 900, 900),
        ("datasets.list", {}, 900, 900),
        ("firestore.get", {}, 900, 900),
        ("os.list_executables", {}, 900, 0),
    ],
)
def test_a_bound_is_no_quantity_and_what_is_read_counts_under_any_name(
    observe: Observe, folded: Any, tool: str, arguments: dict[str, Any], came: int, rows: int
) -> None:
    bounds = {"envelope__resource_constraints": {"max_rows": 1000}, "envelope__allowed_tools": []}
    seen = observe(**bounds, action__tool=tool, action__arguments=arguments, result__records=came)
    assert folded(EnvelopeBreach(), [seen])[0].get("sums", {}).get("row", 0) == rows


def test_without_a_result_what_was_asked_for_is_summed(observe: Observe, folded: Any) -> None:
    state, _ = folded(EnvelopeBreach(), [observe(action__records=4, result=None)])
    assert state["sums"] == {"record": 4}
    asked = observe(action__records=None, result=None, action__arguments={"records": 7})
    assert folded(EnvelopeBreach(), [asked])[0]["sums"] == {"record": 7}
    unknown = observe(action__records=None, result=None)
    assert folded(EnvelopeBreach(), [unknown])[0]["sums"] == {"record": 0}


@pytest.mark.parametrize(
    ("constraint", "arguments", "name"),
    [
        ({"max_amount": 500}, {"amount": 501}, "limit_exceeded"),
        ({"max_amount": "500"}, {"amount": "500.01"}, "limit_exceeded"),
        ({"max_attachments": 2}, {"attachments": ["a", "b", "c"]}, "limit_exceeded"),
        ({"min_age": 18}, {"age": 16}, "below_minimum"),
        ({"max_amount": 500}, {"amount": float(10**300)}, "limit_exceeded"),
    ],
)
def test_other_limits_match_their_arguments(
    observe: Observe, breaches: Breaches, constraint: dict[str, Any], arguments: dict[str, Any], name: str
) -> None:
    seen = observe(**PAYING, envelope__resource_constraints=constraint, action__arguments=arguments)
    assert name in breaches(EnvelopeBreach(), seen)


OVER = {"limit_exceeded": True}
UNCHECKED = {"arguments_unchecked": False}


@pytest.mark.parametrize(
    ("amount", "found"),
    [
        ("0" * 40 + "9999", OVER),
        ("9999" + " " * 600, OVER),
        ("9" * 60, OVER),
        ({"value": 9999, "currency": "EUR"}, OVER),
        ({"value": {"value": "9999"}}, OVER),
        ([{"value": 9999}], OVER),
        ({"in": [9999]}, OVER),
        ("9,999", UNCHECKED),
        ("12.345", UNCHECKED),
        (" 1.000", UNCHECKED),
        ({"gross": "12.345"}, UNCHECKED),
        (12.345, {}),
        ("12.34", {}),
        ("0.999", {}),
        ("999.999", OVER),
        ("400 EUR", {}),
        ({"gross": "400 EUR"}, {}),
        ("$ 499.50", {}),
        ("500.50 EUR", UNCHECKED),
        ("400 kEUR", UNCHECKED),
        ("9999 EUR", UNCHECKED),
        ("0x270f", UNCHECKED),
        ("9" * 600, UNCHECKED),
        ("many", UNCHECKED),
        ("nan", UNCHECKED),
        (True, UNCHECKED),
        ({"gross": 9999, "vat": 19}, UNCHECKED),
        ({"text": "9,999"}, UNCHECKED),
        ({"value": 400, "currency": "EUR", "at": 1778605200}, {}),
        ({"gross": 400, "vat": 19, "currency": "EUR"}, {}),
        (None, {}),
        (" ", {}),
        ({}, {}),
    ],
)
def test_a_limit_in_another_wrapping_is_still_a_limit(
    observe: Observe, breaches: Breaches, amount: object, found: dict[str, bool]
) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"max_amount": 500}}
    assert breaches(EnvelopeBreach(summed=()), observe(**bounds, action__arguments={"amount": amount})) == found


@pytest.mark.parametrize(
    ("amount", "found"),
    [("12.345", UNCHECKED), ("0.999", {"below_minimum": True}), (12.345, {"below_minimum": True}), ("120", {})],
)
def test_below_a_minimum_is_what_lies_there_however_it_is_read(
    observe: Observe, breaches: Breaches, amount: object, found: dict[str, bool]
) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"min_amount": 100}}
    assert breaches(EnvelopeBreach(summed=()), observe(**bounds, action__arguments={"amount": amount})) == found


@pytest.mark.parametrize("limit", ["500", " 500 ", "0" * 41 + "500", "500 EUR", {"value": 500, "currency": "EUR"}])
def test_an_envelope_may_write_its_limit_in_other_ways(
    observe: Observe, breaches: Breaches, limit: object
) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"max_amount": limit}}
    assert breaches(EnvelopeBreach(summed=()), observe(**bounds, action__arguments={"amount": 501})) == OVER
    assert breaches(EnvelopeBreach(summed=()), observe(**bounds, action__arguments={"amount": 500})) == {}


@pytest.mark.parametrize("limit", ["500 euros", "2 kEUR", True, [500], "a few"])
def test_a_limit_that_is_no_number_is_told_of_what_it_bounds(observe: Observe, folded: Any, limit: object) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"max_amount": limit, "max_rows": "25 rows"}}
    seen = [observe(**bounds, action__arguments=arguments) for arguments in ({"amount": 1}, {"note": "x"})]
    _, (paid, other) = folded(EnvelopeBreach(), seen)
    assert [(breach.name, breach.hard) for breach in paid.breaches] == [("arguments_unchecked", False)]
    assert "max_amount is " in paid.reason
    assert "which is no number" in paid.reason
    assert other.breaches == ()


def test_a_limit_of_records_that_is_no_number_is_told_of_every_read(observe: Observe, breaches: Breaches) -> None:
    bounds = {"envelope__resource_constraints": {"max_records": "25 rows"}}
    assert breaches(EnvelopeBreach(), observe(**bounds)) == UNCHECKED


@pytest.mark.parametrize(
    ("bounds", "arguments", "found"),
    [
        (
            {"max_records": 2},
            {"records": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
            {"records_over_limit": True},
        ),
        ({"max_records": 2}, {"records": [{"name": "a"}, {"name": "b"}]}, {}),
        ({"max_records": 2}, {"records": {"value": 9999}}, UNCHECKED),
        ({"max_records": 2}, {"records": "all"}, UNCHECKED),
        ({"max_records": 2}, {"record": {"field": "age", "value": 30}}, {}),
        ({"max_records": 2}, {"record": "rec_4711"}, {}),
        ({"max_recipients": 3}, {"recipient": "ann@acme.example"}, {}),
        ({"max_users": 1500}, {"users": ["u"] * 12_000}, {"limit_exceeded": True, "arguments_cut": False}),
        ({"min_age": 18}, {"age": {"years": 16}}, UNCHECKED),
    ],
)
def test_one_thing_is_no_quantity_and_a_list_of_things_counts_whatever_they_are(
    observe: Observe, breaches: Breaches, bounds: dict[str, Any], arguments: dict[str, Any], found: dict[str, bool]
) -> None:
    seen = observe(envelope__resource_constraints=bounds, action__arguments=arguments)
    assert breaches(EnvelopeBreach(summed=()), seen) == found


@pytest.mark.parametrize(
    ("bounds", "arguments", "found"),
    [
        ({"max_discount_percent": 10}, {"discount_percent": [90]}, OVER),
        ({"max_discount_percent": 10}, {"discount_percent": ["90"]}, OVER),
        ({"max_discount_percent": 10}, {"discount_percent": {"eq": [90]}}, OVER),
        ({"max_discount_percent": 10}, {"discount_percent": [10, 5] * 9}, {}),
        ({"max_discount_percent": 10}, {"discount_percent": ["90 %"]}, UNCHECKED),
        ({"max_duration_minutes": 30}, {"duration_minutes": [9999]}, OVER),
        ({"max_quantity": 5}, {"quantity": [500]}, OVER),
        ({"max_quantity": 5}, {"quantity": [[500]]}, OVER),
        ({"max_quantity": 5}, {"quantity": [1, 500]}, OVER),
        ({"max_quantity": 5}, {"quantity": [5]}, {}),
        ({"max_quantity": 5}, {"quantity": ["500 pieces"]}, UNCHECKED),
        ({"min_age": 18}, {"age": [16]}, {"below_minimum": True}),
        ({"min_age": 18}, {"age": [30]}, {}),
        ({"max_items": 25}, {"max_items": [5000]}, OVER),
        ({"max_items": 25}, {"items": [5000]}, UNCHECKED),
        ({"max_items": 25}, {"items": {"eq": [5000]}}, UNCHECKED),
        ({"max_items": 25}, {"items": [5001, 5002]}, {}),
        ({"max_items": 25}, {"item_ids": [5001]}, {}),
        ({"max_people": 25}, {"people": [5001, 5002]}, {}),
        ({"max_recipients": 2}, {"recipients": ["a", "b"]}, {}),
        ({"max_recipients": 2}, {"recipients": ["a", "b", "c"]}, OVER),
    ],
)
def test_a_number_in_a_list_is_held_to_a_limit_that_counts_no_things(
    observe: Observe, breaches: Breaches, bounds: dict[str, Any], arguments: dict[str, Any], found: dict[str, bool]
) -> None:
    seen = observe(envelope__resource_constraints=bounds, action__arguments=arguments)
    assert breaches(EnvelopeBreach(summed=()), seen) == found


OUTSIDE = {"resource_outside_constraints": True}
FOREIGN = {"tenant_mismatch": True}
UUID = "03f2c1d0-0000-4000-8000-00000000000a"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"contracts": [{"id": "c_9"}]}, OUTSIDE),
        ({"contracts": {"id": "c_9"}}, OUTSIDE),
        ({"contract_ids": [{"id": "c_9"}]}, OUTSIDE),
        ({"contract_id": {"eq": "c_9"}}, OUTSIDE),
        ({"contract_id": {"$in": ["contract_7781", "c_9"]}}, OUTSIDE),
        ({"contracts": [{"id": {"value": "c_9"}}]}, OUTSIDE),
        ({"contract_id": {"ne": "c_9"}}, UNCHECKED),
        ({"contractid": "c_9"}, OUTSIDE),
        ({"contractIds": ["contract_7781"], "contractids": ["contract_7781"]}, {}),
        ({"filters": [{"field": "contract_id", "op": "=", "value": "c_9"}]}, UNCHECKED),
        ({"where": {"propertyName": "crm.contractId", "values": ["contract_7781", "c_9"]}}, UNCHECKED),
        ({"filters": [{"field": "contract_id", "op": "=", "value": "contract_7781"}]}, {}),
        ({"filters": [{"field": "title", "value": "c_9"}, {"name": 7, "value": "c_9"}]}, {}),
        ({"of": [{"key": "contract_id", "value": "contract_7781"}, {"key": "title", "value": "Foo"}]}, {}),
        ({"of": [{"key": "contract_id", "value": "c_9"}, {"key": "title", "value": "Foo"}]}, UNCHECKED),
        ({"of": [{"key": "contract_id", "value": said} for said in ("contract_7781", "c_9")]}, UNCHECKED),
        ({"contract_id": {"ne": "contract_7781"}}, UNCHECKED),
        ({"contract_id": {"$nin": ["contract_7781"]}}, UNCHECKED),
        ({"contract_id": {"!=": "contract_7781"}}, UNCHECKED),
        ({"contract_id": {"gte": "contract_7781"}}, UNCHECKED),
        ({"NOT": {"contract_id": "contract_7781"}}, UNCHECKED),
        ({"must_not": [{"contract_id": {"eq": "contract_7781"}}]}, UNCHECKED),
        ({"contract_id": {"ne": None, "eq": "contract_7781"}, "title": {"not": "Foo"}}, {}),
        ({"contract_id": {"where": {"eq": "c_9"}}}, UNCHECKED),
        ({"contract": "c_9"}, UNCHECKED),
        ({"contract": "c_9 "}, UNCHECKED),
        ({"contract": "c_" + "9" * 300}, UNCHECKED),
        ({"contracts": ["contract_7781", "c_9"]}, UNCHECKED),
        ({"contract_id": {"eq": "contract_7781", "mode": "exact"}}, {}),
        ({"contract_id": {"$in": ["contract_7781"]}}, {}),
        ({"contracts": [{"id": "contract_7781", "title": "Renewal of c_9"}]}, {}),
        ({"contract": "contract_7781"}, {}),
        ({"contract": "Renewal 2026 of Acme"}, {}),
        ({"customer": "Acme", "contract": {"title": "Renewal 2026"}}, {}),
        ({"contract_id": {"key": "contract_7781", "title": "Foo"}}, {}),
        ({"contract_id": {"key": "c_9", "title": "Foo"}}, UNCHECKED),
        ({"contract_id": [{"key": "contract_7781"}, {"key": "c_9"}]}, UNCHECKED),
        ({"contract_id": {"keys": ["contract_7781", "c_9"]}}, UNCHECKED),
    ],
)
def test_a_resource_in_another_wrapping_is_still_that_resource(
    observe: Observe, breaches: Breaches, arguments: dict[str, Any], found: dict[str, bool]
) -> None:
    assert breaches(EnvelopeBreach(), observe(action__arguments=arguments)) == found


MONEY = {"max_amount": 100, "max_recipients": 2}


@pytest.mark.parametrize(
    ("constraints", "spelt", "nested"),
    [
        *(
            ({"contract_ids": ["c_1"]}, spelt, nested)
            for value in ("c_1", "c_9")
            for spelt, nested in (
                ({"contract_ids[0]": value}, {"contract_ids": [value]}),
                ({"contract_ids.0": value, "contract_ids.1": "c_1"}, {"contract_ids": [value, "c_1"]}),
                ({"contract_ids__0": value}, {"contract_ids": [value]}),
                ({"contracts[0][id]": value}, {"contracts": [{"id": value}]}),
                ({"contracts.0.id": value}, {"contracts": [{"id": value}]}),
                ({"data": {"https://acme.example/contract_ids[0]": value}}, {"data": {"contract_ids": [value]}}),
                ({"contract_id__in": [value]}, {"contract_id": {"in": [value]}}),
                ({"contract_id[in][0]": value}, {"contract_id": {"in": [value]}}),
                ({"contract_id[in][]": [value]}, {"contract_id": {"in": [value]}}),
                ({"contract_id[$eq]": value}, {"contract_id": {"$eq": value}}),
                ({"contract_id.eq": value}, {"contract_id": {"eq": value}}),
                ({"contractIdIn": [value]}, {"contract_id": {"in": [value]}}),
                ({"contract_id_eq": value}, {"contract_id": {"eq": value}}),
                ({"contract_id__ne": value}, {"contract_id": {"ne": value}}),
                ({"contract_id[ne]": value}, {"contract_id": {"ne": value}}),
                ({"contract_id_not_in": [value]}, {"contract_id": {"not_in": [value]}}),
                ({"contract_id != ": value}, {"contract_id": {"!=": value}}),
                ({"contract_id__gte": value}, {"contract_id": {"gte": value}}),
                ({"contract_id__not__in": [value]}, {"contract_id": {"not": {"in": [value]}}}),
                ({"contract_id__contains": value}, {"contract_id": {"contains": value}}),
                ({"contract_id_like": value}, {"contract_id": {"like": value}}),
            )
        ),
        ({}, {"tenant_ids[0]": "tenant_globex"}, {"tenant_ids": ["tenant_globex"]}),
        ({}, {"tenant_id__in": ["tenant_globex"]}, {"tenant_id": {"in": ["tenant_globex"]}}),
        ({}, {"session_id[eq]": "sess_2026_05_12_999"}, {"session_id": {"eq": "sess_2026_05_12_999"}}),
        (MONEY, {"amount[0]": 400}, {"amount": [400]}),
        (MONEY, {"amount__gte": 400}, {"amount": {"gte": 400}}),
        (
            MONEY,
            {f"recipients[{at}]": "a@acme.example" for at in range(3)},
            {"recipients": ["a@acme.example"] * 3},
        ),
        ({"denied_regions": ["us-*"]}, {"regions[0]": "us-east-1"}, {"regions": ["us-east-1"]}),
    ],
)
def test_a_key_that_spells_out_a_list_or_an_operator_means_what_is_nested_so(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], spelt: object, nested: object
) -> None:
    one, other = (
        breaches(
            KNOWING,
            observe(envelope__resource_constraints=constraints, action__arguments=told, action__resource=None),
        )
        for told in (spelt, nested)
    )
    assert one == other


def test_what_is_no_list_and_no_operator_stays_a_name_of_its_own(observe: Observe, breaches: Breaches) -> None:
    mine = {"orders": ["o_1"], "signs": ["s_1"]}
    for said, found in (
        ({"sign_in": "x9", "10.0.0.1": "x9", "items.sku": "x9"}, {}),
        ({"orders[5512]": "x9"}, UNCHECKED),
        ({"orders.5512": "x9"}, UNCHECKED),
    ):
        seen = observe(envelope__resource_constraints=mine, action__arguments=said)
        assert breaches(EnvelopeBreach(), seen) == found, said


def test_an_operator_without_a_value_asks_for_all_and_a_list_under_one_is_one_value(
    observe: Observe, breaches: Breaches
) -> None:
    for said in (
        {"contract_id__ne": None},
        {"contract_id[gt]": ""},
        {"where": {"field": "contract_id", "op": "ne", "value[0]": "contract_7781"}},
    ):
        assert breaches(EnvelopeBreach(), observe(action__arguments=said)) == UNCHECKED, said


def test_a_rule_of_redaction_goes_by_a_key_as_it_is_spelt(observe: Observe, folded: Any) -> None:
    facts = {"redacted": {"action.arguments.contract_ids[0]": "hash"}}
    seen = observe(action__arguments={"contract_ids[0]": "5f8a"}, action__resource=None, facts=facts)
    _, (signal,) = folded(EnvelopeBreach(), [seen])
    assert (signal.breaches, "(redacted), so not checked" in signal.reason) == ((), True)


OTHER = '{"contract_id": "c_9"}'
ESCAPED = r'"\u007b\"contract_id\": \"c_9\"}"'
ALMOST = (
    '{"contract_id": "c_9",}',
    OTHER + ";",
    "// which one\n" + OTHER,
    "/* which\none */ # of them\n" + OTHER,
    "{contract_id:'c_9'}",
    "[{'contract_id': 'c_9'}]",
    '[1, {"contract_id": "c_9"},]',
    f"'{OTHER}'",
    f"```json\n{OTHER}\n```",
    f"{OTHER} {OTHER}",
    json.dumps(json.dumps(json.dumps(OTHER))),
)
"""What readers that forgive more than a comma too many take for an object."""
DEEP = "[" * 100_000 + "{" + "]" * 100_000


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"params": OTHER}, OUTSIDE),
        ({"contract_id": "contract_7781", "query": f" {OTHER}"}, OUTSIDE),
        ({"call": {"arguments": [f"[{OTHER}]"]}}, OUTSIDE),
        ({"filter": json.dumps({"args": OTHER})}, OUTSIDE),
        ({"params": "{" + ", ".join(['"contract_id": "c_9"'] * 20) + "}"}, OUTSIDE),
        ({"params": '{"contract_id": "c_9", "contract_id": "contract_7781"}'}, OUTSIDE),
        ({"params": '{"contract_id": "c_9", "n": ' + "9" * 5_000 + "}"}, OUTSIDE),
        ({"params": '{"n": 5, "contract": "c_9"}'}, UNCHECKED),
        ({"params": '{"contract_id": "contract_7781", "title": "c_9"}'}, {}),
        ({"params": '{"tenant_id": "globex"}'}, {"tenant_mismatch": True}),
        ({"params": '{"session_id": "sess_2026_05_12_999"}'}, {"session_mismatch": True}),
        ({"params": '{"records": 400}'}, {"records_over_limit": True, "records_over_limit_session": True}),
        ({"params": '{"data_classes": ["payroll"]}'}, {"data_class_outside": True}),
        ({"params": '["c_9"]'}, {}),
        *(
            ({"params": told}, OUTSIDE)
            for told in (f"\ufeff {OTHER}", json.dumps(OTHER), json.dumps(json.dumps(OTHER)), ESCAPED)
        ),
        *(({"params": told}, UNCHECKED) for told in ALMOST),
        *(({"content": told}, {}) for told in ALMOST),
        ({"call": {"arguments": [ALMOST[0]]}}, UNCHECKED),
        ({"params": "{contract_id: c_9}"}, UNCHECKED),
        ({"query": "{user(id: 5) {name}}"}, {}),
        ({"query": '{job="api"} |= "failed"', "filter": "[a-z]{3}", "where": "{status} = 1"}, {}),
        ({"query": '"the {exact} phrase"', "filter": r"\u0041", "args": r'["\u0041"]'}, {}),
        ({"params": json.dumps(dict.fromkeys(map(str, range(3_000)), "x"))}, {"arguments_cut": False}),
        (
            {"params": json.dumps({"args": json.dumps({"args": json.dumps({"args": OTHER})})})},
            {"arguments_cut": False},
        ),
        ({"content": OTHER}, UNCHECKED),
        ({"input": '{"tenant_id": "globex", "text": "hallo"}'}, UNCHECKED),  # what is to be translated
        ({"payload": '{"session_id": "sess_2026_05_12_999"}'}, UNCHECKED),  # what another system said
        ({"content": '{"tenant_id": "globex"}'}, UNCHECKED),
        ({"content": '{"data_class": "payroll"}'}, UNCHECKED),
        ({"content": '{"contract_id": "contract_7781", "tenant_id": "common"}'}, {}),
        ({"params": json.dumps({"content": OTHER})}, UNCHECKED),
        ({"content": json.dumps({"params": OTHER})}, UNCHECKED),
        ({"content": json.dumps([{"x": n} for n in range(3_000)])}, UNCHECKED),
        ({"content": "[link](https://acme.example/{id})"}, {}),
        ({"params": DEEP}, {"arguments_cut": False}),
        ({"content": DEEP}, UNCHECKED),
    ],
)
def test_json_written_as_text_is_read_in_parameters_and_a_doubt_in_what_may_be_a_document(
    observe: Observe, breaches: Breaches, arguments: dict[str, Any], found: dict[str, bool]
) -> None:
    seen = observe(action__arguments=arguments, action__records=None, result=None)
    assert breaches(replace(KNOWING, summed=("max_records",)), seen) == found


def test_a_session_that_a_text_names_is_looked_up_as_any_other(observe: Observe) -> None:
    seen = observe(action__arguments={"params": '{"session_id": "sess_2026_05_12_002"}'})
    assert named_sessions(seen.event) == {"sess_2026_05_12_002"}


@pytest.mark.parametrize(
    ("constraints", "arguments", "found"),
    [
        ({"contract_ids": {"in": ["c_1", "c_2"]}}, {"contract_id": "c_2"}, {}),
        ({"contract_ids": {"in": ["c_1", "c_2"]}}, {"contract_id": "c_3"}, OUTSIDE),
        (
            {"data_classes": {"allowed": ["renewal_terms"]}},
            {"data_class": "payroll"},
            {"data_class_outside": True},
        ),
        ({"data_classes": ["renewal_terms"]}, {"data_class": {"like": "payroll"}}, UNCHECKED),
        ({"contracts": [{"id": "c_1"}, {"id": "c_2"}]}, {"contract_id": "c_2"}, {}),
        ({"contracts": [{"id": "c_1"}, {"id": "c_2"}]}, {"contracts": [{"id": "c_3"}]}, OUTSIDE),
        ({"contract_ids": [{"value": "c_1"}, "c_2"]}, {"contract_ids": ["c_1", "c_2"]}, {}),
        ({"contract_ids": [{"value": "c_1"}, "c_2"]}, {"contract_id": "c_3"}, OUTSIDE),
        ({"data_classes": [{"name": "renewal_terms"}]}, {}, {}),
        ({"data_classes": ["Renewal-Terms"]}, {"data_class": "renewalTerms"}, {}),
        ({"data_classes": ["Renewal-Terms"]}, {"data_class": "..."}, {"data_class_outside": True}),
        ({"data_classes": [{"name": "renewal_terms"}]}, {"data_class": "payroll"}, {"data_class_outside": True}),
        ({"limits": [{"max_amount": 500}]}, {"amount": 9999}, {"limit_exceeded": True}),
        ({"contracts": {"ids": ["c_1"]}}, {"contract_id": "c_3"}, OUTSIDE),
        ({"contracts": {"ids": ["c_1"]}}, {"contracts": [{"id": "c_1"}]}, {}),
        ({"contract": {"contract_id": "c_1"}}, {"contract_id": "c_3"}, OUTSIDE),
        ({"contract": {"contract_id": "c_1"}}, {"contract": {"contract_id": "c_1"}}, {}),
        ({"resources": {"contract_ids": ["c_1"]}}, {"contract_id": "c_3"}, OUTSIDE),
        ({"resource": {"id": ["c_1"]}}, {"contract_id": "c_3"}, {}),
        ({"sender": {"account_id": "a_1"}}, {"sender": {"account_id": "a_1"}, "account_id": "a_2"}, {}),
    ],
)
def test_an_envelope_may_wrap_what_it_allows(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], arguments: dict[str, Any], found: object
) -> None:
    told = {"action__arguments": arguments, "action__resource": None}
    seen = observe(**PAYING, **told, envelope__resource_constraints=constraints)
    assert breaches(EnvelopeBreach(summed=()), seen) == found


MAILBOXES = (
    "Ann Miller <ann@acme.example>",
    "Ann <Ann@acme.example>",
    "Dr. Ann-Marie O'Brien<ann@acme.example>",
    "Jose\u0301 Núñez <ann@acme.example>",
    '"Miller, Ann" <ann@acme.example>',
    "<ann@acme.example>",
    "Ann Miller <ann@acme.example>, <Ann@acme.example>",
    '"Miller, Ann" <ann@acme.example>; ann@acme.example',
)
NO_MAILBOXES = (
    "Ann <mallory@evil.example>",
    '"ann@acme.example" <mallory@evil.example>',
    '"mallory@evil.example" <ann@acme.example>',
    "mallory\uff20evil.example <ann@acme.example>",
    "mallory%40evil.example <ann@acme.example>",
    "mallory@evil.example Ann <ann@acme.example>",
    "Ann <ann@acme.example> <mallory@evil.example>",
    "Ann <ann@acme.example>, Mallory <mallory@evil.example>",
    "Ann <ann@acme.example> mallory",
    "mallory, Ann <ann@acme.example>",
    "mallory; Ann <ann@acme.example>",
    "Ann (mallory) <ann@acme.example>",
    '"Ann\\" mallory" <ann@acme.example>',
    "evil.example/hook <ann@acme.example>",
    "evil.example <ann@acme.example>",
    "#everybody <ann@acme.example>",
    "Ann <ann@acme.example.evil.example>",
    "Ann\n<ann@acme.example>",
)


@pytest.mark.parametrize(
    ("allowed", "told", "found"),
    [
        (["*@acme.example"], "bob@acme.example", {}),
        (["*@acme.example"], "ann@acme.example, bob@acme.example;", {}),
        (["*@acme.example"], "mallory@evil.example,bob@acme.example", OUTSIDE),
        (["*@acme.example"], "mallory@evil.example bob@acme.example", OUTSIDE),
        (["*@acme.example"], "<mallory@evil.example>bob@acme.example", OUTSIDE),
        (["*@acme.example"], "mailto:mallory@evil.example?cc=bob@acme.example", OUTSIDE),
        (["*@acme.example"], "mallory%40evil.example%2Cbob@acme.example", OUTSIDE),
        (["*@acme.example"], "bob@acme.example mallory@evil.example|bob@acme.example", OUTSIDE),
        (["ann@*.acme.example"], "ann@evil.example|ann@eu.acme.example", OUTSIDE),
        (["sales@*"], "sales@acme.example;mallory@evil.example", OUTSIDE),
        (["c_1", "c_2"], "c_1,c_2", {}),
        (["c_1", "c_2"], "c_1,c_9", OUTSIDE),
        (["c_1", "c_2"], " , ", OUTSIDE),
        (["Acme*"], "Acme, Inc.", {}),
        (["Acme, Inc."], "Acme, Inc.", {}),
        (["@acme/*"], "@acme/forms@1.2.0", {}),
        (["* <*@acme.example>"], "Bob <bob@acme.example>", {}),
        *((["*@acme.example"], told, {}) for told in MAILBOXES),
        *((["ann@acme.example"], told, {}) for told in MAILBOXES),
        *((["*@acme.example"], told, OUTSIDE) for told in NO_MAILBOXES),
        *((["ann@acme.example"], told, OUTSIDE) for told in NO_MAILBOXES),
        (["c_1", "c_2"], '["c_1", "c_2"]', {}),
        (["c_1", "c_2"], "c_1|c_2", {}),
        (["c_1"], '"c_1"', {}),
        (["c_1"], " c_1\n", {}),
        (["Acme Inc"], "Acme Inc ", {}),
        (["c_1"], '["c_1", "c_9"]', OUTSIDE),
        (["c_1"], '[""]', OUTSIDE),
        (["acme_*"], "acme_1,acme_2", {}),
        (["acme_*"], "acme_1,globex_2", OUTSIDE),
        (["acme_*"], "acme_1 | globex_2", OUTSIDE),
        (["acme_*"], "acme_1\nglobex_2", OUTSIDE),
        (["Apollo*"], "Apollo 13; a film", {}),
        (["docs/acme/*"], "docs/acme/Smith, John/b.txt", {}),
        (["docs/acme/*"], "docs/acme/a,docs/globex/b", OUTSIDE),
        (["/acme/*"], "/acme/a;/etc/passwd", OUTSIDE),
        (["docs/acme/*"], "docs/acme/a,/etc/passwd", OUTSIDE),
        (["/docs/acme/*"], "/docs/acme/a /docs/globex/b", OUTSIDE),
        (["/docs/acme/*"], "/docs/acme/a /docs/acme/b", {}),
        (["/docs/acme/*"], "/docs/acme/my report.pdf", {}),
        (["/docs/acme/*"], "/docs/acme/a ../globex/b", OUTSIDE),
        (["docs/*"], "docs/my report/b.txt", {}),
        (["Finance / *"], "Finance / Reports / Q1", {}),
        (["https://acme.example/*"], "https://acme.example/a https://evil.example/b", OUTSIDE),
        (["https://acme.example/*"], "https://acme.example/a, https://acme.example/b", {}),
        (["docs/acme/*", "docs/globex/*"], "docs/acme/a,docs/globex/b", {}),
    ],
)
def test_each_of_several_in_one_text_must_be_allowed(
    observe: Observe, breaches: Breaches, allowed: list[str], told: str, found: dict[str, bool]
) -> None:
    seen = observe(envelope__resource_constraints={"to": allowed}, action__arguments={"to": told})
    assert breaches(EnvelopeBreach(), seen) == found


ACME, ACME_WEB = ["acme/*"], ["*.acme.example"]
SEVERAL_REPOS = [f"acme/a{sign}globex/b" for sign in (",", ", ", ";", "|", "\n", " ", "\t")]
OTHER_HOSTS = [f"evil.example{sign}www.acme.example" for sign in (",", " ", "\n", "|")]
OTHER_HOSTS += [f"evil.example{sign}.acme.example" for sign in ("/", "#", "?", "\\", "/x")]
OTHER_HOSTS += ["https://evil.example/.acme.example", "evil.example\u3002x/www.acme.example"]


@pytest.mark.parametrize(
    ("name", "allowed", "told", "found"),
    [
        *(
            ("repo", ACME, told, OUTSIDE)
            for told in (*SEVERAL_REPOS, '["acme/a", "globex/b"]', "acme/a,globex/b,x")
        ),
        *(
            ("repository", ACME, told, {})
            for told in ("acme/a", "acme/a,acme/b", "acme/a acme/b", "acme/a/tree/b")
        ),
        ("repo", [*ACME, "globex/b"], "acme/a, globex/b", {}),
        *(("project", ACME, told, OUTSIDE) for told in ("acme/a,globex/b", "acme/a\nglobex/b/c")),
        ("project", ACME, "acme/a globex/b", UNCHECKED),
        ("project", ["Finance / *"], "Finance / Reports / Q1, Q2", {}),
        ("project", ["Apollo*"], "Apollo 13; a film", {}),
        ("project", ["Acme*"], "Acme, A/B", {}),
        ("path", ACME, "acme/a,globex/b", UNCHECKED),
        ("path", ACME, "acme/Smith, John/b.txt", UNCHECKED),
        *(
            ("path", ACME, told, {})
            for told in ("acme/my report/b.txt", "acme/a, b.txt", "acme/x/Smith, John/b.txt")
        ),
        ("image", ACME, "acme/*,globex/*", OUTSIDE),
        *(("host", ACME_WEB, told, OUTSIDE) for told in OTHER_HOSTS),
        *(
            ("allowed_domains", ACME_WEB, told, OUTSIDE)
            for told in ("evil.example/.acme.example", "x y.acme.example")
        ),
        *(("host", ACME_WEB, told, {}) for told in ("www.acme.example", "a.acme.example, b.acme.example")),
        *(("host", ACME_WEB, told, {}) for told in ("https://www.acme.example", "git@www.acme.example")),
        *(
            ("host", ACME_WEB, told, OUTSIDE)
            for told in (
                "//evil.example/.acme.example",
                "evil.example//www.acme.example",
                "evil.example://www.acme.example",
                "https://evil.example\\@www.acme.example",
                "evil.example:.acme.example",
                "80,evil.example,www.acme.example",
            )
        ),
        *(
            ("site", ["*.acme.example*"], told, {})
            for told in (
                "https://shop.acme.example/",
                "//www.acme.example/a?b#c",
                "https://bob@www.acme.example:8443/a",
                "db1.acme.example,1433",
                "db1.acme.example\\SQL2019",
                "https://a.acme.example/, b.acme.example/x",
            )
        ),
        *(
            ("site", ["*.acme.example*"], told, OUTSIDE)
            for told in (
                "https://evil.example/.acme.example/",
                "www.acme.example/a,evil.example/.acme.example",
                "1433,www.acme.example",
            )
        ),
        *(("website", ["acme.example*"], told, {}) for told in ("acme.example/docs", "acme.example.evil.example")),
        *(
            ("website", ["acme.example*"], told, OUTSIDE)
            for told in ("acme.example@evil.example", "acme.example/,evil.example")
        ),
        ("host", [*ACME_WEB, "*"], "evil.example/.acme.example", {}),
        ("host", ["*"], "evil.example/x", {}),
        *(("url", ACME_WEB, told, UNCHECKED) for told in OTHER_HOSTS[:-1]),
        ("url", ACME_WEB, "https://www.acme.example", {}),
        *(
            ("file", ["*.pdf"], told, {})
            for told in ("docs/my report.pdf", "docs/Smith, John.pdf", "v1, final.pdf")
        ),
        ("file", ["*.pdf"], "docs.v2/report.pdf", {}),
        ("project_id", ["acme_*"], "acme_1 globex_2", OUTSIDE),
        ("project_id", ["acme_*"], "acme_1 OR globex_2", OUTSIDE),
        ("project_id", ["acme_*"], "acme_1 acme_2", {}),
        ("project_id", ["acme_*"], "acme_1 globex_core", UNCHECKED),
        ("document_id", ["Q3-*"], "Q3-Report follow-up", UNCHECKED),
        ("document_id", ["Q3-*"], "Q3-Report Q4-Report", OUTSIDE),
        ("document_id", ["Q3-*"], "Q3-Report 2026-05-12", UNCHECKED),
        ("report_id", ["acme.*"], "acme.report v1.2", UNCHECKED),
        *(
            ("message_id", ["msg:*"], told, found)
            for told, found in (
                ("msg:abc, re:foo", UNCHECKED),
                ("msg:abc,other:foo", OUTSIDE),
                ("msg:1, other:2", OUTSIDE),
            )
        ),
        ("event_id", ["acme:*"], "acme:12:30 at 10:00", UNCHECKED),
        ("event_id", ["acme:*"], "acme:1 globex:10:00", OUTSIDE),
        ("sheet", ["acme_*"], "acme_budget q1_final", UNCHECKED),
        *(
            ("sheet", ["acme_*"], told, {})
            for told in ("acme_budget 2026", "acme_budget (v2)", "acme_report a.pdf")
        ),
        *(("to", ["acme_*"], told, OUTSIDE) for told in ("acme_core,globex_core", "acme_1,globex_2,")),
        ("to", ["acme-*"], "acme-prod,globex-prod", OUTSIDE),
        ("to", ["#acme-*"], "#acme-1,#globex-2", OUTSIDE),
        ("to", ["acme.*"], "acme.t1,globex.t2", OUTSIDE),
        ("to", ["acme.*"], "acme.t1,acme.t2", {}),
        *(("to", ["Acme*"], told, {}) for told in ("Acme-West, Co-op", "Acme West, Inc.", "Acme_West, A-1 Ltd")),
        ("to", ["*@acme.example"], "evil\uff20evil.example,x@acme.example", OUTSIDE),
    ],
)
def test_what_may_be_a_list_is_told_by_its_name(
    observe: Observe, breaches: Breaches, name: str, allowed: list[str], told: str, found: dict[str, bool]
) -> None:
    arguments = {name.removeprefix("allowed_"): told}
    seen = observe(envelope__resource_constraints={name: allowed}, action__arguments=arguments)
    assert breaches(EnvelopeBreach(), seen) == found


@pytest.mark.parametrize(("last", "found"), [("acme_0", {}), ("globex_0", OUTSIDE)])
def test_a_long_list_is_compared_with_many_wildcards_at_once(
    observe: Observe, breaches: Breaches, last: str, found: dict[str, bool]
) -> None:
    allowed = {"customer_ids": [*(f"{n}_*" for n in range(60)), "acme_*"]}
    told = {"customer_id": ",".join((*(f"acme_{n}" for n in range(5_000)), last))}
    assert (
        breaches(EnvelopeBreach(), observe(envelope__resource_constraints=allowed, action__arguments=told))
        == found
    )


WILD = [f"*{n}*z" for n in range(11)]


@pytest.mark.parametrize(
    ("bounds", "odd", "found"),
    [
        ({"contract_ids": WILD}, 0, {**OUTSIDE, "arguments_cut": False}),
        ({"contract_ids": WILD}, 9, {"arguments_cut": False}),
        ({"denied_contract_ids": WILD}, 0, {**OUTSIDE, "arguments_cut": False}),
        ({"denied_contract_ids": WILD}, 9, {"arguments_cut": False}),
    ],
)
def test_more_values_times_wildcards_than_are_compared_are_told_beside_what_was_found(
    observe: Observe,
    breaches: Breaches,
    monkeypatch: pytest.MonkeyPatch,
    bounds: dict[str, list[str]],
    odd: int,
    found: dict[str, bool],
) -> None:
    """Whoever writes a record chooses both, and could stop the monitor with one of 40 kB."""
    monkeypatch.setattr(comparing, "MOST", 100)
    inside, outside = ("{n}z", "{n}x") if "contract_ids" in bounds else ("{n}x", "{n}z")
    told = [(outside if n == odd else inside).format(n=n) for n in range(10)]
    seen = observe(
        envelope__resource_constraints=bounds, action__arguments={"contract_id": told}, action__resource=None
    )
    assert breaches(EnvelopeBreach(), seen) == found
    monkeypatch.undo()
    assert breaches(EnvelopeBreach(), seen) == OUTSIDE


DOCS, WEB = ["docs/acme/*"], ["https://a.example/docs/*"]


@pytest.mark.parametrize(
    ("allowed", "told", "found"),
    [
        (DOCS, "docs/acme/a.txt", {}),
        (DOCS, "docs/acme/sub/../a.txt", {}),
        (DOCS, "docs/acme//sub/../a.txt", {}),
        (DOCS, "docs/acme/./a..b", {}),
        (DOCS, "docs/acme/50%", {}),
        (DOCS, "docs/acme/..", OUTSIDE),
        (DOCS, "docs/acme/../globex/x", OUTSIDE),
        (DOCS, "docs/acme/sub/../../globex/x", OUTSIDE),
        (DOCS, "docs/acme//../globex/x", OUTSIDE),
        (DOCS, "docs/acme/%2e%2E/globex/x", OUTSIDE),
        (DOCS, "docs/acme/%252525252e%2e%252fglobex/x", OUTSIDE),
        (DOCS, "docs/acme/..\\globex\\x", OUTSIDE),
        (DOCS, "docs/acme/..;v=1/globex/x", OUTSIDE),
        (DOCS, "docs/acme/../../../docs/acme/x", OUTSIDE),
        (DOCS, "docs/acme/.\t./globex/x", OUTSIDE),
        (DOCS, "docs/acme/\n../globex/x", OUTSIDE),
        (DOCS, "docs/acme/.%09%2e/globex/x", OUTSIDE),
        (DOCS, "docs/acme/.\x00./globex/x", OUTSIDE),
        (DOCS, "docs/acme/.\u200b. /globex/x", OUTSIDE),
        (DOCS, "docs/acme/sub/\t/../../globex/x", OUTSIDE),
        (DOCS, "docs/acme/a b/../c . d", {}),
        (["/docs/*"], "/docs/../admin?a/../docs/y", OUTSIDE),
        (["/docs/*"], "/docs/../admin#/../docs/y", OUTSIDE),
        (["/docs/*"], "/docs/a?next=../b", {}),
        (["/docs/*"], "/docs/a?b=c", {}),
        (["/docs/*"], "/docs/a/../b", {}),
        (WEB, "https://a.example/docs/sub/../x", {}),
        (WEB, "https://a.example/docs/../../a.example/docs/x", OUTSIDE),
        (WEB, "https://a.example/docs//../../x", OUTSIDE),
        (["../shared/*"], "../shared/x", {}),
        (["../shared/*"], "../shared/../secret", OUTSIDE),
        (["../shared/*"], "../shared/../../../shared/x", OUTSIDE),
        (["/srv/../data/*"], "/srv/../data/x", {}),
        (["/srv/../data/*"], "/srv/../data/../etc/x", OUTSIDE),
        (["docs/../x"], "docs/../x", {}),
        (["*"], "anything/../else", {}),
    ],
)
def test_a_path_that_climbs_out_of_what_is_allowed_is_outside(
    observe: Observe, breaches: Breaches, allowed: list[str], told: str, found: dict[str, bool]
) -> None:
    seen = observe(envelope__resource_constraints={"path": allowed}, action__arguments={"path": told})
    assert breaches(EnvelopeBreach(), seen) == found


HOSTS = ["https://*.acme.example/*"]


@pytest.mark.parametrize(
    ("allowed", "told", "found"),
    [
        (HOSTS, "https://eu.acme.example/a?next=https://evil.example/", {}),
        (HOSTS, "https://user@eu.acme.example/a", {}),
        (HOSTS, "https://evil.example/x.acme.example/a", OUTSIDE),
        (HOSTS, "https://evil.example?.acme.example/", OUTSIDE),
        (HOSTS, "https://evil.example#.acme.example/", OUTSIDE),
        (HOSTS, "https://evil.example\\.acme.example/", OUTSIDE),
        (HOSTS, "https://evil.example%2F.acme.example/", OUTSIDE),
        (HOSTS, "https:///evil.example/x.acme.example/", OUTSIDE),
        (["http*://acme.example/*"], "https://acme.example/a", {}),
        (["http*://acme.example/*"], "http://evil.example/://acme.example/", OUTSIDE),
        (["s3://acme-*/reports/*"], "s3://acme-eu/reports/1", {}),
        (["s3://acme-*/reports/*"], "s3://acme-/other/reports/1", OUTSIDE),
        (["https://*"], "https://anybody.example/a", {}),
        (["*"], "https://anybody.example/a", {}),
    ],
)
def test_before_the_path_of_a_url_a_wildcard_stands_for_nothing_of_a_path(
    observe: Observe, breaches: Breaches, allowed: list[str], told: str, found: dict[str, bool]
) -> None:
    seen = observe(envelope__resource_constraints={"url": allowed}, action__arguments={"url": told})
    assert breaches(EnvelopeBreach(), seen) == found


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"tenants": [{"id": "globex"}]}, {"tenant_mismatch": True}),
        ({"tenant_id": {"eq": "globex"}}, {"tenant_mismatch": True}),
        ({"tenantid": "globex"}, {"tenant_mismatch": True}),
        ({"tenant": "globex"}, UNCHECKED),
        ({"tenant": " globex"}, UNCHECKED),
        ({"tenant": "globex" * 40}, UNCHECKED),
        ({"tenant_id": {"not": "globex"}}, UNCHECKED),
        ({"tenant_id": {"$ne": "tenant_acme"}}, UNCHECKED),
        ({"where": {"tenant_id": {"ne": "tenant_acme"}}}, UNCHECKED),
        ({"filters": [{"field": "tenant_id", "op": "ne", "value": "tenant_acme"}]}, UNCHECKED),
        ({"session_id": {"ne": "sess_2026_05_12_001"}}, UNCHECKED),
        ({"session_id": {"gt": ""}}, UNCHECKED),
        ({"field": "session_id", "value": "sess_2026_05_12_999"}, UNCHECKED),
        ({"field": "session_id", "value": "summer_2026"}, {}),
        ({"session_id": {"ne": "summer_2026"}}, {}),
        ({"filters": [{"field": "tenant_id", "op": "eq", "value": "tenant_globex"}]}, {**FOREIGN, **UNCHECKED}),
        (
            {"filter": {"name": "crm.tenantId", "operator": "IN", "values": ["tenant_acme", "globex"]}},
            {**FOREIGN, **UNCHECKED},
        ),
        ({"filters": [{"field": "tenant_id", "op": "eq", "value": "contoso"}]}, UNCHECKED),
        ({"filters": [{"field": "tenant_id", "op": "like", "value": "tenant_globex"}]}, UNCHECKED),
        ({"filters": [{"field": "tenant_id", "value": "tenant_globex"}]}, UNCHECKED),
        ({"must_not": [{"field": "tenant_id", "op": "eq", "value": "tenant_globex"}]}, UNCHECKED),
        (
            {
                "of": [
                    {"key": "tenant_id", "op": "=", "value": "globex"},
                    {"key": "title", "op": "=", "value": "Foo"},
                ]
            },
            UNCHECKED,
        ),
        ({"of": [{"key": "tenant_id", "value": "tenant_acme"}, {"key": "title", "value": "Foo"}]}, {}),
        ({"filters": [{"field": "tenant_id", "op": "eq", "value": "tenant_acme"}]}, {}),
        ({"session": "sess_2026_05_12_999"}, UNCHECKED),
        ({"tenants": [{"id": "tenant_acme", "name": "globex"}]}, {}),
        ({"tenant": "Tenant_Acme"}, {}),
        ({"tenant": "Acme and its daughters"}, {}),
        ({"session": "summer_2026"}, {}),
        ({"session": "sess_2026_05_12_001"}, {}),
    ],
)
def test_a_tenant_or_session_in_another_wrapping_is_still_somebodys(
    observe: Observe, breaches: Breaches, arguments: dict[str, Any], found: dict[str, bool]
) -> None:
    assert breaches(KNOWING, observe(action__arguments=arguments)) == found


@pytest.mark.parametrize(
    ("constraints", "arguments"),
    [
        ({"contract": ["c_1"]}, {"contract": {"id": "c_1", "title": "Foo"}}),
        ({"contract": ["c_1", "c_2"]}, {"contracts": [{"id": "c_1", "title": "Foo"}, {"id": "c_2"}]}),
        ({"region": ["eu"]}, {"region": {"code": "eu", "name": "Europe"}}),
    ],
)
def test_one_admitted_value_settles_the_object_that_it_stands_in(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], arguments: dict[str, Any]
) -> None:
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen) == {}


@pytest.mark.parametrize(
    ("constraints", "arguments"),
    [
        ({"max_recipients": 3}, {"recipients": "a@b.example"}),
        ({"max_recipients": 3}, {"recipients": {"to": ["a@b.example"], "cc": ["c@d.example"]}}),
        ({"max_pages": 10}, {"pages": "1-3"}),
        ({"max_amount": 500}, {"amount": "400 euros"}),
        ({"max_amount": 500}, {"amount": -5_000}),
        ({"max_records": 25}, {"records": -1}),
        ({"max_records": 25}, {"max_records": "-1"}),
        ({"max_duration": "30d"}, {"duration": "7d"}),
        ({}, {"tenant": "main"}),
    ],
)
def test_what_could_not_be_checked_is_no_more_than_a_whisper(
    observe: Observe, folded: Any, constraints: dict[str, Any], arguments: dict[str, Any]
) -> None:
    seen = observe(**PAYING, envelope__resource_constraints=constraints, action__arguments=arguments)
    _, (signal,) = folded(EnvelopeBreach(), [seen])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("arguments_unchecked", False)]
    assert signal.breaches[0].detail in signal.reason
    assert 0.0 < signal.value <= 0.1


def test_a_little_given_back_is_below_a_limit_of_money(observe: Observe, breaches: Breaches) -> None:
    for amount in (-20, 0):
        seen = observe(
            **PAYING, envelope__resource_constraints={"max_amount": 500}, action__arguments={"amount": amount}
        )
        assert breaches(EnvelopeBreach(), seen) == {}


def test_payments_split_below_the_limit_break_it_together(observe: Observe, breaches: Breaches) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 500}, "action__arguments": {"amount": 300}}
    seen = observe(**bounds, **PAYING)
    assert breaches(EnvelopeBreach(), seen) == {}
    assert breaches(EnvelopeBreach(), seen, seen) == {"limit_exceeded_session": True}
    assert breaches(EnvelopeBreach(summed=()), seen, seen) == {}


@pytest.mark.parametrize(
    ("status", "records", "adds"),
    [
        *(
            (status, None, False)
            for status in ("error", "failed", "Failure", "payment_declined", "402", "rejected")
        ),
        *((status, None, True) for status in ("ok", "", "timeout", "error: timed out", "504", "408", "no_error")),
        *((status, None, True) for status in ("partially failed", "pending", "500", "200")),
        ("error", 0, False),
        ("error", 1, True),
    ],
)
def test_a_payment_that_failed_moved_nothing_and_may_be_tried_again(
    observe: Observe, folded: Any, status: str, records: int | None, adds: bool
) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 500}, "action__arguments": {"amount": 300}}
    tried = observe(**bounds, **PAYING, result={"status": status, "records": records})
    _, signals = folded(EnvelopeBreach(), [tried, observe(**bounds, **PAYING)])
    assert [breach.name for breach in signals[1].breaches] == ["limit_exceeded_session"] * adds


def test_who_tries_to_pay_more_than_is_left_breaks_the_limit_though_it_fails(
    observe: Observe, folded: Any
) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 500}, "action__arguments": {"amount": 300}}
    failed = observe(**bounds, **PAYING, result={"status": "error"})
    state, signals = folded(EnvelopeBreach(), [observe(**bounds, **PAYING), failed])
    assert [breach.name for breach in signals[1].breaches] == ["limit_exceeded_session"]
    assert state["sums"] == {"amount": 300}


@pytest.mark.parametrize(
    "tool",
    ["payments.search", "fx.get_quote", "retrieve_payments", "payments.history", "get_order", "list_book_prices"],
)
def test_looking_up_an_amount_moves_none_of_it(observe: Observe, folded: Any, tool: str) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 500}, "envelope__allowed_tools": []}
    asked = observe(**bounds, action__tool=tool, action__arguments={"amount": 300})
    paid = observe(**bounds, action__tool="payments.create", action__arguments={"amount": 300})
    state, signals = folded(EnvelopeBreach(), [asked, asked, paid])
    assert [signal.breaches for signal in signals] == [(), (), ()]
    assert state["sums"] == {"amount": 300}


@pytest.mark.parametrize(
    ("tool", "arguments", "found"),
    [
        ("crm.list_invoices", {"amount": 1000}, {}),
        ("crm.search_deals", {"query": {"amount": 1000}}, {}),
        ("crm.search", {"max_amount": 1000}, {}),
        ("crm.search", {"amount": "1,000"}, {}),
        ("crm.search", {"amount": {"gross": 1000}}, {}),
        ("crm.search", {"min_amount": 1}, {}),
        ("crm.search", {"cost": 1000}, {"limit_exceeded": True}),
        ("http.fetch", {"method": "GET", "amount": 1000}, {}),
        ("http.fetch", {"method": "POST", "body": {"amount": 1000}}, {"limit_exceeded": True}),
        ("graphql.query", {"query": "mutation Pay { pay }", "amount": 1000}, {"limit_exceeded": True}),
        ("payments.create", {"amount": 1000}, {"limit_exceeded": True}),
        ("payments.create", {"amount": 1}, {"below_minimum": True}),
    ],
)
def test_who_looks_for_an_amount_asks_for_none(
    observe: Observe, breaches: Breaches, tool: str, arguments: dict[str, Any], found: dict[str, bool]
) -> None:
    limits = {"max_amount": 500, "min_amount": 10, "max_cost": 5}
    bounds = {"envelope__resource_constraints": limits, "envelope__allowed_tools": []}
    seen = observe(**bounds, action__tool=tool, action__arguments=arguments)
    assert breaches(EnvelopeBreach(summed=()), seen) == found


@pytest.mark.parametrize(
    "tool",
    ["issue_check", "deposit_check", "check.issue", "get_and_withdraw", "fetch_and_capture", "history.payout"],
)
def test_what_pays_adds_up_whatever_looking_its_name_speaks_of(observe: Observe, folded: Any, tool: str) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 500}, "envelope__allowed_tools": []}
    paid = observe(**bounds, action__tool=tool, action__arguments={"amount": 300})
    _, signals = folded(EnvelopeBreach(), [paid, paid])
    assert [breach.name for breach in signals[1].breaches] == ["limit_exceeded_session"]


BATCHES: list[tuple[dict[str, Any], float]] = [
    ({"payments": [{"amount": 400}, {"amount": 400}, {"amount": "400"}]}, 1200),
    ({"runs": [{"pay": [{"amount": 400}]}, {"pay": [{"amount": 400}, {"amount": 400}]}]}, 1200),
    ({"amount": [400, 400, "400"]}, 1200),
    ({"amounts": [[400, 400], [400]]}, 1200),
    ({"amount": 400, "fees": [1, 2]}, 400),
    ({"amount": 400, "items": [{"amount": 100}, {"amount": 300}]}, 400),
    ({"payments": [{"amount": 400}, {"amount": -400}]}, 400),
    ({"amount": ["many", "more", "most"]}, 0),
    ({"payments": [{"amount": 0.1}, {"amount": 0.2}]}, 0.3),
]


@pytest.mark.parametrize(("arguments", "moved"), BATCHES)
def test_a_batch_moves_what_its_items_move_together(
    observe: Observe, folded: Any, arguments: dict[str, Any], moved: float
) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"max_amount": 1000}}
    state, (signal,) = folded(EnvelopeBreach(), [observe(**bounds, action__arguments=arguments)])
    assert state["sums"] == {"amount": moved}
    expected = {"limit_exceeded", "limit_exceeded_session"} if moved > 1000 else set()
    expected |= set() if moved else {"arguments_unchecked"}
    assert {breach.name for breach in signal.breaches} == expected


@pytest.mark.parametrize("amount", ["300 EUR", "$300.00", {"value": "300 EUR"}, [100, "200 EUR"]])
def test_an_amount_beside_its_currency_adds_up_as_any_other(
    observe: Observe, breaches: Breaches, amount: object
) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"max_amount": 500}}
    paid = observe(**bounds, action__arguments={"amount": amount})
    assert breaches(EnvelopeBreach(), paid) == {}
    assert breaches(EnvelopeBreach(), paid, paid) == {"limit_exceeded_session": True}


def test_a_resource_that_repeats_its_arguments_moves_nothing_more(observe: Observe, folded: Any) -> None:
    paid = {**PAYING, "action__arguments": {"amount": 400}, "action__resource": {"type": "payment", "amount": 400}}
    state, _ = folded(EnvelopeBreach(), [observe(envelope__resource_constraints={"max_amount": 1000}, **paid)])
    assert state["sums"] == {"amount": 400}


def test_decimal_amounts_reach_their_limit_without_breaking_it(observe: Observe, breaches: Breaches) -> None:
    bounds = {**PAYING, "envelope__resource_constraints": {"max_amount": 0.3}}
    third = observe(**bounds, action__arguments={"amount": 0.1})
    assert breaches(EnvelopeBreach(), third, third, third) == {}
    assert breaches(EnvelopeBreach(), third, third, third, third) == {"limit_exceeded_session": True}


@pytest.mark.parametrize(
    ("bounds", "arguments", "broken"),
    [
        ({"max_temperature": 30}, {"rooms": [{"temperature": 20}, {"temperature": 20}]}, False),
        ({"max_temperature": 30}, {"rooms": [{"temperature": 20}, {"temperature": 31}]}, True),
        ({"max_price": 30}, {"price": [20, 20]}, False),
        ({"max_price": 30}, {"price": [20, 31]}, True),
        ({"max_users": 2}, {"users": [1001, 1002]}, False),
        ({"max_users": 2}, {"users": [1, 1, 1]}, True),
        ({"max_recipients": 3}, {"mails": [{"recipients": ["a", "b"]}, {"recipients": ["c", "d"]}]}, True),
        ({"min_amount": 10}, {"amount": [900, 5]}, True),
    ],
)
def test_lists_of_counted_things_count_and_limits_that_do_not_add_up_hold_each_item(
    observe: Observe, breaches: Breaches, bounds: dict[str, Any], arguments: dict[str, Any], broken: bool
) -> None:
    seen = observe(**PAYING, envelope__resource_constraints=bounds, action__arguments=arguments)
    assert bool(breaches(EnvelopeBreach(), seen)) is broken


def test_a_mapping_covers_names_that_are_not_obvious(observe: Observe, breaches: Breaches) -> None:
    signal = EnvelopeBreach(
        mapping={"max_records": ("limit",), "customerId": ("account",), "data_classes": ("f",)}
    )
    seen = observe(action__arguments={"limit": 400, "account": "cust_other", "f": "payroll"})
    assert breaches(EnvelopeBreach(), seen) == {}
    assert set(breaches(signal, seen)) == {
        "records_over_limit",
        "resource_outside_constraints",
        "data_class_outside",
    }


@pytest.mark.parametrize(
    ("key", "listed", "other"),
    [
        ("repos", "shop", "bank"),
        ("allowed_repos", "shop", "bank"),
        ("denied_repos", "bank", "shop"),
        ("data_class_names", "renewal_terms", "payroll"),
        ("permittedDataClasses", "renewal_terms", "payroll"),
        ("blocked_data_classes", "payroll", "renewal_terms"),
    ],
)
def test_a_mapping_names_a_constraint_as_the_envelope_spells_it(
    observe: Observe, breaches: Breaches, key: str, listed: str, other: str
) -> None:
    signal = EnvelopeBreach(mapping={key: ("project",)})
    bound = {key: [listed]}
    denies = key.startswith(("denied", "blocked"))
    for said in (listed, other):
        seen = observe(envelope__resource_constraints=bound, action__arguments={"project": said})
        assert bool(breaches(signal, seen)) is ((said == listed) is denies), said
        assert not breaches(EnvelopeBreach(), seen), "without it nobody knows"


@pytest.mark.parametrize(
    ("constraint", "arguments", "broken"),
    [
        ({"allowed_regions": ["eu"]}, {"region": "us"}, True),
        ({"allowed_regions": ["eu"]}, {"region": "eu"}, False),
        ({"account_ids": ["acc_*"]}, {"account_id": "acc_7"}, False),
        ({"account_ids": ["acc_*"]}, {"account_id": "other_7"}, True),
        ({"account_ids": []}, {"account_id": "acc_7"}, True),
        ({"account_id": None}, {"account_id": "acc_7"}, False),
        ({"account_id": 5}, {"account_id": "5"}, False),
        ({"account_id": 5}, {"account_id": 5.0}, False),
        ({"account_id": 5}, {"account_id": 10**400}, True),
        ({"dry_run": True}, {"dry_run": False}, True),
        ({"crm": {"customer_id": "cust_1"}}, {"crm": {"customer_id": "cust_2"}}, True),
        ({"max_depth": "deep"}, {"max_depth": "deeper"}, True),
        ({"...": "x"}, {"...": "y"}, False),
        ({"customer_id": "cust_1"}, {"customer_id": [None, "cust_1"]}, False),
    ],
)
def test_constraints_match_by_name_and_value(
    observe: Observe, breaches: Breaches, constraint: dict[str, Any], arguments: dict[str, Any], broken: bool
) -> None:
    seen = observe(envelope__resource_constraints=constraint, action__arguments=arguments)
    assert ("resource_outside_constraints" in breaches(EnvelopeBreach(), seen)) is broken


@pytest.mark.parametrize(
    ("constraint", "arguments", "found"),
    [
        ({"denied_regions": ["us"]}, {"region": "eu"}, {}),
        ({"denied_regions": ["us"]}, {"region": "US"}, OUTSIDE),
        ({"denied_regions": ["us"]}, {"regions": ["eu", "us"]}, OUTSIDE),
        ({"forbidden": {"regions": ["us"]}}, {"region": "eu, us"}, OUTSIDE),
        ({"denied_regions": ["US-East"]}, {"region": "us-east"}, OUTSIDE),
        ({"denied_regions": ["us-*"]}, {"region": "US-East"}, OUTSIDE),
        ({"regions": {"denied": ["us"]}}, {"region": "us"}, OUTSIDE),
        ({"regions": {"allowed": ["eu", "us"], "blocked": ["us"]}}, {"region": "eu"}, {}),
        ({"data_classes": {"denied": ["payroll"]}}, {"data_class": "payroll"}, {"data_class_outside": True}),
        ({"records": {"max": 5}}, {"records": 5}, {}),
        ({"records": {"max": 5}}, {"records": 9}, {"records_over_limit": True}),
        ({"cost": {"min": 10, "max": 50}}, {"cost": 60}, {"limit_exceeded": True}),
        ({"denied_regions": ["York"]}, {"region": "New York"}, {}),
        ({"denied_paths": ["/etc/*"]}, {"path": "/srv/a /etc/passwd"}, OUTSIDE),
        ({"denied_paths": ["/etc/*"]}, {"path": "/srv/a b"}, {}),
        ({"blocked_paths": ["/etc/*"]}, {"path": "/srv/../etc/passwd"}, OUTSIDE),
        ({"paths": ["/srv/*"], "excluded_paths": ["/srv/keys/*"]}, {"path": "/srv/keys/a"}, OUTSIDE),
        ({"denied_data_classes": ["payroll"]}, {}, {}),
        ({"denied_data_classes": ["renewal_*"]}, {}, {"data_class_outside": True}),
        ({"denied_data_classes": ["payroll"]}, {"data_class": "payroll"}, {"data_class_outside": True}),
        ({"denied_data_classes": ["payroll_data"]}, {"data_class": "PayrollData"}, {"data_class_outside": True}),
        ({"denied_data_classes": ["hr_*"]}, {"data_class": "HR-Files"}, {"data_class_outside": True}),
        ({"denied_data_classes": ["hr_*"]}, {"data_class": "hr"}, {}),
        ({"data_classes": ["renewal_*"]}, {"data_class": "renewal"}, {"data_class_outside": True}),
    ],
)
def test_what_an_envelope_denies_is_outside_it(
    observe: Observe, breaches: Breaches, constraint: dict[str, Any], arguments: dict[str, Any], found: object
) -> None:
    seen = observe(envelope__resource_constraints=constraint, action__arguments=arguments)
    assert breaches(EnvelopeBreach(), seen) == found


KEYS = ["/srv/keys/*", "/srv/app/.env", "/opt/vault"]
MALLORY = "Mallory <mallory@evil.example>"
ABROAD = "\ufdfa" * 10
"""Each is eighteen letters in NFKC."""


@pytest.mark.parametrize(
    ("denied", "told"),
    [
        *(
            (KEYS, path)
            for path in ("/srv//keys/a", "/srv/./keys/a", "/srv/%6beys/a", "/srv/keys", "/srv\\keys\\a")
        ),
        *((KEYS, path) for path in ("/srv/app/./.env", "/srv/app//.env", "/srv/x/../app/.env", "/srv/app/.env?x")),
        *((KEYS, path) for path in ("/opt/vault/a", "/opt/./vault/a", "file:///srv/keys/a", "%2Fsrv%2Fkeys%2Fa")),
        *(
            (KEYS, path)
            for path in ("../../../srv/keys/a", "~/../../srv/keys/a", "~/../srv/keys", "/../srv/keys/a")
        ),
        *(
            (KEYS, path)
            for path in (
                "/x/../../srv/keys",
                "x/../../../../srv/keys",
                "..\\..\\..\\srv\\keys",
                "file:///../srv/keys/a",
            )
        ),
        *(
            (KEYS, path)
            for path in (
                "/proc/self/root/srv/keys/a",
                "/proc/1/task/2/root/srv/keys/a",
                "/proc/self/root/../srv/keys/a",
                "/x/../proc/./self//root/srv/keys",
                "/proc/self/root/proc/thread-self/root;x/srv/keys/a?b",
                "/host/proc/1/root/srv/keys/a",
                "../../../proc/1/root/srv/keys/a",
                "%2fproc%2fself%2froot%2fsrv%2fkeys%2fa",
                "/proc/self/cwd/../../../srv/keys/a",
                "/proc/self/cwd/x/../../../../srv/keys/a",
            )
        ),
        (["secrets/*"], "/proc/self/cwd/secrets/a"),
        *((["us-*"], f"us{dash}east") for dash in "\u2010\u2011\u2013\u2014\u2212\ufe58\uff0d\u30a0"),
        (["us\u2011*"], "us-east"),
        (["/us-*/keys"], "/us\u2013east/keys"),
        (["https://acme.example/admin/*"], "https://acme.example/x/../../admin/1"),
        (["c:/windows"], "C:\\temp\\..\\..\\windows\\a"),
        *((KEYS, path) for path in ("//srv/keys/a", "/srv/\uff4beys/a", "/srv/ke\u200bys/a", "/SRV/Keys")),
        (KEYS, "/srv/" + "./" * 1_000 + "keys/a"),
        (KEYS, "/srv/./keys/" + "a" * 9_000),
        pytest.param(KEYS, "../" * 1_400 + "srv/keys/a", id="climbs long"),
        pytest.param(KEYS, "/srv/" + "x/../" * 12_000 + "keys/a", id="climbs often"),
        pytest.param(KEYS, f"/tmp/{'a' * 60_000}/../../srv/keys/a", id="a long step"),
        pytest.param(["evil.example"], f"https://{'a' * 60_000}@evil.example/x", id="a long user"),
        (KEYS, f"/tmp/{ABROAD}/../../srv/keys/a"),
        (["evil.example"], f"{ABROAD}, evil.example"),
        (["/office"], f"/tmp/{ABROAD}/../../o\ufb03ce/a"),
        (["secrets/*"], "./secrets/a"),
        (["secrets/"], "secrets/a"),
        (["file:///srv/keys/*"], "/srv/keys/a"),
        (["C:\\keys"], "c:\\keys\\a"),
        (["c_9"], "c_1 c_9"),
        (["c_9"], "c_1 OR c_9"),
        (["c_9"], "(c_9)"),
        (["*@evil.example"], MALLORY),
        (["mallory@evil.example"], MALLORY),
        (["mallory@evil.example"], "Mallory<mallory\uff20evil.example>"),
        (["mallory@evil.example"], "mailto:mallory%40evil.example?cc=bob@acme.example"),
        (["mallory@evil.example"], "bob@acme.example mallory@evil.example"),
        (["./*"], "./a"),
        (["*/"], "docs/"),
        *(([entry], "docs") for entry in ("*", "**")),
        (["evil.example"], "EVIL.example."),
        (["evil.example"], "https://evil.example/a"),
        (["evil.example."], "evil.example"),
        (["https://evil.example/*"], "https://evil.example"),
        (["https://evil.example/*"], "https://bob@evil.example.:443/a"),
        (["https://evil.example/"], "https://evil.example"),
        (["https://acme.example/admin/*"], "https://acme.example/docs/%2e%2e/admin/a#b"),
        (["acme/secret"], "acme/secret#12"),
        (["secret"], "\uff33\uff25\uff23\uff32\uff25\uff34"),
    ],
)
def test_no_spelling_and_no_length_of_what_is_denied_gets_by(
    observe: Observe, breaches: Breaches, denied: list[str], told: str
) -> None:
    seen = observe(envelope__resource_constraints={"denied_to": denied}, action__arguments={"to": told})
    assert breaches(EnvelopeBreach(), seen) == OUTSIDE


FORBIDDEN = {"forbidden_paths": ["/etc"]}
LONG = "../" * 1_400
ENDLESS = LONG * 16
"""Longer than is resolved."""
DENIED = {"denied_regions": ["us-east-1"], "denied_contract_ids": ["c_9"]}


@pytest.mark.parametrize(
    ("constraints", "arguments", "found"),
    [
        (DENIED, {"region": {"name": "us-east-1"}}, UNCHECKED),
        (DENIED, {"contract_id": {"ref": "c_9"}}, UNCHECKED),
        (DENIED, {"contract": {"id": "c_1", "similar": ["c_9"]}}, UNCHECKED),
        (FORBIDDEN, {"path": {"dir": "/etc", "name": "passwd"}}, UNCHECKED),
        (FORBIDDEN, {"path": "../../etc/passwd"}, UNCHECKED),
        (FORBIDDEN, {"path": "../../etc/passwd", "cwd": "/srv/acme"}, UNCHECKED),
        (FORBIDDEN, {"path": "../etc/app.yaml", "cwd": "/srv/acme"}, {}),
        (FORBIDDEN, {"path": "../../../etc/app.conf", "cwd": "/repo/src/a/b/c"}, {}),
        (FORBIDDEN, {"path": "../../../../etc/passwd", "cwd": "/srv/acme"}, OUTSIDE),
        (FORBIDDEN, {"path": "../../../etc/passwd", "cwd": "src"}, OUTSIDE),
        (FORBIDDEN, {"path": "src/../etc/app.yaml"}, {}),
        (FORBIDDEN, {"path": "../shared/lib.py"}, {}),
        (FORBIDDEN, {"path": {"include": "/srv", "ignore": ["/etc"]}}, {}),
        (FORBIDDEN, {"path": {"dir": "/", "file": "etc/passwd"}}, UNCHECKED),
        (FORBIDDEN, {"path": "etc/passwd", "cwd": "/"}, UNCHECKED),
        (FORBIDDEN, {"path": "passwd", "cwd": "/etc"}, UNCHECKED),
        (FORBIDDEN, {"path": [f"a{n}" for n in range(300)], "cwd": "/"}, UNCHECKED),  # more than are put together
        (FORBIDDEN, {"path": [f"{LONG}srv/a{n}" for n in range(150)], "cwd": "/x"}, UNCHECKED),
        (FORBIDDEN, {"path": [f"{LONG}srv/a{n}" for n in range(100)], "cwd": "/x"}, {}),
        (FORBIDDEN, {"path": f"{LONG}etc/passwd", "cwd": "/x" * 2_000}, OUTSIDE),  # no system opens it there
        (FORBIDDEN, {"path": f"{ENDLESS}etc/passwd"}, UNCHECKED),
        (FORBIDDEN, {"path": f"{ENDLESS}etc/passwd".replace("/", "%2F")}, UNCHECKED),
        (FORBIDDEN, {"file_path": f"{ENDLESS}etc/passwd"}, UNCHECKED),
        (FORBIDDEN, {"filter": {"field": "path", "op": "eq", "value": f"{ENDLESS}etc/passwd"}}, UNCHECKED),
        (FORBIDDEN, {"path": "a" * len(ENDLESS), "body": ENDLESS}, {}),
        pytest.param(FORBIDDEN, {"file": "iVBOR/w0//KGgo+" * 5_000}, {}, id="base64"),
        pytest.param(FORBIDDEN, {"file": f"/{'/.' * 40_000}/etc/passwd"}, UNCHECKED, id="dots"),
        pytest.param(
            {"denied_hosts": ["evil.example"]},
            {"host": f"https://{'a' * 70_000}@evil.example/x"},
            UNCHECKED,
            id="a longer user",
        ),
        pytest.param(
            FORBIDDEN, {"path": f"/x/{chr(0xFB00) * 33_000}/../../etc/passwd"}, UNCHECKED, id="ligatures"
        ),
        pytest.param(
            FORBIDDEN,
            {"path": "b/../" * 2_000 + "../etc/passwd", "cwd": "/x" + "/a/.." * 12_000},
            UNCHECKED,
            id="long together",
        ),
        (FORBIDDEN, {"path": [f"../../../etc/p{n}" for n in range(250)], "cwd": "/x/a/b/c/d"}, {}),
        pytest.param(  # more than is put together: as they stand
            FORBIDDEN,
            {"path": [f"../../../etc/p{n}" for n in range(99)], "cwd": ["/x/a/b/c/d" + "/." * 30_000]},
            {**OUTSIDE, **UNCHECKED},
            id="many beside a long folder",
        ),
        (DENIED, {"filters": [{"field": "region", "op": "eq", "value": "us-east-1"}]}, UNCHECKED),
        (DENIED, {"filter": {"field": "region", "op": "!=", "value": "eu-1"}}, UNCHECKED),
        (DENIED, {"filter": {"field": "region", "op": ">=", "value": "us-east-1"}}, UNCHECKED),
        (
            DENIED,
            {
                "filters": [
                    {"field": "region", "op": "ne", "value": "us-east-1"},
                    {"field": "region", "value": "us-east-1"},
                ]
            },
            UNCHECKED,
        ),
        (DENIED, {"region": {"$ne": "eu-1"}}, UNCHECKED),
        (DENIED, {"region": {"$gte": "us-east-1"}}, UNCHECKED),
        (DENIED, {"contract": "c_9"}, UNCHECKED),
        (DENIED, {"contract": {"ref": "c_9"}}, UNCHECKED),
        ({"denied_region_ids": [4]}, {"region_id": {"zones": 4}}, UNCHECKED),
        ({"denied_data_classes": ["payroll"]}, {"data_class": {"label": "Payroll"}}, UNCHECKED),
        (FORBIDDEN, {"path": "a", "cwd": "/srv"}, {}),
        (FORBIDDEN, {"path": "etc/passwd"}, {}),
        (DENIED, {"region": {"$ne": "us-east-1"}}, {}),
        (DENIED, {"region": {"not_in": ["cn", "US-east-1"]}}, {}),
        (DENIED, {"filter": {"field": "region", "op": "not in", "value": ["cn", "us-east-1"]}}, {}),
        (DENIED, {"filter": {"field": "region", "op": "eq", "value": "eu-1"}}, {}),
        (DENIED, {"region": {"name": "eu-1"}, "contract": "Foo"}, {}),
        (DENIED, {"regions": [f"eu-{n}" for n in range(300)], "cwd": "/srv"}, {}),
    ],
)
def test_what_is_denied_is_found_in_objects_filters_and_beside_its_folder(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], arguments: dict[str, Any], found: object
) -> None:
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen) == found


CONTRACTS, PATHS = {"contract_ids": ["c_1"]}, {"paths": ["/srv/acme/*"]}


@pytest.mark.parametrize(
    ("constraints", "arguments", "found"),
    [
        *((CONTRACTS, {"contract_id": {op: ""}}, UNCHECKED) for op in ("$gt", "$gte", "$ne", ">", "!=", "not")),
        (CONTRACTS, {"contract_id": {"$ne": None}}, UNCHECKED),
        (CONTRACTS, {"contract_id": {"$nin": []}}, UNCHECKED),
        (CONTRACTS, {"filter": {"field": "contract_id", "op": "ne", "value": "c_1"}}, UNCHECKED),
        (CONTRACTS, {"contract_id": {"ref": "c_1", "title": "c_9"}}, UNCHECKED),
        (PATHS, {"path": {"base": "/srv/acme", "name": "../../etc/passwd"}}, UNCHECKED),
        (PATHS, {"path": {"base": "/srv/acme", "name": "/etc/passwd"}}, UNCHECKED),
        (CONTRACTS, {"contract_id": {"eq": "c_1", "ne": None, "gt": ""}}, {}),
        (CONTRACTS, {"contract_id": {"id": "c_1", "exclude": ""}}, {}),
        (CONTRACTS, {"contract_id": {"id": "c_1", "version": "v2", "page": 9, "title": "Foo"}}, {}),
        (CONTRACTS, {"contract_id": "c_1", "ne": None}, {}),
        (PATHS, {"path": {"base": "/srv/acme", "name": "a.txt"}}, {}),
    ],
)
def test_what_asks_for_all_or_may_count_in_the_place_of_an_admitted_value_is_a_doubt(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], arguments: dict[str, Any], found: object
) -> None:
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen) == found


@pytest.mark.parametrize(
    ("constraints", "arguments", "found"),
    [
        *(
            (limits, {name: "../../etc/passwd"}, UNCHECKED)
            for limits in (FORBIDDEN, PATHS)
            for name in ("file_path", "filePath", "filepath", "filename", "target_path", "path_name")
        ),
        *((DENIED, {name: "us-east-1"}, UNCHECKED) for name in ("aws_region", "region_name", "awsRegions")),
        (CONTRACTS, {"previous_contract_id": "c_9"}, UNCHECKED),
        *(
            (CONTRACTS, {name: "c_9"}, UNCHECKED)
            for name in ("contract_id_2", "contractId2", "filter[contract_id]")
        ),
        (FORBIDDEN, {"path_2": "/etc/passwd"}, UNCHECKED),
        (CONTRACTS, {"contract_id_2": "c_1", "exclude[contract_id]": "c_9"}, {}),
        *((FORBIDDEN, {name: ["/etc"]}, {}) for name in ("exclude_paths", "path_excludes", "forbidden_paths")),
        (PATHS, {"exclude_path": "/etc", "filename": "report.pdf", "path_name": "/srv/acme/a"}, {}),
        ({"ids": ["c_1"]}, {"user_id": "u_7"}, {}),
        ({"customer_ids": ["42"]}, {"parent_customer_id": 43}, UNCHECKED),
        ({"products": ["p_1"]}, {"product_quantity": 2, "total_products": 3, "product_date": "2026-05-12"}, {}),
        ({"regions": ["eu-1"]}, {"region": {"id": "eu-1", "region_code": "x7"}}, {}),
        *(({"regions": ["eu-1"]}, {"aws_region": said}, UNCHECKED) for said in ("us-east-1", "Frankfurt")),
        ({"regions": ["eu-1"]}, {"aws_region": "Frankfurt am Main"}, {}),
    ],
)
def test_a_longer_name_with_the_bound_one_at_its_beginning_or_end_is_a_doubt_where_its_value_is_outside(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], arguments: dict[str, Any], found: object
) -> None:
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen) == found


@pytest.mark.parametrize(
    ("denied", "told"),
    [
        *((KEYS, path) for path in ("/srv", "/srv/keyring/a", "/srv/app/.env.sample", "/opt/vaults", "keys/a")),
        *(
            (KEYS, path)
            for path in (
                "/proc/cpuinfo",
                "/proc/root/srv/keys/a",
                "/proc/self/rooted/srv/keys/a",
                "/proc/self/root/../proc/self/srv/keys/a",
                "/proc/self/cwd/srv/keys/a",
                "/srv/proc/self/fd/root/srv/keys/a",
            )
        ),
        (["/"], "/srv/a"),
        (["*/*"], "docs"),
        *(([entry], "/srv/a") for entry in ("./*", "a/../*", "%2e/*", "*/", "./**", ".//*", "*//", "*/../*")),
        (["./*"], "a"),
        (["*/"], "docs"),
        (["York"], "New York"),
        (["York"], "New York, USA"),
        (["2026/*"], "docs/Q1 2026/a.txt"),
        (["mallory@evil.example"], "Mallory <mallory@acme.example>"),
        (["evil.example"], "evil.example.org"),
        (["https://evil.example/search?q=a*"], "https://evil.example/search?q=b"),
        (["https://evil.example/"], "https://evil.example/docs"),
        (["C"], "C#"),
        (["Inc"], "Acme Inc."),
        ([], "c_9"),
    ],
)
def test_what_only_resembles_something_denied_is_not_denied(
    observe: Observe, breaches: Breaches, denied: list[str], told: str
) -> None:
    seen = observe(envelope__resource_constraints={"denied_to": denied}, action__arguments={"to": told})
    assert breaches(EnvelopeBreach(), seen) == {}


@pytest.mark.parametrize("sign", ["@", "a@", "a1@", ".", "/", "%", "%25", "http://", ",", " ", "../", "- "])
def test_a_long_hostile_text_is_compared_with_what_is_denied_at_once(
    observe: Observe, breaches: Breaches, sign: str
) -> None:
    long = sign * (300_000 // len(sign))
    seen = observe(
        envelope__resource_constraints={"denied_to": ["c_9", "/keys/*"]},
        action__arguments={"to": [long + "/", long + "://x"]},
    )
    assert breaches(EnvelopeBreach(), seen) == UNCHECKED  # longer than is resolved


@pytest.mark.parametrize(
    ("allowed", "path", "broken"),
    [
        ("/srv/shop/*", "/srv/shop", False),
        ("/srv/shop/**", "/srv/shop/", False),
        ("s3://bucket/*", "s3://bucket", False),
        ("/srv/shop/*", "/srv/shopping", True),
        ("/srv/shop/*", "/srv", True),
        ("/srv/*/*", "/srv/shop", True),
        ("*/*", "anything", True),
        ("/*", "etc", True),
    ],
)
def test_a_wildcard_for_what_lies_in_a_folder_admits_the_folder(
    observe: Observe, breaches: Breaches, allowed: str, path: str, broken: bool
) -> None:
    seen = observe(envelope__resource_constraints={"paths": [allowed]}, action__arguments={"path": path})
    assert breaches(EnvelopeBreach(), seen) == ({"resource_outside_constraints": True} if broken else {})


@pytest.mark.parametrize(
    ("constraint", "arguments", "broken"),
    [
        ({"repos": ["acme/shop"]}, {"owner": "acme", "repo": "shop"}, False),
        ({"repos": ["acme/*"]}, {"owner": "acme", "repo": "shop"}, False),
        ({"repos": ["acme/shop"]}, {"owner": "evil", "repo": "shop"}, True),
        ({"repos": ["acme/shop"]}, {"owner": "acme", "repo": "till"}, True),
        ({"repos": ["acme/shop"]}, {"repo": "shop"}, True),
        ({"repos": ["acme/shop"]}, {"owner": "acme", "repo": "shop", "user": "bob", "org": ""}, False),
        ({"repos": ["acme/*"]}, {"owner": "acme/..", "repo": "shop"}, True),
        ({"repos": ["acme/*"]}, {"owner": "acme", "repo": ".."}, True),
        ({"repos": ["acme/*"]}, {"owner": "acme", "repo": "..%2Fevil"}, True),
        ({"urls": ["https://acme.example/*"]}, {"owner": "https://acme.example", "url": "evil.example"}, True),
        ({"paths": ["/srv/shop/*"]}, {"group": "/srv/shop", "path": "%2Fetc%2Fpasswd"}, True),
        ({"buckets": ["acme/*"]}, {"namespace": "acme", "bucket": "other"}, True),
        ({"repos": ["acme/*"]}, {"account": "evil", "group": "acme", "repo": "shop"}, True),
        ({"names": ["ACME*"]}, {"name": "ACME"}, False),
        ({"names": ["Docs/*"]}, {"name": "Docs"}, False),
        ({"names": ["Ann*"]}, {"name": "Ann@acme.example"}, False),
        ({"targets": ["SALES-EMEA", "ann@acme.example"]}, {"target": "SALES-EMEA, ann@acme.example"}, False),
        ({"branches": ["main"]}, {"branch": "MAIN"}, True),
        ({"emails": ["*@fass.example"]}, {"email": "x@fa\u00df.example"}, True),
        ({"repos": ["acme/shop"]}, {"from": {"owner": "acme"}, "to": {"repo": "shop"}}, True),
        ({"currency": "EUR"}, {"currency": "eur"}, False),
        (
            {"repos": ["acme/shop"]},
            {"of": [{"owner": "acme", "repo": "x"}, {"owner": "evil", "repo": "shop"}]},
            True,
        ),
        ({"currency": "EUR"}, {"currency": "usd"}, True),
        ({"currencies": ["EUR", "USD"]}, {"currency": "eur, usd"}, False),
        ({"dry_run": True}, {"dry_run": "True"}, False),
        ({"dry_run": True}, {"dry_run": "False"}, True),
        ({"emails": ["Ann@Acme.example"]}, {"email": "ann@acme.example"}, False),
        ({"emails": ["*@acme.example"]}, {"email": "Ann@ACME.example"}, False),
        ({"emails": ["*@acme.example"]}, {"email": "A" * 600 + "@ACME.example"}, True),
        ({"emails": ["*@acme.example"]}, {"email": "ann@globex.example"}, True),
        ({"paths": ["/docs/M\u00fcller.pdf"]}, {"path": "/docs/Mu\u0308ller.pdf"}, False),
        ({"paths": ["/docs/a.pdf"]}, {"path": "/docs/A.pdf"}, True),
        ({"account_id": UUID}, {"account_id": UUID.upper()}, False),
        ({"account_ids": [UUID.replace("-", "")]}, {"account_id": f"{{{UUID}}}"}, False),
        ({"account_id": UUID}, {"account_id": UUID.replace("0", "1")}, True),
        ({"account_ids": ["0015gXYZabcDEFG"]}, {"account_id": "0015gxyzabcDEFG"}, True),
    ],
)
def test_what_is_the_same_in_another_spelling_is_inside(
    observe: Observe, breaches: Breaches, constraint: dict[str, Any], arguments: dict[str, Any], broken: bool
) -> None:
    seen = observe(envelope__resource_constraints=constraint, action__arguments=arguments, action__resource=None)
    assert ("resource_outside_constraints" in breaches(EnvelopeBreach(), seen)) is broken


def test_the_session_of_another_system_is_told_but_proves_nothing(observe: Observe, folded: Any) -> None:
    seen = observe(action__arguments={"session_id": "cs_live_a1b2"})
    _, (signal,) = folded(EnvelopeBreach(), [seen])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("arguments_unchecked", False)]
    assert 0.0 < signal.value < 0.2
    assert "names session cs_live_a1b2" in signal.reason


def test_the_tenant_of_a_directory_is_told_but_proves_nothing(observe: Observe, breaches: Breaches) -> None:
    directory = {"tenant_id": "72f988bf-86f1-41af-91ab-2d7cd011db47"}
    spaced = {"tenant_id": " 72f988bf-86f1-41af-91ab-2d7cd011db47"}
    for arguments in (directory, spaced):
        assert breaches(EnvelopeBreach(), observe(action__arguments=arguments)) == {"arguments_unchecked": False}
    by_uuid = observe(envelope__tenant_id="03f2c1d0-0000-4000-8000-000000000002", action__arguments=directory)
    assert breaches(EnvelopeBreach(), by_uuid) == {"tenant_mismatch": False}


@pytest.mark.parametrize(
    "named",
    [
        *(
            42,
            "42",
            "T-1042",
            "mr77",
            "#77",
            "ten_8842",
            "rent_8842",
            "TEN0042",
            "unit-4B",
            "Jane Doe",
            "jane.doe",
        ),
        *("acme-prod", "prod", "main", "master", "contoso", "contoso.onmicrosoft.example"),
    ],
)
@pytest.mark.parametrize("own", ["tenant_acme", "7", "acme.example", "03f2c1d0-0000-4000-8000-000000000002"])
def test_a_tenant_that_guardian_does_not_know_flags_and_is_no_proof(
    observe: Observe, breaches: Breaches, named: object, own: str
) -> None:
    seen = observe(envelope__tenant_id=own, action__arguments={"tenant_id": named})
    assert breaches(KNOWING, seen) == {"tenant_mismatch": False}


@pytest.mark.parametrize(
    ("known", "named", "proof"),
    [
        ("tenant_globex", "globex", True),
        ("globex", "Tenant-Globex", True),
        ("tenant_7", "Tenant 7", True),
        ("tenant_7", "7", False),
        ("7", "7", True),
        ("7", "tenant:7", True),
        (UUID, UUID.upper(), True),
        (f"tenant_{UUID}", UUID.upper(), True),
        ("globex", "globex_eu", False),
        ("main", "main", True),
    ],
)
def test_to_name_a_tenant_that_guardian_knows_is_a_fact_in_any_spelling(
    observe: Observe, breaches: Breaches, known: str, named: str, proof: bool
) -> None:
    signal = EnvelopeBreach(tenants=frozenset({known}))
    assert breaches(signal, observe(action__arguments={"tenant_id": named})) == {"tenant_mismatch": proof}


@pytest.mark.parametrize("spelt", [UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}"])
def test_a_tenant_or_session_by_uuid_is_ours_in_any_spelling(
    observe: Observe, breaches: Breaches, spelt: str
) -> None:
    for kind in ("tenant_id", "session_id"):
        seen = observe(**{f"envelope__{kind}": UUID, "action__arguments": {kind: spelt}})
        assert breaches(EnvelopeBreach(), seen) == {}


@pytest.mark.parametrize(
    "named",
    [
        *("Tenant_ACME", "tenant-acme", "TenantAcme", "tenant:acme", "tenants/acme", "acme", "Acme"),
        *("common", "organizations", "null", "N/A", "default", "me", "self", "Current", "own"),
    ],
)
def test_a_tenant_in_another_spelling_or_none_at_all_is_told_but_proves_nothing(
    observe: Observe, breaches: Breaches, named: str
) -> None:
    assert breaches(EnvelopeBreach(), observe(action__arguments={"tenant_id": named})) == UNCHECKED


@pytest.mark.parametrize(
    ("own", "named", "same"),
    [
        ("acme", "tenant_acme", True),
        ("tenant7", "tenant-7", True),
        ("tenant_7", "7", True),
        (f"tenant_{UUID}", UUID.upper(), True),
        ("acme corp", "acme-corp", True),
        ("tenant_acme", "tenant_acme_eu", False),
        ("tenant_acme", "tenant", False),
        ("tenant_acme", "tenant_", False),
        ("tenant_1_23", "tenant_12_3", False),
        ("acme_1_23", "acme_123", False),
        ("acme_1__23", "acme_123", False),
        ("acme.eu", "acmeeu", False),
        ("tenantry", "ry", False),
        ("tenant_acme", "flat-12", False),
        ("tenant_acme", "t-12-b", False),
        ("t-11", "t-12", False),
        ("---", "___", False),
    ],
)
def test_no_tenant_passes_for_another_one_of_a_like_name(
    observe: Observe, breaches: Breaches, own: str, named: str, same: bool
) -> None:
    seen = observe(envelope__tenant_id=own, action__arguments={"tenant_id": named})
    for known in ({named}, {own}):
        proof = not same and named in known
        found = breaches(EnvelopeBreach(tenants=frozenset(known)), seen)
        assert found == (UNCHECKED if same else {"tenant_mismatch": proof})


def test_a_child_that_names_a_session_above_its_own_is_told_and_no_proof_is_made_of_it(
    observe: Observe, breaches: Breaches
) -> None:
    family = {"session": "sess_3", "parent_session": "sess_2"}
    lineage = {f"envelope__{name}_id": own for name, own in family.items()}
    facts = {"parent": ParentFact(ParentStatus.ACTIVE, None, ("sess_2", "sess_1"))}
    for named, hard in (("sess_2", False), ("sess_1", False), ("sess_4", True)):
        seen = observe(facts=facts, **lineage, action__arguments={"session_id": named})
        assert breaches(EnvelopeBreach(), seen) == {"session_mismatch": hard}


@pytest.mark.parametrize("nothing", ["", "  ", None, [""], {"id": ""}])
def test_an_argument_left_empty_names_nothing(observe: Observe, breaches: Breaches, nothing: object) -> None:
    names = ("tenant_id", "session_id", "contract_id", "data_class")
    seen = observe(
        envelope__resource_constraints={"contract_ids": ["c_1"], "data_classes": ["renewal_terms"]},
        action__arguments=dict.fromkeys(names, nothing),
        action__resource={"type": "contract", "id": ""},
    )
    assert breaches(EnvelopeBreach(), seen) == {}


@pytest.mark.parametrize("named", ["globex", 42, "72f988bf-86f1-41af-91ab-2d7cd011db47 ", "tenant_acme"])
def test_where_tenants_go_by_uuid_any_other_one_flags(observe: Observe, breaches: Breaches, named: object) -> None:
    own = "03f2c1d0-0000-4000-8000-000000000002"
    seen = observe(envelope__tenant_id=own, action__arguments={"tenant_id": named})
    assert breaches(EnvelopeBreach(), seen) == {"tenant_mismatch": False}


def test_however_many_values_lie_outside_one_breach_is_made_of_them(observe: Observe) -> None:
    other = [f"x{n}" for n in range(500)]
    seen = observe(action__arguments={"contract_ids": other, "tenant_ids": other, "session_ids": other})
    action, constraints = comparable(seen), read(seen.event.envelope.resource_constraints)
    assert len(list(rules.resources(rules.refused(constraints, action)))) == 1
    assert [breach.name for breach in ownership(seen, action, frozenset())] == [
        "tenant_mismatch",
        "arguments_unchecked",
    ]


def test_of_several_tenants_the_one_that_proves_something_speaks(observe: Observe, breaches: Breaches) -> None:
    several = {"tenant_ids": ["72f988bf-86f1-41af-91ab-2d7cd011db47", "tenant_globex", "tenant_acme"]}
    assert breaches(KNOWING, observe(action__arguments=several)) == {"tenant_mismatch": True}


def test_any_system_names_sessions_by_uuid_so_another_one_flags_and_is_no_proof(
    observe: Observe, breaches: Breaches
) -> None:
    one, other = "a3f2c1d0-0000-4000-8000-000000000001", "03f2c1d0-0000-4000-8000-000000000002"
    seen = observe(envelope__session_id=one, action__arguments={"session_id": other})
    assert breaches(EnvelopeBreach(), seen) == {"session_mismatch": False}
    assert EnvelopeBreach().fold({"sums": {}}, seen)[1].value <= 0.1, "a browser's stands in its every call"


@pytest.mark.parametrize("kind", ["trace", "window"])
def test_a_session_that_its_log_does_not_name_is_not_compared_with_one_that_a_call_names(
    observe: Observe, breaches: Breaches, kind: str
) -> None:
    seen = observe(
        origin={"format": "opa", "session_from": kind, "absent": ["session_id"]},
        envelope__session_id="4bf92f3577b34da6a3ce929d0e0e4736",
        action__arguments={"session_id": "03f2c1d0-0000-4000-8000-000000000002", "session": "4bf92f3577b34da6"},
    )
    assert breaches(EnvelopeBreach(), seen) == {}


@pytest.mark.parametrize(
    ("own", "named", "alike"),
    [
        ("01J9ZC3K4M5N6P7Q8R9S0T1V2W", "20417", False),
        ("20260512-1", "93ab", False),
        ("10001", "20417", True),
        ("12345678", "93ab12cd", True),
        ("20417", "12345678123412341234123456789012", False),
        ("01J9ZC3K4M5N6P7Q8R9S0T1V2W", "01J9ZC3K4M5N6P7Q8R9S0T1V2X", True),
    ],
)
def test_sessions_that_begin_with_a_digit_are_of_one_kind_where_they_are_built_alike(
    observe: Observe, breaches: Breaches, own: str, named: str, alike: bool
) -> None:
    seen = observe(envelope__session_id=own, action__arguments={"session_id": named})
    assert breaches(EnvelopeBreach(), seen) == {"session_mismatch" if alike else "arguments_unchecked": False}


@pytest.mark.parametrize(
    ("own", "named", "hard"),
    [
        ("sess_s7_00043", "sess_s7_00044", True),
        ("sess_9", "sess_10", True),
        ("sess_00041", "sess_00042 ", True),
        ("sess_00041", "\nsess_00042", True),
        ("s9", "s10", True),
        ("agent7_run3", "agent12_run44", True),
        ("run_9_a3f2", "run_10_77b1", True),
        ("sess_7f3a", "sess_19bc2", False),
        ("s-01J9ZC3K4M5N6P7Q8R9S0T1V2W", "s-01J9ZC3K4M5N6P7Q8R9S0T1V2X", True),
        ("sess_s7_00043", "sess_2NzT9qVb1kYx0aLrM3cWd8eFgHi", False),
    ],
)
def test_only_a_session_that_is_built_as_ours_proves_something(
    observe: Observe, breaches: Breaches, own: str, named: str, hard: bool
) -> None:
    seen = observe(envelope__session_id=own, action__arguments={"session_id": named})
    assert breaches(EnvelopeBreach(), seen) == {"session_mismatch": hard}


@pytest.mark.parametrize(("own", "named"), [("999", 1000), ("1042", "7"), ("20260512-1", "20260512-10")])
def test_sessions_that_go_by_number_are_of_one_kind_however_long_the_number_is(
    observe: Observe, breaches: Breaches, own: str, named: object
) -> None:
    seen = observe(envelope__session_id=own, action__arguments={"session_id": named})
    assert breaches(EnvelopeBreach(), seen) == {"session_mismatch": False}


@pytest.mark.parametrize("space", ["", " ", "\n"])
def test_the_envelopes_own_tenant_and_session_may_be_named(
    observe: Observe, breaches: Breaches, space: str
) -> None:
    own = {"tenant_id": f"tenant_acme{space}", "session_id": f"{space}sess_2026_05_12_001"}
    assert breaches(EnvelopeBreach(), observe(action__arguments=own)) == {}


def test_what_was_read_of_one_call_answers_for_no_other(observe: Observe) -> None:
    first, other = observe(action__arguments={"customer_id": "a"}), observe(action__arguments={"order_id": "b"})
    hidden = replace(first, redacted={"action.arguments.customer_id": "drop"})
    apart = [{leaf.path for leaf in comparable(seen).leaves} for seen in (first, hidden, other)]
    assert apart[0] - apart[1] == apart[0] - apart[2] == {"arguments.customer_id"}
    assert {leaf.path for leaf in touched(first.event).leaves} == apart[0]


def test_arguments_beyond_what_is_checked_are_no_hiding_place(observe: Observe, breaches: Breaches) -> None:
    deep: dict[str, Any] = {"customer_id": "cust_other"}
    for _ in range(20):
        deep = {"a": deep}
    wide = {f"k{n}": n for n in range(3_000)}
    long = {"ids": ["x"] * 12_000}
    hollow: dict[str, Any] = {"items": [{}] * 25_000}
    nothing: dict[str, Any] = {"items": [{}, *[None] * 25_000]}
    for arguments in (deep, wide, long, hollow, nothing):
        assert breaches(EnvelopeBreach(), observe(action__arguments=arguments)) == {"arguments_cut": False}
    padded = {"tenant_id": "tenant_other"}
    for arguments in (deep, wide | padded, hollow | padded, nothing | padded):
        free = observe(action__arguments=arguments, envelope__resource_constraints={})
        assert breaches(EnvelopeBreach(), free) == UNCHECKED


def test_a_long_name_is_not_repeated_above_each_of_its_values(observe: Observe) -> None:
    names = ["k" * 100_000 + end for end in "ab"]
    action = touched(observe(action__arguments={name: {"id": 1, "amount": 2} for name in names}).event)
    assert len({leaf.path for leaf in action.leaves if leaf.path.startswith("arguments.k")}) == 4
    assert sum(len(leaf.path) + sum(map(len, leaf.names | leaf.inside)) for leaf in action.leaves) < 20_000


def test_what_was_missing_is_named(observe: Observe, folded: Any) -> None:
    bare = observe(
        envelope__expires_at=None,
        action__arguments=None,
        action__resource=None,
        action__data_classes=None,
        action__records=None,
        result=None,
    )
    _, (signal,) = folded(EnvelopeBreach(), [bare])
    for word in ("expires_at", "arguments and resource", "data_classes", "records"):
        assert word in signal.reason
    assert not signal.silent


def test_an_envelope_that_says_nothing_leaves_the_signal_silent(observe: Observe, folded: Any) -> None:
    empty = observe(envelope__allowed_tools=[], envelope__resource_constraints={}, envelope__expires_at=None)
    _, (signal,) = folded(EnvelopeBreach(), [empty])
    assert signal.silent


def test_hostile_names_are_neutralised_in_what_is_told(observe: Observe, folded: Any) -> None:
    _, (signal,) = folded(EnvelopeBreach(), [observe(action__tool="pay <!channel>`\u202e" + "x" * 300)])
    assert "<" not in signal.reason
    assert "\u202e" not in signal.reason
    assert len(signal.breaches[0].detail) < 250


@pytest.mark.parametrize(
    "options",
    [
        {"leeway_seconds": -1},
        {"leeway_seconds": "long"},
        {"mapping": ["x"]},
        {"mapping": {"max_records": "limit"}},
        {"summed": "max_records"},
        {"summed": [1]},
    ],
)
def test_impossible_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"envelope_breach.{next(iter(options))}"):
        EnvelopeBreach(**options)


_ODD = st.sampled_from(["", "_", "-", " ", ".", "/", "\u00ad", "\u200b", "\x00", "\n", "\\", "\u017f", "\uff53"])
_SPELT = st.tuples(st.sampled_from(["session", "Session", "sesſion", "ｓession", "sess"]), _ODD, _ODD).map(
    lambda parts: f"{parts[0]}{parts[1]}{parts[2]}id"
)


@given(
    st.dictionaries(
        st.one_of(_SPELT, st.text(max_size=8)),
        st.recursive(
            st.sampled_from(["sess_000043", "sess_2", "x"]),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_SPELT, inner, max_size=2),
            max_leaves=4,
        ),
        max_size=3,
    )
)
def test_most_calls_are_not_searched_for_sessions_and_none_is_missed(observe, arguments: dict[str, Any]) -> None:
    """An argument that is called so, and names none, has every place looked at."""
    names = [
        named_sessions(observe(action__arguments={**arguments, **more}).event) for more in ({}, {"session": ""})
    ]
    assert names[0] == names[1]
