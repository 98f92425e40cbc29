"""Control's clock is ahead for a moment, as on a machine that woke with a wrong one: nothing ends for good."""

from datetime import UTC, datetime, timedelta

import pytest
from deployment import AT_ONCE

from guardian.control.authentication.token_records import forget_expired, record_token
from guardian.control.lapse import sweep
from guardian.control.watchers.itself import tell_of_itself
from guardian.control.watchers.watching import watch
from guardian.domain.finding import OPERATORS
from guardian.store.sure_time import SureTime


@pytest.fixture
def ahead(make_stage):
    """Its clock has kept step for a while; then `jump` sets it, and `go_on` lets time pass."""
    seconds, sure = [0.0], []
    stage = make_stage(steady=lambda now: sure[0](now) if sure else now)
    sure.append(SureTime(stage.clock, lambda: seconds[0]))

    def go_on(**span):
        stage.clock.pass_(**span)
        seconds[0] += timedelta(**span).total_seconds()

    go_on(minutes=20)
    stage.deps.sure(stage.clock())
    stage.go_on = go_on
    for role in ("gateway", "monitor", "responder", "approver", "admin"):
        stage.token(role)  # one that is issued while the clock is ahead is refused later
        stage.token(role, "*")
    return stage


def jump(stage, **span):
    stage.clock.now += timedelta(**span)


def check(stage):
    asked = stage.call("GET", "/v1/check?session_id=sess_1", "gateway")
    return asked.json()["code"] if asked.content else "passes"


def test_no_revocation_lapses_by_it_whoever_comes_by(ahead, a_finding):
    ahead.enforce()
    ahead.revoke()
    revision = str(ahead.deps.store.head().revision)
    jump(ahead, days=40)
    assert sweep(ahead.deps) == 0
    assert check(ahead) == "revoked"
    ahead.submit(a_finding("sess_2", time=ahead.clock()))
    ahead.revoke("sess_3")
    jump(ahead, days=-40)
    assert {entry[0] for entry in ahead.ledger()} == {"revoked"}
    assert ahead.live().keys() == {"sess_1", "sess_2", "sess_3"}
    assert revision < str(ahead.deps.store.head().revision)


def test_nor_does_advice_let_anybody_act_who_is_revoked(ahead):
    """A gateway that asks for advice need not look at the list."""
    body = {"reason": "stop", "seconds": 3600}
    assert ahead.call("POST", "/v1/subjects/acme/agent/agent_1/revoke", "responder", json=body).is_success
    jump(ahead, days=40)
    envelope = {"tenant_id": "acme", "session_id": "sess_1", "agent_id": "agent_1", "delegator_id": "user_1"}
    question = {
        "subject": {"type": "session", "id": "sess_1"},
        "action": {"name": "crm.read"},
        "resource": {"type": "customer", "id": "c1"},
        "context": {"envelope": {**envelope, "purpose": "review"}},
    }
    told = ahead.call("POST", "/v1/advise", "gateway", json=question).json()["context"]
    assert (told["advice"], told["reason"]) == ("deny", "the agent is revoked (manual), at revision 1.1")


def test_what_a_session_acts_under_is_shown_as_revoked_as_long_as_it_is(ahead, a_finding):
    ahead.submit(a_finding())
    body = {"reason": "stop", "seconds": 3600}
    assert ahead.call("POST", "/v1/subjects/acme/agent/agent_1/revoke", "responder", json=body).is_success
    ahead.revoke()
    jump(ahead, days=40)
    for path in ("/v1/sessions/acme/sess_1", "/v1/cases/acme/sess_1"):
        (also,) = ahead.call("GET", path).json()["also_revoked"]
        assert also["subject_id"] == "agent_1"
    given_back = ahead.reinstate()
    assert "its agent agent_1 is revoked" in given_back["result"]


def test_what_is_due_meanwhile_lapses_by_the_time_that_passed(ahead):
    body = {"reason": "x", "seconds": 600}
    ahead.call("POST", "/v1/subjects/acme/agent/agent_7/revoke", "responder", json=body)
    ahead.revoke()
    jump(ahead, days=40)
    ahead.go_on(minutes=11)
    assert sweep(ahead.deps) == 1
    assert ahead.live().keys() == {"sess_1"}


def test_a_session_that_was_renewed_takes_along_what_follows_from_it_while_no_time_is_sure(
    walks_by_hand, make_stage
):
    stage = make_stage(steady=lambda now: now - timedelta(days=20_000))
    stage.delegate("root", expires_at=(stage.clock() + timedelta(days=2)).isoformat())
    stage.delegate("child", "root", expires_at=(stage.clock() + timedelta(days=1)).isoformat())
    stage.revoke("root")
    stage.delegate("root", expires_at=(stage.clock() + timedelta(days=9)).isoformat())
    stage.clock.pass_(days=4)
    assert stage.live() == {"root": "renewed", "child": "parent_revoked"}
    sweep(stage.deps)
    assert stage.live() == {"root": "renewed", "child": "renewed"}


def test_what_is_registered_below_a_revoked_session_meanwhile_follows_it(ahead):
    ahead.delegate("root", expires_at=(ahead.clock() + timedelta(days=2)).isoformat())
    ahead.revoke("root")
    jump(ahead, days=40)
    ahead.delegate("child", "root", expires_at=(ahead.clock() + timedelta(days=1)).isoformat())
    jump(ahead, days=-40)
    assert ahead.live() == {"root": "manual", "child": "parent_revoked"}


def test_nor_does_a_walk_down_end_by_it_and_leave_the_rest_out(walks_by_hand, few_at_once, ahead):
    ahead.delegate("root", expires_at=(ahead.clock() + timedelta(days=2)).isoformat())
    children = [f"c{n}" for n in range(AT_ONCE + 1)]
    for name in children:
        ahead.delegate(name, "root", expires_at=(ahead.clock() + timedelta(days=1)).isoformat())
    ahead.revoke("root")
    assert len(ahead.live()) < 2 + AT_ONCE
    jump(ahead, days=40)
    ahead.walk()
    jump(ahead, days=-40)
    assert ahead.live().keys() == {"root", *children}


def test_nor_does_a_request_or_a_grant_end_by_it(ahead):
    body = {"mode": "enforce", "reason": "trusted"}
    asked = ahead.call("PUT", "/v1/modes/acme", "admin", "*", json=body).json()["approval"]["id"]
    glass = {"tenant_id": "acme", "reason": "it burns", "minutes": 30}
    assert ahead.call("POST", "/v1/break-glass", "admin", "*", json=glass).is_success
    jump(ahead, days=40)
    assert ahead.decide(asked, "approve", "approver", "*").json()["code"] == "expired", "it is not done either"
    assert ahead.call("POST", "/v1/break-glass", "admin", json=glass).is_success, "a new one, by what it says now"
    sweep(ahead.deps)
    jump(ahead, days=-40)
    assert ahead.decide(asked, "approve", "approver", "*").status_code == 200
    with ahead.deps.store.read() as rows:
        grants = rows.break_glass.page(None, limit=10)
    assert [each.ended_at for each in grants] == [None, None]


def test_nor_does_a_request_that_is_made_again_but_it_is_asked_anew_while_nobody_can_decide_it(ahead):
    ahead.revoke()

    def ask():
        asked = ahead.call("POST", "/v1/sessions/acme/sess_1/reinstate", "responder", json={"reason": "ours"})
        return asked.json()["approval"]["id"]

    first = ask()
    jump(ahead, days=2)
    second = ask()
    assert second not in (None, first)
    jump(ahead, days=-2)
    assert ask() == first
    assert ahead.decide(first, "approve").status_code == 200
    assert ahead.decide(second, "approve").json()["code"] == "overtaken"


def test_nor_does_another_wish_take_its_place(ahead):
    def ask(mode):
        return ahead.call("PUT", "/v1/modes/acme", "admin", json={"reason": "ours", **mode}).json()["approval"]

    first = ask({"mode": "enforce"})
    jump(ahead, days=2)
    second = ask({"mode": "canary", "canary_percent": 5})
    assert second["particulars"] == {"mode": "canary", "canary_percent": "5"}
    jump(ahead, days=-2)
    assert ahead.decide(first["id"], "approve", "approver").status_code == 200


def test_just_after_a_start_a_request_that_is_over_is_put_up_anew(make_stage):
    stage = make_stage(steady=lambda now: now - timedelta(days=20_000))
    stage.revoke()

    def ask():
        asked = stage.call("POST", "/v1/sessions/acme/sess_1/reinstate", "responder", json={"reason": "ours"})
        return asked.json()["approval"]["id"]

    first = ask()
    stage.clock.pass_(days=2)
    second = ask()
    assert second != first
    assert stage.decide(second, "approve").status_code == 200


def test_nor_is_a_gateway_forgotten_that_people_wait_for(ahead):
    body = {"revision": "1.0", "transport": "push"}
    ahead.call("POST", "/v1/revocations/ack", "gateway", json=body, headers={"Guardian-Instance": "gw-a"})
    watch(ahead.deps)
    ahead.go_on(minutes=10)
    watch(ahead.deps)

    def known():
        return [each["state"] for each in ahead.call("GET", "/v1/watch", "admin", "*").json()["gateways"]]

    assert known() == ["silent"]
    jump(ahead, days=40)
    watch(ahead.deps)
    jump(ahead, days=-40)
    assert known() == ["silent"]
    ahead.go_on(days=1)
    watch(ahead.deps)
    ahead.go_on(minutes=16)
    watch(ahead.deps)
    assert known() == []


def test_nor_is_the_record_of_a_token_forgotten(ahead):
    with ahead.deps.store.write() as rows:
        issued = ahead.deps.tokens.issue(
            "gw", role="gateway", tenants=["acme"], ttl=timedelta(days=9), now=ahead.clock()
        )
        record_token(rows, issued)

    def kept():
        forget_expired(ahead.deps)
        with ahead.deps.store.read() as rows:
            return rows.tokens.is_recorded(issued.principal.jti)

    jump(ahead, days=200)
    assert kept()
    jump(ahead, days=-200)
    ahead.go_on(days=98)
    assert kept(), "people may ask what became of it"
    ahead.go_on(days=2)
    assert not kept()


def test_nor_is_an_answer_that_was_given_already(ahead):
    def revoke():
        return ahead.call("POST", "/v1/sessions/acme/sess_1/revoke", "responder", json={"reason": "stop"},
                          headers={"Idempotency-Key": "k"})  # fmt: skip

    first = revoke().json()
    jump(ahead, days=40)
    ahead.call("POST", "/v1/sessions/acme/s2/revoke", "responder", json={"reason": "x"},
               headers={"Idempotency-Key": "j"})  # fmt: skip
    jump(ahead, days=-40)
    assert revoke().json()["changed"] is first["changed"] is True


def told(stage):
    """Severity and title of what people heard of control itself, the newest first."""
    watch(stage.deps)
    found = stage.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    news = [each["finding"] for each in found if each["finding"]["tenant_id"] == OPERATORS]
    return [(each["severity"], each["title"]) for each in news]


def test_people_hear_of_it_and_that_it_is_over(ahead):
    assert told(ahead) == []
    jump(ahead, days=40)
    for _ in range(2):
        assert told(ahead) == [("high", "Control's clock went ahead")]
    jump(ahead, days=-40)
    assert told(ahead) == [("info", "Control's clock keeps step"), ("high", "Control's clock went ahead")]


@pytest.mark.parametrize(("apart", "whose"), [(-2, "its database's clock"), (2, "its clock"), (0, "its clock")])
def test_of_a_jump_they_hear_also_where_the_databases_clock_is_another_and_by_which_of_them_things_end(
    ahead, apart, whose
):
    ahead.deps.watched.apart = timedelta(minutes=apart)
    tell_of_itself(ahead.deps, ahead.clock())
    jump(ahead, days=40)
    tell_of_itself(ahead.deps, ahead.clock())
    ahead.go_on(minutes=15)
    tell_of_itself(ahead.deps, ahead.clock())
    found = ahead.call("GET", "/v1/findings", "admin", "*", params={"kind": "control"}).json()["items"]
    news = [each["finding"] for each in found if each["finding"]["reasons"][0]["signal"] == "clock"]
    assert [each["title"] for each in news] == ["Control's clock keeps step", "Control's clock went ahead"]
    assert all(each["reasons"][0]["text"].endswith(f" by {whose}") for each in news)


def test_a_clock_that_is_behind_what_control_wrote_before_its_start_is_told_until_it_has_come_there(stage):
    stage.deps.watched.before = stage.clock() + timedelta(minutes=2)
    news = [("high", "Control's clock is behind what control wrote before")]
    assert told(stage) == told(stage) == news
    jump(stage, minutes=1)
    assert told(stage) == [("info", "Control's clock has come to what control wrote before"), *news]


@pytest.mark.parametrize(
    ("hours", "heard"), [(23, []), (24, [("medium", "Control was away for long, by its clock")])]
)
def test_after_a_start_people_hear_how_long_control_was_away_by_its_clock_while_no_time_is_sure(
    make_stage, hours, heard
):
    seconds, sure = [0.0], []
    stage = make_stage(steady=lambda now: sure[0](now) if sure else now)
    sure.append(SureTime(stage.clock, lambda: seconds[0]))
    stage.deps.watched.before = stage.clock() - timedelta(hours=hours)
    assert told(stage) == told(stage) == heard
    stage.clock.pass_(minutes=15)
    seconds[0] += 900
    assert told(stage) == [*[("info", "Control goes by its clock") for _ in heard], *heard]


def test_of_a_last_entry_at_the_beginning_of_the_calendar_they_hear_as_well(make_stage):
    stage = make_stage(steady=lambda now: datetime.fromtimestamp(0, UTC))
    stage.deps.watched.before = datetime.min.replace(tzinfo=UTC)
    assert told(stage) == [("medium", "Control was away for long, by its clock")]
