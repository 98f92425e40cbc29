"""However many follow a revocation, they do so a few at a time, and who waits for an answer holds up none."""

import pytest
from deployment import AT_ONCE

from guardian.control.authority import situation
from guardian.control.deps import BreakerRule
from guardian.control.revocations import walking
from guardian.control.revocations.walking import follow_on
from guardian.store.control.delegation import DelegationRows
from guardian.store.control.envelopes import EnvelopeRows

pytestmark = pytest.mark.usefixtures("walks_by_hand", "few_at_once")


def followed(stage):
    return set(stage.live()) - {"root", "top", "child", "grandchild"}


def asked_for(stage):
    """Whom policy was asked about because of another one, in order."""
    return [each["session_id"] for each in stage.audit(action="revoke") if "follows" in each and "role" in each]


def test_a_revocation_holds_at_once_and_the_many_below_follow_a_few_in_a_transaction(stage):
    many = stage.brood(2 * AT_ONCE + 7, "root")
    stage.revoke("root")
    sizes = [len(followed(stage))]
    assert "root" in stage.live()
    while follow_on(stage.deps, {}) is not None:
        sizes.append(len(followed(stage)))
    assert sizes == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 7]
    assert followed(stage) == many
    assert sorted(asked_for(stage)) == sorted(many), "each once"
    (last,) = stage.audit(session_id=max(many), action="revoke")
    assert (last["actor"], last["role"], last["result"]) == ("responder-1", "responder", "revoke")


def test_who_dies_in_between_forgets_nobody_and_revokes_nobody_twice(stage, monkeypatch):
    many = stage.brood(2 * AT_ONCE, "root")
    stage.revoke("root")

    def dies(self, key):
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
    stage.brood(2 * AT_ONCE, "root")
    stage.revoke("root")
    stage.reinstate("root")
    while follow_on(stage.deps, {}) is not None:
        pass
    assert stage.live() == {}
    assert len(asked_for(stage)) == AT_ONCE


def test_what_somebody_gave_back_in_between_is_not_taken_again(stage):
    many = stage.brood(AT_ONCE + 2, "root")
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
    many = stage.brood(AT_ONCE + 2, "root")
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


@pytest.mark.parametrize("again", [None, ("responder", "lee"), ("analyst", "user_1")])
@pytest.mark.parametrize("first", ["monitor", "responder"])
@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_who_revokes_what_is_revoked_already_lends_no_word_to_those_who_follow_later_and_takes_none(
    make_stage, a_finding, hard, mode, first, again
):
    """Neither a responder's right to protected sessions, nor a delegator's that ends at their own ones."""
    stage = make_stage(budget_total=500, breaker=BreakerRule(least=500))
    stage.enforce()
    stage.delegate("root")
    many = stage.brood(AT_ONCE + 2, "root")
    stage.clock.pass_(hours=2)
    for name in (late := max(many), "born"):
        stage.call("PUT", f"/v1/sessions/acme/{name}/protection", json={"protected": True, "reason": "payroll"})
    if first == "monitor":
        stage.submit(a_finding("root", breaches=hard))
    else:
        stage.revoke("root")
    stage.call("PUT", "/v1/modes/acme", "admin", json={"mode": mode, "reason": "look first"})
    if again is not None:
        role, who = again
        path = "/v1/sessions/acme/root/revoke"
        assert stage.call("POST", path, role, who=who, json={"reason": "again"}).json()["changed"] is False
    stage.delegate("born", "root", delegator_id="user_2")
    stage.delegate("other", "root", delegator_id="user_2")
    stage.walk()
    follows = {"root", *sorted(many)[:AT_ONCE]}
    if first == "responder":
        follows |= {*many, "other"}
    elif mode == "enforce":
        follows |= {*many - {late}, "other"}
    assert set(stage.live()) == follows


def test_what_is_born_below_a_revoked_one_brings_the_many_that_it_delegated_along_in_the_same_way(stage):
    many = stage.brood(AT_ONCE + 3, "root")
    stage.delegate("top")
    stage.revoke("top")
    stage.delegate("root", "top")
    assert (len(followed(stage)), stage.live()["root"]) == (AT_ONCE, "parent_revoked")
    while follow_on(stage.deps, {}) is not None:
        pass
    assert followed(stage) == many
    stage.reinstate("top")
    while follow_on(stage.deps, {}) is not None:
        pass
    assert stage.live() == {}


def test_once_too_many_follow_within_an_hour_nobody_is_asked_about_the_others(stage, a_finding, hard, monkeypatch):
    monkeypatch.setattr(situation, "MOST_FOLLOW", 19)
    stage.enforce()
    stage.brood(6 * AT_ONCE, "root")
    stage.clock.pass_(hours=2)
    stage.submit(a_finding("root", breaches=hard))
    while follow_on(stage.deps, {}) is not None:
        pass
    assert (len(followed(stage)), len(asked_for(stage))) == (19, 20)
    (rest,) = stage.audit(follows="root", result="spared", actor="guardian")
    assert (rest["session_id"], rest["unasked"]) == ("root", 6 * AT_ONCE - 20)
    assert stage.news().count("Delegated sessions of a revoked one go on") == 1


def test_a_revocation_that_opens_the_breaker_is_followed_to_its_end(make_stage, a_finding, hard):
    stage = make_stage(budget_total=1, budget_reserved=0, breaker=BreakerRule(least=1))
    stage.enforce()
    many = stage.brood(AT_ONCE + 20, "root")
    stage.clock.pass_(hours=2)
    stage.submit(a_finding("root", breaches=hard))
    while follow_on(stage.deps, {}) is not None:
        pass
    assert followed(stage) == many
    assert "Circuit breaker open: the monitor may only flag" in stage.news()


def test_one_that_came_later_and_is_spared_by_the_breaker_keeps_none_of_the_others_from_following(
    make_stage, a_finding, hard
):
    stage = make_stage(breaker=BreakerRule(least=1))
    stage.enforce()
    many = stage.brood(AT_ONCE + 20, "root")
    stage.clock.pass_(hours=2)
    stage.submit(a_finding("root", breaches=hard))
    stage.clock.pass_(seconds=1)
    stage.delegate(f"c{AT_ONCE:03}a", "root")
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
    stage.brood(5, "root")
    stage.revoke("root")
    assert (away.asked, set(stage.live())) == (1, {"root"})
    assert follow_on(stage.deps, {}) == 30
    assert away.asked == 2
    monkeypatch.setattr(Away, "decide", lambda _, request: policies.decide(request))
    assert follow_on(stage.deps, {}) == 0
    assert len(stage.live()) == 6, "nobody is spared because nobody answered"


def test_a_walk_that_waits_for_an_answer_holds_up_no_other_one(make_stage, policies):
    class Partly:
        version = "x"

        def decide(self, request):
            if request.action == "revoke" and request.session.session_id == "stuck":
                raise RuntimeError("no answer about this one")
            return policies.decide(request)

    stage = make_stage(pdp=Partly())
    stage.delegate("lost")
    stage.delegate("stuck", "lost")
    many = stage.brood(2 * AT_ONCE, "root")
    stage.revoke("lost")
    stage.revoke("root")
    assert len(followed(stage)) == AT_ONCE + 1
    assert follow_on(stage.deps, {}) == 0
    assert followed(stage) == many | {"lost"}
    assert follow_on(stage.deps, {}) == 30


def test_however_many_walks_wait_for_an_answer_they_hold_up_no_other_one(mutely, mute, monkeypatch):
    monkeypatch.setattr(walking, "_IN_TURN", 5)
    lost = {f"lost{n:02}" for n in range(12)}
    for name in lost:
        mutely.write_down(f"stuck_{name}", name)
        mute.about.add(f"stuck_{name}")
        mutely.revoke(name)
    many = mutely.brood(3 * AT_ONCE, "root")
    mutely.revoke("root")
    mute.asked, waits = 0, {}
    while follow_on(mutely.deps, waits) == 0:
        pass
    assert followed(mutely) == many | lost
    assert mute.asked == 12, "each once"
    mute.about = set()
    mutely.clock.pass_(seconds=30)
    while follow_on(mutely.deps, waits) is not None:
        pass
    assert followed(mutely) == many | lost | {f"stuck_{name}" for name in lost}
    assert waits == {}


@pytest.fixture
def one_waits(mutely, mute):
    """And another one has some way to go."""
    mutely.delegate("stuck", "lost")
    mute.about = {"stuck"}
    mutely.revoke("lost")
    mutely.brood(4 * AT_ONCE, "root")
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
    stage.delegate("root")
    stage.clock.pass_(hours=2)
    stage.delegate("other")
    stage.brood(9, "root")
    monkeypatch.setattr(EnvelopeRows, "registered_since", counting)
    stage.revoke("root")
    assert seen == [(10, 100 * n) for n in range(9)]
    assert counted.count(None) == 2, "for the session itself, and for all that follow"
