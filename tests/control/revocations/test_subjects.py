"""Agents, delegators, tasks and token ids that are revoked for a while."""

from datetime import timedelta

import pytest
from deployment import POLICIES

from guardian.control.switch import SwitchRule
from guardian.domain.finding import Effect
from guardian.policy.cedar import CedarPolicies
from guardian.policy.facts import facts
from guardian.policy.port import PolicyDecision

BEFORE_CEDAR = """
@id("all") permit (principal, action, resource);

@id("nobody-reinstates-their-own-subject")
@why("whoever revoked it, or is stopped by it, must not be the one to give it back")
forbid (
  principal,
  action == Guardian::Action::"reinstateSubject",
  resource
)
when { context.act.own }
unless { context.solo || context.act.breakGlass };
"""
BEFORE_REGO = """package guardian

forbids["nobody-reinstates-their-own-subject"] := "whoever revoked it, or is stopped by it, must not be the one to give it back" if {
	action == "reinstateSubject"
	not input.context.act.own == false
	not solo
	not input.context.act.break_glass == true
}

solo if input.context.solo == true

action := input.action.name
"""  # noqa: E501 - as it was shipped
"""The rules of earlier versions, as they stand in policies of people's own."""


class BeforeInRego:
    """Permits what the rule has nothing against, by the facts that OPA and AuthZEN are sent."""

    version = "before"

    def decide(self, request):
        regopy = pytest.importorskip("regopy", reason="the dev extra brings a Rego evaluator")
        rego = regopy.Interpreter()
        rego.add_module("before.rego", BEFORE_REGO)
        rego.set_input(facts(request))
        said = rego.query("x := data.guardian.forbids").results[0]["x"]
        return PolicyDecision(not said, policy_ids=(*said,), reasons=said)


def act(stage, verb, kind="agent", name="agent_7", role="responder", who=None, **body):
    path = f"/v1/subjects/acme/{kind}/{name}/{verb}"
    return stage.call("POST", path, role, who=who, json={"reason": "its image was altered", **body})


def live(stage):
    return {(e["subject_type"], e["subject_id"]) for e in stage.revocations().json()["entries"]}


@pytest.mark.parametrize("kind", ["agent", "delegator", "task", "jti"])
def test_a_subject_is_revoked_for_a_while_and_then_lapses(stage, kind):
    done = act(stage, "revoke", kind, seconds=600).json()
    assert (done["revoked"], done["changed"]) == (True, True)
    assert live(stage) == {(kind, "agent_7")}
    stage.clock.pass_(seconds=601)
    stage.revoke("another")  # any write lets what is due lapse
    assert live(stage) == {("session", "another")}
    assert ("lapsed", "expired", "guardian") in stage.ledger()


def test_without_a_time_it_lives_as_configured_and_never_longer_than_the_most(stage):
    until = act(stage, "revoke").json()["expires_at"]
    assert until.startswith((stage.clock() + timedelta(days=1)).isoformat()[:16])
    assert act(stage, "revoke", seconds=31 * 86_400).status_code == 422


def test_a_longer_wish_extends_it_and_a_shorter_one_changes_nothing(stage):
    act(stage, "revoke", seconds=600)
    assert act(stage, "revoke", seconds=60).json()["changed"] is False
    assert act(stage, "revoke", seconds=6000).json()["changed"] is True


@pytest.mark.parametrize("verb", ["revoke", "reinstate"])
def test_the_same_request_sent_again_under_its_key_is_no_second_act(stage, verb):
    """Its answer was lost. A second later it would be revoked for a second more, and people told again."""
    if verb == "reinstate":
        act(stage, "revoke", who="bob")
    path, body = f"/v1/subjects/acme/agent/agent_7/{verb}", {"reason": "its image was altered"}
    key = {"Idempotency-Key": "k-1"}

    def sent(path=path, **more):
        return stage.call("POST", path, "approver", json=body | more, headers=key)

    first, news, ledger = sent(), len(stage.news()), stage.ledger()
    stage.clock.pass_(seconds=1)
    again = sent()
    assert (again.status_code, again.content, first.json()["changed"]) == (200, first.content, True)
    assert (len(stage.news()), stage.ledger()) == (news, ledger)
    others = [sent(path.replace("agent_7", "agent_8")), sent(path.replace("agent/", "task/"))]
    others += [sent(reason="another"), *([sent(seconds=60)] if verb == "revoke" else [])]
    assert {(each.status_code, each.json()["code"]) for each in others} == {(422, "key_reused")}
    assert stage.ledger() == ledger


def test_giving_back_takes_another_person_than_the_one_who_took(stage):
    act(stage, "revoke", role="approver", who="ann")
    assert act(stage, "reinstate", role="approver", who="ann").status_code == 403
    assert act(stage, "reinstate", role="responder", who="bob").status_code == 403
    done = act(stage, "reinstate", role="approver", who="bob").json()
    assert (done["revoked"], done["changed"]) == (False, True)
    assert live(stage) == set()
    assert act(stage, "reinstate", role="approver", who="bob").json()["changed"] is False


@pytest.mark.parametrize(("kind", "name"), [("delegator", "bob"), ("task", "task_9"), ("agent", "agent_7")])
@pytest.mark.parametrize("glass", [False, True])
def test_nobody_gives_back_what_acts_for_them_not_even_with_broken_glass(stage, kind, name, glass):
    registered(stage, delegator_id="bob", task_id="task_9", agent_id="agent_7")
    registered(stage, "sess_2", delegator_id="cleo", task_id="task_8", agent_id="agent_8")
    act(stage, "revoke", kind, name, who="ann")
    if glass:
        body = {"tenant_id": "acme", "reason": "nobody else is here", "minutes": 30}
        assert stage.call("POST", "/v1/break-glass", "approver", who="bob", json=body).is_success
    got = act(stage, "reinstate", kind, name, role="approver", who="bob")
    assert (got.status_code, "delegators-give-nothing-back" in got.json()["detail"]) == (403, True)
    assert live(stage) == {(kind, name)}
    assert act(stage, "reinstate", kind, name, role="approver", who="cleo").json()["changed"] is True


@pytest.mark.parametrize("language", ["cedar", "rego"])
def test_under_the_rule_of_earlier_versions_who_is_stopped_still_does_not_give_themselves_back(
    make_stage, language
):
    schema = (POLICIES / "guardian.cedarschema").read_text()
    stage = make_stage(pdp=CedarPolicies(BEFORE_CEDAR, schema) if language == "cedar" else BeforeInRego())
    act(stage, "revoke", "delegator", "bob", who="ann")
    for who in ("ann", "bob"):
        got = act(stage, "reinstate", "delegator", "bob", role="approver", who=who)
        assert (got.status_code, "nobody-reinstates-their-own-subject" in got.text) == (403, True), who
    assert live(stage) == {("delegator", "bob")}
    assert act(stage, "reinstate", "delegator", "bob", role="approver", who="cleo").json()["changed"] is True


def test_only_what_an_envelope_itself_says_makes_somebody_its_delegator(stage):
    told = {"note": {"delegator_id": "bob", "agent_id": "agent_7"}}
    registered(stage, delegator_id="Bob", agent_id="agent_7", resource_constraints=told)
    registered(stage, "sess_2", delegator_id="bob", agent_id="agent_8", resource_constraints=told)
    act(stage, "revoke", who="ann")
    assert act(stage, "reinstate", role="approver", who="bob").json()["changed"] is True


def test_who_is_alone_in_a_deployment_gives_back_what_acts_for_them(make_stage):
    stage = make_stage(solo=True)
    registered(stage, delegator_id="bob", agent_id="agent_7")
    act(stage, "revoke", role="approver", who="bob")
    assert act(stage, "reinstate", role="approver", who="bob").json()["changed"] is True


def test_who_gives_back_alone_under_a_grant_or_as_the_only_one_is_seen_to_have_done_so(make_stage):
    stage, alone = make_stage(), make_stage(solo=True)
    act(stage, "revoke", who="ann")
    body = {"tenant_id": "acme", "reason": "nobody else is here", "minutes": 30}
    grant = stage.call("POST", "/v1/break-glass", "responder", who="ann", json=body).json()
    assert act(stage, "reinstate", role="approver", who="ann").json()["changed"] is True
    (record,) = stage.audit(action="reinstateSubject", result="changed")
    assert (record["break_glass"], record["subject_id"]) == (grant["id"], "agent_7")
    assert "break_glass" not in stage.audit(action="revokeSubject")[0], "this one came before the grant"
    act(alone, "revoke", role="approver", who="ann")
    assert act(alone, "reinstate", role="approver", who="ann").json()["changed"] is True
    assert alone.audit(action="reinstateSubject", result="changed")[0]["solo"] is True
    assert "solo" not in alone.audit(action="revokeSubject")[0], "one person may do this anyway"


def test_who_may_not_is_refused_and_that_is_audited(stage):
    assert act(stage, "revoke", role="analyst").status_code == 403
    assert stage.audit(action="revokeSubject", result="refused", subject_id="agent_7")
    assert act(stage, "revoke", "session", "s1").status_code == 422


def test_another_tenants_subject_is_absent(stage):
    path = "/v1/subjects/globex/agent/a/revoke"
    assert stage.call("POST", path, "responder", json={"reason": "x"}).status_code == 404


def registered(stage, session="sess_1", **more):
    envelope = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, "purpose": "review", **more}
    body = {"envelope": envelope}
    assert stage.call("POST", "/v1/envelopes", "delegation", json=body).status_code == 201


@pytest.fixture
def keeping(make_stage):
    rule = SwitchRule(comes_back={"task": timedelta(hours=2), "agent": timedelta(hours=2)})
    stage = make_stage(switch=rule)
    stage.enforce()
    return stage


def test_after_a_hard_breach_the_registered_task_does_not_come_back_and_the_agent_does(keeping, a_finding, hard):
    registered(keeping, task_id="task_9", agent_id="agent_7")
    assert keeping.submit(a_finding(breaches=hard)).json()["effect"] == "revoke"
    assert live(keeping) == {("session", "sess_1"), ("task", "task_9")}
    assert ("revoked", "comes_back", "monitor-1") in keeping.ledger()
    assert keeping.audit(action="revokeSubject", result="refused", subject_type="agent")
    keeping.clock.pass_(hours=2)
    keeping.revoke("another")
    assert ("task", "task_9") not in live(keeping)


def test_a_task_that_the_monitor_took_is_given_back_by_another_than_it_works_for(keeping, a_finding, hard):
    ends = (keeping.clock() + timedelta(minutes=30)).isoformat()
    registered(keeping, delegator_id="bob", task_id="task_9", expires_at=ends)
    assert keeping.submit(a_finding(breaches=hard)).json()["effect"] == "revoke"
    keeping.clock.pass_(minutes=90)  # the session is over, but the next one would go on with the task
    assert act(keeping, "reinstate", "task", "task_9", role="approver", who="bob").status_code == 403
    assert act(keeping, "reinstate", "task", "task_9", role="approver", who="cleo").json()["changed"] is True


def under(stage, session="sess_1"):
    """What the session acts under and is revoked, as its case and its own page tell it."""
    case, detail = (stage.call("GET", f"/v1/{what}/acme/{session}").json() for what in ("cases", "sessions"))
    assert case["also_revoked"] == detail["also_revoked"]
    return [(each["subject_type"], each["subject_id"], each["reason_code"]) for each in case["also_revoked"]]


def test_whoever_gives_a_session_back_is_told_that_its_task_is_still_revoked_and_how_to_lift_that(
    keeping, a_finding, hard
):
    registered(keeping, task_id="task_9", agent_id="agent_7")
    lifts = (
        "its task task_9 is revoked until 2026-05-12 14:00 UTC (guardian reinstate TENANT ID --subject task lifts"
    )
    outcome = keeping.submit(a_finding(breaches=hard)).json()
    assert lifts in outcome["note"]
    assert "its agent" not in outcome["note"], "policy did not permit that"
    assert under(keeping) == [("task", "task_9", "comes_back")]
    assert lifts in keeping.reinstate()["result"]
    case = keeping.call("GET", "/v1/cases/acme/sess_1").json()
    assert (case["state"], under(keeping)) == ("reinstated", [("task", "task_9", "comes_back")])
    again = keeping.call("POST", "/v1/sessions/acme/sess_1/reinstate", "responder", json={"reason": "ours"}).json()
    assert [each["subject_id"] for each in again["also_revoked"]] == ["task_9"]
    assert named(keeping, "sess_1") == 403
    assert act(keeping, "reinstate", "task", "task_9", role="approver").json()["changed"] is True
    assert (under(keeping), named(keeping, "sess_1")) == ([], 200)


def test_a_task_that_stays_revoked_for_longer_is_told_as_well(keeping, a_finding, hard):
    registered(keeping, task_id="task_9")
    act(keeping, "revoke", "task", "task_9", seconds=86_400)
    outcome = keeping.submit(a_finding(breaches=hard)).json()
    assert "its task task_9 is revoked until 2026-05-13 12:00 UTC" in outcome["note"]


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("task", "task_9", True),
        ("agent", "agent_registered", True),
        ("agent", "agent_1", True),
        ("delegator", "user_1", True),
        ("agent", "another", False),
        ("task", "user_1", False),
        ("jti", "task_9", False),
    ],
)
def test_a_case_tells_what_its_session_acts_under_as_registered_and_as_its_log_says(
    stage, a_finding, kind, name, told
):
    registered(stage, task_id="task_9", agent_id="agent_registered")
    stage.submit(a_finding(wanted="flag"))
    before = stage.call("GET", "/v1/cases/acme/sess_1").headers["etag"]
    act(stage, "revoke", kind, name, seconds=600)
    assert under(stage) == ([(kind, name, "manual")] if told else [])
    path, body = "/v1/sessions/acme/sess_1/revoke", {"reason": "stop"}
    late = stage.call("POST", path, "responder", json=body, headers={"If-Match": before})
    assert late.status_code == (412 if told else 200), "who decides has seen it"
    stage.clock.pass_(seconds=600)
    assert under(stage) == []


def test_a_task_that_is_revoked_for_less_does_not_come_back_sooner(keeping, a_finding, hard):
    registered(keeping, task_id="task_9")
    path = "/v1/subjects/acme/task/task_9/revoke"
    keeping.call("POST", path, "responder", json={"reason": "a moment", "seconds": 60})
    keeping.submit(a_finding(breaches=hard))
    keeping.clock.pass_(minutes=2)
    keeping.revoke("another")
    assert ("task", "task_9") in live(keeping)


def test_not_on_the_word_of_the_monitor_alone_nor_on_statistics(keeping, a_finding, hard):
    told = a_finding("s2", breaches=hard)
    subject = told.subject.model_copy(update={"task_id": "task_9"})
    assert keeping.submit(told.model_copy(update={"subject": subject})).json()["effect"] == "revoke"
    registered(keeping, "s3", task_id="task_3")
    assert keeping.submit(a_finding("s3")).json()["effect"] == "revoke"
    assert {kind for kind, _ in live(keeping)} == {"session"}


def protect(stage, session, *, protected=True):
    body = {"reason": "board meeting", "protected": protected}
    assert stage.call("PUT", f"/v1/sessions/acme/{session}/protection", "approver", json=body).status_code == 200


def named(stage, session, task="task_9"):
    headers = {"X-Guardian-Tenant": "acme", "X-Guardian-Session": session, "X-Guardian-Task": task}
    return stage.call("GET", "/v1/check", "gateway", headers=headers).status_code


def test_a_task_that_a_protected_session_works_on_goes_on_and_people_are_told(keeping, a_finding, hard):
    for session in ("sess_1", "vip"):
        registered(keeping, session, task_id="task_9")
    protect(keeping, "vip")
    assert keeping.submit(a_finding(breaches=hard)).json()["effect"] == "revoke"
    assert live(keeping) == {("session", "sess_1")}
    assert (named(keeping, "sess_1"), named(keeping, "vip")) == (403, 200)
    [spared] = keeping.audit(action="revokeSubject", result="spared")
    assert (spared["subject_type"], spared["subject_id"], spared["protects"]) == ("task", "task_9", "vip")
    titles = [item["finding"]["title"] for item in keeping.call("GET", "/v1/findings").json()["items"]]
    assert "The task of a revoked session goes on" in titles
    assert act(keeping, "revoke", "task", "task_9").json()["changed"] is True, "people may"


@pytest.mark.parametrize("case", ["unprotected", "expired", "revoked", "renamed", "another", "other tenant"])
def test_it_is_kept_from_coming_back_where_no_protected_session_works_on_it_now(keeping, a_finding, hard, case):
    task = {"another": 'task_99", "task_id": "task_9'}.get(case, "task_9")
    if case == "other tenant":
        body = {"envelope": {"delegator_id": "u", "tenant_id": "globex", "session_id": "vip", "task_id": task}}
        assert keeping.call("POST", "/v1/envelopes", "delegation", "globex", json=body).status_code == 201
    else:
        ends = {"expires_at": (keeping.clock() + timedelta(minutes=5)).isoformat()} if case == "expired" else {}
        registered(keeping, "vip", task_id=task, **ends)
    protect(keeping, "vip", protected=case != "unprotected")
    registered(keeping, task_id="task_9")
    match case:
        case "expired":
            keeping.clock.pass_(minutes=6)
        case "revoked":
            keeping.revoke("vip")
        case "renamed":
            registered(keeping, "vip", task_id="task_10")
    assert keeping.submit(a_finding(breaches=hard)).json()["effect"] == "revoke"
    assert ("task", "task_9") in live(keeping)


@pytest.mark.parametrize(
    "other", ["a stranger's", "the same person's", "delegated by it", "revoked", "expired", "renamed"]
)
def test_a_task_that_other_people_work_on_goes_on_and_people_are_told(keeping, a_finding, hard, other):
    """A session may call the task of a child that it delegates to anything, also that of somebody else."""
    registered(keeping, "root")
    registered(keeping, task_id="task_payroll", parent_session_id="root")
    more = {"delegator_id": "user_1" if other == "the same person's" else "user_other"}
    if other == "delegated by it":
        more["parent_session_id"] = "root"
    if other == "expired":
        more["expires_at"] = keeping.clock().isoformat()
    registered(keeping, "payroll", task_id="task_payroll", **more)
    if other == "renamed":
        registered(keeping, "payroll", task_id="task_10", **more)
    if other == "revoked":
        keeping.revoke("payroll")
    assert keeping.submit(a_finding(breaches=hard)).json()["effect"] == "revoke"
    titles = [item["finding"]["title"] for item in keeping.call("GET", "/v1/findings").json()["items"]]
    spared = other == "a stranger's"
    assert (("task", "task_payroll") in live(keeping)) is not spared
    assert ("The task of a revoked session goes on" in titles) is spared
    records = keeping.audit(action="revokeSubject", result="spared", subject_type="task")
    assert [each["protects"] for each in records] == ["payroll"] * spared


HASHED = "hash:d0917d51a22c55b4"


@pytest.mark.parametrize("kind", ["agent", "delegator", "task"])
def test_a_redacted_name_is_not_revoked_since_no_gateway_asks_by_it(stage, kind):
    refused = act(stage, "revoke", kind, HASHED)
    assert (refused.status_code, "gateways ask by the real one" in refused.text) == (422, True)
    assert live(stage) == set()


def test_a_hashed_task_is_not_kept_from_coming_back(keeping, a_finding, hard):
    heard = a_finding(breaches=hard)
    subject = heard.subject.model_copy(update={"task_id": HASHED, "agent_id": HASHED})
    assert keeping.submit(heard.model_copy(update={"subject": subject})).json()["effect"] == "revoke"
    assert live(keeping) == {("session", "sess_1")}
    assert keeping.audit(action="revokeSubject") == []


def test_a_registered_name_that_looks_like_a_hash_is_the_one_that_gateways_ask_by(keeping, a_finding, hard):
    registered(keeping, task_id=HASHED)
    assert keeping.submit(a_finding(breaches=hard)).json()["effect"] == "revoke"
    assert live(keeping) == {("session", "sess_1"), ("task", HASHED)}
    registered(keeping, "sess_2", agent_id=HASHED)
    assert act(keeping, "revoke", "agent", HASHED).json()["changed"] is True


def test_who_has_a_name_in_clear_is_not_protected_by_another_that_looks_like_a_hash(make_stage, a_finding, hard):
    stage = make_stage(default_mode="enforce", protected={"acme": frozenset({"agent_payroll"})})

    def told(agent, **more):
        heard = a_finding(**more)
        subject = heard.subject.model_copy(update={"agent_id": agent})
        return stage.submit(heard.model_copy(update={"subject": subject})).json()

    assert told("agent_7", wanted=Effect.FLAG)["effect"] == "flag"
    assert told(HASHED, breaches=hard, n=1)["effect"] == "revoke"


def test_only_a_session_that_counts_as_protected_is_said_to(make_stage, a_finding, hard):
    stage = make_stage(protected={"globex": frozenset({"agent_payroll"})})
    heard = a_finding(breaches=hard)
    subject = heard.subject.model_copy(update={"agent_id": HASHED})
    outcome = stage.submit(heard.model_copy(update={"subject": subject})).json()
    assert (outcome["effect"], "hashed" in outcome["note"]) == ("flag", False)


def test_a_hashed_agent_counts_as_protected_unless_the_record_says_who_it_is(make_stage, a_finding, hard):
    stage = make_stage(default_mode="enforce", protected={"acme": frozenset({"agent_payroll"})})

    def told(session, tenant="acme"):
        heard = a_finding(session, breaches=hard, tenant=tenant)
        subject = heard.subject.model_copy(update={"agent_id": HASHED})
        return stage.submit(heard.model_copy(update={"subject": subject}), "monitor", tenant).json()

    spared = told("sess_1")
    assert (spared["effect"], spared["policy_ids"]) == ("flag", ["auto-revoke-never-protected"])
    assert "its agent's name is hashed and nothing is registered" in spared["note"]
    registered(stage, "sess_2", agent_id="agent_7")
    assert told("sess_2")["effect"] == "revoke"
    registered(stage, "sess_3", agent_id="agent_payroll")
    assert told("sess_3")["effect"] == "flag"
    assert told("sess_1", tenant="globex")["effect"] == "revoke", "it protects nobody"


def test_protection_by_name_and_a_task_that_only_a_finding_named_count_too(make_stage, a_finding, hard):
    names = frozenset({"agent_vip", "sess_vip", *(f"other_{n}" for n in range(2_000))})
    rule = SwitchRule(comes_back={"task": timedelta(hours=2)})
    stage = make_stage(switch=rule, default_mode="enforce", protected={"acme": names})
    registered(stage, "of_agent", task_id="täsk_%1", agent_id="agent_vip")
    registered(stage, "sess_vip", task_id="task_2")
    heard = a_finding("unregistered", wanted="flag")
    subject = heard.subject.model_copy(update={"task_id": "task_3", "agent_id": "agent_vip"})
    assert stage.submit(heard.model_copy(update={"subject": subject})).status_code == 200
    for n, task in enumerate(("täsk_%1", "task_2", "task_3", "task_4")):
        registered(stage, f"s{n}", task_id=task)
        assert stage.submit(a_finding(f"s{n}", breaches=hard)).json()["effect"] == "revoke"
    assert {name for kind, name in live(stage) if kind == "task"} == {"task_4"}
    spared = stage.audit(action="revokeSubject", result="spared")
    assert [each["protects"] for each in spared] == ["of_agent", "sess_vip", "unregistered"]
