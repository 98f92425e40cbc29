"""What people do to sessions."""

from datetime import timedelta
from urllib.parse import quote

import pytest

from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Kind
from guardian.domain.identity import NO_SLASH, SessionKey
from guardian.domain.session import HumanWord
from guardian.policy.port import PolicyDecision
from guardian.wire.findings import FindingOutcome


def _revoke(stage, session="sess_1", reason="stop", **headers):
    path = f"/v1/sessions/acme/{session}/revoke"
    return stage.call("POST", path, "responder", json={"reason": reason}, headers=headers)


def test_a_person_revokes_and_reinstates_a_session_in_shadow(stage):
    got = _revoke(stage).json()
    assert got["changed"] is True
    assert got["session"]["status"] == "revoked"
    again = _revoke(stage).json()
    assert (again["changed"], again["revision"]) == (False, got["revision"])
    assert stage.reinstate()["result"] == "reinstated at revision 1.2"
    assert stage.call("GET", "/v1/sessions/acme/sess_1").json()["session"]["status"] == "active"
    words = stage.call("GET", "/v1/session-changes", "monitor").json()["items"]
    assert [each["word"] for each in words] == ["revoked", "reinstated"]


def test_a_list_of_what_is_flagged_says_how_severe_what_still_accuses_each_is(stage, a_finding):
    def severities():
        listed = stage.call("GET", "/v1/sessions", params={"status": "flagged"}).json()["items"]
        return {each["session_id"]: each["severity"] for each in listed}

    def told(session, n, severity, **more):
        made = a_finding(session, n=n, wanted=Effect.FLAG, time=stage.clock(), **more)
        stage.submit(made.model_copy(update={"severity": severity}))
        return made.id

    def judged(finding_id, verdict):
        path = f"/v1/findings/{finding_id}/verdict"
        assert (
            stage.call("POST", path, "analyst", json={"verdict": verdict, "reason": "looked"}).status_code == 200
        )

    worst = told("s1", 0, "critical")
    told("s1", 1, "low")
    judged(told("s2", 0, "medium"), "confirmed")
    assert severities() == {"s1": "critical", "s2": "medium"}
    assert stage.call("GET", "/v1/sessions").json()["items"][0]["severity"] is None
    judged(worst, "false_positive")
    assert severities() == {"s1": "low", "s2": "medium"}, "of that nobody has spoken"
    stage.clock.pass_(seconds=1)
    told("s1", 2, "high", epoch=1)
    assert severities() == {"s1": "high", "s2": "medium"}


@pytest.mark.parametrize("alone", [True, False])
def test_what_only_the_operators_were_told_of_is_no_session_that_can_be_revoked(
    make_stage, policies, a_finding, alone
):
    class TwoRevoke:
        version = "x"

        def decide(self, request):
            if alone or request.action not in ("revoke", "propose"):
                return policies.decide(request)
            return PolicyDecision(request.action == "propose" or request.act.approved, policy_ids=("two",))

    stage = make_stage(pdp=TwoRevoke())
    told = a_finding("sess_2", tenant="guardian", wanted=Effect.FLAG)
    stage.submit(told.model_copy(update={"kind": Kind.ENTITLEMENT, "subject": None}), "monitor", "*")
    stage.submit(a_finding("sess_4", tenant="guardian", wanted=Effect.FLAG), "monitor", "*")
    child = {"delegator_id": "u", "tenant_id": "guardian", "session_id": "sess_5", "purpose": "review"}
    registered = {"envelope": {**child, "parent_session_id": "sess_6"}}
    assert stage.call("POST", "/v1/envelopes", "delegation", "*", json=registered).status_code == 201

    def revoked(name):
        path = f"/v1/sessions/guardian/{name}/revoke"
        return stage.call("POST", path, "responder", "*", json={"reason": "stop"})

    for name in ("sess_2", "sess_3"):
        got = revoked(name)
        assert (got.status_code, "revoke it there" in got.json()["detail"]) == (422, True)
    assert len(stage.audit(action="revoke", result="refused")) == 2
    assert stage.call("GET", "/v1/revocations", "gateway", "*").json()["entries"] == []
    status = 200 if alone else 202
    assert [revoked(name).status_code for name in ("sess_4", "sess_5", "sess_6")] == [status] * 3


@pytest.mark.parametrize("act", ["revoke", "protect", "ask for a second person"])
def test_who_acts_on_a_session_that_nothing_is_known_of_is_told_so_once(make_stage, policies, act, a_finding):
    class TwoRevoke:
        version = "x"

        def decide(self, request):
            if not act.startswith("ask") or request.action not in ("revoke", "propose"):
                return policies.decide(request)
            return PolicyDecision(request.action == "propose" or request.act.approved, policy_ids=("two",))

    stage = make_stage(pdp=TwoRevoke())

    def unheard(session):
        if act == "protect":
            body = {"protected": True, "reason": "payroll"}
            got = stage.call("PUT", f"/v1/sessions/acme/{session}/protection", "admin", json=body)
        else:
            got = _revoke(stage, session)
        assert got.status_code in (200, 202), got.text
        return got.json()["unheard"]

    child = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": "child", "purpose": "review"}
    told = {"envelope": {**child, "parent_session_id": "parent"}}
    assert stage.call("POST", "/v1/envelopes", "delegation", json=told).status_code == 201
    stage.submit(a_finding("flagged", wanted=Effect.FLAG))
    assert [unheard(name) for name in ("child", "parent", "flagged")] == [False, False, False]
    assert [unheard("slip"), unheard("slip")] == [True, False]


def test_a_protected_session_can_still_be_revoked_by_a_person(stage):
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "admin", json=body)
    assert _revoke(stage).json()["changed"] is True


def test_reinstating_a_session_that_nobody_knows_is_not_found(stage):
    got = stage.call("POST", "/v1/sessions/acme/ghost/reinstate", "responder", json={"reason": "x"})
    assert got.status_code == 404


def test_an_idempotency_key_gives_the_first_answer_again(stage):
    key = {"Idempotency-Key": "k-1"}
    first = _revoke(stage, **key)
    stage.reinstate()
    again = _revoke(stage, **key)
    assert again.content == first.content
    assert stage.call("GET", "/v1/sessions/acme/sess_1").json()["session"]["status"] == "active"
    other = _revoke(stage, session="sess_2", **key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_an_idempotency_key_gives_the_same_waiting_approval_again(stage):
    _revoke(stage)
    key = {"Idempotency-Key": "k-1"}
    path, body = "/v1/sessions/acme/sess_1/reinstate", {"reason": "ours"}
    first = stage.call("POST", path, "responder", json=body, headers=key)
    assert (first.status_code, first.json()["changed"]) == (202, False)
    assert stage.decide(first.json()["approval"]["id"], "approve").status_code == 200
    again = stage.call("POST", path, "responder", json=body, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert len(stage.call("GET", "/v1/approvals").json()["items"]) == 1
    other = stage.call("POST", path, "responder", json={"reason": "another"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_nobody_is_asked_about_a_session_that_is_not_revoked(stage):
    _revoke(stage)
    stage.reinstate()
    got = stage.call("POST", "/v1/sessions/acme/sess_1/reinstate", "responder", json={"reason": "x"})
    assert (got.status_code, got.json()["changed"], got.json()["approval"]) == (200, False, None)


def test_who_may_not_reinstate_does_not_learn_which_sessions_there_are(stage):
    _revoke(stage)
    known, unknown = (
        stage.call("POST", f"/v1/sessions/acme/{name}/reinstate", "gateway", json={"reason": "x"})
        for name in ("sess_1", "ghost")
    )
    assert known.status_code == unknown.status_code == 403
    assert known.json()["detail"] == unknown.json()["detail"]


def test_a_reason_is_required(stage):
    assert _revoke(stage, reason="  ").status_code == 422
    assert _revoke(stage, reason="nul \x00").status_code == 422


@pytest.mark.parametrize("name", ["a/b", "a/revoke", "..", "ünï côdé", "a?b#c", "'; DROP TABLE x;--"])
def test_any_session_id_can_be_reached(stage, name):
    path = "%2E%2E" if name == ".." else quote(name, safe="")
    assert _revoke(stage, session=path).status_code == 200
    got = stage.call("GET", f"/v1/sessions/acme/{path}")
    assert got.json()["session"]["session_id"] == name
    assert stage.revocations().json()["entries"][0]["subject_id"] == name


def test_sessions_are_filtered_by_status_and_paged(stage, a_finding):
    stage.enforce()
    for n in range(3):
        stage.submit(a_finding(f"bad_{n}"))
    for n in range(2):
        stage.submit(a_finding(f"odd_{n}", wanted="flag"))
    body = {"protected": True, "reason": "vip"}
    stage.call("PUT", "/v1/sessions/acme/calm/protection", "admin", json=body)

    def listed(**query):
        return stage.call("GET", "/v1/sessions", "analyst", params=query).json()

    assert [each["session_id"] for each in listed(status="revoked")["items"]] == ["bad_2", "bad_1", "bad_0"]
    assert [each["session_id"] for each in listed(status="flagged")["items"]] == ["odd_1", "odd_0"]
    assert [each["session_id"] for each in listed(status="active")["items"]] == ["calm"]
    page = listed(limit=4)
    rest = listed(limit=4, cursor=page["next"])
    assert len(page["items"]) + len(rest["items"]) == 6
    assert rest["next"] is None
    assert listed(limit=6)["next"] is None


def test_sessions_are_filtered_by_whom_they_act_under_and_by_name(stage, a_finding):
    for n in range(4):
        told = {"agent_id": f"agent_{n % 2}", "delegator_id": f"user_{n // 2}", "task_id": "task\n1"}
        found = a_finding(f"s{n}", wanted="flag", tenant=("acme", "globex")[n == 3])
        who = found.subject.model_copy(update=told)
        assert stage.submit(found.model_copy(update={"subject": who}), "monitor", "*").status_code == 200

    def listed(*reach, **query):
        page = stage.call("GET", "/v1/sessions", "analyst", *reach, params={"limit": 2, **query}).json()
        return [each["session_id"] for each in page["items"]], page["next"]

    assert listed(agent_id="agent_0") == (["s2", "s0"], None)
    assert listed(agent_id="agent_1") == (["s1"], None)
    assert listed("*", agent_id="agent_1") == (["s3", "s1"], None)
    assert listed(agent_id="agent_0", delegator_id="user_1") == (["s2"], None)
    first, cursor = listed(task_id="task\n1")
    assert (first, listed(task_id="task\n1", cursor=cursor)) == (["s2", "s1"], (["s0"], None))
    first, cursor = listed(task_id="task\n1", order="pressing", status="flagged")
    assert (first, listed(task_id="task\n1", order="pressing", cursor=cursor)[0]) == (["s2", "s1"], ["s0"])
    assert listed(agent_id="agent_0", status="revoked") == ([], None)
    assert stage.revoke("s2").status_code == 200
    assert listed(agent_id="agent_0", status="revoked") == (["s2"], None)
    assert listed(session_id="s0") == (["s0"], None)
    assert listed(session_id="s3") == listed(session_id="never met") == ([], None)
    assert listed("*", session_id="s3", tenant_id="acme") == ([], None)
    for wrong in ("", "x" * 2001, "nul\x00"):
        assert stage.call("GET", "/v1/sessions", "analyst", params={"agent_id": wrong}).status_code == 422


def test_sessions_are_filtered_by_when_they_were_met_and_a_time_must_be_one(stage, a_finding):
    for name in ("s1", "s2", "s3"):
        assert stage.submit(a_finding(name, wanted=Effect.FLAG, time=stage.clock())).status_code == 200
        stage.clock.pass_(minutes=100)
    listed = stage.call("GET", "/v1/sessions").json()["items"]
    met = {each["session_id"]: each["first_seen"] for each in listed}

    def found(**query):
        got = stage.call("GET", "/v1/sessions", params=query)
        assert got.status_code == 200, got.text
        return [each["session_id"] for each in got.json()["items"]]

    for order in ("met", "pressing"):
        assert found(order=order, since=met["s2"]) == ["s3", "s2"]
        assert found(order=order, until=met["s2"]) == ["s1"]
        assert found(order=order, since=met["s2"], until=met["s3"]) == ["s2"]
    for until in (met["s2"], met["s1"]):
        got = stage.call("GET", "/v1/sessions", params={"since": met["s2"], "until": until})
        assert (got.status_code, "there is no time" in got.text) == (422, True)
    for wrong in ("yesterday", "2026-05-12T17:00:00", "0001-01-01T00:00:00+23:59"):
        for name in ("since", "until"):
            assert stage.call("GET", "/v1/sessions", params={name: wrong}).status_code == 422
    assert "since" in str(stage.client.get("/openapi.json").json()["paths"]["/v1/sessions"]["get"]["parameters"])


def test_the_most_pressing_sessions_come_first_a_page_at_a_time(stage, a_finding):
    for n, severity in enumerate(["low", "critical", "medium", "medium"]):
        made = a_finding(f"s{n}", wanted=Effect.FLAG, time=stage.clock())
        stage.submit(made.model_copy(update={"severity": severity}))
    stage.clock.pass_(minutes=1)
    stage.call("PUT", "/v1/sessions/acme/s2/protection", "admin", json={"protected": True, "reason": "vip"})

    def pages(size, **query):
        found, cursor = [], {}
        while True:
            asked = {"order": "pressing", "limit": size, **query, **cursor}
            got = stage.call("GET", "/v1/sessions", params=asked).json()
            found.append([each["session_id"] for each in got["items"]])
            if got["next"] is None:
                return found
            cursor = {"cursor": got["next"]}

    assert pages(2, status="flagged") == [["s1", "s3"], ["s2", "s0"]]
    stage.clock.pass_(minutes=1)
    made = a_finding("s0", n=1, wanted=Effect.FLAG, time=stage.clock())
    stage.submit(made.model_copy(update={"severity": "low"}))
    assert pages(3, status="flagged") == [["s1", "s3", "s2"], ["s0"]]
    assert pages(9) == [["s0", "s3", "s2", "s1"]]
    _revoke(stage, session="s3")
    stage.clock.pass_(minutes=1)
    _revoke(stage, session="s1")
    assert (pages(1, status="revoked"), pages(9, status="active")) == ([["s1"], ["s3"]], [[]])
    assert stage.call("GET", "/v1/sessions", params={"order": "other"}).status_code == 422


def test_a_mode_is_shadow_until_somebody_decides(stage):
    assert stage.call("GET", "/v1/modes/acme").json()["mode"] == "shadow"
    stage.enforce()
    got = stage.call("GET", "/v1/modes/acme", "auditor").json()
    assert (got["mode"], got["set_by"], got["reason"]) == ("enforce", "admin-1", "trusted")
    assert stage.call("PUT", "/v1/modes/acme", json={"mode": "canary", "reason": "x"}).status_code == 422


def test_changes_are_tailed_in_order_without_loss(stage):
    for n in range(5):
        _revoke(stage, session=f"s{n}")
    seen, since = [], 0
    while True:
        got = stage.call("GET", "/v1/session-changes", "monitor", params={"since": since, "limit": 2}).json()
        seen += [each["seq"] for each in got["items"]]
        since = got["next"]
        if not got["more"]:
            break
    assert seen == [1, 2, 3, 4, 5]
    rest = stage.call("GET", "/v1/session-changes", "monitor", params={"since": since}).json()
    assert (rest["items"], rest["next"]) == ([], 5)


def test_long_envelopes_end_a_page_and_none_of_them_is_left_out(stage):
    long = {"k": ["x" * 500] * 115}
    for n in range(40):
        told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": f"s{n}", "purpose": "review"}
        body = {"envelope": {**told, "resource_constraints": long}}
        assert stage.call("POST", "/v1/envelopes", "delegation", json=body).status_code == 201
    pages, since, more = [], 0, True
    while more:
        got = stage.call("GET", "/v1/session-changes", "monitor", params={"since": since}).json()
        pages.append([each["session_id"] for each in got["items"]])
        since, more = got["next"], got["more"]
    assert [name for page in pages for name in page] == [f"s{n}" for n in range(40)]
    assert max(map(len, pages)) <= 18, "a page carries about a megabyte of them"


def test_a_revocation_lapses_by_an_entry_and_the_session_is_free_again(stage):
    from guardian.control.lapse import sweep

    _revoke(stage)
    stage.clock.pass_(days=30)
    assert sweep(stage.deps) == 1
    assert sweep(stage.deps) == 0
    assert stage.revocations().json()["entries"] == []
    detail = stage.call("GET", "/v1/sessions/acme/sess_1").json()
    assert [entry["status"] for entry in detail["ledger"]] == ["revoked", "lapsed"]
    assert detail["session"]["status"] == "active"
    words = stage.call("GET", "/v1/session-changes", "monitor").json()["items"]
    assert [word["word"] for word in words] == ["revoked", "lapsed"], "the monitor hears of it, and may ask again"


def test_one_that_is_over_and_waits_for_its_lapse_is_revoked_anew(stage, a_finding, monkeypatch):
    from guardian.control import lapse

    stage.enforce()
    for n in range(6):
        _revoke(stage, f"sess_{n}")
    monkeypatch.setattr(lapse, "_BATCH", 1)
    stage.clock.pass_(days=30)
    assert _revoke(stage, "sess_5").json()["changed"] is True
    assert stage.submit(a_finding("sess_4")).json()["note"].startswith("revoked: ")
    while lapse.sweep(stage.deps):
        pass
    assert (stage.status("sess_4"), stage.status("sess_5")) == ("revoked", "revoked")


def test_a_revocation_outlives_the_sessions_own_expiry(stage, a_finding):
    stage.enforce()
    stage.submit(a_finding(expires_at=stage.clock() + timedelta(days=2)))
    assert stage.revocations().json()["entries"][0]["expires_at"] == "2026-05-14T13:00:00Z"


@pytest.mark.parametrize("act", ["revoke", "reinstate"])
def test_a_tenant_with_a_slash_is_not_another_tenant_s_session(stage, act):
    path, body = f"/v1/sessions/a%2Fb/c/{act}", {"reason": "x"}
    assert stage.call("POST", path, "responder", "*", json=body).status_code == 404
    assert stage.call("POST", f"/v1/sessions/a%2Fb/a/{act}", "responder", "*", json=body).status_code == 404
    assert stage.call("POST", "/v1/subjects/a%2Fb/agent/c/revoke", "responder", "*", json=body).status_code == 404
    assert stage.ledger() == []
    got = stage.call("POST", "/v1/sessions/a/b%2Fc/revoke", "responder", "*", json=body).json()["session"]
    assert (got["tenant_id"], got["session_id"]) == ("a", "b/c")


def test_a_tenant_with_a_slash_comes_in_nowhere(stage, a_finding):
    told = stage.submit(a_finding(tenant="a/b"), "monitor", "*")
    assert (told.status_code, told.json()["detail"]) == (422, f"tenant_id: {NO_SLASH}")
    envelope = {"delegator_id": "ann", "tenant_id": "a/b", "session_id": "s", "purpose": "review"}
    got = stage.call("POST", "/v1/envelopes", "delegation", "*", json={"envelope": envelope})
    assert (got.status_code, got.json()["detail"]) == (422, f"tenant_id: {NO_SLASH}")
    question = {
        "subject": {"type": "session", "id": "s"},
        "action": {"name": "t"},
        "context": {"envelope": envelope},
    }
    question["resource"] = {"type": "tool", "id": "t"}
    got = stage.call("POST", "/v1/advise", "gateway", "*", json=question)
    assert (got.status_code, got.json()["detail"]) == (422, f"tenant_id: {NO_SLASH}")
    glass = {"tenant_id": "a/b", "reason": "x"}
    assert stage.call("POST", "/v1/break-glass", "responder", "*", json=glass).status_code == 422


def test_what_was_kept_under_such_a_name_before_can_still_be_read(stage, a_finding):
    with stage.deps.store.write() as rows:
        found = a_finding(tenant="a/b")
        rows.sessions.say(SessionKey("a/b", "s"), HumanWord.REVOKED, stage.clock(), human=True)
        rows.envelopes.add(
            Envelope(delegator_id="ann", tenant_id="a/b", session_id="s"), by="ann", now=stage.clock()
        )
        outcome = FindingOutcome(
            finding_id=found.id,
            tenant_id="a/b",
            session_id="s",
            wanted=found.wanted,
            effect=Effect.FLAG,
            mode="shadow",
            at=stage.clock(),
        )
        rows.findings.add(found, outcome, stage.clock())
    for path in ("/v1/findings", "/v1/sessions"):
        assert stage.call("GET", path, "admin", "*").status_code == 200
    assert stage.call("GET", "/v1/session-changes?since=0", "monitor", "*").status_code == 200
