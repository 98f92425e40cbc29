"""What many callers at once cannot do, and what the audit trail says of those who tried."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import SimpleQueue
from threading import Semaphore
from types import SimpleNamespace

import pytest
from fastapi.routing import APIRoute
from replaying import replay
from whole_store import alert_states, first_bad, ledger_entries, not_made_once

from guardian.control.advice import advising
from guardian.control.authentication import caller
from guardian.control.authentication.gate import Gate
from guardian.control.lapse import sweep
from guardian.control.people import acts
from guardian.control.routes import findings
from guardian.control.switch import SelfTestRule, SwitchRule
from guardian.control.watchers.self_testing import test_the_switch as check_the_switch
from guardian.store.control import store as control_store
from guardian.wire.advice import Weighing


def test_threads_cannot_exceed_the_budget_nor_fork_ledger_or_audit(make_stage, a_finding, hard):
    stage = make_stage(budget_total=8, budget_reserved=3)
    stage.enforce()
    stage.token("monitor")
    sent = [a_finding(f"s{n}", breaches=hard if n % 3 == 0 else ()) for n in range(30)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(stage.submit, sent + sent[::-1]))
    assert {answer.status_code for answer in answers} == {200}
    for first, again in zip(answers[:30], answers[30:][::-1], strict=True):
        assert first.content == again.content
    with stage.deps.store.read() as rows:
        entries = ledger_entries(rows)
        live = rows.ledger.live(None)
        assert first_bad(rows) is None
        assert alert_states(rows) == {"pending": 31}, "the change of mode asked for somebody too"
    assert [entry.revision.n for entry in entries] == list(range(1, 9))
    assert len({entry.subject_id for entry in entries}) == 8
    assert sorted(replay(entries).values(), key=lambda e: e.revision.n) == live
    soft = [entry for entry in entries if entry.reason_code == "drift"]
    assert len(soft) <= 5


def test_the_same_finding_from_many_threads_is_one_revocation(stage, a_finding):
    stage.enforce()
    stage.token("monitor")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(stage.submit, [a_finding()] * 16))
    assert len({answer.content for answer in answers}) == 1
    with stage.deps.store.read() as rows:
        assert len(ledger_entries(rows)) == 1
        assert alert_states(rows) == {"pending": 2}, "the change of mode asked for somebody too"


def _advised(stage, a_finding, name):
    """Advice on a call that is not to be let through, which is audited."""
    envelope = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": name, "purpose": "review"}
    body = {
        "subject": {"type": "session", "id": name},
        "action": {"name": "crm.export"},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": envelope | {"allowed_tools": ["crm.export"], "agent_id": "agent_1"}},
    }
    return stage.call("POST", "/v1/advise", "gateway", json=body)


def _counted(monkeypatch):
    """Released by each request whose token was believed."""
    admitted, authenticate = Semaphore(0), Gate._authenticate

    def counted(*told):
        principal = authenticate(*told)
        admitted.release()
        return principal

    monkeypatch.setattr(Gate, "_authenticate", counted)
    return admitted


def _refused(stage, a_finding, name):
    """A look at another tenant, which is audited."""
    return stage.call("GET", "/v1/revocations?tenant_id=globex", "gateway", who=f"gw{name}")


@pytest.mark.parametrize(
    ("send", "answer"),
    [(lambda stage, a_finding, name: stage.submit(a_finding(name)), 200), (_advised, 200), (_refused, 404)],
    ids=["findings", "calls", "refusals"],
)
def test_gateways_that_ask_or_follow_do_not_wait_for_those_who_wait_to_write(
    make_stage, a_finding, monkeypatch, send, answer
):
    """Say a disk stalls."""
    stage = make_stage(adviser=SimpleNamespace(weigh=lambda *_: _BREACH), default_mode="enforce")
    for role in ("monitor", "gateway"):
        stage.token(role)
    admitted = _counted(monkeypatch)
    monkeypatch.setattr(control_store, "_TURN_S", 600)
    with ThreadPoolExecutor(61) as pool:
        with stage.deps.store.write():
            sent = [pool.submit(send, stage, a_finding, f"s{n}") for n in range(60)]
            assert all(admitted.acquire(timeout=60) for _ in sent)
            for path in ("/v1/check?session_id=s1", "/v1/revocations"):
                assert pool.submit(stage.call, "GET", path, "gateway").result(timeout=60).status_code == 200
            assert not any(each.done() for each in sent)
        assert {each.result().status_code for each in sent} == {answer}


_BREACH = Weighing(
    score=0.1, session_evidence=0.0, one_in=1.0, promised=True, independent_signals=0, hard_breaches=("x",)
)


_KINDS = {
    "person": lambda stage, a_finding, name: stage.revoke(name),
    "revocation": lambda stage, a_finding, name: stage.submit(a_finding(name)),
    "flag": lambda stage, a_finding, name: stage.submit(a_finding(name, wanted="flag")),
    "held": _advised,
}


@pytest.mark.parametrize("flood", _KINDS)
def test_no_kind_of_writer_queues_behind_a_flood_of_another(make_stage, a_finding, monkeypatch, flood):
    """While a write takes its time: who reaches the store is among the few that are next."""
    stage = make_stage(adviser=SimpleNamespace(weigh=lambda *_: _BREACH), default_mode="enforce")
    come, revoke, receive, hold = SimpleQueue(), acts.revoke, findings.receive, advising._refuse_or_hold
    monkeypatch.setattr(acts, "revoke", lambda *told, **more: (come.put(told[2][1]), revoke(*told, **more))[1])
    monkeypatch.setattr(findings, "receive", lambda *told: (come.put(told[2].session_id), receive(*told))[1])
    monkeypatch.setattr(
        advising,
        "_refuse_or_hold",
        lambda deps, call, *told, **more: (come.put(call.envelope.session_id), hold(deps, call, *told, **more))[1],
    )
    monkeypatch.setattr(control_store, "_TURN_S", 600)
    for role in ("monitor", "responder", "gateway"):
        stage.token(role)
    others, reached, admitted = set(_KINDS) - {flood}, set(), _counted(monkeypatch)
    with ThreadPoolExecutor(63) as pool:
        with stage.deps.store.write():
            sent = [pool.submit(_KINDS[flood], stage, a_finding, f"s{n}") for n in range(60)]
            assert all(admitted.acquire(timeout=60) for _ in sent)
            sent += [pool.submit(_KINDS[each], stage, a_finding, each) for each in others]
            while not others <= reached:
                reached.add(come.get(timeout=60))
        assert {each.result().status_code for each in sent} == {200}
    assert len(reached) < 60


def test_every_route_that_writes_has_its_caller_take_one_of_the_places_of_those(stage):
    routes = [route for route in stage.client.app.routes if isinstance(route, APIRoute)]
    writing = [route for route in routes if not route.methods <= {"GET", "HEAD"}]
    free = [
        route for route in writing if caller._writer not in {each.call for each in route.dependant.dependencies}
    ]
    assert {route.path for route in free} == {
        "/v1/check/{path:path}", "/v1/revocations/ack", "/v1/monitors",  # which write nothing
        "/v1/advise", "/v1/findings",  # which take one by themselves
        "/slack/interactions", "/slack/commands",  # which people click
    }  # fmt: skip


def test_the_audit_names_who_did_what_by_which_policy(stage, a_finding, weak):
    stage.enforce()
    stage.submit(a_finding())
    stage.submit(a_finding("sess_2", evidence=weak))
    stage.submit(a_finding("sess_3", wanted="flag"))
    stage.submit(a_finding("sess_4"), "gateway")
    told = [
        (each["actor"], each["action"], each["session_id"], each["allowed"], each["policy_ids"], each["result"])
        for each in stage.audit()
        if each["role"] in ("monitor", "gateway")
    ]
    print(told)
    assert told == [
        ("monitor-1", "revoke", "sess_1", True, ["monitor-may-revoke-on-strong-evidence"], "revoke"),
        ("monitor-1", "revoke", "sess_2", False, [], "flag"),
        ("monitor-1", "flag", "sess_3", True, ["monitor-may-flag"], "flag"),
        ("gateway-1", "flag", "sess_4", False, ["machines-keep-to-their-work"], "refused"),
    ]
    for each in stage.audit():
        assert each["policy_version"] == stage.deps.pdp.version
        assert len(each["context_sha256"]) == 64


def test_the_audit_names_the_token_that_was_shown_for_an_act_or_refused_and_no_more_of_it(family, a_finding):
    roles = ("responder", "approver", "analyst", "monitor", "delegation")
    texts = {role: family.token(role) for role in roles}
    known = {family.deps.tokens.verify(text, now=family.clock()).jti: role for role, text in texts.items()}
    before = len(family.audit())
    family.revoke("child")
    family.delegate("late", "child")
    family.reinstate("child")
    family.call("PUT", "/v1/modes/acme", "analyst", json={"mode": "enforce", "reason": "mine"})
    family.submit(a_finding())
    records = family.audit()[before:]
    told = [(each["action"], each["session_id"], known.get(each.get("jti")), each["result"]) for each in records]
    assert told == [
        ("revoke", "grandchild", "responder", "revoke"),
        ("revoke", "child", "responder", "changed"),
        ("registerEnvelope", "late", "delegation", "registered"),
        ("revoke", "late", None, "revoke"),
        ("propose", "child", "responder", "waits"),
        ("reinstate", "child", "responder", "waits"),
        ("approve", "child", "approver", "approved"),
        ("giveBack", "grandchild", None, "reinstated"),
        ("giveBack", "late", None, "reinstated"),
        ("reinstate", "child", None, "changed"),
        ("setMode", None, "analyst", "refused"),
        ("revoke", "sess_1", "monitor", "flag"),
    ]
    assert not any(text.split(".")[-1] in str(each) for text in texts.values() for each in records)


@pytest.mark.usefixtures("walks_by_hand")
def test_each_entry_of_the_ledger_is_named_by_one_record_of_who_made_it_also_where_that_is_guardian(make_stage):
    rule = SelfTestRule(canary_every=timedelta(days=365), tenant_id="acme")
    stage = make_stage(switch=SwitchRule(watch_every_s=3600, self_test=rule))
    for held in ("1.0", "1.1"):
        stage.call("POST", "/v1/revocations/ack", "gateway", json={"revision": held})
        check_the_switch(stage.deps)
    stage.line()
    stage.revoke("root")
    stage.revoke("root")
    stage.call("POST", "/v1/subjects/acme/agent/agent_7/revoke", "responder", json={"reason": "x", "seconds": 600})
    stage.delegate("root", expires_at=(stage.clock() + timedelta(days=60)).isoformat())
    stage.clock.pass_(days=29, hours=23, minutes=58)
    sweep(stage.deps)
    stage.reinstate("root")
    stage.revoke("other")
    stage.clock.pass_(days=40)
    sweep(stage.deps)
    alone = [each for each in stage.audit() if "role" not in each]
    told = [(each["action"], each["subject_id"], each["cause"], each["actor"], each["result"]) for each in alone]
    canary = told[0][1]
    assert told == [
        ("selfTest", canary, None, "guardian", "revoked"),
        ("selfTest", canary, None, "guardian", "reinstated"),
        ("renew", "root", None, "guardian", "revoked"),
        ("renew", "child", "root", "guardian", "revoked"),
        ("renew", "grandchild", "root", "guardian", "revoked"),
        ("lapse", "agent_7", None, "guardian", "lapsed"),
        ("giveBack", "child", "root", "responder-1", "reinstated"),
        ("giveBack", "grandchild", "root", "responder-1", "reinstated"),
        ("lapse", "other", None, "guardian", "lapsed"),
    ]
    with stage.deps.store.read() as rows:
        assert not_made_once(rows) == []
        assert first_bad(rows) is None


def test_while_a_third_of_the_registered_sessions_is_revoked_the_monitor_only_flags(make_stage, a_finding, hard):
    stage = make_stage(default_mode="enforce")
    for n in range(21):
        told = {"delegator_id": "ann", "tenant_id": "acme", "session_id": f"s{n}", "purpose": "review"}
        assert stage.call("POST", "/v1/envelopes", "delegation", json={"envelope": told}).status_code == 201
    for n in range(6):
        stage.revoke(f"s{n}")
    assert stage.submit(a_finding("s6", breaches=hard)).json()["effect"] == "revoke"
    outcome = stage.submit(a_finding("s7", breaches=hard)).json()
    assert (outcome["effect"], outcome["policy_ids"]) == ("flag", ["auto-revoke-blast-radius"])
    stage.reinstate("s0")
    assert stage.submit(a_finding("s8", breaches=hard)).json()["effect"] == "revoke"


def test_a_tenants_sessions_are_counted_for_what_is_rare_and_not_for_every_flag_and_envelope(
    make_stage, policies, a_finding
):
    seen = {}

    class Noting:
        version = policies.version

        def decide(self, request):
            seen[request.action] = request.harm.registered_sessions
            return policies.decide(request)

    stage = make_stage(pdp=Noting(), default_mode="enforce")
    told = {"delegator_id": "ann", "tenant_id": "acme", "session_id": "s1", "purpose": "review"}
    for version in ("one", "two"):
        stage.call("POST", "/v1/envelopes", "delegation", json={"envelope": {**told, "task_id": version}})
    stage.submit(a_finding("s1"))
    assert seen == {"registerEnvelope": 0, "flag": 0, "revoke": 1}
