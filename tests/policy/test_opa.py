"""OPA: a real Rego evaluator behind the REST shape, and every shape that a rule can have."""

import dataclasses
import time
from pathlib import Path

import httpx
import pytest
from serving import Reply

from guardian.policy.cases import PolicyCase, read_cases
from guardian.policy.facts import facts
from guardian.policy.opa import OpaPoint
from guardian.policy.port import ActFacts

FOLDER = Path(__file__).parents[2] / "config"


@pytest.fixture
def opa(rego_server, numbered):
    def at(path):
        return OpaPoint(url=rego_server.url, path=path, clock=time.monotonic, new_id=numbered, timeout_s=10.0)

    return at


@pytest.mark.parametrize(
    ("rule", "allowed", "ids"),
    [
        ("shapes/yes", True, ()),
        ("shapes/no", False, ()),
        ("shapes/undefined_here", False, ()),
        ("no/such/package", False, ()),
        ("shapes/named", True, ("a", "b")),
    ],
)
def test_a_rule_decides(opa, auto_revoke, rule, allowed, ids):
    decision = opa(rule).decide(auto_revoke)
    assert (decision.allowed, decision.policy_ids, decision.errors) == (allowed, ids, ())


def test_a_rules_reasons_are_told(opa, auto_revoke):
    assert opa("shapes/named").decide(auto_revoke).reasons == {"a": "because", "b": ""}


@pytest.mark.parametrize("rule", ["text", "number", "list", "beside_deny", "textual", "silent", "ids_of_numbers"])
def test_a_rule_of_another_shape_denies_and_says_so(opa, auto_revoke, rule):
    decision = opa(f"shapes/{rule}").decide(auto_revoke)
    assert not decision.allowed
    assert len(decision.errors) == 1


def test_a_whole_package_is_not_a_decision(opa, auto_revoke):
    assert opa("guardian").decide(auto_revoke).errors


def test_opa_gets_the_facts_as_its_input(opa, auto_revoke, rego_server):
    opa("shapes/yes").decide(auto_revoke)
    asked = rego_server.asked[-1]
    assert asked.path == "/v1/data/shapes/yes?provenance=true"
    assert asked.json == {"input": facts(auto_revoke)}
    assert "Authorization" not in asked.headers


def test_the_version_names_rule_and_bundles_as_the_latest_answer_said(opa, auto_revoke, rego_server):
    point = opa("shapes/yes")
    assert point.version == f"opa {rego_server.url}/v1/data/shapes/yes"
    point.decide(auto_revoke)
    assert point.version == f"opa {rego_server.url}/v1/data/shapes/yes authz@rev-7"


@pytest.mark.parametrize(
    "provenance", [None, 7, {}, {"bundles": 1}, {"bundles": {"a": 1}}, {"bundles": {"a": {"revision": 3}}}]
)
def test_an_opa_without_bundles_is_named_without_them(serve, numbered, auto_revoke, provenance):
    pdp = serve(lambda _: Reply({"result": True, "provenance": provenance}))
    point = OpaPoint(url=f"{pdp.url}/", clock=time.monotonic, new_id=numbered, timeout_s=10.0)
    assert point.decide(auto_revoke).allowed
    assert point.version == f"opa {pdp.url}/v1/data/guardian/decision"


def test_hostile_names_are_shown_bounded_and_visible(serve, numbered, auto_revoke):
    told = {"allow": False, "reasons": {"\x1b[2Jid" + "i" * 500: "\u202egood\n" + "r" * 5000}}
    bundles = {"bundles": {f"b{n}\n": {"revision": "x" * 500} for n in range(50)}}
    pdp = serve(lambda _: Reply({"result": told, "provenance": bundles}))
    point = OpaPoint(url=pdp.url, clock=time.monotonic, new_id=numbered, timeout_s=10.0)
    decision = point.decide(auto_revoke)
    (name,), (reason,) = decision.policy_ids, decision.reasons.values()
    assert name.isprintable()
    assert reason.isprintable()
    assert (len(name), len(reason)) == (128, 300)
    assert point.version.isprintable()
    assert len(point.version) < 1200


def test_more_policies_than_anybody_reads_are_an_error(serve, numbered, auto_revoke):
    told = {"allow": True, "policy_ids": [f"p{n}" for n in range(33)]}
    pdp = serve(lambda _: Reply({"result": told}))
    point = OpaPoint(url=pdp.url, clock=time.monotonic, new_id=numbered, timeout_s=10.0)
    assert "33 policies" in point.decide(auto_revoke).causes[0]


@pytest.mark.parametrize("path", ["", "/guardian", "guardian/", "a/../b", "a?b", "a b", "ü"])
def test_a_path_that_is_no_rule_is_refused(numbered, path):
    with pytest.raises(Exception, match=r"policy\.options\.path"):
        OpaPoint(url="https://opa.example", path=path, clock=time.monotonic, new_id=numbered)


@pytest.mark.parametrize(
    "fact", ["mode", "in_canary", "evidence", "budget", "harm", "act", "subject", "resource", "action", "context"]
)
def test_the_example_policies_never_permit_more_when_a_fact_is_missing(rego_server, serve, auto_revoke, fact):
    """An older or other caller may leave facts out; Rego's undefined must not read as "no objection"."""

    told = facts(dataclasses.replace(auto_revoke, act=ActFacts()))
    told.pop(fact, None)
    told.get("context", {}).pop(fact, None)
    answer = httpx.post(f"{rego_server.url}/v1/data/guardian/decision", json={"input": told}, timeout=30).json()
    assert answer["result"]["allow"] is (fact in ("in_canary", "act"))


def people():
    cases = read_cases((FOLDER / "policies" / "cases.yaml").read_text(), FOLDER)
    return [case for case in cases if case.role != "monitor"]


def test_the_example_policies_give_people_nothing_that_the_shipped_ones_refuse(opa):
    point = opa("guardian/decision")
    refused = [case for case in people() if case.expect == "deny"]
    assert len(refused) > 20
    assert [case.name for case in refused if point.decide(case.request).allowed] == []


@pytest.mark.parametrize(
    "case",
    [
        {"role": "gateway", "action": "readRevocations", "session": None},
        {"role": "delegation", "action": "registerEnvelope"},
        {"role": "auditor", "action": "readChanges", "tenant": None, "session": None},
        {"role": "metrics", "action": "readMetrics", "tenant": None, "session": None},
        {"role": "analyst", "action": "dismiss"},
        {"role": "analyst", "action": "revoke", "actor": "ann", "on_call": ["ann"]},
        {"role": "analyst", "action": "revoke", "actor": "ann", "delegator": "ann"},
        {"role": "analyst", "action": "revoke", "actor": "ann", "purpose_owners": ["ann"]},
        {"role": "responder", "action": "reinstate", "act": {"approved": True}},
        {"role": "responder", "action": "approve", "target": "revoke"},
        {"role": "approver", "action": "setMode", "session": None, "solo": True, "act": {"widens": True}},
        {"role": "admin", "action": "resetBreaker", "session": None},
    ],
    ids=lambda case: f"{case['role']} {case['action']}",
)
def test_the_example_policies_let_people_work(opa, case):
    request = PolicyCase(name="x", expect="allow", **case).request
    assert opa("guardian/decision").decide(request).allowed
