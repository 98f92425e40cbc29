"""What guardian may do by itself: more of it takes two people, less takes one."""

import shlex
from urllib.parse import quote

import pytest

from guardian.control.authority.situation import in_canary
from guardian.domain.identity import SessionKey


def _put(stage, mode, percent=None, role="admin", who=None):
    body = {"mode": mode, "reason": "because"}
    if percent is not None:
        body["canary_percent"] = percent
    return stage.call("PUT", "/v1/modes/acme", role, who=who, json=body)


def _stands(stage):
    got = stage.call("GET", "/v1/modes/acme").json()
    return got["mode"], got["canary_percent"]


def _two(stage, mode, percent=None):
    asked = _put(stage, mode, percent)
    assert asked.status_code == 202, asked.text
    assert stage.decide(asked.json()["approval"]["id"], "approve").status_code == 200


STEPS = [("shadow", None), ("canary", 10), ("canary", 60), ("enforce", None)]
ORDERED = [(low, high) for n, low in enumerate(STEPS) for high in STEPS[n + 1 :]]


@pytest.mark.parametrize(("before", "after"), ORDERED)
def test_more_takes_two(stage, before, after):
    if before[0] != "shadow":
        _two(stage, *before)
    asked = _put(stage, *after)
    assert asked.status_code == 202
    assert asked.json()["mode"] == before[0], "the mode is still what it was"
    assert _stands(stage) == (before[0], before[1] or 0)
    approval = asked.json()["approval"]
    assert stage.call("GET", "/v1/modes/acme", "analyst").json()["approval"] == approval
    assert stage.decide(approval["id"], "approve").json()["state"] == "approved"
    assert _stands(stage) == (after[0], after[1] or 0)
    assert stage.call("GET", "/v1/modes/acme").json()["approval"] is None


@pytest.mark.parametrize(("after", "before"), ORDERED)
def test_less_takes_one(stage, before, after):
    _two(stage, *before)
    got = _put(stage, *after)
    assert (got.status_code, got.json()["approval"]) == (200, None)
    assert _stands(stage) == (after[0], after[1] or 0)


def test_the_same_again_takes_one(stage):
    _two(stage, "canary", 10)
    assert _put(stage, "canary", 10).status_code == 200


def test_who_asked_and_who_approved_are_both_in_the_audit_trail_with_before_and_after(stage):
    _two(stage, "canary", 10)
    _two(stage, "enforce")
    shown = stage.call("GET", "/v1/modes/acme").json()
    assert (shown["set_by"], shown["reason"]) == ("admin-1", "because")
    _, last = (each for each in stage.audit(action="setMode") if each["allowed"])
    told = ("actor", "approved_by", "before", "before_canary_percent", "result", "canary_percent")
    assert [last[name] for name in told] == ["admin-1", "approver-1", "canary", 10, "enforce", 0]


def test_one_person_alone_widens_only_where_there_is_but_one(make_stage):
    stage = make_stage(solo=True)
    assert _put(stage, "enforce").status_code == 200
    (record,) = stage.audit(action="setMode")
    assert record["solo"] is True
    assert _put(stage, "shadow").status_code == 200
    assert "solo" not in stage.audit(action="setMode")[-1], "narrowing takes one person anywhere"


def test_a_change_made_meanwhile_is_not_undone_by_an_old_approval(stage):
    _two(stage, "canary", 50)
    asked = _put(stage, "enforce").json()["approval"]
    assert _put(stage, "shadow", who="admin-2").status_code == 200, "an incident: somebody pulls the brake"
    got = stage.decide(asked["id"], "approve")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    assert _stands(stage) == ("shadow", 0)
    kept = stage.call("GET", f"/v1/approvals/{asked['id']}").json()
    assert kept["result"].startswith("not done: ")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/modes/%2A", {"mode": "shadow"}),
        ("POST", "/v1/subjects/%2A/agent/agent_7/revoke", {}),
        ("POST", "/v1/sessions/%2A/sess_1/revoke", {}),
        ("POST", "/v1/break-glass", {"tenant_id": "*"}),
    ],
)
def test_an_act_on_every_tenant_at_once_is_refused_and_not_done_for_none(stage, method, path, body):
    got = stage.call(method, path, "admin", "*", json={"reason": "stop", **body})
    assert (got.status_code, "name the one that is meant" in got.json()["detail"]) == (422, True)
    assert stage.ledger() == []


def test_another_change_of_the_mode_has_to_wait_for_the_first_to_be_decided(stage):
    first = _put(stage, "canary", 10).json()["approval"]
    assert _put(stage, "canary", 10, who="admin-2").json()["approval"] == first, "the same act waits already"
    got = _put(stage, "enforce")
    assert (got.status_code, first["id"] in got.json()["detail"]) == (409, True)
    assert stage.decide(first["id"], "withdraw", "admin").status_code == 200
    assert _put(stage, "enforce").status_code == 202


def test_a_canary_touches_its_share_of_the_sessions_and_the_same_ones_each_time(stage, a_finding):
    _two(stage, "canary", 50)
    for n in range(12):
        effect = stage.submit(a_finding(f"sess_{n}")).json()["effect"]
        assert effect == ("revoke" if in_canary(SessionKey("acme", f"sess_{n}"), 50) else "flag")
    revoked = {each["subject_id"] for each in stage.revocations().json()["entries"]}
    assert 0 < len(revoked) < 12


@pytest.mark.parametrize("body", [{"mode": "canary"}, {"mode": "enforce", "canary_percent": 5}])
@pytest.mark.parametrize("more", [{}, {"canary_percent": 0}, {"canary_percent": 100}])
def test_a_share_goes_with_canary_and_with_no_other_mode(stage, body, more):
    got = stage.call("PUT", "/v1/modes/acme", json={"reason": "x", **body, **more})
    assert got.status_code == 422


def test_who_may_not_widen_is_told_so_and_not_to_find_a_second_person(stage):
    got = _put(stage, "canary", 10, role="responder")
    assert (got.status_code, got.json()["detail"]) == (
        403,
        "no policy permits it to the role responder; `guardian policy explain acme --action setMode --role ROLE` "
        "says whether another may",
    )
    assert stage.call("GET", "/v1/approvals").json()["items"] == []


def test_the_command_that_a_refusal_names_can_be_copied_whatever_the_tenant_is_called(stage):
    wanted = {"mode": "enforce", "reason": "x"}
    tenant = "acme; touch PWNED #"
    got = stage.call("PUT", f"/v1/modes/{quote(tenant)}", "responder", tenant, json=wanted)
    command = got.json()["detail"].split("`")[1]
    assert shlex.split(command)[:4] == ["guardian", "policy", "explain", tenant]


def test_about_a_session_it_names_the_session_for_without_one_there_is_no_answer(stage):
    got = stage.call("POST", "/v1/sessions/acme/s%201/revoke", "analyst", json={"reason": "x"})
    command = shlex.split(got.json()["detail"].split("`")[1])
    assert (got.status_code, command) == (
        403,
        ["guardian", "policy", "explain", "acme", "s 1", "--action", "revoke", "--role", "ROLE"],
    )
    tenant, session = command[3:5]
    asked = {"tenant_id": tenant, "session_id": session, "action": "revoke", "role": "responder"}
    assert stage.call("GET", "/v1/policy/explain", "analyst", params=asked).status_code == 200
