"""What a person wanted and did not get is told, and audited, as what it was."""

from guardian.control.cases.events import acted, told_by_audit


def _asked(stage, who="maya"):
    """The approval of a reinstatement that waits."""
    stage.revoke()
    path = "/v1/sessions/acme/sess_1/reinstate"
    return stage.call("POST", path, "responder", who=who, json={"reason": "ours"}).json()["approval"]["id"]


def _say(stage, approval, decision, who, role="approver", **headers):
    body = {"decision": decision, "reason": "No! a real incident"}
    return stage.call("POST", f"/v1/approvals/{approval}/decision", role, who=who, json=body, headers=headers)


def _newest(stage, **said):
    record = stage.audit(**said)[-1]
    event = told_by_audit(record)
    return record, None if event is None else (event.by, event.what)


def test_a_no_that_came_too_late_is_a_no_and_says_that_it_was_decided(stage):
    waits = _asked(stage)
    assert stage.decide(waits, "approve", who="pam").status_code == 200
    assert _say(stage, waits, "deny", "lee").json()["code"] == "decided"
    record, told = _newest(stage, actor="lee")
    assert (record["word"], record["code"], record["allowed"]) == ("deny", "decided", True)
    why = f"{waits} is decided already: approved by pam, {record['because'].partition('pam, ')[2]}"
    assert told == ("lee", f"wanted to deny: reinstate; nothing was done: {why}")
    assert not acted(record)


def test_a_no_to_a_case_that_moved_on_is_a_no(stage, a_finding):
    stage.submit(a_finding())
    waits = _asked(stage)
    assert _say(stage, waits, "deny", "pam", **{"If-Match": '"none"'}).status_code == 412
    _, told = _newest(stage, actor="pam")
    moved = "nothing was done, for the case had changed since it was shown"
    assert told == ("pam", f"wanted to deny: reinstate; {moved}")


def test_who_may_not_take_back_anothers_request_hears_why_and_so_does_the_case(stage):
    waits = _asked(stage)
    assert _say(stage, waits, "withdraw", "lee", role="responder").json()["code"] == "not_yours"
    _, told = _newest(stage, actor="lee")
    why = "only who put it up may withdraw it; deny it instead"
    assert told == ("lee", f"wanted to withdraw: reinstate; nothing was done: {why}")


def test_what_policy_refuses_names_the_policy(stage):
    waits = _asked(stage, who="lee")
    assert _say(stage, waits, "approve", "lee").status_code == 403
    _, told = _newest(stage, actor="lee")
    assert told == ("lee", "wanted to approve: reinstate; refused: nobody-approves-their-own")


def test_a_yes_that_was_overtaken_is_told_as_that_and_not_as_an_act_of_whoever_asked(stage):
    body = {"mode": "canary", "canary_percent": 5, "reason": "more"}
    waits = stage.call("PUT", "/v1/modes/acme", "approver", who="pam", json=body).json()["approval"]["id"]
    body = {"mode": "shadow", "reason": "not now"}  # which one person may do
    assert stage.call("PUT", "/v1/modes/acme", "approver", who="kim", json=body).status_code == 200
    assert stage.decide(waits, "approve", who="lee").json()["code"] == "overtaken"
    record, told = _newest(stage, action="setMode", result="refused")
    why = "the tenant's mode was changed after this was put up; ask again from there"
    assert (record["code"], record["because"]) == ("overtaken", why)
    assert told == ("guardian", f"did not setMode as lee had approved; nothing was done: {why}")


def test_older_records_are_read(stage):
    old = {"at": "2026-05-12T17:04:11+00:00", "actor": "lee", "role": "approver", "action": "approve"}
    refused = {**old, "result": "refused", "allowed": False, "policy_ids": ["nobody-approves-their-own"]}
    assert told_by_audit(refused).what == "wanted to approve; refused: nobody-approves-their-own"
    late = {**old, "result": "refused", "allowed": True, "policy_ids": ["approvers-may-approve"]}
    assert told_by_audit(late).what == "wanted to approve; nothing was done"


def test_a_yes_that_policy_could_not_follow_names_no_policy():
    told = {
        "at": "2026-05-12T17:04:11+00:00", "actor": "guardian-monitor", "role": "monitor", "action": "revoke",
        "result": "refused", "allowed": False, "policy_ids": [], "policy_errors": ["away"], "approved_by": "lee",
    }  # fmt: skip
    event = told_by_audit(told)
    assert (event.by, event.what) == (
        "guardian",
        "did not revoke as lee had approved; refused: policy could not decide",
    )
