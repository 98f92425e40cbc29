"""Every click is a call of the control API as the person who clicked; policy decides, stale ones are refused."""

import dataclasses
import re
import threading
import time

import httpx
import pytest
from slack_sdk.socket_mode import SocketModeClient
from slack_server import CHANNEL, TOKEN, message_limits, web_api
from slack_server.people import click, interaction, signed, submission
from structlog.testing import capture_logs
from until import until

from guardian.alerting import slack_socket
from guardian.alerting.clicks import Click
from guardian.alerting.slack import SlackOptions
from guardian.alerting.slack_people import SlackPeople
from guardian.alerting.slack_socket import SlackSocket
from guardian.control.desk.clicks import Desk
from guardian.control.desk.commands import answer_command
from guardian.domain.finding import Effect
from guardian.domain.identity import SessionKey
from guardian.errors import ControlError, StoreError
from guardian.wire.advice import Weighing
from guardian.wire.principal import Person

MAYA, LEE, ANN, STRANGER, GLOBEX = "U0MAYA", "U0LEE", "U0ANN", "U0NOBODY", "U0GLOBEX"


@pytest.fixture
def flagged(office, a_finding):
    office.submit(a_finding())
    office.settle()
    return office


def status(office, session="sess_1"):
    with office.client("root", "admin") as admin:
        return admin.session("acme", session).session.status


def test_revoke_now_revokes_as_the_person_who_clicked_and_the_message_says_so(flagged, slack) -> None:
    got = flagged.click("Revoke now", MAYA)
    assert (got.status_code, got.content) == (200, b"")
    assert "Done: the session is revoked" in flagged.told()
    assert (slack.ephemeral[0]["user"], slack.ephemeral[0]["channel"]) == (MAYA, "C0SECURITY")
    (record,) = flagged.audit(action="revoke", result="changed")
    assert (record["actor"], record["role"], record["policy_ids"]) == ("maya", "responder", ["responders-may-act"])
    flagged.after(minutes=1)
    assert "■ Revoked" in flagged.text()


def test_what_policy_refuses_is_not_done_and_says_which_policy(flagged, slack) -> None:
    slack.people[ANN] = person(ANN, "ann@acme.example")
    flagged.click("Revoke now", ANN)
    assert "no policy permits it" in flagged.told()
    assert status(flagged) == "flagged"
    assert [each["actor"] for each in flagged.audit(action="revoke", result="refused")] == ["ann"]


def person(user, email, **changes):
    told = {"id": user, "team_id": "T0ACME", "is_email_confirmed": True, "profile": {"email": email}}
    return {**told, **changes}


def test_somebody_is_known_by_the_confirmed_address_of_the_own_workspace(flagged, slack) -> None:
    slack.people[ANN] = person(ANN, "Ann@ACME.example")
    flagged.click("Give a verdict …", ANN)
    flagged.form()
    flagged.fill_in(ANN, verdict="benign", reason="a one-off migration")
    assert "Unusual, but all right" in flagged.told()
    (record,) = flagged.audit(action="dismiss")
    assert (record["actor"], record["result"], record["reason"]) == ("ann", "benign", "a one-off migration")


@pytest.mark.parametrize("troubles", [["500", "500"], ["429:30"]])
def test_whom_slack_does_not_name_is_told_that_nothing_was_done(flagged, slack, troubles) -> None:
    slack.people[ANN] = person(ANN, "ann@acme.example")
    slack.read_troubles.extend(troubles)
    flagged.click("Give a verdict …", ANN)
    assert "Nothing was done: Slack did not tell" in flagged.told()
    slack.read_troubles.extend(troubles)
    assert "Nothing was done: Slack did not tell" in flagged.command("status", ANN)
    flagged.click("Give a verdict …", ANN)
    assert flagged.form(), "the next click asks Slack again"


def test_no_verdict_is_given_that_nobody_chose(flagged) -> None:
    flagged.click("Give a verdict …", LEE)
    flagged.form()
    flagged.fill_in(LEE, reason="it mailed the customer list out")
    assert "Nothing was done" in flagged.told()
    assert flagged.audit(action="dismiss") == flagged.audit(action="confirm") == []


def test_an_address_that_folds_into_another_is_somebody_elses(slack) -> None:
    slack.people[ANN] = person(ANN, "te\u00df@acme.example")
    tess = Person(principal="tess", role="analyst", tenants=frozenset({"acme"}))
    calls = SlackOptions(channel=CHANNEL, token=TOKEN, base_url=slack.url).calls()
    people = SlackPeople(calls, by_id={}, by_email={"tess@acme.example": tess}, clock=time.monotonic)
    assert people.of(ANN) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"team_id": "T0OTHER"},
        {"is_email_confirmed": False},
        {"is_restricted": True},
        {"is_stranger": True},
        {"deleted": True},
        {"is_bot": True},
    ],
)
def test_an_address_that_slack_does_not_vouch_for_is_nobodys(flagged, slack, changes) -> None:
    slack.people[ANN] = person(ANN, "ann@acme.example", **changes)
    flagged.click("Revoke now", ANN)
    assert "does not know you" in flagged.told()


def test_somebody_unmapped_is_refused(flagged, slack) -> None:
    flagged.click("Revoke now", STRANGER)
    assert "Guardian does not know you" in flagged.told()
    assert status(flagged) == "flagged"
    assert flagged.audit(action="revoke") == []


def test_somebody_of_another_tenant_finds_nothing_here(flagged, slack) -> None:
    for button in ("Revoke now", "Show evidence", "Give a verdict …"):
        flagged.click(button, GLOBEX)
    for count in (1, 2, 3):
        assert "Not found" in flagged.told(count)
    assert slack.views == []
    assert status(flagged) == "flagged"


def test_two_who_click_at_once_do_not_both_act(flagged, slack) -> None:
    message = flagged.root()
    clicks = [click(slack, message, "Revoke now", user) for user in (MAYA, LEE)]
    threads = [threading.Thread(target=flagged.send, args=(payload,)) for payload in clicks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = slack.until(lambda: len(slack.ephemeral) == 2 and slack.ephemeral)
    texts = sorted(each["text"].split(":")[0] for each in told)
    assert texts == ["Done", "This message was out of date"]
    assert len(flagged.audit(action="revoke", result="changed")) == 1


def test_a_button_on_an_old_picture_is_refused_and_the_message_brought_up_to_date(flagged, slack) -> None:
    old = click(slack, flagged.root(), "Revoke now", MAYA)
    with flagged.client("lee", "approver") as lee:
        lee.judge(flagged_id(flagged), "confirmed", reason="it is")
    flagged.send(old)
    assert "out of date" in flagged.told()
    assert flagged.audit(action="revoke") == []
    flagged.after(seconds=5)
    assert "Confirmed" in flagged.text()
    flagged.click("Revoke now", MAYA)
    assert "Done" in flagged.told(2)


def test_who_revokes_what_did_more_since_the_message_was_written_is_not_held_up(flagged, slack, a_finding) -> None:
    old = click(slack, flagged.root(), "Revoke now", MAYA)
    flagged.submit(a_finding(n=1, one_in=90_000))
    flagged.send(old)
    assert "Done: the session is revoked" in flagged.told()


def test_who_is_refused_a_revocation_is_told_how_to_revoke_all_the_same(office, slack, a_finding) -> None:
    office.submit(a_finding(session="my session"))
    office.settle()
    old = click(slack, office.root("my session"), "Revoke now", MAYA)
    with office.client("lee", "approver") as lee:
        lee.judge(lee.case("acme", "my session").shown.finding.id, "benign", reason="ours")
    office.send(old)
    told = office.told()
    assert ("out of date" in told, "now" in told) == (True, False)
    asked = re.search("/guardian (revoke .*) REASON", told)
    assert office.command(f"{asked[1]} it is not") == "`my session` in `acme` is revoked."


def asked_to_revoke(office, a_finding):
    """A session that people protect, and of which the monitor asks that it is revoked."""
    office.enforce()
    with office.client("root", "admin") as root:
        root.protect("acme", "sess_1", protected=True, reason="the yearly audit")
    office.submit(a_finding(wanted=Effect.REVOKE, hard=True))
    office.settle()


@pytest.mark.parametrize("moves", ["before the form", "before it is sent"])
def test_who_approves_a_revocation_is_not_held_up_by_what_the_session_did_since(
    office, slack, a_finding, moves
) -> None:
    asked_to_revoke(office, a_finding)
    old = click(slack, office.root(), "Approve …", LEE)
    if moves == "before the form":
        office.submit(a_finding(n=1, one_in=90_000))
    office.send(old)
    office.form()
    if moves == "before it is sent":
        office.submit(a_finding(n=1, one_in=90_000))
    office.fill_in(LEE)
    assert "Approved" in office.told()
    assert status(office) == "revoked"


@pytest.mark.parametrize("button", ["Approve …", "Deny …"])
def test_who_is_refused_to_decide_on_a_revocation_is_told_how_to_revoke_only_if_they_want_that(
    office, slack, a_finding, button
) -> None:
    asked_to_revoke(office, a_finding)
    old = click(slack, office.root(), button, LEE)
    if button == "Deny …":
        office.submit(a_finding(n=1, one_in=90_000))  # a no is to what was shown
    else:
        with office.client("maya", "responder") as maya:
            maya.judge(a_finding().id, "confirmed", reason="it is")
    office.send(old)
    told = office.told()
    assert ("out of date" in told, "/guardian revoke" in told) == (True, button == "Approve …")
    assert status(office) == "flagged"


def test_a_dismissal_that_was_a_slip_is_put_right_in_slack(flagged) -> None:
    for count, verdict in enumerate(("false_positive", "confirmed"), start=1):
        flagged.click("Give a verdict …", LEE)
        flagged.form(count)
        flagged.fill_in(LEE, verdict=verdict)
        flagged.told(count)
        flagged.after(minutes=2)
    assert "Confirmed" in flagged.text()
    assert status(flagged) == "flagged"


def test_a_verdict_on_the_wrong_case_is_taken_back_in_slack_with_all_that_it_was_of(flagged, a_finding) -> None:
    flagged.submit(a_finding(n=1, hard=True))
    flagged.after(minutes=2)
    back = "Take the last verdict back"
    flagged.click("Give a verdict …", LEE)
    assert back not in str(flagged.form()), "there is none yet"
    flagged.fill_in(LEE, verdict="false_positive")
    flagged.told()
    flagged.after(minutes=2)
    assert (status(flagged), "Dismissed" in flagged.text()) == ("active", True)
    flagged.click("Give a verdict …", LEE)
    assert back in str(flagged.form(2))
    flagged.fill_in(LEE, verdict="withdrawn")
    assert "taken back, with 1 other finding of the case: nobody has judged that now." in flagged.told(2)
    flagged.after(minutes=2)
    assert (status(flagged), "Flagged" in flagged.text()) == ("flagged", True)
    assert "called it a false positive:" not in flagged.text()


def test_no_verdict_is_said_to_be_taken_back_where_the_case_has_moved_on_to_what_nobody_has_judged(
    flagged, a_finding
) -> None:
    flagged.click("Give a verdict …", LEE)
    flagged.form()
    flagged.fill_in(LEE, verdict="false_positive")
    flagged.told()
    flagged.after(minutes=2)
    flagged.click("Give a verdict …", LEE)
    flagged.form(2)
    flagged.submit(a_finding(n=1, hard=True))
    flagged.fill_in(LEE, verdict="withdrawn")
    assert "out of date" in flagged.told(2)
    assert [each["result"] for each in flagged.audit(action="dismiss")] == ["false_positive"]


def test_no_act_waits_for_forms_that_slack_does_not_open_nor_for_answers_that_it_does_not_take(
    flagged, slack, monkeypatch
) -> None:
    calls, go_on = flagged.queue.desk._calls, threading.Event()
    monkeypatch.setattr(calls, "open", lambda *_: go_on.wait(60))
    monkeypatch.setattr(calls, "write", lambda *_: go_on.wait(60))
    for button in ("Show evidence", "Revoke now"):
        for _ in range(8):
            flagged.click(button, GLOBEX if button == "Revoke now" else MAYA)
    flagged.click("Revoke now")
    assert slack.until(lambda: status(flagged) == "revoked")
    assert not go_on.is_set()
    go_on.set()


def test_a_form_that_slack_does_not_take_in_its_three_seconds_is_given_up(flagged, slack) -> None:
    slack.read_troubles.append("slow_after")  # after longer than that it hangs up
    with capture_logs() as lines:
        flagged.click("Show evidence")
        assert "Press the button again" in flagged.told()
    (line,) = [each for each in lines if each["event"] == "slack_form_not_opened"]
    assert line["error"].startswith("Slack views.open: TimeoutError")


def flagged_id(office):
    with office.client("root", "admin") as admin:
        return admin.case("acme", "sess_1").shown.finding.id


def test_a_form_that_was_open_while_the_case_moved_on_is_refused(flagged, slack) -> None:
    flagged.click("Snooze …", MAYA)
    flagged.form()
    with flagged.client("lee", "approver") as lee:
        lee.revoke("acme", "sess_1", reason="no")
    flagged.fill_in(MAYA, hours="4")
    assert "out of date" in flagged.told()
    assert [each["result"] for each in flagged.audit(action="snooze")] == ["stale"]


def test_a_reinstatement_asks_for_a_second_person_who_approves_in_slack(flagged, slack) -> None:
    flagged.click("Revoke now", MAYA)
    flagged.told()
    flagged.after(minutes=1)
    flagged.click("Reinstate …", MAYA)
    flagged.form()
    flagged.fill_in(MAYA, reason="it was the migration")
    assert "second person" in flagged.told(2)
    flagged.after(minutes=1)
    assert "it was the migration" in flagged.text()
    flagged.click("Approve …", MAYA)
    assert "maya asks to reinstate the session" in str(flagged.form(2)["blocks"])
    flagged.fill_in(MAYA)
    assert "approvers give" not in flagged.told(3)
    assert "Nothing was done" in flagged.told(3)
    assert status(flagged) == "revoked"
    flagged.click("Approve …", LEE)
    flagged.form(3)
    flagged.fill_in(LEE)
    assert "Approved" in flagged.told(4)
    assert status(flagged) == "active"


def test_who_gives_a_session_back_in_slack_is_told_that_its_agent_is_still_revoked(flagged, slack) -> None:
    flagged.click("Revoke now", MAYA)
    flagged.told()
    with flagged.client("ann", "approver") as ann:
        ann.revoke_subject("acme", "agent", "agent_1", reason="its image was altered")
    flagged.after(minutes=1)
    still = "still refused where they know its agent"
    assert still in flagged.text()
    flagged.click("Reinstate …", MAYA)
    form = str(flagged.form()["blocks"])
    assert (still in form, "The session is given back" in form, "may act again" in form) == (True, True, False)
    flagged.fill_in(MAYA, reason="it was the migration")
    flagged.told(2)
    flagged.after(minutes=1)
    flagged.click("Approve …", LEE)
    assert still in str(flagged.form(2)["blocks"])
    flagged.fill_in(LEE)
    assert "but its agent agent_1 is revoked until" in flagged.told(3)
    flagged.after(minutes=1)
    assert "▶ Reinstated, its agent revoked" in flagged.text()
    assert "may act again" not in flagged.text()


def test_a_snoozed_case_reminds_nobody(make_office, slack, a_finding) -> None:
    office = make_office(escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    office.click("Snooze …", MAYA)
    office.form()
    office.fill_in(MAYA, hours="4")
    assert "Quiet for 4 hours" in office.told()
    office.after(hours=3)
    assert "Snoozed by maya" in office.text()
    assert not [m for m in slack.messages if m.get("reply_broadcast")]
    office.after(hours=2)
    assert "Snoozed" not in office.text()
    assert [m for m in slack.messages if m.get("reply_broadcast")], "and then nobody has acted yet"


def test_a_case_that_somebody_took_calls_nobody_until_it_becomes_worse(make_office, slack, a_finding) -> None:
    office = make_office(escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    office.click("I take it", MAYA)
    assert "The case is yours" in office.told()
    office.after(hours=3)
    assert "Taken by maya" in office.text()
    assert "Take over" in office.text()
    assert "Taken by maya" in office.command("session sess_1", LEE)
    assert not [m for m in slack.messages if m.get("reply_broadcast")]
    with office.client("ann", "analyst") as ann:
        assert "took the case" in [each.what for each in ann.case_history("acme", "sess_1").items]
    office.submit(a_finding(n=1, severity="critical", hard=True, time=office.clock()))
    office.after(minutes=1)
    office.after(minutes=15)
    assert "Taken by" not in str(slack.roots()[-1]["blocks"])
    assert [m for m in slack.messages if m.get("reply_broadcast")]


def test_what_was_found_before_somebody_took_the_case_and_heard_later_takes_it_from_nobody(
    make_office, slack, a_finding
) -> None:
    office = make_office(escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    office.after(minutes=5)
    office.submit(a_finding(n=1, severity="critical", hard=True, time=office.clock()))
    office.clock.pass_(seconds=1)
    with office.client("maya", "responder") as maya:
        maya.take("acme", "sess_1")
    office.after(hours=1)
    assert "Taken by maya" in office.text()
    assert not [m for m in slack.messages if m.get("reply_broadcast")]


def test_who_clicks_after_somebody_took_it_is_told_so(flagged, slack) -> None:
    old = click(slack, flagged.root(), "I take it", LEE)
    flagged.click("I take it", MAYA)
    flagged.told()
    flagged.send(old)
    assert "out of date" in flagged.told(2)
    flagged.after(minutes=1)
    assert "Taken by maya" in flagged.text()


def test_a_note_is_told_in_the_thread_as_text_and_waits_for_no_newer_picture(flagged, slack, a_finding) -> None:
    flagged.click("Note …", MAYA)
    flagged.form()
    flagged.submit(a_finding(n=1))
    flagged.fill_in(MAYA, reason="<!channel> *see* <https://x.example|here>")
    assert "Noted" in flagged.told()
    flagged.after(minutes=2)
    (noted,) = [m for m in slack.messages if "left a note" in str(m.get("blocks"))]
    assert "<!channel>" not in str(noted)
    assert "<https://x.example" not in str(noted)
    (line,) = flagged.audit(action="note")
    assert (line["actor"], line["reason"]) == ("maya", "<!channel> *see* <https://x.example|here>")


@pytest.mark.parametrize("channel", [None, "C0NIGHT"])
def test_a_case_that_was_snoozed_after_it_called_for_help_calls_again_when_that_ends(
    make_office, slack, a_finding, channel
) -> None:
    slack.members.add("C0NIGHT")
    office = make_office(escalate={"after_s": 900, **({"channel": channel} if channel else {})})
    office.submit(a_finding())
    office.settle()
    office.after(minutes=16)

    def calls():
        return [m for m in slack.messages if "Nobody has acted yet" in m["text"]]

    assert len(calls()) == 1
    office.click("Snooze …", MAYA)
    office.form()
    office.fill_in(MAYA, hours="1")
    office.told()
    office.after(minutes=55)
    assert "Snoozed by maya" in office.text()
    assert len(calls()) == 1
    office.after(minutes=6)
    assert len(calls()) == 2
    assert "Snoozed" not in office.text()
    office.after(hours=20)
    assert len(calls()) == 2
    office.click("Snooze …", MAYA)
    office.form(2)
    office.fill_in(MAYA, hours="8")
    office.told(2)
    office.submit(a_finding(n=1, severity="critical", hard=True, time=office.clock()))
    office.after(minutes=1)
    office.after(minutes=15)
    assert len(calls()) == 3, "what becomes worse meanwhile calls before that ends"


def test_what_is_snoozed_while_its_call_for_help_is_on_the_way_calls_again_too(
    make_office, slack, a_finding
) -> None:
    office = make_office(escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    office.clock.pass_(minutes=16)
    slack.troubles.append("500")
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.snooze("acme", "sess_1", hours=1, reason="I look at it")
    for _ in range(4):
        office.after(minutes=20)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 2


def test_a_case_that_becomes_worse_is_snoozed_no_longer(make_office, slack, a_finding) -> None:
    office = make_office(escalate={"after_s": 900})
    office.submit(a_finding(severity="medium"))
    office.settle()
    office.click("Snooze …", MAYA)
    office.form()
    office.fill_in(MAYA, hours="8")
    office.told()
    office.after(minutes=5)
    office.submit(a_finding(n=1, severity="medium"))
    office.after(hours=1)
    assert "Snoozed by maya" in office.text(), "more of the same"
    office.submit(a_finding(n=2, severity="critical", hard=True))
    office.after(minutes=1)
    assert "Snoozed" not in str(slack.roots()[-1]["blocks"])
    office.after(minutes=15)
    assert [m for m in slack.messages if m.get("reply_broadcast")]


def test_a_tool_that_an_agent_called_as_a_pattern_is_proposed_to_nobody(office, a_finding) -> None:
    office.submit(a_finding(tool="email.*"))
    office.settle()
    office.click("Make an exception …", LEE)
    assert "email.*" not in str(office.form()["blocks"])


def test_this_is_fine_becomes_an_exception_that_covers_the_like_of_it(flagged, slack, a_finding) -> None:
    flagged.click("Make an exception …", LEE)
    assert "names and numbers left out: `review_contract`" in str(flagged.form()["blocks"])
    flagged.fill_in(LEE, tool="email.*", days="7", reason="newsletters go out on Tuesdays")
    assert "Exception" in flagged.told()
    outcome = flagged.submit(a_finding("sess_2"))
    assert outcome.effect.value == "none"
    assert "newsletters go out on Tuesdays" in outcome.note
    for other in (a_finding("sess_3", tool="crm.export"), a_finding("sess_4", hard=True)):
        assert flagged.submit(other).effect.value == "flag"
    flagged.clock.pass_(days=8)
    assert flagged.submit(a_finding("sess_5")).effect.value == "flag"


def test_of_a_hard_breach_nobody_is_offered_to_say_that_it_is_fine(flagged, a_finding) -> None:
    assert "Make an exception" in flagged.text()
    flagged.submit(a_finding(n=1, hard=True))
    flagged.after(minutes=1)
    assert "Snooze" in flagged.text()
    assert "Make an exception" not in flagged.text()


def test_the_evidence_is_a_page_within_slacks_limits(flagged, slack) -> None:
    flagged.click("Show evidence", MAYA)
    view = flagged.form()
    assert "Timeline" in str(view["blocks"])
    assert "x@y.example" in str(view["blocks"])


def test_a_change_of_mode_is_approved_from_its_message(office, slack) -> None:
    with office.client("root", "admin", "*") as admin:
        admin.set_mode("acme", "enforce", reason="two quiet weeks")
    office.settle()
    (news,) = slack.roots()
    office.click("Approve …", LEE, news)
    asked = str(office.form()["blocks"])
    assert "root asks to change what guardian may do by itself" in asked
    assert "mode `enforce`" in asked
    office.fill_in(LEE)
    assert "the mode is enforce" in office.told()
    office.after(minutes=1)
    assert "Approved" in str(slack.roots()[0]["blocks"])


class Alarmed:
    """An adviser that finds strong evidence in everything, and shows the calls so."""

    def __init__(self, shown=None):
        self._shown = shown or {}

    def weigh(self, line, timeout_s):
        found = {"score": 0.98, "session_evidence": 5.0, "one_in": 50_000.0, "promised": True}
        return Weighing(**found, independent_signals=3, shown=self._shown)


@pytest.mark.parametrize(
    ("button", "said", "advice"), [("Approve …", "Approved", "permit"), ("Deny …", "Denied", "deny")]
)
def test_a_held_call_is_shown_in_its_sessions_case_and_decided_there(
    make_office, a_finding, button, said, advice
) -> None:
    office = make_office(adviser=Alarmed())
    office.enforce()
    office.submit(a_finding())
    assert office.ask()["advice"] == "hold"
    office.settle()
    assert "let one held call through" in office.text()
    assert "tool `email.send`" in office.text()
    office.click(button, MAYA)
    asked = str(office.form()["blocks"])
    assert "guardian-adviser asks to let one held call through" in asked
    assert "tool `email.send`" in asked
    office.fill_in(MAYA)
    assert said in office.told()
    assert office.ask()["advice"] == advice


def test_a_held_call_goes_where_its_purpose_goes(make_office, slack) -> None:
    slack.members.add("C0PURPOSE")
    office = make_office(
        adviser=Alarmed({"purpose": "review"}), routes=({"channel": "C0PURPOSE", "purpose": "review"},)
    )
    office.enforce()
    assert office.ask()["advice"] == "hold"
    office.settle()
    assert len(slack.roots("C0PURPOSE")) == 1


@pytest.mark.parametrize(
    ("button", "said", "state"), [("Approve …", "Approved", "Approved"), ("Deny …", "Denied", "Denied")]
)
def test_a_held_call_without_a_case_has_a_message_of_its_own_that_is_decided_there_and_ends(
    make_office, slack, button, said, state
) -> None:
    office = make_office(adviser=Alarmed({"agent": "agent_1", "purpose": "review", "arguments": "<!here> `x`"}))
    office.enforce()
    before = len(slack.roots())
    for n in range(2):
        assert office.ask(f"sess_{n}", tool=f"email.send{n}")["advice"] == "hold"
        office.after(minutes=1)
    first, second = slack.roots()[before:]
    assert ("email.send0" in str(first["blocks"]), "email.send1" in str(second["blocks"])) == (True, True)
    office.click(button, MAYA, first)
    asked = str(office.form()["blocks"])
    for part in ("agent `agent_1`", "purpose `review`", "tool `email.send0`", "arguments `&lt;!here&gt; ˋxˋ`"):
        assert part in asked
    office.fill_in(MAYA)
    assert said in office.told()
    office.after(minutes=1)
    first, second = slack.roots()[before:]
    assert f"*{state}* by maya" in str(first["blocks"])
    assert f"by maya: {state.lower()}" not in str(first["blocks"])
    assert "Deny …" not in str(first["blocks"])
    assert "Deny …" in str(second["blocks"])


def test_who_lets_a_held_call_through_is_shown_all_of_it(make_office, slack) -> None:
    arguments = '{"body": "' + "Dear team, here is the renewal summary. " * 20 + '", "to": "thief@evil.example"}'
    office = make_office(adviser=Alarmed({"arguments": arguments}))
    office.enforce()
    assert office.ask()["advice"] == "hold"
    office.settle()
    asked = slack.roots()[-1]
    assert "thief" not in str(asked["blocks"])
    office.click("Approve …", MAYA, asked)
    form = office.form()
    assert ("thief@evil.example" in str(form["blocks"]), "`sess_1`" in str(form["blocks"])) == (True, True)
    office.fill_in(MAYA)
    assert "Approved" in office.told()


def test_whoever_has_many_calls_held_cannot_flood_the_channel_and_all_of_them_are_told(make_office, slack) -> None:
    office = make_office(adviser=Alarmed())
    office.enforce()
    before = len(slack.roots())
    for n in range(8):
        assert office.ask(tool=f"email.send{n}")["advice"] == "hold"
    office.settle()
    assert sorted("Deny …" in str(each["blocks"]) for each in slack.roots()[before:]) == [False, True, True, True]
    office.after(minutes=30)
    told = str(slack.messages)
    assert all(f"one call of email.send{n} in session sess_1" in told for n in range(8))
    for n in range(30):
        office.ask(f"sess_{n}", tool="payments.send")
    office.settle()
    assert len(slack.roots()) - before <= 20


def test_a_message_with_held_calls_is_within_slacks_limits_whatever_they_say(
    make_office, slack, a_finding
) -> None:
    hostile = dict.fromkeys(("agent", "purpose", "resource", "records", "arguments"), "&<\u202e" * 600)
    office = make_office(adviser=Alarmed(hostile))
    office.enforce()
    office.submit(a_finding())
    for n in range(4):
        assert office.ask(tool=f"email.send{n}{'&' * 400}")["advice"] == "hold"
    office.after(minutes=1)
    assert office.text().count("guardian-adviser asks to let one held call through") == 3
    assert [message_limits(message["blocks"]) for message in slack.messages] == [[]] * len(slack.messages)


def test_of_many_held_calls_some_are_shown_and_it_is_said_that_others_wait(make_office, a_finding) -> None:
    office = make_office(adviser=Alarmed())
    office.enforce()
    office.submit(a_finding())
    for n, others in ((3, False), (4, True)):
        while len(office.audit(action="propose", result="waits")) < n + 1:  # the mode's was the first
            office.ask(tool=f"email.send{len(office.audit())}")
        office.after(minutes=1)
        assert ("More requests are waiting" in office.text()) is others


def test_a_held_call_silences_no_later_revocation(make_office, a_finding) -> None:
    office = make_office(adviser=Alarmed())
    office.enforce()
    assert office.ask()["advice"] == "hold"
    assert office.submit(a_finding(wanted=Effect.REVOKE, severity="critical", hard=True)).effect is Effect.REVOKE
    office.settle()
    assert "■ Revoked" in office.text()


class Busy:
    """People who are looked up slowly: as long as nobody lets them go on."""

    def __init__(self) -> None:
        self.go_on, self.asked = threading.Event(), []

    def of(self, user):
        self.asked.append(user)
        self.go_on.wait(90)


def desk_of(office, people, **options):
    """A desk with more clicks than it handles at once."""
    desk = Desk(
        store=office.deps.store,
        calls=dataclasses.replace(office.options, **options).calls(),
        people=people,
        client=lambda _: pytest.fail("nobody is known"),
        refresh=lambda _: None,
        metrics=office.deps.metrics,
    )
    for n in range(10):
        assert desk.take(Click(kind="button", user=f"U{n}", verb="revoke", channel=CHANNEL))
    return desk


def test_who_stops_finishes_the_clicks_that_were_taken(office, slack) -> None:
    people = Busy()
    desk = desk_of(office, people)
    threading.Timer(0.2, people.go_on.set).start()
    desk.stop()
    assert sorted(people.asked) == [f"U{n}" for n in range(10)]
    assert len(slack.ephemeral) == 10
    assert office.deps.metrics.value("guardian_slack_clicks_total", outcome="unmapped") == 10
    assert not desk.take(Click(kind="button", user="U11", verb="revoke", channel=CHANNEL))


@pytest.mark.parametrize("reached", [True, False])
def test_who_cannot_be_served_before_the_end_is_told_so_or_counted_at_least(office, slack, reached) -> None:
    people = Busy()
    desk = desk_of(office, people, **({} if reached else {"base_url": "http://127.0.0.1:9/api/"}))
    with capture_logs() as logs:
        until(lambda: len(people.asked) == 4)  # the others have not begun
        stopping = threading.Thread(target=desk.stop, kwargs={"finish_s": 0.1, "tell_s": 60.0})
        stopping.start()
        until(lambda: [each["event"] for each in logs].count("slack_click_dropped") == 6)
        people.go_on.set()
        stopping.join()
    dropped = [each for each in logs if each["event"] == "slack_click_dropped"]
    assert ({each["told"] for each in dropped}, len(dropped)) == ({reached}, 6)
    assert office.deps.metrics.value("guardian_slack_clicks_total", outcome="dropped") == 6
    told = {each["user"] for each in slack.ephemeral if "Nothing was done: guardian is restarting" in each["text"]}
    assert told == ({each["user"] for each in dropped} if reached else set())
    assert not told & set(people.asked), "nobody is told so of what was begun"


# -- the way in ------------------------------------------------------------------------------------------------


def test_a_forged_signature_is_refused(flagged, slack) -> None:
    payload = click(slack, flagged.root(), "Revoke now", MAYA)
    body = interaction(payload)
    url = f"{flagged.url}/slack/interactions"
    good = signed(body)
    for headers in (
        {},
        {**good, "X-Slack-Signature": "v0=" + "0" * 64},
        {**good, "X-Slack-Signature": good["X-Slack-Signature"][3:]},
        {**good, "X-Slack-Signature": "v0=é"},
        {**good, "X-Slack-Request-Timestamp": "soon"},
        {**good, "X-Slack-Request-Timestamp": str(10**30)},
        signed(body, secret="another secret of the same kind"),
        signed(body, at=time.time() - 330),
        signed(body, at=time.time() + 330),
        signed(body + b"&x=1"),
    ):
        sent = {name: value.encode() for name, value in headers.items()}
        got = httpx.post(url, content=body, headers=sent, timeout=30)
        assert got.status_code == 401, headers
    assert flagged.audit(action="revoke") == []
    assert flagged.deps.metrics.value("guardian_slack_clicks_total", outcome="forged") == 10


def test_a_replayed_click_is_refused_also_after_a_restart(flagged, slack) -> None:
    payload = click(slack, flagged.root(), "Revoke now", MAYA)
    body = interaction(payload)
    url, headers = f"{flagged.url}/slack/interactions", signed(body)
    assert httpx.post(url, content=body, headers=headers, timeout=30).status_code == 200
    flagged.told()
    again = httpx.post(url, content=body, headers=headers, timeout=30)
    assert (again.status_code, again.json()["code"]) == (409, "replayed")
    with flagged.deps.store.read() as rows:
        assert rows.idempotency.get("slack", headers["X-Slack-Signature"]) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload={",
        b"payload=[]",
        b"payload=null",
        b"payload=%5B%5B%5B",
        b"payload={}&payload={}",
        b"other=1",
        b"\xff\xfe",
        b"payload=" + b"%5B" * 50_000,
        b"payload=%7B%22type%22%3A%22view_submission%22%7D",
        b"payload=%7B%22type%22%3A%22block_actions%22%2C%22actions%22%3A%5B1%5D%2C%22user%22%3A7%7D",
    ],
)
def test_bad_input_is_answered_with_a_4xx(office, body) -> None:
    for path in ("interactions", "commands"):
        headers = signed(body) if body.isascii() else signed(b"")
        got = httpx.post(f"{office.url}/slack/{path}", content=body, headers=headers, timeout=30)
        assert 400 <= got.status_code < 500, got.text


def test_a_link_and_other_apps_blocks_are_let_pass(flagged, slack) -> None:
    payload = click(slack, flagged.root(), "Show evidence", MAYA)
    payload["actions"][0] |= {"action_id": "somebody:else", "value": None}
    assert flagged.send(payload).status_code == 200
    time.sleep(0.1)
    assert slack.ephemeral == slack.views == []


def test_a_button_value_that_never_stood_there_is_refused(flagged, slack) -> None:
    payload = click(slack, flagged.root(), "Revoke now", MAYA)
    payload["actions"][0]["value"] = "../../etc.x.y"
    assert flagged.send(payload).status_code == 422
    payload["actions"][0]["value"] = "0" * 64 + "." + "f" * 32 + "."
    assert flagged.send(payload).status_code == 200
    assert "does not know this case" in flagged.told()


def test_a_form_with_nonsense_in_it_does_nothing_and_says_so(flagged, slack) -> None:
    for fields in ({"hours": "many"}, {"hours": "9999"}, {"reason": "   "}):
        flagged.click("Snooze …", MAYA)
        count = len(slack.ephemeral) + 1
        slack.until(lambda: slack.views)
        flagged.send(submission(slack.views[-1], MAYA, **{"reason": "x", "hours": "4", **fields}))
        assert "Nothing was done" in flagged.told(count)
        slack.views.clear()
    assert "reason: String should have at least 1 character" in flagged.told(3)
    assert flagged.audit(action="snooze") == []


def test_a_form_that_slack_no_longer_opens_is_not_met_with_silence(flagged, slack) -> None:
    payload = click(slack, flagged.root(), "Snooze …", MAYA)
    flagged.clock.pass_(seconds=4)
    flagged.send(payload)
    assert "Press the button again" in flagged.told()


def test_the_slash_command_answers_and_revokes_by_policy(flagged, slack) -> None:
    assert "/guardian status" in flagged.command("help")
    assert "`sess_1`" in flagged.command("status")
    assert "no part of a review" in flagged.command("session sess_1")
    assert "*shadow*" in flagged.command("mode")
    assert "is revoked" in flagged.command("revoke sess_1 it exports everything")
    assert "revoked already" in flagged.command("revoke acme/sess_1 again")
    assert "revoked already" in flagged.command("revoke `sess_1` as its message shows it")
    assert "is the name right?" in flagged.command("revoke acme/sess_l a slip of the pen")
    assert "is the name right?" not in flagged.command("revoke acme/sess_1 again")
    assert "`sess_1`" in flagged.command("session\u00a0sess_1")  # as some keyboards put a space
    assert "Not found" in flagged.command("session sess_1", GLOBEX)
    assert "does not know you" in flagged.command("status", STRANGER)
    assert "I do not know" in flagged.command("<!channel> revoke")


def test_a_name_that_two_tenants_share_is_nobodys_until_one_is_named(office) -> None:
    with office.deps.store.write() as rows:
        for name in ("sess_1", *(f"s{n}" for n in range(200))):
            rows.sessions.meet(SessionKey("acme", name), office.clock())
        rows.sessions.meet(SessionKey("globex", "sess_1"), office.clock())
    with office.client("both", "responder", "acme", "globex") as both:
        with pytest.raises(ValueError, match="say whose session it is"):
            answer_command(both, "revoke sess_1 it exports everything")
        assert answer_command(both, "revoke s7 it exports everything") == "`s7` in `acme` is revoked."


def test_a_session_of_a_tenant_that_is_not_theirs_is_no_session_of_their_own(office, a_finding) -> None:
    office.submit(a_finding(session="team/a"))
    with office.client("gil", "responder", "acme") as gil:
        for command in (
            "revoke globex/soft_2 it exports everything", "session globex/soft_2",
            "revoke globex/`soft_2` it exports everything", "session globex/`soft_2`",
        ):  # fmt: skip
            with pytest.raises(ValueError, match="globex is no tenant of yours, and acme has no session globex/"):
                answer_command(gil, command)
        assert office.audit(action="revoke", actor="gil") == []
        assert answer_command(gil, "revoke team/a exports") == "`team/a` in `acme` is revoked."
        said = answer_command(gil, "revoke `globex/soft_2` really called so")
    assert said.startswith("`globex/soft_2` in `acme` is revoked. Guardian had not heard of it")


def test_a_session_whose_name_begins_with_a_tenant_does_not_have_another_one_revoked(office, a_finding) -> None:
    def met(*sessions):
        with office.deps.store.write() as rows:
            for tenant, name in sessions:
                rows.sessions.meet(SessionKey(tenant, name), office.clock())

    met(("acme", "acme/one"), ("acme", "globex/s9"), ("acme", "acme/victim"), ("acme", "victim"), ("globex", "s8"))
    with office.client("both", "responder", "acme", "globex") as both:
        for typed, name in (("`acme/one`", "acme/one"), ("`globex/s9`", "globex/s9"), ("acme/one", "acme/one")):
            assert answer_command(both, f"revoke {typed} drifted").startswith(f"`{name}` in `acme` is revoked")
        for typed in ("`acme/victim`", "acme/victim"):
            with pytest.raises(ValueError, match="with only the ID in back-ticks"):
                answer_command(both, f"revoke {typed} drifted")
        assert answer_command(both, "revoke acme/`victim` drifted") == "`victim` in `acme` is revoked."
        assert answer_command(both, "revoke acme/`acme/victim` drifted") == "`acme/victim` in `acme` is revoked."
        assert answer_command(both, "revoke `globex/s8` drifted") == "`s8` in `globex` is revoked."
    with office.client("every", "responder", "*") as every:
        with pytest.raises(ValueError, match="with only the ID in back-ticks"):
            answer_command(every, "revoke `acme/victim` drifted")
        assert answer_command(every, "revoke globex/s8 drifted") == "`s8` in `globex` is revoked already."


def test_a_name_with_spaces_is_taken_whole_or_nothing_is_revoked(office, a_finding) -> None:
    name = "window:Claude Desktop|Ann Smith"
    office.submit(a_finding(session=name))
    with office.client("maya", "responder", "acme") as maya:
        for typed in (name, f"`{name}`", f"acme/{name}", f"acme/`{name}`", f"` acme/{name} ` in `acme`"):
            assert f"`{name}` in `acme`" in answer_command(maya, f"session {typed}")
        for typed in (name, f"acme/{name}", f"`{name}", "`my session", "my`session`", "``"):
            with pytest.raises(ValueError, match="put the name in back-ticks"):
                answer_command(maya, f"revoke {typed} exports customer data")
        for typed in (f"`{name}` ", "` ` exports"):
            assert "something is missing" in answer_command(maya, f"revoke {typed}")
        assert office.audit(action="revoke", actor="maya") == []
        assert answer_command(maya, f"revoke `{name}` exports customer data") == f"`{name}` in `acme` is revoked."
        assert answer_command(maya, f"revoke acme/`{name}` and more") == f"`{name}` in `acme` is revoked already."
    told = {(line["session_id"], line["reason"]) for line in office.audit(action="revoke", actor="maya")}
    assert told == {(name, "exports customer data"), (name, "and more")}


@pytest.mark.parametrize(
    "name",
    [
        "s_`<!here>`", "pay\u202eeno", "s" * 200, "@here", "www.evil.example/x", "https://evil.example",
        "sess_1 ", " sess_1", "my  session", "my\u00a0session", "my session\u3000",
    ],
)  # fmt: skip
def test_what_slack_shows_of_a_name_that_it_cannot_show_revokes_nothing(office, a_finding, name) -> None:
    office.submit(a_finding(session=name))
    with office.client("maya", "responder", "acme") as maya:
        (shown,) = re.findall("• (`[^`]+`) agent_1", answer_command(maya, "status"))
        typed = shown.replace("&lt;", "<").replace("&gt;", ">")
        commands = ("session {}", "revoke {} exports", "revoke acme/{} exports")
        for command in (*(each.format(typed) for each in commands), f"session {typed[1:-1]}"):
            with pytest.raises(ValueError, match="shown altered"):
                answer_command(maya, command)
    assert office.audit(action="revoke", actor="maya") == []


def test_of_more_tenants_than_are_shown_it_says_so(office) -> None:
    tenants = [f"t{n:02}" for n in range(12)]
    with office.client("many", "responder", *tenants) as many:
        lines = answer_command(many, "mode").splitlines()
    assert lines[0].startswith("`t00`: ")
    assert lines[10:] == ["and 2 more; name one: `/guardian mode TENANT`"]
    assert not any("had not heard" in line for line in lines), "their own token names them"
    with office.client("every", "responder", "*") as every:
        assert answer_command(every, "mode tenat_acme").endswith(
            "*. Guardian had not heard of it: is the name right?"
        )


def test_without_a_signing_secret_there_is_no_way_in(office) -> None:
    office.queue.door._signature = None
    assert httpx.post(f"{office.url}/slack/interactions", content=b"payload=1", timeout=30).status_code == 404


def test_socket_mode_brings_the_same_clicks(make_office, slack, a_finding) -> None:
    office = make_office(app_token="xapp-test-1")
    office.submit(a_finding())
    office.settle()
    office.queue._socket.start()
    (connection,) = slack.until(lambda: slack.connections)
    payload = click(slack, office.root(), "Revoke now", MAYA)
    envelope = {
        "type": "interactive",
        "envelope_id": "env-1",
        "payload": payload,
        "accepts_response_payload": True,
    }
    go_on, as_person = threading.Event(), office.queue.desk._client
    office.queue.desk._client = lambda person: go_on.wait(60) and as_person(person)
    connection.send(envelope)
    assert connection.wait_for_ack("env-1")
    assert slack.ephemeral == [], "Slack is answered at once, whatever the click then takes"
    go_on.set()
    connection.send(envelope)  # Slack brings again what it thinks was not heard
    assert "Done" in office.told()
    connection.send({"type": "interactive", "envelope_id": "env-2", "payload": {"type": "nonsense"}})
    assert connection.wait_for_ack("env-2")
    assert len(office.audit(action="revoke")) == 1
    connection.send({"type": "disconnect", "reason": "refresh_requested"})  # every hour or so
    slack.until(lambda: len(slack.connections) == 2)


def test_why_slack_opens_no_connection_is_in_the_log(slack) -> None:
    with capture_logs() as lines:
        socket = SlackSocket("xapp-withdrawn", base_url=slack.url, take=lambda *_: None)
        socket.start()
        slack.until(lambda: [line for line in lines if line["event"] == "slack_socket_failed"])
        socket.stop()
    assert lines[0]["error"] == "invalid_auth"


def test_whoever_clicks_hears_of_it_when_guardian_itself_fails(flagged) -> None:
    def away(_person) -> None:
        raise StoreError("the database is locked")

    flagged.queue.desk._client = away
    flagged.click("Revoke now")
    assert "could not do this" in flagged.told()
    assert flagged.audit(action="revoke") == []


def failures(lines) -> list[str]:
    return [line["error"] for line in lines if line["event"] == "slack_socket_failed"]


def test_that_slack_promises_a_connection_and_none_comes_about_is_in_the_log(slack) -> None:
    good, slack.socket_url = (
        slack.socket_url,
        "ws://127.0.0.1:9/link?ticket=0",
    )
    with capture_logs() as lines:  # as where a proxy lets none through
        socket = SlackSocket("xapp-test-1", base_url=slack.url, take=lambda *_: None)
        socket.start()
        slack.until(lambda: failures(lines))
        assert "slack_socket_connected" not in [line["event"] for line in lines]
        slack.socket_url = good
        slack.until(lambda: slack.connections and lines[-1]["event"] == "slack_socket_connected")
        socket.stop()
    assert failures(lines)[0] == "ConnectionRefusedError"


def test_a_connection_that_breaks_unsaid_is_replaced_and_the_log_says_so(slack, monkeypatch) -> None:
    monkeypatch.setattr(slack_socket, "_LOOK_S", 0.05)
    monkeypatch.setattr(slack_socket, "_PING_S", 0.1)
    with capture_logs() as lines:
        socket = SlackSocket("xapp-test-1", base_url=slack.url, take=lambda *_: None)
        socket.start()
        slack.until(lambda: slack.connections and lines)
        slack.connections[-1].drop()  # no frame says that it ends
        slack.until(lambda: [line["event"] for line in lines].count("slack_socket_connected") > 1)
        socket.stop()
    assert len(slack.connections) > 1


def test_an_app_token_that_is_withdrawn_later_is_in_the_log(slack, monkeypatch) -> None:
    monkeypatch.setattr(slack_socket, "_LOOK_S", 0.05)
    with capture_logs() as lines:
        socket = SlackSocket("xapp-test-1", base_url=slack.url, take=lambda *_: None)
        socket.start()
        slack.until(lambda: slack.connections and lines)
        monkeypatch.setattr(web_api, "APP_TOKEN", "xapp-another")
        socket._client.disconnect()  # as when a network breaks it
        slack.until(lambda: failures(lines))
        socket.stop()
    assert failures(lines)[0] == "invalid_auth"


def test_a_connection_that_comes_about_while_guardian_stops_is_closed(slack, monkeypatch) -> None:
    asked, go_on = threading.Event(), threading.Event()
    connect = SocketModeClient.connect_to_new_endpoint

    def late(self, force: bool = False) -> None:
        asked.set()
        go_on.wait(10)
        connect(self, force)

    monkeypatch.setattr(SocketModeClient, "connect_to_new_endpoint", late)
    socket = SlackSocket("xapp-test-1", base_url=slack.url, take=lambda *_: None)
    socket.start()
    assert asked.wait(10)
    stopping = threading.Thread(target=socket.stop)
    stopping.start()
    slack.until(socket._stop.is_set)
    time.sleep(0.1)
    go_on.set()
    stopping.join(10)
    assert not socket._client.is_connected()


def test_the_status_says_that_more_waits_than_it_shows(flagged) -> None:
    with flagged.client("root", "admin", "*") as admin:
        for n in range(11):
            admin.revoke("acme", f"sess_{n}", reason="no")
            admin.reinstate("acme", f"sess_{n}", reason="yes")
    assert "*Waits for a second person*: 10 and more" in flagged.command("status")


@pytest.mark.parametrize("act", ["revoke", "dismiss", "guardian"])
def test_nobody_is_asked_any_more_about_a_held_call_of_a_session_that_people_decided_on(
    make_office, slack, a_finding, act
) -> None:
    office = make_office(adviser=Alarmed(), on_call={"*": "S0ONCALL"})
    office.enforce()
    office.submit(a_finding())
    held = office.ask()["approval"]["id"]
    office.after(minutes=1)
    asked = [n for n, m in enumerate(slack.roots()) if "A person is asked" in str(m["blocks"])][-1]
    with office.client("lee", "approver") as lee:
        if act == "revoke":
            lee.revoke("acme", "sess_1", reason="stop")
        elif act == "dismiss":
            lee.judge(a_finding().id, "false_positive", reason="a drill")
        else:
            office.submit(a_finding(n=1, wanted=Effect.REVOKE, severity="critical", hard=True))
        for _ in range(15):
            office.after(minutes=2)
        message = slack.roots()[asked]
        assert "Approve …" not in str(message["blocks"])
        assert "*Expired*" in str(message["blocks"])
        called = [m["text"] for m in slack.messages if m.get("reply_broadcast")]
        assert not [text for text in called if "A person is asked" in text]
    with office.client("maya", "responder") as maya, pytest.raises(ControlError):
        maya.decide_approval(held, "approve", reason="yes")


def test_whoever_is_called_for_a_held_call_elsewhere_can_answer_it_there(make_office, slack) -> None:
    slack.members.add("C0ONCALL")
    office = make_office(adviser=Alarmed(), escalate={"after_s": 900, "channel": "C0ONCALL"})
    office.enforce()
    office.ask()
    office.settle()
    office.after(minutes=16)
    (called,) = slack.roots("C0ONCALL")
    assert "session sess_1" in str(called["blocks"])
    assert "`guardian`" not in str(called["blocks"]), "that is no session"
    office.click("Deny …", MAYA, called)
    office.form()
    office.fill_in(MAYA)
    assert office.told() == "Denied."


@pytest.mark.parametrize(("severity", "floor"), [("high", "info"), ("medium", "high")])
def test_one_held_call_makes_one_message_also_where_its_session_has_a_case(
    make_office, slack, a_finding, severity, floor
) -> None:
    office = make_office(adviser=Alarmed(), on_call={"*": "S0ONCALL"}, floor=floor)
    office.enforce()
    office.submit(a_finding(severity=severity))
    office.settle()
    office.clock.pass_(hours=2)
    before = len(slack.roots())
    assert office.ask()["advice"] == "hold"
    office.after(minutes=2)
    (asked,) = slack.roots()[before:]
    assert "A person is asked about one call" in str(asked["blocks"])
    assert "Approve …" in str(asked["blocks"])


@pytest.mark.parametrize("away", [True, False])
def test_a_held_call_that_is_over_when_the_channel_comes_calls_nobody(make_office, slack, away) -> None:
    office = make_office(adviser=Alarmed(), on_call={"*": "S0ONCALL"})
    office.enforce()
    before = len(slack.roots())
    for n in range(3):
        assert office.ask(f"sess_{n}")["advice"] == "hold"
    if away:
        office.clock.pass_(hours=5)
    office.after(minutes=1)
    assert len(slack.roots()) - before == (0 if away else 3)
