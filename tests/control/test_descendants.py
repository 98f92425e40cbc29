"""A revocation follows the lines of delegation downwards, and is taken back along them."""

from datetime import UTC, datetime, timedelta

import pytest

from guardian.control import app
from guardian.control.case import case_key
from guardian.control.case_feeds import catch_up
from guardian.control.deps import BreakerRule
from guardian.control.following import AT_ONCE
from guardian.control.lapse import sweep
from guardian.control.switch import SwitchRule
from guardian.control.walking import follow_on
from guardian.domain.event import Envelope
from guardian.domain.finding import Effect
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.store.control_delegation import DelegationRows
from guardian.store.control_facts import EnvelopeRows

START = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)


def register(stage, session, parent=None, **more):
    told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, "purpose": "review", **more}
    body = {"envelope": {**told, "parent_session_id": parent}}
    assert stage.call("POST", "/v1/envelopes", "delegation", json=body).status_code in (200, 201)


def live(stage):
    return {entry["subject_id"]: entry["reason_code"] for entry in stage.revocations().json()["entries"]}


def ends(stage, session):
    with stage.deps.store.read() as rows:
        return rows.ledger.live_entry("acme", session).expires_at


def line(stage):
    register(stage, "root")
    register(stage, "child", "root")
    register(stage, "grandchild", "child")


@pytest.fixture(autouse=True)
def walks_by_hand(monkeypatch):
    """The application's own loop would go on at any moment; test_housekeeping tests that it does."""
    monkeypatch.setattr(app, "follow_on", lambda _deps, _waits: None)


@pytest.fixture
def family(stage):
    """root → child → grandchild, and a stranger."""
    line(stage)
    register(stage, "stranger")
    return stage


def test_what_a_revoked_session_delegated_is_revoked_with_it(family):
    family.revoke("root")
    assert live(family) == {"root": "manual", "child": "parent_revoked", "grandchild": "parent_revoked"}
    assert [each["session_id"] for each in family.audit(follows="root", result="revoke")] == [
        "child",
        "grandchild",
    ]
    assert family.status("grandchild") == "revoked"


def test_ancestors_and_strangers_are_left_alone(family):
    family.revoke("child")
    assert set(live(family)) == {"child", "grandchild"}


def test_reinstating_lifts_what_followed_and_nothing_else(family):
    family.revoke("grandchild", reason="for its own misdeed")
    family.revoke("root")
    family.reinstate("root")
    assert live(family) == {"grandchild": "manual"}
    assert ("reinstated", "parent_reinstated", "responder-1") in family.ledger()


def test_a_session_that_only_followed_and_is_then_revoked_itself_stays_revoked_with_what_it_delegated(family):
    family.revoke("root")
    assert family.revoke("child").json()["changed"] is True
    family.reinstate("root")
    assert live(family) == {"child": "manual", "grandchild": "parent_revoked"}
    assert family.status("grandchild") == "revoked"
    family.reinstate("child")
    assert live(family) == {}


def test_so_does_one_below_what_the_monitor_revoked_for_itself(family, a_finding, hard):
    family.enforce()
    family.revoke("root")
    family.submit(a_finding("child", breaches=hard))
    family.reinstate("root")
    assert live(family) == {"child": "hard_breach", "grandchild": "parent_revoked"}


@pytest.mark.parametrize("who", ["responder", "monitor"])
def test_a_word_of_its_own_on_a_session_that_followed_ends_no_earlier(family, a_finding, hard, who):
    family.enforce()
    register(family, "child", "root", expires_at="2026-05-12T13:00:00Z")
    family.revoke("root")
    before = ends(family, "child")
    if who == "responder":
        family.revoke("child")
    else:
        family.submit(a_finding("child", breaches=hard))
    assert live(family)["child"] in ("manual", "hard_breach")
    assert ends(family, "child") == before
    family.clock.pass_(days=2)
    sweep(family.deps)
    assert {"root", "child"} <= set(live(family))


def test_a_child_of_two_revoked_ones_is_free_when_both_are_given_back(family):
    register(family, "aunt")
    register(family, "child", "aunt", purpose="review twice")
    family.revoke("root")
    family.revoke("aunt")
    family.reinstate("root")
    assert live(family) == {"aunt": "manual", "child": "parent_revoked", "grandchild": "parent_revoked"}
    family.reinstate("aunt")
    assert live(family) == {}


def test_that_it_follows_from_another_one_now_spends_no_budget(family, a_finding, hard):
    family.enforce()
    family.submit(a_finding("root", breaches=hard))
    spent = family.call("GET", "/v1/breakers/acme").json()["recent"]
    family.revoke("child")
    family.reinstate("root")
    assert live(family)["grandchild"] == "parent_revoked"
    assert family.call("GET", "/v1/breakers/acme").json()["recent"] == spent


def test_nor_does_it_need_any_that_is_left(make_stage, a_finding, hard):
    stage = make_stage(budget_total=2, budget_reserved=0, breaker=BreakerRule(least=2))
    stage.enforce()
    line(stage)
    stage.revoke("root")
    stage.submit(a_finding("child", breaches=hard))
    stage.submit(a_finding("other", breaches=hard))
    assert stage.call("GET", "/v1/breakers/acme").json()["open"] is True
    stage.reinstate("root")
    assert live(stage)["grandchild"] == "parent_revoked"


def test_it_stays_revoked_only_on_a_word_that_policy_grants(family, a_finding, hard):
    family.enforce()
    protect = {"protected": True, "reason": "payroll"}
    family.call("PUT", "/v1/sessions/acme/grandchild/protection", json=protect)
    family.revoke("root")
    family.submit(a_finding("child", breaches=hard))
    family.reinstate("root")
    assert live(family) == {"child": "hard_breach"}
    (record,) = family.audit(session_id="grandchild", follows="child")
    assert (record["result"], record["role"], record["allowed"]) == ("spared", "monitor", False)
    assert "Sessions that are delegated by a revoked one go on" in news(family)


def test_in_shadow_mode_the_monitors_word_keeps_nothing_revoked(family, a_finding, hard):
    family.enforce()
    family.revoke("root")
    family.submit(a_finding("child", breaches=hard))
    family.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    family.reinstate("root")
    assert live(family) == {"child": "hard_breach"}


def test_that_it_follows_from_another_one_now_is_in_the_audit_trail(family):
    family.revoke("root")
    family.revoke("child")
    family.reinstate("root")
    (record,) = family.audit(session_id="grandchild", follows="child")
    assert (record["result"], record["role"]) == ("revoke", "responder")
    with family.deps.store.read() as rows:
        assert record["revision"] == str(rows.ledger.live_entry("acme", "grandchild").revision)


def test_what_follows_a_renewed_revocation_is_carried_on_and_costs_nothing(make_stage, a_finding, hard):
    stage = make_stage(budget_total=3, budget_reserved=0, breaker=BreakerRule(least=4))
    stage.enforce()
    line(stage)
    stage.submit(a_finding("root", breaches=hard))
    assert set(live(stage)) == {"root", "child", "grandchild"}
    stage.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    for days in (60, 120, 180):
        renewed = START + timedelta(days=days)
        register(stage, "root", expires_at=renewed.isoformat())
        stage.clock.now = renewed - timedelta(days=1)
        sweep(stage.deps)
        assert set(live(stage)) == {"root", "child", "grandchild"}
    assert "lapsed" not in {status for status, _, _ in stage.ledger()}
    with stage.deps.store.read() as rows:
        assert rows.ledger.spent("acme", START - timedelta(days=1)).used == 3
    stage.reinstate("root")
    assert live(stage) == {}


def test_but_not_below_one_that_was_given_up_and_is_revoked_anew(family):
    register(family, "child", "root", expires_at="2026-08-01T12:00:00Z")
    family.revoke("root")
    family.clock.pass_(days=31)
    sweep(family.deps)
    assert set(live(family)) == {"child", "grandchild"}
    register(family, "root", expires_at="2027-01-01T12:00:00Z")
    family.revoke("root")
    family.clock.pass_(days=60)
    sweep(family.deps)
    asked = family.audit(session_id="child", follows="root", result="revoke")
    assert [each["at"] for each in asked] == [START.isoformat(), family.clock().isoformat()]


def test_in_a_circle_nothing_is_kept_revoked_by_what_followed_from_itself(family):
    register(family, "root", "grandchild")
    family.revoke("child")
    family.reinstate("child")
    assert live(family) == {}


def history(stage, session):
    while catch_up(stage.deps.store, stage.clock()):
        pass
    with stage.deps.store.read() as rows:
        return [event.what for event in rows.cases.events(case_key("acme", session), 0, 100)]


@pytest.fixture
def served(family):
    """The child's own revocation ends days before the root's."""
    register(family, "child", "root", expires_at="2026-05-12T13:00:00Z")
    family.revoke("child")
    family.revoke("root")
    return family


def test_a_session_whose_own_revocation_lapses_below_a_revoked_one_follows_that_one(served):
    served.clock.pass_(days=10)
    sweep(served.deps)
    assert live(served)["child"] == "parent_revoked"
    assert ("lapsed", "expired", "guardian") in served.ledger()
    assert served.audit(session_id="child", follows="root", result="revoke", role="responder")
    served.reinstate("root")
    assert live(served) == {}


def test_then_nobody_hears_that_it_lapsed_and_nobody_acted_on_its_case(served, a_finding):
    served.clock.pass_(hours=1)
    served.submit(a_finding("child", n=1, wanted=Effect.FLAG))
    told = history(served, "child")
    with served.deps.store.read() as rows:
        before = rows.cases.get(case_key("acme", "child")).acted_at
    served.clock.pass_(days=10)
    sweep(served.deps)
    assert live(served)["child"] == "parent_revoked"
    assert history(served, "child") == told
    with served.deps.store.read() as rows:
        assert rows.cases.get(case_key("acme", "child")).acted_at == before


def test_unless_only_people_decide_on_it(served):
    protect = {"protected": True, "reason": "payroll"}
    served.call("PUT", "/v1/sessions/acme/child/protection", json=protect)
    served.clock.pass_(days=10)
    sweep(served.deps)
    assert "child" not in live(served)
    assert "Sessions that are delegated by a revoked one go on" in news(served)


def test_what_followed_from_a_follower_whose_cause_has_lapsed_is_given_back_with_it(family):
    register(family, "root", expires_at="2026-05-12T13:00:00Z")
    family.revoke("root")
    family.clock.pass_(days=10)
    register(family, "late", "child")
    assert live(family) == dict.fromkeys(("child", "grandchild", "late"), "parent_revoked")
    assert family.revoke("root").json()["changed"] is True
    family.reinstate("root")
    assert live(family) == {}


def test_people_are_told_that_it_was_given_back_and_not_that_it_lapsed(family, a_finding):
    family.submit(a_finding("child", wanted=Effect.FLAG))
    family.revoke("root")
    family.reinstate("root")
    assert (
        history(family, "child")[-1]
        == "the session that this one was delegated by was given back, and this one with it"
    )


def test_a_session_born_below_a_revoked_one_is_revoked(family):
    family.revoke("root")
    register(family, "late", "grandchild")
    assert live(family)["late"] == "parent_revoked"
    family.reinstate("root")
    assert live(family) == {}


def test_with_it_goes_what_was_registered_below_it_before(family):
    register(family, "errand", "late")
    register(family, "courier", "errand")
    register(family, "late")
    family.revoke("root")
    register(family, "late", "root")
    assert set(live(family)) == {"root", "child", "grandchild", "late", "errand", "courier"}
    family.reinstate("root")
    assert live(family) == {}


def test_also_below_one_that_only_people_decide_on(family):
    register(family, "errand", "late")
    family.call("PUT", "/v1/sessions/acme/late/protection", json={"protected": True, "reason": "payroll"})
    family.revoke("root")
    register(family, "late", "root")
    assert ("late" in live(family), "errand" in live(family)) == (False, True)


class Lenient:
    """A decision point that permits everything; what guardian never does by itself it still does not."""

    version = "lenient"

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        return PolicyDecision(allowed=True, policy_ids=("all",), version=self.version)


def test_one_that_guardian_may_not_revoke_holds_up_none_whatever_the_decision_point_says(
    make_stage, a_finding, hard
):
    stage = make_stage(pdp=Lenient())
    register(stage, "root")
    for child in ("kept", "other"):
        register(stage, child, "root")
    register(stage, "errand", "late")
    stage.call("PUT", "/v1/modes/acme", "admin", "*", json={"mode": "enforce", "reason": "trusted"})
    for name in ("kept", "late"):
        stage.call("PUT", f"/v1/sessions/acme/{name}/protection", json={"protected": True, "reason": "payroll"})
    stage.submit(a_finding("root", breaches=hard))
    assert set(live(stage)) == {"root", "other"}
    register(stage, "late", "root")
    assert set(live(stage)) == {"root", "other", "errand"}


def test_however_much_the_audit_trail_tells_of_the_upper_one_since(family):
    family.revoke("root")
    with family.deps.store.write() as rows:
        for n in range(1_100):
            rows.audit.append({"tenant_id": "acme", "session_id": "root", "action": "registerEnvelope", "n": n})
    register(family, "late", "root")
    (record,) = family.audit(session_id="late", action="revoke")
    assert (record["actor"], record["role"], record["result"]) == ("responder-1", "responder", "revoke")


def test_but_not_one_that_only_people_decide_on(family):
    protect = {"protected": True, "reason": "payroll"}
    family.call("PUT", "/v1/sessions/acme/late/protection", json=protect)
    family.revoke("root")
    register(family, "late", "root")
    assert "late" not in live(family)
    assert "Sessions that are delegated by a revoked one go on" in news(family)


def news(stage):
    found = stage.call("GET", "/v1/findings", params={"kind": "control"}).json()["items"]
    return [each["finding"]["title"] for each in found]


def test_below_what_the_monitor_revoked_policy_is_asked_as_for_the_monitor(family, a_finding, hard):
    family.enforce()
    family.submit(a_finding("root", breaches=hard))
    register(family, "late", "grandchild")
    assert live(family)["late"] == "parent_revoked"
    (record,) = family.audit(session_id="late", action="revoke")
    assert (record["actor"], record["role"], record["result"]) == ("monitor-1", "monitor", "revoke")
    family.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    for name in ("later", "latest"):
        register(family, name, "root")
        assert family.audit(session_id=name, action="revoke", result="spared")
    assert not {"later", "latest"} & set(live(family))
    assert news(family).count("Sessions that are delegated by a revoked one go on") == 1


def test_each_session_born_so_counts_against_budget_and_breaker(make_stage, a_finding, hard):
    stage = make_stage(budget_total=3, budget_reserved=0, breaker=BreakerRule(least=3))
    stage.enforce()
    register(stage, "root")
    stage.submit(a_finding("root", breaches=hard))
    for n in range(5):
        register(stage, f"late{n}", "root")
    assert set(live(stage)) == {"root", "late0", "late1"}
    assert stage.call("GET", "/v1/breakers/acme").json()["open"] is True


def test_a_persons_word_holds_below_a_session_that_was_renewed(family):
    family.revoke("root")
    register(family, "root", expires_at="2027-01-01T00:00:00Z")
    assert live(family)["root"] == "renewed"
    family.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    register(family, "late", "root")
    assert live(family)["late"] == "parent_revoked"
    assert family.audit(session_id="late", action="revoke", role="responder", result="revoke")


def test_a_renewed_child_still_follows_its_parent(family):
    family.revoke("root")
    register(family, "child", "root", expires_at="2027-01-01T00:00:00Z")
    assert live(family)["child"] == "renewed"
    family.reinstate("root")
    assert "child" not in live(family)


def test_the_monitor_takes_along_what_policy_permits_and_people_hear_of_the_rest(family, a_finding, hard):
    family.enforce()
    family.call("PUT", "/v1/sessions/acme/child/protection", json={"protected": True, "reason": "payroll"})
    family.submit(a_finding("root", breaches=hard))
    assert set(live(family)) == {"root", "grandchild"}
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
    assert set(live(family)) == {"root", "grandchild"}
    told = family.audit(follows="root", approval_id=waiting, approved_by="approver-1")
    assert [(each["session_id"], each["result"]) for each in told] == [
        ("child", "spared"),
        ("grandchild", "revoke"),
    ]
    assert "Delegated sessions of a revoked one go on" in news(family)
    register(family, "late", "root")
    assert family.audit(session_id="late", result="revoke", approval_id=waiting, approved_by="approver-1")


def test_nor_is_one_asked_about_again_that_only_people_decide_on(make_stage, mute, a_finding, hard):
    stage = make_stage(pdp=mute)
    stage.enforce()
    register(stage, "root")
    for name in ("kept", "other"):
        register(stage, name, "root")
    for name in ("root", "kept"):
        stage.call("PUT", f"/v1/sessions/acme/{name}/protection", json={"protected": True, "reason": "payroll"})
    mute.about.add("kept")
    waiting = stage.submit(a_finding("root", breaches=hard)).json()["approval_id"]
    assert stage.decide(waiting, "approve").json()["state"] == "approved"
    assert set(live(stage)) == {"root", "other"}


def test_who_revokes_one_by_hand_decides_on_what_it_delegated_as_well(family):
    family.call("PUT", "/v1/sessions/acme/child/protection", json={"protected": True, "reason": "payroll"})
    family.revoke("root")
    assert set(live(family)) == {"root", "child", "grandchild"}


def test_each_descendant_counts_against_the_budget(make_stage, a_finding, hard):
    stage = make_stage(budget_total=2, budget_reserved=0)
    stage.enforce()
    register(stage, "root")
    for name in ("a", "b", "c"):
        register(stage, name, "root")
    stage.submit(a_finding("root", breaches=hard))
    assert set(live(stage)) == {"root", "a"}


def test_a_circle_of_delegation_ends(family):
    register(family, "root", "grandchild")
    family.revoke("child")
    assert set(live(family)) == {"root", "child", "grandchild"}


def test_what_people_gave_back_below_a_revoked_session_is_not_taken_again_by_its_own_renewal(family):
    family.revoke("root")
    family.reinstate("child")
    register(family, "child", "root", expires_at="2027-01-01T00:00:00Z")
    assert "child" not in live(family)
    register(family, "root", expires_at="2027-01-01T00:00:00Z")
    register(family, "child", "root", expires_at="2027-01-02T00:00:00Z")
    assert "child" not in live(family), "nor when the one above was renewed"
    family.reinstate("root")
    family.revoke("root")
    assert "child" in live(family), "to revoke the one above anew is another decision"


def test_it_can_be_switched_off(make_stage):
    stage = make_stage(switch=SwitchRule(descendants=False))
    register(stage, "root")
    register(stage, "child", "root")
    stage.revoke("root")
    register(stage, "late", "root")
    assert set(live(stage)) == {"root"}


def brood(stage, many, parent="root"):
    """So many sessions that one delegated, written down without a call for each."""
    with stage.deps.store.write() as rows:
        for n in range(many):
            told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": f"c{n:03}", "purpose": "review"}
            rows.envelopes.add(Envelope(**told, parent_session_id=parent), by="gw", now=stage.clock())
    return {f"c{n:03}" for n in range(many)}


def followed(stage):
    return set(live(stage)) - {"root", "top", "child", "grandchild"}


def asked_for(stage):
    """Whom policy was asked about because of another one, in order."""
    return [each["session_id"] for each in stage.audit(action="revoke") if "follows" in each and "role" in each]


def test_a_revocation_holds_at_once_and_the_many_below_follow_a_few_in_a_transaction(stage):
    many = brood(stage, 2 * AT_ONCE + 7)
    stage.revoke("root")
    sizes = [len(followed(stage))]
    assert "root" in live(stage)
    while follow_on(stage.deps, {}) is not None:
        sizes.append(len(followed(stage)))
    assert sizes == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 7]
    assert followed(stage) == many
    assert sorted(asked_for(stage)) == sorted(many), "each once"
    (last,) = stage.audit(session_id=max(many), action="revoke")
    assert (last["actor"], last["role"], last["result"]) == ("responder-1", "responder", "revoke")


def test_who_dies_in_between_forgets_nobody_and_revokes_nobody_twice(stage, monkeypatch):
    many = brood(stage, 2 * AT_ONCE)
    stage.revoke("root")

    def dies(self, tenant_id, session_id):
        raise KeyboardInterrupt

    with monkeypatch.context() as struck:
        struck.setattr(DelegationRows, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            follow_on(stage.deps, {})
    assert len(followed(stage)) == AT_ONCE
    while follow_on(stage.deps, {}) is not None:
        pass
    assert followed(stage) == many
    assert sorted(asked_for(stage)) == sorted(many)


def test_who_gives_it_back_in_between_ends_that_for_those_that_would_have_followed(stage):
    brood(stage, 2 * AT_ONCE)
    stage.revoke("root")
    stage.reinstate("root")
    while follow_on(stage.deps, {}) is not None:
        pass
    assert live(stage) == {}
    assert len(asked_for(stage)) == AT_ONCE


def test_what_somebody_gave_back_in_between_is_not_taken_again(stage):
    many = brood(stage, AT_ONCE + 2)
    late = max(many)
    stage.revoke("root")
    stage.revoke(late)
    stage.reinstate(late)
    while follow_on(stage.deps, {}) is not None:
        pass
    assert followed(stage) == many - {late}


def test_those_who_follow_later_do_so_by_the_same_word(make_stage, a_finding, hard):
    stage = make_stage(budget_total=500, breaker=BreakerRule(least=500))
    stage.enforce()
    many = brood(stage, AT_ONCE + 2)
    stage.clock.pass_(hours=2)
    late, other = sorted(many)[:-3:-1]
    for name in ("root", late):
        stage.call("PUT", f"/v1/sessions/acme/{name}/protection", json={"protected": True, "reason": "payroll"})
    waiting = stage.submit(a_finding("root", breaches=hard)).json()["approval_id"]
    assert stage.decide(waiting, "approve").json()["state"] == "approved"
    while follow_on(stage.deps, {}) is not None:
        pass
    told = [stage.audit(session_id=name, action="revoke", approval_id=waiting)[0] for name in (other, late)]
    assert [(each["role"], each["approved_by"], each["result"]) for each in told] == [
        ("monitor", "approver-1", "revoke"),
        ("monitor", "approver-1", "spared"),
    ]


def test_what_is_born_below_a_revoked_one_brings_the_many_that_it_delegated_along_in_the_same_way(stage):
    many = brood(stage, AT_ONCE + 3)
    register(stage, "top")
    stage.revoke("top")
    register(stage, "root", "top")
    assert (len(followed(stage)), live(stage)["root"]) == (AT_ONCE, "parent_revoked")
    while follow_on(stage.deps, {}) is not None:
        pass
    assert followed(stage) == many
    stage.reinstate("top")
    while follow_on(stage.deps, {}) is not None:
        pass
    assert live(stage) == {}


def test_once_the_budget_is_spent_nobody_is_asked_about_the_others(stage, a_finding, hard):
    stage.enforce()
    brood(stage, 3 * AT_ONCE)
    stage.submit(a_finding("root", breaches=hard))
    while follow_on(stage.deps, {}) is not None:
        pass
    assert (len(followed(stage)), len(asked_for(stage))) == (19, 20)
    (rest,) = stage.audit(follows="root", result="spared", actor="guardian")
    assert (rest["session_id"], rest["unasked"]) == ("root", 3 * AT_ONCE - 20)
    assert news(stage).count("Delegated sessions of a revoked one go on") == 1


@pytest.mark.parametrize("least", [10, AT_ONCE + 10])
def test_the_first_of_a_revocation_do_not_open_the_breaker_against_the_others(make_stage, a_finding, hard, least):
    stage = make_stage(budget_total=500, budget_reserved=0, breaker=BreakerRule(least=least))
    stage.enforce()
    many = brood(stage, AT_ONCE + 20)
    stage.clock.pass_(hours=2)
    stage.submit(a_finding("root", breaches=hard))
    while follow_on(stage.deps, {}) is not None:
        pass
    assert followed(stage) == many
    assert "Circuit breaker open: the monitor may only flag" in news(stage)


def test_one_that_came_later_and_is_spared_by_the_breaker_keeps_none_of_the_others_from_following(
    make_stage, a_finding, hard
):
    stage = make_stage(budget_total=500, budget_reserved=0, breaker=BreakerRule(least=10))
    stage.enforce()
    many = brood(stage, AT_ONCE + 20)
    stage.clock.pass_(hours=2)
    stage.submit(a_finding("root", breaches=hard))
    stage.clock.pass_(seconds=1)
    register(stage, "c050a", "root")
    while follow_on(stage.deps, {}) is not None:
        pass
    assert followed(stage) == many


def test_a_decision_point_that_gives_no_answer_is_asked_once_in_a_transaction(make_stage, policies, monkeypatch):
    class Away:
        version, asked = "x", 0

        def decide(self, request):
            if request.action == "revoke" and request.session.session_id.startswith("c"):
                self.asked += 1
                raise RuntimeError("away")
            return policies.decide(request)

    away = Away()
    stage = make_stage(pdp=away)
    brood(stage, 5)
    stage.revoke("root")
    assert (away.asked, set(live(stage))) == (1, {"root"})
    assert follow_on(stage.deps, {}) == 30
    assert away.asked == 2
    monkeypatch.setattr(Away, "decide", lambda _, request: policies.decide(request))
    assert follow_on(stage.deps, {}) == 0
    assert len(live(stage)) == 6, "nobody is spared because nobody answered"


def test_a_walk_that_waits_for_an_answer_holds_up_no_other_one(make_stage, policies):
    class Partly:
        version = "x"

        def decide(self, request):
            if request.action == "revoke" and request.session.session_id == "stuck":
                raise RuntimeError("no answer about this one")
            return policies.decide(request)

    stage = make_stage(pdp=Partly())
    register(stage, "lost")
    register(stage, "stuck", "lost")
    many = brood(stage, 2 * AT_ONCE)
    stage.revoke("lost")
    stage.revoke("root")
    assert len(followed(stage)) == AT_ONCE + 1
    assert follow_on(stage.deps, {}) == 0
    assert followed(stage) == many | {"lost"}
    assert follow_on(stage.deps, {}) == 30


def test_however_many_walks_wait_for_an_answer_they_hold_up_no_other_one(mutely, mute):
    lost = {f"lost{n:02}" for n in range(45)}
    for name in lost:
        register(mutely, f"stuck_{name}", name)
        mute.about.add(f"stuck_{name}")
        mutely.revoke(name)
    many = brood(mutely, 3 * AT_ONCE)
    mutely.revoke("root")
    mute.asked, waits = 0, {}
    while follow_on(mutely.deps, waits) == 0:
        pass
    assert followed(mutely) == many | lost
    assert mute.asked == 45, "each once"
    mute.about = set()
    mutely.clock.pass_(seconds=30)
    while follow_on(mutely.deps, waits) is not None:
        pass
    assert followed(mutely) == many | lost | {f"stuck_{name}" for name in lost}
    assert waits == {}


@pytest.fixture
def one_waits(mutely, mute):
    """And another one has some way to go."""
    register(mutely, "stuck", "lost")
    mute.about = {"stuck"}
    mutely.revoke("lost")
    brood(mutely, 4 * AT_ONCE)
    mutely.revoke("root")
    mute.asked = 0
    return mutely


def test_a_walk_that_waits_is_asked_again_after_half_a_minute_however_far_others_come_meanwhile(one_waits, mute):
    waits = {}
    while follow_on(one_waits.deps, waits) == 0:
        pass
    assert (len(followed(one_waits)), mute.asked) == (1 + 4 * AT_ONCE, 1)
    assert len(one_waits.audit(session_id="stuck", action="revoke")) == 2
    one_waits.clock.pass_(seconds=29)
    assert follow_on(one_waits.deps, waits) == 1
    assert mute.asked == 1
    one_waits.clock.pass_(seconds=1)
    assert follow_on(one_waits.deps, waits) == 30
    assert mute.asked == 2


def test_and_however_long_others_take(one_waits, mute):
    waits, asked = {}, []
    while follow_on(one_waits.deps, waits) == 0:
        asked.append(mute.asked)
        one_waits.clock.pass_(seconds=30)
    assert asked == [1, 2, 3]


def test_policy_is_shown_how_many_are_revoked_by_then_and_they_are_counted_once(make_stage, policies, monkeypatch):
    seen, counted, count = [], [], EnvelopeRows.registered_since

    class Watching:
        version = "x"

        def decide(self, request):
            if request.action == "revoke" and request.session.session_id.startswith("c"):
                seen.append((request.harm.registered_sessions, request.harm.revoked_permille))
            return policies.decide(request)

    def counting(self, tenant_id, since, session_id=None):
        counted.append(session_id)
        return count(self, tenant_id, since, session_id)

    stage = make_stage(pdp=Watching())
    register(stage, "root")
    stage.clock.pass_(hours=2)
    register(stage, "other")
    brood(stage, 9)
    monkeypatch.setattr(EnvelopeRows, "registered_since", counting)
    stage.revoke("root")
    assert seen == [(10, 100 * n) for n in range(9)]
    assert counted.count(None) == 2, "for the session itself, and for all that follow"
