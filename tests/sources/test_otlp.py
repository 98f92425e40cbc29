"""OTLP in protobuf whose library refuses the message of all for what one agent wrote."""

import json

import pytest

from guardian.errors import DecodeError
from guardian.sources.completing import Completion
from guardian.sources.unread import SIGN

logs_pb2 = pytest.importorskip("opentelemetry.proto.logs.v1.logs_pb2")
trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
AnyValue = pytest.importorskip("opentelemetry.proto.common.v1.common_pb2").AnyValue

MINE = Completion(gateway="edge-1", tenant="acme")
WHEN = 1764022036000000000
PLACE, BAD = b"not UTF-8: HERE", b"not UTF-8: \xff\xfe\xed\xa0"
"""A text, and what stands for it on the wire, of one length."""


def nested(levels, into):
    value = AnyValue(string_value="x")
    for _ in range(levels):
        outer = AnyValue()
        into(outer).CopyFrom(value)
        value = outer
    return value


def in_array(value):
    return value.array_value.values.add()


def in_object(value, key="k"):
    return value.kvlist_value.values.add(key=key).value


def a_key():
    value = AnyValue()
    in_object(value, PLACE.decode()).string_value = "x"
    return value


ODD = {
    "a text that is not UTF-8": AnyValue(string_value=PLACE.decode()),
    "a key that is not UTF-8": a_key(),
    "objects 31 deep": nested(31, in_object),
    "objects 300 deep": nested(300, in_object),
    "arrays 50 deep": nested(50, in_array),
}


def put(record, **texts):
    for name, text in texts.items():
        record.attributes.add(key=name.replace("__", ".")).value.string_value = text


def a_message(format_, odd=None):
    """One call of each of three sessions; `odd` is an argument of the second one's."""
    if format_ == "otel":
        body = trace_pb2.TracesData()
        records = body.resource_spans.add().scope_spans.add().spans
    else:
        body = logs_pb2.LogsData()
        records = body.resource_logs.add().scope_logs.add().log_records
    for number in (1, 2, 3):
        record = records.add()
        if format_ == "otel":
            record.name, record.start_time_unix_nano = "execute_tool pay", WHEN
        else:
            record.time_unix_nano = WHEN
            record.body.string_value = "request " * 40
        put(record, mcp__method__name="tools/call", gen_ai__tool__name="pay", mcp__session__id=f"s-{number}")
        passed = record.attributes.add(key="gen_ai.tool.call.arguments").value
        in_object(passed, "to").string_value = "mallory"
        if odd is not None and number == 2:
            in_object(passed, "x").CopyFrom(odd)
    return body


def raw(body):
    return body.SerializeToString().replace(PLACE, BAD)


@pytest.mark.parametrize("format_", ["otel", "agentgateway"])
@pytest.mark.parametrize("reads", ["alone", "auto"])
@pytest.mark.parametrize("what", ODD)
def test_what_one_agent_passes_hides_neither_its_call_nor_those_of_others(what, reads, format_, make_reader, told):
    reader = make_reader("auto" if reads == "auto" else format_, MINE)
    found = told(reader, raw(a_message(format_, ODD[what])))
    assert [each.event.key.session_id for each in found] == ["s-1", "s-2", "s-3"]
    assert [each.unread is not None for each in found] == [False, True, False]
    assert {each.event.action.arguments["to"] for each in found} == {"mallory"}
    assert SIGN in json.dumps(found[1].event.action.arguments, ensure_ascii=False)
    assert {each.event.origin.format for each in found} == {format_}


def test_logs_in_protobuf_are_as_old_as_they_were_observed(make_reader, told):
    body = a_message("agentgateway")
    for record in body.resource_logs[0].scope_logs[0].log_records:
        record.time_unix_nano, record.observed_time_unix_nano = 0, WHEN
    found = told(make_reader("auto", MINE), raw(body))
    assert [each.event.time.timestamp() for each in found] == [WHEN / 1e9] * 3


def test_a_tool_that_cannot_be_read_is_refused_with_its_session(make_reader, told):
    body = a_message("otel")
    body.resource_spans[0].scope_spans[0].spans[1].attributes[1].value.string_value = PLACE.decode()
    first, refused, last = told(make_reader("otel", MINE), raw(body))
    assert (first.unread, last.unread) == (None, None)
    assert isinstance(refused, DecodeError)
    assert (refused.session_id, refused.gateway) == ("s-2", "edge-1")


def test_a_span_of_something_else_that_cannot_be_read_is_anybodys(make_reader, told):
    body = a_message("otel")
    put(body.resource_spans[0].scope_spans[0].spans.add(), prompt=PLACE.decode())
    *calls, lost = told(make_reader("otel", MINE), raw(body))
    assert [each.unread for each in calls] == [None] * 3
    assert (lost.code, lost.session_id) == ("no_tool", None)


@pytest.mark.parametrize("end", [b"\n", b"\n\xff", b"\x0b", b"\x0a\x05ab", b"\x0a" + b"\xff" * 11, b"\x00"])
def test_bytes_that_are_no_message_are_none(end, make_reader, told):
    (refused,) = told(make_reader("auto", MINE), raw(a_message("otel", ODD["a text that is not UTF-8"])) + end)
    assert isinstance(refused, DecodeError)
