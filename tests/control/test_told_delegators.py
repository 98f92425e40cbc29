"""Whom a log names as a session's delegator clears nothing, and gains nothing by it."""

import json
from dataclasses import replace

import pytest

from guardian.control.advice.adviser import AdviceRule
from guardian.domain.finding import Effect, Subject
from guardian.wire.advice import Weighing

ROSA = Subject(delegator_id="rosa", agent_id="agent_1", purpose="review")
WHY = {"reason": "looked at it"}
CLEARING = {
    "verdict": ("POST", "/v1/findings/{id}/verdict", {"verdict": "false_positive", **WHY}),
    "snooze": ("POST", "/v1/cases/acme/sess_1/snooze", {"hours": 4, **WHY}),
    "take": ("POST", "/v1/cases/acme/sess_1/take", {}),
    "note": ("POST", "/v1/cases/acme/sess_1/note", WHY),
    "protect": ("PUT", "/v1/sessions/acme/sess_1/protection", {"protected": True, **WHY}),
    "except": ("POST", "/v1/exceptions", {"finding_id": "{id}", "tool": "crm.export", "days": 7, **WHY}),
    "reinstate": ("POST", "/v1/sessions/acme/sess_1/reinstate", WHY),
}


def of_rosa(stage, a_finding, weak):
    found = a_finding(wanted=Effect.FLAG, evidence=weak).model_copy(update={"subject": ROSA})
    return stage.submit(found).json()["finding_id"]


@pytest.fixture
def flagged(stage, a_finding, weak):
    """The id of a finding that tells of a delegator, of a session that nobody registered."""
    return of_rosa(stage, a_finding, weak)


def do(stage, act, finding_id, who):
    method, path, body = CLEARING[act]
    body = json.loads(json.dumps(body).replace("{id}", finding_id))
    return stage.call(method, path.replace("{id}", finding_id), "approver", who=who, json=body)


@pytest.mark.parametrize("act", CLEARING)
def test_whom_the_log_alone_names_clears_nothing(stage, flagged, act):
    if act == "reinstate":
        stage.revoke()
    refused = do(stage, act, flagged, "rosa")
    assert (refused.status_code, refused.json()["code"]) == (403, "denied")
    assert "delegators-clear-nothing" in refused.json()["detail"]
    (record,) = stage.audit(actor="rosa", result="refused")
    assert (record["allowed"], "delegators-clear-nothing" in record["policy_ids"]) == (False, True)
    assert do(stage, act, flagged, "lee").status_code != 403


@pytest.mark.parametrize("act", CLEARING)
def test_nor_does_whom_an_older_finding_names(stage, a_finding, weak, flagged, act):
    later = a_finding(n=2, wanted=Effect.FLAG, evidence=weak)
    stage.submit(later.model_copy(update={"subject": ROSA.model_copy(update={"delegator_id": "max"})}))
    if act == "reinstate":
        stage.revoke()
    for who in ("rosa", "max"):
        assert do(stage, act, flagged, who).status_code == 403
    assert do(stage, act, flagged, "lee").status_code != 403


def test_a_name_within_another_or_in_what_an_agent_says_bars_nobody(stage, a_finding, weak, flagged):
    says = ROSA.model_copy(update={"purpose": 'x","delegator_id":"lee","y":"'})
    stage.submit(a_finding(n=2, wanted=Effect.FLAG, evidence=weak).model_copy(update={"subject": says}))
    for who in ("lee", "ros", "r%a", "sa", "ROSA"):
        assert do(stage, "snooze", flagged, who).status_code == 200


def test_nor_is_it_the_second_person_who_gives_the_session_back(stage, flagged):
    stage.revoke()
    asked = do(stage, "reinstate", flagged, "maya").json()["approval"]["id"]
    refused = stage.decide(asked, "approve", who="rosa")
    assert (refused.status_code, "delegators-clear-nothing" in refused.json()["detail"]) == (403, True)
    assert stage.decide(asked, "approve", who="lee").status_code == 200


def test_the_registered_delegator_counts_before_the_one_that_is_told(stage, flagged):
    stage.delegate("sess_1", delegator_id="user_1")
    assert do(stage, "snooze", flagged, "user_1").status_code == 403
    assert do(stage, "snooze", flagged, "rosa").status_code == 200


def test_a_log_gives_nobody_the_right_to_stop_a_session(stage, flagged):
    assert (
        stage.call("POST", "/v1/sessions/acme/sess_1/revoke", "analyst", who="rosa", json=WHY).status_code == 403
    )
    stage.delegate("sess_1", delegator_id="rosa")
    assert (
        stage.call("POST", "/v1/sessions/acme/sess_1/revoke", "analyst", who="rosa", json=WHY).status_code == 200
    )


def test_who_is_alone_may(make_stage, a_finding, weak):
    stage = make_stage(solo=True)
    told = of_rosa(stage, a_finding, weak)
    assert do(stage, "verdict", told, "rosa").status_code == 200


def test_a_policy_that_would_let_delegators_clear_gives_a_told_one_nothing(make_stage, a_finding, weak, policies):
    class Kind:
        """Delegators, and nobody else, may be quiet about a session."""

        version = "x"

        def decide(self, request):
            answer = policies.decide(request)
            if request.action != "snooze":
                return answer
            return replace(answer, allowed=request.session.delegator_id == request.asker.id)

    stage = make_stage(pdp=Kind())
    told = of_rosa(stage, a_finding, weak)
    assert do(stage, "snooze", told, "rosa").status_code == 403
    stage.delegate("sess_1", delegator_id="rosa")
    assert do(stage, "snooze", told, "rosa").status_code == 200


def test_whom_a_held_call_acts_for_does_not_let_it_through(make_stage):
    class Strict:
        def weigh(self, line, timeout_s):
            return Weighing(
                score=0.98, session_evidence=5.0, one_in=50_000.0, promised=True, independent_signals=3
            )

    stage = make_stage(adviser=Strict(), advice=AdviceRule(budget_s=60), default_mode="enforce")
    told = {"delegator_id": "rosa", "tenant_id": "acme", "session_id": "sess_1", "purpose": "review"}
    body = {
        "subject": {"type": "session", "id": "sess_1"},
        "action": {"name": "crm.export"},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": told},
    }
    held = stage.call("POST", "/v1/advise", "gateway", json=body).json()["context"]["approval"]["id"]
    refused = stage.decide(held, "approve", who="rosa")
    assert (refused.status_code, "delegators-clear-nothing" in refused.json()["detail"]) == (403, True)
    assert stage.decide(held, "approve", who="lee").status_code == 200
