"""An envelope that says otherwise than the gateway beside it is another's: it is left out, and that is told."""

import dataclasses

import pytest

from guardian.errors import DecodeError
from guardian.gateway.names import session_name
from guardian.sources.contradicting import settled
from guardian.sources.facts import Facts

ALICES = {"session_id": "sess_alice", "tenant_id": "acme", "agent_id": "alice-bot", "delegator_id": "alice",
          "purpose": "pay invoices", "allowed_tools": ["pay"]}  # fmt: skip
HERS = {"session_id": "sess_alice", "tenant_id": "acme", "agent": "alice-bot"}


def authzen(context, subject="alice", **more):
    subject = {"type": "identity", "id": subject} if isinstance(subject, str) else subject
    request = {"subject": subject, "action": {"name": "tools/call"},
               "resource": {"type": "tool", "id": "pay"}, "context": context, **more}  # fmt: skip
    return {"id": "1", "time": "2026-12-01T00:00:00Z", "gateway": "gw", "request": request, "decision": True}


def opa(context, subject="alice"):
    told = {"user": subject, "tool": "pay", "tenant_id": "acme", **context}
    return {"decision_id": "1", "labels": {"app": "gw"}, "path": "a/b", "input": told, "result": True,
            "timestamp": "2026-12-01T00:00:00Z"}  # fmt: skip


def mapping(context, subject="alice"):
    known = {"session": context.get("session_id"), "tenant": "acme", "delegator": subject}
    return {"tool": "pay", "decision": True, "time": "2026-12-01T00:00:00Z", "gateway": "gw", **context, **known}


MALLORYS = {"session_id": "sess_mallory", "agent": "mallory-bot"}
NAMED = pytest.mark.parametrize(
    ("context", "subject", "session", "contradicted"),
    [
        (MALLORYS, "mallory", "sess_mallory", ("session_id",)),
        ({**MALLORYS, "tenant_id": "acme"}, "alice", "sess_mallory", ("session_id",)),
        (HERS, "alice", "sess_alice", ()),
        # whatever tokens call people and agents: where the gateway names no session, only the envelope does
        (HERS, "sub-of-alice", "sess_alice", ()),
        ({"agent": "agent:alice-bot"}, "sub-of-alice", "sess_alice", ()),
        ({}, 'User::"alice"', "sess_alice", ()),
    ],
)


@pytest.mark.parametrize(("format_", "line"), [("authzen", authzen), ("opa", opa), ("mapping", mapping)])
@NAMED
def test_what_the_gateway_says_of_who_acts_is_not_overridden_by_an_envelope(
    format_, line, context, subject, session, contradicted, make_reader, decisions
):
    body = line({**context, "envelope": ALICES, "envelope_jws": "a.b.c"}, subject)
    (event,) = decisions(make_reader(format_), body)
    assert (event.envelope.session_id, event.origin.contradicted) == (session, contradicted)
    assert event.has_envelope is not bool(contradicted)
    purpose, tools = ("", ()) if contradicted else ("pay invoices", ("pay",))
    assert (event.envelope.purpose, event.envelope.allowed_tools) == (purpose, tools)
    assert (event.envelope_jws is None) is bool(contradicted)
    assert (event.envelope.delegator_id == "alice") is ("alice" in subject.lower() or not contradicted)


@pytest.mark.parametrize(("format_", "line"), [("authzen", authzen), ("opa", opa), ("mapping", mapping)])
@pytest.mark.parametrize("context", [{}, {"agent": "alice-bot"}])
@pytest.mark.parametrize(
    "other",
    [
        {"delegator_id": None},  # the gateway's user is the one whom it leaves open
        {"delegator_id": "boss-bot", "parent_session_id": "sess_boss"},
    ],
)
def test_an_envelope_that_names_no_person_says_nothing_against_the_gateways(
    format_, line, context, other, make_reader, decisions
):
    envelope = {name: value for name, value in {**ALICES, **other}.items() if value is not None}
    (event,) = decisions(make_reader(format_), line({**context, "envelope": envelope}, "maya"))
    assert (event.envelope.session_id, event.origin.contradicted) == ("sess_alice", ())
    assert event.envelope.delegator_id == (other["delegator_id"] or "maya")


@pytest.mark.parametrize("name", ["s" * 600, "s\n1"])
def test_an_envelope_with_the_gateways_session_is_no_others_where_no_event_can_hold_its_name(
    name, make_reader, told, decisions
):
    body = authzen({"session_id": name, "tenant_id": "acme", "envelope": {**ALICES, "session_id": name}})
    (refused,) = told(make_reader("authzen"), body)
    assert (refused.code, refused.session_id) == ("invalid", session_name(name))
    body["request"]["context"]["envelope"]["session_id"] = session_name(name)
    (event,) = decisions(make_reader("authzen"), body)
    assert (event.envelope.session_id, event.origin.contradicted) == (session_name(name), ())


def test_a_label_of_opas_names_the_tenant_only_where_no_envelope_does(make_reader, decisions):
    told = opa({"tenant_id": None, "envelope": ALICES})
    told["labels"]["tenant"] = "platform"
    (event,) = decisions(make_reader("opa"), told)
    assert (event.envelope.tenant_id, event.origin.contradicted) == ("acme", ())
    told["input"]["envelope"] = None
    (event,) = decisions(make_reader("opa"), told)
    assert event.envelope.tenant_id == "platform"


def test_an_envelope_that_is_no_json_as_avro_has_them_is_left_out_too():
    foreign = {"session_id": "sess_alice", "key": b"\xff"}
    facts = settled(Facts("pay", "allow", session="sess_mallory", envelope=foreign), None)
    assert (facts.envelope, facts.contradicted) == (None, ("session_id",))
    other = settled(dataclasses.replace(facts, envelope={**foreign, "key": b""}), None)
    assert facts.another != other.another


def test_another_tenant_than_the_gateways_is_not_acted_in(make_reader, decisions):
    told = {**HERS, "tenant_id": "t1", "envelope": {**ALICES, "tenant_id": "t2"}}
    (event,) = decisions(make_reader("authzen"), authzen(told))
    assert (event.envelope.tenant_id, event.origin.contradicted) == ("t1", ("tenant_id",))


@pytest.mark.parametrize(
    ("context", "session", "contradicted"),
    [
        ({}, "window:-|alice", ("session_id",)),
        ({"agent": "alice-bot"}, "window:alice-bot|alice", ()),
        ({"session_id": "s"}, "s", ("session_id",)),
    ],
)
def test_an_envelope_names_a_session_as_ours_are_only_where_agent_and_user_do(
    context, session, contradicted, make_reader, decisions
):
    told = {**context, "envelope": {**ALICES, "session_id": "window:alice-bot|alice"}}
    (event,) = decisions(make_reader("authzen"), authzen(told))
    assert (event.envelope.session_id, event.origin.contradicted) == (session, contradicted)


def test_the_session_of_a_connection_says_nothing_against_an_envelope(make_reader, decisions):
    http = {"headers": {"mcp-session-id": "connection-7"}}
    body = opa({"envelope": ALICES, "attributes": {"request": {"http": http}}})
    (event,) = decisions(make_reader("opa"), body)
    assert (event.envelope.session_id, event.origin.contradicted) == ("sess_alice", ())


def test_nor_does_the_session_of_a_cloud_event(make_reader, decisions):
    data = authzen({"envelope": ALICES})
    body = {"specversion": "1.0", "id": "e", "source": "//gw", "type": "t", "sessionid": "ce-7", "data": data}
    (event,) = decisions(make_reader("cloudevents"), body)
    assert (event.envelope.session_id, event.origin.contradicted) == ("sess_alice", ())


def test_a_subject_that_is_a_session_is_one_as_where_advice_is_asked(make_reader, decisions):
    subject = {"type": "session", "id": "sess_alice"}
    (event,) = decisions(make_reader("authzen"), authzen({"envelope": ALICES}, subject=subject))
    assert (event.envelope.delegator_id, event.origin.contradicted) == ("alice", ())
    (event,) = decisions(make_reader("authzen"), authzen({}, subject=subject))
    assert (event.envelope.session_id, event.envelope.delegator_id) == ("sess_alice", "-")


def test_and_what_cannot_be_read_is_told_of_it(make_reader, told):
    subject = {"type": "Session", "id": "sess_mallory"}
    (refused,) = told(make_reader("authzen"), authzen({"envelope": ALICES}, subject) | {"decision": 7})
    assert (refused.code, refused.session_id) == ("invalid", "sess_mallory")


def test_what_cannot_be_read_is_told_of_the_gateways_session(make_reader, told):
    context = {**MALLORYS, "tenant_id": "acme", "envelope": ALICES}
    (refused,) = told(make_reader("authzen"), authzen(context, "mallory", resource={"type": "tool"}))
    assert isinstance(refused, DecodeError)
    assert (refused.code, refused.session_id) == ("no_tool", "sess_mallory")
