"""What is written about a case, where and when: pure rules."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.alerting.rules import Done, Fold, QuietHours, Rules, Wait, Write, next_call, next_move, rank
from guardian.alerting.slack import SlackOptions
from guardian.errors import ConfigurationError
from guardian.store.control.cases import StoredCase
from guardian.store.control.picture import Picture

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def case(**changes: Any) -> StoredCase:
    told: dict[str, Any] = dict.fromkeys(StoredCase._fields)
    told |= dict.fromkeys(("alert_id", "findings", "events", "told", "steps", "attempts"), 0)
    told |= {"key": "k", "tenant_id": "acme", "session_id": "s", "kind": "session", "purpose": "review", "rank": 3}
    told |= {
        "channel": "",
        "state": "flagged",
        "digest": "new",
        "shown": Picture(),
        "status": "due",
        "last_error": "",
    }
    told |= {"next_at": NOW, "opened_at": NOW}
    return StoredCase(**{**told, **changes})


def shown(**changes: Any) -> StoredCase:
    return case(**{"place": "C1:1", "shown": Picture("new"), "written_at": NOW, **changes})


def move(told: StoredCase, rules: Rules | None = None, *, crowd: int = 1, now: datetime = NOW) -> object:
    return next_move(told, rules or Rules(), crowd=crowd, now=now)


def test_a_new_case_gets_its_message_and_a_crowd_a_digest() -> None:
    assert move(case()) == Write("post")
    assert move(case(), crowd=20) == Write("post")
    assert move(case(), crowd=21) == Fold()
    assert move(case(kind="news"), crowd=500) == Write("post"), "control's own news are never folded"


def test_what_a_digest_lists_stays_there_when_it_changes_and_makes_a_line_a_minute_at_most() -> None:
    assert move(case(folded_into="d", shown=Picture("new"))) == Done()
    changed = case(folded_into="d", shown=Picture("old"))
    assert move(changed) == Fold()
    assert move(changed._replace(replied_at=NOW)) == Wait(NOW + timedelta(minutes=1))
    assert move(changed._replace(replied_at=NOW), now=NOW + timedelta(minutes=1)) == Fold()
    assert move(changed._replace(snoozed_until=NOW + timedelta(hours=1))) == Wait(NOW + timedelta(hours=1))


def test_what_is_below_the_floor_is_not_shown() -> None:
    assert move(case(rank=2), Rules(floor=3)) == Done()
    assert move(case(rank=3), Rules(floor=3)) == Write("post")


def test_what_asks_for_a_second_person_is_shown_in_time() -> None:
    quiet = QuietHours(start=time(11), end=time(20), zone=ZoneInfo("UTC"))
    rules = Rules(floor=4, quiet=quiet)
    assert move(case(), rules) == Done()
    assert next_move(case(), rules, crowd=1, now=NOW, asks=True) == Write("post")
    assert next_move(case(), rules, crowd=21, now=NOW, asks=True) == Fold(), "its line names the request"


def test_the_message_is_brought_up_to_date_when_the_case_changed_and_not_in_a_flurry() -> None:
    assert move(shown(shown=Picture("old"), written_at=NOW - timedelta(seconds=9))) == Write("update")
    assert move(shown(shown=Picture("old"))) == Wait(NOW + timedelta(seconds=3))


def test_a_reply_a_minute_at_most() -> None:
    told = shown(events=2, told=1, acted_at=NOW)
    assert move(told) == Write("reply")
    assert move(told._replace(replied_at=NOW)) == Wait(NOW + timedelta(minutes=1))
    assert move(told._replace(replied_at=NOW, kind="digest")) == Write("reply")


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({}, True),
        ({"state": "revoke_requested"}, True),
        ({"state": "revoked"}, False),
        ({"acted_at": NOW}, False),
        ({"escalated_at": NOW}, False),
        ({"rank": 2}, False),
        ({"snoozed_until": NOW + timedelta(hours=3)}, False),
        ({"kind": "digest"}, True),
        ({"kind": "digest", "state": ""}, False),
    ],
)
def test_what_nobody_acts_on_calls_for_help(changes: dict[str, Any], calls: bool) -> None:
    late = NOW + timedelta(minutes=15)
    assert (move(shown(**changes), now=late) == Write("escalate")) is calls
    assert move(shown(**changes), Rules(escalate_after=None), now=late) != Write("escalate")


def test_what_waited_for_the_end_of_quiet_hours_calls_for_help_no_sooner_than_people_could_act() -> None:
    rules = Rules(quiet=QuietHours(start=time(20), end=time(7), zone=BERLIN))
    night, morning = datetime(2026, 5, 12, 20, tzinfo=UTC), datetime(2026, 5, 13, 5, tzinfo=UTC)
    shown_then = shown(opened_at=night, written_at=morning)
    assert move(shown_then, rules, now=morning) == Wait(morning + timedelta(minutes=15))
    assert move(shown_then, rules, now=morning + timedelta(minutes=15)) == Write("escalate")
    assert move(shown_then._replace(rank=4), rules, now=night + timedelta(minutes=15)) == Write("escalate")


def test_a_case_that_people_know_of_and_that_gets_worse_at_night_calls_for_help_at_night() -> None:
    rules = Rules(quiet=QuietHours(start=time(20), end=time(7), zone=BERLIN))
    night = datetime(2026, 5, 13, 0, tzinfo=UTC)
    for written in (night - timedelta(hours=9), night):  # as it stood by day, and brought up to date since
        told = shown(opened_at=night, written_at=written)
        assert move(told, rules, now=night + timedelta(minutes=14)) == Wait(night + timedelta(minutes=15))
        assert move(told, rules, now=night + timedelta(minutes=15)) == Write("escalate")


def test_what_called_before_it_was_snoozed_calls_again_when_that_ends() -> None:
    until = NOW + timedelta(hours=1)
    told = shown(escalated_at=NOW, snoozed_until=until)
    assert move(told, now=NOW + timedelta(minutes=59)) == Wait(until)
    assert move(told, now=until) == Write("escalate")
    assert move(told._replace(escalated_at=until), now=until + timedelta(days=9)) == Done(), "once"
    assert move(told._replace(acted_at=NOW), now=until) == Done()


def test_what_nobody_acts_on_calls_again_as_often_as_the_configuration_says() -> None:
    rules = SlackOptions(channel="C0X", token="xoxb-1", escalate={"repeat_s": 3600}).rules()
    hour = timedelta(hours=1)
    assert move(shown(escalated_at=NOW), rules, now=NOW + timedelta(minutes=59)) == Wait(NOW + hour)
    assert move(shown(escalated_at=NOW), rules, now=NOW + hour) == Write("escalate")
    assert move(shown(escalated_at=NOW, acted_at=NOW), rules, now=NOW + hour) == Done()
    assert move(shown(escalated_at=NOW), now=NOW + timedelta(days=9)) == Done(), "unless it says nothing"
    at_night = replace(rules, quiet=QuietHours(start=time(12, 30), end=time(20), zone=ZoneInfo("UTC")))
    assert move(shown(escalated_at=NOW), at_night, now=NOW + hour) == Wait(NOW.replace(hour=20))
    assert move(shown(escalated_at=NOW, rank=4), at_night, now=NOW + hour) == Write("escalate")


def test_what_its_channel_refuses_calls_where_somebody_hears_it() -> None:
    late, rules = NOW + timedelta(minutes=15), Rules(channel="C0X", escalate_channel="C0ONCALL")
    refused = case(last_error="Slack refuses: is_archived")
    assert next_call(refused, rules) == late
    assert move(refused, rules, now=NOW) == Write("post")
    assert move(refused, rules, now=late) == Write("escalate")
    assert move(case(), rules, now=late) == Write("post"), "it was not refused yet"
    for nowhere in (Rules(channel="C0X"), Rules(channel="C0X", escalate_channel="C0X")):
        assert move(refused, nowhere, now=late) == Write("post")
    snoozed = refused._replace(snoozed_until=NOW + timedelta(hours=3))
    assert move(snoozed, rules, now=late) == Write("post")
    edit = shown(shown=Picture(), last_error="Slack refuses: is_archived", written_at=NOW - timedelta(days=1))
    assert move(edit, rules, now=NOW) == Write("update")
    assert move(edit, rules, now=late) == Write("escalate")
    assert move(edit._replace(last_error=""), rules, now=late) == Write("update"), "it was not refused"


def test_a_snoozed_case_is_silent_until_then_and_kept_up_to_date() -> None:
    until = NOW + timedelta(hours=3)
    assert move(shown(events=1, snoozed_until=until)) == Wait(until)
    changed = shown(shown=Picture("old"), events=1, snoozed_until=until, written_at=NOW - timedelta(minutes=1))
    assert move(changed) == Write("update")


@pytest.mark.parametrize(
    ("start", "end", "now", "until"),
    [
        ("20:00", "07:00", "2026-05-12T21:00+02:00", "2026-05-13T07:00+02:00"),
        ("20:00", "07:00", "2026-05-13T03:00+02:00", "2026-05-13T07:00+02:00"),
        ("20:00", "07:00", "2026-05-13T07:00+02:00", None),
        ("12:00", "13:00", "2026-05-13T12:30+02:00", "2026-05-13T13:00+02:00"),
        ("12:00", "13:00", "2026-05-13T11:59+02:00", None),
        ("22:00", "02:30", "2026-10-25T02:10+02:00", "2026-10-25T02:30+02:00"),  # clocks go back at three
        ("22:00", "02:30", "2026-10-25T02:40+02:00", None),
        ("22:00", "02:30", "2026-10-25T02:10+01:00", "2026-10-25T02:30+01:00"),
    ],
)
def test_quiet_hours_also_over_midnight(start: str, end: str, now: str, until: str | None) -> None:
    hours = QuietHours(start=time.fromisoformat(start), end=time.fromisoformat(end), zone=BERLIN)
    found = hours.until(datetime.fromisoformat(now).astimezone(UTC))
    assert (found and found.astimezone(UTC)) == (until and datetime.fromisoformat(until).astimezone(UTC))


@given(st.integers(0, 4), st.integers(0, 60), st.integers(0, 23))
def test_the_most_severe_is_never_held_back(severity: int, crowd: int, hour: int) -> None:
    quiet = QuietHours(start=time(0), end=time(23, 59), zone=ZoneInfo("UTC"))
    got = move(case(rank=severity), Rules(quiet=quiet, storm=60), crowd=crowd, now=NOW.replace(hour=hour))
    assert got == Write("post") if severity == rank("critical") else isinstance(got, Wait)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"routes": ({"channel": "#x"},)}, r"routes\[1\].channel"),
        ({"routes": ({"channel": "C0X", "tennant": "a"},)}, "tenant"),
        ({"routes": ({"channel": "C0X", "tenant": ("acme", "globex")},)}, r"routes\[1\].tenant must be one name"),
        ({"routes": ({"channel": "C0X", "tenant": "*"},)}, "leave it out for all"),
        ({"routes": ({"channel": "C0X", "purpose": ("review",)},)}, r"routes\[1\].purpose must be one name"),
        ({"floor": "severe"}, "floor must be one of info"),
        ({"quiet_hours": {"from": 1200, "to": "07:00"}}, "quoted"),
        ({"quiet_hours": {"from": "20:00"}}, "quiet_hours"),
        ({"quiet_hours": {"from": "20:00", "to": "20:00"}}, "the same"),
        ({"quiet_hours": {"from": "20:00", "to": "07:00", "zone": "Mars"}}, "quiet_hours"),
        ({"quiet_hours": {"from": "20:00", "to": "07:00", "zone": "Europe"}}, "quiet_hours"),
        ({"quiet_hours": {"from": "20:00+02:00", "to": "07:00"}}, "has an offset of its own"),
        ({"quiet_hours": {"from": "20:00", "to": "07:00Z"}}, "has an offset of its own"),
        ({"storm": 0}, "storm"),
        ({"escalate": {"after_s": -1}}, "after_s"),
        ({"escalate": {"repeat_s": 59}}, "repeat_s must be 0 or at least 60"),
        ({"escalate": {"repeat_s": "1h"}}, "repeat_s must be seconds, at most a week"),
        ({"escalate": {"when": 5}}, "escalate takes"),
        ({"on_call": {"acme": "@maya"}}, "on_call"),
        ({"on_call": ("S0ONCALL",)}, "on_call is by tenant"),
        ({"mention_from": "never"}, "mention_from"),
    ],
)
def test_impossible_rules_are_refused_at_the_start(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        SlackOptions(channel="C0SECURITY", token="xoxb-1", **options)
