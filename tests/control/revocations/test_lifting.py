"""What followed from a revocation is given back with it, a few sessions in a transaction."""

from datetime import UTC, datetime, timedelta

import pytest
from deployment import AT_ONCE

from guardian.control.deps import BreakerRule
from guardian.control.lapse import sweep
from guardian.control.revocations.walking import follow_on
from guardian.domain.identity import SessionKey
from guardian.store.control.delegation import Descent
from guardian.store.control.envelopes import EnvelopeRows
from guardian.store.control.ledger import LedgerRows

pytestmark = pytest.mark.usefixtures("walks_by_hand", "few_at_once")
LAST = f"c{2 * AT_ONCE - 1:03}"


def entries(stage, session):
    with stage.deps.store.read() as rows:
        return [each.reason_code for each in rows.ledger.of_session(SessionKey("acme", session))]


@pytest.fixture
def half_back(stage):
    """Two lots below root, all of them revoked, of which one was given back with it so far."""
    many = stage.brood(2 * AT_ONCE, "root")
    stage.revoke("root")
    stage.walk()
    stage.reinstate("root")
    assert len(stage.live()) == AT_ONCE
    return stage, many


def test_a_session_is_given_back_at_once_and_the_many_that_followed_it_a_few_in_a_transaction(stage):
    many = stage.brood(2 * AT_ONCE + 7, "root")
    stage.revoke("root")
    stage.walk()
    stage.reinstate("root")
    assert "root" not in stage.live()
    sizes = [len(stage.live())]
    while follow_on(stage.deps, {}) is not None:
        sizes.append(len(stage.live()))
    assert sizes == [AT_ONCE + 7, 7, 0]
    assert {tuple(entries(stage, name)) for name in many} == {("parent_revoked", "parent_reinstated")}


def test_each_that_is_given_back_is_counted(stage):
    stage.brood(3, "root")
    stage.revoke("root")
    stage.walk()
    stage.reinstate("root")
    stage.walk()
    counted = [
        stage.deps.metrics.value("guardian_revocations_total", status=status, reason=f"parent_{status}")
        for status in ("revoked", "reinstated")
    ]
    assert counted == [3, 3]


def test_who_dies_in_between_forgets_nobody_and_gives_nobody_back_twice(half_back, monkeypatch):
    stage, many = half_back

    def dies(self, back):
        raise KeyboardInterrupt

    with monkeypatch.context() as struck:
        struck.setattr(LedgerRows, "end_lifting", dies)
        with pytest.raises(KeyboardInterrupt):
            follow_on(stage.deps, {})
    assert len(stage.live()) == AT_ONCE
    stage.walk()
    assert stage.live() == {}
    assert {tuple(entries(stage, name)) for name in many} == {("parent_revoked", "parent_reinstated")}


def test_what_is_registered_below_one_that_waits_to_be_given_back_is_not_revoked(half_back):
    stage, _ = half_back
    stage.delegate("late", max(stage.live()))
    assert "late" not in stage.live()


def test_one_that_is_renewed_while_it_waits_is_given_back_all_the_same(half_back):
    stage, _ = half_back
    last = max(stage.live())
    stage.delegate(last, "root", expires_at="2027-01-01T00:00:00Z")
    stage.walk()
    assert stage.live() == {}


def test_and_stays_revoked_for_as_long_as_it_lives_now_where_it_follows_another_one(stage):
    stage.brood(2 * AT_ONCE, "root", "aunt")
    for upper in ("root", "aunt"):
        stage.revoke(upper)
        stage.walk()
    stage.reinstate("root")
    stage.delegate(LAST, "root", expires_at="2027-01-01T00:00:00Z")
    stage.walk()
    with stage.deps.store.read() as rows:
        found = rows.ledger.live_entry("acme", LAST)
    assert (found.cause, found.reason_code) == ("aunt", "parent_revoked")
    assert found.expires_at > datetime(2027, 1, 1, tzinfo=UTC)


def test_those_that_wait_while_it_is_revoked_anew_follow_it_if_policy_permits_that(half_back, a_finding, hard):
    stage, _ = half_back
    stage.enforce()
    stage.call("PUT", f"/v1/sessions/acme/{LAST}/protection", json={"protected": True, "reason": "payroll"})
    stage.clock.pass_(hours=2)  # only now they are not a third of the sessions that were registered lately
    assert stage.submit(a_finding("root", epoch=1, breaches=hard)).json()["effect"] == "revoke"
    stage.walk()
    still = set(stage.live())
    assert {f"c{n:03}" for n in range(AT_ONCE, 2 * AT_ONCE - 1)} <= still
    assert LAST not in still, "only people decide on it, and they gave it back"
    stage.reinstate("root")
    stage.walk()
    assert stage.live() == {}


def test_below_another_revoked_one_they_stay_revoked_however_many_they_are(stage):
    many = stage.brood(AT_ONCE + 5, "root", "aunt")
    stage.revoke("root")
    stage.revoke("aunt")
    stage.walk()
    stage.reinstate("root")
    stage.walk()
    assert set(stage.live()) == many | {"aunt"}
    assert len(stage.audit(follows="aunt", result="revoke")) == AT_ONCE + 5
    stage.reinstate("aunt")
    stage.walk()
    assert stage.live() == {}


def test_a_decision_point_that_gives_no_answer_is_asked_once_in_a_transaction(make_stage, policies):
    class Away:
        version, asked, away = "x", 0, False

        def decide(self, request):
            if self.away and request.action == "revoke":
                self.asked += 1
                raise RuntimeError("away")
            return policies.decide(request)

    stage = make_stage(pdp=(point := Away()))
    stage.brood(3, "root", "aunt")
    stage.revoke("root")
    stage.revoke("aunt")
    point.away = True
    stage.reinstate("root")
    asked = [point.asked]
    while follow_on(stage.deps, {}) == 0:
        asked.append(point.asked)
    assert asked == [1, 2, 3, 3]


def test_whom_no_answer_was_given_about_while_it_waited_follows_the_one_that_is_revoked_anew(mutely, mute):
    mutely.brood(AT_ONCE, "root")
    mutely.revoke("root")
    mutely.walk()
    mutely.delegate("a000", "root")
    mutely.reinstate("root")
    assert set(mutely.live()) == {"a000"}, "the last to be lifted, and the first that a walk comes to"
    mutely.revoke("root")
    mute.about = {"a000"}
    for _ in range(3):
        follow_on(mutely.deps, {})
    assert "a000" not in mutely.live()
    mute.about = set()
    mutely.walk()
    assert "a000" in mutely.live()


def test_it_is_asked_about_again_also_below_one_that_was_revoked_long_ago(mutely, mute):
    many = mutely.brood(3, "root", "aunt")
    mutely.revoke("aunt")
    mutely.revoke("root")
    mutely.reinstate("aunt")
    mutely.revoke("aunt")
    mutely.clock.pass_(hours=1)
    mute.about = {"c001"}
    mutely.reinstate("root")
    while follow_on(mutely.deps, {}) == 0:
        pass
    assert set(mutely.live()) == many - {"c001"} | {"aunt"}
    mutely.clock.pass_(minutes=1)
    mute.about = set()
    mutely.walk()
    assert set(mutely.live()) == many | {"aunt"}
    assert entries(mutely, "c001")[-2:] == ["parent_reinstated", "parent_revoked"]


@pytest.mark.parametrize("how", ["born", "lapsed", "below"])
def test_nobody_goes_on_below_a_revoked_one_because_no_answer_was_given_for_a_while(mutely, mute, how):
    """Registered below it, revoked for itself until then, or delegated before by one that is registered now."""
    mutely.delegate("root", None)
    ends = {"expires_at": "2026-05-12T13:00:00Z"}
    if how == "lapsed":
        mutely.delegate("late", "root", **ends)
        mutely.revoke("late")
    if how == "below":
        mutely.delegate("late", "upper")
    mutely.revoke("root")
    mutely.clock.pass_(days=2)
    mute.about = {"late"}
    if how == "lapsed":
        sweep(mutely.deps)
    else:
        mutely.delegate("late" if how == "born" else "upper", "root")
    mutely.walk(minutes=5)
    assert "late" not in mutely.live()
    mute.about = set()
    mutely.walk(minutes=5)
    assert mutely.live()["late"] == "parent_revoked"


def test_for_ten_minutes_at_most(mutely, mute):
    mutely.revoke("root")
    mute.about = {"late"}
    mutely.delegate("late", "root")
    mutely.walk(minutes=11)
    mute.asked, mute.about = 0, set()
    mutely.walk(minutes=5)
    assert (mute.asked, set(mutely.live())) == (0, {"root"})


@pytest.fixture
def unanswered(make_stage, mute, a_finding, hard):
    """Nobody answered about `b` and `c`, registered below what the monitor had revoked with `a`. Since then the
    breaker is open, and `d` was registered."""
    stage = make_stage(pdp=mute, budget_total=100, budget_reserved=0, breaker=BreakerRule(least=3))
    stage.enforce()
    stage.delegate("a", "root")
    stage.submit(a_finding("root", breaches=hard))
    stage.clock.pass_(minutes=1)
    mute.about = {"b", "c"}
    for name in ("b", "c"):
        stage.delegate(name, "root")
    for other in ("x", "y"):
        stage.submit(a_finding(other, breaches=hard))
    stage.delegate("d", "root")
    mute.about = set()
    assert (set(stage.live()), breaker(stage)) == ({"root", "a", "x", "y"}, True)
    return stage


def breaker(stage):
    return stage.call("GET", "/v1/breakers/acme").json()["open"]


@pytest.mark.parametrize("walks", [False, True])
def test_the_breaker_holds_for_whoever_is_registered_below_a_revoked_one(unanswered, walks):
    """Also where the revocation's own walk has only come by others yet."""
    if walks:
        with unanswered.deps.store.write() as rows:
            rows.delegations.pause(Descent("acme", "root", 1))
    unanswered.walk(minutes=5)
    assert (set(unanswered.live()), breaker(unanswered)) == ({"root", "a", "x", "y"}, True)


def test_of_many_that_are_spared_nobody_is_asked_about_again_with_one_that_nobody_answered_about(
    mutely, mute, a_finding, hard
):
    mutely.enforce()
    for n in range(9):
        mutely.delegate(f"kept{n}", "root")
        protect = {"protected": True, "reason": "payroll"}
        mutely.call("PUT", f"/v1/sessions/acme/kept{n}/protection", json=protect)
    mutely.submit(a_finding("root", breaches=hard))
    asked = len(mutely.audit(action="revoke"))
    mute.about = {"a", "b"}
    for name in ("a", "b"):
        mutely.delegate(name, "root")
    mutely.walk(minutes=2)
    mute.about = set()
    mutely.walk(minutes=5)
    assert set(mutely.live()) == {"root", "a", "b"}
    assert {each["session_id"] for each in mutely.audit(action="revoke")[asked:]} == {"a", "b"}


def test_it_is_asked_about_again_below_one_that_followed_another_which_is_over(mutely, mute):
    """Nothing but the follower's own revocation holds then."""
    mutely.delegate("root", None, expires_at="2026-05-12T13:00:00Z")
    mutely.delegate("child", "root", expires_at="2026-05-22T13:00:00Z")
    mutely.revoke("root")
    mutely.clock.pass_(days=3)
    sweep(mutely.deps)
    assert set(mutely.live()) == {"child"}
    mute.about = {"late", "lower"}
    mutely.delegate("lower", "late")
    mutely.delegate("late", "child")
    mutely.walk(minutes=5)
    assert set(mutely.live()) == {"child"}
    mute.about = {"lower"}
    mutely.walk(minutes=3)
    assert set(mutely.live()) == {"child", "late"}
    mute.about = set()
    mutely.walk(minutes=3)
    assert set(mutely.live()) == {"child", "late", "lower"}


class Slow:
    """A decision point that takes its time for each revocation, and the watch that says so."""

    version = "x"

    def __init__(self, policies):
        self._policies, self.at, self.takes = policies, 0.0, 0.0

    def decide(self, request):
        self.at += self.takes if request.action == "revoke" else 0.0
        return self._policies.decide(request)


@pytest.fixture
def slow(policies):
    return Slow(policies)


@pytest.fixture
def slowly(make_stage, slow):
    return make_stage(pdp=slow, stopwatch=lambda: slow.at)


def test_where_the_decision_point_is_slow_fewer_follow_in_a_transaction(slowly, slow):
    many = slowly.brood(AT_ONCE + 8, "root", "aunt")
    slowly.revoke("aunt")
    slow.takes = 0.3
    sizes = [len(slowly.live())]
    while follow_on(slowly.deps, {}) is not None:
        sizes.append(len(slowly.live()))
    assert sizes == [1 + AT_ONCE, 1 + AT_ONCE + 4, 1 + AT_ONCE + 8]
    slow.takes = 0.0
    slowly.revoke("root")
    slowly.walk()
    slowly.reinstate("aunt")
    slow.takes, passed = 0.3, []
    while follow_on(slowly.deps, {}) is not None:
        passed.append(len(slowly.audit(follows="root", result="revoke")))
    assert passed[:2] == [AT_ONCE + 4, AT_ONCE + 8]
    assert set(slowly.live()) == many | {"root"}


def test_and_fewer_lapse_of_those_that_follow_another_one_then(slowly, slow):
    for n in range(25):
        slowly.write_down(f"m{n}", "root", expires_at=slowly.clock())
        slowly.revoke(f"m{n}")
    slowly.revoke("root")
    slowly.clock.pass_(days=3)
    slow.takes = 0.3
    sizes = sizes_of_writes(slowly)
    sweep(slowly.deps, lambda _: None)
    assert sizes == [20, 20, 10], "each lapses and follows"
    assert len(slowly.live()) == 26


def sizes_of_writes(stage):
    """How many entries each transaction appended, from now on."""
    found, at = [], [stage.deps.store.head().revision.n]

    def committed():
        now = stage.deps.store.head().revision.n
        found.append(now - at[0])
        at[0] = now

    stage.deps.store.subscribe(committed)
    return found


def test_however_many_lapse_at_the_same_time_it_takes_no_long_transaction(stage):
    stage.brood(2 * AT_ONCE + 7, "root")
    stage.revoke("root")
    stage.walk()
    stage.clock.pass_(days=40)
    sizes = sizes_of_writes(stage)
    assert sweep(stage.deps) == 2 * AT_ONCE + 8
    assert stage.live() == {}
    assert sizes == [AT_ONCE, AT_ONCE, 8]


def test_between_two_transactions_others_get_their_turn(stage):
    stage.brood(2 * AT_ONCE, "root")
    stage.revoke("root")
    stage.walk()
    stage.clock.pass_(days=40)
    rests = []
    sweep(stage.deps, rests.append)
    assert len(rests) == 3
    assert all(rest > 0 for rest in rests)


def test_what_follows_a_renewed_one_lives_on_before_its_own_time_is_over(stage):
    stage.brood(2, "root")
    stage.revoke("root")
    renewed = stage.clock() + timedelta(days=60)
    stage.delegate("root", None, expires_at=renewed.isoformat())
    stage.clock.pass_(days=30, seconds=-60)
    sweep(stage.deps)
    stage.clock.pass_(seconds=61)
    asked = {"X-Guardian-Tenant": "acme", "X-Guardian-Session": "c000"}
    assert stage.call("GET", "/v1/check", "gateway", headers=asked).status_code == 403
    assert entries(stage, "c000") == ["parent_revoked", "renewed"]


def test_however_many_live_on_with_a_renewed_one_they_do_so_in_one_sweep(stage):
    many = stage.brood(2 * AT_ONCE, "root")
    stage.revoke("root")
    stage.walk()
    renewed = stage.clock() + timedelta(days=60)
    stage.delegate("root", None, expires_at=renewed.isoformat())
    stage.clock.pass_(days=40)
    sizes = sizes_of_writes(stage)
    sweep(stage.deps)
    assert sizes == [AT_ONCE, AT_ONCE]
    assert set(stage.live()) == many | {"root"}


def test_nor_do_those_hold_it_up_that_followed_one_that_lapsed_and_was_revoked_anew(stage):
    start = stage.clock()

    def renew(session):
        stage.delegate(session, None, expires_at=(start + timedelta(days=400)).isoformat())

    lasts = start + timedelta(days=60)
    for n in range(AT_ONCE):
        stage.write_down(f"c{n:03}", "root", expires_at=lasts)
    stage.write_down("kid", "top", expires_at=lasts + timedelta(seconds=1))
    for upper in ("root", "top"):
        stage.write_down(upper, expires_at=start + timedelta(days=2))
        stage.revoke(upper)
        stage.walk()
    renew("top")
    stage.clock.pass_(days=10)
    sweep(stage.deps)
    assert "root" not in stage.live()
    renew("root")
    stage.revoke("root")
    stage.walk()
    with stage.deps.store.read() as rows:
        stage.clock.now = rows.ledger.live_entry("acme", "c000").expires_at - timedelta(minutes=1)
    sizes = sizes_of_writes(stage)
    assert sweep(stage.deps) == 1
    assert sizes == [1]
    assert (entries(stage, "kid"), entries(stage, "c000")) == (["parent_revoked", "renewed"], ["parent_revoked"])
    assert sweep(stage.deps) == 0
    assert sizes == [1], "there is nothing more to write"


def test_those_that_lapse_below_a_revoked_one_follow_it_and_are_counted_once(stage, monkeypatch):
    counted, count = [], EnvelopeRows.registered_since

    def counting(self, tenant_id, since, session_id=None):
        counted.append(session_id)
        return count(self, tenant_id, since, session_id)

    for n in range(5):
        stage.write_down(f"m{n}", "root", expires_at=stage.clock())
        stage.write_down(f"m{n}_child", f"m{n}", expires_at=stage.clock())
        stage.revoke(f"m{n}")
    stage.revoke("root")
    stage.clock.pass_(days=3)
    monkeypatch.setattr(EnvelopeRows, "registered_since", counting)
    assert sweep(stage.deps) == 10
    assert counted.count(None) == 1
    stage.walk()
    assert set(stage.live()) == {"root"} | {f"m{n}{what}" for n in range(5) for what in ("", "_child")}
    stage.reinstate("root")
    stage.walk()
    assert stage.live() == {}
