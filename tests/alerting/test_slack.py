"""The real slack-sdk against a Slack of our own."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from slack_server import TOKEN

from guardian.alerting.delivered import message_id
from guardian.alerting.port import Alert, RetryLater
from guardian.alerting.slack import SlackChannel, SlackOptions
from guardian.alerting.slack_calls import SlackCalls
from guardian.errors import AlertError, ConfigurationError


def test_a_post_arrives_with_blocks_fallback_text_and_the_findings_id(slack, channel, make_alert) -> None:
    alert = make_alert()
    reference = channel.deliver(alert)
    [message] = slack.messages
    assert reference == f"C0SECURITY:{message['ts']}"
    assert message["metadata"] == {
        "event_type": "guardian_finding",
        "event_payload": {
            "message": message_id(alert),
            "finding_id": alert.finding.id,
            "case": alert.case,
        },
    }
    assert message["text"].startswith("⛔ CRITICAL")
    assert message["blocks"][0]["type"] == "header"


def test_nothing_is_unfurled_and_no_name_is_linked(slack, channel, make_alert) -> None:
    channel.deliver(make_alert())
    [message] = slack.messages
    assert (message["unfurl_links"], message["unfurl_media"]) == (False, False)
    assert (message["parse"], message["link_names"]) == ("none", False)


def test_posts_keep_to_one_a_second(slack, channel, make_alert, time) -> None:
    for n in range(5):
        channel.deliver(make_alert(n))
    assert time.slept == [1.0] * 4
    assert len(slack.messages) == 5


def test_a_short_retry_after_is_waited_out_in_place(slack, channel, make_alert) -> None:
    slack.troubles.append("429:0")
    channel.deliver(make_alert())
    assert slack.calls == ["chat.postMessage", "chat.postMessage"]
    assert len(slack.messages) == 1


def test_a_long_retry_after_goes_back_to_the_outbox_with_its_wait(slack, channel, make_alert) -> None:
    slack.troubles.append("429:120")
    with pytest.raises(RetryLater) as later:
        channel.deliver(make_alert())
    assert later.value.after_s == 120
    assert slack.calls == ["chat.postMessage"]


def test_a_wait_that_is_no_number_is_none(slack, channel, make_alert) -> None:
    slack.troubles.append("429:²")
    with pytest.raises(RetryLater, match="rate limited") as later:
        channel.deliver(make_alert())
    assert later.value.after_s is None


def test_a_wait_that_slack_asks_for_where_something_is_looked_for_keeps_no_post(
    slack, channel, make_alert
) -> None:
    slack.read_troubles.extend(["", "429:120"])  # who the token is, then the channel's history
    with pytest.raises(RetryLater):
        channel.find(make_alert(1))
    channel.deliver(make_alert(2))
    assert len(slack.messages) == 1
    with pytest.raises(RetryLater) as later:
        channel.find(make_alert(1))
    assert later.value.after_s > 100
    assert slack.calls == ["auth.test", "conversations.history", "chat.postMessage"]


def test_what_cannot_be_posted_yet_is_not_looked_for(slack, channel, make_alert) -> None:
    slack.troubles.append("429:120")
    with pytest.raises(RetryLater):
        channel.deliver(make_alert(1))
    with pytest.raises(RetryLater):
        channel.find(make_alert(2))
    assert slack.calls == ["chat.postMessage"]


@pytest.mark.parametrize("trouble", ["500", "drop", "drop_after", "garbage_after", "slow_after"])
def test_an_unclear_answer_is_never_repeated_blindly(slack, channel, make_alert, trouble: str) -> None:
    slack.troubles.append(trouble)
    with pytest.raises(RetryLater):
        channel.deliver(make_alert())
    assert slack.calls == ["chat.postMessage"]


@pytest.mark.parametrize("trouble", ["drop_after", "garbage_after", "slow_after"])
def test_a_post_whose_answer_was_lost_is_found(slack, channel, make_alert, trouble: str) -> None:
    slack.troubles.append(trouble)
    alert = make_alert()
    with pytest.raises(RetryLater):
        channel.deliver(alert)
    assert channel.find(alert) == f"C0SECURITY:{slack.messages[0]['ts']}"


def test_a_post_that_never_arrived_is_not_found(slack, channel, make_alert) -> None:
    channel.deliver(make_alert(1))
    assert channel.find(make_alert(2)) is None


def test_the_search_turns_pages(slack, channel, make_alert) -> None:
    channel.deliver(make_alert())
    for n in range(450):
        slack.store({"text": f"chatter {n}"}, bot="B0OTHER", user="U0OTHER")
    assert channel.find(make_alert()) is not None
    assert slack.calls.count("conversations.history") == 3


def test_another_app_cannot_suppress_an_alert_by_imitating_its_metadata(slack, channel, make_alert) -> None:
    alert = make_alert()
    metadata = {"event_type": "guardian_finding", "event_payload": {"message": message_id(alert)}}
    slack.store({"text": "nothing to see", "metadata": metadata}, bot="B0EVIL", user="U0EVIL")
    assert channel.find(alert) is None


def test_a_read_is_repeated_after_a_500(slack, channel, make_alert) -> None:
    slack.read_troubles.append("500")
    assert channel.find(make_alert()) is None
    assert slack.calls == ["auth.test", "auth.test", "conversations.history"]


def test_a_channel_that_cannot_be_read_says_which_scope_it_needs(slack, channel, make_alert) -> None:
    slack.scopes.discard("channels:history")
    with pytest.raises(AlertError, match="needs channels:history"):
        channel.find(make_alert())


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel", "is_archived", "token_revoked"])
def test_a_refusal_for_good_is_an_alert_error_that_names_it(slack, channel, make_alert, error: str) -> None:
    slack.troubles.append(f"refuse:{error}")
    with pytest.raises(AlertError, match=error):
        channel.deliver(make_alert())


@pytest.mark.parametrize("error", ["ratelimited", "internal_error", "fatal_error", "service_unavailable"])
def test_a_passing_trouble_in_a_200_is_tried_later(slack, channel, make_alert, error: str) -> None:
    slack.troubles.append(f"refuse:{error}")
    with pytest.raises(RetryLater):
        channel.deliver(make_alert())


def test_blocks_that_slack_dislikes_become_one_plain_line_rather_than_silence(slack, channel, make_alert) -> None:
    slack.troubles.append("refuse:invalid_blocks")
    channel.deliver(make_alert())
    [message] = slack.messages
    assert "blocks" not in message
    assert "agent_renewal_review" in message["text"]


def test_a_wrong_token_is_refused_for_good_and_not_shown(slack, time, make_alert) -> None:
    options = SlackOptions(channel="C0SECURITY", token="xoxb-wrong", base_url=slack.url)
    channel = options.open(time.given)
    with pytest.raises(AlertError, match="invalid_auth") as refused:
        channel.deliver(make_alert())
    assert "xoxb-wrong" not in str(refused.value)
    assert "xoxb-wrong" not in repr(options)


def test_the_message_that_slack_holds_has_no_live_mention_or_link_of_the_agent(slack, channel, make_alert) -> None:
    channel.deliver(make_alert())
    held = json.dumps(slack.messages[0], ensure_ascii=False)
    assert "<!channel>" not in held
    assert "https://evil" not in held
    assert "https[:]//evil.example" in held


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channel": "#security"}, "channel ID"),
        ({"token": ""}, "xoxb-"),
        ({"token": "xoxb-a b"}, "xoxb-"),
        ({"base_url": "http://slack.example/api/"}, "https"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_sent(options: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"channel": "C0SECURITY", "token": "xoxb-1"}
    with pytest.raises(ConfigurationError, match=says):
        SlackOptions(**{**good, **options})


def test_a_dead_slack_is_a_reason_to_try_later(time, make_alert: Callable[..., Alert]) -> None:
    options = SlackOptions(channel="C0SECURITY", token="xoxb-1", base_url="http://127.0.0.1:9/api/", timeout=1)
    channel: SlackChannel = options.open(time.given)
    with pytest.raises(RetryLater):
        channel.deliver(make_alert())


def test_an_answer_of_slack_in_drops_is_cut_off(dripping, monkeypatch) -> None:
    monkeypatch.setattr("guardian.alerting.slack_calls._ShortWaits.longest_s", 0)
    monkeypatch.setattr("guardian.alerting.slack_calls._ANSWER_S", 0.2)
    base = f"http://127.0.0.1:{dripping.port}/"
    calls = SlackCalls(token=TOKEN, base_url=base + "api/", timeout=0.1)
    with pytest.raises(RetryLater, match="TimeoutError"):
        calls.me()
    dripping.answer = b"hello " * 80
    with pytest.raises(RetryLater, match="TimeoutError"):
        calls.answer(base + "commands/1", "done")
