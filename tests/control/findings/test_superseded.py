"""What a monitor found before it heard what people, or time, had changed."""

import json
from datetime import timedelta

import pytest

from guardian.control.switch import SwitchRule
from guardian.domain.breach import marks
from guardian.domain.finding import Effect, Kind, NamedBreach, finding_id
from guardian.domain.session import judged

FORGED = (NamedBreach(name="signature_invalid", detail="not signed by whom it names", hard=True),)
PARENT = (NamedBreach(name="parent_revoked", detail="its parent sess_0 is revoked", hard=True),)


def below(found, parent="sess_0"):
    return found.model_copy(update={"subject": found.subject.model_copy(update={"parent_session_id": parent})})


def about_its_gateway(found):
    name = finding_id(Kind.GATEWAY, found.tenant_id, "", "gw", found.time)
    return found.model_copy(update={"id": name, "kind": Kind.GATEWAY, "wanted": Effect.FLAG, "epoch": 0})


def code(got):
    return got.json().get("code", got.json().get("effect"))


def test_a_hard_rule_that_is_broken_after_peoples_word_is_none_that_they_waved_through(stage, a_finding, hard):
    stage.enforce()
    stage.submit(a_finding(breaches=hard))
    stage.clock.pass_(minutes=1)
    stage.reinstate()
    after = stage.clock() + timedelta(seconds=1)
    assert code(stage.submit(a_finding(n=2, breaches=hard, time=after))) == "superseded", "they knew of this one"
    assert code(stage.submit(a_finding(n=3, time=after))) == "superseded", "evidence starts afresh"
    stage.clock.pass_(seconds=2)
    stage.submit(about_its_gateway(a_finding(breaches=FORGED, time=after)))
    for n in (4, 5):  # nor had people been told of it when it comes again
        assert code(stage.submit(a_finding(n=n, breaches=FORGED, time=after))) == "revoke"


@pytest.mark.parametrize("wanted", [Effect.REVOKE, Effect.FLAG])
def test_one_that_was_broken_before_it_and_reaches_control_after_is_told_and_for_people_to_decide(
    stage, a_finding, hard, wanted
):
    stage.enforce()
    stage.submit(a_finding(breaches=hard))
    stage.clock.pass_(minutes=1)
    stage.reinstate()
    before = {"time": stage.clock() - timedelta(seconds=1), "wanted": wanted}
    assert code(stage.submit(a_finding(n=1, breaches=hard, **before))) == "superseded", "they knew of this one"
    told = stage.submit(a_finding(n=2, breaches=(*hard, *FORGED), **before)).json()
    assert (told["effect"], "people spoke of the session before" in told["note"]) == ("flag", True)
    assert stage.status() == "flagged"
    with stage.deps.store.read() as rows:
        newest = json.loads(rows.feeds.news("alerts", 10)[-1].payload)
    assert newest["finding"]["id"] == told["finding_id"]


@pytest.mark.parametrize("hears", ["reinstated", "dismissed"])
def test_a_fact_of_which_people_knew_as_a_doubt_alone_is_no_rule_that_they_waved_through(stage, a_finding, hears):
    doubt = tuple(each.model_copy(update={"hard": False}) for each in FORGED)
    stage.enforce()
    found = stage.submit(a_finding(breaches=doubt)).json()["finding_id"]
    stage.clock.pass_(minutes=1)
    if hears == "reinstated":
        stage.revoke()
        stage.reinstate()
    else:
        verdict = {"verdict": "benign", "reason": "ours"}
        stage.call("POST", f"/v1/findings/{found}/verdict", "analyst", json=verdict)
    before = {"time": stage.clock() - timedelta(seconds=1), "wanted": Effect.REVOKE}
    assert code(stage.submit(a_finding(n=1, breaches=doubt, **before))) == "superseded", "they knew of this one"
    told = stage.submit(a_finding(n=2, breaches=FORGED, **before)).json()
    assert (told["effect"], "people spoke of the session before" in told["note"]) == ("flag", True)
    words = stage.call("GET", "/v1/session-changes", "monitor").json()["items"]
    assert judged(words[-1]["detail"])[1] == {"signature_invalid?"}


def outside(*values):
    return (NamedBreach(name="outside", detail=str(values), hard=True, about=marks(values)),)


def test_who_waved_one_value_through_knew_of_no_other_that_breaks_the_same_rule(stage, a_finding):
    stage.enforce()
    found = stage.submit(a_finding(breaches=outside("c_2", "c_3"))).json()["finding_id"]
    stage.clock.pass_(minutes=1)
    stage.reinstate()
    before = {"time": stage.clock() - timedelta(seconds=1)}
    assert code(stage.submit(a_finding(n=1, breaches=outside("c_3"), **before))) == "superseded"
    assert code(stage.submit(a_finding(n=2, breaches=outside("c_3", "c_9"), **before))) == "flag"
    detail = stage.call("GET", "/v1/session-changes", "monitor").json()["items"][-1]["detail"]
    assert judged(detail) == ("", {*outside("c_2")[0].told.remembered, *outside("c_3")[0].told.remembered}), found


@pytest.mark.parametrize("known", [(), ("envelope_expired",)])
def test_what_people_gave_back_is_not_revoked_for_what_they_knew_because_something_new_is_told(
    stage, a_finding, weak, known
):
    """Neither for the statistics of before nor for a standing rule; the news is told, and counts."""
    stage.enforce()
    standing = tuple(NamedBreach(name=name, detail="", hard=True, wanted=Effect.REVOKE) for name in known)
    tools = [outside(value)[0].model_copy(update={"wanted": Effect.FLAG}) for value in ("c_2", "c_3")]
    more = {"evidence": weak} if known else {}
    assert code(stage.submit(a_finding(breaches=(*standing, tools[0]), **more))) == "revoke"
    stage.clock.pass_(minutes=40)
    stage.reinstate()
    more["time"] = stage.clock() + timedelta(seconds=1)
    stage.clock.pass_(seconds=2)
    told = stage.submit(a_finding(n=2, breaches=(*standing, tools[1]), **more)).json()
    assert (told["effect"], "what people knew of" in told["note"]) == ("flag", True)
    assert code(stage.submit(a_finding(n=3, breaches=(*standing, *FORGED), **more))) == "revoke"


def test_of_many_values_that_broke_rules_the_newest_are_told_and_every_rule(stage, a_finding):
    stage.submit(a_finding(breaches=FORGED))
    for n in range(40):
        stage.submit(a_finding(n=n + 1, breaches=outside(*(f"c_{n}_{m}" for m in range(8)))))
    stage.revoke()
    stage.reinstate()
    detail = stage.call("GET", "/v1/session-changes", "monitor").json()["items"][-1]["detail"]
    known = judged(detail)[1]
    assert len(known) == 257
    assert {"signature_invalid", *outside("c_39_0")[0].told.remembered} <= known


def test_the_monitor_hears_of_which_rules_people_knew_when_they_spoke(stage, a_finding, hard):
    found = stage.submit(a_finding(breaches=hard)).json()["finding_id"]
    verdict = {"verdict": "false_positive", "reason": "ours"}
    stage.call("POST", f"/v1/findings/{found}/verdict", "analyst", json=verdict)
    stage.revoke("sess_2")
    stage.reinstate("sess_2")
    words = stage.call("GET", "/v1/session-changes", "monitor").json()["items"]
    assert [each["detail"] for each in words] == [f"{found} envelope_expired", "", "-"]


def test_an_earlier_finding_that_cannot_be_read_leaves_peoples_word_alone(stage, a_finding, hard):
    stage.enforce()
    stage.submit(a_finding(breaches=hard))
    stage.reinstate()
    with stage.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_finding SET finding = '{}'")
    late = a_finding(n=1, breaches=FORGED, time=stage.clock() + timedelta(seconds=1))
    assert code(stage.submit(late)) == "superseded"


@pytest.mark.parametrize("word", ["stays", "reinstated", "lapsed"])
def test_a_child_is_not_revoked_for_its_parents_revocation_once_that_is_over(stage, a_finding, weak, word):
    stage.enforce()
    stage.revoke("sess_0")
    stage.clock.pass_(minutes=1)
    began = stage.clock()
    if word == "reinstated":
        stage.reinstate("sess_0")
    elif word == "lapsed":
        stage.clock.pass_(days=40)
    told = {"breaches": PARENT, "expires_at": stage.clock() + timedelta(hours=1), "evidence": weak}
    got = stage.submit(below(a_finding(n=1, time=stage.clock(), **told))).json()
    assert got["effect"] == ("revoke" if word == "stays" else "flag")
    assert ("its parent is not revoked any more" in got["note"]) is (word != "stays")
    before = code(stage.submit(below(a_finding("sess_2", time=began, **told))))
    assert before == ("flag" if word == "reinstated" else "revoke"), "it acted while that was revoked"
    for session, more in (("sess_3", {"breaches": (*PARENT, *FORGED)}), ("sess_4", {"breaches": PARENT})):
        evidence = weak if session == "sess_3" else a_finding().evidence
        found = a_finding(session, time=stage.clock(), evidence=evidence, **more)
        assert code(stage.submit(below(found))) == "revoke", "what else there is counts"


@pytest.mark.parametrize("more", [(), FORGED])
def test_a_child_that_only_the_monitor_knew_below_its_parent_is_given_back_with_it_unless_it_broke_more(
    make_stage, a_finding, weak, more
):
    stage = make_stage(switch=SwitchRule(descendants=False, comes_back={"task": timedelta(hours=2)}))
    stage.enforce()
    stage.delegate("registered", "sess_0", task_id="task_1")
    stage.revoke("sess_0")
    for session, parent in (("child", "sess_0"), ("grandchild", "child"), ("registered", "sess_0")):
        breaches = PARENT if session == "grandchild" else (*PARENT, *more)
        stage.submit(below(a_finding(session, breaches=breaches, evidence=weak), parent))
    stays = {"child", "grandchild", "registered", "task_1"} if more else set()
    assert set(stage.live()) == {"sess_0", "child", "grandchild", "registered"} | stays
    stage.reinstate("sess_0")
    stage.walk()
    assert set(stage.live()) == stays


def test_nobody_approves_that_a_child_is_revoked_for_a_parent_that_was_given_back_since(stage, a_finding, weak):
    stage.enforce()
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", json={"protected": True, "reason": "payroll"})
    stage.revoke("sess_0")
    asked = stage.submit(below(a_finding(breaches=PARENT, evidence=weak))).json()["approval_id"]
    stage.clock.pass_(minutes=1)
    stage.reinstate("sess_0")
    got = stage.decide(asked, "approve", "responder")
    assert (got.status_code, got.json()["code"]) == (409, "overtaken")
    assert "its parent is not revoked any more" in got.json()["detail"]
    assert stage.live() == {}


def test_no_gateway_is_accused_of_letting_act_who_was_given_back(stage, a_finding):
    stage.revoke()
    stage.clock.pass_(minutes=5)
    during = about_its_gateway(a_finding(time=stage.clock()))
    stage.clock.pass_(minutes=5)
    stage.reinstate()
    after = about_its_gateway(a_finding(time=stage.clock() + timedelta(seconds=1)))
    assert code(stage.submit(after)) == "superseded"
    assert code(stage.submit(during)) == "flag"


def test_no_gateway_is_accused_of_an_act_before_the_session_was_revoked_again(stage, a_finding):
    stage.revoke()
    stage.clock.pass_(minutes=5)
    stage.reinstate()
    stage.clock.pass_(minutes=5)
    between = about_its_gateway(a_finding(time=stage.clock()))
    stage.clock.pass_(minutes=5)
    stage.revoke()
    again = about_its_gateway(a_finding(time=stage.clock() + timedelta(minutes=1)))
    assert [code(stage.submit(each)) for each in (between, again)] == ["superseded", "flag"]


@pytest.mark.parametrize(("seconds", "holds"), [(-5, True), (5, False)])
def test_a_revocation_is_over_at_its_expiry_and_not_when_its_lapse_is_written_down(
    stage, a_finding, weak, seconds, holds
):
    stage.enforce()
    stage.revoke("sess_0")
    stage.revoke()
    with stage.deps.store.read() as rows:
        ends = max(rows.ledger.live_entry("acme", each).expires_at for each in ("sess_0", "sess_1"))
    stage.clock.now, act = ends + timedelta(seconds=20), ends + timedelta(seconds=seconds)
    assert code(stage.submit(about_its_gateway(a_finding(time=act)))) == ("flag" if holds else "superseded")
    lasts = ends + timedelta(hours=1)
    child = below(a_finding("sess_2", breaches=PARENT, evidence=weak, time=act, expires_at=lasts))
    assert code(stage.submit(child)) == ("revoke" if holds else "flag")
