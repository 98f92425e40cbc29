"""What counts once, what is only claimed, and what an agent's word takes from no total."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from guardian.domain.signal import CredentialHit, Observation
from guardian.signals.envelope_breach import EnvelopeBreach
from guardian.signals.envelopes.acts import Act, act_of

Call = Callable[..., Observation]
TIMEOUT, OK = {"status": "timeout"}, {"status": "ok"}
HARD, SOFT = {"limit_exceeded_session": True}, {"limit_exceeded_session": False}
PAID = {"amount": 400, "idempotency_key": "k1", "payee": "acme"}


def printed(value: str) -> str:
    return sha256(value.encode()).hexdigest()[:16]


@pytest.fixture
def call(observe: Callable[..., Observation]) -> Call:
    """A call under `max_amount: 500`."""

    def build(tool: str, arguments: dict[str, Any], result: object = OK, **changes: Any) -> Observation:
        facts = {"fingerprint": printed, **changes.pop("facts", {})}
        whole = {
            "envelope__resource_constraints": {"max_amount": 500},
            "envelope__allowed_tools": [],
            "action__resource": None,
            "action__records": None,
            **changes,
        }
        return observe(action__tool=tool, action__arguments=arguments, result=result, facts=facts, **whole)

    return build


@pytest.fixture
def found(folded: Any) -> Callable[..., list[dict[str, bool]]]:
    """The breaches of each call of a session, with their hardness."""

    def of(*calls: Observation) -> list[dict[str, bool]]:
        return [{b.name: b.hard for b in signal.breaches} for signal in folded(EnvelopeBreach(), calls)[1]]

    return of


@pytest.mark.parametrize(
    "status", ["timeout", "error: timed out", "deadline exceeded", "time out", "504", "503", "408"]
)
@pytest.mark.parametrize("key", ["idempotency_key", "requestId", "clientToken"])
def test_a_payment_tried_again_under_its_key_counts_once(
    call: Call, found: Any, folded: Any, key: str, status: str
) -> None:
    arguments = {"amount": 400, key: "k1", "to": {"iban": "DE1"}}
    tries = [call("pay.create", {**arguments, "attempt": n}, {"status": status}) for n in range(5)]
    calls = [*tries, call("pay.create", arguments | {"attempt": 6})]
    assert found(*calls) == [{}] * 6
    assert folded(EnvelopeBreach(), calls)[0]["sums"] == {"amount": 400}


@pytest.mark.parametrize(
    ("again", "status", "expected"),
    [
        ({}, "ok", SOFT),  # it was paid: who pays again under the same key may rely on a tool that reads none
        ({}, None, SOFT),  # nobody says what became of it
        ({}, "partially failed", SOFT),
        ({}, "completed in time", SOFT),  # nothing timed out
        ({"amount": 200}, "timeout", SOFT),
        ({"amount": 450}, "timeout", SOFT),
        ({"amount": 501}, "timeout", {"limit_exceeded": True, **HARD}),
        ({"payee": "globex"}, "timeout", HARD),
        ({"note": "another"}, "timeout", HARD),
        ({"idempotency_key": "k2"}, "timeout", HARD),
        ({"idempotency_key": ""}, "timeout", HARD),
        ({"idempotency_key": None}, "timeout", HARD),
    ],
)
def test_what_is_no_plain_repetition_is_a_doubt_or_a_payment_of_its_own(
    call: Call, found: Any, again: dict[str, Any], status: str | None, expected: dict[str, bool]
) -> None:
    first = call("pay.create", PAID, None if status is None else {"status": status})
    assert found(first, call("pay.create", PAID | again)) == [{}, expected]


def test_the_key_of_one_tool_means_nothing_to_another(call: Call, found: Any) -> None:
    assert found(call("pay.create", PAID, TIMEOUT), call("wire.create", PAID))[1] == HARD


def test_of_a_larger_amount_under_the_same_key_the_difference_counts(call: Call, folded: Any) -> None:
    calls = [call("pay.create", PAID, TIMEOUT), call("pay.create", PAID | {"amount": 450}, TIMEOUT)]
    state, _ = folded(EnvelopeBreach(), [*calls, call("pay.create", PAID | {"amount": 450})])
    assert (state["sums"], state["claimed"]) == ({"amount": 450}, {"amount": 400})


def test_an_empty_or_repeated_key_moves_nobody_else_out_of_a_limit(call: Call, found: Any) -> None:
    nameless = {"amount": 400, "idempotency_key": " "}
    assert found(call("pay.create", nameless, TIMEOUT), call("pay.create", nameless))[1] == HARD
    mails = [{"recipients": [f"{n}@a.example", f"{n}@b.example"], "request_id": "r1"} for n in range(2)]
    bounds = {"envelope__resource_constraints": {"max_recipients": 3}}
    assert found(*(call("mail.send", mail, TIMEOUT, **bounds) for mail in mails))[1] == HARD
    assert found(*(call("mail.send", mails[0], TIMEOUT, **bounds) for _ in mails))[1] == {}


@pytest.mark.parametrize(
    ("facts", "arguments", "expected"),
    [
        ({"fingerprint": None}, PAID, HARD),
        ({"redacted": {"action.arguments.payee": "shape"}}, PAID, HARD),
        ({"redacted": {"action.arguments.payee": "drop"}}, {"amount": 400, "idempotency_key": "k1"}, HARD),
        ({"redacted": {"action.arguments.payee": "hash"}}, PAID | {"payee": "hash:0123456789abcdef"}, {}),
        (
            {"credentials": (CredentialHit("github_token", "arguments.payee"),)},
            PAID | {"payee": "[redacted:github_token]"},
            HARD,
        ),
        ({}, PAID | {"notes": [["x"] * 2] * 2_500}, HARD | {"arguments_cut": False}),
    ],
)
def test_a_payee_that_nobody_can_compare_is_another_one(
    call: Call, found: Any, facts: dict[str, Any], arguments: dict[str, Any], expected: dict[str, bool]
) -> None:
    calls = [call("pay.create", arguments, result, facts=facts) for result in (TIMEOUT, OK)]
    assert found(*calls)[1] == expected


def test_of_more_calls_than_are_remembered_the_oldest_counts_anew(call: Call, folded: Any) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 10_000}}
    many = [call("pay.create", PAID | {"idempotency_key": f"k{n}"}, TIMEOUT, **bounds) for n in range(20)]
    state, _ = folded(EnvelopeBreach(), [*many, many[-1], many[0]])
    assert state["sums"] == {"amount": 21 * 400}
    assert len(state["known"]) == 16
    assert len(json.dumps(state)) < 1_200


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"dry_run": True}, SOFT),
        ({"dryRun": "All"}, SOFT),
        ({"options": {"validateOnly": "true"}}, SOFT),
        ({"simulate": 1}, SOFT),
        ({"dry_run": False}, HARD),
        ({"dry_run": "false"}, HARD),
        ({"dry_run": None}, HARD),
        ({"preview": "Dear customer"}, HARD),
        ({"items": {"first": {"dry_run": True}}}, HARD),
    ],
)
def test_what_is_said_to_be_a_dry_run_counts_as_a_doubt(
    call: Call, found: Any, arguments: dict[str, Any], expected: dict[str, bool]
) -> None:
    calls = [call("pay.create", {"amount": 400} | arguments), call("pay.create", {"amount": 400})]
    assert found(*calls) == [{}, expected]


def test_who_calls_every_payment_a_dry_run_is_told_of_and_a_denied_one_moves_nothing(
    call: Call, folded: Any, found: Any
) -> None:
    dry = call("pay.create", {"amount": 300, "dry_run": True, "request_id": "r1"})
    state, signals = folded(EnvelopeBreach(), [dry] * 3)
    assert [[(b.name, b.hard) for b in signal.breaches] for signal in signals] == [[], *[[*SOFT.items()]] * 2]
    assert "900 in this session so far with 900 that may be a rehearsal" in signals[2].reason
    assert signals[2].value == 0.4
    assert state == {"sums": {"amount": 0}, "claimed": {"amount": 900}}
    denied = call("pay.create", {"amount": 300, "dry_run": True}, None, decision__effect="deny")
    assert folded(EnvelopeBreach(), [denied] * 3)[0] == {"sums": {}}


def test_records_that_came_back_came_whatever_the_call_says_of_itself(call: Call, found: Any) -> None:
    bounds = {"envelope__resource_constraints": {"max_records": 25}}
    arguments = {"dry_run": True, "idempotency_key": "k1"}
    takes = call("crm.export", arguments, {"status": "ok", "records": 20}, **bounds)
    assert found(takes, takes)[1] == {"records_over_limit_session": True}


@pytest.mark.parametrize(
    ("tool", "act"),
    [
        ("pay.validate", Act.LOOKS_UP),
        ("payments.check", Act.LOOKS_UP),
        ("pay.quote", Act.LOOKS_UP),
        ("pay.estimate_fee", Act.LOOKS_UP),
        ("calculate_shipping_rates", Act.LOOKS_UP),
        ("preview_transfer", Act.REHEARSES),
        ("simulate_refunds", Act.REHEARSES),
        ("pay.draft", Act.DRAFTS),
        ("prepare_transfer", Act.DRAFTS),
        ("gmail.create_draft", Act.DRAFTS),
        *(
            (tool, Act.MOVES)
            for tool in ("quote_accept", "validate_and_pay", "check_deposit", "draft_send", "...")
        ),
        *((tool, Act.MOVES) for tool in ("check.issue", "estimate_approve", "payments.create", "send_draft")),
    ],
)
def test_what_a_tool_does_with_its_quantities_is_told_by_its_name(tool: str, act: Act) -> None:
    assert act_of(tool) is act


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        *((tool, {}) for tool in ("pay.validate", "payments.check", "pay.quote", "pay.estimate_fee")),
        *((tool, SOFT) for tool in ("preview_transfer", "pay.draft", "prepare_transfer")),
        *((tool, HARD) for tool in ("quote_accept", "check_deposit", "draft_send", "validate_and_pay")),
    ],
)
def test_what_is_asked_for_before_it_is_paid_is_paid_once(
    call: Call, found: Any, tool: str, expected: dict[str, bool]
) -> None:
    assert found(call(tool, {"amount": 400}), call("pay.submit", {"amount": 400})) == [{}, expected]


def test_one_draft_speaks_for_one_payment(call: Call, folded: Any) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 5_000}}
    acts = [
        ("pay.draft", 400),
        ("pay.draft", 400),
        ("pay.approve", 300),
        ("pay.approve", 400),
        ("pay.approve", 400),
    ]
    state, _ = folded(EnvelopeBreach(), [call(tool, {"amount": amount}, **bounds) for tool, amount in acts])
    assert state == {"sums": {"amount": 1100}, "claimed": {"amount": 800}}
    state, _ = folded(EnvelopeBreach(), [call(tool, {"amount": amount}, **bounds) for tool, amount in acts[:2]])
    assert state == {"sums": {"amount": 800}, "drafted": {"amount": 800}}


def test_drafts_without_number_break_the_limit_as_payments_do(call: Call, found: Any) -> None:
    assert found(*[call("pay.draft", {"amount": 400})] * 2)[1] == HARD


@pytest.mark.parametrize(
    ("tool", "arguments", "came", "expected"),
    [
        ("crm.get_contract", {"contract_id": "c_1"}, 1, {}),
        ("jobs.get_status", {"id": 7}, 1, {}),
        ("crm.get_contract", {"contract_id": "c_1"}, 2, {"records_over_limit_session": False}),
        ("queue.read", {"queue_id": "q_1"}, 1, {"records_over_limit_session": False}),
        ("chat.get", {"latest_id": "m_1"}, 1, {"records_over_limit_session": False}),
        ("crm.list_contracts", {"page": 1}, 1, {"records_over_limit_session": True}),
        ("crm.list_contracts", {"request_id": "r_1"}, 1, {"records_over_limit_session": True}),
        ("crm.update_contract", {"contract_id": "c_1"}, 1, {"records_over_limit_session": True}),
    ],
)
def test_one_thing_that_is_looked_up_again_and_again_is_one_record(
    call: Call, found: Any, tool: str, arguments: dict[str, Any], came: int, expected: dict[str, bool]
) -> None:
    bounds = {"envelope__resource_constraints": {"max_records": 3}}
    looks = call(tool, arguments, {"status": "ok", "records": came}, **bounds)
    assert found(*[looks] * 6)[-1] == expected


def test_several_things_that_are_looked_up_are_as_many_records(call: Call, found: Any) -> None:
    bounds = {"envelope__resource_constraints": {"max_records": 3}}
    came = {"status": "ok", "records": 1}
    looks = [call("crm.get_contract", {"contract_id": f"c_{n}"}, came, **bounds) for n in range(4)]
    assert found(*looks) == [{}, {}, {}, {"records_over_limit_session": True}]
    more = [
        call("crm.get_contract", {"contract_id": "c_1"}, {"status": "ok", "records": n}, **bounds) for n in (1, 4)
    ]
    assert found(*more)[1] == {"records_over_limit": True, "records_over_limit_session": True}


def test_an_amount_that_may_be_a_thousand_times_as_much_adds_up_as_a_doubt(call: Call, found: Any) -> None:
    bounds = {"envelope__resource_constraints": {"max_amount": 2_000}}
    assert found(*[call("pay.create", {"amount": "1.000"}, **bounds)] * 3) == [{}, {}, SOFT]


def test_what_earlier_versions_kept_is_read_and_what_they_read_is_kept(call: Call) -> None:
    signal = EnvelopeBreach()
    state, told = signal.fold({"sums": {"amount": 400}}, call("pay.create", PAID, TIMEOUT))
    assert {b.name: b.hard for b in told.breaches} == HARD
    assert state["sums"] == {"amount": 800}, "where they look"
    again, _ = signal.fold({"sums": state["sums"]}, call("pay.create", PAID))
    assert again["sums"] == {"amount": 1200}, "they forget the rest, and then the call counts anew"


def test_what_is_kept_of_calls_shows_nothing_that_they_name(call: Call) -> None:
    printed_of: list[str] = []

    def fingerprint(value: str) -> str:
        printed_of.append(value)
        return "0123456789abcdef"

    seen = replace(call("pay.create", PAID), fingerprint=fingerprint)
    state, _ = EnvelopeBreach().fold({"sums": {}}, seen)
    assert state["known"] == [["0123456789abcdef", {"amount": 400}, False]]
    assert "acme" in printed_of[0]
