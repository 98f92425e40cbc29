"""What arrives where a filter stops what an agent wrote."""

import base64
import json
import re

import jsonschema
import pytest
from ocsf_json_schema import get_ocsf_schema
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded
from ports import port_of, reserve
from structlog.testing import capture_logs

from guardian.alerting.bare import bare
from guardian.alerting.delivered import message_id
from guardian.alerting.email import EmailOptions, mail
from guardian.alerting.ocsf import to_ocsf
from guardian.alerting.ocsf_http import OcsfHttpOptions
from guardian.alerting.port import RetryLater
from guardian.alerting.webhook import WebhookOptions
from guardian.domain.finding import Act, Effect, Kind, NamedBreach, Reason, Subject
from guardian.errors import AlertError
from guardian.wire.findings import AlertOutcome

STOPPED = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@pytest.fixture
def everywhere(make_alert):
    """An alert with what filters stop in every place that an agent, or whoever it speaks to, can write in."""

    def make(**changes):
        sample = make_alert().finding
        act = Act(decision_id=STOPPED, gateway=STOPPED, tool=STOPPED, arguments=STOPPED, time=sample.time)
        told = {
            "title": STOPPED,
            "act": act,
            "subject": Subject(delegator_id=STOPPED, agent_id=STOPPED, purpose=STOPPED),
            "reasons": (Reason(signal=STOPPED, share=1.0, value=1.0, text=STOPPED),),
            "breaches": (NamedBreach(name=STOPPED, detail=STOPPED, hard=True),),
            "features_missing": (STOPPED,),
            "versions": {STOPPED: STOPPED},
            "correlation_id": STOPPED,
        }
        outcome = AlertOutcome(effect=Effect.REVOKE, allowed=True, note=STOPPED, policy_ids=(STOPPED,))
        return make_alert(outcome=outcome, **{**told, **changes})

    return make


@pytest.fixture
def email(mailbox, time):
    told = {"host": "127.0.0.1", "port": mailbox.port, "tls": "none"}
    options = EmailOptions(**told, sender="guardian@acme.example", recipients=("soc@acme.example",))
    return options.open(time.given)


@pytest.fixture
def webhook(receiver, tmp_path, time):
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    (tmp_path / "secret").chmod(0o600)
    options = WebhookOptions(url=receiver.url, secret_file=str(tmp_path / "secret"))
    return options.open(time.given)


@pytest.fixture
def collector(receiver, time):
    return OcsfHttpOptions(url=receiver.url).open(time.given)


def test_a_mail_that_is_refused_for_what_is_in_it_arrives_without_a_word_of_the_agents(
    email, mailbox, everywhere
) -> None:
    mailbox.filter = STOPPED.encode()
    alert = everywhere()
    assert email.deliver(alert)
    (told,) = mailbox.mails
    text = told.get_content()
    assert told["Message-ID"] == mail(alert, "guardian@acme.example", ("soc@acme.example",))["Message-ID"]
    assert f"guardian alerts preview {alert.finding.id}" in text
    assert alert.link in text
    assert told["Subject"].startswith("[guardian] CRITICAL: The full alert was refused")
    assert email.find(alert)


@pytest.mark.parametrize("status", [400, 403, 405, 413, 451])
def test_a_post_that_is_refused_for_what_may_be_in_it_is_sent_once_more_without_it(
    webhook, receiver, everywhere, status
) -> None:
    receiver.statuses.append(status)
    alert = everywhere()
    assert webhook.deliver(alert)
    ((headers, body),) = receiver.requests
    assert STOPPED not in body.decode()
    assert headers["webhook-id"] == message_id(alert)
    told = json.loads(body)["data"]
    assert (told["finding"]["id"], told["outcome"]["effect"]) == (alert.finding.id, "revoke")
    assert told["link"] == alert.link
    assert webhook.find(alert)


def test_a_collector_behind_a_filter_gets_an_event(collector, receiver, everywhere) -> None:
    receiver.filter = STOPPED.encode()
    alert = everywhere()
    assert collector.deliver(alert)
    ((_, body),) = receiver.requests
    event = json.loads(body)
    assert (event["severity"], event["metadata"]["uid"]) == ("Critical", message_id(alert))


def test_who_refuses_even_that_has_refused_the_alert(email, mailbox, webhook, receiver, everywhere) -> None:
    mailbox.filter = b"[guardian]"
    receiver.filter = b"guardian.finding"
    for channel in (email, webhook):
        with pytest.raises(AlertError, match=r"refuses the (mail|alert): (550|HTTP 403)"):
            channel.deliver(everywhere())


def _until_it_arrives(channel, alert, most=10) -> int:
    """How often that takes."""
    for tries in range(1, most + 1):
        try:
            channel.deliver(alert)
        except RetryLater:
            continue
        return tries
    raise AssertionError("it does not arrive")


@pytest.mark.parametrize("answer", [500, 502, 503, 0], ids=["500", "502", "503", "hangs up"])
def test_what_a_filter_stops_as_if_the_receiver_was_down_arrives_without_it_after_some_tries(
    webhook, receiver, everywhere, answer
) -> None:
    receiver.filter, receiver.filtered = STOPPED.encode(), answer
    alert = everywhere()
    with capture_logs() as lines:
        assert _until_it_arrives(webhook, alert) == 4
    ((headers, body),) = receiver.requests
    assert STOPPED not in body.decode()
    assert headers["webhook-id"] == message_id(alert)
    assert [STOPPED.encode() in each for each in receiver.bodies] == [True] * 4 + [False]
    (line,) = lines
    assert (line["event"], line["finding"]) == ("alert_refused_in_full", alert.finding.id)
    assert line["error"].endswith(", 4 times")


def test_a_filter_may_swallow_what_it_stops(receiver, everywhere, time) -> None:
    receiver.filter, receiver.filtered = STOPPED.encode(), -1
    collector = OcsfHttpOptions(url=receiver.url, timeout_s=1.0).open(time.given)
    with pytest.raises(RetryLater) as later:
        collector.deliver(everywhere())
    assert later.value.perhaps_refused


@pytest.mark.parametrize("answer", ["451 later", "421 bye", ""])
def test_a_mail_that_is_put_off_for_its_text_or_hung_up_on_arrives_without_it_after_some_tries(
    email, mailbox, everywhere, answer
) -> None:
    mailbox.filter, mailbox.filtered = STOPPED.encode(), answer
    alert = everywhere()
    assert _until_it_arrives(email, alert) == 4
    (told,) = mailbox.mails
    assert f"guardian alerts preview {alert.finding.id}" in told.get_content()


def test_an_alert_arrives_in_full_from_a_receiver_that_was_down_however_long(
    webhook, receiver, everywhere
) -> None:
    receiver.filter, receiver.filtered = b"guardian.finding", 502
    for _ in range(8):
        with pytest.raises(RetryLater):
            webhook.deliver(everywhere())
    receiver.filter = b""
    webhook.deliver(everywhere())
    ((_, body),) = receiver.requests
    assert STOPPED in body.decode()


def test_what_arrived_counts_its_tries_anew_and_the_oldest_that_fail_are_forgotten(
    webhook, receiver, everywhere, monkeypatch
) -> None:
    monkeypatch.setattr("guardian.alerting.bare._MOST", 1)
    receiver.filter, receiver.filtered = STOPPED.encode(), 502
    assert [_until_it_arrives(webhook, everywhere()) for _ in range(2)] == [4, 4]
    first, second = everywhere(), everywhere(id="fnd_2")
    for alert in (first, second):
        with pytest.raises(RetryLater):
            webhook.deliver(alert)
    assert _until_it_arrives(webhook, first) == 4


@pytest.mark.parametrize("busy", [429, 529], ids=["by its rate", "and says until when"])
def test_of_a_receiver_that_is_busy_no_try_counts(webhook, receiver, everywhere, busy) -> None:
    receiver.statuses.extend([busy] * 9)
    for _ in range(9):
        with pytest.raises(RetryLater):
            webhook.deliver(everywhere())
    receiver.filter, receiver.filtered = STOPPED.encode(), 502
    assert _until_it_arrives(webhook, everywhere()) == 4


@pytest.fixture
def held():
    with reserve() as held:
        yield held


@pytest.mark.parametrize("host", ["127.0.0.1", "guardian.invalid"])
def test_of_a_receiver_that_cannot_be_reached_no_try_counts(held, everywhere, time, host) -> None:
    port = port_of(held)
    url = f"http://{host}:{port}" if host == "127.0.0.1" else f"https://{host}"
    told = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "g@acme.example"}
    channels = [
        OcsfHttpOptions(url=url).open(time.given),
        EmailOptions(**told, recipients=("soc@acme.example",)).open(time.given),
    ]
    for channel in channels:
        with pytest.raises(RetryLater) as away:
            channel.deliver(everywhere())
        assert not away.value.perhaps_refused


def test_a_mail_that_is_put_off_before_its_text_was_told_does_not_count(email, mailbox, everywhere) -> None:
    mailbox.refuse = "451 later"
    with pytest.raises(RetryLater) as later:
        email.deliver(everywhere())
    assert not later.value.perhaps_refused


def test_a_name_of_a_session_that_filters_may_stop_is_left_out_with_its_link(everywhere) -> None:
    hidden, shown = bare(everywhere(session_id=STOPPED)), bare(everywhere(session_id="sess_1"))
    assert STOPPED not in hidden.model_dump_json()
    assert hidden.link is None
    assert (shown.finding.session_id, shown.link) == ("sess_1", everywhere().link)


def test_of_news_the_link_is_left_out_as_it_names_the_session_that_they_are_about(everywhere) -> None:
    news = everywhere(kind=Kind.CONTROL, session_id="guardian", act=None)
    assert news.link is not None
    assert bare(news).link is None


@pytest.mark.parametrize("session", ["window:agent_1|user_1", "rm -rf / <script>", "a.b", "k" * 129])
def test_where_the_name_is_left_out_nothing_stands_for_it_that_could_be_asked_for_or_revoked(
    webhook, receiver, collector, email, mailbox, everywhere, session
) -> None:
    alert = everywhere(session_id=session, title="t").model_copy(update={"link": None})
    for channel in (webhook, collector):
        receiver.statuses.append(403)
        channel.deliver(alert)
    told, event = (json.loads(body) for _, body in receiver.requests)
    assert ("session_id" in told["data"]["finding"], told["data"]["session_left_out"]) == (False, True)
    assert event["unmapped"]["session_left_out"] is True
    assert {"resources", "ai_agent"} & {*event, *event["unmapped"]} == set()
    mailbox.filter = b"Rules broken"
    email.deliver(alert)
    text = mailbox.mails[0].get_content()
    assert "Session:" not in text
    assert "The session's name is left out" in text
    assert re.findall(r"^guardian (\w+)", text, re.MULTILINE) == ["findings", "dismiss"]
    named = bare(everywhere(session_id="sess_1"))
    assert to_ocsf(named)["resources"] == [{"uid": "sess_1", "type": "agent_session"}]
    assert "session_left_out" not in to_ocsf(named)["unmapped"]


@pytest.mark.parametrize("kind", Kind)
def test_what_is_left_is_an_event_by_the_published_ocsf_schema(everywhere, kind) -> None:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
    valid = jsonschema.Draft202012Validator(schema.get_class_schema(class_name="detection_finding"))
    for session in ("sess_1", STOPPED):
        event = to_ocsf(bare(everywhere(kind=kind, session_id=session)))
        assert [error.message for error in valid.iter_errors(event)] == []
