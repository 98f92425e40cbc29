"""What holds for every signal, found by listing the folder: a new one is tested before its own test is written."""

import copy
import dataclasses
import importlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from guardian.domain.envelope import Envelope
from guardian.domain.event import DecisionEvent
from guardian.domain.signal import BaselineFact, CredentialHit, Observation, ParentFact, ParentStatus

STATE_BYTES = 64_000
NOW = datetime(2026, 5, 12, 17, 0, tzinfo=UTC)
TOOLS = ["contracts.read", "crm.read", "tickets.create", "payments.export", "email.send", "*", "crm.*"]

identifiers = st.sampled_from(["sess_1", "sess_2", "tenant_acme", "user_7", "svc-prod", "x" * 400, "ünï"])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**400), st.floats(), st.text(max_size=12), identifiers
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "customer_id contract_ids contractId max_records min_age data_classes tenant_id session_id records password "
    "allowed_regions max_amount amount age order_id order"
)
keys = st.sampled_from(["", *KEYS.split()])
times = st.integers(-(10**6), 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds))
envelopes = st.builds(
    Envelope,
    delegator_id=identifiers,
    tenant_id=identifiers,
    session_id=identifiers,
    purpose=st.sampled_from(
        ["", "review_contract", "review contract and send refund", "do anything", "*", "refund order 5512"]
    )
    | st.text(max_size=30),
    allowed_tools=st.lists(st.sampled_from(TOOLS), max_size=4).map(tuple),
    resource_constraints=st.dictionaries(keys, values, max_size=4),
    expires_at=st.none() | times,
    agent_id=st.none() | identifiers,
    parent_session_id=st.none() | identifiers,
)


@st.composite
def events(draw: st.DrawFn) -> DecisionEvent:
    optional: dict[str, Any] = {}
    if draw(st.booleans()):
        optional["result"] = {"status": "ok", "records": draw(st.none() | st.integers(0, 10**6))}
    return DecisionEvent.model_validate(
        {
            "schema": "guardian.decision/v1",
            "id": "dec_1",
            "time": draw(times),
            "gateway": "gw",
            "envelope": draw(envelopes),
            "action": {
                "tool": draw(st.sampled_from(TOOLS) | st.text("abc.<>\u202e", min_size=1, max_size=9)),
                "arguments": draw(st.none() | st.dictionaries(keys, values, max_size=4)),
                "resource": draw(st.none() | st.just({"type": "contract", "id": "contract_7781"})),
                "data_classes": draw(st.none() | st.just(("renewal_terms",))),
                "records": draw(st.none() | st.integers(0, 10**40)),
            },
            "decision": {"effect": draw(st.sampled_from(["allow", "deny"]))},
            **optional,
        }
    )


baselines = st.builds(
    BaselineFact,
    version=st.just("v1"),
    sessions=st.integers(0, 500),
    tools=st.dictionaries(st.sampled_from(TOOLS), st.integers(0, 10**5)),
    transitions=st.dictionaries(
        st.sampled_from(["", *TOOLS]), st.dictionaries(st.sampled_from(TOOLS), st.integers(0, 10**5))
    ),
    record_sizes=st.lists(st.integers(0, 1000), max_size=60).map(lambda sizes: tuple(sorted(sizes))),
    hours=st.lists(st.integers(0, 1000), min_size=24, max_size=24).map(tuple),
)


@st.composite
def seen(draw: st.DrawFn) -> Observation:
    event = draw(events())
    return Observation(
        event,
        draw(times),
        fit=draw(st.none() | st.floats(0, 1)),
        parent=draw(
            st.builds(
                ParentFact,
                st.sampled_from(ParentStatus),
                st.none() | envelopes,
                st.lists(identifiers, max_size=7).map(tuple),
            )
        ),
        baseline=draw(st.none() | baselines),
        credentials=draw(st.just(()) | st.just((CredentialHit("github_token", "arguments.x"),))),
        signature=draw(st.sampled_from(["absent", "unchecked", "missing", "valid", "invalid"])),
        other_purposes=draw(st.integers(0, 50)),
        clock_suspect=draw(st.booleans()),
    )


sessions = st.lists(seen(), min_size=1, max_size=4)
relaxed = settings(
    max_examples=60,  # each is shown to every signal: to draw one takes longer than to fold it
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@relaxed
@given(session=sessions)
def test_a_fold_is_pure_bounded_and_its_state_survives_storage(
    every_signal: list[str], fold_of: Any, session: list[Observation]
) -> None:
    for signal_name in every_signal:
        note(signal_name)
        fold = fold_of(signal_name)
        assert fold.name == signal_name
        state = fold.start()
        for one in session:
            before = copy.deepcopy(state)
            after, signal = fold.fold(state, one)
            assert state == before
            assert json.loads(json.dumps(after)) == after
            assert fold.fold(json.loads(json.dumps(state)), one) == (after, signal)
            assert signal.name == signal_name
            assert 0.0 <= signal.value <= 1.0
            accuses = any(breach.accuses for breach in signal.breaches)
            assert not (signal.silent and (signal.value or accuses))
            assert signal.reason
            state = after


@relaxed
@given(session=sessions)
def test_what_a_signal_says_is_bounded_and_on_one_line(
    every_signal: list[str], fold_of: Any, folded: Any, session: list[Observation]
) -> None:
    for signal_name in every_signal:
        note(signal_name)
        for signal in folded(fold_of(signal_name), session)[1]:
            assert len({breach.name for breach in signal.breaches}) == len(signal.breaches)
            assert {breach.name for breach in signal.breaches} <= set(fold_of(signal_name).breaches)
            for said in (signal.reason, *(breach.detail for breach in signal.breaches)):
                assert len(said) <= 1_000
                assert said.isprintable()
                assert "<" not in said


@pytest.fixture(scope="module")
def hostile_session(observe: Any) -> list[Observation]:
    """Two thousand actions, each with names, envelopes and quantities never seen before."""
    return [
        observe(
            action__tool=f"tool_{at}_" + "x" * 480,
            envelope__allowed_tools=[f"tool_{at}_{n}_" + "y" * 480 for n in range(5)],
            envelope__purpose=f"purpose {at} " + "z" * 500,
            envelope__resource_constraints={f"max_thing_{at}": at, "max_records": 10**30},
            action__records=10**40 + at,
            decision__effect="deny" if at % 3 == 0 else "allow",
        )
        for at in range(2_000)
    ]


def test_two_thousand_hostile_actions_leave_a_bounded_state(
    signal_name: str, fold_of: Any, folded: Any, hostile_session: list[Observation]
) -> None:
    state, signals = folded(fold_of(signal_name), hostile_session)
    assert len(signals) == 2_000
    assert len(json.dumps(state)) < STATE_BYTES


def test_every_signal_is_a_frozen_dataclass_that_works_with_no_options_given(signal_name: str) -> None:
    plugin = importlib.import_module(f"guardian.signals.{signal_name}").plugin
    made = plugin()
    assert dataclasses.is_dataclass(made)
    for option in dataclasses.fields(made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, option.name, None)


def test_every_signal_says_how_much_it_counts_and_what_a_finding_about_each_rule_is_called(
    signal_name: str, fold_of: Any
) -> None:
    fold = fold_of(signal_name)
    assert 0.0 <= fold.weight < 1.0
    for title in fold.breaches.values():
        assert title[0].isupper()
        assert not title.endswith(".")
