"""A revocation follows the lines of delegation downwards, and is taken back along them."""

import pytest

from guardian.control.deps import BreakerRule
from guardian.control.lapse import sweep
from guardian.control.switch import SwitchRule
from guardian.domain.finding import NamedBreach
from guardian.policy.port import PolicyDecision, PolicyRequest

pytestmark = pytest.mark.usefixtures("walks_by_hand")

PARENT = (NamedBreach(name="parent_revoked", detail="its parent root is revoked", hard=True),)


def ends(stage, session):
    with stage.deps.store.read() as rows:
        return rows.ledger.live_entry("acme", session).expires_at


def test_what_a_revoked_session_delegated_is_revoked_with_it(family):
    family.revoke("root")
    assert family.live() == {"root": "manual", "child": "parent_revoked", "grandchild": "parent_revoked"}
    assert [each["session_id"] for each in family.audit(follows="root", result="revoke")] == [
        "child",
        "grandchild",
    ]
    assert family.status("grandchild") == "revoked"


def test_ancestors_and_strangers_are_left_alone(family):
    family.revoke("child")
    assert set(family.live()) == {"child", "grandchild"}


def test_reinstating_lifts_what_followed_and_nothing_else(family):
    family.revoke("grandchild", reason="for its own misdeed")
    family.revoke("root")
    family.reinstate("root")
    assert family.live() == {"grandchild": "manual"}
    assert ("reinstated", "parent_reinstated", "responder-1") in family.ledger()


def test_a_session_that_only_followed_and_is_then_revoked_itself_stays_revoked_with_what_it_delegated(family):
    family.revoke("root")
    assert family.revoke("child").json()["changed"] is True
    family.reinstate("root")
    assert family.live() == {"child": "manual", "grandchild": "parent_revoked"}
    assert family.status("grandchild") == "revoked"
    family.reinstate("child")
    assert family.live() == {}


def test_so_does_one_below_what_the_monitor_revoked_for_itself(family, a_finding, hard):
    family.enforce()
    family.revoke("root")
    family.submit(a_finding("child", breaches=hard))
    family.reinstate("root")
    assert family.live() == {"child": "hard_breach", "grandchild": "parent_revoked"}


def test_but_not_one_that_is_accused_of_no_more_than_its_parents_revocation(family, a_finding, weak, hard):
    family.enforce()
    family.revoke("root")
    on_its_way = a_finding("child", breaches=PARENT, evidence=weak)
    told = family.submit(on_its_way).json()
    assert (told["effect"], told["note"]) == ("revoke", "the session was already revoked, at revision 1.2")
    family.submit(a_finding("grandchild", breaches=(*PARENT, *hard), evidence=weak))
    family.reinstate("root")
    assert family.live() == {"grandchild": "hard_breach"}


@pytest.mark.parametrize("who", ["responder", "monitor"])
def test_a_word_of_its_own_on_a_session_that_followed_ends_no_earlier(family, a_finding, hard, who):
    family.enforce()
    family.delegate("child", "root", expires_at="2026-05-12T13:00:00Z")
    family.revoke("root")
    before = ends(family, "child")
    if who == "responder":
        family.revoke("child")
    else:
        family.submit(a_finding("child", breaches=hard))
    assert family.live()["child"] in ("manual", "hard_breach")
    assert ends(family, "child") == before
    family.clock.pass_(days=2)
    sweep(family.deps)
    assert {"root", "child"} <= set(family.live())


def test_a_child_of_two_revoked_ones_is_free_when_both_are_given_back(family):
    family.delegate("aunt")
    family.delegate("child", "aunt", purpose="review twice")
    family.revoke("root")
    family.revoke("aunt")
    family.reinstate("root")
    assert family.live() == {"aunt": "manual", "child": "parent_revoked", "grandchild": "parent_revoked"}
    family.reinstate("aunt")
    assert family.live() == {}


def test_that_it_follows_from_another_one_now_spends_no_budget(family, a_finding, hard):
    family.enforce()
    family.submit(a_finding("root", breaches=hard))
    spent = family.call("GET", "/v1/breakers/acme").json()["recent"]
    family.revoke("child")
    family.reinstate("root")
    assert family.live()["grandchild"] == "parent_revoked"
    assert family.call("GET", "/v1/breakers/acme").json()["recent"] == spent


def test_nor_does_it_need_any_that_is_left(make_stage, a_finding, hard):
    stage = make_stage(budget_total=2, budget_reserved=0, breaker=BreakerRule(least=2))
    stage.enforce()
    stage.line()
    stage.revoke("root")
    stage.submit(a_finding("child", breaches=hard))
    stage.submit(a_finding("other", breaches=hard))
    assert stage.call("GET", "/v1/breakers/acme").json()["open"] is True
    stage.reinstate("root")
    assert stage.live()["grandchild"] == "parent_revoked"


def test_it_stays_revoked_only_on_a_word_that_policy_grants(family, a_finding, hard):
    family.enforce()
    protect = {"protected": True, "reason": "payroll"}
    family.call("PUT", "/v1/sessions/acme/grandchild/protection", json=protect)
    family.revoke("root")
    family.submit(a_finding("child", breaches=hard))
    family.reinstate("root")
    assert family.live() == {"child": "hard_breach"}
    (record,) = family.audit(session_id="grandchild", follows="child")
    assert (record["result"], record["role"], record["allowed"]) == ("spared", "monitor", False)
    assert "Sessions that are delegated by a revoked one go on" in family.news()


def test_in_shadow_mode_the_monitors_word_keeps_nothing_revoked(family, a_finding, hard):
    family.enforce()
    family.revoke("root")
    family.submit(a_finding("child", breaches=hard))
    family.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    family.reinstate("root")
    assert family.live() == {"child": "hard_breach"}


def test_that_it_follows_from_another_one_now_is_in_the_audit_trail(family):
    family.revoke("root")
    family.revoke("child")
    family.reinstate("root")
    (record,) = family.audit(session_id="grandchild", follows="child")
    assert (record["result"], record["role"]) == ("revoke", "responder")
    with family.deps.store.read() as rows:
        assert record["revision"] == str(rows.ledger.live_entry("acme", "grandchild").revision)


def test_a_session_born_below_a_revoked_one_is_revoked(family):
    family.revoke("root")
    family.delegate("late", "grandchild")
    assert family.live()["late"] == "parent_revoked"
    family.reinstate("root")
    assert family.live() == {}


def test_with_it_goes_what_was_registered_below_it_before(family):
    family.delegate("errand", "late")
    family.delegate("courier", "errand")
    family.delegate("late")
    family.revoke("root")
    family.delegate("late", "root")
    assert set(family.live()) == {"root", "child", "grandchild", "late", "errand", "courier"}
    family.reinstate("root")
    assert family.live() == {}


def test_also_below_one_that_only_people_decide_on(family):
    family.delegate("errand", "late")
    family.call("PUT", "/v1/sessions/acme/late/protection", json={"protected": True, "reason": "payroll"})
    family.revoke("root")
    family.delegate("late", "root")
    assert ("late" in family.live(), "errand" in family.live()) == (False, True)


class Lenient:
    """A decision point that permits everything; what guardian never does by itself it still does not."""

    version = "lenient"

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        return PolicyDecision(allowed=True, policy_ids=("all",), version=self.version)


def test_one_that_guardian_may_not_revoke_holds_up_none_whatever_the_decision_point_says(
    make_stage, a_finding, hard
):
    stage = make_stage(pdp=Lenient())
    stage.delegate("root")
    for child in ("kept", "other"):
        stage.delegate(child, "root")
    stage.delegate("errand", "late")
    stage.call("PUT", "/v1/modes/acme", "admin", "*", json={"mode": "enforce", "reason": "trusted"})
    for name in ("kept", "late"):
        stage.call("PUT", f"/v1/sessions/acme/{name}/protection", json={"protected": True, "reason": "payroll"})
    stage.submit(a_finding("root", breaches=hard))
    assert set(stage.live()) == {"root", "other"}
    stage.delegate("late", "root")
    assert set(stage.live()) == {"root", "other", "errand"}


def test_however_much_the_audit_trail_tells_of_the_upper_one_since(family):
    family.revoke("root")
    with family.deps.store.write() as rows:
        for n in range(1_100):
            rows.audit.append({"tenant_id": "acme", "session_id": "root", "action": "registerEnvelope", "n": n})
    family.delegate("late", "root")
    (record,) = family.audit(session_id="late", action="revoke")
    assert (record["actor"], record["role"], record["result"]) == ("responder-1", "responder", "revoke")


def test_but_not_one_that_only_people_decide_on(family):
    protect = {"protected": True, "reason": "payroll"}
    family.call("PUT", "/v1/sessions/acme/late/protection", json=protect)
    family.revoke("root")
    family.delegate("late", "root")
    assert "late" not in family.live()
    assert "Sessions that are delegated by a revoked one go on" in family.news()


def test_below_what_the_monitor_revoked_policy_is_asked_as_for_the_monitor(family, a_finding, hard):
    family.enforce()
    family.submit(a_finding("root", breaches=hard))
    family.delegate("late", "grandchild")
    assert family.live()["late"] == "parent_revoked"
    (record,) = family.audit(session_id="late", action="revoke")
    assert (record["actor"], record["role"], record["result"]) == ("monitor-1", "monitor", "revoke")
    family.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    for name in ("later", "latest"):
        family.delegate(name, "root")
        assert family.audit(session_id=name, action="revoke", result="spared")
    assert not {"later", "latest"} & set(family.live())
    assert family.news().count("Sessions that are delegated by a revoked one go on") == 1


def test_no_session_born_so_counts_against_budget_or_breaker(make_stage, a_finding, hard):
    stage = make_stage(budget_total=3, budget_reserved=0, breaker=BreakerRule(least=3))
    stage.enforce()
    stage.delegate("root")
    stage.submit(a_finding("root", breaches=hard))
    for n in range(5):
        stage.delegate(f"late{n}", "root")
    assert set(stage.live()) == {"root", *(f"late{n}" for n in range(5))}
    breaker = stage.call("GET", "/v1/breakers/acme").json()
    assert (breaker["open"], breaker["recent"]) == (False, 1)


def test_a_persons_word_holds_below_a_session_that_was_renewed(family):
    family.revoke("root")
    family.delegate("root", expires_at="2027-01-01T00:00:00Z")
    assert family.live()["root"] == "renewed"
    family.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    family.delegate("late", "root")
    assert family.live()["late"] == "parent_revoked"
    assert family.audit(session_id="late", action="revoke", role="responder", result="revoke")


def test_it_is_still_that_persons_own_revocation_as_is_what_followed_from_it(make_stage, policies):
    owned = {}

    class Listening:
        version = "x"

        def decide(self, request: PolicyRequest) -> PolicyDecision:
            if request.action == "reinstate" and not request.act.approved:
                owned[request.asker.id, request.session.session_id] = request.act.own
            return policies.decide(request)

    stage = make_stage(pdp=Listening())
    stage.line()
    stage.revoke("root")
    for name, parent in (("root", None), ("child", "root")):
        stage.delegate(name, parent, expires_at="2027-01-01T00:00:00Z")
    stage.delegate("late", "root")
    assert [stage.live()[name] for name in ("root", "child", "late")] == ["renewed", "renewed", "parent_revoked"]
    for name in ("root", "child", "late"):
        for who in ("responder-1", "responder-2"):
            path = f"/v1/sessions/acme/{name}/reinstate"
            assert stage.call("POST", path, "responder", who=who, json={"reason": "ours"}).status_code == 202
    assert owned == {(who, name): who == "responder-1" for who, name in owned}
    assert len(owned) == 6


def test_a_renewed_child_still_follows_its_parent(family):
    family.revoke("root")
    family.delegate("child", "root", expires_at="2027-01-01T00:00:00Z")
    assert family.live()["child"] == "renewed"
    family.reinstate("root")
    assert "child" not in family.live()


def test_the_monitor_takes_along_what_policy_permits_and_people_hear_of_the_rest(family, a_finding, hard):
    family.enforce()
    family.call("PUT", "/v1/sessions/acme/child/protection", json={"protected": True, "reason": "payroll"})
    family.submit(a_finding("root", breaches=hard))
    assert set(family.live()) == {"root", "grandchild"}
    assert family.audit(follows="root", result="spared")[0]["session_id"] == "child"
    news = family.call("GET", "/v1/findings", params={"kind": "control"}).json()["items"]
    assert "Delegated sessions of a revoked one go on" in [each["finding"]["title"] for each in news]


def test_who_approves_that_one_is_revoked_says_nothing_of_others_that_only_people_decide_on(
    family, a_finding, hard
):
    family.enforce()
    for name in ("root", "child"):
        family.call("PUT", f"/v1/sessions/acme/{name}/protection", json={"protected": True, "reason": "payroll"})
    waiting = family.submit(a_finding("root", breaches=hard)).json()["approval_id"]
    assert family.decide(waiting, "approve").json()["state"] == "approved"
    assert set(family.live()) == {"root", "grandchild"}
    told = family.audit(follows="root", approval_id=waiting, approved_by="approver-1")
    assert [(each["session_id"], each["result"]) for each in told] == [
        ("child", "spared"),
        ("grandchild", "revoke"),
    ]
    assert "Delegated sessions of a revoked one go on" in family.news()
    family.delegate("late", "root")
    assert family.audit(session_id="late", result="revoke", approval_id=waiting, approved_by="approver-1")


def test_nor_of_others_that_work_on_restricted_data_where_it_asked_on_statistics(family, a_finding):
    family.enforce()
    restricted = {"resource_constraints": {"data_classes": ["restricted"]}}
    family.delegate("root", **restricted)
    family.delegate("child", "root", **restricted)
    waiting = family.submit(a_finding("root")).json()["approval_id"]
    assert family.decide(waiting, "approve").json()["state"] == "approved"
    family.delegate("late", "root", **restricted)
    assert family.live() == {"root": "approved", "grandchild": "parent_revoked"}
    for name in ("child", "late"):
        (told,) = family.audit(session_id=name, follows="root", approved_by="approver-1")
        assert (told["result"], told["policy_ids"]) == ("spared", ["auto-revoke-restricted-data-needs-a-fact"])
    assert "Delegated sessions of a revoked one go on" in family.news()


def test_nor_of_any_while_a_new_model_settles(family, a_finding):
    family.enforce()
    with family.deps.store.write() as rows:
        for version in ("m1", "m2"):
            rows.models.note("acme", version, family.clock())
    waiting = family.submit(a_finding("root")).json()["approval_id"]
    assert family.decide(waiting, "approve").json()["state"] == "approved"
    assert family.live() == {"root": "approved"}


def test_a_persons_revocation_that_took_two_is_followed_as_one_that_took_one(make_stage, policies):
    class TwoRevoke:
        version = "x"

        def decide(self, request: PolicyRequest) -> PolicyDecision:
            if request.action not in ("revoke", "propose"):
                return policies.decide(request)
            return PolicyDecision(request.action == "propose" or request.act.approved, policy_ids=("two",))

    stage = make_stage(pdp=TwoRevoke())
    stage.line()
    waiting = stage.revoke("root").json()["approval"]["id"]
    assert stage.decide(waiting, "approve").json()["state"] == "approved"
    stage.delegate("late", "root")
    assert set(stage.live()) == {"root", "child", "grandchild", "late"}


def test_nor_is_one_asked_about_again_that_only_people_decide_on(make_stage, mute, a_finding, hard):
    stage = make_stage(pdp=mute)
    stage.enforce()
    stage.delegate("root")
    for name in ("kept", "other"):
        stage.delegate(name, "root")
    for name in ("root", "kept"):
        stage.call("PUT", f"/v1/sessions/acme/{name}/protection", json={"protected": True, "reason": "payroll"})
    mute.about.add("kept")
    waiting = stage.submit(a_finding("root", breaches=hard)).json()["approval_id"]
    assert stage.decide(waiting, "approve").json()["state"] == "approved"
    assert set(stage.live()) == {"root", "other"}


def test_nor_one_that_was_registered_below_what_a_person_revoked(make_stage, mute):
    stage = make_stage(pdp=mute)
    stage.delegate("root")
    stage.revoke("root")
    stage.delegate("errand", "late")
    stage.call("PUT", "/v1/sessions/acme/late/protection", json={"protected": True, "reason": "payroll"})
    mute.about.add("late")
    stage.delegate("late", "root")
    stage.walk(minutes=2)
    assert [record["result"] for record in stage.audit(session_id="late", action="revoke")] == ["spared"]
    assert "errand" in stage.live()


def test_who_revokes_one_by_hand_decides_on_what_it_delegated_as_well(family):
    family.call("PUT", "/v1/sessions/acme/child/protection", json={"protected": True, "reason": "payroll"})
    family.revoke("root")
    assert set(family.live()) == {"root", "child", "grandchild"}


def test_one_with_many_children_leaves_the_budget_and_the_breaker_to_others(make_stage, a_finding, hard):
    stage = make_stage(budget_total=2, budget_reserved=1, breaker=BreakerRule(least=3))
    stage.enforce()
    children = stage.brood(6, "root")
    stage.submit(a_finding("root", breaches=hard))
    assert stage.submit(a_finding("other", breaches=hard)).json()["effect"] == "revoke"
    stage.delegate("late", "root")
    assert set(stage.live()) == {"root", *children, "late", "other"}, "although the budget is spent by now"
    assert stage.call("GET", "/v1/tenants", "admin").json()["items"][0]["budget_used"] == 2
    assert stage.submit(a_finding("third", breaches=hard)).json()["effect"] == "flag"


def test_those_whose_parent_only_the_log_tells_count_one_by_one(make_stage, a_finding, hard, weak):
    """Else whoever has the monitor's token could name any session as the child of a revoked one."""
    stage = make_stage(budget_total=2, budget_reserved=0)
    stage.enforce()
    stage.submit(a_finding("root", breaches=hard))

    def claim(name):
        found = a_finding(name, breaches=PARENT, evidence=weak)
        subject = found.subject.model_copy(update={"parent_session_id": "root"})
        return stage.submit(found.model_copy(update={"subject": subject})).json()["effect"]

    assert [claim(name) for name in ("a", "b")] == ["revoke", "flag"]
    stage.reinstate("root")
    assert stage.live() == {}


def test_a_circle_of_delegation_ends(family):
    family.delegate("root", "grandchild")
    family.revoke("child")
    assert set(family.live()) == {"root", "child", "grandchild"}


def test_what_people_gave_back_below_a_revoked_session_is_not_taken_again_by_its_own_renewal(family):
    family.revoke("root")
    family.reinstate("child")
    family.delegate("child", "root", expires_at="2027-01-01T00:00:00Z")
    assert "child" not in family.live()
    family.delegate("root", expires_at="2027-01-01T00:00:00Z")
    family.delegate("child", "root", expires_at="2027-01-02T00:00:00Z")
    assert "child" not in family.live(), "nor when the one above was renewed"
    family.reinstate("root")
    family.revoke("root")
    assert "child" in family.live(), "to revoke the one above anew is another decision"


def test_the_monitor_hears_that_they_gave_it_back_below_a_revoked_session(family):
    family.revoke("root")
    family.reinstate("grandchild")
    family.reinstate("root")
    words = family.call("GET", "/v1/session-changes", "monitor").json()["items"]
    said = {each["session_id"]: each["detail"] for each in words if each["word"] == "reinstated"}
    assert said == {"grandchild": "parent_revoked", "root": "-"}


@pytest.mark.parametrize("epoch", [0, 1])
def test_nor_for_the_revocation_that_they_gave_it_back_below(family, a_finding, weak, epoch):
    """Whether or not the monitor has heard of people's word."""

    def acts(n):
        family.clock.pass_(minutes=1)
        found = a_finding("child", n=n, epoch=epoch, breaches=PARENT, evidence=weak, time=family.clock())
        subject = found.subject.model_copy(update={"parent_session_id": "root"})
        return family.submit(found.model_copy(update={"subject": subject})).json()

    family.enforce()
    family.revoke("root")
    family.clock.pass_(minutes=1)
    family.reinstate("child")
    told = acts(1)
    assert "child" not in family.live()
    if epoch:
        assert (told["effect"], "people gave it back" in told["note"]) == ("flag", True)
    family.reinstate("root")
    family.clock.pass_(minutes=1)
    family.revoke("root")
    assert family.live()["child"] == "parent_revoked", "that is another decision"


def test_it_can_be_switched_off(make_stage):
    stage = make_stage(switch=SwitchRule(descendants=False))
    stage.delegate("root")
    stage.delegate("child", "root")
    stage.revoke("root")
    stage.delegate("late", "root")
    assert set(stage.live()) == {"root"}
