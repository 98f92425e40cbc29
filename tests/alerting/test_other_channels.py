"""Web-hook, OCSF over HTTP and Kafka, e-mail: what arrives there, and what is tried again."""

import base64
import hashlib
import hmac
import json
import re
import socket
import threading
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import jsonschema
import pytest
from ocsf_json_schema import get_ocsf_schema
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded

from guardian.alerting.email import EmailOptions, mail
from guardian.alerting.http_post import post
from guardian.alerting.ocsf import to_ocsf
from guardian.alerting.ocsf_http import OcsfHttpOptions
from guardian.alerting.ocsf_kafka import OcsfKafkaOptions
from guardian.alerting.port import RetryLater
from guardian.alerting.slack import SlackOptions
from guardian.alerting.webhook import WebhookOptions
from guardian.domain.finding import Effect, Kind, Subject
from guardian.errors import AlertError, BusError, ConfigurationError
from guardian.wire.findings import AlertOutcome


@pytest.fixture
def webhook(receiver, tmp_path, time):
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(b"k" * 32).decode() + "\n")
    (tmp_path / "secret").chmod(0o600)
    options = WebhookOptions(url=receiver.url, secret_file=str(tmp_path / "secret"))
    return options.open(time.given)


def test_a_web_hook_is_signed_as_standard_webhooks_says(webhook, receiver, make_alert, time) -> None:
    webhook.deliver(make_alert())
    ((headers, body),) = receiver.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    told = json.loads(body)
    assert (told["type"], told["data"]["finding"]["session_id"]) == ("guardian.finding", "sess_1")


def test_a_repeated_web_hook_has_the_same_id_and_another_outcome_another(webhook, receiver, make_alert) -> None:
    webhook.deliver(make_alert())
    webhook.deliver(make_alert())
    other = make_alert().outcome.model_copy(update={"note": "approved by lee"})
    webhook.deliver(make_alert(outcome=other))
    first, second, third = (headers["webhook-id"] for headers, _ in receiver.requests)
    assert first == second != third


@pytest.mark.parametrize(
    ("status", "raises"), [(500, RetryLater), (429, RetryLater), (404, AlertError), (302, AlertError)]
)
def test_what_may_be_tried_again_and_what_may_not(webhook, receiver, make_alert, status, raises) -> None:
    receiver.statuses.extend([status] * 2)
    with pytest.raises(raises) as trouble:
        webhook.deliver(make_alert())
    assert webhook.find(make_alert()) is None
    if status == 429:
        assert trouble.value.after_s == 7


@pytest.mark.parametrize("host", ["127.0.0.1:9", "[::1]:9"])
def test_of_an_address_that_does_not_answer_host_and_port_are_told_and_no_secret(host: str) -> None:
    with pytest.raises(RetryLater) as trouble:
        post(f"https://user:s3cret@{host}/s3cret?key=s3cret#s3cret", b"{}", {}, timeout_s=5)
    assert str(trouble.value) == f"https://{host}: ConnectError: [Errno 111] Connection refused"


def test_a_connection_without_tls_is_told_from_none_at_all(receiver, mailbox, make_alert, time) -> None:
    url = receiver.url.replace("http:", "https:").removesuffix("/collect")
    with pytest.raises(RetryLater, match=rf"^{url}: ConnectError: \[SSL"):
        post(url, b"{}", {}, timeout_s=5)
    told = {"sender": "a@b.example", "recipients": ("c@d.example",)}
    mail = EmailOptions(host="127.0.0.1", port=mailbox.port, tls="tls", **told)
    with pytest.raises(RetryLater, match=r"^127\.0\.0\.1: SSLError: \[SSL"):
        mail.open(time.given).deliver(make_alert())


def test_certificates_that_cannot_be_read_are_a_reason_to_try_later(receiver, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(RetryLater, match="No such file"):
        post(receiver.url, b"{}", {}, timeout_s=5)


def test_what_quotes_a_header_is_not_told(receiver) -> None:
    with pytest.raises(RetryLater) as trouble:
        post(receiver.url, b"{}", {"Authorization": "Bearer s3cret\nx"}, timeout_s=5)
    assert str(trouble.value).endswith(": LocalProtocolError")


def test_an_answer_without_an_end_holds_nobody_up() -> None:
    gone = threading.Event()

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(10_000):  # 40 MB, and then it is over for who would read it all
                    connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            except OSError:
                gone.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {}, timeout_s=5)
        assert gone.wait(10)


@pytest.mark.parametrize(
    ("asked", "date", "after_s"),
    [
        ("7", "Tue, 12 May 2026 12:00:00 GMT", 7),
        ("Tue, 12 May 2026 12:01:30 GMT", "Tue, 12 May 2026 12:00:00 GMT", 90),
        ("Tue, 12 May 2026 11:00:00 GMT", "Tue, 12 May 2026 12:00:00 GMT", 0),
        ("Tue, 12 May 2026 12:01:30 GMT", "", None),
        ("Tue, 12 May 2026 12:01:30 -0000", "Tue, 12 May 2026 12:00:00 GMT", None),
        ("Tue, 12 May 2026 12:01:30 +99999999999999999999", "Tue, 12 May 2026 12:00:00 GMT", None),
        ("²", "Tue, 12 May 2026 12:00:00 GMT", None),
        ("-5", "Tue, 12 May 2026 12:00:00 GMT", None),
        ("soon", "soon", None),
    ],
)
def test_how_long_to_wait_is_told_in_seconds_or_as_a_date(asked, date, after_s) -> None:
    head = f"HTTP/1.1 429 Slow\r\nDate: {date}\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n"

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(head.encode("latin-1"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(RetryLater) as trouble:
            post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {}, timeout_s=5)
    assert trouble.value.after_s == after_s


def test_a_header_in_drops_is_cut_off_after_the_time_for_the_whole_answer(dripping) -> None:
    with pytest.raises(RetryLater, match="ReadTimeout"):
        post(f"http://127.0.0.1:{dripping.port}/", b"{}", {}, timeout_s=0.2)


def test_a_mail_server_that_speaks_in_drops_is_cut_off(dripping, make_alert, time) -> None:
    dripping.answer = b"220-" + b"hello " * 60 + b"\r\n"
    options = EmailOptions(
        host="127.0.0.1", port=dripping.port, tls="none", sender="a@b.example", recipients=("c@d.example",),
        timeout_s=0.1,
    )  # fmt: skip
    with pytest.raises(RetryLater, match="TimeoutError"):
        options.open(time.given).deliver(make_alert())


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "c2hvcnQ=", "whsec_not base64"])
def test_a_weak_or_missing_secret_is_refused_at_the_start(tmp_path, time, secret) -> None:
    (tmp_path / "secret").write_text(secret)
    (tmp_path / "secret").chmod(0o600)
    options = WebhookOptions(url="https://hooks.example", secret_file=str(tmp_path / "secret"))
    with pytest.raises(ConfigurationError, match="secret_file"):
        options.open(time.given)


MAIL = {"host": "mail.example", "sender": "a@b.example", "recipients": ("c@d.example",)}
CHANNELS = {
    "webhook": (WebhookOptions, {"url": "https://hooks.example", "secret_file": "x"}),
    "ocsf_http": (OcsfHttpOptions, {"url": "https://siem.example"}),
    "email": (EmailOptions, MAIL),
    "slack": (SlackOptions, {"channel": "C0SECURITY", "token": "xoxb-1"}),
}


@pytest.mark.parametrize(
    ("channel", "option", "value"),
    [
        *((each, "timeout_s", value) for each in ("webhook", "ocsf_http", "email") for value in (0, -3.0, 1e12)),
        *(("slack", "timeout", value) for value in (0, 1e12)),
        *(("email", "port", value) for value in (0, 70_000)),
        *(("email", "host", value) for value in ("", "mail example", "x\n")),
        ("email", "username", "jörg"),
        ("email", "floor", "grave"),
        *(("ocsf_http", "scheme", value) for value in ("", "Bearer\r\nX", "jörg")),
    ],
)
def test_an_option_with_which_no_alert_could_ever_arrive_is_refused_at_the_start(channel, option, value) -> None:
    plugin, told = CHANNELS[channel]
    with pytest.raises(ConfigurationError, match=rf"^alerts\.{channel}\.{option} must be "):
        plugin(**{**told, option: value})


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b" \n", 0o600, "is empty"),
        (b"s3cret", 0o644, "has mode 0644"),
        ("pässword".encode(), 0o600, "not ASCII"),
        (b"s3cret\ns3cret", 0o600, "more than one line"),
        (None, 0o600, "does not exist"),
    ],
    ids=["empty", "for all to read", "not ASCII", "two lines", "not there"],
)
@pytest.mark.parametrize(
    ("channel", "option", "more"),
    [
        ("webhook", "secret_file", {}),
        ("ocsf_http", "token_file", {}),
        ("email", "password_file", {"username": "guardian"}),
    ],
)
def test_a_secret_is_read_only_where_it_is_one_and_only_its_owner_can(
    tmp_path, time, channel, option, more, content, mode, said
) -> None:
    file = tmp_path / "s3cret"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    plugin, told = CHANNELS[channel]
    with pytest.raises(ConfigurationError) as refused:
        plugin(**{**told, **more, option: str(file)}).open(time.given)
    assert re.match(rf"alerts\.{channel}\.{option}: .*{said}", str(refused.value))
    assert "s3cret" not in str(refused.value).replace(str(file), "")


@pytest.mark.parametrize(
    "url",
    [
        *("http://h.example/s3cret?key=s3cret", "http://user:s3cret@h.example/", "http://user:/s3cret@127.0.0.1/"),
        *("ftp://h", "user:s3cret@h.example", "s3cret://h.example", "http://[s3cret"),
    ],
)
def test_only_https_leaves_this_machine_and_what_is_refused_tells_no_secret(url: str) -> None:
    for channel, options in (
        ("webhook", lambda: WebhookOptions(url=url, secret_file="x")),
        ("ocsf_http", lambda: OcsfHttpOptions(url=url)),
    ):
        with pytest.raises(ConfigurationError, match=rf"^alerts\.{channel}\.url must be an https URL") as refused:
            options()
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("address", ["a@exämple.example", "ä@b.example"])
def test_an_address_that_not_every_server_takes_is_refused_at_the_start(address: str) -> None:
    for told in ({"sender": address}, {"recipients": ("c@d.example", address)}):
        named = {"sender": "a@b.example", "recipients": ("c@d.example",), **told}
        with pytest.raises(ConfigurationError, match=r"alerts\.email: "):
            EmailOptions(host="mail.example", **named)


@pytest.mark.parametrize("lacks", [{"tls": "starttls"}, {"tls": "none", "username": "guardian"}])
def test_what_a_mail_server_cannot_do_is_a_refusal(mailbox, make_alert, time, tmp_path, lacks) -> None:
    if "username" in lacks:
        (tmp_path / "password").write_text("secret")
        (tmp_path / "password").chmod(0o600)
        lacks = {**lacks, "password_file": str(tmp_path / "password")}
    told = {"host": "127.0.0.1", "port": mailbox.port, "sender": "a@b.example", "recipients": ("c@d.example",)}
    with pytest.raises(AlertError, match=r"127\.0\.0\.1: .*not supported"):
        EmailOptions(**told, **lacks).open(time.given).deliver(make_alert())
    assert mailbox.mails == []


def test_mail_leaves_this_machine_encrypted() -> None:
    with pytest.raises(ConfigurationError, match="tls"):
        EmailOptions(host="mail.example", sender="a@b.example", recipients=("c@d.example",), tls="none")


def test_a_collector_gets_the_event_and_splunk_its_envelope(receiver, tmp_path, make_alert, time) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "token").chmod(0o600)
    plain = OcsfHttpOptions(url=receiver.url).open(time.given)
    hec = OcsfHttpOptions(
        url=receiver.url, shape="splunk_hec", scheme="Splunk", token_file=str(tmp_path / "token")
    )
    plain.deliver(make_alert())
    hec.open(time.given).deliver(make_alert())
    (bare, event), (dressed, envelope) = receiver.requests
    assert "authorization" not in bare
    assert dressed["authorization"] == "Splunk s3cret"
    assert json.loads(envelope)["event"] == json.loads(event) == to_ocsf(make_alert())


def test_a_topic_gets_one_record_per_alert_keyed_by_session(make_alert, time) -> None:
    time.broker.create_topic("siem")
    channel = OcsfKafkaOptions(topic="siem").open(time.given)
    channel.deliver(make_alert())
    (record,) = time.broker.records("siem")
    assert (record.key, json.loads(record.value)["class_uid"]) == (b"sess_1", 2004)


class _Away:
    def send(self, *_: object, **__: object) -> None:
        raise BusError("the broker is away")

    def close(self) -> None: ...


def test_a_broker_that_is_away_is_tried_later(make_alert, time) -> None:
    channel = OcsfKafkaOptions(topic="siem").open(replace(time.given, producer=_Away))
    with pytest.raises(RetryLater, match="away"):
        channel.deliver(make_alert())


@pytest.fixture
def email(mailbox, time):
    told = {"host": "127.0.0.1", "port": mailbox.port, "tls": "none"}
    options = EmailOptions(**told, sender="guardian@acme.example", recipients=("soc@acme.example",))
    return options.open(time.given)


def test_a_mail_is_plain_text_that_no_agent_can_forge_headers_in(email, mailbox, make_alert) -> None:
    email.deliver(make_alert(title="x\r\nBcc: all@acme.example", session_id="s<b>"))
    (mail,) = mailbox.mails
    assert isinstance(mail, EmailMessage)
    assert mail["Bcc"] is None
    assert str(mail["Subject"]).startswith("[guardian] CRITICAL: x")
    text = mail.get_content()
    assert "sending e-mail is no part of a review" in text
    assert "https://evil" not in text


URL = "https://evil.example/sso?u=soc and www.evil.example"
OF_SUBJECT = ("delegator_id", "agent_id", "task_id", "purpose", "parent_session_id")
OF_ACT = ("decision_id", "gateway", "tool", "arguments", "argument")
OF_FINDING = ("title", "tenant_id", "session_id", "correlation_id")


@pytest.mark.parametrize("kind", [Kind.DRIFT, Kind.CONTROL])
@pytest.mark.parametrize("field", [*OF_SUBJECT, *OF_ACT, *OF_FINDING, "reasons", "breaches", "versions"])
def test_nothing_in_a_mail_or_its_subject_is_a_link_but_guardians_own(make_alert, kind, field) -> None:
    alert = make_alert(link="https://guardian.example/console")
    told = alert.finding.model_copy(update={"kind": kind})
    changed = {
        **dict.fromkeys(OF_FINDING, URL),
        "subject": told.subject.model_copy(update={field: URL} if field in OF_SUBJECT else {}),
        "act": told.act.model_copy(update={field: URL} if field in OF_ACT else {}),
        "reasons": tuple(reason.model_copy(update={"text": URL}) for reason in told.reasons),
        "breaches": tuple(breach.model_copy(update={"name": URL, "detail": URL}) for breach in told.breaches),
        "versions": {URL: URL},
    }
    name = "subject" if field in OF_SUBJECT else "act" if field in OF_ACT else field
    hostile = alert.model_copy(update={"finding": told.model_copy(update={name: changed[name]})})
    sent = mail(hostile, "guardian@acme.example", ("soc@acme.example",))
    shown = f"{sent['Subject']}\n{sent.get_content()}"
    assert re.findall(r"\S*://\S*|\bwww\.", shown) == ["https://guardian.example/console"]


@pytest.mark.parametrize("sign", ["s", "a\u200b"], ids=["plain", "spelt out"])
def test_a_mail_has_the_whole_of_a_name_that_has_to_be_typed(make_alert, sign) -> None:
    alert = make_alert(session_id=sign * (512 // len(sign)))
    text = mail(alert, "guardian@acme.example", ("soc@acme.example",)).get_content()
    (shown,) = re.findall(r"^Session: (.*)$", text, re.MULTILINE)
    assert "…" not in shown
    assert shown.count(sign[0]) == 512 // len(sign)


def test_a_mail_without_a_link_says_what_to_type(make_alert) -> None:
    revoked = make_alert().model_copy(update={"link": None})
    outcome = revoked.outcome.model_copy(update={"effect": Effect.FLAG})
    flagged = revoked.model_copy(update={"outcome": outcome})
    bus, control = (
        flagged.model_copy(update={"finding": flagged.finding.model_copy(update={"kind": kind})})
        for kind in (Kind.BUS, Kind.CONTROL)
    )
    linked = flagged.model_copy(update={"link": "https://guardian.example/console"})

    def typed(alert):
        text = mail(alert, "guardian@acme.example", ("soc@acme.example",)).get_content()
        return re.findall(r"^guardian (\w+) (?:'TENANT' 'SESSION'|FINDING) --reason '…':", text, re.MULTILINE)

    assert [typed(alert) for alert in (revoked, flagged, bus, control, linked)] == [
        ["reinstate", "dismiss"], ["revoke", "dismiss"], ["dismiss"], [], [],
    ]  # fmt: skip


def test_a_mail_that_asks_for_a_second_person_says_how_to_answer(make_alert) -> None:
    told = make_alert(kind=Kind.CONTROL, versions={"policy": "abc", "approval": "apr_58d1"})
    news = told.model_copy(update={"link": None})
    linked = told.model_copy(update={"link": "https://guardian.example/console"})
    odd = news.finding.model_copy(update={"versions": {"approval": "apr_1; rm -rf ~"}})
    texts = [
        mail(alert, "guardian@acme.example", ("soc@acme.example",)).get_content()
        for alert in (news, linked, news.model_copy(update={"finding": odd}))
    ]
    for answer in ("approve", "deny"):
        assert [f"\nguardian {answer} apr_58d1 --reason '…': " in text for text in texts] == [True, False, False]
    assert ["\nguardian approvals: " in text for text in texts] == [True, False, False]


@pytest.mark.parametrize(
    "word",
    [
        "=?utf-8?b?eA0KDQpTZWUgaHR0cHM6Ly9ldmlsLmV4YW1wbGUv?=",
        "=?utf-8?q?x=0D=0ABcc:_evil=40evil.example?=",
        "pay=?utf-8?q?=E2=80=AEtxt.exe?=",
        "==?utf-8?q?x=0D=0AContent-Type:_text/html?==?utf-8?q?=E2=80=AE?=",
    ],
)
def test_no_encoded_word_of_an_agent_is_decoded_into_a_header(email, mailbox, make_alert, word) -> None:
    email.deliver(make_alert())
    named = Subject(agent_id=word, delegator_id=word)
    email.deliver(make_alert(title=f"gateway {word} is unreadable", subject=named))
    honest, mail = mailbox.mails
    assert mail.keys() == honest.keys()
    assert all(value.isprintable() for value in mail.values()), mail.items()
    shown = word.replace("=?", "＝?")
    who = f"{shown} for {shown} in tenant_acme"
    assert mail["Subject"] == f"[guardian] CRITICAL: gateway {shown} is unreadable - {who} - session revoked"


@pytest.mark.parametrize(
    ("effect", "did"),
    [(Effect.REVOKE, "session revoked"), (Effect.FLAG, "flagged only: policy did not let guardian revoke")],
)
def test_the_subject_of_a_mail_says_whose_session_it_is_and_what_guardian_did(make_alert, effect, did) -> None:
    outcome = AlertOutcome(effect=effect, allowed=True, mode="enforce")
    told = mail(make_alert(title="", outcome=outcome), "guardian@acme.example", ("soc@acme.example",))
    who = "agent_renewal_review for user_7f3a91 in tenant_acme"
    assert told["Subject"] == f"[guardian] CRITICAL: the session broke a hard rule - {who} - {did}"


def test_no_subject_of_a_mail_has_an_encoded_word_without_a_word(make_alert) -> None:
    for n in range(60):
        told = mail(make_alert(title="x" * n), "guardian@acme.example", ("soc@acme.example",))
        assert b"=?" not in told.as_bytes().partition(b"\nFrom:")[0]


def test_a_subject_beyond_ascii_keeps_its_spaces(make_alert) -> None:
    who = Subject(agent_id="وكيل التجديد", delegator_id="王 芳")
    for n in range(60):  # so that each is where a line is folded, once
        told = mail(make_alert(title="x" * n, subject=who), "guardian@acme.example", ("soc@acme.example",))
        read = message_from_bytes(told.as_bytes(), policy=default)
        assert read["Subject"] == told["Subject"]
        assert "وكيل التجديد for 王 芳 in tenant_acme" in read["Subject"]
        assert b"=?utf-8?q??=" not in told.as_bytes()


def test_a_mail_is_of_the_moment_when_it_is_sent_and_says_when_it_was_found(
    email, mailbox, make_alert, time
) -> None:
    email.deliver(make_alert())
    (mail,) = mailbox.mails
    assert mail["Date"].datetime == time.now()
    assert "Found 2025-11-24 17:04 UTC" in mail.get_content()


def test_a_mail_that_is_sent_again_has_the_same_id(email, mailbox, make_alert) -> None:
    email.deliver(make_alert())
    email.deliver(make_alert())
    first, second = (mail["Message-ID"] for mail in mailbox.mails)
    assert first == second


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"severity": "low"}, False),
        ({"severity": "medium"}, True),
        ({"severity": "low", "wanted": Effect.REVOKE}, True),
        ({"severity": "low", "kind": Kind.CONTROL}, False),
        ({"severity": "low", "kind": Kind.CONTROL, "versions": {"approval": "apr_1"}}, True),
        ({"severity": "low", "versions": {"approval": "apr_1"}}, False),
    ],
)
def test_what_is_below_the_floor_is_no_mail_unless_it_asks_for_more(
    mailbox, time, make_alert, changes, sent
) -> None:
    server = {"host": "127.0.0.1", "port": mailbox.port, "tls": "none"}
    email = EmailOptions(**{**MAIL, **server}, floor="medium").open(time.given)
    alert = make_alert(**{"wanted": Effect.FLAG, **changes})
    assert email.deliver(alert).startswith("<msg_" if sent else "no mail: ")
    assert (len(mailbox.mails), email.find(alert) is not None) == (int(sent), True)


@pytest.mark.parametrize(("says", "raises"), [("550 no", AlertError), ("451 later", RetryLater)])
def test_a_mail_server_that_refuses(email, mailbox, make_alert, says, raises) -> None:
    mailbox.refuse = says
    with pytest.raises(raises):
        email.deliver(make_alert())


@pytest.fixture
def to_two(mailbox, time):
    told = {"host": "127.0.0.1", "port": mailbox.port, "tls": "none"}
    options = EmailOptions(
        **told, sender="guardian@acme.example", recipients=("soc@acme.example", "ann@acme.example")
    )
    return options.open(time.given)


def test_who_was_put_off_gets_the_mail_later_and_nobody_else_gets_it_twice(to_two, mailbox, make_alert) -> None:
    mailbox.refused = {"ann@acme.example": "451 grey-listed"}
    with pytest.raises(RetryLater, match="ann"):
        to_two.deliver(make_alert())
    mailbox.refused = {}
    to_two.deliver(make_alert())
    assert mailbox.reached == ["soc@acme.example", "ann@acme.example"]
    assert len(mailbox.mails) == 2


def test_a_mail_that_everybody_is_put_off_for_is_not_refused_for_good(to_two, mailbox, make_alert) -> None:
    mailbox.refused = dict.fromkeys(("soc@acme.example", "ann@acme.example"), "450 try again")
    with pytest.raises(RetryLater):
        to_two.deliver(make_alert())
    mailbox.refused = dict.fromkeys(mailbox.refused, "550 unknown")
    with pytest.raises(AlertError, match="every recipient"):
        to_two.deliver(make_alert())


def test_who_was_named_before_a_server_went_away_gets_the_mail_too(to_two, mailbox, make_alert) -> None:
    mailbox.refused = {"ann@acme.example": "421 going down"}
    with pytest.raises(RetryLater):
        to_two.deliver(make_alert())
    assert mailbox.mails == []
    mailbox.refused, mailbox.reached = {}, []
    to_two.deliver(make_alert())
    assert mailbox.reached == ["soc@acme.example", "ann@acme.example"]


def test_who_is_refused_in_the_end_makes_no_refused_mail_of_one_that_others_have(
    to_two, mailbox, make_alert
) -> None:
    mailbox.refused = {"ann@acme.example": "451 grey-listed"}
    with pytest.raises(RetryLater):
        to_two.deliver(make_alert())
    mailbox.refused = {"ann@acme.example": "550 unknown"}
    assert to_two.deliver(make_alert())
    assert len(mailbox.mails) == 1


def test_a_mail_that_nobody_got_is_refused_though_some_were_put_off_before(to_two, mailbox, make_alert) -> None:
    mailbox.refused = {"soc@acme.example": "550 unknown", "ann@acme.example": "451 grey-listed"}
    with pytest.raises(RetryLater):
        to_two.deliver(make_alert())
    mailbox.refused = dict.fromkeys(mailbox.refused, "550 unknown")
    with pytest.raises(AlertError, match="every recipient"):
        to_two.deliver(make_alert())


def test_a_box_that_stays_full_keeps_no_alert_waiting_for_ever(to_two, mailbox, make_alert) -> None:
    mailbox.refused = {"ann@acme.example": "452 full"}
    for _ in range(19):
        with pytest.raises(RetryLater):
            to_two.deliver(make_alert())
    assert to_two.deliver(make_alert())
    assert len(mailbox.mails) == 1


def test_while_more_wait_than_are_remembered_nobody_gets_a_mail_twice(
    to_two, mailbox, make_alert, monkeypatch
) -> None:
    monkeypatch.setattr("guardian.alerting.email._MOST", 2)
    mailbox.refused = {"ann@acme.example": "452 full"}
    for n in range(2):
        with pytest.raises(RetryLater):
            to_two.deliver(make_alert(n))
    assert to_two.deliver(make_alert(2))
    with pytest.raises(RetryLater):
        to_two.deliver(make_alert(0))
    assert mailbox.reached == ["soc@acme.example"] * 3


@pytest.mark.parametrize("bye", ["421 too busy", "550 no"])
def test_a_mail_that_was_taken_is_delivered_whatever_the_server_says_when_we_leave(
    email, mailbox, make_alert, bye
) -> None:
    mailbox.bye = bye
    assert email.deliver(make_alert())
    mailbox.refused = {"soc@acme.example": "450 later"}
    with pytest.raises(RetryLater):
        email.deliver(make_alert(1))


@pytest.fixture(scope="module")
def published():
    """The schema that OCSF publishes for class 2004 of version 1.8.0."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
    return jsonschema.Draft202012Validator(schema.get_class_schema(class_name="detection_finding"))


@pytest.mark.parametrize("kind", Kind)
def test_the_event_validates_against_the_published_ocsf_schema(published, make_alert, kind) -> None:
    wrong = [error.message for error in published.iter_errors(to_ocsf(make_alert(kind=kind)))]
    assert wrong == []
