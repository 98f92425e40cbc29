"""Advice before the act: permit, deny or hold, within a budget, and without a trace."""

import json
import time
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import update

from guardian.control.advice.adviser import AdviceRule
from guardian.domain.text import cut_off
from guardian.errors import AdviserError
from guardian.store.control.approvals import ApprovalRows
from guardian.store.control.tables import approval
from guardian.wire.advice import Weighing

CALM = Weighing(score=0.1, session_evidence=0.0, one_in=1.0, promised=True, independent_signals=0)
STRONG = Weighing(score=0.98, session_evidence=5.0, one_in=50_000.0, promised=True, independent_signals=3)
HARD = CALM.model_copy(update={"hard_breaches": ("tool_not_allowed",)})


@dataclass
class Scripted:
    """Weighs as it is told; keeps the lines that it was asked about."""

    answer: Weighing | Exception = CALM
    lines: list[dict] = field(default_factory=list)

    def weigh(self, line, timeout_s):
        self.lines.append(json.loads(line))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def adviser():
    return Scripted()


@pytest.fixture
def stage(make_stage, adviser):
    rule = AdviceRule(budget_s=60, risks={"*.read": "low"}, fallback={"low": "permit"})
    return make_stage(adviser=adviser, advice=rule, default_mode="enforce")


def test_the_first_pattern_that_covers_a_tool_tells_its_risk_and_only_a_star_is_a_wildcard():
    rule = AdviceRule(risks={"crm.?": "odd", "crm.[r]ead": "odd", "*.read": "low", "crm.*": "middle"})
    assert [rule.risk_of(tool) for tool in ("crm.read", "crm.x", "mail.send")] == ["low", "middle", "high"]


def test_a_tool_is_of_the_stricter_risk_of_its_two_names():
    risks = {"payments.*": "high", "crm.*": "low", "crm/drop": "high", "mail/*": "low", "mail.*": "high"}
    rule = AdviceRule(
        risks=risks, default_risk="low", fallback={"low": "permit"}, rename=lambda tool: tool.replace("/", ".")
    )
    denied = ["payments.transfer", "payments/transfer", "crm/drop", "mail/send"]
    risks = [rule.risk_of(tool) for tool in denied]
    assert [(risk, rule.without_answer(risk)) for risk in risks] == [("high", "deny")] * 4
    assert [rule.without_answer(rule.risk_of(tool)) for tool in ("crm/read", "other/read")] == ["permit", "permit"]


def test_a_tool_has_its_risk_by_the_name_that_the_gateway_gives_it_beside_its_server_too(make_stage, adviser):
    rule = AdviceRule(
        budget_s=60, risks={"read": "low"}, fallback={"low": "permit"},
        of_server=lambda tool, server: f"{server}.{tool}",
    )  # fmt: skip
    stage = make_stage(adviser=adviser, advice=rule, default_mode="enforce")
    adviser.answer = AdviserError("the adviser gave no answer in time")
    body = {
        "subject": {"type": "session", "id": "s1"},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "read", "properties": {"server": "crm"}},
        "context": {"envelope": envelope("s1")},
    }
    told = stage.call("POST", "/v1/advise", "gateway", json=body).json()["context"]
    assert (told["fallback"], told["risk"], told["advice"]) == (True, "low", "permit")


def envelope(session="s1", **more):
    told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, "purpose": "review"}
    return {**told, "allowed_tools": ["crm.read", "crm.export"], "agent_id": "agent_1", **more}


def ask(stage, tool="crm.export", session="s1", role="gateway", context=None, properties=None, **arguments):
    body = {
        "subject": {"type": "session", "id": session, "properties": properties or {}},
        "action": {"name": tool, "properties": {"arguments": arguments, "records": 3}},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": envelope(session)} if context is None else context,
    }
    return stage.call("POST", "/v1/advise", role, json=body)


def advice(stage, *args, **more):
    got = ask(stage, *args, **more)
    assert got.status_code == 200, got.text
    told = got.json()
    assert told["decision"] is (told["context"]["advice"] == "permit")
    return told["context"]


@pytest.mark.parametrize("headers", [{"Content-Type": "application/x-www-form-urlencoded"}, {}])
def test_a_body_that_is_not_sent_as_json_is_told_what_is_missing(stage, headers):
    got = stage.call("POST", "/v1/advise", "gateway", content=b'{"subject": {}}', headers=headers)
    assert got.status_code == 422
    assert got.json()["detail"] == "body: Input should be a JSON object, sent as Content-Type: application/json"


@pytest.mark.parametrize("place", ['"scope": "all"', '"tenant_id": "acme"', '"records": 3'])
def test_a_body_that_says_something_twice_is_refused_since_nobody_knows_which_one_is_meant(stage, adviser, place):
    adviser.answer = STRONG
    body = {
        "subject": {"type": "session", "id": "s1"},
        "action": {"name": "crm.export", "properties": {"arguments": {"scope": "all"}, "records": 3}},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": envelope("s1")},
    }
    name = place.partition(":")[0]
    twice = json.dumps(body).replace(place, f"{name}: 7, {place}")
    got = stage.call("POST", "/v1/advise", "gateway", content=twice, headers={"Content-Type": "application/json"})
    assert got.status_code == 400
    assert got.json()["detail"] == f"body: a key of {len(name) - 2} characters occurs twice in one object"
    assert adviser.lines == []


def test_an_ordinary_call_is_permitted_and_leaves_no_trace(stage, adviser):
    before = len(stage.audit())
    told = advice(stage, arguments="x")
    assert (told["advice"], told["policy_ids"]) == ("permit", ["calls-may-pass"])
    assert len(stage.audit()) == before
    (line,) = adviser.lines
    assert line["action"]["tool"] == "crm.export"
    assert line["action"]["records"] == 3
    assert line["gateway"] == "gateway-1"


def test_a_call_that_breaks_a_rule_is_denied_and_audited(stage, adviser):
    adviser.answer = HARD
    told = advice(stage)
    assert (told["advice"], told["breaches"]) == ("deny", ["tool_not_allowed"])
    assert stage.audit(action="permitCall", result="deny", tool="crm.export")


def test_a_call_on_strong_evidence_is_held_until_a_person_lets_exactly_this_one_through(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage, scope="all")
    assert held["advice"] == "hold"
    approval = held["approval"]["id"]
    assert advice(stage, scope="all")["approval"]["id"] == approval  # asked again, one person is asked
    assert advice(stage, scope="other")["approval"]["id"] != approval
    waiting = stage.call("GET", held["approval"]["wait_at"], "gateway").json()
    assert waiting["context"]["advice"] == "hold"
    assert stage.decide(approval, "approve", "responder").status_code == 200
    assert stage.call("GET", held["approval"]["wait_at"], "gateway").json()["decision"] is True
    assert advice(stage, scope="other")["advice"] == "hold"
    assert advice(stage, scope="all")["reason"] == "a person let this call through"


def test_an_approval_lets_one_call_through_and_no_second_one(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    stage.decide(held["id"], "approve", "responder")
    assert advice(stage)["advice"] == "permit"
    again = advice(stage)
    assert again["advice"] == "hold"
    assert again["approval"]["id"] != held["id"]
    told = stage.call("GET", held["wait_at"], "gateway").json()["context"]
    assert (told["advice"], told["reason"]) == ("deny", "the approval is used")
    (used,) = stage.audit(action="permitCall", result="used")
    assert (used["approval_id"], used["approved_by"]) == (held["id"], "responder-1")


@pytest.mark.parametrize(
    "of",
    [
        {"agent_id": "agent_2"},
        {"delegator_id": "user_2"},
        {"task_id": "task_2"},
        {"purpose": "another"},
        {"parent_session_id": "s0"},
    ],
)
def test_an_approval_lets_nobody_elses_call_of_that_session_through(stage, adviser, of):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    stage.decide(held["id"], "approve", "responder")
    other = advice(stage, context={"envelope": envelope(**of)})
    assert other["advice"] == "hold"
    assert other["approval"]["id"] != held["id"]
    assert advice(stage)["advice"] == "permit"


def test_of_two_calls_at_once_one_is_let_through(stage, adviser, monkeypatch):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    stage.decide(held["id"], "approve", "responder")
    use = ApprovalRows.use

    def late(rows, approval_id, **told):
        monkeypatch.undo()
        assert use(rows, approval_id, **told)  # by the other one
        return use(rows, approval_id, **told)

    monkeypatch.setattr(ApprovalRows, "use", late)
    assert advice(stage)["advice"] == "hold"


def test_an_approval_is_kept_for_a_call_that_needs_it(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    stage.decide(held["id"], "approve", "responder")
    adviser.answer = CALM
    assert advice(stage)["reason"] == "nothing speaks against it"
    adviser.answer = STRONG
    stage.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    assert "in enforce it would not have passed" in advice(stage)["reason"]
    assert stage.audit(action="permitCall", result="used") == []


def test_an_approval_does_not_live_for_ever(stage, adviser):
    adviser.answer = STRONG
    stage.decide(advice(stage)["approval"]["id"], "approve", "responder")
    stage.clock.pass_(hours=5)
    assert advice(stage)["advice"] == "hold"


def test_a_yes_of_a_token_that_was_then_withdrawn_lets_nothing_through(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    stage.clock.pass_(minutes=1)
    stage.decide(held["id"], "approve", "responder")
    assert stage.call("GET", held["wait_at"], "gateway").json()["context"]["advice"] == "permit"
    stage.clock.pass_(minutes=1)
    with stage.deps.store.write() as rows:
        issued = {"principal_id": "responder-1", "role": "responder", "tenants": ["acme"], "kid": "k"}
        rows.tokens.add(jti="t", **issued, issued_at=stage.clock(), expires_at=stage.clock() + timedelta(hours=1))
        rows.tokens.revoke("t", by="operator", now=stage.clock())
    told = stage.call("GET", held["wait_at"], "gateway").json()["context"]
    assert told["advice"] == "deny"
    assert told["reason"] == "a token of responder-1 was withdrawn after it let this call through; ask again"
    again = advice(stage)
    assert again["advice"] == "hold"
    assert again["approval"]["id"] != held["id"]


def test_a_token_of_nobody_known_that_is_withdrawn_says_nothing_of_a_call_that_waits(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    with stage.deps.store.write() as rows:
        rows.tokens.revoke("another-issuers", by="operator", now=stage.clock())
    assert stage.call("GET", held["wait_at"], "gateway").json()["context"]["advice"] == "hold"


@pytest.mark.parametrize("decided", [False, True])
def test_a_call_that_an_older_version_held_goes_with_its_session(stage, adviser, decided):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    with stage.deps.store.write() as rows:
        act = dict(rows.approvals.get(held["id"], None).act)
        del act["subjects"]
        rows.connection.execute(update(approval).values(act=json.dumps(act)))
    if decided:
        assert stage.decide(held["id"], "approve", "responder").status_code == 200
    stage.revoke("s1")
    told = stage.call("GET", held["wait_at"], "gateway").json()["context"]
    assert (told["advice"], told["reason"]) == ("deny", "the session was revoked after this was put up")
    if not decided:
        assert stage.decide(held["id"], "approve", "responder").status_code == 409


def test_a_person_may_say_no(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)
    stage.decide(held["approval"]["id"], "deny", "approver")
    told = stage.call("GET", held["approval"]["wait_at"], "gateway").json()["context"]
    assert (told["advice"], told["reason"]) == ("deny", "the approval is denied")


def test_nobody_lets_a_call_through_of_which_a_part_is_shown_to_nobody(stage, adviser):
    for n, shown in enumerate((cut_off("a" * 9000, 8000), "a" * 9000)):  # by a monitor that does not say so, too
        adviser.answer = STRONG.model_copy(update={"shown": {"arguments": shown}})
        held = advice(stage, scope=f"all{n}")["approval"]["id"]
        refused = stage.decide(held, "approve", "responder")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_shown")
        assert "can only be denied: it is too long to be shown whole" in refused.json()["detail"]
        (told,) = stage.audit(action="approve", approval_id=held)
        assert (told["result"], told["code"]) == ("refused", "not_shown")
        assert stage.decide(held, "deny", "responder").status_code == 200
    news = stage.call("GET", "/v1/findings", params={"kind": "control"}).json()["items"]
    assert len(news) == 2
    for detail in (each["finding"]["reasons"][0]["text"] for each in news):
        assert ("Nobody can let it through" in detail, "guardian approve" in detail) == (True, False)


def test_a_no_holds_for_the_same_call_and_asks_nobody_again_until_it_is_too_old(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    stage.decide(held["id"], "deny", "approver")
    told = [advice(stage) for _ in range(3)]
    assert {(each["advice"], each["reason"], each["approval"]) for each in told} == {
        ("deny", "a person said no to this call", None)
    }
    items = stage.call("GET", "/v1/approvals").json()["items"]
    assert [each["id"] for each in items if each["action"] == "permitCall"] == [held["id"]]
    assert len(stage.audit(action="permitCall", result="deny", approval_id=held["id"])) == 3
    assert advice(stage, scope="other")["advice"] == "hold", "of another call nobody has said anything"
    stage.clock.pass_(days=8)
    assert advice(stage)["approval"]["id"] != held["id"]


def test_a_no_to_what_policy_lets_through_by_now_holds_nothing_up(stage, adviser):
    adviser.answer = STRONG
    stage.decide(advice(stage)["approval"]["id"], "deny", "approver")
    adviser.answer = CALM
    assert advice(stage)["advice"] == "permit"


def test_a_yes_that_was_refused_lets_no_call_through(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    stage.revoke("s1")
    stage.reinstate("s1")
    got = stage.decide(held["id"], "approve", "approver")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    told = stage.call("GET", f"/v1/advise/{held['id']}", "gateway").json()
    assert (told["decision"], told["context"]["reason"]) == (False, "the approval is expired")
    again = advice(stage)
    assert again["advice"] == "hold", "as things stand now somebody is asked"
    assert again["approval"]["id"] != held["id"]


@pytest.mark.parametrize("kind", ["session", "agent"])
def test_a_yes_does_not_come_back_with_what_was_revoked_and_given_back(stage, adviser, kind):
    adviser.answer = STRONG
    held = advice(stage)["approval"]
    assert stage.decide(held["id"], "approve", "responder").status_code == 200
    body = {"reason": "r"}
    if kind == "session":
        stage.revoke("s1")
        stage.reinstate("s1")
    else:
        assert stage.call("POST", "/v1/subjects/acme/agent/agent_1/revoke", "responder", json=body).is_success
        assert stage.call("POST", "/v1/subjects/acme/agent/agent_1/reinstate", "approver", json=body).is_success
    told = stage.call("GET", held["wait_at"], "gateway").json()["context"]
    assert (told["advice"], told["reason"]) == ("deny", f"the {kind} was revoked after this was put up")
    again = advice(stage)
    assert (again["advice"], again["approval"]["id"] != held["id"]) == ("hold", True)
    assert stage.decide(again["approval"]["id"], "approve", "responder").status_code == 200
    assert advice(stage)["advice"] == "permit"


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("kind", ["session", "agent", "delegator", "task", "jti"])
def test_who_waits_hears_that_what_the_call_is_made_under_was_revoked_meanwhile(stage, adviser, decided, kind):
    adviser.answer = STRONG
    named = {"session": "s1", "agent": "agent_1", "delegator": "user_1", "task": "task_1", "jti": "jti_1"}
    context, properties = {"envelope": envelope(task_id="task_1")}, {"jti": "jti_1"}
    held = advice(stage, context=context, properties=properties)["approval"]
    if decided:
        assert stage.decide(held["id"], "approve", "responder").status_code == 200
    if kind == "session":
        stage.revoke("s1")
    else:
        path = f"/v1/subjects/acme/{kind}/{named[kind]}/revoke"
        assert stage.call("POST", path, "responder", json={"reason": "r"}).status_code == 200
    told = stage.call("GET", held["wait_at"], "gateway").json()
    assert (told["decision"], told["context"]["advice"]) == (False, "deny")
    assert told["context"]["reason"] == f"the {kind} was revoked after this was put up"
    if not decided:
        got = stage.decide(held["id"], "approve", "responder")
        assert (got.status_code, got.json()["detail"]) == (409, told["context"]["reason"])


def test_held_calls_leave_room_for_what_the_monitor_asks_people_about_sessions(make_stage, adviser, a_finding):
    stage = make_stage(adviser=adviser, approvals_waiting=10)
    stage.enforce()
    stage.call("PUT", "/v1/sessions/acme/s2/protection", json={"protected": True, "reason": "vip"})
    adviser.answer = STRONG
    told = [advice(stage, session=f"c{n}") for n in range(10)]
    assert [each["advice"] for each in told] == ["hold"] * 5 + ["deny"] * 5
    assert told[-1]["reason"].endswith("; nobody was asked: 5 requests wait already")
    assert stage.submit(a_finding("s2")).json()["approval_id"] is not None


def test_held_calls_of_one_session_leave_room_for_those_of_others(make_stage, adviser):
    stage = make_stage(adviser=adviser, approvals_waiting=20, default_mode="enforce")
    adviser.answer = STRONG
    told = [advice(stage, scope=f"part {n}") for n in range(4)]
    assert [each["advice"] for each in told] == ["hold"] * 2 + ["deny"] * 2
    assert told[-1]["reason"].endswith("; nobody was asked: 2 requests of this session wait already")
    assert advice(stage, scope="part 1")["advice"] == "hold", "it waits already"
    assert advice(stage, session="honest")["advice"] == "hold"
    adviser.answer = HARD
    assert "nobody was asked" not in advice(stage, scope="part 9")["reason"], "no person may let it through"


def test_however_many_calls_of_a_session_are_held_its_case_shows_that_somebody_may_revoke_it(
    stage, adviser, a_finding
):
    stage.call("PUT", "/v1/sessions/acme/s1/protection", json={"protected": True, "reason": "vip"})
    adviser.answer = STRONG
    for n in range(12):
        assert advice(stage, scope=f"part {n}")["advice"] == "hold"
    asked = stage.submit(a_finding("s1")).json()["approval_id"]
    case = stage.call("GET", "/v1/cases/acme/s1", "analyst").json()
    assert (case["state"], case["approvals"][0]["id"]) == ("revoke_requested", asked)


@pytest.mark.parametrize("name", ["tenant_id", "jti"])
@pytest.mark.parametrize("odd", [7, "", "a\x00b", "\ud800", "x" * 513])
def test_a_name_that_nobody_can_bear_is_refused_and_not_taken_for_one_that_is_not_revoked(stage, name, odd):
    body = {
        "subject": {"type": "session", "id": "s1", "properties": {name: odd}},
        "action": {"name": "crm.read"},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": envelope()} if name == "jti" else {},
    }
    json_type = {"Content-Type": "application/json"}
    got = stage.call("POST", "/v1/advise", "gateway", "*", content=json.dumps(body), headers=json_type)
    assert (got.status_code, got.json()["detail"]) == (
        422,
        f"subject.properties.{name}: 1 to 512 characters, no control characters",
    )


@pytest.mark.parametrize(
    ("context", "properties", "status", "said"),
    [
        ({"tenant_id": "acme"}, {}, 200, "nothing speaks against it"),
        ({}, {"tenant_id": "acme"}, 200, "nothing speaks against it"),
        ({}, {}, 422, "context.tenant_id"),
        ({"tenant_id": "acme"}, {"tenant_id": "other"}, 422, "another tenant than subject.properties.tenant_id"),
        ({"tenant_id": "other", "envelope": envelope()}, {}, 422, "another tenant than the envelope's"),
        ({"tenant_id": ""}, {}, 422, "context.tenant_id: 1 to 512 characters"),
    ],
)
def test_a_token_of_every_tenant_says_beside_the_session_whose_it_is(stage, context, properties, status, said):
    stage.call("POST", "/v1/envelopes", "delegation", json={"envelope": envelope()})
    body = {
        "subject": {"type": "session", "id": "s1", "properties": properties},
        "action": {"name": "crm.read"},
        "resource": {"type": "customer", "id": "c1"},
        "context": context,
    }
    got = stage.call("POST", "/v1/advise", "gateway", "*", json=body)
    assert (got.status_code, said in got.text) == (status, True), got.text


def test_advice_for_every_tenant_at_once_is_refused_and_not_given_for_one_of_that_name(stage):
    body = {
        "subject": {"type": "session", "id": "s1"},
        "action": {"name": "crm.read"},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": envelope(tenant_id="*")},
    }
    got = stage.call("POST", "/v1/advise", "gateway", "*", json=body)
    assert (got.status_code, "name the one that is meant" in got.text) == (422, True)


def test_people_hear_of_a_held_call_once(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)
    advice(stage)
    news = stage.call("GET", "/v1/findings", params={"kind": "control"}).json()["items"]
    asked = "A person is asked about one call of crm.export in session s1"
    (told,) = [each["finding"] for each in news if each["finding"]["title"] == asked]
    (reason,) = told["reasons"]
    assert "with this call session s1 would have left its purpose" in reason["text"]
    assert f'guardian approve {held["approval"]["id"]} --reason "why"' in reason["text"]


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        ({"arguments": '{"scope": "all"}', "call": "forged", "agent": "agent_1" + "x" * 1000}, '{"scope": "all"}'),
        ({"agent": "agent_1"}, "not shown: redacted, or of a monitor of another version"),
    ],
)
def test_who_is_asked_about_a_held_call_sees_what_it_would_do(stage, adviser, told, arguments):
    adviser.answer = STRONG.model_copy(update={"shown": {"purpose": "review\x00", "resource": "", **told}})
    held = advice(stage, scope="all")["approval"]["id"]
    view = stage.call("GET", f"/v1/approvals/{held}", "responder").json()
    shown = view["particulars"]
    assert view["reason"] == "one call of crm.export"
    assert (shown["tool"], shown["purpose"], shown["arguments"]) == ("crm.export", "review\x00", arguments)
    assert (shown["agent"], "resource" in shown) == (told["agent"], False)
    assert shown["call"] != "forged"
    adviser.answer = STRONG  # however the monitor tells of it, it is the same call
    assert advice(stage, scope="all")["approval"]["id"] == held
    assert stage.decide(held, "approve", "responder").status_code == 200
    assert advice(stage, scope="all")["advice"] == "permit"


def test_a_call_without_arguments_is_not_said_to_hide_any(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)["approval"]["id"]
    assert "arguments" not in stage.call("GET", f"/v1/approvals/{held}", "responder").json()["particulars"]


def test_the_session_of_a_held_call_has_a_page_and_no_finding(stage, adviser):
    adviser.answer = STRONG
    advice(stage)
    known = stage.call("GET", "/v1/sessions/acme/s1", "analyst").json()
    assert (known["session"]["status"], known["findings"]) == ("active", [])


def test_in_shadow_everything_passes_and_says_what_enforce_would_do(make_stage, adviser):
    stage = make_stage(adviser=adviser)
    adviser.answer = HARD
    told = advice(stage)
    assert told["advice"] == "permit"
    assert "in enforce it would not have passed" in told["reason"]


def test_whoever_is_revoked_is_denied_without_asking_the_model(stage, adviser):
    stage.revoke("s1")
    assert "revoked" in advice(stage)["reason"]
    stage.call("POST", "/v1/subjects/acme/agent/agent_1/revoke", "responder", json={"reason": "r"})
    assert advice(stage, session="s2")["advice"] == "deny"
    assert adviser.lines == []


@pytest.mark.parametrize("sent", [{"agent_id": None}, {"agent_id": "agent_2"}])
def test_a_revoked_agent_is_not_lost_where_the_gateway_names_it_otherwise_than_the_registered_envelope(
    stage, adviser, sent
):
    stage.call("POST", "/v1/envelopes", "delegation", json={"envelope": envelope()})
    stage.call("POST", "/v1/subjects/acme/agent/agent_1/revoke", "responder", json={"reason": "r"})
    assert "the agent is revoked" in advice(stage, context={"envelope": envelope(**sent)})["reason"]
    assert adviser.lines == []


@pytest.mark.parametrize(("tool", "answer"), [("crm.read", "permit"), ("crm.export", "deny")])
def test_without_an_answer_in_time_the_tools_risk_decides(stage, adviser, tool, answer):
    adviser.answer = AdviserError("the adviser gave no answer in time")
    told = advice(stage, tool)
    assert (told["advice"], told["fallback"]) == (answer, True)
    assert stage.deps.metrics.value("guardian_advice_total", answer="fallback") == 1


@pytest.mark.parametrize(
    "filler",
    [{f"a{n}": n for n in range(2_000)}, {"x": [[]] * 2_000}, {"x": "y" * 2**18}, {"y" * 2**18: 0}],
    ids=["values", "empty", "text", "names"],
)
def test_who_sends_more_than_is_read_does_not_choose_the_fall_back_with_it(stage, adviser, filler):
    adviser.answer = AdviserError("the adviser gave no answer in time")
    told = advice(stage, "crm.read", **filler)
    assert (told["advice"], told["breaches"], told["fallback"]) == ("deny", ["unreadable_call"], False)
    assert adviser.lines == [], "nor does anybody wait for it"


@pytest.mark.parametrize("odd", [2**64, json.loads("[" * 70 + "]" * 70)], ids=["number", "depth"])
def test_what_the_agent_made_unreadable_is_the_advisers_to_weigh_and_no_mistake_of_the_gateways(
    stage, adviser, odd
):
    adviser.answer = HARD
    assert advice(stage, odd=odd)["advice"] == "deny"
    (line,) = adviser.lines
    assert line["action"]["arguments"] == {"odd": odd}


def test_a_large_call_is_weighed(stage, adviser):
    assert advice(stage, "crm.read", ids=list(range(1_900)), text="y" * 2**17)["advice"] == "permit"
    assert len(adviser.lines) == 1


def test_without_an_adviser_it_is_the_same(make_stage):
    told = advice(make_stage())
    assert (told["advice"], told["fallback"], told["reason"]) == ("deny", True, "no adviser is configured")


def test_a_policy_that_cannot_decide_falls_back_as_well(make_stage, adviser, policies):
    class Broken:
        version = "x"

        def decide(self, request):
            if request.action == "permitCall":
                raise RuntimeError("away")
            return policies.decide(request)

    rule = AdviceRule(budget_s=60, risks={"*.read": "low"}, fallback={"low": "permit"})
    stage = make_stage(adviser=adviser, pdp=Broken(), advice=rule)
    assert advice(stage, "crm.read")["fallback"] is True
    assert advice(stage, "crm.export")["advice"] == "deny"


@pytest.mark.parametrize("answer", [CALM, STRONG, HARD])
@pytest.mark.parametrize("number", ["one_in", "session_evidence", "score"])
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_no_answer(stage, adviser, answer, number, odd):
    adviser.answer = answer.model_copy(update={number: odd})
    told = advice(stage)
    assert (told["advice"], told["fallback"]) == ("deny", True)
    assert advice(stage, "crm.read")["advice"] == "permit", "as configured for what does little harm"


def test_nor_is_one_that_an_adviser_in_this_process_could_not_put_together(stage, adviser):
    with pytest.raises(ValidationError) as none:
        Weighing(**{**STRONG.model_dump(), "one_in": float("inf")})
    adviser.answer = none.value
    assert advice(stage)["fallback"] is True


def test_a_registered_envelope_need_not_be_sent(stage, adviser):
    assert ask(stage, context={}).status_code == 422
    stage.call("POST", "/v1/envelopes", "delegation", json={"envelope": envelope(purpose="registered")})
    assert advice(stage, context={})["advice"] == "permit"
    assert adviser.lines[0]["envelope"]["purpose"] == "registered"


def test_an_mcp_gateway_names_the_tool_as_the_resource(stage, adviser):
    body = {
        "subject": {"type": "identity", "id": "user_1"},
        "action": {"name": "tools/call", "properties": {"arguments": {"x": 1}}},
        "resource": {"type": "tool", "id": "crm.read"},
        "context": {"envelope": envelope(), "agent": "ignored"},
    }
    assert stage.call("POST", "/v1/advise", "gateway", json=body).json()["decision"] is True
    assert adviser.lines[0]["action"]["tool"] == "crm.read"


def test_questions_that_make_no_sense_or_are_not_ones_own_are_refused(stage):
    assert ask(stage, session="s1", context={"envelope": envelope("s2")}).status_code == 422
    assert ask(stage, context={"envelope": {"tenant_id": "acme"}}).status_code == 422
    assert ask(stage, context={"envelope": envelope(tenant_id="globex")}).status_code == 404
    assert ask(stage, role="monitor").status_code == 403
    assert stage.call("GET", "/v1/advise/apr_x", "gateway").status_code == 404


@pytest.mark.parametrize("role", ["auditor", "analyst", "admin"])
def test_only_a_gateway_asks_and_so_has_people_asked(stage, adviser, role):
    adviser.answer = STRONG
    assert ask(stage, role=role).status_code == 403
    assert stage.call("GET", "/v1/approvals").json()["items"] == []
    assert adviser.lines == []


@pytest.mark.parametrize("role", ["metrics", "delegation", "auditor"])
def test_nobody_else_learns_from_the_answer_which_sessions_are_registered(stage, role):
    stage.delegate("s1")
    for session in ("s1", "unheard_of"):
        asked = ask(stage, session=session, role=role, context={})
        assert (asked.status_code, asked.json()["code"]) == (403, "denied")


def test_waiting_ends_with_the_persons_word(stage, adviser):
    adviser.answer = STRONG
    held = advice(stage)
    began = time.monotonic()
    assert (
        stage.call("GET", f"{held['approval']['wait_at']}?wait=0.3", "gateway").json()["context"]["advice"]
        == "hold"
    )
    assert time.monotonic() - began >= 0.3


def test_who_waits_for_a_call_whose_time_is_over_is_answered_at_once(make_stage, adviser):
    stage = make_stage(adviser=adviser, default_mode="enforce")
    adviser.answer = STRONG
    held = advice(stage)
    stage.clock.pass_(hours=4)
    began = time.monotonic()
    told = stage.call("GET", f"{held['approval']['wait_at']}?wait=30", "gateway").json()["context"]
    assert (told["advice"], told["reason"]) == ("deny", "the approval is expired")
    assert time.monotonic() - began < 20
