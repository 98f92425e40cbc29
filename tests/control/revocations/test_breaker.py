"""Far more automatic revocations than usual stop themselves, and people are asked."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from guardian.control.deps import BreakerRule
from guardian.control.revocations.breaker import limit_of
from guardian.store.control.tables import breaker

RULE = BreakerRule(window=timedelta(minutes=10), least=3, factor=5, cooldown=timedelta(hours=1))
RESET = {"reason": "the agents of one team, stopped on purpose"}


@pytest.fixture
def strict(make_stage):
    stage = make_stage(breaker=RULE, budget_total=100, budget_reserved=10)
    stage.enforce()
    return stage


def news(stage, tenant="acme"):
    """What people were told of breakers, as (title, severity)."""
    with stage.deps.store.read() as rows:
        found = [each.view.finding for each in rows.findings.page({tenant}, limit=500, kind="control")]
    return [(each.title, each.severity) for each in found if each.reasons[0].signal == "breaker"]


def burst(stage, a_finding, count, name="s"):
    return [stage.submit(a_finding(f"{name}{n}")).json() for n in range(count)]


def shown(stage, tenant="acme", role="analyst"):
    return stage.call("GET", f"/v1/breakers/{tenant}", role, tenant).json()


def open_ones(stage):
    assert stage.call("GET", "/metrics", "metrics", "*").status_code == 200
    return stage.deps.metrics.value("guardian_breakers_open")


def test_the_revocation_beyond_the_limit_is_only_flagged_and_people_are_paged_once(strict, a_finding):
    outcomes = burst(strict, a_finding, 6)
    assert [each["effect"] for each in outcomes] == ["revoke"] * 3 + ["flag"] * 3
    assert outcomes[3]["policy_ids"] == ["auto-revoke-breaker"]
    assert news(strict) == [("Circuit breaker open: the monitor may only flag", "critical")]
    [trip] = strict.audit(action="tripBreaker")
    assert (trip["tenant_id"], trip["recent"], trip["limit"], trip["actor"]) == ("acme", 3, 3, "guardian")
    assert open_ones(strict) == 1
    view = shown(strict)
    assert (view["open"], view["recent"], view["limit"]) == (True, 3, 3)
    assert "3 automatic revocations within 10 minutes" in view["reason"]


def test_hard_breaches_wait_for_people_too_while_it_is_open(strict, a_finding, hard):
    burst(strict, a_finding, 3)
    assert strict.submit(a_finding("sure", breaches=hard)).json()["effect"] == "flag"


def test_it_closes_by_itself_and_the_metric_says_so(strict, a_finding):
    burst(strict, a_finding, 4)
    strict.clock.pass_(minutes=59)
    assert strict.submit(a_finding("early")).json()["effect"] == "flag"
    strict.clock.pass_(minutes=2)
    assert strict.submit(a_finding("late")).json()["effect"] == "revoke"
    assert shown(strict)["open"] is False
    assert open_ones(strict) == 0


def test_a_person_closes_it_and_the_old_revocations_do_not_trip_it_again(strict, a_finding):
    burst(strict, a_finding, 4)
    strict.clock.pass_(minutes=1)
    got = strict.call("POST", "/v1/breakers/acme/reset", "approver", json=RESET)
    assert got.status_code == 200, got.text
    assert (got.json()["open"], got.json()["recent"], got.json()["reset_by"]) == (False, 0, "approver-1")
    assert open_ones(strict) == 0
    [act] = strict.audit(action="resetBreaker")
    assert (act["actor"], act["result"], act["reason"]) == ("approver-1", "changed", RESET["reason"])
    assert act["policy_ids"] == ["approvers-may-reset-breakers"]
    strict.clock.pass_(seconds=1)
    outcomes = burst(strict, a_finding, 4, "again_")
    assert [each["effect"] for each in outcomes] == ["revoke"] * 3 + ["flag"]
    told = [title for title, _ in news(strict)][::-1]
    assert [title.split(":")[0] for title in told] == [
        "Circuit breaker open",
        "Circuit breaker closed",
        "Circuit breaker open",
    ]


def test_one_that_was_closed_by_a_clock_that_was_ahead_trips_once_it_is_right(strict, a_finding):
    burst(strict, a_finding, 4)
    assert strict.call("POST", "/v1/breakers/acme/reset", "approver", json=RESET).status_code == 200
    with strict.deps.store._engine.begin() as connection:
        connection.execute(update(breaker).values(reset_at=strict.clock() + timedelta(days=30)))
    strict.clock.pass_(minutes=11)
    outcomes = burst(strict, a_finding, 4, "right_")
    assert [each["effect"] for each in outcomes] == ["revoke"] * 3 + ["flag"]


def test_a_cooldown_shorter_than_the_window_does_not_trip_again_on_the_same_revocations(make_stage, a_finding):
    rule = BreakerRule(window=timedelta(minutes=30), least=3, cooldown=timedelta(minutes=5))
    stage = make_stage(breaker=rule)
    stage.enforce()
    burst(stage, a_finding, 4)
    stage.clock.pass_(minutes=6)
    assert stage.submit(a_finding("later")).json()["effect"] == "revoke"


def test_a_closed_breaker_stays_closed_and_the_trail_says_that_nothing_changed(strict):
    assert strict.call("POST", "/v1/breakers/acme/reset", "admin", json=RESET).json()["open"] is False
    assert [each["result"] for each in strict.audit(action="resetBreaker")] == ["unchanged"]
    assert news(strict) == []


@pytest.mark.parametrize("role", ["monitor", "analyst", "responder", "auditor", "gateway"])
def test_only_approvers_reset(strict, a_finding, role):
    burst(strict, a_finding, 3)
    got = strict.call("POST", "/v1/breakers/acme/reset", role, json=RESET)
    assert (got.status_code, got.json()["code"]) == (403, "denied")
    assert shown(strict)["open"] is True
    assert [each["result"] for each in strict.audit(action="resetBreaker")] == ["refused"]


def test_another_tenants_breaker_is_neither_tripped_nor_within_reach(strict, a_finding):
    burst(strict, a_finding, 4)
    other = shown(strict, "globex")
    assert (other["open"], other["recent"], other["limit"], other["tripped_at"]) == (False, 0, 3, None)
    assert strict.call("GET", "/v1/breakers/globex", "approver").status_code == 404
    assert strict.call("POST", "/v1/breakers/globex/reset", "approver", json=RESET).status_code == 404


def test_what_people_revoke_does_not_count(strict, a_finding):
    for n in range(5):
        strict.call("POST", f"/v1/sessions/acme/p{n}/revoke", "responder", json={"reason": "stop"})
    assert shown(strict)["recent"] == 0
    assert strict.submit(a_finding()).json()["effect"] == "revoke"


def test_a_tenant_that_always_revokes_much_has_a_higher_limit(make_stage, a_finding):
    stage = make_stage(breaker=replace(RULE, usual=timedelta(minutes=100)))
    stage.enforce()
    now = stage.clock()
    with stage.deps.store.write() as rows:
        for n in range(10):  # one within every window of the usual time
            rows.ledger.append(
                tenant_id="acme",
                subject_id=f"old_{n}",
                status="revoked",
                reason_code="drift",
                reason="",
                actor="monitor-1",
                now=now - timedelta(minutes=15 + 9 * n),
                expires_at=now + timedelta(days=1),
                automatic=True,
            )
    assert shown(stage)["limit"] == 5
    outcomes = burst(stage, a_finding, 6)
    assert [each["effect"] for each in outcomes] == ["revoke"] * 5 + ["flag"]


def test_a_shadow_tenant_never_trips(make_stage, a_finding):
    stage = make_stage(breaker=RULE)
    assert all(each["would_revoke"] for each in burst(stage, a_finding, 6))
    assert news(stage) == []


@given(
    before=st.integers(0, 10**6), more=st.integers(0, 10**6), least=st.integers(1, 50), factor=st.integers(1, 20)
)
def test_the_limit_grows_with_the_usual_rate_and_never_falls_below_the_least(before, more, least, factor):
    rule = BreakerRule(least=least, factor=factor)
    here, there = limit_of(rule, before), limit_of(rule, before + more)
    assert least <= here <= there
    windows = rule.usual / rule.window
    assert here >= factor * before / windows - 1e-6
