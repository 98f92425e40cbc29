"""One person does alone what otherwise takes two: for a while, with a reason, and loudly."""

import json
from datetime import timedelta

import pytest

from guardian.control.lapse import sweep


def _break(stage, minutes=30, role="responder", who=None, tenant="acme"):
    body = {"tenant_id": tenant, "reason": "payroll stands still", "minutes": minutes}
    return stage.call("POST", "/v1/break-glass", role, tenant, who=who, json=body)


def _revoke(stage):
    stage.call("POST", "/v1/sessions/acme/sess_1/revoke", "responder", json={"reason": "stop"})


def _reinstate(stage, role="responder", who=None):
    path = "/v1/sessions/acme/sess_1/reinstate"
    return stage.call("POST", path, role, who=who, json={"reason": "ours"})


def _alerts(stage):
    from sqlalchemy import select

    from guardian.store.control.tables import alert

    with stage.deps.store.read() as rows:
        found = rows.connection.execute(select(alert.c.payload).order_by(alert.c.id))
        findings = [json.loads(row.payload)["finding"] for row in found]
    return [(each["severity"], each["title"], each["tenant_id"]) for each in findings]


def test_under_a_grant_one_person_reinstates_and_the_act_that_needed_it_says_so(stage):
    _revoke(stage)
    grant = _break(stage).json()
    got = _reinstate(stage)
    assert (got.status_code, got.json()["changed"]) == (200, True)
    (record,) = stage.audit(action="reinstate", result="changed")
    assert record["break_glass"] == grant["id"]
    _revoke(stage)
    assert not [each for each in stage.audit(action="revoke") if "break_glass" in each], "which one may do anyway"
    asked = _reinstate(stage, who="responder-2").json()["approval"]["id"]
    _break(stage, role="approver")
    assert stage.decide(asked, "approve").status_code == 200
    for record in (*stage.audit(action="approve"), stage.audit(action="reinstate", result="changed")[-1]):
        assert "break_glass" not in record, "two people did it"


def test_a_grant_is_its_holders_alone(stage):
    _revoke(stage)
    _break(stage)
    assert _reinstate(stage, who="responder-2").status_code == 202


def test_a_grant_gives_guardian_no_more_power(stage):
    _break(stage, role="approver")
    body = {"mode": "enforce", "reason": "x"}
    assert stage.call("PUT", "/v1/modes/acme", "approver", json=body).status_code == 202


def test_a_grant_ends_by_the_clock_even_if_nobody_sweeps(stage):
    _revoke(stage)
    _break(stage, minutes=30)
    stage.clock.pass_(minutes=30)
    assert _reinstate(stage).status_code == 202


@pytest.mark.parametrize("early", [True, False])
def test_a_clock_that_is_set_back_revives_no_grant_whose_end_is_recorded(stage, early):
    _revoke(stage)
    grant = _break(stage, minutes=30).json()
    if early:
        stage.clock.pass_(minutes=20)
        stage.call("POST", f"/v1/break-glass/{grant['id']}/end", "responder", who="responder-2")
    else:
        stage.clock.pass_(minutes=30)
        sweep(stage.deps)
    stage.clock.now -= timedelta(minutes=10)
    assert _reinstate(stage).status_code == 202


def test_everybody_hears_of_it_at_once_and_when_it_is_over(stage):
    grant = _break(stage, minutes=10).json()
    assert _alerts(stage) == [("critical", "responder-1 broke the glass", "acme")]
    stage.clock.pass_(minutes=11)
    sweep(stage.deps)
    sweep(stage.deps)
    assert [severity for severity, _, _ in _alerts(stage)] == ["critical", "medium"]
    (shown,) = stage.call("GET", "/v1/break-glass", "auditor").json()["items"]
    assert (shown["ended_at"], shown["ended_by"]) == (grant["until"], "guardian")
    assert [each["result"] for each in stage.audit(break_glass=grant["id"])] == ["broken", "ran out"]
    assert stage.deps.metrics.value("guardian_break_glass_total") == 1


def test_it_can_be_ended_early_by_any_responder_and_once(stage):
    _revoke(stage)
    grant = _break(stage).json()
    stage.clock.pass_(minutes=1)
    ended = stage.call("POST", f"/v1/break-glass/{grant['id']}/end", "responder", who="responder-2").json()
    assert (ended["ended_by"], ended["until"]) == ("responder-2", grant["until"])
    assert _reinstate(stage).status_code == 202
    again = stage.call("POST", f"/v1/break-glass/{grant['id']}/end", "responder").json()
    assert again == ended
    stage.clock.pass_(hours=2)
    sweep(stage.deps)
    told = [severity for severity, _, _ in _alerts(stage)]
    assert told == ["critical", "medium", "medium"], "of the grant, its end, and who asks after it"


def test_a_longer_wish_is_refused_and_not_shortened(make_stage):
    stage = make_stage(break_glass_most=timedelta(minutes=20))
    got = _break(stage, minutes=21)
    assert (got.status_code, "at most 20" in got.json()["detail"]) == (422, True)
    assert _break(stage, minutes=20).status_code == 200


def test_a_grant_cannot_be_prolonged_while_it_lasts(stage):
    _break(stage, minutes=10)
    assert _break(stage, minutes=60).json()["code"] == "held"
    stage.clock.pass_(minutes=10)
    assert _break(stage, minutes=10).status_code == 200
    assert len([each for each in _alerts(stage) if each[0] == "critical"]) == 2


def test_a_grant_for_one_tenant_is_none_for_another(stage):
    stage.call("POST", "/v1/sessions/globex/sess_1/revoke", "responder", "globex", json={"reason": "stop"})
    _break(stage)
    path = "/v1/sessions/globex/sess_1/reinstate"
    assert stage.call("POST", path, "responder", "globex", json={"reason": "x"}).status_code == 202
    assert stage.call("GET", "/v1/break-glass", "auditor", "globex").json()["items"] == []


@pytest.mark.parametrize("body", [{"minutes": 0}, {"minutes": 1441}, {"reason": " "}, {"tenant_id": ""}])
def test_a_grant_needs_a_reason_a_tenant_and_a_length(stage, body):
    told = {"tenant_id": "acme", "reason": "x", "minutes": 5, **body}
    assert stage.call("POST", "/v1/break-glass", "responder", json=told).status_code == 422


def _listed(stage, **query):
    got = stage.call("GET", "/v1/break-glass", "auditor", params=query)
    assert got.status_code == 200, got.text
    return got.json()


def test_those_that_hold_are_told_apart_from_those_that_are_over(stage):
    assert _listed(stage)["items"] == []
    stage.clock.pass_(minutes=2)
    over, ended, held = (_break(stage, minutes=n, who=f"r{n}").json() for n in (5, 30, 31))
    stage.call("POST", f"/v1/break-glass/{ended['id']}/end", "responder")
    assert [each["id"] for each in _listed(stage, open=True)["items"]] == sorted([over["id"], held["id"]])[::-1]
    stage.clock.pass_(minutes=5)
    assert [each["id"] for each in _listed(stage, open=True)["items"]] == [held["id"]]
    assert {each["id"] for each in _listed(stage)["items"]} == {over["id"], ended["id"], held["id"]}
    stage.clock.now -= timedelta(minutes=6)
    assert _listed(stage, open=True)["items"] == [], "none of them had begun"


def test_every_grant_is_on_some_page_once(stage):
    for n in range(2):
        made = {_break(stage, who=f"r{n}-{of}").json()["id"] for of in range(3)}  # at one moment
        stage.clock.pass_(minutes=1)
    before, seen, cursor = {each["id"] for each in _listed(stage)["items"]} - made, [], {}
    for _ in range(3):
        page = _listed(stage, limit=2, **cursor)
        seen += [each["id"] for each in page["items"]]
        cursor = {"cursor": page["next"]}
    assert (len(seen), page["next"]) == (6, None)
    assert (set(seen[:3]), set(seen[3:])) == (made, before), "the newest first"
    assert _listed(stage, limit=6)["next"] is None


def test_a_cursor_is_no_way_to_ask_after_another_tenants_grants(stage):
    theirs = _break(stage, tenant="globex").json()["id"]
    for cursor in (theirs, "bgl_0"):
        got = stage.call("GET", "/v1/break-glass", "auditor", params={"cursor": cursor})
        assert (got.status_code, "take it from `next`" in got.json()["detail"]) == (422, True)
