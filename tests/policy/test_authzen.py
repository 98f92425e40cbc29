"""AuthZEN 1.0: the request as the specification shapes it, and what of an answer counts."""

import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import Reply

from guardian.policy.authzen import AuthzenPoint
from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import PolicyFiles
from guardian.policy.port import (
    ActFacts,
    Asker,
    BudgetFacts,
    EvidenceFacts,
    HarmFacts,
    PolicyAction,
    PolicyRequest,
    SessionFacts,
)
from guardian.wire.base import Mode
from guardian.wire.principal import ROLES

SHIPPED = CedarPolicies.from_files(PolicyFiles.read(Path(__file__).parents[2] / "config" / "policies"))


@pytest.fixture
def answering(serve, numbered):
    """A point whose PDP gives this one answer to everything, and the PDP."""

    def started(answer, **more):
        pdp = serve(lambda _: Reply(answer))
        return AuthzenPoint(url=pdp.url, clock=time.monotonic, new_id=numbered, timeout_s=10.0, **more), pdp

    return started


def test_the_request_has_the_shape_of_the_specification(answering, auto_revoke):
    point, pdp = answering({"decision": True}, token="t0ken")
    asked_about = replace(
        auto_revoke, action="propose", target="revoke", session=SessionFacts("s/1", data_classes=frozenset("ba"))
    )
    assert point.decide(asked_about).allowed
    (asked,) = pdp.asked
    assert asked.path == "/access/v1/evaluation"
    assert asked.headers["X-Request-ID"] == "request-1"
    assert asked.headers["Authorization"] == "Bearer t0ken"
    assert asked.headers["Content-Type"] == "application/json"
    assert set(asked.json) == {"subject", "action", "resource", "context"}
    assert asked.json["subject"] == {
        "type": "principal",
        "id": "monitor-1",
        "properties": {"role": "monitor", "tenants": ["acme"], "every_tenant": False},
    }
    assert asked.json["action"] == {"name": "propose", "properties": {"target": "revoke"}}
    assert asked.json["resource"]["type"] == "session"
    assert asked.json["resource"]["id"] == "acme/s/1"
    assert asked.json["resource"]["properties"]["data_classes"] == ["a", "b"]
    assert asked.json["context"]["evidence"]["one_in"] == 50_000


def test_every_request_has_its_own_id(answering, auto_revoke):
    point, pdp = answering({"decision": False})
    for _ in range(3):
        point.decide(auto_revoke)
    assert [asked.headers["X-Request-ID"] for asked in pdp.asked] == ["request-1", "request-2", "request-3"]


def test_a_base_path_is_kept(serve, numbered, auto_revoke):
    pdp = serve(lambda _: Reply({"decision": True}))
    point = AuthzenPoint(url=f"{pdp.url}/pdp/", clock=time.monotonic, new_id=numbered, timeout_s=10.0)
    assert point.decide(auto_revoke).allowed
    assert pdp.asked[0].path == "/pdp/access/v1/evaluation"
    assert point.version == f"authzen {pdp.url}/pdp/access/v1/evaluation"


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize(
    ("context", "reasons"),
    [
        ({}, {}),
        ({"anything": {"else": [1]}}, {}),
        ({"reason": "session revoked"}, {"authzen": "session revoked"}),
        ({"reason": "r", "policy_ids": ["b", "a"]}, {"a": "r", "b": "r"}),
        ({"reason": "r", "policy_ids": ["b", "a"], "reasons": {"a": "own"}}, {"a": "own", "b": "r"}),
        ({"policy_ids": ["p"]}, {"p": ""}),
        ({"policy_ids": "p", "reasons": ["theirs"]}, {}),
        ({"reason": {"en": "in words"}}, {}),
        ({"obligations": []}, {}),
    ],
)
def test_a_context_explains_and_decides_nothing(answering, auto_revoke, allowed, context, reasons):
    point, _ = answering({"decision": allowed, "context": context, "unknown": 1})
    decision = point.decide(auto_revoke)
    assert (decision.allowed, dict(decision.reasons), decision.errors) == (allowed, reasons, ())
    assert decision.policy_ids == tuple(sorted(reasons))


@pytest.mark.parametrize("obligations", [[{"id": "1", "type": "log"}], {"type": "mask"}, "notify", True, 0])
def test_a_permit_under_obligations_is_no_permit(answering, auto_revoke, obligations):
    point, _ = answering({"decision": True, "context": {"obligations": obligations}})
    decision = point.decide(auto_revoke)
    assert not decision.allowed
    assert "obligations" in decision.causes[0]


def test_a_denial_with_obligations_stays_a_plain_denial(answering, auto_revoke):
    point, _ = answering({"decision": False, "context": {"obligations": [{"type": "log"}], "reason": "no"}})
    decision = point.decide(auto_revoke)
    assert (decision.allowed, decision.errors, dict(decision.reasons)) == (False, (), {"authzen": "no"})


@pytest.mark.parametrize(
    "answer", [{}, {"decision": None}, {"decision": True, "context": "because"}, {"allow": True}]
)
def test_without_a_boolean_decision_and_a_sound_context_nothing_is_decided(answering, auto_revoke, answer):
    point, _ = answering(answer)
    decision = point.decide(auto_revoke)
    assert not decision.allowed
    assert len(decision.errors) == 1


def test_hostile_reasons_are_shown_bounded_and_visible(answering, auto_revoke):
    point, _ = answering({"decision": False, "context": {"reason": "\x1b]0;owned\x07\u200b" + "x" * 9000}})
    (reason,) = point.decide(auto_revoke).reasons.values()
    assert reason.isprintable()
    assert len(reason) == 300


@pytest.fixture
def in_front_of_cedar(authzen_server, numbered):
    point = AuthzenPoint(url=authzen_server.url, clock=time.monotonic, new_id=numbered, timeout_s=10.0)
    yield point
    point.close()


NAMES = st.text(max_size=12)
COUNTS = st.integers(0, 30) | st.integers(0, 10**6)
REQUESTS = st.builds(
    PolicyRequest,
    asker=st.builds(
        Asker,
        id=st.sampled_from(["ann", "bob"]),
        role=st.sampled_from(ROLES),
        tenants=st.frozensets(st.sampled_from(["acme", "globex", "*"]), max_size=2),
    ),
    action=st.sampled_from(get_args(PolicyAction)),
    tenant_id=st.none() | st.sampled_from(["acme", "globex"]),
    session=st.none()
    | st.builds(
        SessionFacts,
        session_id=NAMES,
        protected=st.booleans(),
        revoked=st.booleans(),
        registered=st.booleans(),
        delegator_id=st.none() | st.sampled_from(["ann", "bob"]),
        purpose=NAMES,
        data_classes=st.frozensets(st.sampled_from(["restricted", "public"])),
        purpose_owners=st.frozensets(st.sampled_from(["ann", "bob"])),
    ),
    mode=st.sampled_from(get_args(Mode)),
    in_canary=st.booleans(),
    solo=st.booleans(),
    on_call=st.frozensets(st.sampled_from(["ann", "bob"])),
    evidence=st.builds(
        EvidenceFacts,
        one_in=COUNTS,
        session_evidence_milli=COUNTS,
        independent_signals=st.integers(0, 3),
        hard_breach=st.booleans(),
        breaches=st.frozensets(NAMES, max_size=2),
    ),
    budget=st.builds(BudgetFacts, total=COUNTS, reserved=COUNTS, used=COUNTS, used_general=COUNTS),
    harm=st.builds(HarmFacts, registered_sessions=COUNTS, revoked_permille=COUNTS, breaker_open=st.booleans()),
    act=st.builds(ActFacts, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    target=st.none() | st.sampled_from(get_args(PolicyAction)),
    hour=st.integers(0, 23),
    weekday=st.integers(0, 6),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=REQUESTS)
def test_policies_behind_authzen_decide_as_they_do_in_process(in_front_of_cedar, request):
    there, here = in_front_of_cedar.decide(request), SHIPPED.decide(request)
    assert (there.allowed, there.policy_ids) == (here.allowed, here.policy_ids)
