"""A case in Slack: one message that is kept up to date, its history in the thread, and no flood."""

from datetime import timedelta
from itertools import count, islice

import httpx
import pytest
from slack_server import CHANNEL, message_limits

from guardian.alerting.port import Step
from guardian.alerting.worker import AlertWorker
from guardian.control.cases import digests, outbox
from guardian.control.cases.digests import fold
from guardian.control.cases.standing import standing
from guardian.control.lapse import sweep
from guardian.control.people.approvals import topic_of
from guardian.control.telling.news import case_of_news, tell
from guardian.control.watchers.watching import watch
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Kind, Severity
from guardian.domain.identity import SessionKey
from guardian.telemetry import Metrics

LEE = "U0LEE"


def test_a_case_is_one_message_and_its_evidence_stands_in_the_thread(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    root = office.root()
    assert "Flagged" in office.text()
    (reply,) = slack.thread(root["ts"])
    assert "email.send" in str(reply["blocks"])
    assert len(slack.messages) == 2


def test_the_message_is_headed_by_what_its_buttons_judge(office, slack, a_finding) -> None:
    drift = a_finding(hard=True)
    told = {"id": "fnd_gap", "kind": Kind.GATEWAY, "severity": "medium", "title": "Gateway gw-1 allowed it"}
    office.submit(drift)
    office.submit(drift.model_copy(update=told))
    office.after(minutes=2)
    assert ("left its purpose" in office.text(), "gw-1 allowed it" in office.text()) == (True, False)
    office.click("Give a verdict …")
    office.form()
    office.fill_in(verdict="false_positive")
    office.told()
    (said,) = office.audit(action="dismiss")
    assert said["finding_id"] == drift.id
    office.after(minutes=20)
    assert "left its purpose" in office.text()


def test_a_lesser_finding_makes_no_case_less_severe_until_people_judge(office, slack, a_finding) -> None:
    office.submit(a_finding(wanted=Effect.REVOKE, severity="critical", hard=True))
    office.after(minutes=2)
    office.submit(a_finding(n=1, hard=True, title="Calls a tool outside its envelope"))
    office.after(minutes=2)
    assert "CRITICAL · Calls a tool outside its envelope" in office.text()
    office.click("Give a verdict …")
    assert "A dismissal is also of 1 other finding" in str(office.form())
    office.fill_in(verdict="false_positive")
    assert "guardian was wrong, with 1 other finding of the case." in office.told()
    office.after(minutes=2)
    assert "HIGH · Calls a tool outside its envelope" in office.text()


def test_repeats_change_a_counter_and_nothing_else_in_the_channel(office, slack, a_finding) -> None:
    for n in range(6):
        office.submit(a_finding(n=n, one_in=10.0 ** (n + 1), promised=n < 3))
        office.after(seconds=10)
    assert len(slack.roots()) == 1
    assert "6 findings" in office.text()
    assert "from 1 in 10 to 1 in 1,000,000 (estimated) over 6 findings" in office.text()
    assert len(slack.thread(office.root()["ts"])) <= 2, "one reply a minute at most"


def test_the_message_follows_the_case_through_its_states(office, slack, a_finding) -> None:
    office.enforce()
    office.submit(a_finding())
    office.settle()
    assert "Flagged" in office.text()
    office.clock.pass_(minutes=1)
    office.submit(a_finding(n=1, wanted=Effect.REVOKE, hard=True))
    office.after(seconds=5)
    assert "■ Revoked" in office.text()
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        asked = maya.reinstate("acme", "sess_1", reason="was ours")
        office.after(minutes=1)
        assert "Approval needed" in office.text()
        lee.decide_approval(asked.approval.id, "approve", reason="yes")
    office.after(minutes=1)
    assert "▶ Reinstated" in office.text()
    assert "Approval needed" not in office.text()
    history = " ".join(str(reply["blocks"]) for reply in slack.thread(office.root()["ts"]))
    assert "asked for a second person to give the session back" in history
    assert "was ours" in history
    assert len([m for m in slack.roots() if "sess_1" in str(m)]) == 1


@pytest.mark.parametrize("ends", ["lifted", "over"])
def test_the_message_follows_what_its_session_acts_under(office, slack, a_finding, ends) -> None:
    """Whoever reads it is not told that a session can act while its gateways refuse what its agent does."""
    office.submit(a_finding())
    office.settle()
    assert "the session can still act" in office.text()
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        maya.revoke_subject("acme", "agent", "agent_1", reason="its image was altered", seconds=3600)
        office.after(minutes=1)
        assert "can still act" not in office.text()
        assert "agent `agent_1` revoked until 2026-05-12 13:00 UTC" in office.text()
        assert "can still act" not in office.command("session sess_1", LEE)
        assert "agent `agent_1` revoked until" in office.command("session sess_1", LEE)
        if ends == "lifted":
            lee.reinstate_subject("acme", "agent", "agent_1", reason="it is clean")
    office.after(minutes=1 if ends == "lifted" else 61)
    assert "the session can still act" in office.text()
    assert len([m for m in slack.roots() if "sess_1" in str(m)]) == 1
    before = office.root()["blocks"]
    office.after(hours=10)
    assert office.root()["blocks"] == before


def test_only_messages_of_what_acts_under_it_are_looked_at_again(office, slack, a_finding) -> None:
    for n in range(3):
        told = a_finding(f"sess_{n}")
        subject = told.subject.model_copy(update={"task_id": f"task_{n}"})
        office.submit(told.model_copy(update={"subject": subject}))
    office.after(minutes=5)
    before = {m["ts"]: m["blocks"] for m in slack.roots()}
    with office.client("maya", "responder") as maya:
        maya.revoke_subject("acme", "task", "task_1", reason="over")
    office.after(minutes=1)
    changed = [m for m in slack.roots() if m["ts"] in before and m["blocks"] != before[m["ts"]]]
    assert ["`sess_1`" in str(m["blocks"]) for m in changed] == [True]


def test_what_nobody_acts_on_calls_whoever_is_on_call_once(make_office, slack, a_finding) -> None:
    office = make_office(on_call={"acme": "S0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    root = office.root()
    assert "<!subteam^S0ONCALL>" in root["text"]
    office.after(minutes=14)
    assert not [m for m in slack.messages if m.get("reply_broadcast")]
    office.after(minutes=2)
    (call,) = [m for m in slack.messages if m.get("reply_broadcast")]
    assert call["thread_ts"] == root["ts"]
    assert "<!subteam^S0ONCALL>" in call["text"]
    office.after(hours=1)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 1


def test_a_call_that_nobody_answers_is_made_again_if_so_configured(make_office, slack, a_finding) -> None:
    office = make_office(escalate={"after_s": 900, "repeat_s": 3600})
    office.submit(a_finding())
    office.settle()
    for minutes, calls in ((16, 1), (58, 1), (3, 2), (61, 3)):
        office.after(minutes=minutes)
        assert len([m for m in slack.messages if m.get("reply_broadcast")]) == calls
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding().id, "confirmed", reason="saw it")
    office.after(hours=9)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 3


def test_a_digest_calls_for_none_that_are_snoozed_and_calls_again_when_that_ends(
    make_office, slack, a_finding
) -> None:
    office = make_office(escalate={"after_s": 900}, storm=2)
    for n in range(5):
        office.submit(a_finding(f"sess_{n}"))
    office.settle()

    def calls() -> int:
        office.after(minutes=20)
        return len([m for m in slack.messages if m.get("reply_broadcast")])

    with office.client("ann", "analyst") as ann:
        for n in range(4):
            ann.judge(a_finding(f"sess_{n}").id, "confirmed", reason="saw it")
        ann.snooze("acme", "sess_4", hours=1, reason="I look at it")
        assert [calls(), calls()] == [0, 0]
        assert [calls(), calls()] == [1, 1]
        ann.snooze("acme", "sess_4", hours=1, reason="once more")
        assert [calls(), calls(), calls(), calls(), calls()] == [1, 1, 2, 2, 2]


def test_where_nobody_answers_a_digest_calls_again_for_those_alone_that_are_not_snoozed(
    make_office, slack, a_finding
) -> None:
    office = make_office(escalate={"after_s": 900, "repeat_s": 3600}, storm=2)
    for n in range(3):
        office.submit(a_finding(f"sess_{n}"))
    office.settle()
    office.after(minutes=16)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 1
    with office.client("ann", "analyst") as ann:
        for n in range(3):
            ann.snooze("acme", f"sess_{n}", hours=4, reason="I look at it")
    for _ in range(3):
        office.after(hours=1)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 1


def test_an_act_in_time_calls_nobody(make_office, slack, a_finding) -> None:
    office = make_office(on_call={"*": "U0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding().id, "confirmed", reason="saw it")
    office.after(minutes=20)
    assert not [m for m in slack.messages if m.get("reply_broadcast")]
    assert "Confirmed" in office.text()


def test_who_asked_for_a_second_person_has_not_answered(make_office, slack) -> None:
    office = make_office(on_call={"*": "U0ONCALL"}, escalate={"after_s": 900, "from": "low"})
    with office.client("root", "admin", "*") as admin:
        admin.set_mode("acme", "enforce", reason="trusted")
    office.settle()
    office.after(minutes=16)
    (call,) = [m for m in slack.messages if m.get("reply_broadcast")]
    assert "Nobody has acted yet" in str(call["blocks"])
    assert "Approve" in str(call["blocks"])


@pytest.mark.parametrize(("agent", "calls"), [("agent_1", 0), ("agent_2", 1)])
def test_who_stops_the_agent_of_a_session_has_acted_on_it(make_office, slack, a_finding, agent, calls) -> None:
    office = make_office(on_call={"*": "U0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.revoke_subject("acme", "agent", agent, reason="its image was altered")
    for _ in range(3):
        office.after(minutes=10)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == calls


@pytest.mark.parametrize("storm", [20, 1])
@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("ends", ["given back", "lapsed"])
def test_once_the_agent_may_act_again_only_who_saw_to_the_session_itself_has_acted_on_it(
    make_office, slack, a_finding, ends, judged, storm
) -> None:
    office = make_office(on_call={"*": "U0ONCALL"}, escalate={"after_s": 900}, storm=storm)
    for session in ("sess_1", "sess_2"):
        office.submit(a_finding(session, severity="critical"))
    office.settle()
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        maya.revoke_subject("acme", "agent", "agent_1", reason="its image was altered", seconds=3600)
        office.after(minutes=50)
        if judged:
            for session in ("sess_1", "sess_2"):
                maya.judge(a_finding(session).id, "confirmed", reason="it is")
        if ends == "given back":
            lee.reinstate_subject("acme", "agent", "agent_1", reason="it is clean")
    office.after(minutes=11)
    sweep(office.deps)
    office.after(minutes=3)
    assert not [m for m in slack.messages if m.get("reply_broadcast")], "its time runs from then"
    for _ in range(3):
        office.after(minutes=10)
    calls = len([m for m in slack.messages if m.get("reply_broadcast")])
    assert calls == (0 if judged else 2 if storm == 20 else 1)


@pytest.mark.parametrize(("first", "second"), [("agent", "delegator"), ("delegator", "agent")])
def test_who_stopped_something_else_that_a_session_acts_under_has_still_acted_on_it(
    make_office, slack, a_finding, first, second
) -> None:
    office, names = make_office(on_call={"*": "U0ONCALL"}), {"agent": "agent_1", "delegator": "user_1"}
    office.submit(a_finding(severity="critical"))
    office.settle()
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        for kind in (first, second):
            maya.revoke_subject("acme", kind, names[kind], reason="stop", seconds=36_000)
            office.after(minutes=1)
        for kind, calls in ((first, 0), (second, 1)):
            lee.reinstate_subject("acme", kind, names[kind], reason="it is clean")
            for _ in range(3):
                office.after(minutes=10)
            assert len([m for m in slack.messages if m.get("reply_broadcast")]) == calls


def test_cases_that_called_before_are_no_storm_once_their_agent_may_act_again(
    make_office, slack, a_finding
) -> None:
    office = make_office(storm=3)
    for n in range(5):
        office.submit(a_finding(f"sess_{n}"))
        office.after(minutes=11)
    office.after(minutes=5)
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        maya.revoke_subject("acme", "agent", "agent_1", reason="stop")
        office.settle()
        lee.reinstate_subject("acme", "agent", "agent_1", reason="it is clean")
    office.settle()
    office.submit(a_finding("another", time=office.clock()))
    office.after(minutes=1)
    assert "Digest" not in str(slack.roots())
    assert office.root("another")


def test_a_storm_becomes_one_digest_that_lists_every_case(make_office, slack, a_finding) -> None:
    office = make_office(storm=5)
    for n in range(60):
        office.submit(a_finding(f"sess_{n:03}", severity="medium"))
    office.settle()
    (digest,) = slack.roots()
    assert "60 cases" in str(digest["blocks"])
    listed = " ".join(str(reply["blocks"]) for reply in slack.thread(digest["ts"]))
    assert all(f"`sess_{n:03}`" in listed for n in range(60))


@pytest.mark.parametrize("dies", [False, True])
def test_a_digest_takes_a_crowd_in_part_by_part_so_that_others_can_write_and_lists_each_once(
    make_office, slack, a_finding, monkeypatch, dies
) -> None:
    office, lines = make_office(storm=5), []
    for n in range(30):
        office.submit(a_finding(f"sess_{n:02}", severity="medium"))
    office.clock.pass_(minutes=30)  # of a crowd that waited they are no newer ones

    def looked_at_slowly(*told):
        office.clock.pass_(seconds=0.3)
        return standing(*told)

    def folded(*told):
        lines.append(fold(*told))
        return lines[-1]

    monkeypatch.setattr(digests, "standing", looked_at_slowly)
    monkeypatch.setattr(outbox, "fold", folded)
    for _ in range(200):
        office.worker.step()
        office.clock.pass_(seconds=2)
        if dies:
            again = outbox.CaseOutbox(office.deps, office.options.rules())
            office.worker = AlertWorker(again, office.worker._channel, metrics=Metrics(), now=office.clock)
            office.worker.recover()
    assert (sum(lines), max(lines)) == (30, 4)
    (digest,) = slack.roots()
    assert "30 cases" in str(digest["blocks"])
    listed = " ".join(str(reply["blocks"]) for reply in slack.thread(digest["ts"]))
    assert [listed.count(f"`sess_{n:02}`") for n in range(30)] == [1] * 30


def test_a_digest_is_written_while_more_come_than_can_be_taken_in(
    make_office, slack, a_finding, monkeypatch
) -> None:
    office, names = make_office(storm=5), map("sess_{:03}".format, count())

    def looked_at_slowly(*told):
        office.clock.pass_(seconds=0.3)
        return standing(*told)

    monkeypatch.setattr(digests, "standing", looked_at_slowly)
    for many in (30, *[6] * 40):
        for name in islice(names, many):
            office.submit(a_finding(name, severity="medium"))
            office.clock.pass_(seconds=0.1)
        office.worker.step()
    assert len(slack.roots()) == 1


@pytest.mark.parametrize(("severity", "called"), [("high", True), ("medium", False)])
def test_a_digest_of_what_is_severe_calls_whoever_is_on_call_once(
    make_office, slack, a_finding, severity, called
) -> None:
    office = make_office(storm=5, on_call={"*": "S0ONCALL"})
    slack.down = True  # so that none of them is shown by itself
    for n in range(10):
        office.submit(a_finding(f"sess_{n}", severity=severity))
    slack.down = False
    for _ in range(6):
        office.after(minutes=10)
    (digest,) = slack.roots()
    assert ("<!subteam^S0ONCALL>" in digest["text"] and "<!subteam^S0ONCALL>" in str(digest["blocks"])) is called
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == called, "nobody has acted yet"


@pytest.mark.parametrize("act", ["none", "one too few", "agent", "all"])
def test_a_storm_that_nobody_acts_on_calls_for_help_once_where_escalations_go(
    make_office, slack, a_finding, act
) -> None:
    slack.members.add("C0ONCALL")
    office = make_office(storm=5, escalate={"after_s": 900, "channel": "C0ONCALL"})
    for severity in ("medium", "critical"):
        slack.down = True  # so that none of them is shown by itself
        for n in range(7):
            office.submit(a_finding(f"{severity}_{n}", severity=severity, time=office.clock()))
        slack.down = False
        office.after(minutes=5)
    with office.client("maya", "responder") as maya:
        if act == "agent":
            maya.revoke_subject("acme", "agent", "agent_1", reason="runs wild")
        for n in range({"one too few": 6, "all": 7}.get(act, 0)):
            maya.judge(a_finding(f"critical_{n}").id, "false_positive", reason="a drill")
    for _ in range(12):
        office.after(minutes=5)
    calls = slack.roots("C0ONCALL")
    assert len(calls) == (act in ("none", "one too few"))
    assert all("Nobody has acted yet" in str(call["blocks"]) and "`acme`" in str(call["blocks"]) for call in calls)
    assert all("The digest's thread in <#C0SECURITY> lists all" in str(call["blocks"]) for call in calls)


def test_a_storm_that_becomes_severe_calls_whoever_is_on_call_although_a_digest_is_open(
    make_office, slack, a_finding
) -> None:
    office = make_office(storm=5, on_call={"*": "S0ONCALL"})
    told = []
    for severity in ("low", "medium", "critical", "high", "low"):
        slack.down = True  # so that none of them is shown by itself
        for n in range(10):
            office.submit(a_finding(f"{severity}_{len(told)}_{n}", severity=severity, time=office.clock()))
        slack.down = False
        office.after(minutes=5)
        told.append((len(slack.roots()), "<!subteam^S0ONCALL>" in slack.roots()[-1]["text"]))
    assert told == [(1, False), (1, False), (2, True), (2, False), (2, False)]


def test_a_storm_of_decoys_does_not_hide_what_is_worse(make_office, slack, a_finding) -> None:
    office = make_office(storm=5)
    for n in range(30):
        office.submit(a_finding(f"decoy_{n:02}", severity="low"))
    office.submit(a_finding("sess_1", severity="critical"))
    office.settle()
    assert "CRITICAL" in office.text("sess_1")


def test_what_happens_to_a_case_that_a_digest_lists_stands_in_the_digests_thread(
    make_office, slack, a_finding
) -> None:
    office = make_office(storm=2)
    for n in range(6):
        office.submit(a_finding(f"sess_{n}"))
    office.settle()
    assert len(slack.roots()) == 1
    office.clock.pass_(hours=1)
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_3", reason="stop it")
    office.settle()
    (digest,) = slack.roots()
    assert "`sess_3` high · revoked · maya revoked the session" in str(slack.thread(digest["ts"])[-1]["blocks"])
    assert "■ Revoked" in office.command("session sess_3", LEE)


def test_quiet_hours_hold_back_what_can_wait(make_office, slack, a_finding) -> None:
    office = make_office(quiet_hours={"from": "11:00", "to": "14:00", "zone": "UTC"})
    office.submit(a_finding("sess_1"))
    office.submit(a_finding("sess_2", severity="critical"))
    office.settle()
    assert [("sess_2" in str(m["blocks"])) for m in slack.roots()] == [True]
    office.after(hours=1, minutes=59)
    assert len(slack.roots()) == 1
    office.after(minutes=2)
    assert len(slack.roots()) == 2


def test_what_is_below_the_floor_is_not_shown_until_it_is_worse(make_office, slack, a_finding) -> None:
    office = make_office(floor="high")
    office.submit(a_finding(severity="medium"))
    office.settle()
    assert slack.messages == []
    office.submit(a_finding(n=1, severity="high"))
    office.settle()
    assert "2 findings" in office.text()


@pytest.mark.parametrize("options", [{"floor": "high"}, {"quiet_hours": {"from": "11:00", "to": "23:00"}}])
@pytest.mark.parametrize("wish", ["mode", "reinstate", "revoke"])
def test_no_floor_and_no_quiet_hours_hide_that_a_second_person_is_asked(
    make_office, slack, a_finding, options, wish
) -> None:
    office = make_office(**options)
    if wish == "revoke":
        office.enforce()
    maya = office.client("maya", "responder")
    with maya, office.client("root", "admin", "*") as root, office.client("lee", "approver") as lee:
        if wish == "mode":
            root.set_mode("acme", "enforce", reason="two quiet weeks")
        else:
            office.submit(a_finding(severity="medium"))
            if wish == "revoke":
                lee.protect("acme", "sess_1", protected=True, reason="the yearly audit")
            else:
                lee.revoke("acme", "sess_1", reason="stop")
            office.after(minutes=1)
            assert slack.messages == []
            if wish == "revoke":
                office.submit(a_finding(n=1, wanted=Effect.REVOKE, severity="medium", hard=True))
            else:
                maya.reinstate("acme", "sess_1", reason="ours")
    office.after(minutes=1)
    (shown,) = slack.roots()
    assert "Approve …" in str(shown["blocks"])


@pytest.mark.parametrize("parent", [False, True], ids=["by hand", "with its parent"])
def test_a_second_person_is_asked_also_where_the_session_has_no_case(office, slack, parent) -> None:
    if parent:
        with office.client("broker", "delegation") as broker:
            for name, of in (("root", None), ("sess_9", "root")):
                told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": name, "purpose": "review"}
                broker.register_envelope(Envelope(**told, parent_session_id=of))
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "root" if parent else "sess_9", reason="a typo")
        assert maya.reinstate("acme", "sess_9", reason="I meant sess_8").approval is not None
        assert maya.reinstate("acme", "sess_9", reason="I meant sess_8").approval is not None
    office.settle()
    (asked,) = slack.roots()
    shown = str(asked["blocks"])
    assert "maya asks for a second person: reinstate session sess_9" in shown
    assert "I meant sess_8" in shown
    office.click("Approve …", LEE, asked)
    form = str(office.form()["blocks"])
    assert "maya asks to reinstate the session · `sess_9` in `acme`" in form
    office.fill_in(LEE)
    assert "Approved. reinstated at revision" in office.told()
    office.after(minutes=2)
    (asked,) = slack.roots()
    assert "*Approved* by lee" in str(asked["blocks"])
    assert "Approve …" not in str(asked["blocks"])


def test_a_request_that_is_denied_elsewhere_is_over_in_its_message(office, slack) -> None:
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        maya.revoke("acme", "sess_9", reason="a typo")
        asked = maya.reinstate("acme", "sess_9", reason="I meant sess_8").approval
        office.settle()
        assert "Approve …" in str(slack.roots()[0]["blocks"])
        lee.decide_approval(asked.id, "deny", reason="no typo")
    office.after(minutes=2)
    (message,) = slack.roots()
    assert "*Denied* by lee" in str(message["blocks"])


def test_where_a_case_asks_no_other_message_does_but_other_channels_hear_of_it(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_1", reason="stop")
        asked = maya.reinstate("acme", "sess_1", reason="ours").approval
    office.after(minutes=1)
    (message,) = slack.roots()
    assert "Approve …" in str(message["blocks"])
    with office.deps.store.read() as rows:
        alert = rows.feeds.newest_alert(case_of_news("acme", topic_of(asked.id)), 1_000)
    assert alert is not None
    assert "reinstate session sess_1" in alert.payload


@pytest.mark.parametrize("hours", [0, 5])
def test_who_is_asked_for_a_second_word_sees_it_although_the_message_lies_far_up(
    make_office, slack, a_finding, hours
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"})
    office.submit(a_finding())
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_1", reason="stop")
        office.after(minutes=2)
        office.clock.pass_(hours=hours)
        maya.reinstate("acme", "sess_1", reason="it was the year-end export")
        office.after(minutes=2)
    assert len(slack.roots()) == 1 + (hours > 1)
    newest = slack.roots()[-1]
    assert "Approve …" in str(newest["blocks"])
    assert ("S0ONCALL" in newest["text"]) is (hours > 1)
    assert ("goes on in a newer message" in str(slack.roots()[0]["blocks"])) is (hours > 1)


@pytest.mark.parametrize("ends", ["denied", "revoked", "expired"])
def test_nobody_is_said_to_be_asked_once_nobody_is(office, a_finding, ends) -> None:
    office.enforce()
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        lee.protect("acme", "sess_1", protected=True, reason="the yearly audit")
        asked = office.submit(a_finding(wanted=Effect.REVOKE, hard=True)).approval_id
        office.settle()
        assert "a person is asked, until 2026-05-12" in office.text()
        if ends == "denied":
            lee.decide_approval(asked, "deny", reason="a planned export")
        if ends == "revoked":
            maya.revoke("acme", "sess_1", reason="stop")
    office.clock.pass_(hours=7 if ends == "expired" else 0)
    sweep(office.deps)
    office.after(minutes=2)
    for told in (office.text(), office.command("session sess_1", LEE)):
        assert ("revoke not permitted" in told, "a person is asked" in told) == (True, False)


def test_a_digest_names_what_waits_for_a_second_person(make_office, slack, a_finding) -> None:
    office = make_office(storm=5)
    office.enforce()
    for n in range(10):
        office.submit(a_finding(f"sess_{n}"))
    with office.client("lee", "approver") as lee:
        lee.protect("acme", "sess_5", protected=True, reason="the yearly audit")
    asked = office.submit(a_finding("sess_5", n=1, wanted=Effect.REVOKE, hard=True))
    office.settle()
    digest = slack.roots()[-1]
    (line,) = [at for m in slack.thread(digest["ts"]) for at in str(m["blocks"]).split("\\n") if "sess_5" in at]
    assert asked.approval_id in line


def test_cases_go_where_the_routes_say(make_office, slack, a_finding) -> None:
    slack.members |= {"C0ACME", "C0PURPOSE"}
    routes = [
        {"channel": "C0PURPOSE", "purpose": "review_contract", "severity": "critical"},
        {"channel": "C0ACME", "tenant": "acme"},
    ]
    office = make_office(routes=tuple(routes))
    office.submit(a_finding("sess_1", severity="critical"))
    office.submit(a_finding("sess_2"))
    office.submit(a_finding("sess_3", tenant="globex"))
    office.settle()
    assert [len(slack.roots(name)) for name in ("C0PURPOSE", "C0ACME", "C0SECURITY")] == [1, 1, 1]


@pytest.mark.parametrize("known", ["by a finding of no effect", "by its envelope"])
def test_what_is_asked_about_a_session_without_a_case_goes_where_its_purpose_goes(
    make_office, slack, a_finding, known
) -> None:
    slack.members.add("C0PURPOSE")
    office = make_office(routes=({"channel": "C0PURPOSE", "purpose": "review_contract"},))
    if known == "by its envelope":
        with office.client("broker", "delegation") as broker:
            told = {"delegator_id": "user_1", "tenant_id": "acme", "session_id": "sess_9"}
            broker.register_envelope(Envelope(**told, purpose="review_contract"))
    else:
        office.submit(a_finding("sess_9", wanted=Effect.NONE))
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_9", reason="a typo")
        assert maya.reinstate("acme", "sess_9", reason="I meant sess_8").approval is not None
    office.settle()
    assert [len(slack.roots(name)) for name in ("C0PURPOSE", "C0SECURITY")] == [1, 0]


def test_a_case_that_begins_anew_may_call_again(make_office, slack, a_finding) -> None:
    office = make_office(escalate={"after_s": 60})
    office.submit(a_finding())
    office.settle()
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding().id, "false_positive", reason="fine")
    office.after(minutes=5)
    assert "○ Dismissed" in office.text()
    office.submit(a_finding(epoch=1, n=0, time=office.clock()))
    office.after(minutes=2)
    assert "Flagged" in office.text()
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 1


def dismissed(office, found) -> None:
    office.submit(found)
    office.settle()
    with office.client("ann", "analyst") as ann:
        ann.judge(found.id, "false_positive", reason="fine")
    office.after(minutes=5)


def test_a_case_that_begins_anew_where_its_message_lies_far_up_gets_another_one(office, slack, a_finding) -> None:
    dismissed(office, a_finding(severity="critical"))
    office.clock.pass_(days=21)
    office.submit(a_finding(epoch=1, n=0, severity="medium", time=office.clock()))
    office.settle()
    first, second = slack.roots()
    assert "goes on in a newer message" in str(first["blocks"])
    assert ("Dismissed" in str(first), "Show evidence" in str(first["blocks"])) == (False, False)
    assert "⚑ Flagged" in str(second["blocks"])
    assert "email.send" in str(slack.thread(second["ts"]))
    office.after(hours=2)
    assert not [m for m in slack.messages if m.get("reply_broadcast")], "it is as severe as it is now"


@pytest.mark.parametrize("then", ["storm", "refused"])
def test_its_old_message_says_so_although_the_new_one_is_a_digest_or_comes_late(
    make_office, slack, a_finding, then
) -> None:
    office = make_office(storm=3 if then == "storm" else 20)
    office.submit(a_finding())
    office.after(minutes=2)
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding().id, "false_positive", reason="planned")
    office.after(minutes=2)
    office.after(hours=3)
    slack.down = then == "storm"
    if then == "refused":
        slack.members.clear()
    for n in range(1, 9 if then == "storm" else 2):
        office.submit(a_finding(f"sess_{n}", epoch=1, time=office.clock()))
    slack.down = False
    office.after(minutes=2)
    slack.members.add(office.options.channel)
    office.after(hours=2)
    old, new = slack.roots()
    assert "goes on in a newer message" in str(old["blocks"])
    assert ("Dismissed" in str(old), "Show evidence" in str(old["blocks"])) == (False, False)
    if then == "storm":
        assert "8 cases" in str(new["blocks"])
        assert str(slack.thread(new["ts"])).count("`sess_1`") == 1


def test_it_gets_another_one_also_where_its_old_message_was_still_to_be_brought_up_to_date(
    office, slack, a_finding
) -> None:
    office.submit(a_finding())
    office.settle()
    slack.down = True
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding().id, "false_positive", reason="fine")
    office.after(hours=2)
    office.submit(a_finding(epoch=1, n=0, time=office.clock()))
    office.settle()
    slack.down = False
    office.after(hours=2)
    assert len(slack.roots()) == 2


def test_several_findings_of_hours_ago_that_are_taken_in_together_begin_it_anew_all_the_same(
    office, slack, a_finding
) -> None:
    dismissed(office, a_finding())
    office.clock.pass_(minutes=30)
    office.submit(a_finding(epoch=1, n=0, time=office.clock()))
    office.clock.pass_(hours=3)
    office.submit(a_finding(epoch=1, n=1, time=office.clock()))
    office.settle()
    assert len(slack.roots()) == 2


def test_of_what_begins_anew_together_the_most_severe_says_who_is_called(make_office, slack, a_finding) -> None:
    office = make_office(floor="high", on_call={"*": "S0ONCALL"})
    dismissed(office, a_finding(severity="critical"))
    office.clock.pass_(days=21)
    for n, severity in enumerate(("critical", "medium")):
        office.submit(a_finding(epoch=1, n=n, severity=severity, time=office.clock()))
    office.settle()
    _, second = slack.roots()
    assert "S0ONCALL" in str(second["text"])


def test_no_floor_hides_a_case_that_people_know_of(make_office, slack, a_finding) -> None:
    office = make_office(floor="high")
    dismissed(office, a_finding(severity="critical"))
    office.clock.pass_(days=21)
    office.submit(a_finding(epoch=1, n=0, severity="medium", time=office.clock()))
    office.settle()
    assert "⚑ Flagged" in str(slack.roots()[1]["blocks"])


def test_a_session_that_stays_revoked_keeps_its_message(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    with office.client("rita", "responder") as rita:
        rita.revoke("acme", "sess_1", reason="seen")
    for n in range(1, 4):
        office.after(minutes=5)
        office.clock.pass_(hours=2)
        office.submit(a_finding(n=n, time=office.clock()))
    office.after(minutes=5)
    (root,) = slack.roots()
    assert "■ Revoked" in str(root["blocks"])


def test_where_its_revocation_has_just_lapsed_it_gets_another(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    with office.client("rita", "responder") as rita:
        rita.revoke("acme", "sess_1", reason="seen")
    office.after(minutes=5)
    with office.deps.store.read() as rows:
        ends = rows.ledger.live_entry("acme", "sess_1").expires_at
    office.clock.pass_(seconds=(ends - office.clock()).total_seconds() + 2)
    office.submit(a_finding(n=1, time=office.clock()))
    office.settle()
    assert len(slack.roots()) == 2


def test_a_case_that_begins_anew_while_somebody_wants_quiet_makes_none(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.snooze("acme", "sess_1", hours=8, reason="known")
    dismissed(office, a_finding(n=1))
    office.clock.pass_(hours=3)
    office.submit(a_finding(epoch=1, n=0, time=office.clock()))
    office.settle()
    assert len(slack.roots()) == 1


@pytest.mark.parametrize("severity", ["high", "critical"])
def test_a_case_that_becomes_worse_is_shown_where_such_cases_go_and_calls_there(
    make_office, slack, a_finding, severity
) -> None:
    slack.members |= {"C0ONCALL"}
    routes = ({"channel": "C0ONCALL", "severity": "critical"},)
    office = make_office(routes=routes, on_call={"*": "S0ONCALL"}, mention_from="critical")
    office.submit(a_finding(severity="medium"))
    office.settle()
    office.submit(a_finding(n=1, severity=severity, hard=True))
    office.settle()
    told = [(m["channel"], "S0ONCALL" in str(m["blocks"])) for m in slack.messages if not m.get("thread_ts")]
    assert told == [("C0SECURITY", False), *([("C0ONCALL", True)] if severity == "critical" else [])]
    office.clock.pass_(minutes=2)
    office.submit(a_finding(n=2, severity=severity, hard=True))
    office.settle()
    replies = [m["channel"] for m in slack.messages if m.get("thread_ts")]
    assert replies[-1] == told[-1][0]
    assert len(slack.messages) - len(replies) == len(told)


@pytest.mark.parametrize(
    ("severity", "options", "calls"),
    [
        ("low", {}, False),
        ("high", {}, True),
        ("high", {"mention_from": "critical"}, False),
        ("high", {"quiet_hours": {"from": "12:05", "to": "20:00"}}, False),  # it is brought up to date, as before
        ("critical", {"quiet_hours": {"from": "12:05", "to": "20:00"}}, True),
    ],
)
def test_a_case_that_becomes_so_much_worse_that_it_mentions_people_gets_one_message_that_does(
    make_office, slack, a_finding, severity, options, calls
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 0}, **options)
    office.submit(a_finding(severity="info"))
    office.settle()
    office.clock.pass_(minutes=10)
    for n in range(1, 4):
        office.submit(a_finding(n=n, severity=severity, hard=True))
        office.after(seconds=30)
        texts = [str(root["text"]) for root in slack.roots()]
        assert severity.upper() in texts[-1].upper()
        if n == 1:
            assert ["S0ONCALL" in text for text in texts] == [False, True][: 1 + calls]
    assert len(slack.roots()) == 1 + calls


@pytest.mark.parametrize("before", [0, 150])
def test_what_became_worse_right_after_somebody_saw_to_it_calls_again_although_both_are_heard_of_at_once(
    make_office, slack, a_finding, before
) -> None:
    """Also where much else was heard of between them."""
    office = make_office(escalate={"after_s": 60, "from": "medium"})
    office.submit(a_finding(severity="medium"))
    office.settle()
    with office.deps.store.write() as rows:
        for n in range(before):
            rows.audit.append({"tenant_id": "acme", "n": n, "at": office.clock().isoformat()})
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding().id, "confirmed", reason="known")
    office.clock.pass_(seconds=2)
    office.submit(a_finding(n=1, severity="critical", hard=True))
    office.settle()
    office.after(minutes=2)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 1


@pytest.mark.parametrize("verdict", ["false_positive", "confirmed"])
def test_what_begins_anew_right_after_somebody_judged_it_calls_although_both_are_heard_of_at_once(
    make_office, slack, a_finding, verdict
) -> None:
    office = make_office(escalate={"after_s": 60})
    office.submit(a_finding())
    office.settle()
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding().id, verdict, reason="fine")
    office.clock.pass_(seconds=2)
    office.submit(a_finding(epoch=1, n=0, time=office.clock()))
    office.settle()
    office.after(minutes=2)
    assert "Flagged" in office.text()
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == 1


@pytest.mark.parametrize("verdict", ["false_positive", "confirmed"])
@pytest.mark.parametrize("later", [{"minutes": 5}, {"hours": 3}])
@pytest.mark.parametrize("taken", [False, True])
def test_once_a_verdict_is_taken_back_somebody_has_to_act_and_the_case_is_where_people_look(
    make_office, slack, a_finding, verdict, later, taken
) -> None:
    office = make_office(escalate={"after_s": 900})
    office.submit(a_finding())
    office.settle()
    with office.client("ann", "analyst") as ann:
        if taken:
            ann.take("acme", "sess_1")
        ann.judge(a_finding().id, verdict, reason="the wrong one")
        office.after(minutes=2)
        office.after(**later)
        assert "Flagged" not in office.text()
        ann.judge(a_finding().id, "withdrawn", reason="the wrong one")
        office.after(minutes=2)
        ann.judge(a_finding().id, "withdrawn", reason="twice")
    office.after(minutes=1)
    assert "Flagged" in office.text()
    assert len(slack.roots()) == (2 if "hours" in later else 1), "in a new message where the old one is far up"
    assert not [m for m in slack.messages if m.get("reply_broadcast")]
    office.after(minutes=16)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == (not taken)
    history = office.audit(action="dismiss")
    assert [each["result"] for each in history][-2:] == ["withdrawn", "not_judged"]


@pytest.mark.parametrize(("severity", "calls"), [("high", 1), ("medium", 0)])
def test_what_is_worse_than_somebody_saw_to_may_call_again(make_office, slack, a_finding, severity, calls) -> None:
    office = make_office(escalate={"after_s": 60, "from": "medium"})
    office.submit(a_finding(severity="medium"))
    office.settle()
    with office.client("root", "admin") as root:
        root.protect("acme", "sess_1", protected=True, reason="the yearly audit")
    office.after(minutes=5)
    assert not [m for m in slack.messages if m.get("reply_broadcast")]
    office.submit(a_finding(epoch=1, n=0, severity=severity, time=office.clock()))
    office.after(minutes=2)
    assert len([m for m in slack.messages if m.get("reply_broadcast")]) == calls


def test_controls_own_news_are_cases_too_and_a_change_of_mode_can_be_approved(office, slack) -> None:
    with office.client("root", "admin", "*") as admin:
        admin.set_mode("acme", "enforce", reason="two quiet weeks")
    office.settle()
    (news,) = slack.roots()
    assert "two quiet weeks" in str(news["blocks"])
    assert "Approve" in str(news["blocks"])


def test_who_narrows_the_mode_or_stops_many_sessions_is_named_in_the_channel(make_office, slack) -> None:
    """With the subject's name as its gateway told it, which may be anything."""
    office = make_office(on_call={"*": "S0ONCALL"})
    office.enforce()
    before = len(slack.roots())
    name = "<!channel> *agent* https://evil.example `7`\u202e" + "x" * 100
    with office.client("mallory", "approver") as mallory:
        mallory.set_mode("acme", "shadow", reason="quiet <!here> please")
        mallory.revoke_subject("acme", "agent", name, reason="its image was altered")
    office.settle()
    mode, subject = slack.roots()[before:]
    assert "mallory changed the mode from enforce to shadow" in str(mode["blocks"])
    assert "<!subteam^S0ONCALL>" in mode["text"], "it has become less safe"
    assert "mallory revoked the agent" in str(subject["blocks"])
    assert "its image was altered" in str(subject["blocks"])
    for shown in (mode, subject):
        assert message_limits(shown["blocks"]) == []
        text = " ".join(each["text"]["text"] for each in shown["blocks"] if each["type"] == "section")
        for foreign in ("<!here", "<!channel", "https://", "*agent*", "\u202e"):
            assert foreign not in text + shown["text"]


def test_news_of_guardian_are_told_as_such_and_anew_where_the_last_ones_lie_far_up(make_office, slack) -> None:
    office = make_office(on_call={"*": "S0ONCALL"})

    def told(severity: Severity) -> None:
        news = {"topic": "breaker", "title": "The breaker is open", "detail": "guardian only flags"}
        with office.deps.store.write() as rows:
            tell(
                office.deps,
                rows,
                **news,
                tenant_id="acme",
                severity=severity,
                once=str(office.clock()),
                now=office.clock(),
            )
        office.settle()

    told("critical")
    office.after(minutes=20)
    told("critical")
    (first,) = slack.roots()
    assert [*slack.thread(first["ts"])][-1]["text"] == "guardian: The breaker is open"
    office.after(hours=24 * 30)
    told("critical")
    office.after(hours=2)
    told("info")
    texts = [str(root["text"]) for root in slack.roots()]
    assert ["S0ONCALL" in text for text in texts] == [False, True, False]  # the first was brought up to date
    assert not any("flagged" in str(message) or "unknown" in str(message) for message in slack.messages)


def test_news_below_the_floor_are_not_shown_whatever_their_topic_told_before(make_office, slack) -> None:
    office = make_office(floor="high")
    for severity in ("critical", "info"):
        with office.deps.store.write() as rows:
            tell(
                office.deps,
                rows,
                topic="breaker",
                title=severity,
                detail="so it is",
                tenant_id="acme",
                severity=severity,
                once=severity,
                now=office.clock(),
            )
        office.settle()
        office.after(hours=2)
    (root,) = slack.roots()
    assert "info" in str(root["text"])  # that it is over stands where the trouble was told


def test_the_end_of_one_broken_glass_hides_no_other_that_is_open(make_office, slack) -> None:
    office = make_office(on_call={"*": "S0ONCALL"})
    with office.client("maya", "approver") as maya, office.client("thief", "approver") as thief:
        maya.break_glass("acme", minutes=30, reason="incident 7")
        office.after(minutes=20)
        thief.break_glass("acme", minutes=30, reason="incident 7 too")
        office.after(minutes=11)
        sweep(office.deps)
        office.after(minutes=2)
    first, second = slack.roots()
    assert "Break-glass of maya is over" in str(first["blocks"])
    assert "thief broke the glass" in str(second["blocks"])
    assert "S0ONCALL" in second["text"]


@pytest.mark.parametrize("many", [2, 12])
def test_a_gateway_that_is_back_hides_no_other_ones_silence(make_office, slack, many) -> None:
    """Where many are silent together that is one piece of news."""
    office = make_office()
    names = [f"gw-{n:02}" for n in range(many)]

    def look(minutes: int, *alive: str) -> None:
        for _ in range(minutes):
            for name in alive:
                known = {"role": "gateway", "tenants": ("acme",), "ttl": timedelta(days=9), "now": office.clock()}
                headers = {"Authorization": f"Bearer {office.deps.tokens.issue(name, **known).text}"}
                told = {"revision": str(head), "transport": "push"}
                url = f"{office.url}/v1/revocations/ack"
                assert httpx.post(url, headers=headers, json=told, timeout=30).status_code == 204
            watch(office.deps)
            office.after(minutes=2)

    with office.deps.store.read() as rows:
        head = rows.head().revision
    look(2, *names)
    look(3)
    assert len(slack.roots()) == (2 if many == 2 else 1)
    look(2, "gw-00")
    texts = " ".join(m["text"] for m in slack.roots())
    assert "gw-00 enforces the list again" in texts
    assert ("gw-01 is silent" in texts) is (many == 2)


def test_an_escalation_that_its_channel_refuses_is_made_where_the_case_is(make_office, slack, a_finding) -> None:
    escalate = {"after_s": 900, "channel": "C0ONCALL"}
    office = make_office(on_call={"*": "U0ONCALL"}, mention_from="critical", escalate=escalate)
    office.submit(a_finding())
    office.settle()
    slack.members.clear()
    slack.members.add(office.options.channel)
    for _ in range(3):
        office.after(hours=1)
    (call,) = [m for m in slack.messages if "U0ONCALL" in str(m.get("text")) + str(m.get("blocks"))]
    assert (call["thread_ts"], call["reply_broadcast"]) == (office.root()["ts"], True)
    assert "<#" not in str(call["blocks"])


def test_whoever_is_called_elsewhere_is_told_whose_session_it_is_and_where_its_message(
    make_office, slack, a_finding
) -> None:
    slack.members.add("C0ONCALL")
    office = make_office(escalate={"after_s": 900, "channel": "C0ONCALL"})
    office.submit(a_finding())
    office.settle()
    office.after(hours=1)
    (call,) = slack.roots("C0ONCALL")
    assert "`acme`" in str(call["blocks"])
    assert "Its message is in <#C0SECURITY>" in str(call["blocks"])


def test_an_escalation_that_every_channel_refuses_is_made_once_one_takes_it(make_office, slack, a_finding) -> None:
    escalate = {"after_s": 900, "channel": "C0ONCALL"}
    office = make_office(on_call={"*": "U0ONCALL"}, mention_from="critical", escalate=escalate)
    office.submit(a_finding())
    office.settle()
    slack.members.clear()
    office.after(hours=1)
    slack.members.add("C0ONCALL")
    for _ in range(3):
        office.after(hours=1)
    (call,) = [m for m in slack.messages if "U0ONCALL" in str(m.get("text")) + str(m.get("blocks"))]
    assert call["channel"] == "C0ONCALL"


@pytest.fixture
def storm(make_office, slack, a_finding):
    """Ten critical cases in a digest, one of them dismissed before it was written."""
    office = make_office(storm=5, on_call={"*": "S0ONCALL"})
    slack.down = True
    for n in range(10):
        office.submit(a_finding(f"sess_{n}", severity="critical"))
    with office.client("ann", "analyst") as ann:
        ann.judge(a_finding("sess_1").id, "false_positive", reason="fine")
    slack.down = False
    office.after(minutes=1)
    (digest,) = slack.roots()
    assert "10 cases" in str(digest["blocks"])
    return office


def test_what_is_dismissed_where_a_digest_lists_it_calls_nobody(storm, slack, a_finding) -> None:
    storm.clock.pass_(minutes=11)
    with storm.client("ann", "analyst") as ann:
        ann.judge(a_finding("sess_2").id, "false_positive", reason="fine")
    before = len(slack.messages)
    storm.after(minutes=1)
    (line,) = slack.messages[before:]
    assert "dismissed · ann called it a false positive" in str(line["blocks"])
    assert "S0ONCALL" not in str(line)
    assert line["thread_ts"] == slack.roots()[0]["ts"]


@pytest.mark.parametrize(
    ("then", "roots"), [("repeat", 0), ("dismiss", 0), ("lapse", 0), ("worse", 1), ("begin anew", 1), ("ask", 1)]
)
def test_the_second_wave_of_a_storm_makes_no_message_a_session(make_office, slack, a_finding, then, roots) -> None:
    office = make_office(storm=5, on_call={"*": "S0ONCALL"}, escalate={"after_s": 0})
    if then in ("lapse", "ask"):
        office.enforce()
    before = len(slack.roots())
    wanted = Effect.REVOKE if then == "lapse" else Effect.FLAG
    slack.down = True  # so that none of them is shown by itself
    for n in range(9):
        office.submit(a_finding(f"sess_{n}", wanted=wanted, hard=then == "lapse"))
    slack.down = False
    office.after(minutes=2)
    assert len(slack.roots()) == before + 1
    office.clock.pass_(minutes=11)
    with office.client("ann", "analyst") as ann, office.client("lee", "approver") as lee:
        for n in range(9):
            if then in ("dismiss", "begin anew"):
                ann.judge(a_finding(f"sess_{n}").id, "false_positive", reason="a deployment")
            if then == "ask":
                lee.protect("acme", f"sess_{n}", protected=True, reason="audit")
    if then == "lapse":
        office.clock.pass_(hours=30)
        sweep(office.deps)
    if then == "begin anew":
        office.after(minutes=2)
    if then in ("repeat", "worse", "begin anew", "ask"):
        severity = "critical" if then == "worse" else "high"
        wanted = Effect.REVOKE if then == "ask" else Effect.FLAG
        for n in range(9):
            again = {"severity": severity, "wanted": wanted, "hard": then == "ask", "time": office.clock()}
            office.submit(a_finding(f"sess_{n}", n=1, epoch=int(then == "begin anew"), **again))
    for _ in range(5):
        office.after(minutes=1)
    assert len(slack.roots()) - before - 1 <= roots, "a digest lists them, or another one does"
    lines = [reply for root in slack.roots() for reply in slack.thread(root["ts"])]
    assert all(str(lines).count(f"`sess_{n}`") >= 2 for n in range(9)), "nobody is left unheard"


def test_a_listed_session_that_flaps_makes_a_line_a_minute_at_most(storm, slack, a_finding) -> None:
    storm.clock.pass_(minutes=11)
    before = len(slack.messages)
    for n in range(1, 9):
        storm.submit(a_finding("sess_2", n=n, severity="critical", time=storm.clock()))
        storm.after(seconds=10)
    assert len(slack.messages) - before <= 2
    storm.after(minutes=20)
    assert [bool(m.get("reply_broadcast")) for m in slack.messages].count(True) == 1, "nobody has acted yet"


@pytest.mark.parametrize(("hours", "called"), [(480, False), (0, True)])
def test_a_case_that_a_digest_of_long_ago_lists_begins_as_what_it_is_now(
    storm, slack, a_finding, hours, called
) -> None:
    storm.clock.pass_(hours=hours, minutes=11)
    storm.submit(a_finding("sess_1", epoch=1, n=0, severity="medium", time=storm.clock()))
    storm.settle()
    _, own = slack.roots()
    assert ("S0ONCALL" in str(own["text"])) is called


def is_revoked_in_the_newer_message_alone(slack) -> None:
    old, new = slack.roots()
    assert "■ Revoked" in str(new["blocks"])
    assert "goes on in a newer message" in str(old["blocks"])
    assert "Flagged" not in str(old)
    assert "Revoke now" not in str(old)


def test_a_message_that_a_worse_case_left_goes_on_saying_nothing_that_is_not_so(
    make_office, slack, a_finding
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"})
    office.submit(a_finding(severity="medium"))
    office.after(minutes=1)
    office.submit(a_finding(n=1, severity="critical"))
    office.after(minutes=1)
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_1", reason="stop")
    office.after(minutes=5)
    is_revoked_in_the_newer_message_alone(slack)


@pytest.mark.parametrize(
    "troubles", [["garbage_after"], ["drop_after"], ["", "429:30"], ["", "500"], ["", "drop"]]
)
def test_nor_does_one_that_a_case_left_that_began_anew_though_slack_stumbled(
    office, slack, a_finding, troubles
) -> None:
    office.submit(a_finding())
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.judge(a_finding().id, "false_positive", reason="fine")
        office.settle()
        office.clock.pass_(hours=2)
        office.submit(a_finding(n=1, epoch=1, time=office.clock()))
        slack.troubles.extend(troubles)
        for _ in range(5):
            office.after(minutes=1)
        maya.revoke("acme", "sess_1", reason="stop")
    office.after(minutes=5)
    is_revoked_in_the_newer_message_alone(slack)


def test_while_the_message_that_a_case_left_waits_to_say_so_the_case_is_in_its_newer_one(
    office, slack, a_finding
) -> None:
    office.submit(a_finding())
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.judge(a_finding().id, "false_positive", reason="fine")
    office.settle()
    office.clock.pass_(hours=2)
    office.submit(a_finding(n=1, epoch=1, time=office.clock()))
    slack.troubles.extend(["", "429:30"])
    office.settle()
    old, new = slack.roots()
    with office.deps.store.read() as rows:
        case = rows.cases.of_session(SessionKey("acme", "sess_1"))
    step = Step.model_validate_json(case.step)
    assert step.leaves == f"{CHANNEL}:{old['ts']}"
    assert step.place == case.place == f"{CHANNEL}:{new['ts']}", "a process of the version before goes by this"


@pytest.mark.parametrize("by", ["guardian", "maya"])
def test_that_a_gateway_let_a_revoked_session_act_calls_whoever_is_on_call_once(
    make_office, slack, a_finding, by
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"})
    office.enforce()
    office.submit(
        a_finding(severity="critical", wanted=Effect.REVOKE if by == "guardian" else Effect.FLAG, hard=True)
    )
    office.settle()
    if by == "maya":
        with office.client("maya", "responder") as maya:
            maya.revoke("acme", "sess_1", reason="stop")
    office.after(minutes=2)
    assert "Gateways that follow the revocation list refuse the session's calls" in office.text()
    told = {"kind": Kind.GATEWAY, "severity": "critical", "title": "Gateway gw-1 let a revoked session act"}
    leak = a_finding(n=1).model_copy(update={**told, "id": "fnd_leak", "reasons": (), "time": office.clock()})
    office.submit(leak)
    office.after(minutes=2)
    old, new = [m for m in slack.roots() if "let a revoked session act" in str(m["blocks"])]
    assert "goes on in a newer message" in str(old["blocks"])
    assert ("S0ONCALL" in new["text"], "a gateway let it act after that" in str(new["blocks"])) == (True, True)
    assert "Gateways that follow" not in str(new["blocks"])
    assert "guardian: Gateway gw-1 let a revoked session act" in [m["text"] for m in slack.thread(new["ts"])]
    roots = len(slack.roots())
    office.submit(a_finding(n=2, severity="critical", hard=True, wanted=Effect.REVOKE, time=office.clock()))
    office.after(hours=3)
    assert len(slack.roots()) == roots
    assert "Gateways that follow" not in office.text(), "that it goes on does not mean that it is refused"
    assert "a gateway let it act after that" in office.text()
    assert "a gateway let it act after that" in office.command("session sess_1", LEE)
    with office.client("lee", "approver") as lee, office.client("maya", "responder") as maya:
        asked = maya.reinstate("acme", "sess_1", reason="was ours").approval
        if asked is not None:
            lee.decide_approval(asked.id, "approve", reason="yes")
        office.after(minutes=2)
        assert "let it act" not in office.text()
        maya.revoke("acme", "sess_1", reason="no, stop")
        office.after(minutes=2)
        assert "Gateways that follow the revocation list refuse the session's calls" in office.text()


@pytest.mark.parametrize("options", [{"floor": "high"}, {"quiet_hours": {"from": "11:00", "to": "23:00"}}])
def test_nor_do_they_hide_it_in_a_storm(make_office, slack, a_finding, options) -> None:
    office = make_office(storm=5, **options)
    for n in range(10):
        office.submit(a_finding(f"sess_{n}", severity="medium"))
    with office.client("lee", "approver") as lee, office.client("maya", "responder") as maya:
        lee.revoke("acme", "sess_1", reason="stop")
        asked = maya.reinstate("acme", "sess_1", reason="ours").approval
    office.after(minutes=2)
    (digest,) = slack.roots()
    assert asked.id in str(slack.thread(digest["ts"]))


@pytest.mark.parametrize("first", ["message", "edit"])
def test_what_became_worse_while_a_write_of_it_waited_mentions_people_all_the_same(
    make_office, slack, a_finding, first
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 0})
    if first == "edit":
        office.submit(a_finding(severity="medium"))
        office.after(minutes=1)
    slack.down = True
    office.submit(a_finding(n=1, severity="medium"))
    office.settle()
    office.submit(a_finding(n=2, severity="critical"))
    slack.down = False
    for _ in range(10):
        office.after(minutes=2)
    assert [("CRITICAL" in m["text"], "S0ONCALL" in m["text"]) for m in slack.roots()][-1] == (True, True)
    assert len(slack.roots()) == 2
