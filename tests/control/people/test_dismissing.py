"""People's word covers what they were shown: one finding, or all of a case."""

from datetime import timedelta

import pytest

from guardian.control.findings.superseded import NOTHING
from guardian.domain.breach import marks
from guardian.domain.finding import Effect, NamedBreach
from guardian.domain.session import judged


def outside(value, **more):
    return (NamedBreach(name="outside", detail=value, hard=True, about=marks((value,)), **more),)


EXPORT, SEND = outside("crm.export"), outside("email.send")


@pytest.fixture
def two(stage, a_finding):
    """The ids of two findings of one session, the older first."""
    ids = [
        stage.submit(a_finding(n=n, breaches=each)).json()["finding_id"] for n, each in enumerate((EXPORT, SEND))
    ]
    stage.clock.pass_(minutes=1)
    return ids


def say(stage, finding_id, verdict="benign", **more):
    body = {"verdict": verdict, "reason": "looked at it", **more}
    got = stage.call("POST", f"/v1/findings/{finding_id}/verdict", "analyst", json=body)
    assert got.status_code == 200, got.text
    return got.json()


def case(stage):
    told = stage.call("GET", "/v1/cases/acme/sess_1", "analyst").json()
    return told["shown"]["finding"]["id"], told["state"], told["unjudged"]


def words(stage):
    items = stage.call("GET", "/v1/session-changes", "monitor").json()["items"]
    return [judged(each["detail"]) for each in items if each["word"] == "false_positive"]


@pytest.mark.parametrize("first", [0, 1])
def test_who_dismisses_one_finding_says_nothing_of_another(stage, a_finding, two, first):
    one, other = two[first], two[1 - first]
    told = say(stage, one)
    assert (told["unjudged"], told["also"]) == (1, [])
    assert (stage.status(), case(stage)) == ("flagged", (other, "flagged", 1))
    assert words(stage) == [(one, set((EXPORT, SEND)[first][0].told.remembered))]
    stage.clock.pass_(minutes=1)
    assert say(stage, other)["unjudged"] == 0
    assert (stage.status(), case(stage)[1:]) == ("active", ("dismissed", 0))


def test_what_a_monitor_says_that_had_not_heard_of_it_counts_by_what_was_not_dismissed(stage, a_finding, two):
    say(stage, two[0])
    got = [stage.submit(a_finding(n=n, breaches=each)) for n, each in ((5, EXPORT), (6, SEND))]
    assert [each.json().get("code", each.json().get("effect")) for each in got] == ["superseded", "flag"]


def test_who_judges_a_case_dismisses_every_drift_in_it_and_confirms_one(stage, a_finding, two):
    told = say(stage, two[1], "confirmed", case=True)
    assert (told["unjudged"], told["also"], stage.status()) == (1, [], "flagged")
    told = say(stage, two[1], "false_positive", case=True)
    assert (told["unjudged"], told["also"]) == (0, [two[0]])
    assert (stage.status(), case(stage)) == ("active", (two[1], "dismissed", 0))
    assert [name for name, _ in words(stage)] == two
    assert stage.audit(action="dismiss")[-1]["with_it"] == [two[0]]
    rows = stage.call("GET", "/v1/feedback", "analyst").json()["items"]
    assert [(row["label"], row["session_honest"]) for row in rows] == [("false_positive", True)] * 2
    late = stage.submit(a_finding(epoch=1, n=5, breaches=EXPORT))
    assert late.json()["code"] == "superseded", "each word made the evidence start afresh"


def test_no_drift_is_dismissed_that_came_after_the_case_was_shown_and_goes_behind_the_newest(stage, a_finding):
    first = stage.clock()
    one, late = (a_finding(n=n, time=first - timedelta(seconds=4 - n)) for n in (3, 2))
    shown = stage.submit(one).json()["finding_id"]
    seen = stage.call("GET", "/v1/cases/acme/sess_1", "analyst").json()["digest"]
    stage.clock.pass_(minutes=1)
    assert stage.submit(late).status_code == 200
    assert case(stage) == (shown, "flagged", 2)
    body, path = {"verdict": "benign", "reason": "fine", "case": True}, f"/v1/findings/{shown}/verdict"
    got = stage.call("POST", path, "analyst", json=body, headers={"If-Match": f'"{seen}"'})
    assert (got.status_code, case(stage)) == (412, (shown, "flagged", 2))


@pytest.mark.parametrize("whole", [False, True])
def test_a_dismissal_that_is_corrected_leads_to_what_the_confirmation_alone_would_have_led_to(stage, two, whole):
    say(stage, two[0], "confirmed")
    for verdict in ("false_positive", "confirmed"):
        stage.clock.pass_(minutes=1)
        say(stage, two[1], verdict, case=whole)
    assert (stage.status(), case(stage)) == ("flagged", (two[1], "confirmed", 0))
    (listed,) = stage.call("GET", "/v1/sessions", params={"status": "flagged"}).json()["items"]
    assert listed["session_id"] == "sess_1"
    word = stage.call("GET", "/v1/session-changes", "monitor").json()["items"][-1]
    said = (two[1], set(SEND[0].told.remembered))
    assert (word["word"], judged(word["detail"])) == ("confirmed", said), "so that nothing of it stays pardoned"
    say(stage, two[1], "benign")
    say(stage, two[0], "benign")
    assert stage.status() == "active"


def test_a_session_whose_only_dismissal_is_corrected_is_flagged_again_unless_it_was_given_back_since(
    stage, a_finding
):
    found = stage.submit(a_finding()).json()["finding_id"]
    stage.clock.pass_(minutes=1)
    say(stage, found)
    assert stage.status() == "active"
    say(stage, found, "confirmed")
    assert stage.status() == "flagged"
    stage.revoke()
    stage.reinstate()
    stage.clock.pass_(minutes=1)
    for verdict in ("benign", "confirmed"):
        say(stage, found, verdict)
        assert stage.status() == "active"


def test_whoever_confirms_what_a_session_was_given_back_in_spite_of_does_not_have_it_accused_of_that_again(
    stage, two
):
    say(stage, two[0])
    stage.revoke()
    stage.reinstate()
    stage.clock.pass_(minutes=1)
    for name in two:
        say(stage, name, "confirmed")
        word = stage.call("GET", "/v1/session-changes", "monitor").json()["items"][-1]
        assert (word["word"], judged(word["detail"])) == ("confirmed", (name, {NOTHING})), "it stays pardoned"
    assert stage.status() == "active"


def test_a_session_with_a_drift_that_nobody_judged_is_no_honest_one(stage, two):
    say(stage, two[0])
    (row,) = stage.call("GET", "/v1/feedback", "analyst").json()["items"]
    assert (row["label"], row["drift"], row["session_honest"]) == ("benign", 0, False)


def test_a_drift_that_was_confirmed_goes_on_accusing_when_another_is_dismissed(stage, two):
    say(stage, two[0], "confirmed")
    say(stage, two[1])
    assert (stage.status(), case(stage)) == ("flagged", (two[0], "confirmed", 0))


def test_what_people_knew_when_they_gave_it_back_accuses_it_no_more(stage, a_finding, two):
    stage.revoke()
    stage.reinstate()
    stage.clock.pass_(minutes=1)
    newest = stage.submit(a_finding(epoch=1, n=9, breaches=outside("c_9"))).json()["finding_id"]
    assert stage.status() == "flagged"
    assert say(stage, newest)["unjudged"] == 2, "but nobody has said what it was"
    assert stage.status() == "active"
    assert say(stage, newest, case=True)["also"] == two, "until somebody dismisses the case that shows them"
    assert (case(stage), len(words(stage))) == ((newest, "dismissed", 0), 3)


def test_an_unreadable_finding_keeps_accusing_when_its_case_is_dismissed(stage, two):
    with stage.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_finding SET finding = '{}' WHERE id = ?", (two[0],))
    assert say(stage, two[1], case=True)["also"] == []
    assert len(stage.call("GET", "/v1/sessions", params={"status": "flagged"}).json()["items"]) == 1


def test_a_wish_to_revoke_it_stands_while_what_it_rests_on_is_not_dismissed(stage, a_finding):
    stage.enforce()
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json={"protected": True, "reason": "x"})
    one = stage.submit(a_finding(breaches=EXPORT, wanted=Effect.FLAG)).json()["finding_id"]
    expired = (NamedBreach(name="envelope_expired", detail="", hard=True),)
    two = stage.submit(a_finding(n=1, breaches=expired, time=stage.clock() + timedelta(seconds=1))).json()
    stage.clock.pass_(minutes=1)
    say(stage, one)
    assert case(stage) == (two["finding_id"], "revoke_requested", 1)
    assert stage.decide(two["approval_id"], "approve", "responder").status_code == 200
    assert stage.status() == "revoked"
