"""In no format can an agent hide its call, or anybody else's, by what it puts into it."""

import base64
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from guardian.bootstrap import plugins
from guardian.bootstrap.sources import formats_of
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import OPERATORS
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.completing import Completion
from guardian.sources.opening import unpacked
from guardian.sources.port import Told
from guardian.sources.reading import Reader
from guardian.sources.unread import SIGN

CARRYING = tuple(name for name in plugins.names("sources") if "arguments" in plugins.find("sources", name).carries)
BODY = {
    "schema": "guardian.decision/v1", "id": "d1", "time": "2026-05-12T17:04:11Z", "gateway": "gw-1",
    "envelope": {"delegator_id": "u", "tenant_id": "acme", "session_id": "s1", "agent_id": "a"},
    "action": {"tool": "payments.create", "arguments": {"to": "mallory", "x": "HERE"}},
    "decision": {"effect": "allow"},
}  # fmt: skip
UNREADABLE = {
    "an integer beyond 64 bits": "1" + "0" * 20,
    "not a number": "NaN",
    "half a surrogate pair": '"x \\ud800"',
    "half a surrogate pair as a key": '{"\\udfff": 1}',
    "a byte that is not UTF-8": '"x \udcff"',
    "a byte that is not UTF-8 as a key": '{"\udcff": 1}',
    "a key twice": '{"a": 1, "a": 2}',
    "a depth of 300": "[" * 300 + "]" * 300,
    "a depth of 100,000": '{"a":' * 100_000 + "1" + "}" * 100_000,
}
MINE = Completion(gateway="edge-1", tenants={"edge-1": "acme"})


def line_of(name, value):
    """The call as a gateway of that format logs it; `value` stands for one argument, as JSON."""
    line = plugins.make("sources", name, {}).write(DecisionEvent.model_validate_json(json.dumps(BODY))).decode()
    within = json.dumps(value, ensure_ascii=False)[1:-1]  # where the arguments are JSON in a string
    return line.replace('\\"HERE\\"', within).replace('"HERE"', value).encode("utf-8", "surrogateescape")


def opa(number, arguments="{}"):
    body = {
        "decision_id": f"d{number}",
        "labels": {"app": "x"},
        "timestamp": "2026-05-01T00:00:00Z",
        "result": True,
    }
    asked = f'{{"tool":"pay","session":"s-{number}","arguments":{arguments}}}'
    return json.dumps({**body, "input": "HERE"}, separators=(",", ":")).replace('"HERE"', asked)


@pytest.mark.parametrize("name", CARRYING)
@pytest.mark.parametrize("what", UNREADABLE)
def test_the_call_is_told_with_all_that_can_be_read_and_the_reason_why_not_all_can(name, what, make_reader, told):
    (found,) = told(make_reader(name), line_of(name, UNREADABLE[what]))
    assert isinstance(found, Told)
    assert found.event.action.tool == "payments.create"
    assert found.event.action.arguments["to"] == "mallory"
    assert SIGN in json.dumps(found.event.action.arguments, ensure_ascii=False)
    assert found.unread.reason.isprintable()
    found.event.model_dump_json()


@pytest.mark.parametrize("what", UNREADABLE)
def test_the_data_of_an_event_in_base64_are_read_around_too(what, make_reader, told):
    data = base64.b64encode(line_of("guardian", UNREADABLE[what])).decode()
    (found,) = told(make_reader("cloudevents"), {"specversion": "1.0", "id": "e", "data_base64": data})
    assert isinstance(found, Told)
    assert found.unread is not None


@pytest.mark.parametrize("name", CARRYING)
def test_a_readable_call_has_nothing_unread(name, make_reader, told):
    (found,) = told(make_reader(name), line_of(name, '"v"'))
    assert found.unread is None


@pytest.mark.parametrize("what", UNREADABLE)
def test_one_call_of_a_batch_hides_none_of_the_others(what, make_reader, told):
    batch = ",".join(opa(n, '{"n":' + UNREADABLE[what] + "}" if n == 2 else "{}") for n in range(5))
    found = told(make_reader("opa"), f"[{batch}]".encode("utf-8", "surrogateescape"))
    assert [each.event.id for each in found] == [f"d{n}" for n in range(5)]
    assert [each.unread is not None for each in found] == [False, False, True, False, False]


def test_guardians_own_records_are_read_around_too_where_formats_are_told_apart(told):
    reader = Reader(formats_of("auto", {}))
    (found,) = told(reader, line_of("guardian", "9" * 30))
    assert (found.event.id, found.unread.code) == ("d1", "not_json")
    body = {**BODY, "action": {"tool": "payments.create", "records": -1}}
    (found,) = told(reader, body)
    assert (found.event.action.records, found.unread.code) == (None, "invalid")


@pytest.mark.parametrize("line", ['"tool":"pay"', '"decision_id":"d0"', '"session":"s-0"'])
def test_who_acts_and_with_what_must_be_readable_whole(line, make_reader, told):
    key = line.partition(":")[0]
    (refused,) = told(make_reader("opa", MINE), opa(0).replace(line, f'{line},{key}:"other"').encode())
    assert isinstance(refused, DecodeError)
    assert (refused.code, refused.tenant_id, refused.gateway) == ("ambiguous", "acme", "edge-1")
    (found,) = told(make_reader("opa", MINE), opa(0).replace('"pay"', '"pay\\ud800"').encode())
    assert (found.code, found.session_id) == ("no_tool", "s-0")


@pytest.mark.parametrize("name", [*CARRYING, "permit"])
@pytest.mark.parametrize(
    ("odd", "effect", "code"),
    [
        *((odd, "allow", "no_tool") for odd in ("", "x" * 600, "a\\u0001b", "a\u007fb", "\\ud800")),
        ("\\ud800", "deny", "no_tool_denied"),  # which is read around, as it cannot be whole
    ],
)
def test_a_tool_that_no_event_can_hold_is_none(name, odd, effect, code, make_reader, told):
    """An agent chooses it, and alone speaks against no gateway: the fuse goes by this code."""
    body = {**BODY, "action": {"tool": "TOOL", "arguments": {}}, "decision": {"effect": effect}}
    event = DecisionEvent.model_validate_json(json.dumps(body))
    line = plugins.make("sources", name, {}).write(event).decode()
    (refused,) = told(make_reader(name, MINE), line.replace("TOOL", odd).encode())
    assert isinstance(refused, DecodeError)
    assert (refused.code, refused.tenant_id) == (code, "acme")
    assert refused.session_id is not None


@pytest.mark.parametrize("tool", [None, 7, {}, "", "x" * 600])
@pytest.mark.parametrize("formats", ["guardian", "auto"])
def test_what_else_is_wrong_with_a_call_of_no_tool_is_told(tool, formats, told):
    reader = Reader(formats_of(formats, {}))
    action = {"tool": tool, "records": -1}
    codes = {}
    for what, change in {"tool": {}, "purpose": {"envelope": {**BODY["envelope"], "purpose": 7}}}.items():
        (refused,) = told(reader, {**BODY, "action": action, **change})
        codes[what] = refused.code
    assert codes == {"tool": "no_tool", "purpose": "invalid"}


def test_what_else_is_wrong_beside_a_tool_is_told_of_foreign_records_too(make_reader, told):
    body = {"tool": "x" * 600, "decision": True, "session": "s", "gateway": "g", "time": 1764022036}
    for change, code in (({"trace": "x" * 600}, "no_tool"), ({"agent": "x" * 600}, "invalid")):
        (refused,) = told(make_reader("mapping"), {**body, **change})
        assert (refused.code, refused.session_id) == (code, "s")


def test_an_envelope_in_a_string_must_be_readable_whole_and_its_session_is_told(make_reader, told):
    envelope = json.dumps('{"delegator_id": "u", "allowed_tools": ["crm.read"], "allowed_tools": ["*"]}')
    line = opa(0).replace('"tool":"pay"', f'"tool":"pay","envelope":{envelope}')
    (refused,) = told(make_reader("opa", MINE), line.encode())
    assert isinstance(refused, DecodeError)
    assert (refused.tenant_id, refused.session_id, refused.gateway) == ("acme", "s-0", "edge-1")


def test_an_id_that_cannot_be_read_hides_no_call_and_two_calls_with_one_stay_two(make_reader, told):
    reader = make_reader("opa", MINE)
    ids = []
    for value in ('{"a": 1, "a": 2}', '{"a": 1, "a": 3}'):
        (found,) = told(reader, opa(0, '{"n": ' + value + "}").replace('"d0"', '"\\ud800"').encode())
        ids += [found.event.id, found.digest]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"id": "x" * 600}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"trace": "x" * 600}, "trace_id"),
        ({"agent_version": "x" * 600}, "agent_version"),
        ({"resource_id": "x" * 3000}, "resource"),
        ({"envelope_jws": "x" * 65_537}, "envelope_jws"),
    ],
)
def test_what_an_agent_chose_and_no_event_can_hold_hides_no_call(change, lost, make_reader, told):
    body = {"id": "d", "tool": "pay", "decision": True, "session": "s", "gateway": "g", "time": 1764022036}
    (found,) = told(make_reader("mapping"), {**body, **change})
    assert isinstance(found, Told)
    assert found.unread.code == "invalid"
    assert lost in found.unread.reason
    assert found.event.id.startswith("sha256:") == (lost == "id")
    (refused,) = told(make_reader("mapping"), {**body, **change, "session": None})
    assert isinstance(refused, DecodeError)


@pytest.mark.parametrize("name", ["x" * 600, "a\nb", "\ud800", 7, {}])
@pytest.mark.parametrize("format_", ["mcp", "opa"])
def test_what_a_client_calls_itself_hides_no_call(name, format_, make_reader, told):
    """It is the agent's word like its arguments; a gateway passes it on whatever it is."""
    meta = {"io.modelcontextprotocol/clientInfo": {"name": name}}
    message = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "pay", "arguments": {}, "_meta": meta}}
    line = {
        "mcp": {"request_id": "d", "session_id": "s", "timestamp": 1764022036, "request": message},
        "opa": {
            "decision_id": "d",
            "timestamp": 1764022036,
            "result": True,
            "input": {"session": "s", "parsed_body": message},
        },
    }[format_]
    (found,) = told(make_reader(format_, MINE), line)
    assert isinstance(found, Told)
    assert (found.event.action.tool, found.event.envelope.session_id) == ("pay", "s")
    assert found.event.envelope.agent_id == ("7" if name == 7 else None)
    assert (found.unread is not None) == (name == "\ud800")


def test_what_is_unread_beside_the_calls_of_a_record_is_told(make_reader, told):
    body = json.loads(line_of("otel", '"v"'))
    (spans,) = body["resourceSpans"][0]["scopeSpans"]
    spans["spans"] += ["HERE"]
    call, lost = told(make_reader("otel"), json.dumps(body).replace('"HERE"', '{"a": 1, "a": 2}').encode())
    assert (call.event.action.tool, call.unread, lost.code) == ("payments.create", None, "ambiguous")


def test_what_looks_like_no_call_is_skipped_only_where_it_can_be_read(make_reader, told):
    ping = {"session_id": "s-1", "request": {"jsonrpc": "2.0", "method": "ping", "id": "HERE"}}
    assert told(make_reader("mcp"), ping) == []
    (refused,) = told(make_reader("mcp"), json.dumps(ping).replace('"HERE"', "9" * 30).encode())
    assert (refused.code, refused.session_id) == ("no_tool", "s-1")


def test_what_is_no_json_at_all_is_told_to_those_whose_log_it_is(make_reader, told):
    line = b'{"mcp.method.name":"tools/call","mcp.session.id":"s-1","response_code":200,"x":"cut of'
    (refused,) = told(make_reader("envoy", MINE), line)
    assert (refused.code, refused.tenant_id, refused.session_id, refused.gateway) == (
        "not_json", "acme", "s-1", "edge-1",
    )  # fmt: skip
    named = line.replace(b"{", b'{"tenant":"globex","gateway":"edge-2",', 1)
    (refused,) = told(make_reader("envoy", MINE), named)
    assert (refused.tenant_id, refused.gateway) == ("globex", "edge-1")


@pytest.mark.parametrize("digits", ["--5", "1" * 5000, "9223372036854775808", "٣"])
def test_digits_that_are_no_64_bit_number_stay_digits(digits, make_reader, decisions):
    body = json.loads(line_of("otel", '"v"'))
    (span,) = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for pair in span["attributes"]:
        if pair["key"] == "gen_ai.tool.call.arguments":
            values = [{"key": name, "value": {"intValue": said}} for name, said in (("n", digits), ("m", "-7"))]
            pair["value"] = {"kvlistValue": {"values": values}}
    (event,) = decisions(make_reader("otel"), body)
    assert event.action.arguments == {"n": digits, "m": -7}


@pytest.mark.parametrize("name", CARRYING)
def test_a_call_that_is_too_large_is_refused_alone_and_with_its_names(name, make_reader, told):
    reader = replace(make_reader(name), max_bytes=4_096)
    small, big = line_of(name, '"v"'), line_of(name, json.dumps("A" * 5_000))
    first, large, last = told(reader, gzip.compress(b"[" + b",".join((small, big, small)) + b"]"))
    assert isinstance(first, Told)
    assert isinstance(last, Told)
    assert (large.code, large.tenant_id, large.session_id) == ("too_large", *first.event.key)


def test_the_spans_beside_one_that_is_too_large_are_told(told):
    body = json.loads(line_of("otel", '"v"'))
    (scope,) = body["resourceSpans"][0]["scopeSpans"]
    (span,) = scope["spans"]
    more = {"key": "x", "value": {"stringValue": "A" * 5_000}}
    scope["spans"] = [span, {**span, "attributes": [*span["attributes"], more]}, span]
    found = told(Reader(formats_of("otel", {}), MINE, max_bytes=4_096), body)
    assert [isinstance(each, Told) for each in found] == [True, False, True]


def test_what_one_session_packs_small_hides_no_other_call_of_an_upload(make_reader, told):
    batch = ",".join(opa(n, json.dumps({"q": "A" * 2**20}) if n < 9 else "{}") for n in range(10))
    upload = gzip.compress(f"[{batch}]".encode())
    assert len(upload) < 32_768
    assert [each.event.id for each in told(make_reader("opa"), upload)] == [f"d{n}" for n in range(10)]


def test_no_record_is_unpacked_beyond_the_bound_and_people_are_told_where_it_lies():
    bomb = gzip.compress(b"[" + b"[]," * 100_000)
    assert len(unpacked(bomb, 10_000)) == 10_001
    reader = Reader(formats_of("opa", {}), max_unpacked=10_000)
    (refused,) = reader.read(Record("log", 2, 7, bomb, timestamp=datetime(2026, 11, 24, 22, 7, tzinfo=UTC)))
    names = ("too_large", OPERATORS, "log[2] 2026-11-24")
    assert (refused.code, refused.tenant_id, refused.session_id) == names


def test_the_limit_of_a_call_is_of_bytes_as_the_log_has_them(told):
    line = opa(0, json.dumps({"q": "\u6f22" * 1_000}, ensure_ascii=False, separators=(",", ":"))).encode()
    for limit, expected in ((len(line), Told), (len(line) - 1, DecodeError)):
        (found,) = told(Reader(formats_of("opa", {}), MINE, max_bytes=limit), line)
        assert isinstance(found, expected)
