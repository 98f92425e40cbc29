"""Acts that take two: put up by one, decided by another, done once, on the facts of the moment."""

import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.alerting.port import Alert
from guardian.control.authentication.visiting import Visits
from guardian.control.deps import VisitRule
from guardian.control.lapse import sweep
from guardian.control.people import acts
from guardian.control.people.deciding import decide
from guardian.control.problems import Refusal
from guardian.domain.finding import NamedBreach
from guardian.domain.identity import SessionKey
from guardian.store.control.alerts import UNNAMED
from guardian.wire.approvals import ApprovalDecision
from guardian.wire.principal import Principal

HARD = (NamedBreach(name="envelope_expired", detail="used 5 minutes after its expiry", hard=True),)


def _ask(stage, session="sess_1", role="responder", who=None):
    path = f"/v1/sessions/acme/{session}/reinstate"
    return stage.call("POST", path, role, who=who, json={"reason": "ours"})


def _waiting(stage, session="sess_1"):
    stage.revoke(session)
    return _ask(stage, session).json()["approval"]["id"]


# -- what one person asks ----------------------------------------------------------------------------------


def test_what_takes_two_waits_and_nothing_is_done(stage):
    stage.revoke()
    got = _ask(stage)
    assert got.status_code == 202
    approval = got.json()["approval"]
    assert (got.json()["changed"], got.json()["session"]["status"]) == (False, "revoked")
    told = ("action", "proposer", "reason", "state", "session_id", "policy_ids")
    assert [approval[name] for name in told] == [
        "reinstate",
        "responder-1",
        "ours",
        "pending",
        "sess_1",
        ["reinstating-takes-two"],
    ]
    assert approval["expires_at"] == "2026-05-12T16:00:00Z"
    assert stage.ledger() == [("revoked", "manual", "responder-1")]
    assert [each["result"] for each in stage.audit(approval_id=approval["id"])] == ["waits", "waits"]


def test_all_channels_hear_that_a_person_asks_about_a_session_and_where_it_is_shown(make_stage):
    pages = VisitRule(url="https://guardian.example/console")
    stage = make_stage(public_url="https://guardian.example/", console=pages)
    waiting = _waiting(stage, "sess/1")
    assert _ask(stage, "sess/1", who="responder-2").json()["approval"]["id"] == waiting
    with stage.deps.store.write() as rows:
        alert = Alert.model_validate_json(rows.alerts.claim(UNNAMED, stage.clock()).payload)
        assert rows.alerts.claim(UNNAMED, stage.clock()) is None, "nobody is told twice"
    assert alert.finding.title == "responder-1 asks for a second person: reinstate session sess/1"
    assert alert.finding.versions["approval"] == waiting
    assert "ours" in alert.finding.reasons[0].text
    assert alert.link == "https://guardian.example/console/session?tenant=acme&id=sess%2F1"
    assert stage.call("GET", "/v1/sessions/acme/sess/1").status_code == 200


def test_a_second_person_approves_and_it_is_done_at_once(stage):
    waiting = _waiting(stage)
    got = stage.decide(waiting, "approve").json()
    told = ("state", "decided_by", "decision_reason", "result")
    assert [got[name] for name in told] == ["approved", "approver-1", "looked at it", "reinstated at revision 1.2"]
    assert stage.status() == "active"
    assert stage.ledger()[-1] == ("reinstated", "approved", "responder-1")
    (done,) = stage.audit(action="reinstate", allowed=True)
    assert (done["approved_by"], done["approval_id"]) == ("approver-1", waiting)
    words = stage.call("GET", "/v1/session-changes", "monitor").json()["items"]
    assert words[-1]["word"] == "reinstated"


def test_nobody_approves_their_own_whatever_their_role(stage):
    stage.revoke()
    waiting = _ask(stage, role="admin").json()["approval"]["id"]
    for role in ("admin", "approver"):
        got = stage.decide(waiting, "approve", role, who="admin-1")
        assert (got.status_code, "nobody-approves-their-own" in got.json()["detail"]) == (403, True)
    assert stage.status() == "revoked"
    assert stage.decide(waiting, "approve", "admin", who="admin-2").status_code == 200


@pytest.mark.parametrize("role", ["monitor", "gateway", "analyst", "responder", "auditor", "metrics"])
def test_only_approvers_give_the_second_word_on_a_reinstatement(stage, role):
    waiting = _waiting(stage)
    got = stage.decide(waiting, "approve", role, who="somebody-else")
    assert got.status_code == 403
    assert stage.status() == "revoked"
    refused = stage.audit(approval_id=waiting, action="approve")
    assert [(each["actor"], each["allowed"]) for each in refused] == [("somebody-else", False)]


def test_what_is_denied_is_not_done(stage):
    waiting = _waiting(stage)
    assert stage.decide(waiting, "deny").json()["state"] == "denied"
    assert stage.status() == "revoked"
    assert stage.decide(waiting, "approve", who="approver-2").json()["code"] == "decided"
    assert _ask(stage).json()["approval"]["id"] != waiting, "it may be asked for again"


def test_only_the_proposer_withdraws(stage):
    waiting = _waiting(stage)
    got = stage.decide(waiting, "withdraw")
    assert (got.status_code, got.json()["code"]) == (403, "not_yours")
    assert stage.decide(waiting, "withdraw", "responder").json()["state"] == "withdrawn"
    assert stage.decide(waiting, "approve").status_code == 409


def test_the_same_act_waits_once_whoever_asks(stage):
    waiting = _waiting(stage)
    assert _ask(stage, who="responder-2").json()["approval"]["id"] == waiting
    assert len(stage.call("GET", "/v1/approvals").json()["items"]) == 1


def test_a_one_person_deployment_needs_no_second_one_and_says_so(make_stage):
    stage = make_stage(solo=True)
    stage.revoke()
    assert _ask(stage).json()["changed"] is True
    assert stage.audit(action="reinstate")[0]["solo"] is True
    assert "solo" not in stage.audit(action="revoke")[0]


@pytest.mark.parametrize(("decision", "done"), [("approve", 200), ("deny", 412)])
def test_what_the_session_does_meanwhile_holds_up_no_revocation_but_a_no_to_it(
    make_stage, a_finding, decision, done
):
    stage = make_stage(default_mode="enforce", protected={"acme": frozenset({"sess_1"})})
    asked = stage.submit(a_finding(breaches=HARD)).json()["approval_id"]
    seen = stage.call("GET", "/v1/cases/acme/sess_1").headers["ETag"]
    stage.submit(a_finding(n=1, breaches=HARD))
    assert stage.call("GET", "/v1/cases/acme/sess_1").headers["ETag"] != seen
    body = {"decision": decision, "reason": "looked at it"}
    path = f"/v1/approvals/{asked}/decision"
    got = stage.call("POST", path, "approver", json=body, headers={"If-Match": seen})
    assert (got.status_code, stage.status()) == (done, "revoked" if done == 200 else "flagged")


# -- time, and what happens meanwhile ------------------------------------------------------------------------


def test_what_expired_cannot_be_approved(stage):
    waiting = _waiting(stage)
    stage.clock.pass_(hours=4)
    got = stage.decide(waiting, "approve")
    assert (got.status_code, got.json()["code"]) == (409, "expired")
    assert stage.call("GET", f"/v1/approvals/{waiting}").json()["state"] == "expired"
    assert stage.status() == "revoked"


def test_the_sweep_ends_what_nobody_decided_and_audits_it(stage):
    waiting = _waiting(stage)
    stage.clock.pass_(hours=4)
    sweep(stage.deps)
    sweep(stage.deps)
    assert stage.call("GET", f"/v1/approvals/{waiting}").json()["state"] == "expired"
    assert len(stage.audit(action="expireApproval", approval_id=waiting)) == 1
    states = {
        state: stage.deps.metrics.value("guardian_approvals_total", state=state)
        for state in ("pending", "expired")
    }
    assert states == {"pending": 1, "expired": 1}
    assert _ask(stage).json()["approval"]["id"] != waiting


def test_an_approval_never_undoes_what_people_decided_after_it_was_put_up(stage):
    stale = _waiting(stage)
    stage.call("POST", "/v1/break-glass", "approver", json={"tenant_id": "acme", "reason": "now"})
    assert _ask(stage, role="approver").json()["changed"] is True
    stage.revoke()
    got = stage.decide(stale, "approve", who="approver-2")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    assert stage.status() == "revoked", "the second revocation was not what this approval was about"


def test_who_calls_it_a_false_positive_meanwhile_does_not_stand_in_the_way_of_giving_it_back(stage, a_finding):
    found = stage.submit(a_finding()).json()["finding_id"]
    stage.revoke()
    path, body = "/v1/sessions/acme/sess_1/reinstate", {"reason": "ours"}
    asked = stage.call("POST", path, "responder", json=body).json()["approval"]["id"]
    verdict = {"verdict": "false_positive", "reason": "a known export"}
    assert stage.call("POST", f"/v1/findings/{found}/verdict", "analyst", json=verdict).status_code == 200
    assert stage.decide(asked, "approve").status_code == 200
    assert stage.status() == "active"


def test_a_revocation_that_lapsed_and_came_anew_is_another_one(make_stage):
    stage = make_stage(approval_life=timedelta(days=90))
    stale = _waiting(stage)
    stage.clock.pass_(days=60)
    stage.revoke()
    assert stage.decide(stale, "approve").json()["code"] == "overtaken"
    assert stage.status() == "revoked"


def _withdraw(stage, principal):
    with stage.deps.store.write() as rows:
        rows.tokens.add(
            jti=f"{principal}'s",
            principal_id=principal,
            role="responder",
            tenants=["acme"],
            kid="k",
            issued_at=stage.clock(),
            expires_at=stage.clock() + timedelta(days=1),
        )
        rows.tokens.revoke(f"{principal}'s", by="operator", now=stage.clock())


def test_what_was_put_up_with_a_token_that_leaked_is_not_done(stage):
    stale = _waiting(stage)
    stage.clock.pass_(minutes=1)
    _withdraw(stage, "responder-1")
    got = stage.decide(stale, "approve")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    assert "a token of responder-1 was withdrawn" in got.json()["detail"]
    assert stage.status() == "revoked"


@pytest.fixture
def visiting(make_stage):
    """A deployment with evidence pages, and a responder who has signed in and asked for a reinstatement there."""
    rule = VisitRule("https://g.example/console", people={"responder-1": ("responder", frozenset({"acme"}))})
    stage = make_stage(console=rule)
    visits = Visits(stage.deps, rule)
    stage.revoke()
    admitted = visits.admit("responder-1", role="responder", tenants={"acme"})
    sent = {"headers": {"Authorization": f"Bearer {admitted.visit.token}"}, "json": {"reason": "ours"}}
    asked = stage.client.post("/v1/sessions/acme/sess_1/reinstate", **sent)
    stage.clock.pass_(minutes=5)
    return stage, visits, admitted, asked.json()["approval"]["id"]


def test_signing_out_takes_no_request_back(visiting):
    stage, visits, admitted, waiting = visiting
    visits.end(admitted.secret)
    assert stage.decide(waiting, "approve").json()["state"] == "approved"


def test_nor_does_a_visit_that_ends_by_itself(visiting):
    stage, visits, admitted, waiting = visiting
    stage.clock.pass_(minutes=31)
    assert visits.resume(admitted.secret) is None
    assert stage.decide(waiting, "approve").json()["state"] == "approved"


def test_the_token_of_a_visit_that_is_over_can_still_be_withdrawn_as_leaked(visiting):
    stage, visits, admitted, waiting = visiting
    visits.end(admitted.secret)
    with stage.deps.store.write() as rows:
        assert rows.tokens.revoke(admitted.visit.principal.jti, by="operator", now=stage.clock())
    assert stage.decide(waiting, "approve").json()["code"] == "overtaken"


def test_a_leaked_monitor_token_leaves_no_wish_that_people_might_approve(make_stage, a_finding, hard):
    stage = make_stage(default_mode="enforce")
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)
    wish = stage.submit(a_finding(breaches=hard)).json()["approval_id"]
    stage.clock.pass_(minutes=1)
    _withdraw(stage, "monitor-1")
    assert stage.decide(wish, "approve").json()["code"] == "overtaken"
    stage.clock.pass_(minutes=1)
    again = stage.submit(a_finding(n=2, breaches=hard)).json()["approval_id"]
    assert stage.decide(again, "approve").json()["state"] == "approved"


def test_what_was_overtaken_does_not_stand_in_the_way_of_asking_again(stage):
    stale = _waiting(stage)
    stage.clock.pass_(minutes=1)
    _withdraw(stage, "responder-1")
    stage.clock.pass_(minutes=1)
    fresh = _ask(stage, who="responder-2").json()["approval"]["id"]
    assert fresh != stale
    ended = stage.call("GET", f"/v1/approvals/{stale}").json()
    assert (ended["state"], ended["decided_by"]) == ("expired", "guardian")
    assert "withdrawn" in ended["result"]
    assert stage.decide(fresh, "approve").json()["state"] == "approved"


def test_a_change_of_mode_that_was_overtaken_does_not_stand_in_the_way_of_another(stage):
    wide, narrow = ({"mode": "canary", "canary_percent": n, "reason": "x"} for n in (50, 5))
    stale = stage.call("PUT", "/v1/modes/acme", "approver", json=wide).json()["approval"]["id"]
    assert stage.call("PUT", "/v1/modes/acme", "admin", json=narrow).status_code == 409
    stage.clock.pass_(minutes=1)
    _withdraw(stage, "approver-1")
    asked = stage.call("PUT", "/v1/modes/acme", "admin", json=narrow)
    assert asked.status_code == 202, asked.text
    assert asked.json()["approval"]["id"] != stale


def test_what_has_happened_already_is_not_done_twice(make_stage):
    stage = make_stage(approval_life=timedelta(days=90))
    waiting = _waiting(stage)
    stage.clock.pass_(days=60)
    got = stage.decide(waiting, "approve")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    assert got.json()["detail"] == "the session is not revoked any more"
    assert [status for status, _, _ in stage.ledger()] == ["revoked", "lapsed"]


def test_while_policy_cannot_be_asked_an_approval_goes_on_waiting(make_stage, policies):
    class Flaky:
        away = False
        version = policies.version

        def decide(self, request):
            if self.away and request.act.approved:
                raise TimeoutError
            return policies.decide(request)

    stage = make_stage(pdp=(pdp := Flaky()))
    waiting = _waiting(stage)
    pdp.away = True
    assert stage.decide(waiting, "approve").status_code == 503
    assert stage.call("GET", f"/v1/approvals/{waiting}").json()["state"] == "pending"
    assert stage.status() == "revoked"
    assert [each["result"] for each in stage.audit(action="approve")] == ["refused"]  # nobody's word is given yet
    pdp.away = False
    assert stage.decide(waiting, "approve").status_code == 200
    assert [each["result"] for each in stage.audit(action="approve")] == ["refused", "approved"]


# -- lists -----------------------------------------------------------------------------------------------------


def test_approvals_are_filtered_and_paged(stage):
    ids = [_waiting(stage, f"s{n}") for n in range(3)]
    stage.decide(ids[0], "deny")

    def listed(**query):
        return stage.call("GET", "/v1/approvals", "analyst", params=query).json()

    assert [each["id"] for each in listed(state="pending")["items"]] == [ids[2], ids[1]]
    assert [each["id"] for each in listed(state="denied")["items"]] == [ids[0]]
    page = listed(limit=2)
    rest = listed(limit=2, cursor=page["next"])
    assert [each["id"] for each in page["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None
    assert [each["id"] for each in listed(session_id="s1")["items"]] == [ids[1]]
    assert [each["id"] for each in listed(held=False)["items"]] == ids[::-1]
    assert listed(held=True)["items"] == []
    assert stage.call("GET", "/v1/approvals/apr_0").status_code == 404


# -- at most once ----------------------------------------------------------------------------------------------


def test_of_many_approvers_at_the_same_moment_one_is_heard_and_the_others_are_told(stage):
    waiting = _waiting(stage)
    names = [f"approver-{n}" for n in range(6)]
    for name in names:
        stage.token("approver", who=name)
    answers, start = {}, threading.Barrier(len(names))

    def approve(name):
        start.wait()
        answers[name] = stage.decide(waiting, "approve", who=name)

    threads = [threading.Thread(target=approve, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(answer.status_code for answer in answers.values())
    assert codes == [200] + [409] * 5
    heard = next(name for name, answer in answers.items() if answer.status_code == 200)
    late = next(answer.json() for answer in answers.values() if answer.status_code == 409)
    told = f"approved by {heard}, reinstated at revision 1.2"
    assert (late["code"], late["detail"].endswith(told)) == ("decided", True)
    assert [status for status, _, _ in stage.ledger()] == ["revoked", "reinstated"]


PEOPLE = [("ann", "responder"), ("ben", "approver"), ("cleo", "admin"), ("ben", "admin")]
STEPS = st.one_of(
    st.tuples(st.just("revoke"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("reinstate"), st.sampled_from(PEOPLE)),
    st.tuples(
        st.sampled_from(["approve", "approve", "deny", "withdraw"]), st.sampled_from(PEOPLE), st.integers(0, 3)
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 3, 30])),
)


def test_an_act_that_takes_two_is_done_at_most_once_and_never_by_one(make_stage):
    stage = make_stage(approvals_waiting=10**6)
    deps, session = stage.deps, iter(f"sess_{n}" for n in range(10**6))

    def principal(name, role):
        return Principal(name, role, frozenset({"acme"}), "jti", stage.clock())

    def attempt(do, *told):
        try:
            return do(deps, *told)
        except Refusal:
            return None

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(STEPS, max_size=12))
    def law(steps):
        name, put = next(session), []
        for step in steps:
            match step:
                case ("wait", hours):
                    stage.clock.pass_(hours=hours)
                case ("revoke", who):
                    acts.revoke(deps, principal(*who), SessionKey("acme", name), "stop", None)
                case ("reinstate", who):
                    got = attempt(acts.reinstate, principal(*who), SessionKey("acme", name), "ours", None)
                    assert got is None or not got.changed, "nobody reinstates alone"
                    if got is not None and got.approval is not None:
                        put.append(got.approval.id)
                case (decision, who, n) if put:
                    word = ApprovalDecision(decision=decision, reason="so be it")
                    attempt(decide, principal(*who), put[-1 - n % len(put)], word)
        with deps.store.read() as rows:
            entries = rows.ledger.of_session(SessionKey("acme", name))
            known = [rows.approvals.get(each, {"acme"}).view for each in dict.fromkeys(put)]
        done = [each for each in known if each.result.startswith("reinstated")]
        assert len(done) == sum(entry.status == "reinstated" for entry in entries)
        assert len({each.result for each in done}) == len(done), "each by an entry of its own"
        assert all(each.decided_by != each.proposer for each in known if each.state in ("approved", "denied"))
        assert all(each.decided_by == each.proposer for each in known if each.state == "withdrawn")
        assert all(each.decided_at < each.expires_at for each in known if each.state == "approved")
        waits = [each for each in known if each.state == "pending"]
        assert sum(each.expires_at > stage.clock() for each in waits) <= 1, "one that only looks over may stay"

    law()
