"""Slack is enabled on a deployment that has run for weeks: what is open and recent, and one line for the rest."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
import yaml
from slack_server import CHANNEL, TOKEN
from structlog.testing import capture_logs

from guardian.alerting.worker import AlertWorker
from guardian.bootstrap.control import Control
from guardian.bootstrap.control_store import open_control_store
from guardian.commands import tokens
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.control.cases import beginning
from guardian.control.cases.beginning import begin
from guardian.control.cases.case import case_key
from guardian.control.cases.feeds import catch_up
from guardian.control.cases.outbox import CaseOutbox
from guardian.control.telling.news import tell
from guardian.domain.finding import Effect
from guardian.domain.identity import SessionKey
from guardian.telemetry import Metrics
from guardian.wire.desk import DeskClient

CASES = "SELECT count(*) FROM control_case"


@pytest.fixture
def veteran(make_office, a_finding):
    """Twenty days in shadow: every other session was dismissed, among them the last day's only one."""
    office = make_office(on_call={"*": "S0ONCALL"}, mention_from="critical")
    for day in range(20):
        found = a_finding(f"s{day:02}", time=office.clock())
        office.submit(found)
        if day % 2:
            with office.client("ann", "analyst") as ann:
                ann.judge(found.id, "false_positive", reason="fine")
        office.clock.pass_(hours=20 if day == 19 else 24)
    return office


def calls(slack):
    return [m for m in slack.messages if m.get("reply_broadcast")]


def told(slack, session) -> str:
    """The message of this session's own case; others name it among the similar."""
    (found,) = [str(m["blocks"]) for m in slack.roots() if f"*Session*\\n`{session}`" in str(m["blocks"])]
    return found


def enabled(office) -> None:
    begin(office.deps)
    office.settle()
    with office.deps.store.read() as rows:
        assert rows.feeds.beginning() is None, "it has begun, and does so once"


def test_a_new_channel_shows_what_is_open_and_recent_and_says_how_much_is_older(veteran, slack, a_finding) -> None:
    veteran.submit(a_finding("fresh", time=veteran.clock()))
    enabled(veteran)
    shown = [str(m["blocks"]) for m in slack.roots()]
    (line,) = [text for text in shown if "10 older ones are still flagged" in text]
    assert "guardian sessions --status flagged" in line
    assert ["`fresh`" in text for text in shown if text != line] == [True]


def test_what_a_new_channel_shows_calls_for_help_as_if_it_was_found_now(veteran, slack, a_finding) -> None:
    veteran.submit(a_finding("fresh", time=veteran.clock()))
    veteran.clock.pass_(hours=3)
    enabled(veteran)
    veteran.after(minutes=14)
    assert calls(slack) == []
    veteran.after(minutes=2)
    (call,) = calls(slack)
    assert call["thread_ts"] == veteran.root("fresh")["ts"]


def test_what_somebody_saw_to_before_the_channel_began_calls_nobody(veteran, slack, a_finding) -> None:
    veteran.submit(a_finding("fresh", time=veteran.clock()))
    veteran.clock.pass_(minutes=1)
    with veteran.client("root", "admin") as root:
        root.protect("acme", "fresh", protected=True, reason="the yearly audit")
    veteran.clock.pass_(minutes=1)
    enabled(veteran)
    assert "the yearly audit" in str(slack.thread(veteran.root("fresh")["ts"]))
    veteran.after(hours=1)
    assert calls(slack) == []


def test_an_older_case_that_goes_on_is_shown_when_it_does(veteran, slack, a_finding) -> None:
    enabled(veteran)
    veteran.submit(a_finding("s00", n=1, time=veteran.clock()))
    veteran.submit(a_finding("s01", epoch=1, time=veteran.clock()))
    veteran.settle()
    assert "2 findings" in told(slack, "s00")
    assert "⚑ Flagged" in told(slack, "s01")
    assert len(slack.roots()) == 3


def test_what_waits_for_a_second_person_is_shown_and_the_news_of_weeks_are_not(veteran, slack) -> None:
    veteran.enforce()
    slack.messages.clear()
    with veteran.deps.store.write() as rows:  # as if no channel had ever been there
        for table in ("control_followed", "control_case", "control_case_event"):
            rows.connection.exec_driver_sql(f"DELETE FROM {table}")
    with veteran.client("root", "admin", "*") as admin:
        admin.set_mode("globex", "enforce", reason="two quiet weeks")
    enabled(veteran)
    news = [str(m["blocks"]) for m in slack.roots() if "older" not in str(m["blocks"])]
    assert ["two quiet weeks" in text and "Approve" in text for text in news] == [True]


def test_what_guardian_revoked_before_is_no_open_case_and_what_it_revokes_now_is_told(
    make_office, slack, a_finding
) -> None:
    office = make_office()
    with office.client("root", "admin", "*") as admin, office.client("two", "approver", "*") as second:
        asked = admin.set_mode("acme", "enforce", reason="trusted")
        second.decide_approval(asked.approval.id, "approve", reason="yes")
    office.submit(a_finding("before", wanted=Effect.REVOKE, hard=True))
    enabled(office)
    assert slack.roots() == []
    office.submit(a_finding("now", wanted=Effect.REVOKE, hard=True))
    office.settle()
    assert "■ Revoked" in office.text("now")


def test_a_channel_that_was_away_for_weeks_gets_everything(office, slack, a_finding) -> None:
    enabled(office)
    assert slack.messages == []
    for day in range(3):
        found = a_finding(f"s{day}", time=office.clock())
        office.submit(found)
        with office.client("ann", "analyst") as ann:
            ann.judge(found.id, "false_positive", reason="fine")
        office.clock.pass_(days=7)
    enabled(office)
    assert ["○ Dismissed" in told(slack, f"s{day}") for day in range(3)] == [True] * 3


def test_a_restart_says_nothing_again(veteran, slack) -> None:
    enabled(veteran)
    before = len(slack.messages)
    channel = replace(veteran.options).open(veteran.clock.given)
    outbox = CaseOutbox(veteran.deps, veteran.options.rules())
    veteran.worker = AlertWorker(outbox, channel, metrics=veteran.deps.metrics, now=veteran.clock)
    veteran.after(days=2)
    enabled(veteran)
    assert len(slack.messages) == before


def test_a_database_that_does_not_say_so_and_was_written_from_is_none_where_slack_begins(
    veteran, slack, a_finding
) -> None:
    veteran.settle()  # as versions did that noted no beginning
    veteran.submit(a_finding("missed", time=veteran.clock()))
    with veteran.client("ann", "analyst") as ann:
        ann.judge(a_finding("missed", time=veteran.clock()).id, "false_positive", reason="fine")
    veteran.clock.pass_(days=7)
    enabled(veteran)
    assert "○ Dismissed" in told(slack, "missed")


@pytest.mark.parametrize("held", [{"floor": "critical"}, {"quiet_hours": {"from": "11:00", "to": "20:00"}}])
def test_cases_that_were_followed_and_not_written_yet_are_not_taken_in_again(
    make_office, slack, a_finding, held
) -> None:
    office = make_office(**held)
    office.submit(a_finding(time=office.clock()))
    office.settle()  # as versions did that noted no beginning
    office.clock.pass_(hours=1)
    enabled(office)
    with office.deps.store.read() as rows:
        case = rows.cases.of_session(SessionKey("acme", "sess_1"))
    assert (slack.messages, case.findings, case.events) == ([], 1, 1)


def test_a_snooze_alone_is_no_channel_that_followed(make_office, slack, a_finding) -> None:
    office = make_office()
    office.submit(a_finding(time=office.clock()))
    with office.client("ann", "analyst") as ann:
        ann.snooze("acme", "sess_1", hours=1, reason="lunch")
    office.clock.pass_(hours=30)
    office.submit(a_finding("fresh", time=office.clock()))
    enabled(office)
    assert ["fresh" in str(m["blocks"]) for m in slack.roots() if "older" not in str(m["blocks"])] == [True]


def test_a_revoked_session_of_which_somebody_asks_that_it_is_given_back_is_shown(
    make_office, slack, a_finding
) -> None:
    office = make_office()
    office.submit(a_finding(time=office.clock()))
    with office.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_1", reason="bad")
        office.clock.pass_(hours=2)
        assert maya.reinstate("acme", "sess_1", reason="was fine").approval is not None
    enabled(office)
    assert "Approve" in told(slack, "sess_1")
    assert str(slack.thread(office.root()["ts"])).count("was fine") == 1


def test_what_waits_for_a_second_person_is_shown_however_old_it_is(veteran, slack, a_finding, monkeypatch) -> None:
    monkeypatch.setattr(beginning, "_AT_ONCE", 1)
    with veteran.deps.store.write() as rows:
        rows.connection.exec_driver_sql("DELETE FROM control_alert WHERE id > 10")
        rows.connection.exec_driver_sql("DELETE FROM control_delivery WHERE alert_id > 10")
    with veteran.client("maya", "responder", "*") as maya, veteran.client("root", "admin", "*") as admin:
        for name in ("s00", "s02"):
            assert maya.revoke("acme", name, reason="bad").session.status == "revoked"
            assert maya.reinstate("acme", name, reason="was fine").approval is not None
        for tenant in ("globex", "initech"):
            admin.set_mode(tenant, "enforce", reason=f"{tenant} is quiet")
    with veteran.deps.store.write() as rows:
        rows.connection.exec_driver_sql(
            "UPDATE control_approval SET expires_at = '2026-07-01 12:00:00' WHERE tenant_id != 'initech'"
        )
    veteran.clock.pass_(days=2)
    begin(veteran.deps)
    for _ in range(10):
        veteran.settle()
    assert ["Approve" in told(slack, name) for name in ("s00", "s02")] == [True, True]
    others = [str(m["blocks"]) for m in slack.roots() if "is quiet" in str(m["blocks"])]
    assert ["globex" in text for text in others] == [True]
    (line,) = [str(m["blocks"]) for m in slack.roots() if "older ones" in str(m["blocks"])]
    assert "8 older ones" in line


def test_what_is_asked_about_a_session_without_a_case_is_shown_too(veteran, slack) -> None:
    with veteran.client("maya", "responder") as maya:
        maya.revoke("acme", "sess_9", reason="a typo")
        assert maya.reinstate("acme", "sess_9", reason="I meant another").approval is not None
    veteran.clock.pass_(hours=2)
    enabled(veteran)
    (asked,) = [str(m["blocks"]) for m in slack.roots() if "older ones" not in str(m["blocks"])]
    assert ("I meant another" in asked, "Approve …" in asked) == (True, True)


def test_severe_news_of_the_last_day_are_shown_and_what_became_of_them(make_office, slack) -> None:
    office = make_office()

    def say(topic: str, title: str, severity: str) -> None:
        with office.deps.store.write() as rows:
            told = {"topic": topic, "tenant_id": "acme", "title": title, "detail": "d", "severity": severity}
            tell(office.deps, rows, **told, once=title, now=office.clock())

    say("gateway", "gw-0 was silent days ago", "critical")
    office.clock.pass_(days=2)
    say("exception", "an exception was made", "low")
    say("gateway", "gw-1 is silent", "critical")
    say("gateway", "gw-2 is back", "info")
    office.clock.pass_(hours=1)
    enabled(office)
    (root,) = slack.roots()
    assert "gw-2 is back" in str(root["blocks"])
    assert ["gw-1 is silent" in str(m) for m in slack.thread(root["ts"])] == [True]
    assert "gw-0" not in str(slack.messages)


@pytest.mark.parametrize("floor", ["medium", "critical"])
def test_how_much_is_older_is_said_however_severe_a_case_must_be(make_office, slack, a_finding, floor) -> None:
    office = make_office(floor=floor, on_call={"*": "S0ONCALL"})
    office.submit(a_finding(time=office.clock()))
    office.clock.pass_(days=3)
    enabled(office)
    assert ["1 older" in str(m) for m in slack.roots()] == [True]
    assert "S0ONCALL" not in str(slack.messages)


def positions(office) -> list[int]:
    with office.deps.store.read() as rows:
        return [rows.feeds.position("alerts"), rows.connection.exec_driver_sql(CASES).scalar_one()]


def test_what_was_before_is_taken_in_a_part_at_a_time_and_only_then_written(
    make_office, slack, a_finding, monkeypatch
) -> None:
    monkeypatch.setattr(beginning, "_AT_ONCE", 2)
    office = make_office()
    for n in range(5):
        office.submit(a_finding(f"s{n}", time=office.clock()))
    begin(office.deps)
    assert positions(office) == [0, 0], "nobody waits for it where guardian starts"
    office.submit(a_finding("later", time=office.clock()))
    seen = []
    for _ in range(3):
        office.worker.step()
        seen.append((positions(office), len(slack.messages)))
    assert seen[:2] == [([2, 2], 0), ([4, 4], 0)]
    assert seen[2] == ([6, 6], 1)


def test_a_process_that_dies_while_it_begins_loses_nothing_and_tells_nothing_twice(
    veteran, slack, a_finding, monkeypatch
) -> None:
    monkeypatch.setattr(beginning, "_AT_ONCE", 2)
    for n in range(3):
        for again in range(3):
            veteran.submit(a_finding(f"new{n}", n=again, time=veteran.clock()))
    begin(veteran.deps)
    for _ in range(2):
        assert CaseOutbox(veteran.deps, veteran.options.rules()).claim(veteran.clock()) is None
    begin(veteran.deps)  # the next one
    for _ in range(20):
        veteran.settle()
    with veteran.deps.store.read() as rows:
        cases = [rows.cases.of_session(SessionKey("acme", f"new{n}")) for n in range(3)]
    assert [(case.findings, case.events) for case in cases] == [(3, 3)] * 3
    assert len([m for m in slack.roots() if "10 older ones" in str(m["blocks"])]) == 1
    assert len(slack.roots()) == 4


def test_what_somebody_did_is_told_once_where_their_case_is_taken_in_part_by_part(
    make_office, slack, a_finding, monkeypatch
) -> None:
    monkeypatch.setattr(beginning, "_AT_ONCE", 1)
    office = make_office()
    for n in range(3):
        office.submit(a_finding(n=n, time=office.clock()))
    office.clock.pass_(minutes=1)
    with office.client("root", "admin") as root:
        root.protect("acme", "sess_1", protected=True, reason="before")
        begin(office.deps)
        root.protect("acme", "sess_1", protected=False, reason="meanwhile")
    for _ in range(20):
        office.after(minutes=2)
    said = str(slack.thread(office.root()["ts"]))
    assert [said.count(why) for why in ("before", "meanwhile")] == [1, 1]
    assert calls(slack) == []


def test_an_alert_that_cannot_be_read_keeps_no_other_from_people(make_office, slack, a_finding) -> None:
    office = make_office()
    for name in ("s1", "s2", "s3"):
        office.submit(a_finding(name, time=office.clock()))
    with office.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_alert SET payload = '{}' WHERE id = 1")
    with capture_logs() as lines:
        enabled(office)
        with office.deps.store.write() as rows:
            rows.feeds.follow("alerts", 0)  # and as in any other time
        office.settle()
    assert [line["alert"] for line in lines if line["event"] == "alert_unreadable"] == [1, 1]
    assert [bool(told(slack, name)) for name in ("s2", "s3")] == [True, True]


@pytest.mark.parametrize("begins", [True, False])
def test_nor_does_a_finding_that_cannot_be_read(make_office, slack, a_finding, begins) -> None:
    office = make_office()
    if not begins:
        enabled(office)
    for name in ("s1", "s2", "s3"):
        office.submit(a_finding(name, time=office.clock()))
    with office.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_finding SET finding = '{}' WHERE session_id = 's1'")
    with capture_logs() as lines:
        if begins:
            enabled(office)
        office.settle()
    unreadable = {line["case"] for line in lines if line["event"] == "case_unreadable"}
    assert unreadable == {case_key(SessionKey("acme", "s1"))}
    assert len(slack.roots()) == 3, "its alert is shown all the same"
    assert [bool(told(slack, name)) for name in ("s2", "s3")] == [True, True]


def test_nor_in_a_storm_and_nor_does_an_alert_that_was_heard_before_it_could_not_be_read(
    make_office, slack, a_finding
) -> None:
    office = make_office(storm=5)
    enabled(office)
    for n in range(10):
        office.submit(a_finding(f"s{n}", time=office.clock()))
    with office.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_finding SET finding = '{}' WHERE session_id = 's4'")
    catch_up(office.deps.store, office.clock())
    with office.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_alert SET payload = '{}' WHERE id = 3")
    office.after(minutes=1)
    (digest,) = slack.roots()
    listed = str(slack.thread(digest["ts"]))
    assert [f"`s{n}`" in listed or f"s{n} " in listed for n in (1, 3, 4, 9)] == [True] * 4
    office.clock.pass_(hours=1)
    office.submit(a_finding("late", time=office.clock()))
    office.settle()
    assert told(slack, "late")


@pytest.mark.slow
def test_slack_that_is_configured_later_begins_then(tmp_path, slack, a_finding, monkeypatch) -> None:
    path = initialise(tmp_path / "home")
    slack.wall = time.time

    @contextmanager
    def served() -> Iterator[DeskClient]:
        control = Control(load(path), metrics=Metrics(), port=0)
        control.start()
        try:
            monitor = tokens.issue(
                load(path), "m", role="monitor", tenants={"*"}, ttl=tokens.timedelta(hours=1)
            ).text
            with DeskClient(control.url, lambda: monitor) as client:
                yield client
        finally:
            control.stop()

    with served() as client:
        client.submit(a_finding("before"))
    with closing(open_control_store(load(path))) as store, store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_alert SET created_at = '2026-05-12 12:00:00.000000'")
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    body["alerts"] = {"slack": {"channel": CHANNEL, "base_url": slack.url}}
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    monkeypatch.setenv("GUARDIAN_SLACK__TOKEN", TOKEN)
    with served() as client:
        client.submit(a_finding("later"))
        slack.until(lambda: len(slack.roots()) == 2)
    assert "1 older" in str(slack.roots())
    assert told(slack, "later")
