"""Alerts in the log."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from guardian.alerting.log import LogChannel, LogOptions
from guardian.telemetry import configure_logging


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_alert_is_one_structured_line(lines, make_alert, time) -> None:
    LogOptions().open(time.given).deliver(make_alert())
    [line] = read(lines)
    assert line["event"] == "alert"
    assert line["agent"] == "agent_renewal_review"
    assert line["granted"] == "revoke"
    assert line["correlation_id"] == "cor_1"


def test_names_that_differ_in_white_space_differ_in_the_log(lines, make_alert, time) -> None:
    LogOptions().open(time.given).deliver(make_alert(session_id="two  words"))
    [line] = read(lines)
    assert line["session"] == "two‹U+0020›‹U+0020›words"


def test_that_slack_is_not_configured_is_said_exactly_once(lines, make_alert) -> None:
    channel = LogChannel(because="alerts.slack.token is not set")
    for n in range(3):
        channel.deliver(make_alert(n))
    assert [line["event"] for line in read(lines)].count("alerts_go_to_the_log") == 1


def test_an_agent_cannot_forge_a_line(lines, make_alert, time) -> None:
    channel = LogOptions().open(time.given)
    channel.deliver(make_alert(title='x"}\n{"event": "all is well"}\x1b[2J'))
    [line] = read(lines)
    assert line["title"] == 'x"} {"event": "all is well"}‹U+001B›[2J'


def test_a_written_alert_is_found_until_the_process_ends(lines, make_alert, time) -> None:
    channel = LogOptions().open(time.given)
    assert channel.find(make_alert(1)) is None
    reference = channel.deliver(make_alert(1))
    assert channel.find(make_alert(1)) == reference
    assert channel.find(make_alert(2)) is None
