"""What follows from a revocation when that is renewed, lapses or is given back."""

from datetime import UTC, datetime, timedelta

import pytest

from guardian.control.cases.case import case_key
from guardian.control.cases.feeds import catch_up
from guardian.control.deps import BreakerRule
from guardian.control.lapse import sweep
from guardian.domain.finding import Effect
from guardian.domain.identity import SessionKey
from guardian.store.control.ledger import Spent

START = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("walks_by_hand")


def test_what_follows_a_renewed_revocation_is_carried_on_and_costs_nothing(make_stage, a_finding, hard):
    stage = make_stage(budget_total=3, budget_reserved=0, breaker=BreakerRule(least=4))
    stage.enforce()
    stage.line()
    stage.submit(a_finding("root", breaches=hard))
    assert set(stage.live()) == {"root", "child", "grandchild"}
    stage.call("PUT", "/v1/modes/acme", "admin", json={"mode": "shadow", "reason": "look first"})
    for days in (60, 120, 180):
        renewed = START + timedelta(days=days)
        stage.delegate("root", expires_at=renewed.isoformat())
        stage.clock.now = renewed - timedelta(days=1)
        sweep(stage.deps)
        assert set(stage.live()) == {"root", "child", "grandchild"}
    assert "lapsed" not in {status for status, _, _ in stage.ledger()}
    with stage.deps.store.read() as rows:
        spent = rows.ledger.spent("acme", START - timedelta(days=1), stage.clock())
    assert spent == Spent(used=1, general=0, followers=2)
    stage.reinstate("root")
    assert stage.live() == {}


def test_but_not_below_one_that_was_given_up_and_is_revoked_anew(family):
    family.delegate("child", "root", expires_at="2026-08-01T12:00:00Z")
    family.revoke("root")
    family.clock.pass_(days=31)
    sweep(family.deps)
    assert set(family.live()) == {"child", "grandchild"}
    family.delegate("root", expires_at="2027-01-01T12:00:00Z")
    family.revoke("root")
    family.clock.pass_(days=60)
    sweep(family.deps)
    asked = family.audit(session_id="child", follows="root", result="revoke")
    assert [each["at"] for each in asked] == [START.isoformat(), family.clock().isoformat()]


def test_in_a_circle_nothing_is_kept_revoked_by_what_followed_from_itself(family):
    family.delegate("root", "grandchild")
    family.revoke("child")
    family.reinstate("child")
    assert family.live() == {}


def history(stage, session):
    while catch_up(stage.deps.store, stage.clock()):
        pass
    with stage.deps.store.read() as rows:
        return [event.what for event in rows.cases.events(case_key(SessionKey("acme", session)), 0, 100)]


@pytest.fixture
def served(family):
    """The child's own revocation ends days before the root's."""
    family.delegate("child", "root", expires_at="2026-05-12T13:00:00Z")
    family.revoke("child")
    family.revoke("root")
    return family


def test_a_session_whose_own_revocation_lapses_below_a_revoked_one_follows_that_one(served):
    served.clock.pass_(days=10)
    sweep(served.deps)
    assert served.live()["child"] == "parent_revoked"
    assert ("lapsed", "expired", "guardian") in served.ledger()
    assert served.audit(session_id="child", follows="root", result="revoke", role="responder")
    served.reinstate("root")
    assert served.live() == {}


def test_then_nobody_hears_that_it_lapsed_and_nobody_acted_on_its_case(served, a_finding):
    served.clock.pass_(hours=1)
    served.submit(a_finding("child", n=1, wanted=Effect.FLAG))
    told = history(served, "child")
    with served.deps.store.read() as rows:
        before = rows.cases.get(case_key(SessionKey("acme", "child"))).acted_at
    served.clock.pass_(days=10)
    sweep(served.deps)
    assert served.live()["child"] == "parent_revoked"
    assert history(served, "child") == told
    with served.deps.store.read() as rows:
        assert rows.cases.get(case_key(SessionKey("acme", "child"))).acted_at == before


def test_unless_only_people_decide_on_it(served):
    protect = {"protected": True, "reason": "payroll"}
    served.call("PUT", "/v1/sessions/acme/child/protection", json=protect)
    served.clock.pass_(days=10)
    sweep(served.deps)
    assert "child" not in served.live()
    assert "Sessions that are delegated by a revoked one go on" in served.news()


def test_what_followed_from_a_follower_whose_cause_has_lapsed_is_given_back_with_it(family):
    family.delegate("root", expires_at="2026-05-12T13:00:00Z")
    family.revoke("root")
    family.clock.pass_(days=10)
    family.delegate("late", "child")
    assert family.live() == dict.fromkeys(("child", "grandchild", "late"), "parent_revoked")
    assert family.revoke("root").json()["changed"] is True
    family.reinstate("root")
    assert family.live() == {}


def test_people_are_told_that_it_was_given_back_and_not_that_it_lapsed(family, a_finding):
    family.submit(a_finding("child", wanted=Effect.FLAG))
    family.revoke("root")
    family.reinstate("root")
    assert (
        history(family, "child")[-1]
        == "the session that this one was delegated by was given back, and this one with it"
    )
