"""Whoever acts on a name that control never heard of is told so: a slip of the pen would stop nobody."""

from datetime import timedelta

import pytest

from guardian.control.authentication.token_records import record_token
from guardian.domain.finding import Effect

WHY = {"reason": "it revokes payroll"}
ASKED = {
    "mode": ("PUT", "/v1/modes/{tenant}", {"mode": "shadow", **WHY}),
    "wider": ("PUT", "/v1/modes/{tenant}", {"mode": "enforce", **WHY}),
    "the mode": ("GET", "/v1/modes/{tenant}", None),
    "the breaker": ("GET", "/v1/breakers/{tenant}", None),
    "breaker": ("POST", "/v1/breakers/{tenant}/reset", WHY),
    "glass": ("POST", "/v1/break-glass", {"tenant_id": "{tenant}", "minutes": 5, **WHY}),
    "token": ("POST", "/v1/subjects/{tenant}/jti/tok_1/revoke", WHY),
    "policy": ("GET", "/v1/policy/explain?tenant_id={tenant}&action=setMode", None),
}


def _unheard(stage, what, tenant, *reach):
    method, path, body = ASKED[what]
    told = body and {name: value if value != "{tenant}" else tenant for name, value in body.items()}
    role = "admin" if "mode" in what or what == "wider" else "approver"
    more = {} if told is None else {"json": told}
    got = stage.call(method, path.replace("{tenant}", tenant), role, *(reach or ("*",)), **more)
    assert got.status_code in (200, 202), got.text
    return got.json()["unheard"]


@pytest.mark.parametrize("what", ASKED)
def test_whoever_names_a_tenant_that_nothing_else_names_is_told_so(make_stage, a_finding, what):
    stage = make_stage(budget_total=5)
    assert _unheard(stage, what, "tenat_acme")
    assert _unheard(stage, what, "own", "own") is False, "the token names it"
    stage.submit(a_finding("s1", tenant="found"), "monitor", "*")
    body = {"delegator_id": "user_1", "tenant_id": "registered", "session_id": "s", "purpose": "review"}
    assert stage.call("POST", "/v1/envelopes", "delegation", "*", json={"envelope": body}).status_code == 201
    now, reach = stage.clock(), ("a", "served")
    with stage.deps.store.write() as rows:
        issued = stage.deps.tokens.issue("gw", role="gateway", tenants=reach, ttl=timedelta(days=1), now=now)
        record_token(rows, issued)
    assert [_unheard(stage, what, name) for name in ("found", "registered", "served")] == [False] * 3


def test_a_mode_that_the_same_slip_set_makes_no_tenant_known(stage):
    assert [_unheard(stage, "mode", "tenat_acme") for _ in range(2)] == [True, True]
    assert _unheard(stage, "the mode", "tenat_acme")


@pytest.mark.parametrize("verb", ["revoke", "reinstate"])
@pytest.mark.parametrize("kind", ["agent", "delegator", "task"])
def test_whoever_names_a_subject_that_no_session_is_under_is_told_so(stage, a_finding, verb, kind):
    def unheard(name, tenant="acme"):
        path = f"/v1/subjects/{tenant}/{kind}/{name}/{verb}"
        return stage.call("POST", path, "approver", "*", json=WHY).json()["unheard"]

    names = {"agent": "agent_7", "delegator": "user_7", "task": "task_7"}
    assert [unheard(names[kind]), unheard(names[kind])] == [True, True], "its own revocation says nothing"
    stage.delegate("s1", delegator_id="user_7", agent_id="agent_7", task_id="task_7")
    stage.delegate("s1", delegator_id="user_7", agent_id="agent_8", task_id="task_8")
    assert unheard(names[kind]) is False, "an earlier version of an envelope"
    assert unheard(names[kind], "globex")
    found = a_finding("s2", wanted=Effect.FLAG)
    told = {"agent_id": "agent_9", "delegator_id": "user_9", "task_id": "task_9"}
    name = told[f"{kind}_id"]
    assert unheard(name)
    stage.submit(found.model_copy(update={"subject": found.subject.model_copy(update=told)}))
    assert unheard(name) is False


def test_policy_s_answer_about_a_session_that_is_not_known_says_so(stage, a_finding):
    stage.submit(a_finding("s1", wanted=Effect.FLAG))
    path = "/v1/policy/explain?tenant_id=acme&session_id="
    assert [stage.call("GET", path + name).json()["unheard"] for name in ("s1", "slip")] == [False, True]
