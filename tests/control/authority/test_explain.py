"""May the monitor revoke this session now, and which policy decides?"""

from typing import get_args

import pytest

from guardian.policy.port import PolicyAction


def explained(stage, by="analyst", **query):
    return stage.call("GET", "/v1/policy/explain", by, params={"tenant_id": "acme", **query})


def test_it_says_what_the_monitor_may_do_and_which_policy_decides(stage, a_finding, weak):
    stage.enforce()
    sent = a_finding(evidence=weak)
    stage.submit(sent)
    stage.clock.pass_(minutes=1)
    strong = stage.submit(a_finding("sess_2", wanted="flag")).json()
    got = explained(stage, session_id="sess_2").json()
    assert (got["allowed"], got["policy_ids"]) == (True, ["monitor-may-revoke-on-strong-evidence"])
    assert got["reasons"] == {
        "monitor-may-revoke-on-strong-evidence": "very strong evidence from at least two independent signals"
    }
    assert (got["actor"], got["role"], got["action"]) == ("monitor", "monitor", "revoke")
    assert got["facts"]["evidence_from"] == strong["finding_id"]
    assert got["facts"]["evidence"]["one_in"] == 50_000
    assert got["facts"]["mode"] == "enforce"
    assert "jti" not in got["facts"]["asker"], "policy is not told of it"
    assert got["policy_version"] == stage.deps.pdp.version
    not_enough = explained(stage, session_id="sess_1").json()
    assert (not_enough["allowed"], not_enough["policy_ids"], not_enough["needs_approval"]) == (False, [], False)
    assert not_enough["facts"]["evidence_from"] == sent.id
    assert "1 kind strong enough alone, no hard breach that asks for it" in not_enough["reasons"]["evidence"]


def test_what_is_delivered_late_is_not_taken_for_the_newest_evidence(stage, a_finding, weak, hard):
    for found in (a_finding(n=2, breaches=hard), a_finding(n=1, wanted="flag", evidence=weak)):
        stage.submit(found)
    stage.enforce()
    got = explained(stage, session_id="sess_1").json()
    assert got["facts"]["evidence_from"] == a_finding(n=2).id
    assert "monitor-may-revoke-on-hard-breach" in got["policy_ids"]


def test_a_session_that_nobody_knows_has_no_evidence(stage):
    got = explained(stage, session_id="ghost").json()
    assert (got["allowed"], got["facts"]["evidence_from"]) == (False, None)
    assert "auto-revoke-only-in-enforce" in got["policy_ids"]


def test_it_says_where_only_a_second_person_is_missing(stage, a_finding):
    stage.enforce()
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", json={"protected": True, "reason": "payroll"})
    stage.submit(a_finding(wanted="flag"))
    got = explained(stage, session_id="sess_1").json()
    assert (got["allowed"], got["needs_approval"]) == (False, True)
    assert got["policy_ids"] == ["auto-revoke-never-protected"]
    lifted = explained(stage, action="setMode", role="admin")
    assert lifted.json()["needs_approval"] is True


def test_what_people_dismissed_counts_no_more(stage, a_finding, hard):
    stage.enforce()
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", json={"protected": True, "reason": "payroll"})
    sent = a_finding(breaches=hard)
    stage.submit(sent)
    asked = explained(stage, session_id="sess_1").json()
    assert (asked["needs_approval"], asked["facts"]["evidence_counts_less"]) == (True, None)
    stage.clock.pass_(minutes=1)
    verdict = {"verdict": "false_positive", "reason": "ours"}
    stage.call("POST", f"/v1/findings/{sent.id}/verdict", "analyst", json=verdict)
    got = explained(stage, session_id="sess_1").json()
    told = ("evidence_from", "evidence_counts_less")
    word = "people decided about this session after this finding; their word holds"
    assert (got["allowed"], got["needs_approval"]) == (False, False)
    assert [got["facts"][name] for name in told] == [sent.id, word]
    assert (got["facts"]["evidence"]["hard_breach"], got["facts"]["evidence"]["one_in"]) == (False, 1)
    assert stage.submit(a_finding(n=1, breaches=hard)).json()["code"] == "superseded"


def test_asking_changes_nothing_and_is_not_counted_as_a_decision(stage, a_finding):
    stage.submit(a_finding())
    before = stage.audit()
    explained(stage, session_id="sess_1")
    assert stage.audit() == before
    counted = stage.deps.metrics.value("guardian_policy_decisions_total", action="revoke", decision="deny")
    assert counted == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"action": "revoke"}, 422),
        ({"action": "setMode", "session_id": "s"}, 422),
        ({"action": "conquer"}, 422),
        ({"role": "emperor", "session_id": "s"}, 422),
        ({"session_id": "a\x00b"}, 422),
        ({"tenant_id": "globex", "session_id": "s"}, 404),
        ({"action": "approve", "role": "approver"}, 200),
        ({"action": "propose", "session_id": "s"}, 200),
        ({"action": "readMetrics", "role": "metrics"}, 200),
    ],
)
def test_questions_that_make_no_sense_are_refused(stage, query, status):
    assert explained(stage, **query).status_code == status


def test_no_question_that_is_answered_breaks_the_decision_point(stage, a_finding):
    stage.submit(a_finding())
    for action in get_args(PolicyAction):
        for session in ({}, {"session_id": "sess_1"}):
            got = explained(stage, action=action, role="admin", **session)
            assert got.status_code == 422 or got.json()["errors"] == [], action


@pytest.mark.parametrize("by", ["monitor", "gateway", "metrics", "delegation"])
def test_only_who_may_read_may_ask(stage, by):
    assert explained(stage, by, session_id="sess_1").status_code == 403
