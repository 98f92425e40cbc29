"""Requests that something has overtaken end by themselves: they take no place, and nobody is asked about them."""

from datetime import timedelta

import pytest

from guardian.control import lapse
from guardian.control.cases.events import told_by_audit
from guardian.control.lapse import sweep
from guardian.domain.finding import Evidence, NamedBreach


def protected(stage, a_finding, hard, session, **more):
    """The answer to the monitor's wish to revoke a session that only a person may have revoked."""
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", f"/v1/sessions/acme/{session}/protection", "approver", json=body)
    return stage.submit(a_finding(session, breaches=hard, **more)).json()


def withdraw(stage, principal):
    """Take back every token of this principal, as one that leaked."""
    with stage.deps.store.write() as rows:
        ends = stage.clock() + timedelta(days=1)
        named = {"principal_id": principal, "role": "monitor", "tenants": ["acme"], "kid": "k"}
        rows.tokens.add(jti="leaked", **named, issued_at=stage.clock(), expires_at=ends)
        rows.tokens.revoke("leaked", by="operator", now=stage.clock())


def dismissed(stage, asked):
    verdict = {"verdict": "false_positive", "reason": "ours"}
    for each in asked:
        stage.call("POST", f"/v1/findings/{each['finding_id']}/verdict", "analyst", json=verdict)


def revoked(stage, asked):
    for each in asked:
        stage.revoke(each["session_id"])


def leaked(stage, _asked):
    withdraw(stage, "monitor-1")


OVERTAKEN = {
    dismissed: "people decided about this session after this was put up; their word holds",
    revoked: "the session was revoked after this was put up",
    leaked: "a token of monitor-1 was withdrawn after this was put up; if it is still wanted, ask again",
}


def pending(stage):
    return [each["id"] for each in stage.call("GET", "/v1/approvals", params={"state": "pending"}).json()["items"]]


@pytest.mark.parametrize("overtake", OVERTAKEN)
def test_what_is_over_takes_no_place_of_what_has_to_be_asked_now(make_stage, a_finding, hard, overtake):
    stage = make_stage(approvals_waiting=5, default_mode="enforce")
    asked = [protected(stage, a_finding, hard, f"s{n}") for n in range(5)]
    stage.clock.pass_(minutes=1)
    overtake(stage, asked)
    stage.clock.pass_(minutes=1)
    urgent = protected(stage, a_finding, hard, "urgent")["approval_id"]
    assert pending(stage) == [urgent]
    assert stage.decide(urgent, "approve").json()["state"] == "approved"


def test_what_is_over_takes_no_place_while_no_time_is_sure(make_stage, a_finding, hard):
    """As in the first quarter of an hour of every start."""
    stage = make_stage(
        approvals_waiting=5, default_mode="enforce", steady=lambda now: now - timedelta(days=20_000)
    )
    for n in range(5):
        protected(stage, a_finding, hard, f"s{n}")
    assert protected(stage, a_finding, hard, "s5")["approval_id"] is None
    stage.clock.pass_(days=3)
    urgent = protected(stage, a_finding, hard, "urgent", time=stage.clock())["approval_id"]
    assert stage.decide(urgent, "approve").json()["state"] == "approved"


def test_the_sweep_ends_the_wish_to_give_back_what_is_not_revoked_any_more(stage):
    stage.line()
    stage.revoke("root")
    asked = stage.call("POST", "/v1/sessions/acme/child/reinstate", "responder", json={"reason": "ours"})
    stage.reinstate("root")
    assert stage.live() == {}
    sweep(stage.deps)
    ended = stage.call("GET", f"/v1/approvals/{asked.json()['approval']['id']}").json()
    assert (ended["state"], ended["result"]) == ("expired", "the session is not revoked any more")


@pytest.mark.parametrize("overtake", OVERTAKEN)
def test_the_sweep_ends_what_was_overtaken_and_nothing_else(make_stage, a_finding, hard, overtake):
    stage = make_stage(default_mode="enforce")
    asked = [protected(stage, a_finding, hard, name) for name in ("done", "open")]
    before = [each["approval_id"] for each in asked]
    sweep(stage.deps)
    assert pending(stage) == before[::-1]
    stage.clock.pass_(minutes=1)
    overtake(stage, asked[:1])
    for _ in range(2):
        sweep(stage.deps)
    ended = stage.call("GET", f"/v1/approvals/{before[0]}").json()
    assert (ended["state"], ended["decided_by"], ended["result"]) == ("expired", "guardian", OVERTAKEN[overtake])
    assert pending(stage) == ([] if overtake is leaked else before[1:])
    counted = stage.deps.metrics.value("guardian_approvals_total", state="overtaken")
    assert counted == (2 if overtake is leaked else 1), "nobody looks where many expire; of these somebody was"
    (told,) = stage.audit(action="expireApproval", approval_id=before[0])
    assert told_by_audit(told).what == f"the request for approval is over: {OVERTAKEN[overtake]}"


def test_the_sweep_comes_to_the_last_of_many_requests(make_stage, monkeypatch, a_finding, hard):
    monkeypatch.setattr(lapse, "_BATCH", 3)
    stage = make_stage(default_mode="enforce")
    asked = [protected(stage, a_finding, hard, f"s{n}") for n in range(7)]
    stage.clock.pass_(minutes=1)
    revoked(stage, asked[-1:])
    sweep(stage.deps, lambda _s: False)
    assert pending(stage) == [each["approval_id"] for each in asked[-2::-1]]


def test_a_request_whose_finding_cannot_be_read_waits_until_its_time_is_over(make_stage, a_finding, hard):
    stage = make_stage(default_mode="enforce")
    asked = [protected(stage, a_finding, hard, name) for name in ("unread", "done")]
    with stage.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_finding SET finding = '{}' WHERE session_id = 'unread'")
    stage.clock.pass_(minutes=1)
    revoked(stage, asked[1:])
    sweep(stage.deps)
    assert pending(stage) == [asked[0]["approval_id"]]
    again = protected(stage, a_finding, hard, "unread", n=1)["approval_id"]
    assert again == asked[0]["approval_id"]
    stage.clock.pass_(hours=4)
    sweep(stage.deps)
    assert pending(stage) == []


def test_a_request_whose_finding_cannot_be_read_can_be_approved(make_stage, a_finding, hard):
    stage = make_stage(default_mode="enforce")
    asked = protected(stage, a_finding, hard, "unread")["approval_id"]
    with stage.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_finding SET finding = '{}'")
    assert stage.decide(asked, "approve").json()["result"].startswith("revoked at revision")


PARENT = NamedBreach(name="parent_revoked", detail="its parent sess_0 is revoked", hard=True)


def below(stage, a_finding, *breaches, n=0, evidence=None, **more):
    """The answer to a finding of a protected session below sess_0, which is judged by hard rules alone."""
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)
    found = a_finding(n=n, breaches=breaches, evidence=evidence or Evidence(), **more)
    subject = found.subject.model_copy(update={"parent_session_id": "sess_0"})
    return stage.submit(found.model_copy(update={"subject": subject})).json()


@pytest.mark.parametrize("with_parent", [(), (PARENT,)])
def test_what_a_session_broke_itself_is_asked_anew_where_only_its_parents_revocation_waits(
    make_stage, a_finding, hard, with_parent
):
    stage = make_stage(default_mode="enforce")
    stage.revoke("sess_0")
    first = below(stage, a_finding, PARENT)["approval_id"]
    assert below(stage, a_finding, PARENT, n=1)["approval_id"] == first
    second = below(stage, a_finding, *with_parent, *hard, n=2)
    assert second["approval_id"] != first
    assert f"a person is asked, until 2026-05-12 16:00 UTC (approval {second['approval_id']})" in second["note"]
    assert pending(stage) == [second["approval_id"]]
    assert "the session broke more since" in stage.call("GET", f"/v1/approvals/{first}").json()["result"]
    for n, breaches in enumerate(((PARENT,), hard, (*hard, PARENT)), 3):
        assert below(stage, a_finding, *breaches, n=n)["approval_id"] == second["approval_id"]
    stage.clock.pass_(minutes=1)
    stage.reinstate("sess_0")
    sweep(stage.deps)
    assert pending(stage) == [second["approval_id"]]
    assert stage.decide(second["approval_id"], "approve").json()["result"].startswith("revoked at revision")
    assert set(stage.live()) == {"sess_1"}
    (done,) = stage.audit(action="revoke", session_id="sess_1", result="changed")
    assert done["approved_by"] == "approver-1"


def test_what_is_asked_anew_takes_the_place_of_what_waited_where_there_is_no_other(make_stage, a_finding, hard):
    stage = make_stage(approvals_waiting=10, default_mode="enforce")
    stage.revoke("sess_0")
    first = below(stage, a_finding, PARENT)["approval_id"]
    for n in range(9):
        stage.revoke(f"s{n}")
        body = {"reason": "ours"}
        assert stage.call("POST", f"/v1/sessions/acme/s{n}/reinstate", "responder", json=body).status_code == 202
    second = below(stage, a_finding, PARENT, *hard, n=1)["approval_id"]
    assert second is not None
    assert second != first
    assert (second in pending(stage), len(pending(stage))) == (True, 10)


def test_a_request_that_never_rested_on_its_parents_revocation_waits_though_that_was_over(make_stage, a_finding):
    """Its monitor had not heard of it, and the statistics alone were enough to ask a person."""
    stage = make_stage(default_mode="enforce")
    stage.revoke("sess_0")
    stage.clock.pass_(minutes=1)
    stage.reinstate("sess_0")
    stage.clock.pass_(minutes=1)
    strong = a_finding().evidence
    asked = below(stage, a_finding, PARENT, evidence=strong, time=stage.clock())["approval_id"]
    sweep(stage.deps)
    assert pending(stage) == [asked]
    assert stage.decide(asked, "approve").json()["result"].startswith("revoked at revision")


def test_policy_is_shown_at_the_approval_what_then_still_speaks_against_the_session(
    make_stage, policies, a_finding, hard
):
    shown = []

    class Watched:
        version = policies.version

        def decide(self, request):
            if request.action == "revoke" and request.act.approved:
                shown.append(request.evidence.breaches)
            return policies.decide(request)

    stage = make_stage(pdp=Watched(), default_mode="enforce")
    stage.revoke("sess_0")
    waits = below(stage, a_finding, PARENT, *hard)["approval_id"]
    stage.reinstate("sess_0")
    assert stage.decide(waits, "approve").status_code == 200
    assert (shown[0], shown[-1]) == ({"parent_revoked", "envelope_expired"}, {"envelope_expired"})
