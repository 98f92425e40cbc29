"""A decision point that is slow, gone, wrong or lying ends in a flag, and people hear of it."""

import contextlib
import json
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from serving import Reply, answering
from structlog.testing import capture_logs
from whole_store import alert_states, ledger_entries

from guardian.control.switch import SwitchRule
from guardian.control.telling.news import spread, tell_of_decision_point
from guardian.policy.authzen import AuthzenPoint
from guardian.policy.cedar import CedarPolicies
from guardian.policy.floor import Floor
from guardian.policy.port import PolicyDecision


@dataclass
class Faulty:
    """A decision point that can be switched to misbehave; sound otherwise."""

    sound: CedarPolicies
    fault: Any = None
    asked: list[str] = field(default_factory=list)

    @property
    def version(self) -> str:
        if isinstance(self.fault, BaseException):
            raise self.fault
        return self.sound.version

    def decide(self, request):
        self.asked.append(request.action)
        match self.fault:
            case None:
                return self.sound.decide(request)
            case BaseException():
                raise self.fault
            case "lies":
                return PolicyDecision(True, ("all-is-well",))
            case answer:
                return answer


FAULTS = {
    "slow": TimeoutError("2 s"),
    "gone": ConnectionRefusedError("nobody there"),
    "no answer": PolicyDecision(False, errors=("the PDP answered 502",)),
    "a word": "Allow",
    "nothing": False,
    "a mapping": {"allowed": True},
}


@pytest.fixture
def pdp(policies):
    return Faulty(policies)


@pytest.fixture
def enforced(make_stage, pdp):
    return make_stage(pdp=pdp, default_mode="enforce")


def told(stage):
    with stage.deps.store.read() as rows:
        found = [each.view.finding for each in rows.findings.page({"guardian"}, limit=100, kind="control")]
    return [each.title for each in found if each.reasons[0].signal == "decision_point"][::-1]


AWAY, BACK = "Policy decisions fail: the monitor can only flag", "Policy decisions are made again"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_what_the_monitor_sees_is_taken_in_as_a_flag_and_never_as_a_revocation(
    enforced, pdp, a_finding, hard, fault
):
    pdp.fault = fault
    got = enforced.submit(a_finding(breaches=hard))
    assert got.status_code == 200, got.text
    outcome = got.json()
    assert (outcome["effect"], outcome["revision"], outcome["approval_id"]) == ("flag", None, None)
    assert outcome["policy_errors"]
    assert "policy could not decide" in outcome["note"]
    assert pdp.asked == ["flag"], "a decision point that failed is not asked again for the same finding"
    [act] = enforced.audit(finding_id=outcome["finding_id"])
    assert (act["allowed"], act["action"], act["result"]) == (False, "revoke", "flag")
    assert act["policy_errors"]
    counted = enforced.deps.metrics.value("guardian_policy_decisions_total", action="flag", decision="error")
    assert counted == 1
    with enforced.deps.store.read() as rows:
        assert ledger_entries(rows) == []
        assert alert_states(rows) == {"pending": 2}, "the finding's own alert, and the news"


def test_a_redelivered_finding_gets_the_answer_of_the_outage_again(enforced, pdp, a_finding):
    pdp.fault = TimeoutError("slow")
    first = enforced.submit(a_finding())
    pdp.fault = None
    assert enforced.submit(a_finding()).content == first.content
    assert enforced.submit(a_finding(n=1)).json()["effect"] == "revoke"


def test_without_a_decision_point_reach_and_role_are_still_checked(enforced, pdp, a_finding):
    pdp.fault = TimeoutError("slow")
    assert enforced.submit(a_finding(tenant="globex")).status_code == 404
    for role in ("gateway", "admin", "analyst", "metrics"):
        got = enforced.submit(a_finding(), role)
        assert (got.status_code, got.json()["code"]) == (503, "policy_unavailable"), role
    with enforced.deps.store.read() as rows:
        assert rows.findings.page({"acme", "globex"}, limit=10) == []


@pytest.mark.parametrize(
    ("method", "path", "role", "body"),
    [
        ("GET", "/v1/findings", "analyst", None),
        ("GET", "/v1/sessions", "analyst", None),
        ("GET", "/v1/revocations", "gateway", None),
        ("GET", "/v1/session-changes", "monitor", None),
        ("GET", "/v1/breakers/acme", "analyst", None),
        ("GET", "/v1/policy/explain?tenant_id=acme", "analyst", None),
        ("GET", "/metrics", "metrics", None),
        ("POST", "/v1/sessions/acme/s1/revoke", "responder", {"reason": "x"}),
        ("POST", "/v1/breakers/acme/reset", "approver", {"reason": "x"}),
        ("PUT", "/v1/modes/acme", "admin", {"mode": "shadow", "reason": "x"}),
    ],
)
def test_everything_else_is_unavailable_and_not_forbidden(enforced, pdp, method, path, role, body):
    pdp.fault = TimeoutError("slow")
    got = enforced.call(method, path, role, json=body)
    assert (got.status_code, got.json()["code"]) == (503, "policy_unavailable")
    assert [(each["allowed"], each["result"]) for each in enforced.audit(role=role)] == [(False, "refused")]
    assert told(enforced) == [AWAY], "whoever meets it first, people hear of it"


def test_gateways_keep_their_list_while_a_decision_point_over_http_gives_no_answer(make_stage, policies):
    """For five minutes; nobody else does, people hear of it, and guardian's own policies still have their say."""
    away = threading.Event()
    with answering(lambda _: None if away.is_set() else Reply({"decision": True})) as pdp:
        point = AuthzenPoint(url=pdp.url, rest_s=0, clock=lambda: stage.clock.seconds(), new_id=lambda: "1")
        stage = make_stage(pdp=Floor(point, policies))
        asked = {"X-Guardian-Tenant": "acme", "X-Guardian-Session": "s1"}

        def statuses():
            return [
                stage.call("GET", "/v1/revocations", "gateway").status_code,
                stage.call("GET", "/v1/check", "gateway", headers=asked).status_code,
            ]

        assert statuses() == [200, 200]
        away.set()
        stage.clock.pass_(seconds=299)
        assert statuses() == [200, 200]
        spread(stage.deps)
        assert told(stage) == [AWAY]
        with stage.deps.store.read() as rows:
            [news] = rows.findings.page({"guardian"}, limit=10, kind="control")
        assert "policy.options.grace_s" in news.view.finding.reasons[0].text[:250]
        stage.clock.pass_(seconds=1)
        assert statuses() == [503, 503]
        away.clear()
        assert statuses() == [200, 200]
        assert stage.call("GET", "/v1/revocations", "metrics").status_code == 403, "the floor denies that"
        away.set()
        assert stage.call("GET", "/v1/revocations", "gateway", who="other").status_code == 503
        assert stage.call("GET", "/v1/session-changes", "monitor").status_code == 503
        assert stage.revoke().status_code == 503
    counted = [
        stage.deps.metrics.value("guardian_policy_decisions_total", action="readRevocations", decision=each)
        for each in ("allow", "bridged", "error", "deny")
    ]
    assert counted == [4, 2, 3, 1]


def test_people_are_told_once_per_outage_and_once_when_it_is_over(enforced, pdp, a_finding):
    pdp.fault = TimeoutError("slow")
    for n in range(3):
        enforced.submit(a_finding(f"s{n}"))
        enforced.call("GET", "/v1/findings", "analyst")
        enforced.clock.pass_(minutes=10)
    assert told(enforced) == [AWAY]
    pdp.fault = None
    enforced.submit(a_finding("s8"))
    assert told(enforced) == [AWAY, BACK]
    pdp.fault = ConnectionResetError("gone")
    enforced.submit(a_finding("s9"))
    assert told(enforced) == [AWAY, BACK, AWAY]


def test_a_decision_point_that_fails_now_and_then_is_one_outage(enforced, pdp, a_finding):
    for n in range(6):
        pdp.fault = TimeoutError("slow") if n % 2 == 0 else None
        enforced.submit(a_finding(f"s{n}"))
        enforced.clock.pass_(minutes=1)
    assert told(enforced) == [AWAY]
    enforced.clock.pass_(minutes=5)
    enforced.call("GET", "/metrics", "metrics", "*")
    assert told(enforced) == [AWAY, BACK]


def test_only_operators_hear_where_the_decision_point_is_and_the_log_once_a_minute(
    make_stage, policies, a_finding, hard
):
    point = AuthzenPoint(url="http://127.0.0.1:9/pdp", rest_s=0, clock=lambda: 0.0, new_id=lambda: "1")
    stage = make_stage(pdp=Floor(point, policies), default_mode="enforce")
    with capture_logs() as lines:
        refused = stage.call("GET", "/v1/findings", "analyst")
        flagged = stage.submit(a_finding(breaches=hard))
        for _ in range(2):
            stage.clock.pass_(seconds=30)
            stage.call("GET", "/v1/findings", "analyst")
    assert refused.json()["detail"].endswith("counts as no: external: the AuthZEN PDP gave no answer in time")
    outcome = flagged.json()
    assert "the AuthZEN PDP gave no answer in time" in outcome["note"]
    assert "127.0.0.1" not in json.dumps([refused.json(), outcome["note"], outcome["policy_errors"]])
    logged = [line["causes"][0] for line in lines if line["event"] == "policy_undecided"]
    assert [cause.startswith("external: the AuthZEN PDP at http://127.0.0.1:9/pdp ") for cause in logged] == [
        True
    ] * 2
    with stage.deps.store.read() as rows:
        [news] = [each.view.finding for each in rows.findings.page({"guardian"}, limit=9, kind="control")]
    assert logged[0] in news.reasons[0].text


def test_news_that_could_not_be_stored_are_told_later(enforced, pdp, a_finding):
    pdp.fault = TimeoutError("slow")
    enforced.deps.outage.heard(("slow",), enforced.clock())
    with contextlib.suppress(RuntimeError), enforced.deps.store.write() as rows:
        assert tell_of_decision_point(enforced.deps, rows, enforced.clock())
        raise RuntimeError("the disk is full")
    assert told(enforced) == []
    enforced.submit(a_finding())
    assert told(enforced) == [AWAY]


def test_one_error_in_a_cedar_policy_counts_as_no_decision(make_stage, policies, a_finding, hard):
    overflows = """
        @id("counts-badly") @why("")
        forbid (principal, action == Guardian::Action::"revoke", resource)
        when { context.evidence.oneIn * 9223372036854775807 < 0 };
    """
    careless = CedarPolicies(policies.policies + overflows, policies.schema)
    stage = make_stage(pdp=careless, default_mode="enforce")
    outcome = stage.submit(a_finding(breaches=hard)).json()
    assert outcome["effect"] == "flag"
    assert any("counts-badly" in error or "overflow" in error for error in outcome["policy_errors"])
    got = stage.call("POST", "/v1/sessions/acme/s1/revoke", "responder", json={"reason": "x"})
    assert got.status_code == 200, "one honest session per one: that does not overflow"
    assert told(stage) == [AWAY]


def test_a_lying_decision_point_revokes_nothing_in_shadow(make_stage, pdp, a_finding, hard):
    stage = make_stage(pdp=pdp)
    pdp.fault = "lies"
    outcome = stage.submit(a_finding(breaches=hard)).json()
    assert outcome["effect"] == "flag"
    assert "never does by itself: the tenant's mode leaves this session alone" in outcome["note"]
    assert told(stage) == [AWAY]


def test_a_lying_decision_point_revokes_no_protected_session(enforced, pdp, a_finding, hard):
    body = {"protected": True, "reason": "payroll"}
    enforced.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)
    pdp.fault = "lies"
    outcome = enforced.submit(a_finding(breaches=hard)).json()
    assert (outcome["effect"], outcome["approval_id"]) == ("flag", None)
    assert "the session is protected" in outcome["note"]


def test_a_lying_decision_point_stops_nothing_that_protected_sessions_act_under(make_stage, pdp, a_finding, hard):
    rule = SwitchRule(watch_every_s=3600, comes_back=dict.fromkeys(("task", "agent"), timedelta(hours=2)))
    stage = make_stage(pdp=pdp, default_mode="enforce", switch=rule, protected={"acme": frozenset({"agent_vip"})})
    for session, agent in (("s1", "agent_2"), ("vip", "agent_vip")):
        envelope = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, "task_id": "task_9"}
        body = {"envelope": {**envelope, "agent_id": agent}}
        assert stage.call("POST", "/v1/envelopes", "delegation", json=body).status_code == 201
    pdp.fault = "lies"
    got = stage.call("POST", "/v1/subjects/acme/task/task_9/revoke", "monitor", json={"reason": "x"})
    assert (got.status_code, got.json()["code"]) == (503, "policy_unavailable")
    assert stage.submit(a_finding("s1", breaches=hard)).json()["effect"] == "revoke"
    stopped = {(each["subject_type"], each["subject_id"]) for each in stage.revocations().json()["entries"]}
    assert stopped == {("session", "s1"), ("agent", "agent_2")}


def test_a_lying_decision_point_exceeds_neither_budget_nor_reserve(make_stage, pdp, a_finding, hard):
    stage = make_stage(pdp=pdp, default_mode="enforce", budget_total=5, budget_reserved=2)
    pdp.fault = "lies"
    soft = [stage.submit(a_finding(f"s{n}")).json()["effect"] for n in range(5)]
    assert soft == ["revoke"] * 3 + ["flag"] * 2
    sure = [stage.submit(a_finding(f"h{n}", breaches=hard)).json()["effect"] for n in range(4)]
    assert sure == ["revoke"] * 2 + ["flag"] * 2


def test_a_lying_decision_point_reaches_no_other_tenant(enforced, pdp, a_finding):
    pdp.fault = "lies"
    assert enforced.submit(a_finding(tenant="globex")).status_code == 404
    assert enforced.call("GET", "/v1/breakers/globex", "analyst").status_code == 404


@pytest.mark.parametrize("role", ["monitor", "gateway", "delegation", "metrics", "auditor"])
def test_a_lying_decision_point_gives_machines_and_auditors_no_say(make_stage, pdp, role):
    stage = make_stage(pdp=pdp)
    pdp.fault = "lies"
    for method, path, body in (
        ("PUT", "/v1/modes/acme", {"mode": "enforce", "reason": "x"}),
        ("PUT", "/v1/sessions/acme/s1/protection", {"protected": False, "reason": "x"}),
        ("POST", "/v1/sessions/acme/s1/reinstate", {"reason": "x"}),
        ("POST", "/v1/breakers/acme/reset", {"reason": "x"}),
        ("POST", "/v1/break-glass", {"tenant_id": "acme", "minutes": 5, "reason": "x"}),
    ):
        got = stage.call(method, path, role, json=body)
        assert (got.status_code, got.json()["code"]) == (503, "policy_unavailable"), path
        assert f"is not for the {role}" in got.json()["detail"]
    assert stage.call("GET", "/v1/modes/acme", "admin").json()["mode"] == "shadow"


def test_a_decision_is_recorded_with_the_policies_that_made_it_though_others_came_meanwhile(
    make_stage, policies, a_finding
):
    """The files are swapped after the flag was decided: flag and revocation name each its own set."""
    other = CedarPolicies(policies.policies + "\n// another set, which decides the same", policies.schema)

    class Swapped(Faulty):
        def decide(self, request):
            said = super().decide(request)
            self.sound = other
            return said

    stage = make_stage(pdp=Swapped(policies), default_mode="enforce")
    told = stage.submit(a_finding(wanted="flag")).json()
    assert told["policy_version"] == policies.version
    [line] = stage.audit(action="flag")
    assert line["policy_version"] == policies.version
    stage = make_stage(pdp=Swapped(policies), default_mode="enforce")
    told = stage.submit(a_finding()).json()
    assert (told["effect"], told["policy_version"]) == ("revoke", other.version)


def test_refused_reads_are_audited_once_an_hour_and_counted_each_time(stage):
    for _ in range(3):
        assert stage.call("GET", "/v1/findings", "gateway").status_code == 403
    assert stage.call("GET", "/v1/breakers/globex", "analyst").status_code == 404
    written = [(each["actor"], each["action"], each["tenant_id"], each["result"]) for each in stage.audit()]
    assert written == [("gateway-1", "read", None, "refused"), ("analyst-1", "read", "globex", "refused")]
    counted = stage.deps.metrics.value("guardian_policy_decisions_total", action="read", decision="deny")
    assert counted == 3
    stage.clock.pass_(hours=1)
    stage.call("GET", "/v1/findings", "gateway")
    assert len(stage.audit(actor="gateway-1")) == 2


def test_a_caller_who_asks_for_a_thousand_tenants_cannot_flood_the_trail(stage):
    stage.deps.refused_reads.most = 5
    for n in range(20):
        stage.call("GET", f"/v1/breakers/t{n}", "gateway", "*")
    assert len(stage.audit(actor="gateway-1")) == 5


def test_a_permitted_read_is_not_written_down(stage):
    stage.call("GET", "/v1/findings", "analyst")
    assert stage.audit() == []


def test_how_long_policy_takes_is_measured(stage, a_finding):
    stage.submit(a_finding())
    assert "guardian_policy_seconds_count 3.0" in stage.call("GET", "/metrics", "metrics", "*").text


@pytest.mark.parametrize(
    ("path", "role", "action"),
    [
        ("/v1/findings", "analyst", "read"),
        ("/v1/sessions", "analyst", "read"),
        ("/v1/watch", "analyst", "read"),
        ("/v1/revocations", "gateway", "readRevocations"),
        ("/v1/opa/bundle.tar.gz", "gateway", "readRevocations"),
    ],
)
def test_asking_a_list_for_a_tenant_out_of_reach_is_audited_as_well(stage, path, role, action):
    assert stage.call("GET", path, role, params={"tenant_id": "globex"}).status_code == 404
    assert stage.audit(action=action, tenant_id="globex", result="refused")


@pytest.mark.parametrize(
    ("path", "body", "action"),
    [
        ("/v1/findings/fnd_1/verdict", {"verdict": "benign", "reason": "x"}, "dismiss"),
        ("/v1/exceptions", {"finding_id": "fnd_1", "reason": "x"}, "makeException"),
    ],
)
def test_so_is_judging_a_finding_there(stage, path, body, action):
    asked = stage.call("POST", path, "approver", params={"tenant_id": "globex"}, json=body)
    assert asked.status_code == 404
    assert stage.audit(action=action, tenant_id="globex", result="refused")
