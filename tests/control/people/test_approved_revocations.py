"""What the monitor may not do by itself waits for people; what they approve is their act."""

from datetime import timedelta

from whole_store import ledger_entries

from guardian.control.cases.events import told_by_audit


def _proposed(stage, a_finding, session="sess_1", **more):
    """The approval that the monitor's finding on a protected session leads to, if any."""
    return stage.submit(a_finding(session, **more)).json()["approval_id"]


def _protect(stage, session="sess_1"):
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", f"/v1/sessions/acme/{session}/protection", "approver", json=body)


def test_an_approved_revocation_is_a_persons_act_and_costs_no_budget(stage, a_finding):
    stage.enforce()
    _protect(stage)
    waiting = _proposed(stage, a_finding)
    shown = stage.call("GET", f"/v1/approvals/{waiting}").json()
    assert (shown["proposer"], shown["finding_id"]) == ("monitor-1", a_finding().id)
    got = stage.decide(waiting, "approve", "responder").json()
    assert got["result"] == "revoked at revision 1.1"
    with stage.deps.store.read() as rows:
        (entry,) = ledger_entries(rows)
        spent = rows.ledger.spent("acme", stage.clock() - timedelta(hours=1), stage.clock())
        changes = [change.word.value for change in rows.sessions.changes(0, None, 10)]
    assert (entry.actor, entry.reason_code, entry.finding_id) == ("responder-1", "approved", a_finding().id)
    assert spent.used == 0
    assert changes == ["revoked"]
    assert [each["subject_id"] for each in stage.revocations().json()["entries"]] == ["sess_1"]


def test_people_are_told_in_the_case_that_it_was_revoked_after_all_and_by_whom(stage, a_finding):
    stage.enforce()
    _protect(stage)
    stage.decide(_proposed(stage, a_finding), "approve", "responder")
    told = map(told_by_audit, stage.audit(session_id="sess_1"))
    assert [(each.by, each.what, each.why) for each in told if each is not None][-2:] == [
        ("responder-1", "approved: revoke", "looked at it"),
        ("guardian", "revoked the session, as responder-1 had approved", ""),
    ]


def test_what_policy_refuses_the_monitor_by_now_is_not_done_though_it_was_approved(make_stage, a_finding):
    stage = make_stage(budget_total=2, budget_reserved=0)
    stage.enforce()
    _protect(stage)
    waiting = _proposed(stage, a_finding)
    for n in range(2):
        assert stage.submit(a_finding(f"other_{n}")).json()["effect"] == "revoke"
    got = stage.decide(waiting, "approve")
    assert (got.status_code, "auto-revoke-within-budget" in got.json()["detail"]) == (403, True)
    kept = stage.call("GET", f"/v1/approvals/{waiting}").json()
    assert kept["state"] == "approved"
    assert kept["result"] == f"not done: {got.json()['detail']}"
    assert stage.status() == "flagged"
    again = stage.decide(waiting, "approve", who="approver-2")
    assert (again.status_code, again.json()["detail"].endswith(f"by approver-1, {kept['result']}")) == (409, True)


def test_whoever_approves_what_is_not_done_hears_that_nothing_waits_and_how_a_person_does_it(stage, a_finding):
    stage.enforce()
    _protect(stage)
    waiting = _proposed(stage, a_finding)
    stage.call("PUT", "/v1/modes/acme", json={"mode": "shadow", "reason": "an incident"})
    said = stage.decide(waiting, "approve").json()["detail"]
    assert said.startswith("denied by auto-revoke-only-in-enforce")
    assert "The request has ended with this yes and waits no more" in said
    assert said.endswith("a person may revoke all the same: guardian revoke acme sess_1 --reason '…'")
    assert stage.revoke().status_code == 200
    assert stage.status() == "revoked"


def test_peoples_later_word_that_it_was_fine_ends_the_monitors_wish(stage, a_finding):
    stage.enforce()
    _protect(stage)
    waiting = _proposed(stage, a_finding)
    verdict = {"verdict": "false_positive", "reason": "it was asked for"}
    stage.call("POST", f"/v1/findings/{a_finding().id}/verdict", "analyst", json=verdict)
    got = stage.decide(waiting, "approve")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    assert stage.status() == "active"


def test_a_session_revoked_by_hand_meanwhile_is_revoked_once(stage, a_finding):
    stage.enforce()
    _protect(stage)
    waiting = _proposed(stage, a_finding)
    stage.revoke()
    got = stage.decide(waiting, "approve")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    assert got.json()["detail"] == "the session was revoked after this was put up"
    assert len(stage.ledger()) == 1


def test_nothing_is_put_up_where_a_second_word_would_not_help(stage, a_finding, weak):
    _protect(stage)
    assert _proposed(stage, a_finding) is None, "in shadow guardian does nothing, approved or not"
    stage.enforce()
    assert _proposed(stage, a_finding, n=1, evidence=weak) is None, "the evidence is weak"
    assert stage.call("GET", "/v1/approvals", params={"state": "pending"}).json()["items"] == []


def test_a_monitor_gone_wrong_leaves_room_for_people(make_stage, a_finding, weak):
    stage = make_stage(approvals_waiting=10)
    stage.enforce()
    put = []
    for n in range(12):
        _protect(stage, f"sess_{n}")
        put.append(_proposed(stage, a_finding, f"sess_{n}"))
    assert (sum(each is not None for each in put), put[9:]) == (9, [None, None, None])
    newest = stage.call("GET", "/v1/cases/acme/sess_11").json()
    assert newest["shown"]["outcome"]["note"].endswith("; nobody was asked: 9 requests wait already")
    stage.submit(a_finding("sess_11", n=1, evidence=weak))
    newest = stage.call("GET", "/v1/cases/acme/sess_11").json()
    assert "nobody was asked" not in newest["shown"]["outcome"]["note"], "a person's word would not have helped"
    stage.revoke("mine")
    stage.revoke("too many")
    for name, answer in (("mine", 202), ("too many", 403)):
        path = f"/v1/sessions/acme/{name}/reinstate"
        got = stage.call("POST", path, "responder", json={"reason": "ours"})
        assert got.status_code == answer
    assert got.json()["detail"].endswith("; nobody was asked: 10 requests wait already")


def test_whom_the_agent_acts_for_may_have_it_stopped_and_not_say_no_to_that(stage, a_finding, hard):
    stage.enforce()
    told = {"delegator_id": "maya", "tenant_id": "acme", "session_id": "sess_1", "purpose": "review"}
    assert stage.call("POST", "/v1/envelopes", "delegation", json={"envelope": told}).status_code == 201
    protect = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", json=protect)
    waits = stage.submit(a_finding(breaches=hard)).json()["approval_id"]
    refused = stage.decide(waits, "deny", "responder", who="maya")
    assert (refused.status_code, refused.json()["code"]) == (403, "denied")
    assert "delegators-clear-nothing" in refused.json()["detail"]
    assert stage.decide(waits, "approve", "responder", who="maya").json()["state"] == "approved"
    assert stage.status() == "revoked"
