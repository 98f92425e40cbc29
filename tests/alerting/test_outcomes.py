"""What became of a finding, as each channel tells it."""

import base64
import json
from datetime import UTC, datetime

import jsonschema
import pytest
from ocsf_json_schema import get_ocsf_schema
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded
from structlog.testing import capture_logs

from guardian.alerting.bare import bare
from guardian.alerting.delivered import message_id
from guardian.alerting.email import EmailOptions, mail
from guardian.alerting.jsonl import JsonlOptions
from guardian.alerting.log import LogOptions
from guardian.alerting.ocsf import to_ocsf
from guardian.alerting.port import Digest, ForPeople
from guardian.alerting.webhook import WebhookOptions
from guardian.domain.finding import Kind
from guardian.errors import AlertError
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import Became

AT = datetime(2025, 11, 24, 17, 30, tzinfo=UTC)


@pytest.fixture
def made(make_alert):
    """The alert that this became of, with what became of it."""

    def make(alert=None, **changes):
        told = {"at": AT, "by": "maya", "what": "called it a false positive", "why": "she may", "over": True}
        became = Became(**{**told, "state": "dismissed", "verdict": "false_positive", **changes})
        return (alert or make_alert()).model_copy(update={"became": became})

    return make


@pytest.fixture(scope="module")
def published():
    """The schema that OCSF publishes for class 2004 of version 1.8.0."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
    return jsonschema.Draft202012Validator(schema.get_class_schema(class_name="detection_finding"))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("over", "verdict", "numbers", "words"),
    [
        (True, "false_positive", (3, 200403, 3), ("Close", "Suppressed")),
        (True, "benign", (3, 200403, 3), ("Close", "Suppressed")),
        (True, "confirmed", (3, 200403, 4), ("Close", "Resolved")),
        (True, None, (3, 200403, 4), ("Close", "Resolved")),
        (False, "confirmed", (2, 200402, 2), ("Update", "In Progress")),
        (False, None, (2, 200402, 2), ("Update", "In Progress")),
    ],
)
def test_it_is_an_update_or_a_close_of_the_same_finding(
    published, made, make_alert, kind, over, verdict, numbers, words
) -> None:
    first = make_alert(kind=kind)
    event = to_ocsf(made(first, over=over, verdict=verdict))
    assert [error.message for error in published.iter_errors(event)] == []
    assert (event["activity_id"], event["type_uid"], event["status_id"]) == numbers
    assert (event["activity_name"], event["status"]) == words
    assert event["finding_info"]["uid"] == to_ocsf(first)["finding_info"]["uid"]
    assert (event["time"], event["is_alert"]) == (int(AT.timestamp() * 1000), False)
    assert event["status_detail"] == "maya called it a false positive"


def test_each_thing_that_becomes_of_a_finding_has_an_id_of_its_own_and_a_repeat_the_same(made, make_alert) -> None:
    ids = {message_id(each) for each in (make_alert(), made(), made(), made(what="revoked the session"))}
    assert len(ids) == 3
    assert message_id(make_alert()) == "msg_0d2c0112ecc4db03808dedfbb46b7942ca55e679", "as before an upgrade"


def test_a_web_hook_has_a_type_for_it(made, receiver, tmp_path, time) -> None:
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    (tmp_path / "secret").chmod(0o600)
    webhook = WebhookOptions(url=receiver.url, secret_file=str(tmp_path / "secret")).open(time.given)
    webhook.deliver(made())
    ((headers, body),) = receiver.requests
    told = json.loads(body)
    assert (told["type"], headers["webhook-id"]) == ("guardian.case", message_id(made()))
    assert told["data"]["became"] == {
        "at": "2025-11-24T17:30:00Z",
        "by": "maya",
        "what": "called it a false positive",
        "why": "she may",
        "state": "dismissed",
        "verdict": "false_positive",
        "over": True,
        "also_revoked": [],
    }
    assert told["data"]["finding"]["id"] == made().finding.id


def test_a_persons_words_are_no_formula_in_a_spreadsheet(made, tmp_path, time) -> None:
    JsonlOptions(path=str(tmp_path / "a.jsonl")).open(time.given).deliver(made(why="=1+1", by="=maya"))
    event = json.loads((tmp_path / "a.jsonl").read_text())
    assert (event["comment"], event["status_detail"]) == ("'=1+1", "'=maya called it a false positive")


def test_a_mail_of_it_stands_in_the_thread_of_the_first(made, make_alert) -> None:
    people = "guardian@acme.example", ("soc@acme.example",)
    first, second = mail(make_alert(), *people), mail(made(), *people)
    assert second["In-Reply-To"] == first["Message-ID"] != second["Message-ID"]
    assert second["References"] == f"{first['References']} {first['Message-ID']}"
    assert str(second["Subject"]).startswith("[guardian] Dismissed - CRITICAL: A renewal review")
    assert str(second["Subject"]).endswith("by maya")
    text = second.get_content()
    assert "maya called it a false positive: she may\n2025-11-24 17:30 UTC\nDismissed\n" in text
    assert "Session: sess_1" in text
    assert "https://guardian.example/findings/1" in text


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("revoked", "Revoked: Gateways that follow the revocation list refuse the session's calls"),
        ("confirmed", "Confirmed as drift: Not revoked: the session can still act"),
        ("withdrawn", "Withdrawn"),
        ("a later version's", "A later version's"),
    ],
)
def test_a_mail_says_how_it_stands_now(made, make_alert, state, told) -> None:
    alert = made(make_alert(kind=Kind.CONTROL) if state == "withdrawn" else make_alert(), state=state)
    text = mail(
        alert.model_copy(update={"link": None}), "guardian@acme.example", ("soc@acme.example",)
    ).get_content()
    assert f"\n{told}\n" in text
    assert ("Session:" in text) is (state != "withdrawn")
    assert "https:" not in text


@pytest.fixture
def email(mailbox, time):
    told = {"host": "127.0.0.1", "port": mailbox.port, "tls": "none", "floor": "critical"}
    return EmailOptions(**told, sender="g@acme.example", recipients=("soc@acme.example",)).open(time.given)


def test_people_get_one_mail_of_an_act_and_none_of_what_they_got_none_of(email, mailbox, made, make_alert) -> None:
    for alert in (made(make_alert(severity="low", wanted="flag")), made()):
        assert email.deliver(alert)
        assert email.find(alert)
    assert len(mailbox.mails) == 1


@pytest.fixture
def digest(made, make_alert):
    """What became of three cases by one act, of which two have a line."""
    events = tuple(
        CaseEvent(at=AT, by=f"<{name}|x>", what=f"high · Dismissed · agent_{name}", finding_id=f"fnd_{name}")
        for name in "ab"
    )
    told = Digest(tenant_id="acme", since=AT, total=3, severities={"critical": 1, "high": 2})
    return made().model_copy(update={"digest": told, "events": events})


def test_a_mail_of_many_cases_stands_by_itself_and_has_a_line_of_each(digest) -> None:
    told = mail(digest, "guardian@acme.example", ("soc@acme.example",))
    assert str(told["Subject"]) == "[guardian] Dismissed - 3 cases of acme - called it a false positive - by maya"
    assert (told["In-Reply-To"], told["References"], told["Auto-Submitted"]) == (None, None, "auto-generated")
    text = told.get_content()
    assert "3 cases · Dismissed\n===" in text
    assert "maya called it a false positive: she may\n2025-11-24 17:30 UTC\n" in text
    assert "1 critical · " in text
    assert "<a|x> high · Dismissed · agent_a\n<b|x> high · Dismissed · agent_b\n" in text
    assert "and 1 more: guardian findings lists them" in text


def test_a_mail_of_sessions_whose_agent_was_revoked_does_not_just_say_that_they_are_flagged(digest) -> None:
    became = digest.became.model_copy(update={"state": "flagged", "also_revoked": ("agent",)})
    told = mail(digest.model_copy(update={"became": became}), "g@acme.example", ("soc@acme.example",))
    assert str(told["Subject"]).startswith("[guardian] Flagged, its agent revoked - 3 cases of acme - ")
    assert "3 cases · Flagged, its agent revoked\n===" in told.get_content()


def test_of_many_cases_a_filter_leaves_the_number(digest) -> None:
    text = mail(bare(digest), "guardian@acme.example", ("soc@acme.example",)).get_content()
    assert "3 cases · Dismissed" in text
    assert "agent_a" not in text
    assert "and 3 more" in text


def test_the_log_names_all_that_a_mail_was_to_tell(digest, time) -> None:
    with capture_logs() as lines:
        LogOptions().open(time.given).deliver(digest)
    assert (lines[0]["cases"], lines[0]["findings"]) == (3, ["fnd_a", "fnd_b"])


def test_a_mail_channel_is_for_people_and_no_other_is(email, time, tmp_path, make_alert) -> None:
    assert isinstance(email, ForPeople)
    assert [email.shows(make_alert(severity=each, wanted="flag").finding) for each in ("high", "critical")] == [
        False,
        True,
    ]
    assert not isinstance(JsonlOptions(path=str(tmp_path / "a.jsonl")).open(time.given), ForPeople)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (
            "flagged",
            "Flagged, its agent revoked: Not revoked itself, but gateways that know its agent refuse its calls",
        ),
        (
            "reinstated",
            "Reinstated, its agent revoked: Given back itself, but gateways that know its agent refuse its calls",
        ),
        (
            "revoked",
            "Revoked, its agent revoked: Gateways that follow the list refuse its calls; given back it is still"
            " refused where they know its agent",
        ),
    ],
)
def test_where_what_it_acts_under_is_revoked_all_say_so(made, state, told) -> None:
    alert = made(state=state, also_revoked=("agent",))
    shown = mail(alert, "guardian@acme.example", ("soc@acme.example",))
    assert f"\n{told}\n" in shown.get_content()
    assert str(shown["Subject"]).startswith(f"[guardian] {told.partition(':')[0]} - CRITICAL")
    assert to_ocsf(alert)["unmapped"]["also_revoked"] == ["agent"]
    assert "also_revoked" not in to_ocsf(made())["unmapped"]


def test_the_log_has_a_line_of_it(made, time) -> None:
    channel = LogOptions().open(time.given)
    with capture_logs() as lines:
        channel.deliver(made())
    (line,) = lines
    assert (line["event"], line["by"], line["state"], line["over"]) == ("alert_outcome", "maya", "dismissed", True)
    assert channel.find(made())


def test_where_a_filter_refuses_it_a_persons_words_go_and_what_became_of_it_stays(
    made, make_alert, email, mailbox
) -> None:
    left = bare(made())
    assert (left.became.state, left.became.by, left.became.why) == ("dismissed", "maya", "")
    text = mail(bare(made(make_alert(session_id="x y"))), "g@acme.example", ("a@acme.example",)).get_content()
    assert "The session's name is left out" in text
    assert "Session:" not in text


@pytest.fixture
def in_reply_to(mailbox, made, make_alert):
    """What the mails of an alert, and then of what became of it, say that they are and reply to, from `sender`."""

    def asked(time, sender="g@acme.example", stopped=b""):
        told = {"host": "127.0.0.1", "port": mailbox.port, "tls": "none", "sender": sender}
        email = EmailOptions(**told, recipients=("soc@acme.example",)).open(time.given)
        email.deliver(make_alert())
        mailbox.filter = stopped
        email.deliver(made())
        return [[each[name] for name in ("Message-ID", "In-Reply-To", "References")] for each in mailbox.mails]

    return asked


def test_what_is_left_of_it_stands_in_the_same_thread(in_reply_to, time) -> None:
    (first, _, case), (_, reply, references) = in_reply_to(time, stopped=b"she may")
    assert (reply, references) == (first, f"{case} {first}")


def test_a_thread_holds_however_long_the_senders_domain_is(in_reply_to, time, made) -> None:
    domain = f"{'x' * 60}.{'y' * 60}.notifications.security.acme.example"
    (first, _, case), (_, reply, references) = in_reply_to(time, sender=f"guardian@{domain}")
    assert first.endswith(f"@{domain}>")
    assert (reply, references) == (first, f"{case} {first}")
    raw = mail(made(), f"guardian@{domain}", ("soc@acme.example",)).as_bytes()
    assert f"\nIn-Reply-To: {first}\n".encode() in raw, "no encoded words, which programs that thread do not read"
    assert f"\nReferences: {case}\n {first}\n".encode() in raw


def test_refusals_of_it_are_refusals(made, receiver, tmp_path, time) -> None:
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    (tmp_path / "secret").chmod(0o600)
    receiver.statuses.extend([404] * 2)
    with pytest.raises(AlertError):
        WebhookOptions(url=receiver.url, secret_file=str(tmp_path / "secret")).open(time.given).deliver(made())
