"""A revocation follows the lines of delegation downwards, and is taken back along them."""

import pytest

from guardian.control.switch import SwitchRule


def register(stage, session, parent=None, **more):
    told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": session, "purpose": "review", **more}
    body = {"envelope": {**told, "parent_session_id": parent}}
    assert stage.call("POST", "/v1/envelopes", "delegation", json=body).status_code in (200, 201)


def live(stage):
    return {entry["subject_id"]: entry["reason_code"] for entry in stage.revocations().json()["entries"]}


@pytest.fixture
def family(stage):
    """root → child → grandchild, and a stranger."""
    register(stage, "root")
    register(stage, "child", "root")
    register(stage, "grandchild", "child")
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


def test_a_session_that_only_followed_and_is_then_revoked_itself_stays_revoked(family):
    family.revoke("root")
    assert family.revoke("child").json()["changed"] is True
    family.reinstate("root")
    assert live(family) == {"child": "manual"}


def test_a_session_born_below_a_revoked_one_is_revoked(family):
    family.revoke("root")
    register(family, "late", "grandchild")
    assert live(family)["late"] == "parent_revoked"
    family.reinstate("root")
    assert live(family) == {}


def test_but_not_one_that_only_people_decide_on(family):
    protect = {"protected": True, "reason": "payroll"}
    family.call("PUT", "/v1/sessions/acme/late/protection", json=protect)
    family.revoke("root")
    register(family, "late", "root")
    assert "late" not in live(family)


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
    assert "1 delegated sessions of a revoked one go on" in [each["finding"]["title"] for each in news]


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


def test_it_can_be_switched_off(make_stage):
    stage = make_stage(switch=SwitchRule(descendants=False))
    register(stage, "root")
    register(stage, "child", "root")
    stage.revoke("root")
    register(stage, "late", "root")
    assert set(live(stage)) == {"root"}
