"""What becomes of a finding."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, text
from whole_store import alert_states, first_bad, ledger_entries

from guardian.alerting.port import Alert
from guardian.control.authority.situation import in_canary
from guardian.domain.breach import marks
from guardian.domain.finding import Act, Effect, Kind, NamedBreach, Reason
from guardian.domain.identity import SessionKey
from guardian.domain.session import judged
from guardian.store.control import findings
from guardian.store.control.alerts import UNNAMED
from guardian.store.control.tables import model


def test_strong_evidence_revokes_in_enforce_and_everything_is_written_at_once(stage, a_finding):
    stage.enforce()
    got = stage.submit(a_finding())
    assert got.status_code == 200, got.text
    outcome = got.json()
    assert outcome["effect"] == "revoke"
    assert outcome["policy_ids"] == ["monitor-may-revoke-on-strong-evidence"]
    assert outcome["revision"] == {"epoch": 1, "n": 1}
    listed = stage.revocations().json()
    assert [entry["subject_id"] for entry in listed["entries"]] == ["sess_1"]
    with stage.deps.store.read() as rows:
        assert alert_states(rows) == {"pending": 2}, "the change of mode asked for somebody too"
        assert first_bad(rows) is None
    changes = stage.call("GET", "/v1/session-changes", "monitor").json()
    assert [each["word"] for each in changes["items"]] == ["revoked"]
    detail = stage.call("GET", "/v1/sessions/acme/sess_1", "analyst").json()
    assert detail["session"]["status"] == "revoked"
    assert detail["ledger"][0]["finding_id"] == outcome["finding_id"]
    assert detail["findings"][0]["finding"]["title"] == "left its purpose"


def test_shadow_flags_and_says_that_it_would_have_revoked(stage, a_finding):
    outcome = stage.submit(a_finding()).json()
    assert outcome["effect"] == "flag"
    assert outcome["would_revoke"] is True
    assert "it would have been revoked, were the mode enforce" in outcome["note"], "people read it in the alert"
    assert "auto-revoke-only-in-enforce" in outcome["note"]
    assert stage.revocations().json()["entries"] == []


def test_weak_evidence_in_shadow_would_not_have_revoked(stage, a_finding, weak):
    outcome = stage.submit(a_finding(evidence=weak)).json()
    assert (outcome["effect"], outcome["would_revoke"]) == ("flag", False)
    assert "would have been" not in outcome["note"]


def test_weak_evidence_becomes_a_flag_that_says_why(stage, a_finding, weak):
    stage.enforce()
    outcome = stage.submit(a_finding(evidence=weak.model_copy(update={"session_evidence": 0.9999}))).json()
    assert outcome["effect"] == "flag"
    assert "no policy permits it; its evidence: 1 in 300 honest sessions" in outcome["note"]
    assert "odds against honesty 10^0.999," in outcome["note"], "what is not quite enough is not told as enough"
    assert "1 kind strong enough alone, no hard breach that asks for it" in outcome["note"]


def test_a_protected_session_is_only_flagged(stage, a_finding, hard):
    stage.enforce()
    body = {"protected": True, "reason": "payroll"}
    assert stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body).json()["changed"]
    outcome = stage.submit(a_finding(breaches=hard)).json()
    assert outcome["effect"] == "flag"
    assert outcome["policy_ids"] == ["auto-revoke-never-protected"]


def test_the_same_finding_gets_the_stored_answer_and_changes_nothing(stage, a_finding):
    stage.enforce()
    first = stage.submit(a_finding())
    stage.clock.pass_(minutes=5)
    again = stage.submit(a_finding().model_copy(update={"late_s": 300}))  # a monitor whose database was lost
    assert again.content == first.content
    assert (first.headers["idempotency-replayed"], again.headers["idempotency-replayed"]) == ("false", "true")
    with stage.deps.store.read() as rows:
        assert len(ledger_entries(rows)) == 1
        assert alert_states(rows) == {"pending": 2}, "the change of mode asked for somebody too"


def test_the_same_id_with_other_content_is_a_conflict(stage, a_finding):
    stage.submit(a_finding())
    got = stage.submit(a_finding(title="something else"))
    assert got.status_code == 409
    assert got.json()["code"] == "finding_conflict"


def test_a_finding_older_than_peoples_word_is_refused(stage, a_finding):
    stage.enforce()
    stage.submit(a_finding())
    stage.clock.pass_(minutes=1)
    stage.reinstate()
    late = stage.submit(a_finding(n=1, time=stage.clock() + timedelta(seconds=1)))
    assert late.status_code == 409
    assert late.json()["code"] == "superseded"
    backdated = stage.submit(a_finding(epoch=1, time=stage.clock() - timedelta(hours=5)))
    assert backdated.json()["effect"] == "revoke", "what a gateway's clock says decides nothing"


def test_a_false_positive_reaches_the_monitor_and_supersedes_older_findings(stage, a_finding):
    found = stage.submit(a_finding()).json()["finding_id"]
    stage.clock.pass_(minutes=1)
    body = {"verdict": "false_positive", "reason": "a known export"}
    got = stage.call("POST", f"/v1/findings/{found}/verdict", "analyst", json=body)
    assert got.json()["verdict"]["actor"] == "analyst-1"
    again = stage.call("POST", f"/v1/findings/{found}/verdict", "analyst", json=body)
    assert again.json() == got.json()
    words = stage.call("GET", "/v1/session-changes", "monitor").json()["items"]
    assert [(each["word"], judged(each["detail"])[0]) for each in words] == [("false_positive", found)]
    assert stage.submit(a_finding(n=1)).status_code == 409


def test_a_finding_about_a_revoked_session_adds_no_ledger_entry(stage, a_finding):
    stage.enforce()
    stage.submit(a_finding())
    outcome = stage.submit(a_finding(n=1)).json()
    assert outcome["effect"] == "revoke"
    assert "already revoked" in outcome["note"]
    with stage.deps.store.read() as rows:
        assert len(ledger_entries(rows)) == 1


def test_a_renewed_session_stays_revoked_for_longer(stage, a_finding):
    stage.enforce()
    stage.submit(a_finding())
    stage.submit(a_finding(n=1, wanted=Effect.FLAG, expires_at=stage.clock() + timedelta(days=3)))
    entries = stage.revocations().json()["entries"]
    assert len(entries) == 1
    assert entries[0]["reason_code"] == "renewed"
    assert entries[0]["expires_at"] == "2026-05-15T13:00:00Z"


def test_a_finding_that_is_sent_again_after_an_upgrade_is_known_although_findings_have_more_fields_by_now(
    stage, a_finding, hard
):
    stage.submit(a_finding(breaches=hard))
    with stage.deps.store.write() as rows:
        rows.connection.execute(text("UPDATE control_finding SET digest = 'an earlier version''s'"))
    assert stage.submit(a_finding(breaches=hard)).status_code == 200
    assert stage.submit(a_finding(breaches=(*hard, *hard))).json()["code"] == "finding_conflict"


def test_decoys_cannot_spend_what_is_reserved_for_hard_breaches(make_stage, a_finding, hard):
    stage = make_stage(budget_total=4, budget_reserved=2)
    stage.enforce()
    decoys = [stage.submit(a_finding(f"decoy_{n}")).json() for n in range(4)]
    assert [each["effect"] for each in decoys] == ["revoke", "revoke", "flag", "flag"]
    assert decoys[2]["policy_ids"] == ["auto-revoke-keeps-reserve"]
    real = [stage.submit(a_finding(f"real_{n}", breaches=hard)).json() for n in range(3)]
    assert [each["effect"] for each in real] == ["revoke", "revoke", "flag"]
    assert real[2]["policy_ids"] == ["auto-revoke-within-budget"]
    stage.clock.pass_(hours=1, seconds=1)
    assert stage.submit(a_finding("later")).json()["effect"] == "revoke"


@pytest.mark.parametrize("name", ["tool_not_allowed", "limit_exceeded", "wider_tools"])
def test_a_fact_that_only_asks_to_be_told_revokes_nobody_and_spends_nothing_that_is_reserved(
    make_stage, a_finding, weak, hard, name
):
    stage = make_stage(budget_total=2, budget_reserved=1)
    stage.enforce()
    told = NamedBreach(name=name, detail="", hard=True, wanted=Effect.FLAG)
    weak = weak.model_copy(update={"one_in": 83_387.0})
    outcome = stage.submit(a_finding(breaches=(told,), evidence=weak)).json()
    assert (outcome["effect"], outcome["policy_ids"]) == ("flag", [])
    strong = [stage.submit(a_finding(f"strong_{n}", breaches=(told,))).json() for n in range(2)]
    assert [each["effect"] for each in strong] == ["revoke", "flag"]
    assert strong[1]["policy_ids"] == ["auto-revoke-keeps-reserve"]
    asks = tuple(each.model_copy(update={"wanted": Effect.REVOKE}) for each in hard)
    assert stage.submit(a_finding("real", breaches=(told, *asks), evidence=weak)).json()["effect"] == "revoke"
    assert [code for _, code, _ in stage.ledger()] == ["drift", "hard_breach"]


def test_a_finding_that_wants_nothing_is_stored_without_an_alert(stage, a_finding):
    assert stage.submit(a_finding(wanted=Effect.NONE)).json()["effect"] == "none"
    with stage.deps.store.read() as rows:
        assert alert_states(rows) == {}


def test_a_decision_point_that_breaks_means_flag(make_stage, policies, a_finding, hard):
    class Broken:
        version = "broken"

        def decide(self, request):
            if request.action == "revoke":
                raise TimeoutError("too slow")
            return policies.decide(request)

    stage = make_stage(pdp=Broken(), default_mode="enforce")
    outcome = stage.submit(a_finding(breaches=hard)).json()
    assert outcome["effect"] == "flag"
    assert outcome["policy_errors"]
    assert "could not decide" in outcome["note"]
    counted = stage.deps.metrics.value("guardian_policy_decisions_total", action="revoke", decision="error")
    assert counted == 1


def test_half_a_character_is_refused_wherever_it_stands(stage, a_finding):
    told = json.loads(a_finding().model_dump_json())
    subject = {**told["subject"], "agent_id": "\ud800"}
    for odd in ({"title": "\ud800"}, {"correlation_id": "\udfff"}, {"subject": subject}):
        body, headers = json.dumps({**told, **odd}), {"Content-Type": "application/json"}
        got = stage.call("POST", "/v1/findings", "monitor", content=body, headers=headers)
        assert (got.status_code, got.json()["code"]) == (422, "invalid"), odd
    assert stage.call("GET", "/v1/findings").json()["items"] == []


def test_a_finding_may_be_as_large_as_a_hostile_log_makes_it_and_no_larger(stage, a_finding):
    name = "\N{GRINNING FACE}" * 512
    plain = a_finding(tenant="acme")
    subject = plain.subject.model_copy(update={"purpose": "\x01" * 8192, "agent_id": name, "task_id": name})
    act = Act(decision_id=name, gateway=name, tool=name, arguments=name * 3, argument=name, time=plain.time)
    broken = tuple(NamedBreach(name=f"r{n}", detail=name * 3, hard=True) for n in range(12))
    told = {"subject": subject, "act": act, "breaches": broken, "correlation_id": "large"}
    assert stage.submit(plain.model_copy(update=told)).status_code == 200, "no name spares who chose it"
    got = stage.submit(a_finding("other").model_copy(update={"features_missing": ("x" * 1000,) * 262}))
    assert (got.status_code, got.json()["code"]) == (413, "too_large"), "with a code its monitor goes on"
    assert [item["finding"]["correlation_id"] for item in listed(stage)] == ["large"]


def listed(stage, **query):
    return stage.call("GET", "/v1/findings", "analyst", params=query).json()["items"]


@pytest.mark.parametrize("path", ["/v1/findings", "/v1/feedback"])
def test_large_findings_make_more_pages_and_none_that_is_too_large(stage, a_finding, monkeypatch, path):
    sent = [stage.submit(a_finding(f"s{n}")).json()["finding_id"] for n in range(5)]
    for each in sent:
        stage.call("POST", f"/v1/findings/{each}/verdict", "analyst", json={"verdict": "benign", "reason": "ok"})
    size = len(json.dumps(listed(stage, limit=1)[0]["finding"], separators=(",", ":")))
    for room, pages in ((1, [1] * 5), (2 * size + 2, [2, 2, 1]), (9 * size, [5])):
        monkeypatch.setattr(findings, "ROOM", room)
        seen, cursor = [], None
        while cursor is not None or not seen:
            query = {"limit": 500, **({"cursor": cursor} if cursor else {})}
            page = stage.call("GET", path, "analyst", params=query).json()
            seen.append([item.get("finding_id") or item["finding"]["id"] for item in page["items"]])
            cursor = page["next"]
        assert ([len(page) for page in seen], [each for page in seen for each in page]) == (pages, sent[::-1])


def test_what_has_no_room_is_not_read_for_a_session_or_a_case_either(stage, a_finding, monkeypatch):
    for n in range(3):
        stage.submit(a_finding("s1", n=n))
    monkeypatch.setattr(findings, "ROOM", 1)
    got = stage.call("GET", "/v1/sessions/acme/s1", "analyst").json()
    assert (len(got["findings"]), got["session"]["findings"]) == (1, 3)
    assert stage.call("GET", "/v1/cases/acme/s1", "analyst").status_code == 200


def test_numbers_that_are_not_finite_are_refused(stage, a_finding):
    body = json.loads(a_finding().model_dump_json())
    for hostile in ("NaN", "1e999", "-Infinity"):
        text = json.dumps(body).replace("50000.0", hostile)
        assert hostile in text
        got = stage.call(
            "POST", "/v1/findings", "monitor", content=text, headers={"Content-Type": "application/json"}
        )
        assert got.status_code == 422, got.text


def test_findings_are_listed_newest_first_and_paged_without_loss(stage, a_finding):
    sent = [stage.submit(a_finding(f"s{n}")).json()["finding_id"] for n in range(7)]
    seen, cursor = [], None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = stage.call("GET", "/v1/findings", "analyst", params=query).json()
        seen += [item["finding"]["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sent[::-1]
    only = stage.call("GET", "/v1/findings", "analyst", params={"session_id": "s3"}).json()["items"]
    assert [item["finding"]["session_id"] for item in only] == ["s3"]


def test_findings_are_filtered_by_agent_rule_signal_and_verdict(stage, a_finding):
    rule = NamedBreach(name="envelope_expired", detail="", hard=True)
    fit = Reason(signal="purpose_fit", share=1, value=1)
    made = [a_finding("s0"), a_finding("s1", breaches=(rule,)), a_finding("s2"), a_finding("s3", tenant="globex")]
    made[2] = made[2].model_copy(update={"reasons": (fit,)})
    sent = [stage.submit(each, "monitor", "*").json()["finding_id"] for each in made]
    stage.call("POST", f"/v1/findings/{sent[0]}/verdict", "analyst", json={"verdict": "benign", "reason": "known"})

    def listed(*reach, **query):
        items = stage.call("GET", "/v1/findings", "analyst", *reach, params=query).json()["items"]
        return [sent.index(each["finding"]["id"]) for each in items]

    assert listed(agent_id="agent_1") == [2, 1, 0]
    assert listed("*", agent_id="agent_1", judged=False) == [3, 2, 1]
    assert (listed(judged=False), listed(judged=True)) == ([2, 1], [0])
    assert (listed(breach="envelope_expired"), listed(signal="purpose_fit")) == ([1], [2])
    assert listed(agent_id="agent_1", breach="envelope_expired", kind="drift", session_id="s1") == [1]
    assert listed(agent_id="agent_1", session_id="s3") == listed(agent_id="agent_2") == []


def test_what_a_newer_version_said_beside_a_finding_hides_none(stage, a_finding):
    sent = [stage.submit(a_finding(f"s{n}")).json()["finding_id"] for n in range(2)]
    stage.call("POST", f"/v1/findings/{sent[0]}/verdict", "analyst", json={"verdict": "benign", "reason": "known"})
    with stage.deps.store.write() as rows:
        for column in ("finding", "outcome", "verdict"):
            newer = f"""UPDATE control_finding SET {column} = '{{"hue": 1, ' || substr({column}, 2) WHERE id = ?"""
            rows.connection.exec_driver_sql(newer, (sent[0],))
    page = stage.call("GET", "/v1/findings", "analyst").json()
    assert [item["finding"]["id"] for item in page["items"]] == sent[::-1]
    shown = stage.call("GET", f"/v1/findings/{sent[0]}", "analyst")
    assert (shown.status_code, shown.json()["finding"]["session_id"]) == (200, "s0")
    assert stage.submit(a_finding("s0")).headers["Idempotency-Replayed"] == "true"


def test_the_queued_alert_is_what_alert_channels_read(make_stage, a_finding):
    stage = make_stage(public_url="https://guardian.example/")
    stage.submit(a_finding("s/1"))
    with stage.deps.store.write() as rows:
        alert = Alert.model_validate_json(rows.alerts.claim(UNNAMED, stage.clock()).payload)
    assert alert.finding == a_finding("s/1")
    assert (alert.outcome.effect, alert.outcome.allowed) == (Effect.FLAG, False)
    assert "auto-revoke-only-in-enforce" in alert.outcome.note
    assert alert.link is None, "without the pages there is nothing that a browser could open"


def test_agents_and_sessions_that_the_configuration_protects_are_only_flagged(make_stage, a_finding):
    for name in ("sess_1", "agent_1"):
        stage = make_stage(protected={"acme": frozenset({name})}, default_mode="enforce")
        assert stage.submit(a_finding()).json()["policy_ids"] == ["auto-revoke-never-protected"]
        assert stage.submit(a_finding("x", tenant="globex"), "monitor", "globex").json()["effect"] == "revoke"


def test_a_protected_agent_stays_protected_when_the_monitor_calls_it_something_else(make_stage, a_finding):
    stage = make_stage(protected={"acme": frozenset({"agent_1"})}, default_mode="enforce")
    stage.submit(a_finding(wanted="flag"))
    for n in (1, 2):
        sent = a_finding(n=n)
        renamed = sent.model_copy(update={"subject": sent.subject.model_copy(update={"agent_id": "agent_2"})})
        assert stage.submit(renamed).json()["policy_ids"] == ["auto-revoke-never-protected"]


def test_a_session_that_only_a_person_may_stop_is_put_before_one(stage, a_finding, hard):
    stage.enforce()
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)
    outcome = stage.submit(a_finding(breaches=hard)).json()
    assert (outcome["effect"], outcome["would_revoke"]) == ("flag", False)
    assert f"a person is asked, until 2026-05-12 16:00 UTC (approval {outcome['approval_id']})" in outcome["note"]
    asked = stage.call("GET", f"/v1/approvals/{outcome['approval_id']}", "responder").json()
    assert (asked["action"], asked["state"], asked["proposer"]) == ("revoke", "pending", "monitor-1")
    assert (asked["session_id"], asked["finding_id"]) == ("sess_1", outcome["finding_id"])
    again = stage.submit(a_finding(n=1, breaches=hard)).json()
    assert again["approval_id"] == outcome["approval_id"], "the same wish is put up once"
    assert stage.decide(outcome["approval_id"], "approve", "responder").status_code == 200
    assert [entry["subject_id"] for entry in stage.revocations().json()["entries"]] == ["sess_1"]


def test_a_no_to_revoking_a_session_holds_for_the_same_and_asks_nobody_again_until_it_is_too_old(
    stage, a_finding, hard
):
    stage.enforce()
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)

    def asked(n, breaches=hard, epoch=0):
        stage.clock.pass_(minutes=30)
        found = a_finding(n=n, epoch=epoch, breaches=breaches, time=stage.clock())
        return stage.submit(found).json()

    first = asked(0)["approval_id"]
    assert stage.decide(first, "deny", "responder").status_code == 200
    again = asked(1)
    assert (again["effect"], again["approval_id"]) == ("flag", None)
    assert f"responder-1 said no to that at 2026-05-12 12:30 UTC (approval {first})" in again["note"]
    worse = asked(2, (*hard, NamedBreach(name="signature_invalid", detail="", hard=True)))["approval_id"]
    assert worse not in (None, first), "of this nobody was asked"
    assert stage.decide(worse, "deny", "responder").status_code == 200
    assert asked(3)["approval_id"] is None
    stage.clock.pass_(hours=4)
    assert asked(4)["approval_id"] is not None


def test_a_no_to_revoking_a_session_for_one_tenant_is_none_to_revoking_it_for_another(stage, a_finding, weak):
    stage.enforce()
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)
    told = NamedBreach(name="tenant_mismatch", detail="", hard=True, wanted=Effect.REVOKE)

    def asked(n, *tenants):
        stage.clock.pass_(minutes=30)
        breaches = (told.model_copy(update={"about": marks(tenants)}),)
        return stage.submit(a_finding(n=n, breaches=breaches, evidence=weak, time=stage.clock())).json()

    first = asked(0, "globex")["approval_id"]
    assert stage.decide(first, "deny", "responder").status_code == 200
    assert asked(1, "globex")["approval_id"] is None
    assert asked(2, "globex", "initech")["approval_id"] not in (None, first)


def test_a_no_before_people_spoke_of_the_session_says_nothing_of_it_since(stage, a_finding, hard):
    stage.enforce()
    body = {"protected": True, "reason": "payroll"}
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)
    stage.decide(stage.submit(a_finding(breaches=hard)).json()["approval_id"], "deny", "responder")
    stage.revoke()
    stage.reinstate()
    assert stage.submit(a_finding(epoch=1, breaches=hard)).json()["approval_id"] is not None


def test_nobody_is_asked_about_what_a_person_could_not_change(make_stage, a_finding, hard, weak):
    shadow = make_stage()
    shadow.call("PUT", "/v1/sessions/acme/sess_1/protection", json={"protected": True, "reason": "payroll"})
    assert shadow.submit(a_finding(breaches=hard)).json()["approval_id"] is None
    stage = make_stage(default_mode="enforce")
    assert stage.submit(a_finding(evidence=weak)).json()["approval_id"] is None


def test_outside_the_canary_a_session_is_left_alone_and_the_outcome_says_so(stage, a_finding):
    body = {"mode": "canary", "canary_percent": 30, "reason": "first steps"}
    stage.two("PUT", "/v1/modes/acme", "admin", "*", json=body)
    for session in (f"s{n}" for n in range(8)):
        outcome = stage.submit(a_finding(session)).json()
        inside = in_canary(SessionKey("acme", session), 30)
        assert (outcome["effect"], outcome["would_revoke"]) == (("revoke", False) if inside else ("flag", True))
        assert ("outside the canary" in outcome["note"]) is not inside


def test_weak_evidence_outside_the_canary_would_not_have_revoked(stage, a_finding, weak):
    stage.two("PUT", "/v1/modes/acme", "admin", "*", json={"mode": "canary", "canary_percent": 1, "reason": "x"})
    outcome = stage.submit(a_finding("s1", evidence=weak)).json()
    assert (outcome["would_revoke"], "outside the canary" in outcome["note"]) == (False, False)


def versioned(finding, name):
    return finding.model_copy(update={"versions": {"model": name}})


def told_of_models(stage):
    with stage.deps.store.read() as rows:
        found = [each.view.finding for each in rows.findings.page({"guardian"}, limit=500, kind="control")]
    return [(each.severity, each.versions["model_before"], each.versions["model"]) for each in found][::-1]


def test_a_new_model_is_believed_less_until_it_has_settled(stage, a_finding, hard):
    stage.enforce()
    assert stage.submit(versioned(a_finding("s1"), "m1")).json()["effect"] == "revoke"
    assert told_of_models(stage) == [], "the first model is no change"
    stage.clock.pass_(minutes=5)
    first = stage.submit(versioned(a_finding("s2"), "m2")).json()
    assert first["policy_ids"] == ["auto-revoke-settles-after-model-change"], "already the first one of the new"
    assert stage.submit(versioned(a_finding("s3", breaches=hard), "m2")).json()["effect"] == "revoke"
    assert stage.submit(versioned(a_finding("s4"), "m1")).json()["effect"] == "flag", "whichever model it names"
    assert told_of_models(stage) == [("low", "m1", "m2")]
    [change] = stage.audit(action="modelChange")
    assert (change["old"], change["new"], change["actor"]) == ("m1", "m2", "monitor-1")
    assert change["tenant_id"] == "acme"
    stage.clock.pass_(minutes=61)
    assert stage.submit(versioned(a_finding("s5"), "m2")).json()["effect"] == "revoke"
    assert stage.submit(versioned(a_finding("s6"), "m1")).json()["effect"] == "revoke", "known already: no change"


def test_invented_model_versions_restrict_their_inventor_and_fill_no_table(stage):
    now = stage.clock()
    with stage.deps.store.write() as rows:
        models = replace(rows.models, most=5)
        noted = [models.note("acme", f"m{n}", now + timedelta(minutes=n)) for n in range(20)]
        assert noted[:6] == [None, "m0", "m1", "m2", "m3", "m4"]
        assert noted[6:] == ["(further versions)"] * 14
        assert models.changed_at("acme") == now + timedelta(minutes=19), "it counts as changed all the same"
        assert models.note("acme", "m3", now + timedelta(hours=2)) is None
        assert models.changed_at("globex") is None, "another tenant's versions are none of its own"
        assert models.note("globex", "m7", now + timedelta(hours=2)) is None, "its first"
        assert models.changed_at("globex") == now + timedelta(hours=2), "and new, for others began with another"
        stored = rows.connection.execute(text("SELECT count(*) FROM control_model")).scalar_one()
        assert stored == 7


def test_a_flood_of_model_versions_is_audited_and_not_told_one_by_one(stage, a_finding):
    now = stage.clock()
    with stage.deps.store.write() as rows:
        seen = [
            {"tenant_id": "*", "version": f"m{n:04}", "first_seen": now + timedelta(microseconds=n)}
            for n in range(1000)
        ]
        rows.connection.execute(insert(model), seen)
    stage.clock.pass_(minutes=1)
    for n in range(3):
        stage.submit(versioned(a_finding(f"s{n}"), f"invented_{n}"))
    assert told_of_models(stage) == [("low", "m0999", "invented_0")]
    assert [each["new"] for each in stage.audit(action="modelChange")] == [f"invented_{n}" for n in range(3)]


def test_a_model_version_that_is_no_name_is_known_by_its_hash(stage, a_finding):
    stage.submit(versioned(a_finding("s1"), "m1"))
    for n, odd in enumerate(("x" * 5000, "nul \x00", "\u202eevil", "\n@channel")):
        assert stage.submit(versioned(a_finding(f"odd_{n}"), odd)).status_code == 200
    assert [new.split(":")[0] for _, _, new in told_of_models(stage)] == ["sha256"] * 4


def test_no_finding_can_take_the_place_of_controls_own_news(stage, a_finding):
    own = a_finding("guardian").model_copy(update={"kind": Kind.CONTROL})
    taken = a_finding("guardian").model_copy(update={"id": "news_" + "0" * 32})
    for forged in (own, taken):
        got = stage.submit(forged)
        assert (got.status_code, got.json()["code"]) == (422, "invalid")
    assert stage.call("GET", "/v1/findings", "analyst").json()["items"] == []


def test_a_verdict_that_came_late_says_so_to_people(stage, a_finding):
    late = a_finding().model_copy(update={"late_s": 840})
    note = stage.submit(late).json()["note"]
    assert note.endswith("judged 14 minutes after the call; until then nobody was watching")


def test_a_finding_of_every_tenant_at_once_is_refused_and_not_filed_under_one_of_that_name(stage, a_finding):
    got = stage.submit(a_finding(tenant="*"), "monitor", "*")
    assert (got.status_code, "name the one that is meant" in got.text) == (422, True)
    assert stage.call("GET", "/v1/findings", "admin", "*").json()["items"] == []


def test_an_id_that_two_tenants_share_names_no_finding_until_one_is_named(stage, a_finding):
    ours = a_finding(tenant="acme")
    theirs = a_finding("evil", tenant="globex").model_copy(update={"id": ours.id})
    assert stage.submit(theirs, "monitor", "globex").status_code == 200
    assert stage.submit(ours).status_code == 200
    path, verdict = f"/v1/findings/{ours.id}", {"verdict": "confirmed", "reason": "x"}
    exception = {"finding_id": ours.id, "reason": "x"}
    for method, where, body in (
        ("GET", path, None),
        ("POST", f"{path}/verdict", verdict),
        ("POST", "/v1/exceptions", exception),
    ):
        got = stage.call(method, where, "admin", "*", json=body)
        assert (got.status_code, got.json()["code"]) == (409, "ambiguous")
        assert "acme, globex" in got.json()["detail"]
    assert stage.call("GET", path, "analyst").json()["finding"]["tenant_id"] == "acme"
    for tenant in ("acme", "globex"):
        named = {"params": {"tenant_id": tenant}}
        assert stage.call("GET", path, "admin", "*", **named).json()["finding"]["tenant_id"] == tenant
        judged = stage.call("POST", f"{path}/verdict", "admin", "*", json=verdict, **named).json()
        assert judged["finding"]["tenant_id"] == tenant
    assert stage.call("GET", path, "analyst", params={"tenant_id": "globex"}).status_code == 404
