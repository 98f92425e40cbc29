"""Whose session a call is in, the gateway says. An agent can claim no other's, nor a new one in each call."""

import base64
import json
import uuid

import pytest

from guardian.errors import DecodeError
from guardian.gateway.names import session_name
from guardian.sources.completing import Completion

MINE = Completion(gateway="edge-1", tenant="acme")
WHEN = "2026-11-24T22:07:16Z"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "6f1b0e6a8a514d1f9f800f6ed5a1e1c2"
META = "io.modelcontextprotocol/"
NOBODY: dict[str, str] = {}
MO = {"user": "mo", "agent": "bot"}


def parent_of(trace: str) -> str:
    return f"00-{trace}-00f067aa0ba902b7-01"


def message(**meta):
    named = {META + "clientInfo": {"name": meta.pop("client")}} if "client" in meta else {}
    named |= {META + "protocolVersion": meta.pop("revision")} if "revision" in meta else {}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "crm.export", "arguments": {}, "_meta": {**named, **meta}}}  # fmt: skip


def mcp(headers=None, request=None, **line):
    return {"timestamp": WHEN, "headers": headers or {}, "request": request or message(), **line}


def opa(headers=None, request=None, **more):
    http = {"headers": headers or {}}
    told = {"attributes": {"request": {"http": http}}, "parsed_body": request or message(), **more}
    return {"decision_id": "d", "labels": {"app": "edge"}, "input": told, "result": True, "timestamp": WHEN}


def envoy(**more):
    return {"start_time": WHEN, "response_code": 200, "mcp.tool.name": "crm.export", **more}


def agentgateway(**more):
    return {"time": WHEN, "gateway": "g", "route": "r", "http.status": 200, "mcp.method.name": "tools/call",
            "gen_ai.tool.name": "crm.export", **more}  # fmt: skip


def event(**more):
    return {"specversion": "1.0", "id": "e", "source": "edge", "type": "mcp", **more}


ANOTHERS = "window:renewals|alice"


@pytest.mark.parametrize(
    ("format_", "line"),
    [
        ("mcp", mcp({"Mcp-Session-Id": ANOTHERS}, **MO)),
        ("mcp", mcp(session_id=ANOTHERS, **MO)),
        ("mcp", mcp(**MO, **{"gen_ai.conversation.id": ANOTHERS})),
        ("mcp", mcp(sid=ANOTHERS, trace_id=ANOTHERS, **MO)),
        ("opa", opa({"mcp-session-id": ANOTHERS}, **MO)),
        ("envoy", envoy(**MO, **{"mcp.session.id": ANOTHERS})),
        ("agentgateway", agentgateway(**MO, **{"mcp.session.id": ANOTHERS})),
        ("cloudevents", event(sessionid=ANOTHERS, data=mcp(**MO))),
    ],
)
def test_a_name_that_is_made_as_guardians_own_are_names_no_session(format_, line, make_reader, decisions):
    (found,) = decisions(make_reader(format_, MINE), line)
    assert (found.key.session_id, found.origin.session_from) == ("window:bot|mo", "window")


STATE = {"t": "mcp", "s": [{"t": "crm", "s": "d55e1c29953a4d19a2788a6fedf7f90f"}]}
SEALED = "5J0mYy0RkS2l9oZ4mJm5Xb1q3xkqg1i8pVh0wZ8Vd3r7lH0jv0nq1w=="


def unsealed(state=b"", **more):
    state = state or json.dumps({**STATE, **more}).encode()
    return base64.urlsafe_b64encode(state).decode().rstrip("=")


@pytest.mark.parametrize(
    "session",
    [
        str(uuid.UUID(int=7)),
        str(uuid.UUID(int=2**127 + 10)).upper(),
        unsealed(),
        unsealed(r="another"),
        base64.b64encode(json.dumps(STATE).encode()).decode(),
        unsealed(b' [\n"mcp", [{"t": "crm"}]]'),
        unsealed(b'{"t": "mcp", "s": [], "x": "\xff\xfe"}'),  # what it passes over need be no text
        unsealed(b'{"t": "mcp", "s": [], "x": %s}' % (b"7" * 5000)),
        unsealed(b'{"t": "mcp", "s": [], "x": %s}' % (b"[" * 50_000)),
    ],
)
def test_what_agentgateway_takes_from_anybody_names_no_session_where_someone_is_known(
    session, make_reader, decisions
):
    """It is none that comes again, or one of which an agent can make as many as it likes."""
    for known, name, kind in (
        (MO, "window:bot|mo", "window"),
        (MO | {"jwt.sid": "sid-1"}, "sid-1", "token"),
        (NOBODY, session_name(session), "gateway"),
    ):
        line = agentgateway(**known, **{"mcp.session.id": session})
        (found,) = decisions(make_reader("agentgateway", MINE), line)
        assert (found.key.session_id, found.origin.session_from) == (name, kind)


@pytest.mark.parametrize("session", [SEALED, "s-1", "191c48", "MTIz", "12345678"])
def test_what_agentgateway_alone_can_make_names_one(session, make_reader, decisions):
    line = agentgateway(**MO, **{"mcp.session.id": session, "jwt.sid": "sid-1"})
    (found,) = decisions(make_reader("agentgateway", MINE), line)
    assert (found.key.session_id, found.origin.session_from) == (session, "gateway")


def test_a_call_that_has_no_other_name_than_one_of_guardians_is_refused(make_reader, told):
    (refused,) = told(make_reader("mcp", MINE), mcp({"Mcp-Session-Id": ANOTHERS}))
    assert (refused.code, refused.session_id) == ("no_session", None)


TRACED = {
    "a message": ("mcp", lambda who: mcp(request=message(traceparent=parent_of(TRACE)), **who)),
    "a header": ("mcp", lambda who: mcp({"Traceparent": parent_of(TRACE)}, **who)),
    "a message to OPA": ("opa", lambda who: opa(None, message(traceparent=parent_of(TRACE)), **who)),
    "a header of Envoy's": ("envoy", lambda who: envoy(traceparent=parent_of(TRACE), **who)),
    "AI Gateway's session header": ("envoy", lambda who: envoy(**{"session.id": TRACE}, **who)),
    "a header of agentgateway's": ("agentgateway", lambda who: agentgateway(**{"trace.id": TRACE}, **who)),
}  # fmt: skip


@pytest.mark.parametrize(("format_", "line"), TRACED.values(), ids=TRACED)
@pytest.mark.parametrize(
    ("who", "session"),
    [(MO, "window:bot|mo"), ({"user": "mo"}, "window:-|mo"), ({"agent": "bot"}, "window:bot|-"), (NOBODY, TRACE)],
)
def test_a_trace_that_an_agent_chose_names_a_session_only_where_nobody_is_known(
    who, session, format_, line, make_reader, decisions
):
    (found,) = decisions(make_reader(format_, MINE), line(who))
    assert found.key.session_id == session
    assert found.trace_id == (None if "session.id" in line(who) else TRACE)


@pytest.mark.parametrize(
    ("format_", "line"),
    [
        ("mcp", mcp(request=message(traceparent=parent_of(OTHER)), trace_id=TRACE, **MO)),
        ("opa", opa(None, message(traceparent=parent_of(OTHER)), **MO) | {"trace_id": TRACE}),
        ("cloudevents", event(traceid=TRACE, data=mcp(request=message(traceparent=parent_of(OTHER)), **MO))),
        ("cloudevents", event(traceparent=parent_of(TRACE), data=mcp(**MO))),
        ("authzen", {"request": {"subject": {"type": "user", "id": "mo"}, "action": {"name": "crm.export"},
                                 "resource": {"type": "tool", "id": "x"}, "context": {"trace_id": TRACE}},
                     "response": {"decision": True}, "time": WHEN}),
    ],
)  # fmt: skip
def test_a_trace_that_the_log_itself_says_names_a_session_as_ever(format_, line, make_reader, decisions):
    (found,) = decisions(make_reader(format_, MINE), line)
    assert (found.key.session_id, found.trace_id, found.origin.session_from) == (TRACE, TRACE, "trace")


@pytest.mark.parametrize("trace", ["0" * 32, TRACE.upper(), "window:renewals|alice".ljust(32, "x"), "g" * 32])
def test_what_is_no_trace_id_names_no_session(trace, make_reader, decisions):
    line = mcp(request=message(traceparent=f"00-{trace}-00f067aa0ba902b7-01", client="bot"))
    (found,) = decisions(make_reader("mcp", MINE), line)
    assert (found.key.session_id, found.trace_id) == ("window:bot|-", None)


def test_where_the_operator_leaves_agent_and_user_out_a_trace_names_a_session_whoever_chose_it(
    make_reader, decisions
):
    mine = Completion(gateway="edge-1", tenant="acme", session=("gateway", "trace"))
    (found,) = decisions(make_reader("mcp", mine), mcp(request=message(traceparent=parent_of(TRACE)), **MO))
    assert found.key.session_id == TRACE


@pytest.mark.parametrize("shape", [mcp, opa])
def test_a_client_that_calls_itself_otherwise_in_each_call_stays_in_one_session(shape, make_reader, decisions):
    reader = make_reader(shape.__name__, MINE)
    found = [decisions(reader, shape(None, message(client=name), user="mo"))[0] for name in ("a", "renewals")]
    assert [each.key.session_id for each in found] == ["window:-|mo"] * 2
    assert [each.envelope.agent_id for each in found] == ["a", "renewals"]  # as ever: a map of envelopes may ask
    (nobodys,) = decisions(reader, shape(None, message(client="a")))
    assert nobodys.key.session_id == "window:a|-"


NEWEST, OLDER = "2026-07-28", "2025-11-25"


@pytest.mark.parametrize("shape", [mcp, opa])
@pytest.mark.parametrize(
    ("said", "in_message", "counts"),
    [
        (NEWEST, None, False),
        (None, NEWEST, False),
        (NEWEST, OLDER, False),
        (None, None, True),
        (OLDER, None, True),
        (OLDER, NEWEST, True),  # a server of either kind refuses a header that is not its own
    ],
)
def test_a_session_in_a_header_counts_where_a_server_looks_at_it(
    said, in_message, counts, shape, make_reader, decisions
):
    reader = make_reader(shape.__name__, MINE)
    headers = {"mcp-session-id": "s-1"} | ({"mcp-protocol-version": said} if said else {})
    request = message(revision=in_message) if in_message else message()
    (found,) = decisions(reader, shape(headers, request, **MO))
    assert found.key.session_id == ("s-1" if counts else "window:bot|mo")
    (nobodys,) = decisions(reader, shape(headers, request))
    assert nobodys.key.session_id == "s-1"


UNREAD = {
    "cut off": {"truncated_body": True},
    "no JSON": {"attributes": {"body": '{"method": "tools/call", "params": {"name": '}},
    "no message": {"tool": "crm.export"},
    "asked as AuthZEN does": {"action": {"name": "tools/call"}, "resource": {"type": "tool", "id": "crm.export"}},
}  # fmt: skip


@pytest.mark.parametrize("input_", UNREAD.values(), ids=UNREAD)
@pytest.mark.parametrize(("revision", "session"), [(NEWEST, "window:bot|mo"), (OLDER, "s-1")])
def test_nor_does_it_in_a_header_where_the_message_cannot_be_read(revision, session, input_, make_reader, told):
    headers = {"mcp-session-id": "s-1", "mcp-protocol-version": revision}
    http = {"headers": headers, **input_.get("attributes", {})}
    line = opa(**MO) | {"input": {**MO, **input_, "attributes": {"request": {"http": http}}}}
    (found,) = told(make_reader("opa", MINE), line)
    assert (found.session_id if isinstance(found, DecodeError) else found.event.key.session_id) == session


def test_an_unreadable_answer_is_not_told_of_a_session_that_only_its_agent_claims(make_reader, told):
    headers = {"mcp-session-id": "s-1", "mcp-protocol-version": NEWEST}
    (refused,) = told(make_reader("opa", MINE), opa(headers, **MO) | {"result": {"odd": 1}})
    assert (refused.code, refused.session_id) == ("invalid", None)


def test_a_conversation_under_a_key_of_the_operators_choice_is_the_gateways_word(make_reader, decisions):
    reader = make_reader("envoy", MINE, fields={"conversation": "x-conversation"})
    (found,) = decisions(reader, envoy(**{"x-conversation": "c-1"}, **MO))
    assert found.key.session_id == "c-1"


def test_what_is_written_around_a_message_goes_before_the_session_that_it_claims(make_reader, decisions):
    headers = {"mcp-session-id": "s-1", "mcp-protocol-version": NEWEST}
    (found,) = decisions(make_reader("mcp", MINE), mcp(headers, session_id="s-2"))
    assert found.key.session_id == "s-2"
    (found,) = decisions(make_reader("cloudevents", MINE), event(sessionid="s-3", data=mcp(headers, **MO)))
    assert found.key.session_id == "s-3"
    (found,) = decisions(make_reader("opa", MINE), opa(headers, context={"session_id": "s-4"}))
    assert found.key.session_id == "s-4"
