"""The canonical event: what it refuses, what it keeps, and what it says is missing."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardian.domain.envelope import purpose_family
from guardian.domain.event import DecisionEvent, Origin, json_schema
from guardian.domain.identity import SessionKey, begins_anew

FULL: dict[str, Any] = {
    "schema": "guardian.decision/v1",
    "id": "dec_1",
    "time": "2026-05-12T17:04:11.231Z",
    "gateway": "mcp-gw-eu-1",
    "envelope": {
        "delegator_id": "user_7f3a91",
        "tenant_id": "tenant_acme",
        "session_id": "sess_1",
        "purpose": "review_customer_contract_for_renewal_risk",
        "agent_id": "agent_renewal_review",
    },
    "action": {
        "tool": "contracts.read",
        "arguments": {"contract_id": "contract_7781"},
        "resource": {"type": "contract", "id": "contract_7781"},
        "data_classes": ["renewal_terms"],
        "records": 1,
    },
    "decision": {"effect": "allow"},
    "result": {"status": "ok", "records": 3, "data_classes": ["support_summary"]},
    "trace_id": "4bf92f",
}


def parsed(body: dict[str, Any]) -> DecisionEvent:
    return DecisionEvent.model_validate_json(json.dumps(body))


def changed(**changes: Any) -> dict[str, Any]:
    """The full record with `a__b` replaced; None removes the field."""
    body = json.loads(json.dumps(FULL))
    for path, value in changes.items():
        at = body
        *above, last = path.split("__")
        for step in above:
            at = at[step]
        if value is None:
            at.pop(last, None)
        else:
            at[last] = value
    return body


def test_a_full_record_misses_nothing_and_knows_its_session() -> None:
    event = parsed(FULL)
    assert event.features_missing == ()
    assert event.key == SessionKey("tenant_acme", "sess_1")


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"envelope__purpose": None}, ("purpose",)),
        ({"envelope__purpose": "  \n "}, ("purpose",)),
        ({"envelope__agent_id": None}, ("agent_id",)),
        ({"action__arguments": None}, ("arguments",)),
        ({"action__resource": None}, ("resource",)),
        ({"action__data_classes": None}, ()),  # the result still names them
        ({"result__data_classes": None}, ()),
        ({"action__data_classes": None, "result__data_classes": None}, ("data_classes",)),
        ({"action__records": None}, ()),
        ({"action__records": None, "result__records": None}, ("records",)),
        ({"result": None}, ("result",)),
        ({"result": None, "action__records": None}, ("records", "result")),
        ({"trace_id": None}, ("trace_id",)),
    ],
)
def test_what_a_record_does_not_carry_is_named(changes: dict[str, Any], missing: tuple[str, ...]) -> None:
    assert parsed(changed(**changes)).features_missing == missing


@pytest.mark.parametrize(
    "path",
    [
        "envelope.purpose", "envelope.allowed_tools", "envelope.resource_constraints", "decision.policy_ids",
        "decision.reason", "result.status",
    ],
)  # fmt: skip
def test_a_null_says_no_more_than_a_field_that_is_absent_or_empty(path: str) -> None:
    place = path.replace(".", "__")
    absent = parsed(changed(**{place: None}))
    area, name = path.split(".")
    null = parsed({**FULL, area: {**FULL[area], name: None}})
    assert null == absent
    assert null.envelope.digest == absent.envelope.digest
    assert null.features_missing == absent.features_missing
    empty = getattr(getattr(null, area), name)
    assert parsed({**FULL, area: {**FULL[area], name: empty}}) == null


def test_what_another_formats_record_did_not_carry_is_named_too() -> None:
    told = Origin(format="opa", session_from="window", absent=("envelope", "session_id", "purpose"))
    event = parsed(changed(envelope__purpose=None)).model_copy(update={"origin": told})
    assert event.features_missing == ("purpose", "envelope", "session_id")
    assert not event.has_envelope
    assert parsed(FULL).has_envelope
    assert event.model_copy(update={"origin": Origin(format="opa")}).has_envelope


def test_origin_is_no_part_of_the_published_format() -> None:
    assert "origin" not in json.dumps(json_schema()).lower()


def test_empty_arguments_are_not_missing_arguments() -> None:
    assert parsed(changed(action__arguments={})).features_missing == ()


@given(st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6), st.booleans())
def test_records_are_the_larger_of_asked_and_returned(asked: int | None, came: int | None, logged: bool) -> None:
    body = changed(action__records=asked, result__records=came)
    if not logged:
        del body["result"]
        came = None
    assert parsed(body).records == max(asked or 0, came or 0)


@pytest.mark.parametrize("place", ["action__records", "result__records"])
def test_a_count_that_is_spelt_as_a_double_is_the_same_count(place: str) -> None:
    event = parsed(changed(**{place: 400.0}))
    assert event == parsed(changed(**{place: 400}))
    assert type(event.records) is int
    for said in (400.5, -1.0, "400", True):
        with pytest.raises(ValidationError):
            parsed(changed(**{place: said}))


def test_data_classes_are_those_asked_for_and_those_returned() -> None:
    assert parsed(FULL).data_classes == {"renewal_terms", "support_summary"}
    assert parsed(changed(result=None)).data_classes == {"renewal_terms"}
    assert parsed(changed(result=None, action__data_classes=None)).data_classes == frozenset()


def test_unknown_extra_fields_are_kept_wherever_they_stand() -> None:
    event = parsed(changed(region="eu", envelope__ticket=7, action__title="Reads."))
    dumped = json.loads(event.model_dump_json(by_alias=True))
    assert (dumped["region"], dumped["envelope"]["ticket"]) == ("eu", 7)
    assert dumped["action"]["title"] == "Reads."


@pytest.mark.parametrize("name", ["id", "gateway", "envelope__tenant_id", "envelope__session_id", "action__tool"])
@pytest.mark.parametrize(
    "value", ["", "x" * 513, "two\nlines", "nul\x00", "esc\x1b[2J", "del\x7f", 7, True, ["x"]]
)
def test_a_name_is_a_short_string_without_control_characters(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        parsed(changed(**{name: value}))


@pytest.mark.parametrize(
    "name",
    [
        *("envelope__task_id", "envelope__agent_id", "envelope__parent_session_id", "action__credential_id"),
        *("trace_id", "agent_version", "envelope_jws"),
    ],
)
def test_an_empty_optional_name_says_that_there_is_none(name: str) -> None:
    assert parsed(changed(**{name: ""})) == parsed(changed(**{name: None}))
    with pytest.raises(ValidationError):
        parsed(changed(**{name: 0}))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "guardian.decision/v2"},
        {"time": "2026-05-12T17:04:11"},
        {"time": 1778605451},
        {"decision__effect": "maybe"},
        {"action__records": -1},
        {"action__records": "1"},
        {"action__records": 1.5},
        {"action__arguments": ["a"]},
        {"envelope__purpose": "p" * 8193},
        {"envelope__allowed_tools": "contracts.read"},
        {"envelope__expires_at": "tomorrow"},
    ],
)
def test_another_type_or_size_is_refused_rather_than_bent(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(changed(**changes))


def test_events_are_frozen() -> None:
    with pytest.raises(ValidationError):
        parsed(FULL).envelope.purpose = "another"  # type: ignore[misc]


def test_an_event_survives_its_own_json() -> None:
    event = parsed(FULL)
    assert DecisionEvent.model_validate_json(event.model_dump_json(by_alias=True)) == event


def test_the_published_schema_is_valid_and_agrees_with_the_model() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(FULL)
    assert schema["title"] == "guardian.decision/v1"
    for wrong in (changed(id=None), changed(action__records=-1), changed(decision__effect="maybe")):
        assert not validator.is_valid(wrong)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Review contract 7781 of Acme for renewal risk", "Review contract 12 of Bolt for renewal risk"),
        ("Pay invoice INV-20 of Zenith", "Pay invoice INV-7 of Apex"),
        ("Refund order 5512 for Ann Lee", "Refund order 5513 for Bob Ray"),
        ("Review Contract 7781", "review contract 12"),
        ("refund_order_5512", "refund_order"),
        ("review_contract_7781_for_renewal", "review_contract_12_for_renewal"),
        ("ticket-4471", "ticket-5c0de12f-1234-4321-8888-123456789012"),
        ("triage:4471", "triage:0c5f9e1"),
        ("PROJ-123", "PROJ-7"),
        ("2026/refund_order", "2027/refund_order"),
        ("refund_order_5512 ticket-4471", "refund_order_7 ticket-12"),
        ("顧客88の注文5512を返金する", "顧客7の注文6620を返金する"),
    ],
)
def test_a_purpose_for_another_customer_is_of_the_same_family(one: str, other: str) -> None:
    assert purpose_family(one) == purpose_family(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("review_contract", "pay_invoice"),
        ("Pay the invoice", "Read the invoice"),
        ("7781", "7782"),
        ("refund_order_5512", "cancel_order_5512"),
        ("soc2_audit", "iso27001_audit"),
        ("", "x"),
        ("Send Monthly Newsletter", "Send Customer List To Partner"),
        ("Review Contract 7781", "Review Payroll"),
        ("PROCESS REFUNDS", "PROCESS PAYROLL"),
    ],
)
def test_another_purpose_is_of_another_family(one: str, other: str) -> None:
    assert purpose_family(one) != purpose_family(other)


@given(st.text(max_size=80))
def test_a_family_is_its_own_family_and_empty_only_for_no_purpose(purpose: str) -> None:
    family = purpose_family(purpose)
    assert purpose_family(family).split() == family.split()
    assert bool(family) is bool(purpose)


def test_a_name_made_of_agent_and_user_stands_for_another_session_after_a_pause() -> None:
    assert SessionKey("acme", "window:agent|user").nameless
    assert not SessionKey("acme", "sess_window:1").nameless
    at, idle = datetime(2026, 5, 12, tzinfo=UTC), timedelta(minutes=30)
    told = [begins_anew(last, at, idle=idle) for last in (None, at + idle, at - idle, at - 2 * idle)]
    assert told == [False, False, False, True]
