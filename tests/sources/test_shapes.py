"""However an agent, or who logs it, writes a call: it is told, or refused with a reason, and never left out."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from guardian.errors import DecodeError
from guardian.sources.completing import Completion
from guardian.sources.port import Told
from guardian.sources.reading import Reader

MINE = Completion(gateway="edge-1", tenant="acme")
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "crm.read", "arguments": {"id": 7}}}
WHEN = "2026-11-24T22:07:16Z"


def asked(**more):
    """OPA's record of an ext_authz check, as Envoy's plugin asks it; `more` is of the request or beside it."""
    headers = {"mcp-session-id": "s-1", "content-type": "application/json"} | more.pop("headers", {})
    http = {"method": "POST", "path": "/mcp", "headers": headers, "body": more.pop("body", "")}
    told = {"attributes": {"request": {"http": http}}, "parsed_body": None, "truncated_body": False, **more}
    return {"decision_id": "d", "labels": {"app": "edge"}, "path": "mcp/allow", "input": told, "result": True,
            "timestamp": WHEN}  # fmt: skip


@pytest.mark.parametrize(
    "check",
    [
        asked(parsed_body=CALL),
        asked(headers={"content-type": "Application/JSON"}, body=json.dumps(CALL)),
        asked(headers={"content-type": "text/plain"}, body=json.dumps(CALL), parsed_body={"{": [""]}),
    ],
    ids=["parsed", "another content type", "parsed as a form"],
)
def test_a_call_is_told_whatever_content_type_an_agent_says_it_has(check, make_reader, decisions):
    (event,) = decisions(make_reader("opa", MINE), check)
    assert (event.key.session_id, event.action.tool, event.action.arguments) == ("s-1", "crm.read", {"id": 7})


@pytest.mark.parametrize("check", [asked(parsed_body=[CALL, CALL]), asked(body=json.dumps([CALL, CALL]))])
def test_each_call_of_a_json_rpc_batch_that_opa_decided_is_told(check, make_reader, decisions):
    told = decisions(make_reader("opa", MINE), check)
    assert [(event.id, event.action.tool, event.key.session_id) for event in told] == [
        ("d/0", "crm.read", "s-1"),
        ("d/1", "crm.read", "s-1"),
    ]


SARC = {"subject": {"id": "u"}, "action": {"name": "crm.read"}, "resource": {"id": "c"}}


@pytest.mark.parametrize(
    ("named", "body"),
    [({"tool": "crm.read"}, []), ({"tool": "crm.read"}, [1, {}]), (SARC, []), (SARC, [CALL, CALL])],
)
def test_a_call_that_opa_was_asked_about_by_name_is_one_whatever_the_body_beside_it_lists(
    named, body, make_reader, decisions
):
    told = decisions(make_reader("opa", MINE), asked(**named, parsed_body=body, body=json.dumps(body)))
    assert [(event.id, event.action.tool) for event in told] == [("d", "crm.read")]


@pytest.mark.parametrize("named", [{"tool": "crm.read"}, SARC])
def test_who_an_input_names_by_objects_with_an_id_is_known(named, make_reader, decisions):
    check = asked(**named, user={"id": "ann"}, agent={"id": "bot"}, session={"id": "s-9"})
    (event,) = decisions(make_reader("opa", MINE), check)
    assert (event.key.session_id, event.envelope.delegator_id, event.envelope.agent_id) == ("s-9", "ann", "bot")
    assert "session_id" not in event.features_missing


@pytest.mark.parametrize("cut", [{"truncated_body": True}, {"headers": {"x-envoy-auth-partial-body": "true"}}])
def test_a_body_that_envoy_cut_off_is_told_with_its_session(cut, make_reader, told):
    (refused,) = told(make_reader("opa", MINE), asked(body=json.dumps(CALL)[:40], **cut))
    assert isinstance(refused, DecodeError)
    assert (refused.code, refused.session_id) == ("too_large", "s-1")


SAID = json.dumps(CALL)
ODD = {
    "a key twice": '{"x": 1, "x": 2, ' + SAID[1:],
    "a key twice in a batch": f'[{SAID}, {{"x": 1, "x": 2, {SAID[1:]}]',
    "only such in a batch": f'[{{"x": 1, "x": 2, {SAID[1:]}]',
    "words that follow": SAID + " x",
    "another value that follows": '{"index": {}}\n' + SAID,
    "cut short": SAID[:-1],
    "an escaped slash": SAID.replace("tools/call", "tools\\/call") + " x",
    "an escaped letter": SAID.replace("tools/call", "\\u0074ools\\u002Fcall") + " x",
    "utf-16": "\ufeff" + "\0".join(SAID) + "\0",
    "utf-16 as Envoy hands it on": "!!" + "\0".join(SAID) + "\0",
    "utf-32": SAID.encode("utf-32-be").decode(),
}


@pytest.mark.parametrize("type_", ["Application/JSON", "text/plain"])
@pytest.mark.parametrize("odd", ODD)
def test_a_body_that_only_another_parser_reads_hides_no_call(odd, type_, make_reader, told):
    for body in ({"body": ODD[odd]}, {"rawBody": base64.b64encode(ODD[odd].encode()).decode()}):
        check = asked(headers={"content-type": type_})
        check["input"]["attributes"]["request"]["http"] |= body
        *_, refused = told(make_reader("opa", MINE), check)
        assert isinstance(refused, DecodeError)
        assert (refused.code, refused.tenant_id, refused.session_id) == ("no_tool", "acme", "s-1")


FORM = SAID.replace('"jsonrpc": ', '"x": "&method=y&", "jsonrpc": ')
TWICE = SAID[:-1] + ', "method": "ping"}'


@pytest.mark.parametrize(
    ("check", "codes"),
    [
        (asked(body=FORM, parsed_body={FORM[:7]: [""], "method": ["y"]}), [None]),
        (asked(body=TWICE, parsed_body=CALL | {"method": "ping"}), ["no_tool"]),
        (asked(body=json.dumps(CALL | {"method": "ping"}), parsed_body=CALL | {"method": "ping"}), []),
    ],
    ids=["as a form with a method", "whose last method is another", "really another method"],
)
def test_a_body_that_the_plugin_read_otherwise_hides_no_call(check, codes, make_reader, told):
    found = told(make_reader("opa", MINE), check)
    assert [each.code if isinstance(each, DecodeError) else None for each in found] == codes


def test_a_body_that_came_packed_under_the_headers_of_mcp_hides_no_call(make_reader, told):
    packed = asked(body="!!x!", headers={"content-encoding": "gzip"})
    (refused,) = told(make_reader("opa", MINE), packed)
    assert (refused.code, refused.session_id) == ("no_tool", "s-1")
    packed["input"]["attributes"]["request"]["http"]["headers"].pop("mcp-session-id")
    assert told(make_reader("opa", MINE), packed) == []


@pytest.mark.parametrize("mark", ["\ufeff", " \n"])
@pytest.mark.parametrize("name", ["body", "rawBody"])
def test_a_call_is_told_whatever_is_before_it_and_however_envoy_hands_it_on(name, mark, make_reader, decisions):
    said = mark + SAID
    check = asked()
    check["input"]["attributes"]["request"]["http"] |= {
        "body": "", name: said if name == "body" else base64.b64encode(said.encode()).decode()
    }  # fmt: skip
    (event,) = decisions(make_reader("opa", MINE), check)
    assert (event.key.session_id, event.action.tool, event.action.arguments) == ("s-1", "crm.read", {"id": 7})


OTHERS = [
    {}, {"body": "a=1"}, {"parsed_body": {"a": ["1"]}}, {"body": "[1]"}, {"body": '{"a": 1, "a": 2}'},
    {"body": "q=" + SAID, "parsed_body": {"q": [SAID]}}, {"body": f"--b\r\n\r\n{SAID}\r\n--b--"},
    {"body": f"<p>{SAID}</p>"}, {"body": json.dumps({"said": "tools/call"})}, {"body": "{ no JSON"},
    {"body": "\x89PNG\ufffd{\0tools/call"}, {"rawBody": "AAECAw=="}, {"rawBody": "no"},
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_request_that_is_no_call_is_none(other, make_reader, told):
    check = asked(**{name: value for name, value in other.items() if name != "rawBody"})
    check["input"]["attributes"]["request"]["http"] |= {n: value for n, value in other.items() if n == "rawBody"}
    assert told(make_reader("opa", MINE), check) == []


def test_a_call_that_opa_was_asked_about_by_name_is_one_whatever_request_it_came_with(make_reader, decisions):
    told = asked(tool="crm.read", method="POST", params={"id": 7})
    (event,) = decisions(make_reader("opa", MINE), told)
    assert (event.action.tool, event.action.arguments) == ("crm.read", {"id": 7})


NAMELESS = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"arguments": {}}}


@pytest.mark.parametrize(
    ("input_", "result", "session"),
    [
        ({"session_id": "s-1", "parsed_body": NAMELESS}, True, "s-1"),
        ({"token": {"sid": "s-2"}, "parsed_body": NAMELESS}, True, "s-2"),
        ({"session": "s-3", "envelope": {"session_id": "s-4"}, "tool": "x"}, 5, "s-3"),
        ({"subject": {}, "action": {}, "resource": {}, "context": {"session": {"id": "s-5"}}}, True, "s-5"),
        (
            {"subject": {}, "action": {}, "resource": {}, "context": {"envelope": {"session_id": "s-6"}}},
            True,
            "s-6",
        ),
        ({"session": "s-7", "tool": "x", "envelope": 5}, True, "s-7"),
        ({"session": "s-8"}, True, "s-8"),
        ({"session": "s-8", "tool": "x", "time": "soon"}, True, "s-8"),
        ({"session": "s-9", **NAMELESS}, True, None),
        ("s-10", True, None),
    ],
)
def test_a_refused_record_of_opa_names_whom_it_is_about(input_, result, session, make_reader, told):
    when = input_.get("time", WHEN) if isinstance(input_, dict) else WHEN
    entry = {"decision_id": "d", "labels": {"app": "edge-1"}, "input": input_, "result": result, "timestamp": when}
    (refused,) = told(make_reader("opa", Completion(tenants={"edge-1": "acme"})), entry)
    assert isinstance(refused, DecodeError)
    assert (refused.gateway, refused.tenant_id, refused.session_id) == ("edge-1", "acme", session)


@pytest.mark.parametrize(
    "about", [{"result": ["a"]}, {"result": {"tools": ["a"]}}, {"input": {"kind": "Pod"}}], ids=str
)
def test_what_opa_decided_of_other_things_is_refused_with_the_setting_that_skips_it(about, make_reader, told):
    entry = asked(tool="crm.read", session="s-1") | about
    (refused,) = told(make_reader("opa", MINE), entry)
    assert "source.options.paths" in refused.reason
    (refused,) = told(make_reader("opa", MINE, paths=("mcp/allow",)), entry)
    assert "source.options.paths" not in refused.reason


@pytest.mark.parametrize("context", [{"session_id": "s-1"}, {"session": {"id": "s-1"}}, {"sid": "s-1"},
                                     {"envelope": {"session_id": "s-2"}, "session": "s-1"}], ids=str)  # fmt: skip
@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({}, {"decision": "true"}),
        ({"action": {}}, {"decision": True}),
        ({"evaluations": [{}]}, {"decision": True}),
    ],
)
def test_a_refused_record_of_authzen_names_whom_it_is_about(more, answer, context, make_reader, told):
    request = {"subject": {"id": "u"}, "action": {"name": "pay"}, "resource": {"id": "r"}, "context": context}
    body = {"request": {**request, "context": context, **more}, "response": answer, "time": WHEN}
    (refused,) = told(make_reader("authzen", MINE), body)
    assert isinstance(refused, DecodeError)
    assert (refused.gateway, refused.tenant_id, refused.session_id) == ("edge-1", "acme", "s-1")
    whole = {**request, **more, **answer, "jsonrpc": "2.0"}  # an agent's own message accuses nobody
    (refused,) = told(make_reader("authzen", MINE), whole | {"decision": 1})
    assert refused.session_id is None


@pytest.mark.parametrize("tool", [None, "", "-", 5.5, {"a": 1}])
@pytest.mark.parametrize("format_", ["envoy", "agentgateway"])
def test_a_call_that_names_no_tool_is_refused_with_its_session(format_, tool, make_reader, told):
    line = {"envoy": {"start_time": WHEN, "response_code": 200, "mcp.tool.name": tool},
            "agentgateway": {"time": WHEN, "gateway": "edge-1", "gen_ai.tool.name": tool}}[format_]  # fmt: skip
    (found,) = told(make_reader(format_, MINE), line | {"mcp.method.name": "tools/call", "jwt.sid": "s-1"})
    named = tool == 5.5 or (tool == "-" and format_ == "agentgateway")
    if isinstance(found, Told):
        assert named
    else:
        assert (found.code, found.session_id) == ("no_tool", "s-1")
        assert "tool.name: expected a string" in found.reason


SARC = {"subject": {"id": "u"}, "action": {"name": "tools/call"}, "resource": {"type": "tool"},
        "context": {"session_id": "another's", "sid": "s-1"}}  # fmt: skip


@pytest.mark.parametrize(
    ("format_", "body"),
    [
        ("authzen", {"request": SARC, "response": {"decision": True}, "time": WHEN}),
        ("authzen", {"request": SARC | {"action": {"name": ""}}, "response": {"decision": True}, "time": WHEN}),
        ("opa", asked() | {"input": SARC}),
        ("opa", asked() | {"input": {"tool": "", "session_id": "another's", "token": {"sid": "s-1"}}}),
        ("mapping", {"decision": True, "time": WHEN, "session": "another's", "token": "s-1"}),
        ("otel", {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "s-1", "attributes": [
            {"key": "mcp.method.name", "value": {"stringValue": "tools/call"}}]}]}]}]}),
    ],
)  # fmt: skip
def test_who_names_no_tool_is_known_by_what_their_other_calls_are(format_, body, make_reader, told):
    (refused,) = told(make_reader(format_, replace(MINE, session=("token", "trace"))), body)
    assert (refused.code, refused.session_id) == ("no_tool", "s-1")


@pytest.mark.parametrize(("result", "codes"), [(False, {"nobody"}), (True, {"no_session", "no_tool"})])
def test_what_is_denied_to_nobody_is_told_from_what_is_allowed_to_nobody(result, codes, make_reader, told):
    found = set()
    for body in (SAID, json.dumps(NAMELESS), SAID + " x"):
        check = asked(body=body) | {"result": result}
        check["input"]["attributes"]["request"]["http"]["headers"].pop("mcp-session-id")
        (refused,) = told(make_reader("opa", MINE), check)
        found.add(refused.code)
        assert (refused.session_id, refused.gateway) == (None, "edge-1")
    assert found == codes


def test_the_other_lines_of_opas_console_are_no_decisions(make_reader, told):
    line = {"client_addr": "[::1]:1", "level": "info", "msg": "Received request.", "req_id": 1, "time": WHEN}
    alone = make_reader("opa", MINE)
    assert told(alone, line) == told(alone, line | {"msg": "Initializing server."}) == []
    told_apart = replace(alone, formats={**make_reader("envoy").formats, **alone.formats})
    assert told(told_apart, line) == []


LINES = {
    "mcp": lambda call: {"timestamp": WHEN, "session_id": "s-1", "request": call},
    "opa": lambda call: asked(parsed_body=call),
}


@pytest.mark.parametrize("format_", LINES)
@pytest.mark.parametrize("name", ["Method", "METHOD"])
def test_a_call_is_one_in_capitals_too_as_servers_in_go_read_it(name, format_, make_reader, decisions):
    call = {"JsonRPC": "2.0", name: "tools/call", "Param\u017f": {"Name": "crm.read", "Arguments": {"id": 7}}}
    (event,) = decisions(make_reader(format_, MINE), LINES[format_](call))
    assert (event.key.session_id, event.action.tool, event.action.arguments) == ("s-1", "crm.read", {"id": 7})


@pytest.mark.parametrize("format_", LINES)
@pytest.mark.parametrize(
    "odd",
    [
        CALL | {"method": "ping", "Method": "tools/call"},
        CALL | {"Params": CALL["params"]},
        CALL | {"params": {"name": "crm.read", "Name": "crm.export"}},
        CALL | {"params": {"name": "crm.read", "arguments": {}, "ARGUMENTS": {"id": 7}}},
    ],
)
def test_a_call_that_servers_read_differently_is_refused_with_its_session(odd, format_, make_reader, told):
    (refused,) = told(make_reader(format_, MINE), LINES[format_](odd))
    assert isinstance(refused, DecodeError)
    assert (refused.code, refused.session_id) == ("no_tool", "s-1")


@pytest.mark.parametrize("said", [5, True, [1], "words"])
def test_arguments_that_are_no_object_hide_no_call(said, make_reader, decisions):
    line = {"timestamp": WHEN, "headers": {"Mcp-Session-Id": ["s-1"]}}
    call = CALL | {"params": {"name": "crm.read", "arguments": said}}
    (event,) = decisions(make_reader("mcp", MINE), line | {"request": call})
    assert event.key.session_id == "s-1"
    assert list((event.action.arguments or {}).values()) == [said]


@pytest.mark.parametrize("said", [{"session": "s-1"}, {"mcp.session.id": "s-1"}, {"session": {"id": "s-1"}}])
def test_a_call_is_of_the_session_that_its_line_names_before_the_agents_header(said, make_reader, decisions):
    line = {"timestamp": WHEN, "headers": {"Mcp-Session-Id": "s-2"}, "user": {"id": "ann"}, "request": CALL}
    (event,) = decisions(make_reader("mcp", MINE), line | said)
    assert (event.key.session_id, event.envelope.delegator_id) == ("s-1", "ann")


def test_a_conversation_that_an_mcp_line_names_is_one_where_it_names_no_session(make_reader, decisions):
    line = {"timestamp": WHEN, "gen_ai.conversation.id": "c-1", "request": CALL}
    (event,) = decisions(make_reader("mcp", MINE), line)
    assert (event.key.session_id, event.origin.session_from) == ("c-1", "conversation")
    (event,) = decisions(make_reader("mcp", MINE), line | {"headers": {"Mcp-Session-Id": "s-1"}})
    assert (event.key.session_id, event.origin.session_from) == ("s-1", "gateway")


@pytest.mark.parametrize(
    ("semantic", "answers", "unanswered"),
    [
        (None, [True, False, True], 0),
        (None, [True, False], 1),
        (None, [], 3),
        ("execute_all", [False], 2),
        ("deny_on_first_deny", [True, False], 0),
        ("deny_on_first_deny", [True, True], 1),
        ("deny_on_first_deny", [], 3),
        ("permit_on_first_permit", [True], 0),
        ("permit_on_first_permit", [False], 2),
        ("of another year", [True], 2),
    ],
)
def test_an_evaluation_without_an_answer_is_refused_unless_one_before_it_ended_the_batch(
    semantic, answers, unanswered, make_reader, told
):
    options = {"options": {"evaluations_semantic": semantic}} if semantic else {}
    request = {"subject": {"type": "user", "id": "maya"}, "resource": {"type": "account", "id": "7"},
               "context": {"session_id": "s-1"}, **options,
               "evaluations": [{"action": {"name": f"pay_{n}"}} for n in range(3)]}  # fmt: skip
    response = {"evaluations": [{"decision": each} for each in answers]}
    found = told(make_reader("authzen", MINE), {"request": request, "response": response, "time": WHEN})
    calls = [each.event for each in found if isinstance(each, Told)]
    assert [each.action.tool for each in calls] == [f"pay_{n}" for n in range(len(answers))]
    assert [each.decision.effect == "allow" for each in calls] == answers
    refused = [each for each in found if isinstance(each, DecodeError)]
    assert [(each.code, each.session_id) for each in refused] == [("invalid", "s-1")] * unanswered
    assert all(each.reason.startswith("response.decision: expected true or false") for each in refused)


@pytest.mark.parametrize("answer", [{"decision": True}, {}, {"evaluations": {}}])
def test_a_batch_that_was_answered_in_one_is_refused_rather_than_left_out(answer, make_reader, told):
    request = {"subject": {"type": "user", "id": "maya"}, "evaluations": [{"action": {"name": "pay"}}]}
    body = {"request": request | {"context": {"session_id": "s-1"}}, "response": answer, "time": WHEN}
    (refused,) = told(make_reader("authzen", MINE), body)
    assert isinstance(refused, DecodeError)
    assert refused.reason.startswith("response.evaluations: expected an array")


@pytest.mark.parametrize("binary", [True, False])
def test_each_call_in_one_cloudevent_has_an_id_of_its_own_which_stays(binary, make_reader, decisions):
    line = {"timestamp": WHEN, "session_id": "s-1", "request": CALL}
    said = {"id": "e", "source": "edge", "type": "t", "specversion": "1.0"}
    headers = tuple((f"ce_{name}", value.encode()) for name, value in said.items()) if binary else ()
    value = [line, line] if binary else {**said, "data": [line, line]}
    reader = make_reader("mcp", MINE)
    twice = [[e.id for e in decisions(reader, value, headers=headers, offset=offset)] for offset in (0, 1)]
    assert twice == [["e", "e/1"]] * 2


@pytest.mark.parametrize("name", ["guardian.decision", "authorization.decision"])
def test_a_span_that_says_false_is_a_deny(name, samples, make_reader, decisions):
    body = json.loads(samples("otel")[0])
    span = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["attributes"].append({"key": name, "value": {"boolValue": False}})
    assert decisions(make_reader("otel", MINE), body)[0].decision.effect == "deny"


def test_an_entry_whose_policy_decision_is_false_is_a_deny(make_reader, decisions):
    body = {"event_type": "tool_invoked", "agent_did": "a", "action": "pay", "outcome": "success",
            "session_id": "s", "policy_decision": False, "timestamp": WHEN}  # fmt: skip
    assert decisions(make_reader("agent_governance", MINE), body)[0].decision.effect == "deny"


@pytest.mark.parametrize("lacking", ["name", "start_time_unix_nano"])
def test_a_span_without_a_name_or_time_hides_none_of_the_others(lacking, make_reader, told):
    message = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2").TracesData()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in (1, 2):
        span = spans.add(trace_id=b"\x01" * 16, span_id=bytes([number] * 8), name="x", start_time_unix_nano=10**18)
        for key, value in (("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "pay")):
            span.attributes.add(key=key).value.string_value = value
    spans[0].ClearField(lacking)
    found = told(make_reader("otel", MINE), message.SerializeToString())
    assert len(found) == 2
    assert isinstance(found[1], Told)


@pytest.mark.parametrize("said", ["1e999", "nan", "9" * 400, "9" * 5_000])
@pytest.mark.parametrize(
    "fields",
    [
        {"records": "ceil(to_number(size))"},
        {"records": "to_number(size)"},
        {"arguments": "{n: [to_number(size)]}"},
        {"time": "to_number(size)"},
    ],
    ids=str,
)
def test_no_number_that_a_mapping_makes_of_what_an_agent_wrote_gets_further_than_json(
    said, fields, make_reader, told
):
    reader = make_reader("mapping", MINE, fields={"tool": "tool", "decision": "ok", "session": "s"} | fields)
    body = {"tool": "pay", "ok": True, "s": "s-1", "size": said}
    (found,) = told(reader, body, timestamp=datetime(2026, 11, 24, tzinfo=UTC))
    if isinstance(found, Told):
        json.dumps(found.event.model_dump(mode="python")["action"], allow_nan=False)
        assert found.event.action.records is None
    else:
        assert found.session_id == "s-1"


@pytest.mark.parametrize("shared", ["authzen", "verified_permissions", "otel"])
def test_what_all_entries_of_a_record_share_is_read_within_bounds(shared, make_reader, told):
    many, large = 300, "x" * 3_000
    body = {
        "authzen": {
            "request": {"context": {"session_id": "s", "arguments": {"a": large}}, "action": {"name": "pay"},
                        "evaluations": [{}] * many},
            "response": {"evaluations": [{"decision": True}] * many}, "time": WHEN,
        },
        "verified_permissions": {
            "eventSource": "verifiedpermissions.amazonaws.com", "eventName": "BatchIsAuthorized",
            "eventTime": WHEN, "requestParameters": {"entities": large},
            "additionalEventData": {"results": [{"request": {}, "decision": "ALLOW"}] * many},
        },
        "otel": {"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": large}}]},
            "scopeSpans": [{"spans": [{}] * many}],
        }]},
    }[shared]  # fmt: skip
    value = json.dumps(body).encode()
    bounded = replace(make_reader(shared, MINE), max_unpacked=2 * len(value))
    assert isinstance(bounded, Reader)
    *_, last = told(bounded, value)
    assert isinstance(last, DecodeError)
    assert (last.code, last.reason.startswith("its entries")) == ("too_large", True)
    ample = told(make_reader(shared, MINE), value)
    assert not [each for each in ample if isinstance(each, DecodeError) and each.code == "too_large"]


def test_the_other_lines_of_agentgateway_and_other_log_records_are_no_calls(samples, make_reader, told):
    line = {"level": "info", "time": WHEN, "scope": "agent_core::readiness", "message": "complete"}
    assert told(make_reader("agentgateway", MINE), line) == []
    body = json.loads(samples("agentgateway")[3])
    records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    records.append({"timeUnixNano": "1764022036000000000", "body": {"stringValue": "GC"}, "attributes": []})
    assert [type(each) for each in told(make_reader("agentgateway", MINE), body)] == [Told] * (len(records) - 1)


def test_what_the_governance_toolkits_own_logger_writes_is_a_call(make_reader, decisions):
    entry = {"timestamp": WHEN, "event_type": "governance_decision", "agent_id": "bot", "action": "search",
             "decision": "DENY", "reason": "", "latency_ms": 0.1, "metadata": {"session_id": "s-1"}}  # fmt: skip
    (event,) = decisions(make_reader("agent_governance", MINE), entry)
    assert (event.action.tool, event.key.session_id, event.decision.effect) == ("search", "s-1", "deny")


@pytest.mark.parametrize(
    ("beside", "session"),
    [({"headers": {"Mcp-Session-Id": "s-2"}}, "s-2"), ({"sid": "s-3"}, "s-3"), ({"trace_id": "a" * 32}, "a" * 32),
     ({"user": "mo"}, "window:-|mo")],
)  # fmt: skip
@pytest.mark.parametrize(
    "odd", [{"name": "crm.export", "Name": "x"}, {"arguments": {}}], ids=["two names", "none"]
)
def test_a_call_that_is_refused_is_of_the_session_that_it_would_be_of(odd, beside, session, make_reader, told):
    (refused,) = told(make_reader("mcp", MINE), {"timestamp": WHEN, "request": CALL | {"params": odd}, **beside})
    assert (refused.code, refused.session_id) == ("no_tool", session)


@pytest.mark.parametrize(("result", "code"), [(True, "no_session"), (False, "nobody")])
def test_a_call_of_nobody_is_nobodys_whatever_else_cannot_be_read(result, code, make_reader, told):
    check = asked(parsed_body=CALL | {"params": {"name": "crm.read", "arguments": {"n": 0}}}) | {"result": result}
    check["input"]["attributes"]["request"]["http"]["headers"].pop("mcp-session-id")
    (refused,) = told(make_reader("opa", MINE), json.dumps(check).replace('"n": 0', '"n": 1e999').encode())
    assert (refused.code, refused.session_id) == (code, None)


AUDITED = {"entry_id": "audit_1", "timestamp": WHEN, "event_type": "tool_invocation", "agent_did": "did:mesh:bot",
           "action": "export", "data": {}, "outcome": "success", "session_id": "s-1"}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "effect"),
    [
        ({"policy_decision": "warn"}, "allow"),
        ({"policy_decision": "LOG", "outcome": "log"}, "allow"),
        ({"policy_decision": "audit", "outcome": "failure"}, "allow"),
        ({"policy_decision": "warn", "outcome": "denied"}, "deny"),
        ({"policy_decision": "require_approval"}, "deny"),
        ({"policy_decision": "block"}, "deny"),
        ({"policy_decision": "allow"}, "allow"),
    ],
)
def test_the_governance_toolkit_lets_through_what_it_only_notes(said, effect, make_reader, decisions):
    (event,) = decisions(make_reader("agent_governance", MINE), {**AUDITED, **said})
    assert (event.action.tool, event.decision.effect) == ("export", effect)
    plain = {"timestamp": WHEN, "event_type": "governance_decision", "agent_id": "bot", "action": "export",
             "decision": said["policy_decision"], "metadata": {"session_id": "s-1"}}  # fmt: skip
    if said.get("outcome") != "denied":
        assert decisions(make_reader("agent_governance", MINE), plain)[0].decision.effect == effect


def test_what_people_approve_is_no_call_of_the_governance_toolkits(make_reader, told):
    asked = {**AUDITED, "event_type": "approval_decision", "outcome": "approved"}
    assert told(make_reader("agent_governance", MINE), asked) == []


def test_the_policy_evaluations_of_govern_are_calls_where_they_are_named(make_reader, decisions):
    """By default not: beside tool invocations they would be the same calls again."""
    entry = {**AUDITED, "event_type": "policy_evaluation", "outcome": "deny", "policy_decision": "deny"}
    assert decisions(make_reader("agent_governance", MINE), entry) == []
    (event,) = decisions(make_reader("agent_governance", MINE, event_types=["policy_evaluation"]), entry)
    assert (event.action.tool, event.decision.effect) == ("export", "deny")


@pytest.mark.parametrize("format_", ["auto", "cloudevents", "agent_governance"])
@pytest.mark.parametrize("binary", [False, True])
def test_the_governance_toolkits_cloudevents_say_in_their_attributes_who_did_what(
    format_, binary, make_reader, told
):
    data = {"action": "export", "resource": "crm", "outcome": "success", "policy_decision": "allow",
            "matched_rule": "readers", "arguments": {"n": 1}, "tenant_id": "acme"}  # fmt: skip
    said = {"specversion": "1.0", "id": "audit_1", "type": "ai.agentmesh.tool.invoked", "source": "did:mesh:bot",
            "time": "2026-11-24T22:07:16+00:00Z", "sessionid": "s-1", "traceid": "4b" * 16}  # fmt: skip

    def read(completion=MINE, **more):
        attributes = said | more
        if not binary:
            return told(make_reader(format_, completion), {**attributes, "data": data})
        headers = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
        return told(make_reader(format_, completion), data, headers=headers)

    (found,) = read()
    event = found.event
    assert (event.id, event.time.isoformat()) == ("audit_1", "2026-11-24T22:07:16+00:00")
    assert (event.gateway, event.envelope.agent_id, event.key.session_id) == ("edge-1", "did:mesh:bot", "s-1")
    assert (event.action.tool, event.action.arguments, event.trace_id) == ("export", {"n": 1}, "4b" * 16)
    assert (event.decision.effect, event.decision.policy_ids) == ("allow", ("readers",))
    for other in ("ai.agentmesh.policy.evaluation", "ai.agentmesh.agent.registered"):
        assert read(type=other) == []
    (refused,) = read(Completion(tenant="acme"))  # whoever acts is no gateway
    assert (refused.code, refused.session_id) == ("no_gateway", "s-1")
    (refused,) = read(type="com.example.tool.invoked")
    assert isinstance(refused, DecodeError)


def test_a_cloudevent_that_holds_an_agents_message_is_none_of_the_governance_toolkits(make_reader, told):
    message = {**CALL, "action": "safe", "outcome": "denied", "policy_decision": "deny"}
    event = {"specversion": "1.0", "id": "e", "type": "ai.agentmesh.tool.invoked", "source": "s", "time": WHEN,
             "sessionid": "s-1", "data": message}  # fmt: skip
    (found,) = told(make_reader("auto", MINE), event)
    assert (found.event.action.tool, found.event.decision.effect) == ("crm.read", "allow")


def test_a_call_that_took_too_long_was_let_through(make_reader, decisions):
    answer = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "Request timed out"}}
    line = {"timestamp": WHEN, "session_id": "s-1", "request": CALL, "response": answer}
    (event,) = decisions(make_reader("mcp", MINE), line)
    assert event.decision.effect == "allow"
    assert event.result is not None
    assert event.result.status == "error"


@pytest.mark.parametrize(
    ("details", "effect"),
    [("via_upstream", "allow"), ("jwt_authn_access_denied{Jwt_is_expired}", "deny"), ("-", "deny")],
)
def test_a_403_of_the_upstream_is_no_refusal_of_the_gateway(details, effect, make_reader, decisions):
    line = {"start_time": WHEN, "mcp.method.name": "tools/call", "mcp.tool.name": "pay", "mcp.session.id": "s-1",
            "response_code": 403, "response_code_details": details}  # fmt: skip
    (event,) = decisions(make_reader("envoy", MINE), line)
    assert event.decision.effect == effect
