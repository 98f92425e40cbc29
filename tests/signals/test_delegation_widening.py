import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cost import cost

from guardian.domain.envelope import UNTOLD, UNTOLD_AGENT, Envelope
from guardian.domain.event import Origin
from guardian.domain.signal import CHAIN_KEPT, Observation, ParentFact, ParentStatus
from guardian.errors import ConfigurationError
from guardian.signals.delegation_widening import WEIGHTS, DelegationWidening
from guardian.signals.envelopes import comparing

Observe = Callable[..., Observation]
Breaches = Callable[..., dict[str, bool]]

PARENT: dict[str, Any] = {
    "delegator_id": "user_7f3a91",
    "tenant_id": "tenant_acme",
    "session_id": "sess_parent",
    "purpose": "review_customer_contract_for_renewal_risk",
    "allowed_tools": ["contracts.read", "crm.read", "tickets.create"],
    "resource_constraints": {
        "customer_id": "cust_acme_1042",
        "contract_ids": ["contract_7781", "contract_7782"],
        "max_records": 25,
        "min_age": 18,
        "data_classes": ["contract_metadata", "renewal_terms"],
    },
    "expires_at": "2026-05-12T18:30:00Z",
    "agent_id": "agent_of_parent",
}
NARROW: dict[str, Any] = {
    "parent_session_id": "sess_parent",
    "session_id": "sess_child",
    "purpose": "classify_contract_clauses",
    "allowed_tools": ["contracts.read"],
    "resource_constraints": {
        "customer_id": "cust_acme_1042",
        "contract_ids": ["contract_7781"],
        "max_records": 5,
        "min_age": 21,
        "data_classes": ["renewal_terms"],
    },
    "expires_at": "2026-05-12T18:00:00Z",
}


FIRST: dict[str, Any] = {
    "customer_id": "cust_acme_1042",
    "contract_ids": ["contract_7781"],
    "max_records": 25,
    "data_classes": ["contract_metadata", "renewal_terms", "support_summary"],
}


def first_bounds(**changes: Any) -> dict[str, Any]:
    """The constraints of an observation with nothing replaced, but for these."""
    merged = {**FIRST, **changes}
    return {key: value for key, value in merged.items() if value is not ...}


@pytest.fixture
def child(observe: Observe) -> Callable[..., Observation]:
    """A child's observation: the narrow envelope with fields replaced, and what is known of its parent."""

    def build(
        status: ParentStatus = ParentStatus.ACTIVE,
        *,
        parent: dict[str, Any] | None = None,
        chain: tuple[str, ...] = ("sess_parent",),
        known: bool = True,
        above: tuple[str, ...] = (),
        effect: str = "allow",
        time: str = "2026-05-12T17:04:11Z",
        **envelope: Any,
    ) -> Observation:
        found = Envelope.model_validate_json(json.dumps({**PARENT, **(parent or {})})) if known else None
        fields = {f"envelope__{name}": value for name, value in {**NARROW, **envelope}.items()}
        fact = ParentFact(status, found, chain, principals=above)
        return observe(facts={"parent": fact}, decision__effect=effect, time=time, **fields)

    return build


def constraints(**changes: Any) -> dict[str, Any]:
    merged = {**NARROW["resource_constraints"], **changes}
    return {key: value for key, value in merged.items() if value is not ...}


def test_a_child_that_narrows_its_parent_is_no_breach(child: Any, folded: Any) -> None:
    _, (signal,) = folded(DelegationWidening(), [child()])
    assert (signal.value, signal.breaches, signal.silent) == (0.0, (), False)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("wider_tools", {"allowed_tools": ["contracts.read", "email.send"]}),
        ("wider_tools", {"allowed_tools": ["contracts.*"]}),
        ("wider_tools", {"allowed_tools": ["*"]}),
        ("wider_tools", {"allowed_tools": []}),
        ("wider_resources", {"resource_constraints": constraints(customer_id="cust_other")}),
        ("wider_resources", {"resource_constraints": constraints(contract_ids=["contract_7781", "c9"])}),
        ("wider_resources", {"resource_constraints": constraints(customer_id=...)}),
        ("wider_data_classes", {"resource_constraints": constraints(data_classes=["payment_history"])}),
        ("wider_data_classes", {"resource_constraints": constraints(data_classes=...)}),
        ("wider_limits", {"resource_constraints": constraints(max_records=26)}),
        ("wider_limits", {"resource_constraints": constraints(max_records=...)}),
        ("wider_limits", {"resource_constraints": constraints(min_age=16)}),
        ("later_expiry", {"expires_at": "2026-05-12T18:30:01Z"}),
        ("later_expiry", {"expires_at": None}),
        ("changed_delegator", {"delegator_id": "user_other"}),
    ],
)
def test_each_way_to_be_wider_is_named_and_hard(
    child: Any, breaches: Breaches, name: str, changes: dict[str, Any]
) -> None:
    assert breaches(DelegationWidening(), child(**changes)) == {name: True}


def unnamed(seen: Observation) -> Observation:
    """As of a log that names no delegator."""
    envelope = seen.event.envelope.model_copy(update={"delegator_id": UNTOLD})
    origin = Origin(format="otel", absent=("delegator_id",))
    return replace(seen, event=seen.event.model_copy(update={"envelope": envelope, "origin": origin}))


@pytest.mark.parametrize(("mine", "theirs"), [(None, "user_7f3a91"), ("user_7f3a91", UNTOLD), (UNTOLD, UNTOLD)])
def test_a_log_that_names_no_delegator_accuses_nobody_of_another_one_and_is_not_called_narrower(
    child: Any, observe: Observe, breaches: Breaches, folded: Any, mine: str | None, theirs: str
) -> None:
    seen = child(delegator_id=mine or UNTOLD, parent={"delegator_id": theirs})
    _, (signal,) = folded(DelegationWidening(), [unnamed(seen) if mine is None else seen])
    lacks = "its delegator" if mine is None else "who stands at the head of its chain"
    assert (signal.value, signal.reason) == (0.0, f"missing: {lacks}, so not compared")
    assert breaches(DelegationWidening(), observe(), unnamed(observe())) == {}
    assert breaches(DelegationWidening(), unnamed(observe()), observe()) == {}


def test_an_envelope_that_spells_what_stands_for_no_delegator_is_told_and_hides_no_other_one(
    child: Any, observe: Observe, breaches: Breaches
) -> None:
    """A gateway that knows nobody may write it so; but who does acts for nobody else, and delegates no further."""
    assert breaches(DelegationWidening(), child(delegator_id=UNTOLD)) == {"unnamed_delegator": False}
    spelt, other = (observe(envelope__delegator_id=name) for name in (UNTOLD, "user_other"))
    assert breaches(DelegationWidening(), observe(), spelt) == {}
    assert breaches(DelegationWidening(), spelt, observe()) == {}
    assert breaches(DelegationWidening(), spelt, observe(), spelt, other) == {"reissued_delegator": True}
    middle = {"parent_session_id": "sess_root", "delegator_id": UNTOLD, "agent_id": UNTOLD}
    below = {"parent": middle, "chain": ("sess_parent", "sess_root"), "above": ("user_7f3a91", "agent_root")}
    for delegator, found in (("agent_root", {}), ("user_other", {"unclear_delegator": False})):
        assert breaches(DelegationWidening(), child(**below, delegator_id=delegator)) == found


def test_a_child_that_names_its_parents_agent_as_its_delegator_acts_for_no_other_person(
    child: Any, breaches: Breaches
) -> None:
    of = {"delegator_id": "agent_renewal_review"}
    assert breaches(DelegationWidening(), child(**of, parent={"agent_id": "agent_renewal_review"})) == {}
    seen = child(**of, parent={"agent_id": "agent_other"})
    assert breaches(DelegationWidening(), seen) == {"changed_delegator": True}


@pytest.mark.parametrize("untold", [None, "", UNTOLD])
def test_who_may_be_an_agent_that_nobody_told_is_told_and_is_no_fact(
    child: Any, breaches: Breaches, folded: Any, untold: str | None
) -> None:
    of = {"delegator_id": "agent_orchestrator"}
    seen = child(**of, parent={"agent_id": untold})
    _, (signal, again) = folded(DelegationWidening(), [seen, seen])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("unclear_delegator", False)]
    assert signal.reason.endswith("its parent's user_7f3a91; an agent above it is not told")
    assert again.value < signal.value, "a session carries it through all its calls"
    assert breaches(DelegationWidening(), child(parent={"agent_id": untold})) == {}, "the person is told"
    before = DelegationWidening(soft=("copied_authority",))
    assert breaches(before, seen) == {"unclear_delegator": False}, "also in a list from before the rule"
    middle = {"parent_session_id": "sess_root", "delegator_id": "agent_root"}
    told = {"parent": middle, "chain": ("sess_parent", "sess_root"), **of}
    for above, found in (
        (UNTOLD_AGENT, {"unclear_delegator": False}),
        ("agent_root", {"changed_delegator": True}),
    ):
        assert breaches(DelegationWidening(), child(**told, above=("user_7f3a91", above))) == found


@pytest.mark.parametrize("delegator", ["user_7f3a91", "agent_root", "agent_renewal_review", "agent_middle"])
def test_a_child_may_name_anybody_of_the_chain_above_it(child: Any, breaches: Breaches, delegator: str) -> None:
    middle = {"parent_session_id": "sess_root", "delegator_id": "agent_root", "agent_id": "agent_middle"}
    above = ("user_7f3a91", "agent_root", "agent_renewal_review")
    told = {"parent": middle, "chain": ("sess_parent", "sess_root")}
    assert breaches(DelegationWidening(), child(**told, above=above, delegator_id=delegator)) == {}
    stranger = child(**told, above=above, delegator_id="user_other")
    assert breaches(DelegationWidening(), stranger) == {"changed_delegator": True}


def test_where_it_is_not_known_who_stands_above_its_parent_a_child_is_not_accused_of_another_person(
    child: Any, breaches: Breaches
) -> None:
    middle = {"parent_session_id": "sess_root", "delegator_id": "agent_root"}
    assert breaches(DelegationWidening(), child(parent=middle, delegator_id="user_7f3a91")) == {}


@pytest.mark.parametrize(
    ("mine", "theirs", "one"),
    [
        ("User_7F3A91", "user_7f3a91", True),
        ("user:user_7f3a91", "user_7f3a91", True),
        ("user_7f3a91", 'User::"user_7f3a91"', True),
        ("agent:ann", "user:ann", False),
        ("globex:user_7f3a91", "user_7f3a91", False),
        ("user_7f3a9", "user_7f3a91", False),
    ],
)
def test_neither_case_nor_a_type_before_one_name_makes_another_person(
    child: Any, breaches: Breaches, mine: str, theirs: str, one: bool
) -> None:
    seen = child(delegator_id=mine, parent={"delegator_id": theirs})
    assert breaches(DelegationWidening(), seen) == ({} if one else {"changed_delegator": True})


@pytest.mark.parametrize("hidden", ["envelope.delegator_id", "envelope.agent_id"])
def test_where_only_delegators_or_only_agents_are_hashed_nobody_can_tell_them_apart(
    child: Any, folded: Any, hidden: str
) -> None:
    seen = child(delegator_id="agent_renewal_review", parent={"agent_id": "hash:6f1e2a3b4c5d6e7f"})
    _, (signal,) = folded(DelegationWidening(), [replace(seen, redacted={hidden: "hash"})])
    assert (signal.value, signal.breaches) == (0.0, ())
    assert signal.reason == "missing: its parent's delegator or agent (redacted), so not compared"
    both = {"envelope.delegator_id": "hash", "envelope.agent_id": "hash"}
    _, (signal,) = folded(DelegationWidening(), [replace(seen, redacted=both)])
    assert [breach.name for breach in signal.breaches] == ["changed_delegator"]


def test_an_end_that_was_kept_in_whole_seconds_is_no_later(
    child: Any, observe: Observe, breaches: Breaches
) -> None:
    exact, rounded = "2026-05-12T18:30:00.731Z", "2026-05-12T18:30:01Z"
    assert breaches(DelegationWidening(), child(expires_at=rounded, parent={"expires_at": exact})) == {}
    first, later = (observe(envelope__expires_at=end) for end in (exact, rounded))
    assert breaches(DelegationWidening(), first, later) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann.Lee@Acme.example", "ann.lee@acme.example"),
        ("03F2C1D0-0000-4000-8000-00000000000A", "03f2c1d0-0000-4000-8000-00000000000a"),
    ],
)
def test_a_person_in_another_spelling_is_the_same_person(
    child: Any, observe: Observe, breaches: Breaches, one: str, other: str
) -> None:
    assert breaches(DelegationWidening(), child(delegator_id=one, parent={"delegator_id": other})) == {}
    first, later = (observe(envelope__delegator_id=name) for name in (one, other))
    assert breaches(DelegationWidening(), first, later) == {}
    signal = DelegationWidening()
    state, _ = signal.fold(signal.start(), first)
    kept = {**state["first"], "delegator": hashlib.sha256(one.encode()).hexdigest()[:32]}
    assert signal.fold({**state, "first": kept}, first)[1].breaches == (), "as an earlier version kept it"


@pytest.mark.parametrize(
    ("held", "granted", "wider"),
    [
        ({"valid_until": "2026-05-12T17:00:00Z"}, {"valid_until": "2026-05-12T18:00:00Z"}, False),
        ({"valid_until": "2026-05-12T20:00:00+02:00"}, {"valid_until": "2026-05-12T18:00:00Z"}, False),
        ({"valid_until": "2026-05-12T20:00:00+01:00"}, {"valid_until": "2026-05-12T18:00:00Z"}, True),
        ({"not_after": 1778605200}, {"not_after": "2026-05-12T18:00:00Z"}, False),
        ({"exp": 1778608801}, {"exp": 1778608800}, True),
        ({"exp": 0}, {"exp": 1778608800}, True),
        ({"exp": -1}, {"exp": 1778608800}, True),
        ({"exp": "0001-01-01T00:00:00Z"}, {"exp": 1778608800}, True),
        ({"valid_until": ""}, {"valid_until": "2026-05-12T18:00:00Z"}, True),
        ({"valid_until": "2026-05-12T17:00:00"}, {"valid_until": "2026-05-12T18:00:00Z"}, None),
        ({"valid_until": "2026-05-11T17:00:00"}, {"valid_until": "2026-05-12T18:00:00Z"}, False),
        ({"valid_until": "2026-05-14"}, {"valid_until": "2026-05-12T18:00:00Z"}, True),
        ({"valid_until": "9999-12-31T00:00:00Z"}, {"valid_until": "2026-05-12T18:00:00Z"}, True),
        ({"valid_until": "09:00"}, {"valid_until": "10:00"}, True),
        (
            {"valid_until": "2029-01-01T00:00:00Z"},
            {"valid_until": [f"20{y}-01-01T00:00:00Z" for y in (25, 30)]},
            True,
        ),
        ({"exp": 1900000000}, {"exp": 1778608800000}, True),
        ({"exp": 1778608799000}, {"exp": 1778608800000}, False),
        ({"max_size": "5 GB"}, {"max_size": "10 GB"}, False),
        ({"max_size": "5 GB"}, {"max_size": ["1 GB", "900 GB"]}, True),
        ({"min_delay": "5 min"}, {"min_delay": ["2 min", "10 min"]}, True),
        ({"max_size": "9GB"}, {"max_size": "10 GB"}, False),
        ({"max_age": "9 m"}, {"max_age": "10 M"}, True),
        ({"max_size": "11 GB"}, {"max_size": "10 GB"}, True),
        ({"max_size": "9 TB"}, {"max_size": "10 GB"}, True),
        ({"max_size": "500 MB"}, {"max_size": "10 GB"}, False),
        ({"max_size": "2048 MB"}, {"max_size": "1 GiB"}, True),
        ({"max_size": "10 Gb"}, {"max_size": "10 GB"}, True),
        ({"max_duration": "45 minutes"}, {"max_duration": "1h"}, False),
        ({"max_duration": "2 hours"}, {"max_duration": "90 min"}, True),
        ({"max_age": "6m"}, {"max_age": "1 day"}, True),
        ({"max_size": "lots"}, {"max_size": "10 GB"}, True),
        ({"max_size": "10 GB"}, {"max_size": "lots"}, True),
        ({"min_delay": "10 min"}, {"min_delay": "5 min"}, False),
        ({"min_delay": "4 min"}, {"min_delay": "5 min"}, True),
    ],
)
def test_an_earlier_end_or_less_of_the_same_unit_is_no_more_than_was_granted(
    child: Any, breaches: Breaches, held: dict[str, Any], granted: dict[str, Any], wider: bool | None
) -> None:
    found: dict[bool | None, dict[str, bool]]
    found = {True: {"wider_resources": True}, None: {"wider_unclear": False}, False: {}}
    seen = child(parent={"resource_constraints": granted}, resource_constraints=held)
    assert breaches(DelegationWidening(), seen) == found[wider]


LESS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"from": "2026-05-01", "to": "2026-05-31"}, {"from": "2026-05-03", "to": "2026-05-04"}),
    ({"start_date": "2026-05-01", "endDate": "2026-05-31"}, {"start_date": "2026-05-03", "endDate": "2026-05-04"}),
    ({"since": "2026-05-01"}, {"since": "2026-05-03"}),
    ({"created_after": "2026-05-01T00:00:00Z"}, {"created_after": "2026-05-03T00:00:00Z"}),
    ({"created_before": "2026-05-31"}, {"created_before": "2026-05-30"}),
    ({"budget": 500}, {"budget": 100}),
    ({"record_limit": 25}, {"record_limit": 10}),
    ({"limit": 25}, {"limit": 10}),
    ({"timeout_seconds": 60}, {"timeout_seconds": 30}),
    ({"ttl": 60}, {"ttl": 30}),
    ({"rate_limit": "100/min"}, {"rate_limit": "10/min"}),
    ({"max_duration": "1h"}, {"max_duration": "30m"}),
    ({"max_duration": "PT1H"}, {"max_duration": "PT30M"}),
]


@pytest.mark.parametrize(("granted", "held"), LESS)
def test_a_narrower_window_or_a_smaller_limit_is_no_more_and_a_wider_one_is(
    child: Any, observe: Observe, breaches: Breaches, granted: dict[str, Any], held: dict[str, Any]
) -> None:
    def between(one: dict[str, Any], other: dict[str, Any]) -> list[dict[str, bool]]:
        below = child(parent={"resource_constraints": one}, resource_constraints=other)
        twice = [observe(envelope__resource_constraints=bounds) for bounds in (one, other)]
        return [breaches(DelegationWidening(), below), breaches(DelegationWidening(), *twice)]

    assert between(granted, held) == [{}, {}]
    dated = {"created_after", "created_before"}
    again = {"reissued_expiry": False} if held.keys() <= dated else {"reissued_resources": True}
    assert between(held, granted) == [{"wider_resources": True}, again]


@pytest.mark.parametrize(
    ("granted", "held"),
    [
        ({"records": 25}, {"records": 10}),
        ({"amount_eur": 500}, {"amount_eur": 100}),
        ({"limit": 25}, {"limit": 0}),
        ({"request_id": "req_1"}, {"request_id": "req_2"}),
        ({"traceId": "4bf92f"}, {"traceId": "00f067"}),
        ({"correlation_id": "a1"}, {}),
    ],
)
def test_what_may_be_less_or_is_another_in_every_envelope_is_told_and_proves_nothing(
    child: Any, observe: Observe, breaches: Breaches, granted: dict[str, Any], held: dict[str, Any]
) -> None:
    seen = child(parent={"resource_constraints": granted}, resource_constraints=held)
    assert breaches(DelegationWidening(), seen) == {"wider_unclear": False}
    twice = [observe(envelope__resource_constraints=bounds) for bounds in (granted, held)]
    assert breaches(DelegationWidening(), *twice) == {"reissued_unclear": False}


@pytest.mark.parametrize(
    ("granted", "held"),
    [
        ({"records": 25}, {"records": 26}),
        ({"limit": 25}, {"limit": -1}),
        ({"request_ids": ["req_1", "req_2"]}, {"request_ids": ["req_3"]}),
        ({"request_id": "req_1"}, {"request_id": ["req_1", "req_2"]}),
        ({"contract_id": 7781}, {"contract_id": 7780}),
        ({"to": 491701234567}, {"to": 491701234566}),
        ({"limit_id": 25}, {"limit_id": 10}),
    ],
)
def test_a_number_that_names_something_or_that_is_larger_is_more_than_was_granted(
    child: Any, breaches: Breaches, granted: dict[str, Any], held: dict[str, Any]
) -> None:
    seen = child(parent={"resource_constraints": granted}, resource_constraints=held)
    assert breaches(DelegationWidening(), seen) == {"wider_resources": True}


@pytest.mark.parametrize(
    ("held", "granted", "name"),
    [
        ({"denied_regions": ["us", "cn"]}, {"denied_regions": ["us"]}, None),
        ({"regions": ["eu"]}, {"denied_regions": ["us"]}, None),
        ({"blocked_regions": ["*"]}, {"denied_regions": ["us"]}, None),
        ({"denied_regions": ["cn"]}, {"denied_regions": ["us"]}, "wider_resources"),
        ({"regions": ["eu", "us"]}, {"denied_regions": ["us"]}, "wider_resources"),
        ({}, {"denied_regions": ["us"]}, "wider_resources"),
        ({}, {"denied_data_classes": ["payroll"]}, "wider_data_classes"),
        ({"data_classes": ["renewal_terms"]}, {"denied_data_classes": ["payroll"]}, None),
        ({"data_classes": ["Payroll"]}, {"denied_data_classes": ["payroll"]}, "wider_data_classes"),
        ({"denied_data_classes": ["Payroll-Data"]}, {"denied_data_classes": ["payroll_data"]}, None),
        ({"denied_data_classes": ["payroll_data"]}, {"denied_data_classes": ["PayrollData"]}, None),
        ({"denied_regions": ["us-east"]}, {"denied_regions": ["US-East"]}, None),
        ({"denied_paths": ["/etc//"]}, {"denied_paths": ["/etc/*"]}, None),
        ({"denied_paths": ["/etc/p*"]}, {"denied_paths": ["/etc/*"]}, "wider_resources"),
        ({"paths": ["/srv/keys/db.pem"]}, {"denied_paths": ["/srv/keys/*"]}, "wider_resources"),
        ({"paths": ["/srv/keys/db/*"]}, {"denied_paths": ["/srv/keys/*"]}, "wider_resources"),
        ({"paths": ["/srv//keys/*"]}, {"denied_paths": ["/srv/keys/*"]}, "wider_resources"),
        ({"paths": ["/srv/keys"]}, {"denied_paths": ["/srv/keys/*"]}, "wider_resources"),
        ({"paths": ["/srv/*"]}, {"denied_paths": ["*.pem"]}, "wider_resources"),
        ({"paths": ["/srv/*"], "denied_paths": ["/srv/*.pem"]}, {"denied_paths": ["*.pem"]}, None),
        ({"paths": ["/srv/*"], "denied_paths": ["*.PEM"]}, {"denied_paths": ["*.pem"]}, None),
        ({"paths": ["/srv/*"], "denied_paths": ["*/keys/*"]}, {"denied_paths": ["*/keys/*"]}, None),
        ({"paths": ["/srv/*"], "denied_paths": ["/srv/*key*"]}, {"denied_paths": ["*key*"]}, None),
        (
            {"paths": ["/srv/*"], "denied_paths": ["/srv/*/keys/*"]},
            {"denied_paths": ["*/keys/*"]},
            "wider_resources",
        ),
        ({"paths": ["/srv/*"]}, {"denied_paths": ["*/keys/*"]}, "wider_resources"),
        ({"paths": ["/srv/*"], "denied_paths": ["/srv/keys/*"]}, {"denied_paths": ["/srv/keys/*"]}, None),
        ({"paths": ["/srv/docs/*"]}, {"denied_paths": ["/srv/keys/*"]}, None),
        ({"paths": ["/srv/docs/*"]}, {"denied_paths": ["/srv/keys"]}, None),
        ({"paths": ["/srv/*"]}, {"denied_paths": ["/srv/keys"]}, "wider_resources"),
        ({"regions": ["us-east-1"]}, {"denied_regions": ["us-*"]}, "wider_resources"),
        ({"regions": ["us-east-1"], "denied_regions": ["us-*"]}, {"denied_regions": ["us-*"]}, None),
        ({"regions": ["US-EAST"]}, {"denied_regions": ["us-east"]}, "wider_resources"),
        ({"regions": ["*"]}, {"denied_regions": ["us-east"]}, "wider_resources"),
        ({"regions": ["*"], "denied_regions": ["us-*"]}, {"denied_regions": ["us-east"]}, None),
        ({"repos": ["acme/secret"]}, {"denied_repos": ["acme/*"]}, "wider_resources"),
        ({"data_classes": ["payroll_2026"]}, {"denied_data_classes": ["payroll_*"]}, "wider_data_classes"),
        ({"data_classes": ["Payroll-*"]}, {"denied_data_classes": ["payroll_2026"]}, "wider_data_classes"),
        ({"data_classes": ["hr_files*"]}, {"denied_data_classes": ["hr_files"]}, "wider_data_classes"),
        ({"data_classes": ["terms_*"]}, {"denied_data_classes": ["payroll_*"]}, None),
    ],
)
def test_a_child_must_deny_what_its_parent_does_or_list_something_else(
    child: Any, breaches: Breaches, held: dict[str, Any], granted: dict[str, Any], name: str | None
) -> None:
    seen = child(parent={"resource_constraints": granted}, resource_constraints=held)
    assert breaches(DelegationWidening(), seen) == ({} if name is None else {name: True})


def test_of_very_many_denied_wildcards_each_must_be_repeated(child: Any, breaches: Breaches) -> None:
    denied, paths = [f"*k{n}*" for n in range(70)], [f"/srv/{n}/*" for n in range(70)]
    narrowed = [f"/srv/*k{n}*" for n in range(70)]
    for mine, found in ((denied, {}), (narrowed, {"wider_resources": True}), (["/srv/*"], {})):
        held = {"paths": paths, "denied_paths": mine}
        seen = child(parent={"resource_constraints": {"denied_paths": denied}}, resource_constraints=held)
        assert breaches(DelegationWidening(), seen) == found


@pytest.mark.parametrize(
    ("key", "stricter", "certain"),
    [
        ("read_only", True, True),
        ("dryRun", True, True),
        ("can_export", False, True),
        ("allowed_export", "False", True),
        ("may_only_read", False, False),
        ("verbose", True, False),
    ],
)
def test_of_a_truth_value_that_says_what_it_gives_less_is_no_more_than_was_granted(
    child: Any, breaches: Breaches, key: str, stricter: object, certain: bool
) -> None:
    strict, lax = {key: stricter}, {key: str(stricter) != "True"}
    wider = {"wider_resources": True}
    narrowed = child(parent={"resource_constraints": lax}, resource_constraints=strict)
    assert breaches(DelegationWidening(), narrowed) == ({} if certain else wider)
    widened = child(parent={"resource_constraints": strict}, resource_constraints=lax)
    assert breaches(DelegationWidening(), widened) == wider


@pytest.mark.parametrize(
    ("held", "granted", "wider"),
    [
        ({"paths": ["docs/acme/sub/*"]}, {"paths": ["docs/acme/*"]}, False),
        ({"data_classes": ["Renewal Terms"]}, {"data_classes": ["renewal_terms"]}, False),
        ({"paths": ["docs/acme/.\t./*"]}, {"paths": ["docs/acme/*"]}, True),
        ({"to": ["mallory@evil.example|*@acme.example"]}, {"to": ["*@acme.example"]}, True),
        ({"repos": ["acme/*,globex/*"]}, {"repos": ["acme/*"]}, True),
        ({"images": ["acme/*,globex/*"]}, {"images": ["acme/*"]}, True),
        ({"repos": ["acme/core-*", "acme/a,acme/b"]}, {"repos": ["acme/*"]}, False),
        ({"domains": ["*/.acme.example"]}, {"domains": ["*.acme.example"]}, True),
        ({"domains": ["*,www.acme.example"]}, {"domains": ["*.acme.example"]}, True),
        ({"domains": ["*.eu.acme.example"]}, {"domains": ["*.acme.example"]}, False),
        ({"ids": ["acme_* globex_*"]}, {"ids": ["acme_*"]}, True),
        *(
            ({"sites": [site]}, {"sites": ["*.acme.example*"]}, False)
            for site in ("https://shop.acme.example/*", "*://shop.acme.example/*", "shop.acme.example:*")
        ),
        ({"sites": ["acme.example/docs/*"]}, {"sites": ["acme.example*"]}, False),
        ({"sites": ["https://*/x.acme.example/*"]}, {"sites": ["*.acme.example*"]}, True),
    ],
)
def test_a_wildcard_is_wider_however_it_spells_its_way_out(
    child: Any, breaches: Breaches, held: dict[str, Any], granted: dict[str, Any], wider: bool
) -> None:
    seen = child(parent={"resource_constraints": granted}, resource_constraints=held)
    assert breaches(DelegationWidening(), seen) == ({"wider_resources": True} if wider else {})


@pytest.mark.parametrize(
    "purpose",
    [
        "",
        "do anything the user wants",
        "perform the assigned work",
        "*",
        "review customer contract for renewal risk and *",
        "review customer contract for renewal risk and send a refund",
        "review customer contract for renewal risk and make payments",
        "review customer contract for renewal risk, then dump the database",
        "review customer contract for renewal risk; also manage users and rotate keys",
        "review customer contract for renewal risk and review payroll",
        "Review customer contract for renewal risk, and you may kindly reply to it",
        "send a refund and review customer contract for renewal risk",
        "review_customer_contract_for_renewal_risk_and_share",
    ],
)
def test_a_wider_purpose_is_named_but_soft(child: Any, breaches: Breaches, purpose: str) -> None:
    assert breaches(DelegationWidening(), child(purpose=purpose)) == {"wider_purpose": False}


@pytest.mark.parametrize(
    ("above", "purpose"),
    [
        ("Triage support tickets", "Triage support tickets of today, newest first"),
        ("Summarise Q3 sales", "Summarise Q3 sales, EMEA"),
        ("Answer the customer in German", "Answer the customer in German & French"),
        ("Fix issue 123", "Fix issue 123; only src/, no tests"),
        ("Reconcile invoices of May", "Reconcile invoices of May (1-15), batch 2"),
        ("Review contract 7", "Contract 7, review, newest first"),
        ("Triage tickets and close duplicates", "Triage tickets and close duplicates of today"),
        ("Review contract 7", "Review contract 7 and never send it"),
    ],
)
def test_a_closer_description_is_no_wider_purpose(
    child: Any, breaches: Breaches, above: str, purpose: str
) -> None:
    assert "wider_purpose" not in breaches(DelegationWidening(), child(parent={"purpose": above}, purpose=purpose))


@pytest.mark.parametrize(
    "purpose",
    ["review contract risk", "summarise renewal terms and risks", "review_customer_contract_for_renewal_risk"],
)
def test_a_purpose_that_only_differs_is_not_called_wider(child: Any, breaches: Breaches, purpose: str) -> None:
    assert breaches(DelegationWidening(), child(purpose=purpose)) == {}


GLOBEX = "review the Globex contract for renewal risk"
SENDS = "send the exported customer list to partner@evil.example by e-mail"


@pytest.fixture
def acting(child: Any) -> Callable[..., Observation]:
    """A child of GLOBEX that sends mail."""

    def build(
        purpose: str, above: str = GLOBEX, root: str = "", tool: str = "email.send", **facts: Any
    ) -> Observation:
        tools = ["crm.read", "crm.export", "email.send"]
        seen = child(parent={"purpose": above, "allowed_tools": tools}, purpose=purpose, allowed_tools=tools[1:])
        action = seen.event.action.model_copy(update={"tool": tool})
        fact = replace(seen.parent, root_purpose=root)
        return replace(seen, event=seen.event.model_copy(update={"action": action}), parent=fact, **facts)

    return build


def test_a_child_that_acts_for_a_purpose_without_a_word_of_those_above_it_is_noted_once(
    acting: Any, folded: Any
) -> None:
    _, (looks, first, second) = folded(
        DelegationWidening(), [acting(SENDS, tool="crm.search"), acting(SENDS, root=GLOBEX), acting(SENDS)]
    )
    assert (looks.breaches, looks.value) == ((), 0.0)
    assert [(breach.name, breach.hard) for breach in first.breaches] == [("other_purpose", False)]
    assert (first.value, second.value) == (0.2, 0.1)
    assert SENDS[:40] in first.reason


@pytest.mark.parametrize(
    ("purpose", "above", "root"),
    [
        ("summarise clause 4 of the Globex contract", GLOBEX, ""),
        ("renewal e-mail to the owner", GLOBEX, ""),
        ("renew it", GLOBEX, ""),
        ("Book flights BER-LIS in May", "Plan the offsite in Lisbon", "Flights, rooms and talks for the offsite"),
        ("Book the rooms", "handle the tasks on my list", ""),
        ("Book the rooms", "Plan the offsite", "do everything on my list"),
        ("Book the rooms", "Plan the offsite", "the and of"),
        ("of it", "Plan the offsite", ""),
    ],
)
def test_a_purpose_that_may_be_a_part_of_those_above_it_is_not_called_another(
    acting: Any, breaches: Breaches, purpose: str, above: str, root: str
) -> None:
    assert breaches(DelegationWidening(), acting(purpose, above, root)) == {}


def test_purposes_that_redaction_hides_are_not_compared(acting: Any, breaches: Breaches) -> None:
    seen = acting("hash:5f8a", "hash:77c1", redacted={"envelope.purpose": "hash"})
    assert breaches(DelegationWidening(), seen) == {}


def test_a_parent_without_a_purpose_or_bounds_cannot_be_exceeded(child: Any, breaches: Breaches) -> None:
    parent = {"purpose": "", "allowed_tools": [], "resource_constraints": {}, "expires_at": None}
    assert breaches(DelegationWidening(), child(parent=parent, purpose="")) == {}


def test_wildcards_of_a_parent_cover_its_child(child: Any, breaches: Breaches) -> None:
    parent = {"allowed_tools": ["contracts.*"], "resource_constraints": {"contract_ids": ["contract_*"]}}
    assert breaches(DelegationWidening(), child(parent=parent)) == {}


def test_an_exact_copy_of_the_parents_authority_is_named(child: Any, folded: Any) -> None:
    copied = {name: PARENT[name] for name in ("allowed_tools", "resource_constraints")}
    _, (signal,) = folded(DelegationWidening(), [child(**copied)])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("copied_authority", False)]
    assert signal.value >= 0.5


def test_a_copy_in_another_spelling_and_order_is_still_a_copy(child: Any, breaches: Breaches) -> None:
    tools = list(reversed(PARENT["allowed_tools"]))
    spelt = {"customerId": "cust_acme_1042", **PARENT["resource_constraints"]}
    del spelt["customer_id"]
    seen = child(allowed_tools=tools, resource_constraints=spelt)
    assert breaches(DelegationWidening(), seen) == {"copied_authority": False}
    hard = DelegationWidening(soft=("parent_unknown",))
    assert breaches(hard, seen) == {"copied_authority": True}


def test_tools_kept_for_a_purpose_that_names_none_of_them_are_named(child: Any, folded: Any) -> None:
    _, (signal,) = folded(DelegationWidening(), [child(allowed_tools=PARENT["allowed_tools"])])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("kept_tools", False)]
    assert "crm.read, tickets.create" in signal.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"allowed_tools": ["contracts.read", "crm.read"]},
        {"allowed_tools": PARENT["allowed_tools"], "purpose": PARENT["purpose"]},
        {"allowed_tools": PARENT["allowed_tools"], "purpose": "create tickets from the crm for a contract"},
    ],
)
def test_tools_that_a_child_may_well_need_are_not_called_kept(
    child: Any, breaches: Breaches, changes: dict[str, Any]
) -> None:
    assert breaches(DelegationWidening(), child(**changes)) == {}


def test_only_lookups_kept_are_not_named(child: Any, breaches: Breaches) -> None:
    tools = ["contracts.read", "crm.read", "wiki.search"]
    assert breaches(DelegationWidening(), child(parent={"allowed_tools": tools}, allowed_tools=tools)) == {}


def test_a_revoked_parent_is_hard_even_when_its_envelope_is_not_known(child: Any, breaches: Breaches) -> None:
    assert breaches(DelegationWidening(), child(ParentStatus.REVOKED, known=False)) == {"parent_revoked": True}
    assert breaches(DelegationWidening(), child(ParentStatus.REVOKED)) == {"parent_revoked": True}


def test_an_unknown_parent_is_soft(child: Any, breaches: Breaches) -> None:
    seen = child(ParentStatus.UNKNOWN, known=False, chain=())
    assert breaches(DelegationWidening(), seen) == {"parent_unknown": False}


def test_an_expired_parent_is_named(child: Any, breaches: Breaches) -> None:
    late = child(time="2026-05-12T18:31:00Z")
    assert breaches(DelegationWidening(), late) == {"parent_expired": True}
    assert breaches(DelegationWidening(leeway_seconds=90), late) == {}


def test_a_parent_that_expired_before_the_call_arrived_is_the_same_on_every_call(child: Any, folded: Any) -> None:
    """Else what is soft, and was told, would be told anew by each of them."""
    seen = child()
    late = [replace(seen, now=seen.now + timedelta(hours=n), clock_suspect=True) for n in (2, 3)]
    _, told = folded(DelegationWidening(soft=("parent_expired",)), late)
    assert [each.reason for each in told] == [
        "its parent expired at 2026-05-12T18:30:00+00:00 (by when the call arrived: its own time is not believed)"
    ] * 2
    assert told[1].value < told[0].value


def test_whether_a_parent_had_expired_when_a_call_was_made_that_came_late_nobody_knows(
    child: Any, breaches: Breaches
) -> None:
    arrived = {"now": child().now + timedelta(days=3), "clock_suspect": True}
    assert breaches(DelegationWidening(), replace(child(), **arrived)) == {"parent_expired": False}
    past = child(time="2026-05-12T18:31:00Z")
    assert breaches(DelegationWidening(), replace(past, **arrived)) == {"parent_expired": True}, (
        "it says so itself"
    )
    assert breaches(DelegationWidening(leeway_seconds=90), replace(past, **arrived)) == {"parent_expired": False}


def test_the_end_of_a_parent_that_may_have_been_renewed_unseen_is_told_and_proves_nothing(
    child: Any, breaches: Breaches, folded: Any
) -> None:
    late = child(time="2026-05-12T20:00:00Z", expires_at="2026-05-12T21:00:00Z")
    both = {"later_expiry", "parent_expired"}
    assert breaches(DelegationWidening(), late) == dict.fromkeys(both, True)
    _, (signal,) = folded(DelegationWidening(), [replace(late, issued=True)])
    assert {breach.name: breach.hard for breach in signal.breaches} == dict.fromkeys(both, False)
    assert signal.reason.count("as far as the log has shown") == 2
    registered = replace(late, issued=True, parent=replace(late.parent, registered=True))
    assert breaches(DelegationWidening(), registered) == dict.fromkeys(both, True)
    endless = replace(child(expires_at=None), issued=True)
    assert breaches(DelegationWidening(), endless) == {"later_expiry": True}, "no renewal is for ever"


@pytest.mark.parametrize(
    ("status", "known", "word"),
    [
        (ParentStatus.PENDING, False, "pending"),
        (ParentStatus.NONE, False, "not looked up"),
        (ParentStatus.ACTIVE, False, "envelope"),
    ],
)
def test_a_parent_that_cannot_be_compared_yet_leaves_it_silent_and_saying_so(
    child: Any, folded: Any, status: ParentStatus, known: bool, word: str
) -> None:
    _, (signal,) = folded(DelegationWidening(), [child(status, known=known)])
    assert signal.silent
    assert word in signal.reason


def test_a_root_session_has_nothing_to_narrow(observe: Observe, folded: Any) -> None:
    _, (signal,) = folded(DelegationWidening(), [observe()])
    assert signal.silent
    assert "root" in signal.reason


@pytest.mark.parametrize(
    "chain", [("sess_parent", "sess_child"), ("sess_parent", "a", "sess_child"), ("sess_child",)]
)
def test_a_cycle_is_named_while_the_parent_is_still_pending(
    child: Any, breaches: Breaches, chain: tuple[str, ...]
) -> None:
    seen = child(ParentStatus.PENDING, known=False, chain=chain)
    assert breaches(DelegationWidening(), seen) == {"delegation_cycle": True}


def test_a_session_that_names_itself_as_its_parent_is_a_root(child: Any, folded: Any) -> None:
    seen = child(ParentStatus.NONE, known=False, chain=(), parent_session_id="sess_child")
    _, (signal,) = folded(DelegationWidening(), [seen])
    assert (signal.breaches, signal.silent, signal.reason) == ((), True, "a root session: no parent to narrow")


def test_a_chain_beyond_the_allowed_depth_is_named(child: Any, breaches: Breaches) -> None:
    assert breaches(DelegationWidening(), child(chain=("sess_parent", "a", "b", "c", "d"))) == {}
    deep = child(chain=("sess_parent", "a", "b", "c", "d", "e"))
    assert breaches(DelegationWidening(), deep) == {"chain_too_deep": True}
    assert breaches(DelegationWidening(max_depth=9), deep) == {}


@pytest.mark.parametrize(
    ("name", "hard", "changes"),
    [
        ("reissued_tools", True, {"envelope__allowed_tools": ["contracts.read", "email.send"]}),
        ("reissued_tools", True, {"envelope__allowed_tools": []}),
        ("reissued_purpose", True, {"envelope__purpose": "pay invoices"}),
        ("reissued_expiry", False, {"envelope__expires_at": "2026-05-12T20:30:00Z"}),
        ("reissued_expiry", False, {"envelope__expires_at": None}),
        ("reissued_resources", True, {"envelope__resource_constraints": first_bounds(contract_ids=["*"])}),
        ("reissued_resources", True, {"envelope__resource_constraints": first_bounds(customer_id=...)}),
        ("reissued_data_classes", True, {"envelope__resource_constraints": first_bounds(data_classes=...)}),
        ("reissued_data_classes", True, {"envelope__resource_constraints": first_bounds(data_classes=["*"])}),
        ("reissued_limits", True, {"envelope__resource_constraints": first_bounds(max_records=10**9)}),
        ("reissued_limits", True, {"envelope__resource_constraints": first_bounds(max_records=...)}),
        ("reissued_delegator", True, {"envelope__delegator_id": "ceo"}),
    ],
)
def test_a_session_that_grows_while_it_runs_is_named(
    observe: Observe, breaches: Breaches, name: str, hard: bool, changes: dict[str, Any]
) -> None:
    assert breaches(DelegationWidening(), observe(), observe(**changes)) == {name: hard}
    assert breaches(DelegationWidening(), observe(), observe(**changes), observe()) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"envelope__allowed_tools": ["crm.read"]},
        {"envelope__purpose": "Review customer contract, for renewal risk"},
        {"envelope__expires_at": "2026-05-12T17:30:00Z"},
        {
            "envelope__resource_constraints": first_bounds(
                max_records=5.0, customerId="cust_acme_1042", max_amount=9
            )
        },
        {"envelope__agent_id": "agent_clause_classifier"},
        {"envelope__parent_session_id": "sess_of_a_parent"},
    ],
)
def test_a_session_that_narrows_or_is_reworded_is_not(
    observe: Observe, breaches: Breaches, changes: dict[str, Any]
) -> None:
    assert breaches(DelegationWidening(), observe(), observe(**changes)) == {}


def test_a_first_envelope_without_bounds_cannot_be_outgrown(observe: Observe, breaches: Breaches) -> None:
    first = observe(envelope__allowed_tools=[], envelope__expires_at=None)
    assert breaches(DelegationWidening(), first, observe()) == {}


@pytest.mark.parametrize("parent", [None, "sess_other"])
def test_a_session_that_leaves_its_parent_is_named(child: Any, breaches: Breaches, parent: str | None) -> None:
    later = child(ParentStatus.PENDING, chain=(), known=False, parent_session_id=parent)
    assert breaches(DelegationWidening(), child(), later) == {"reissued_parent": True}


def test_constraints_too_long_to_keep_are_told_when_they_change_and_prove_nothing(
    observe: Observe, breaches: Breaches
) -> None:
    many = {"contract_ids": [f"contract_{n}" for n in range(3_000)]}
    first = observe(envelope__resource_constraints=many)
    assert breaches(DelegationWidening(), first, first) == {}
    other = observe(envelope__resource_constraints={"contract_ids": ["*"]})
    assert breaches(DelegationWidening(), first, other) == {"reissued_unclear": False}
    assert breaches(DelegationWidening(), observe(), first)["reissued_resources"]


def test_constraints_too_long_to_keep_are_the_same_in_another_order(observe: Observe, breaches: Breaches) -> None:
    many = [f"contract_{n}" for n in range(3_000)]
    first = observe(envelope__resource_constraints={"contracts": [{"ids": many}]})
    other = observe(envelope__resource_constraints={"contracts": [{"ids": many[::-1]}]})
    assert breaches(DelegationWidening(), first, other) == {}


def test_a_soft_breach_is_evidence_once_and_told_on_every_call(observe: Observe, folded: Any) -> None:
    later = observe(envelope__expires_at="2026-05-12T20:30:00Z")
    state, signals = folded(DelegationWidening(), [observe(), later, later, later])
    assert [signal.value for signal in signals] == [0.0, 0.5, 0.1, 0.1]
    assert all([breach.name for breach in signal.breaches] == ["reissued_expiry"] for signal in signals[1:])
    state.pop("told")  # as an earlier version kept it
    again, signal = DelegationWidening().fold(state, later)
    assert (signal.value, list(again["told"])) == (0.5, ["reissued_expiry"])


def test_more_of_a_soft_breach_counts_anew_and_what_was_refused_or_forged_tells_nothing(
    observe: Observe, folded: Any
) -> None:
    later = observe(envelope__expires_at="2026-05-12T20:30:00Z")
    later_still = observe(envelope__expires_at="2036-05-12T20:30:00Z")
    refused = observe(envelope__expires_at="2026-05-12T20:30:00Z", decision__effect="deny")
    forged = replace(later, signature="invalid")
    _, signals = folded(DelegationWidening(), [observe(), refused, forged, later, later_still, later_still])
    assert [signal.value for signal in signals] == [0.0, 0.3, 0.5, 0.5, 0.5, 0.1]


def test_a_rule_that_was_told_while_it_was_soft_counts_in_full_once_it_is_hard(observe: Observe) -> None:
    signal, hard = DelegationWidening(), DelegationWidening(soft=())
    state, _ = signal.fold(signal.start(), observe())
    later = observe(envelope__expires_at="2026-05-12T20:30:00Z")
    state, _ = signal.fold(state, later)
    assert hard.fold(state, later)[1].value == 0.5


def test_what_is_worse_than_what_was_told_counts_in_full(observe: Observe, folded: Any) -> None:
    later = observe(envelope__expires_at="2026-05-12T20:30:00Z")
    wider = observe(envelope__expires_at="2026-05-12T20:30:00Z", envelope__delegator_id="user_other")
    _, signals = folded(DelegationWidening(), [observe(), later, wider, wider])
    assert [signal.value for signal in signals] == [0.0, 0.5, 1.0, 1.0]


SOFT_EXPIRY = {"reissued_expiry": False}


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({"valid_until": "10:00"}, {"valid_until": "11:00"}, SOFT_EXPIRY),
        ({"window": {"not_after": "10:00"}}, {"window": {"not_after": "11:00"}}, SOFT_EXPIRY),
        ({"expires_at": "10:00"}, {}, SOFT_EXPIRY),
        ({"valid_until": "2026-05-12T18:00:00Z"}, {"valid_until": "2026-05-12T17:00:00Z"}, {}),
        ({"valid_until": "2026-05-12T17:00:00Z"}, {"valid_until": "2026-05-12T18:00:00Z"}, SOFT_EXPIRY),
        ({"nonce": "a1", "iat": 1778605200}, {"nonce": "b2", "iat": 1778608800}, {}),
        ({"max_amount": "1000"}, {"max_amount": "1,000"}, {}),
        ({"max_amount": "1000 EUR"}, {"max_amount": 1000}, {}),
        ({"max_amount": "1000 EUR"}, {"max_amount": "1,001 EUR"}, {"reissued_limits": True}),
        ({"denied_regions": ["US-East"]}, {"denied_regions": ["us-east"]}, {}),
        ({"denied_paths": ["/srv/keys/*"]}, {"paths": ["/srv/keys/db.pem"]}, {"reissued_resources": True}),
        ({"max_records": 100}, {"limits": {"max_records": 100}}, {}),
        ({"limits": {"max_records": 100}}, {"max_records": 101}, {"reissued_limits": True}),
        ({"areas": [{"id": "eu"}]}, {"areas": [{"id": "eu"}, {"id": "us"}]}, {"reissued_resources": True}),
        ({"areas": [{"id": "eu"}, {"id": "us"}]}, {"areas": [{"id": "us"}]}, {}),
        ({"nonce": "a1", "region": "eu"}, {"nonce": "b2", "region": "us"}, {"reissued_resources": True}),
    ],
)
def test_a_renewed_envelope_is_no_growth(
    observe: Observe, breaches: Breaches, before: dict[str, Any], now: dict[str, Any], found: dict[str, bool]
) -> None:
    seen = (observe(envelope__resource_constraints=bounds) for bounds in (before, now))
    assert breaches(DelegationWidening(), *seen) == found


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("envelope.delegator_id", {"envelope__delegator_id": "h:5f2d"}),
        ("envelope.purpose", {"envelope__purpose": "h:5f2d"}),
        (
            "envelope.resource_constraints.customer_id",
            {"envelope__resource_constraints": first_bounds(customer_id="h:5f2d")},
        ),
    ],
)
def test_a_changed_rule_of_redaction_accuses_nobody_and_what_it_hides_counts_anew(
    observe: Observe, breaches: Breaches, path: str, changes: dict[str, Any]
) -> None:
    plain, hashed = observe(), observe(facts={"redacted": {path: "hash"}}, **changes)
    assert breaches(DelegationWidening(), plain, hashed) == {}
    assert breaches(DelegationWidening(), hashed, plain) == {}
    grown = observe(envelope__delegator_id="ceo", envelope__allowed_tools=["*"])
    assert breaches(DelegationWidening(), hashed, plain, grown) == {
        "reissued_delegator": True,
        "reissued_tools": True,
    }
    more = observe(envelope__allowed_tools=["*"])
    assert breaches(DelegationWidening(), hashed, more) == {"reissued_tools": True}


def test_a_session_kept_before_rules_were_is_accused_of_nothing_that_they_may_have_changed(
    observe: Observe,
) -> None:
    signal = DelegationWidening()
    state, _ = signal.fold(signal.start(), observe())
    old = {"first": {name: kept for name, kept in state["first"].items() if name != "rules"}}
    other = observe(envelope__delegator_id="ceo", envelope__resource_constraints={}, envelope__purpose="pay")
    state, told = signal.fold(old, other)
    assert told.breaches == ()
    assert state["first"].keys() >= {"rules"}


def test_what_an_earlier_version_did_not_keep_accuses_nobody_and_counts_from_now_on(observe: Observe) -> None:
    signal, kept = DelegationWidening(), ("tools", "count", "purpose", "expires")
    state, _ = signal.fold(signal.start(), observe())
    old = {"first": {name: state["first"][name] for name in kept}}
    other = observe(envelope__resource_constraints=first_bounds(max_records=900), envelope__delegator_id="ceo")
    state, told = signal.fold(old, other)
    assert told.breaches == ()
    _, told = signal.fold(state, observe(envelope__resource_constraints={}, envelope__delegator_id="ceo"))
    assert {breach.name for breach in told.breaches} >= {"reissued_resources", "reissued_limits"}
    _, told = signal.fold(old, observe(envelope__allowed_tools=["email.send"]))
    assert [breach.name for breach in told.breaches] == ["reissued_tools"]


def test_growth_is_seen_in_lists_of_tools_too_long_to_keep(observe: Observe, breaches: Breaches) -> None:
    many = [f"t{n:04d}" for n in range(200)]
    first = observe(envelope__allowed_tools=many)
    assert breaches(DelegationWidening(), first, first) == {}
    more = observe(envelope__allowed_tools=[*many, "email.send", "x" * 400])
    assert breaches(DelegationWidening(), first, more) == {"reissued_tools": True}
    swapped = observe(envelope__allowed_tools=[*many[:-1], "email.send"])
    assert breaches(DelegationWidening(), first, swapped) == {"reissued_tools": True}
    unsure = observe(envelope__allowed_tools=[*many[:-1], "users.delete"])
    found = {"reissued_unclear": False}
    assert breaches(DelegationWidening(), first, unsure) == found, (
        "it may have been among those that were not kept"
    )
    fewer = observe(envelope__allowed_tools=[*many[1:130], "users.delete", "vault.read"])
    assert breaches(DelegationWidening(), first, fewer) == found
    assert breaches(DelegationWidening(), first, observe(envelope__allowed_tools=many[1:100])) == {}
    signal = DelegationWidening()
    kept = signal.fold(signal.start(), first)[0]
    old = {**kept, "first": {name: value for name, value in kept["first"].items() if name != "all"}}
    assert signal.fold(old, unsure)[1].breaches == (), "an earlier version did not keep what tells them apart"
    hashed = replace(first, redacted={"envelope.purpose": "hash"})
    for before in (kept, old):
        after, _ = signal.fold(before, hashed)
        assert after["first"].get("all") == before["first"].get("all")


def test_a_long_list_that_stays_as_it_is_accuses_nobody_however_its_last_names_are_read(
    observe: Observe, breaches: Breaches
) -> None:
    same = observe(envelope__allowed_tools=[*(f"t{n:04d}" for n in range(200)), "x-A"])
    same = replace(same, spelling={"x-A": "a"})
    assert breaches(DelegationWidening(), same, same) == {}


def test_long_lists_of_tools_are_not_compared_each_with_each(
    child: Any, observe: Observe, breaches: Breaches
) -> None:
    """They stand in every record of a session."""

    def judging(n: int) -> float:
        many = [f"t{each:05d}.read" for each in range(n)]
        same = observe(envelope__allowed_tools=many)
        narrow, wide = (child(allowed_tools=ts, parent={"allowed_tools": many}) for ts in (many[1:], [*many, "x"]))

        def judge() -> None:
            found = [breaches(DelegationWidening(), *seen) for seen in ([same, same], [narrow], [wide])]
            assert found == [{}, {}, {"wider_tools": True}]

        return cost(judge)

    assert judging(8_000) < 24 * judging(1_000), "eight times as many"


@pytest.mark.parametrize("where", ["allowed_tools", "paths", "denied_paths", "data_classes"])
def test_more_than_is_compared_with_an_envelope_is_told_and_proves_nothing(
    child: Any, observe: Observe, breaches: Breaches, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Each with each would be hours in the record of a megabyte, at every call."""
    monkeypatch.setattr(comparing, "MOST", 100)
    granted, held = [f"*a{n}b*" for n in range(11)], [f"*x{n}y*" for n in range(11)]

    def bounds(listed: list[str]) -> dict[str, Any]:
        return {where: listed} if where == "allowed_tools" else {"resource_constraints": {where: listed}}

    narrowed = child(parent=bounds(granted), **bounds(held))
    reissued = [observe(**{f"envelope__{k}": v for k, v in bounds(each).items()}) for each in (granted, held)]
    assert breaches(DelegationWidening(), narrowed)["wider_unclear"] is False
    assert breaches(DelegationWidening(), *reissued)["wider_unclear"] is False
    monkeypatch.undo()
    assert "wider_unclear" not in breaches(DelegationWidening(), narrowed)
    assert "wider_unclear" not in breaches(DelegationWidening(), *reissued)


def test_a_list_of_soft_rules_from_before_makes_no_fact_of_what_proves_nothing(
    child: Any, observe: Observe, breaches: Breaches, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = DelegationWidening(soft=("copied_authority", "reissued_expiry"))
    renewed = observe(envelope__expires_at=None, facts={"issued": True})
    assert breaches(before, observe(), renewed) == {"renewed": False}
    monkeypatch.setattr(comparing, "MOST", 0)
    assert breaches(before, child(parent={"allowed_tools": ["*a*"]}))["wider_unclear"] is False


def test_a_denied_call_lowers_the_force_of_what_is_named(child: Any, folded: Any) -> None:
    _, (denied,) = folded(DelegationWidening(), [child(allowed_tools=["*"], effect="deny")])
    assert [breach.hard for breach in denied.breaches] == [False]
    assert denied.value < WEIGHTS["wider_tools"]


@pytest.mark.parametrize(
    "options",
    [{"max_depth": 0}, {"max_depth": CHAIN_KEPT}, {"soft": ("nonsense",)}, {"kept_share": 2}, {"soft": "x"}],
)
def test_impossible_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"delegation_widening.{next(iter(options))}"):
        DelegationWidening(**options)


def test_a_forged_envelope_is_not_the_first_one_of_its_session(observe: Observe, breaches: Breaches) -> None:
    narrow = {"envelope__allowed_tools": ["contracts.read"], "envelope__delegator_id": "mallory"}
    forged = observe(facts={"signature": "invalid"}, decision__effect="deny", **narrow)
    own = observe(facts={"signature": "valid"})
    assert breaches(DelegationWidening(), forged, own) == {}
    assert breaches(DelegationWidening(), own, forged) == {"reissued_delegator": False}


def test_a_list_that_bounds_nothing_may_be_dropped(observe: Observe, breaches: Breaches) -> None:
    wide = {"allowed_tools": ["*"], "resource_constraints": {"region": ["*"], "data_classes": ["*"]}}
    parent = ParentFact(
        ParentStatus.ACTIVE, Envelope.model_validate_json(json.dumps({**PARENT, **wide})), ("sess_parent",)
    )
    bare = {f"envelope__{name}": value for name, value in {**NARROW, "allowed_tools": []}.items()}
    child = observe(facts={"parent": parent}, **{**bare, "envelope__resource_constraints": {"max_records": 5}})
    assert breaches(DelegationWidening(), child) == {}
    first = observe(envelope__allowed_tools=["*"], envelope__resource_constraints=wide["resource_constraints"])
    again = observe(envelope__allowed_tools=[], envelope__resource_constraints={})
    assert breaches(DelegationWidening(), first, again) == {}
