"""From findings to Slack: none lost, none shown twice, in order, at Slack's pace, whatever breaks on the way."""

import os
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from slack_server.rates import Rates

from guardian.alerting.worker import AlertWorker
from guardian.control.cases import outbox as case_outbox
from guardian.control.cases.feeds import catch_up
from guardian.control.cases.outbox import CaseOutbox
from guardian.control.cases.similar import with_similar
from guardian.control.findings.intake import receive
from guardian.errors import StoreError
from guardian.wire.principal import Principal


def worker_of(office, outbox: CaseOutbox | None = None) -> AlertWorker:
    """Another process's worker on the same store; or another one of this process's outbox."""
    channel = office.options.open(office.clock.given)
    outbox = outbox or CaseOutbox(office.deps, office.options.rules())
    return AlertWorker(outbox, channel, metrics=office.deps.metrics, now=office.clock, jitter=lambda: 0.5)


def until_settled(office, hours: float = 3) -> None:
    """Let time pass until nothing waits any more."""
    for _ in range(int(hours * 120)):
        office.settle()
        office.clock.pass_(seconds=30)
        if not office.outbox.depth():
            return


@pytest.mark.parametrize("trouble", ["drop_after", "garbage_after", "slow_after"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_lost_answer_leads_to_no_second_message(make_office, slack, a_finding, trouble, place) -> None:
    office = make_office(timeout=1 if trouble == "slow_after" else 30)
    slack.troubles.extend([""] * place + [trouble])  # the case's message, or the reply in its thread
    office.submit(a_finding())
    until_settled(office)
    assert len(slack.roots()) == 1
    assert len(slack.thread(office.root()["ts"])) == 1


@pytest.mark.parametrize("trouble", ["500", "drop", "429:120", "429:1", "refuse:internal_error"])
@pytest.mark.parametrize("place", [0, 1])
def test_what_slack_did_not_take_is_made_good(office, slack, a_finding, trouble, place) -> None:
    slack.troubles.extend([""] * place + [trouble])
    office.submit(a_finding())
    until_settled(office)
    assert len(slack.roots()) == 1
    assert len(slack.thread(office.root()["ts"])) == 1


def test_a_crash_at_any_moment_shows_nobody_anything_twice(office, slack, a_finding) -> None:
    slack.rates.on = False  # every process has a pace of its own
    for n in range(4):
        office.submit(a_finding(f"sess_{n}"))
    for moment in range(12):
        row = office.outbox.claim(office.clock())
        if row is None:
            break
        if moment % 2:  # delivered, and the process dies before it has noted that
            office.worker._channel.deliver(office_alert(row))
        worker = worker_of(office)
        assert worker.recover() == 1
        worker.step()
    until_settled(office)
    assert len(slack.roots()) == 4
    assert [len(slack.thread(root["ts"])) for root in slack.roots()] == [1] * 4


def test_while_similar_cases_are_looked_for_others_write_and_a_crash_loses_nothing(
    office, slack, a_finding, monkeypatch
) -> None:
    office.submit(a_finding("sess_2"))
    office.settle()
    seen: list[str] = []

    def looked_for(rows, view):
        seen.append(office.submit(a_finding(f"meanwhile_{len(seen)}")).effect.value)
        if len(seen) == 1:
            raise StoreError("it is away")
        return with_similar(rows, view)

    office.submit(a_finding())
    monkeypatch.setattr(case_outbox, "with_similar", looked_for)
    with pytest.raises(StoreError):
        office.worker.step()
    assert office.worker.recover() == 1
    office.worker.step()
    assert seen == ["flag", "flag"]
    assert len(slack.roots()) == 2
    assert "sess_2" in office.text()


@pytest.mark.parametrize("end", ["sent", "postponed", "parked"])
def test_what_another_process_took_over_is_its_to_end_and_shown_once(office, slack, a_finding, end) -> None:
    office.submit(a_finding())
    row = office.outbox.claim(office.clock())
    reference = office.worker._channel.deliver(office_alert(row))
    assert worker_of(office).recover() == 1
    match end:
        case "sent":
            office.outbox.sent(row.id, reference)
        case "postponed":
            office.outbox.postponed(row.id, office.clock() + timedelta(days=1), "slow down")
        case "parked":
            office.outbox.parked(row.id, "gone")
    until_settled(office)
    assert len(slack.roots()) == 1
    assert len(slack.thread(office.root()["ts"])) == 1


def office_alert(row):
    from guardian.alerting.port import Alert

    return Alert.model_validate_json(row.payload)


def test_a_message_that_somebody_deleted_is_shown_again_once(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    slack.messages.clear()
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_1", reason="stop")
    office.after(minutes=2)
    office.after(minutes=2)
    assert "■ Revoked" in office.text()


@pytest.mark.parametrize("trouble", ["", "drop", "drop_after"])
def test_a_call_for_help_is_heard_though_somebody_deleted_the_message(office, slack, a_finding, trouble) -> None:
    office.submit(a_finding())
    office.settle()
    slack.messages.clear()
    office.clock.pass_(minutes=16)
    slack.troubles.extend(["", trouble])  # its thread is tried first
    until_settled(office)
    (call,) = slack.messages
    assert "Nobody has acted yet" in str(call["blocks"])


def test_a_channel_that_refuses_is_tried_again_and_meanwhile_the_log_has_it(office, slack, a_finding) -> None:
    slack.members.clear()
    office.submit(a_finding())
    office.settle()
    assert office.deps.metrics.value("guardian_alerts_total", channel="slack", outcome="parked") == 1
    slack.members.add("C0SECURITY")
    office.after(hours=2)
    assert "Flagged" in office.text()


def test_a_reply_that_slack_refuses_until_somebody_mends_it_is_kept(office, slack, a_finding) -> None:
    slack.troubles.extend(["", "refuse:token_expired"])
    office.submit(a_finding())
    office.after(minutes=5)
    assert slack.thread(office.root()["ts"]) == []
    with office.deps.store.write() as rows:
        (waits,) = rows.cases.failed(office.clock())
        assert "token_expired" in waits.last_error
        assert len(rows.cases.hurry(office.clock())) == 1
    office.settle()
    (reply,) = slack.thread(office.root()["ts"])
    assert "email.send" in str(reply["blocks"])
    with office.deps.store.read() as rows:
        assert rows.cases.failed(office.clock()) == []


@pytest.mark.parametrize("trouble", ["refuse:thread_not_found", "refuse:msg_too_long"])
def test_a_reply_that_slack_never_takes_is_given_up_and_no_longer_listed(
    office, slack, a_finding, trouble
) -> None:
    slack.troubles.extend(["", trouble, trouble])
    office.submit(a_finding())
    office.settle()
    with office.deps.store.read() as rows:
        assert rows.cases.failed(office.clock()) == []
    slack.troubles.clear()
    office.after(minutes=10)
    assert slack.thread(office.root()["ts"]) == []


def test_a_call_for_help_elsewhere_does_not_wait_for_a_reply_that_slack_refuses(
    make_office, slack, a_finding
) -> None:
    slack.members.add("C0ONCALL")
    office = make_office(escalate={"after_s": 900, "channel": "C0ONCALL"})
    slack.troubles.extend(["", "refuse:not_in_channel"])
    office.submit(a_finding())
    office.settle()
    slack.members = {"C0ONCALL"}  # the bot was taken out of the case's channel
    office.after(minutes=16)
    (call,) = slack.roots("C0ONCALL")
    assert "Nobody has acted yet" in str(call["blocks"])
    slack.members = {"C0ONCALL", "C0SECURITY"}
    office.after(hours=1)
    assert len(slack.thread(office.root()["ts"])) == 1


@pytest.mark.parametrize("many", [1, 7], ids=["a case", "a digest"])
def test_what_its_channel_refuses_calls_in_the_channel_on_call(make_office, slack, a_finding, many) -> None:
    office = make_office(escalate={"after_s": 900, "channel": "C0ONCALL"}, storm=5)
    slack.members = {"C0ONCALL"}  # the case's channel was archived, say
    for n in range(many):
        office.submit(a_finding(f"sess_{n}", severity="critical"))
    office.settle()
    office.after(minutes=14)
    assert slack.messages == []
    office.after(minutes=2)
    (call,) = slack.roots("C0ONCALL")
    assert "Nobody has acted yet" in str(call["blocks"])
    assert ("`sess_0`" in str(call["blocks"])) is (many == 1)
    assert "C0SECURITY" not in str(call["blocks"]), "nothing is there"
    for _ in range(5):
        office.after(hours=1)
    assert len(slack.messages) == 1
    slack.members = {"C0ONCALL", "C0SECURITY"}
    office.after(hours=1)
    office.after(minutes=1)
    assert len(slack.roots("C0SECURITY")) == 1
    assert len(slack.roots("C0ONCALL")) == 1


def test_it_calls_there_too_where_the_channel_refuses_what_is_new_of_it(make_office, slack, a_finding) -> None:
    slack.members.add("C0ONCALL")
    office = make_office(escalate={"after_s": 900, "channel": "C0ONCALL"})
    office.submit(a_finding())
    office.settle()
    slack.members = {"C0ONCALL"}
    office.submit(a_finding(n=1))
    office.after(minutes=5)
    office.after(minutes=11)
    (call,) = slack.roots("C0ONCALL")
    assert "Nobody has acted yet" in str(call["blocks"])
    slack.members.add("C0SECURITY")
    office.after(hours=1)
    assert "2 findings" in office.text()


@pytest.mark.parametrize("shown", [True, False])
def test_what_neither_channel_takes_is_made_in_the_one_that_comes_back(
    make_office, slack, a_finding, shown
) -> None:
    office = make_office(escalate={"after_s": 900, "channel": "C0ONCALL"})
    if shown:
        office.submit(a_finding())
        office.settle()
    slack.members = set()
    office.submit(a_finding(n=1))
    for _ in range(5):
        office.after(minutes=50)
    slack.members = {"C0SECURITY"}
    for _ in range(4):
        office.after(hours=1)
    assert ("2 findings" in office.text()) is shown
    calls = [m for m in slack.messages if "Nobody has acted yet" in m["text"]]
    assert [call["channel"] for call in calls] == ["C0SECURITY"]


def test_what_neither_channel_takes_is_tried_at_once_when_it_becomes_worse(make_office, slack, a_finding) -> None:
    office = make_office(escalate={"after_s": 900, "channel": "C0ONCALL"})
    slack.members = set()
    office.submit(a_finding())
    office.settle()
    office.after(minutes=61)
    office.after(minutes=10)
    slack.members = {"C0SECURITY"}
    office.submit(a_finding(n=1, severity="critical"))
    office.after(minutes=1)
    assert len(slack.roots("C0SECURITY")) == 1


def elsewhere(office, channel):
    """Control started anew with another channel in its configuration."""
    office.slack.members = {channel}
    office.options = replace(office.options, channel=channel)
    office.worker = worker_of(office)


def test_what_a_wrong_channel_refused_goes_to_the_right_one_once_configured(office, slack, a_finding) -> None:
    slack.members.clear()
    office.submit(a_finding())
    office.settle()
    elsewhere(office, "C0OTHER")
    office.after(hours=2)
    (message,) = slack.roots("C0OTHER")
    assert "⚑ Flagged" in str(message["blocks"])


def test_a_case_whose_channel_is_gone_is_shown_in_the_one_that_is_configured_now(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    slack.messages.clear()
    elsewhere(office, "C0OTHER")
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_1", reason="stop")
    until_settled(office)
    (message,) = slack.roots("C0OTHER")
    assert "■ Revoked" in str(message["blocks"])
    assert "stop" in str(slack.thread(message["ts"]))


@pytest.mark.parametrize("severity", ["medium", "high"], ids=["reply", "call for help"])
def test_what_a_thread_refuses_is_made_in_the_channel_that_is_configured_now(
    office, slack, a_finding, severity
) -> None:
    slack.troubles.extend(["", "refuse:not_in_channel"])
    office.submit(a_finding(severity=severity))
    office.settle()
    elsewhere(office, "C0OTHER")
    office.after(hours=2)
    until_settled(office)
    (message,) = slack.roots("C0OTHER")
    assert "email.send" in str(slack.thread(message["ts"]))
    with office.deps.store.read() as rows:
        assert rows.cases.failed(office.clock()) == []


def test_what_is_brought_up_to_date_is_taken_literally(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    message = office.root()
    del message["parse"], message["link_names"]  # Slack reads an update by itself
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_1", reason="stop")
    office.after(minutes=1)
    assert (message["edited"], message.get("parse"), message.get("link_names")) == (True, "none", False)


def test_blocks_that_slack_dislikes_become_a_plain_line(office, slack, a_finding) -> None:
    slack.troubles.append("refuse:invalid_blocks")
    office.submit(a_finding())
    office.settle()
    assert "left its purpose" in slack.roots()[0]["text"]


def test_slack_down_for_hours_delays_and_loses_nothing_and_the_backlog_is_a_digest(
    make_office, slack, a_finding
) -> None:
    office = make_office(storm=5)
    slack.down = True
    for n in range(15):
        office.submit(a_finding(f"sess_{n:02}", severity="medium"))
        office.after(minutes=5)
    assert slack.messages == []
    slack.down = False
    until_settled(office)
    listed = " ".join(str(message["blocks"]) for message in slack.messages)
    assert all(f"`sess_{n:02}`" in listed for n in range(15))
    assert len(slack.roots()) <= 6, "those that were begun before it was a storm, and the digest"


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("hours", [5, 960])
def test_after_the_clock_was_ahead_messages_follow_and_people_are_called_as_ever(
    make_office, slack, a_finding, hours, restarted
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding("older", severity="medium"))
    office.settle()
    office.clock.pass_(hours=hours)
    for session in ("acted on", "left alone"):
        office.submit(a_finding(session, severity="critical", time=office.clock()))
        office.settle()
    with office.client("maya", "responder") as maya:
        maya.judge(a_finding("older").id, "confirmed", reason="it is")
    slack.troubles.append("500")
    office.settle()
    office.submit(a_finding("not heard of yet", severity="critical", time=office.clock()))
    office.clock.pass_(hours=-hours)
    slack.rates = Rates(office.clock.seconds)  # what counts seconds, here and at Slack, is none the wiser
    office.worker = worker_of(office, None if restarted else office.outbox)
    office.settle()
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "acted on", reason="stop")
    office.after(minutes=2)
    older, acted_on, left_alone, heard_of_since = slack.roots()
    assert "● Confirmed" in str(older["blocks"])
    assert "■ Revoked" in str(acted_on["blocks"])
    office.after(minutes=14)
    calls = [m["thread_ts"] for m in slack.messages if m.get("reply_broadcast")]
    assert sorted(calls) == sorted([left_alone["ts"], heard_of_since["ts"]])


@pytest.mark.parametrize("hours", [-960, 0])
def test_a_snooze_by_a_clock_that_was_ahead_is_over_once_that_is_put_right(
    make_office, slack, a_finding, hours
) -> None:
    office = make_office(on_call={"*": "S0ONCALL"}, escalate={"after_s": 900})
    office.submit(a_finding(severity="critical"))
    office.settle()
    office.clock.pass_(hours=-hours)
    with office.client("maya", "responder") as maya:
        maya.snooze("acme", "sess_1", hours=24, reason="I look at it")
    office.settle()
    office.clock.pass_(hours=hours)
    slack.rates = Rates(office.clock.seconds)
    office.worker = worker_of(office, None)
    office.after(minutes=16)
    assert any(each.get("reply_broadcast") for each in slack.messages) is (hours != 0)


def test_a_storm_that_goes_on_does_not_put_its_digest_off(make_office, slack, a_finding) -> None:
    office = make_office(storm=5)
    for n in range(6):
        office.submit(a_finding(f"sess_{n:02}"))
    slack.troubles.append("429:20")
    office.settle()
    for n in range(6, 16):
        office.submit(a_finding(f"sess_{n:02}"))
        office.settle()
    office.after(seconds=25)
    (digest,) = slack.roots()
    assert "Digest · 16 cases" in str(digest["blocks"])


def test_a_flapping_session_does_not_flap_the_channel(office, slack, a_finding) -> None:
    office.submit(a_finding())
    office.settle()
    with office.client("maya", "responder") as maya, office.client("lee", "approver") as lee:
        for _ in range(10):
            maya.revoke("acme", "sess_1", reason="stop")
            office.after(seconds=10)
            asked = maya.reinstate("acme", "sess_1", reason="go")
            lee.decide_approval(asked.approval.id, "approve", reason="yes")
            office.after(seconds=10)
    until_settled(office)
    assert len(slack.roots()) == 1
    assert len(slack.thread(office.root()["ts"])) <= 6, "200 seconds, a reply a minute"
    assert "▶ Reinstated" in office.text()


def test_while_slack_asks_to_wait_no_case_asks_anything_of_it(make_office, slack, a_finding) -> None:
    office = make_office(storm=100)
    for n in range(20):
        office.submit(a_finding(f"sess_{n:02}"))
    slack.troubles.append("429:60")
    office.settle()
    assert slack.calls == ["chat.postMessage"]
    until_settled(office)
    assert len(slack.roots()) == 20


def test_of_two_processes_the_late_word_of_one_does_not_end_the_write_that_the_other_has_in_hand(
    office, slack, a_finding
) -> None:
    office.submit(a_finding())
    mine, other = office.outbox, CaseOutbox(office.deps, office.options.rules())
    post = mine.claim(office.clock())
    other.recover()
    assert other.claim(office.clock()).id == post.id, "the other started meanwhile, and looks what became of it"
    mine.sent(post.id, "C0SECURITY:1.1")
    office.clock.pass_(minutes=2)
    mine.sent(mine.claim(office.clock()).id, "C0SECURITY:1.1")  # brought up to date
    reply = mine.claim(office.clock())
    assert '"verb":"reply"' in reply.payload
    other.sent(post.id, "C0SECURITY:1.1")
    mine.postponed(reply.id, office.clock() + timedelta(minutes=1), "Slack is away")
    office.clock.pass_(minutes=2)
    assert '"verb":"reply"' in mine.claim(office.clock()).payload


@pytest.mark.parametrize("arrived", [True, False])
def test_the_case_that_another_process_died_with_is_written_once_and_takes_what_comes_later(
    office, slack, a_finding, arrived
) -> None:
    office.submit(a_finding())
    catch_up(office.deps.store, office.clock())
    office.clock.pass_(minutes=20)  # it has been due for long
    row = CaseOutbox(office.deps, office.options.rules()).claim(office.clock())
    if arrived:
        office.worker._channel.deliver(office_alert(row))  # and here the other process dies
    office.submit(a_finding(n=1, title="and again"))
    office.after(minutes=14)
    assert len(slack.roots()) == int(arrived), "it may live, and be about to write"
    office.after(minutes=2)
    until_settled(office)
    assert len(slack.roots()) == 1
    assert "and again" in office.text()


@pytest.mark.parametrize("end", ["postponed", "parked"])
def test_who_failed_late_with_a_write_does_not_take_it_from_the_process_that_has_it_in_hand(
    office, a_finding, end
) -> None:
    office.submit(a_finding())
    mine, other = office.outbox, CaseOutbox(office.deps, office.options.rules())
    post = mine.claim(office.clock())
    other.recover()
    other.claim(office.clock())
    if end == "postponed":
        mine.postponed(post.id, office.clock(), "Slack is away")
    else:
        mine.parked(post.id, "gone")
    office.clock.pass_(hours=2)
    assert mine.claim(office.clock()) is None, "it is still being written"


@pytest.mark.slow
def test_hundreds_of_findings_within_seconds_keep_to_the_limits_and_none_is_lost(
    make_office, slack, a_finding
) -> None:
    many = int(os.environ.get("FINDINGS", "240"))  # FINDINGS=600 is the long one
    office = make_office(serve=False)
    slack.rates.on = True
    kinds = random.Random(6)
    monitor = Principal("monitor", "monitor", frozenset({"*"}), jti="j", expires_at=office.clock())
    for n in range(many):
        severity = kinds.choices(["low", "medium", "high", "critical"], [50, 30, 18, 2])[0]
        receive(office.deps, monitor, a_finding(f"sess_{n:04}", severity=severity))
        office.clock.pass_(seconds=0.03)
        if n % (many // 3) == 0:
            office.settle()
    until_settled(office)
    listed = "".join(str(message["blocks"]) for message in slack.messages)
    missing = [n for n in range(many) if f"`sess_{n:04}`" not in listed]
    assert missing == []
    assert slack.rates.busiest(10) <= 12, "about one message a second"
    assert len(slack.roots()) < 30 + many // 20
