"""Values in a schema registry's wire format, against a registry of our own that answers as Confluent's does."""

import base64
import io
import json
import math
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest
from receivers import Dripping
from serving import Asked, Reply, answering

from guardian.domain.record import Record
from guardian.errors import DecodeError, SchemaAway
from guardian.sources.guardian import GuardianDecisions
from guardian.sources.unread import unread_in
from guardian.sources.unwrapping import Unwrapping

pytest.importorskip("confluent_kafka.schema_registry")
import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

from guardian.bus import schema_registry
from guardian.bus.schema_registry import SchemaRegistry

AVRO = {
    "type": "record", "name": "Call",
    "fields": [
        {"name": "tool", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}  # fmt: skip

ANYTHING = {
    "type": "record", "name": "Value",
    "fields": [{"name": "is", "type": ["null", "string", {"type": "map", "values": "Value"}]}],
}  # fmt: skip

MARKED = {
    "type": "record", "name": "Marked", "fields": [{"name": "is", "type": {"type": "Value"}}],
    "__fastavro_parsed": True, "__named_schemas": {"Value": ANYTHING},
}  # fmt: skip
"""Fastavro would take its own mark for a proof that the schema is sound."""


def proto_file():
    """Three messages; the second has a nested one: what `tool` and `Inner.note` are in."""
    file = descriptor_pb2.FileDescriptorProto(name="call.proto", syntax="proto3")
    file.dependency.append("google/protobuf/struct.proto")
    string, optional = (
        descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
    first = file.message_type.add(name="Call")
    first.field.add(name="tool", number=1, type=string, label=optional)
    second = file.message_type.add(name="Outer")
    second.nested_type.add(name="Inner").field.add(name="note", number=1, type=string, label=optional)
    kind = file.enum_type.add(name="Effect")
    kind.value.add(name="DENY", number=0)
    kind.value.add(name="ALLOW", number=1)
    file.enum_type.add(name="Class").value.add(name="CLASS_UNSPECIFIED", number=0)
    decided = file.message_type.add(name="Decided")
    entry = decided.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    of = descriptor_pb2.FieldDescriptorProto
    for message, name, number, type_, more in (
        (entry, "key", 1, of.TYPE_STRING, {}),
        (entry, "value", 2, of.TYPE_INT64, {}),
        (decided, "allowed", 1, of.TYPE_BOOL, {}),
        (decided, "effect", 2, of.TYPE_ENUM, {"type_name": ".Effect"}),
        (decided, "records", 3, of.TYPE_INT64, {}),
        (decided, "arguments", 4, of.TYPE_MESSAGE, {"type_name": ".google.protobuf.Struct"}),
        (decided, "counts", 5, of.TYPE_MESSAGE, {"type_name": ".Decided.CountsEntry", "label": of.LABEL_REPEATED}),
        (decided, "before", 6, of.TYPE_MESSAGE, {"type_name": ".Decided", "label": of.LABEL_REPEATED}),
        (decided, "tool", 7, of.TYPE_STRING, {}),
        (decided, "masked", 8, of.TYPE_BOOL, {"oneof_index": 0, "proto3_optional": True}),
        (decided, "ids", 9, of.TYPE_UINT64, {"label": of.LABEL_REPEATED}),
        (decided, "class", 10, of.TYPE_ENUM, {"type_name": ".Class"}),
    ):
        message.field.add(**{"name": name, "number": number, "type": type_, "label": optional, **more})
    decided.oneof_decl.add(name="_masked")
    return base64.b64encode(file.SerializeToString()).decode()


def decided(**said):
    """The bytes of the third message, framed."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(base64.b64decode(proto_file()))
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("Decided"))
    return framed(3, b"\x02\x04" + made(**said).SerializeToString())


@pytest.fixture
def registry():
    schemas = {
        1: {"schema": json.dumps(AVRO)},
        2: {"schema": '{"type": "object"}', "schemaType": "JSON"},
        3: {"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"},
        4: {"schema": "?", "schemaType": "THRIFT"},
        5: {
            "schema": json.dumps(of_types("Both", "Left", "Right")),
            "references": [refers("Left"), refers("Right")],
        },
        "Left": {"schema": json.dumps(of_types("Left", "Leaf")), "references": [refers("Leaf")]},
        "Right": {"schema": json.dumps(of_types("Right", "Leaf")), "references": [refers("Leaf")]},
        "Leaf": {"schema": json.dumps(of_types("Leaf", "string"))},
        6: {"schema": json.dumps(of_types("Lost", "Gone")), "references": [refers("Gone")]},
        7: {"schema": json.dumps(ANYTHING)},
        8: {"schema": json.dumps({"type": "array", "items": "null"})},
        10: {"schema": json.dumps({"type": "array", "items": of_types("Nothing", "null")})},
        11: {"schema": json.dumps(doubling(60))},
        12: {"schema": json.dumps(MARKED)},
    }
    state = {"status": 200, "forbidden": set(), "subjects": ["Leaf"]}

    def answer(asked: Asked) -> Reply:
        url = urlsplit(asked.path)
        if url.path == "/subjects":
            return Reply(state["subjects"], 200)
        _, kind, name, *version = url.path.split("/")
        number = int(version[-1]) if kind == "schemas" else name
        status, body = state["status"], schemas.get(number)
        if number in state["forbidden"]:
            status, body = 403, {"error_code": 40301, "message": "User is denied operation Read on Subject"}
        if body is None and status == 200:
            status, body = 404, {"error_code": 40403, "message": "Schema not found"}
        if kind == "subjects" and body:
            body = {**body, "subject": name, "version": 1, "id": 100 + len(name)}
        if number == 3 and parse_qs(url.query).get("format") == ["serialized"]:
            body = {**body, "schema": proto_file()}
        if status in (400, 422):
            body = {"error_code": 42206, "message": "no such id can be"}
        label = ("Content-Type", "application/vnd.schemaregistry.v1+json")
        return Reply(state.get("page") or body, status, (label,))

    with answering(answer) as server:
        state |= {"url": server.url, "asked": server.asked}
        yield SchemaRegistry(server.url, {"max.retries": 0}), state


def of_types(name, *types):
    """An Avro record whose fields are called as their types, in small letters."""
    return {"type": "record", "name": name, "fields": [{"name": each.lower(), "type": each} for each in types]}


def doubling(times):
    """An Avro record that holds types each of which, but the first, names the one before it twice."""
    types = [of_types("N0", "string")]
    types += [
        {"type": "record", "name": f"N{n}", "fields": [{"name": name, "type": f"N{n - 1}"} for name in "ab"]}
        for n in range(1, times)
    ]
    fields = [{"name": each["name"].lower(), "type": ["null", each]} for each in types]
    return {"type": "record", "name": "Doubling", "fields": fields}


def refers(name):
    return {"name": name, "subject": name, "version": 1}


def framed(number, payload):
    return b"\x00" + number.to_bytes(4, "big") + payload


def avro(tool):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(AVRO), {"tool": tool, "at": 1764022036939})
    return out.getvalue()


def test_avro_becomes_json_and_its_schema_is_asked_for_once(registry):
    schemas, state = registry
    assert json.loads(schemas.plain(framed(1, avro("read")))) == {
        "tool": "read", "at": "2025-11-24T22:07:16.939000+00:00"
    }  # fmt: skip
    schemas.plain(framed(1, avro("write")))
    assert len(state["asked"]) == 1


def test_json_is_handed_on_and_other_values_are_left_alone(registry):
    schemas, _ = registry
    assert schemas.plain(framed(2, b'{"tool": "read"}')) == b'{"tool": "read"}'
    assert schemas.plain(b'{"tool": "read"}') is None
    assert schemas.plain(b"") is None


def test_protobuf_messages_are_found_by_their_index(registry):
    schemas, _ = registry
    field = b"\x0a\x04read"
    assert json.loads(schemas.plain(framed(3, b"\x00" + field))) == {"tool": "read"}
    assert json.loads(schemas.plain(framed(3, b"\x02\x00" + field))) == {"tool": "read"}  # [0], spelt out
    assert json.loads(schemas.plain(framed(3, b"\x04\x02\x00" + field))) == {"note": "read"}  # Outer.Inner


def test_what_protobuf_leaves_out_because_it_is_false_is_told_and_64_bits_are_numbers(registry):
    schemas, _ = registry
    said = {"records": 3, "counts": {"a": 2**40}, "ids": [2**63], "before": [{"allowed": True, "effect": 1}]}
    assert json.loads(schemas.plain(decided(**said))) == {
        "allowed": False, "effect": "DENY", "records": 3, "counts": {"a": 2**40}, "ids": [2**63],
        "before": [{"allowed": True, "effect": "ALLOW"}],
    }  # fmt: skip
    assert json.loads(schemas.plain(decided(masked=False)))["masked"] is False


def a_struct(levels, value=None):
    value = value or struct_pb2.Value(string_value="x")
    for _ in range(levels):
        value = struct_pb2.Value(struct_value=struct_pb2.Struct(fields={"k": value}))
    return struct_pb2.Struct(
        fields={"to": struct_pb2.Value(string_value="mallory"), "x": value}
    ).SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "passed",
    [
        a_struct(33),
        a_struct(0).replace(b"\x1a\x01x", b"\x1a\x01\xff"),
        a_struct(0, struct_pb2.Value(number_value=math.inf)),
        a_struct(2, struct_pb2.Value(number_value=math.nan)),
    ],
    ids=["too deep", "not UTF-8", "infinite", "no number, nested"],
)
def test_what_an_agent_passes_in_protobuf_costs_only_that(passed, registry):
    schemas, _ = registry
    size = bytes([len(passed) & 0x7F | 0x80, len(passed) >> 7])
    body = GuardianDecisions().parse_around(schemas.plain(decided(tool="pay") + b"\x22" + size + passed))
    assert (body["tool"], body["arguments"]["to"], body["allowed"]) == ("pay", "mallory", False)
    assert unread_in(body["arguments"]["x"])


def test_a_text_in_avro_that_is_not_utf8_costs_only_itself(registry):
    schemas, _ = registry
    body = GuardianDecisions().parse_around(schemas.plain(framed(1, avro("read").replace(b"read", b"re\xff\xfe"))))
    assert unread_in(body.pop("tool"))
    assert body == {"at": "2025-11-24T22:07:16.939000+00:00"}


def test_avro_types_may_be_within_themselves(registry):
    schemas, _ = registry
    value = {"is": {"to": {"is": {"name": {"is": "mallory"}}}, "note": {"is": None}}}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(ANYTHING), value)
    assert json.loads(schemas.plain(framed(7, out.getvalue()))) == value


def test_what_nests_without_an_end_in_avro_ends_no_process_and_is_told_to_people(registry):
    _, state = registry
    nested = framed(7, b"\x04\x02\x00" * 20_000 + b"\x00" * 20_001)
    reading = (
        "import sys; from guardian.bus.schema_registry import SchemaRegistry;"
        "from guardian.domain.record import Record; from guardian.sources.guardian import GuardianDecisions;"
        "from guardian.sources.unwrapping import Unwrapping; schemas = SchemaRegistry(sys.argv[1], {});"
        "record = Record('t', 0, 0, sys.stdin.buffer.read());"
        "(error,) = Unwrapping(GuardianDecisions(), schemas.plain).read(record);"
        "print(error.code, error.session_id)"
    )
    done = subprocess.run([sys.executable, "-c", reading, state["url"]], input=nested, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"too_large t[0]\n")


@pytest.mark.parametrize("number", [8, 10])
def test_an_array_of_what_has_no_bytes_is_not_counted_out(number, registry):
    with pytest.raises(DecodeError, match="items without any bytes") as caught:
        registry[0].plain(framed(number, b"\x80\x80\x80\x80\x80\x80\x80\x01\x00"))
    assert caught.value.code == "unknown_schema"


def test_types_that_name_each_other_again_and_again_are_looked_at_once(registry):
    body = json.loads(registry[0].plain(framed(11, b"\x02\x02x" + b"\x00" * 59)))
    assert body["n0"] == {"string": "x"}
    assert body["n59"] is None


def test_a_schema_that_says_it_was_checked_is_checked(registry):
    with pytest.raises(DecodeError, match="schema 12 cannot be used: UnknownType"):
        registry[0].plain(framed(12, b"\x00"))


def test_avro_schemas_may_refer_to_others(registry):
    schemas, state = registry
    written = b"".join(bytes([2 * len(each)]) + each for each in (b"left", b"right"))
    for _ in range(2):
        assert json.loads(schemas.plain(framed(5, written))) == {
            "left": {"leaf": {"string": "left"}}, "right": {"leaf": {"string": "right"}}
        }  # fmt: skip
    assert len(state["asked"]) == 4
    with pytest.raises(DecodeError) as caught:
        schemas.plain(framed(6, written))
    assert caught.value.code == "unknown_schema"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (framed(9, b"xx"), "unknown_schema"), (framed(4, b"xx"), "unknown_schema"),
        (framed(1, b"\xff\xff"), "invalid"), (framed(3, b"\x7e"), "invalid"),
        (framed(3, b"\x02\x10\x0a"), "invalid"), (framed(3, b"\x02\x01"), "invalid"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_schema_is_refused(value, code, registry):
    with pytest.raises(DecodeError) as caught:
        registry[0].plain(value)
    assert caught.value.code == code


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_schema_that_the_registry_refuses_to_look_for_costs_its_record_and_stops_nothing(registry, status):
    schemas, state = registry
    state["status"] = status
    with pytest.raises(DecodeError) as caught:
        schemas.plain(framed(0xFFFFFFFF, b"xx"))
    assert caught.value.code == "unknown_schema"


@pytest.mark.parametrize("known", [True, False])
def test_one_schema_that_the_registry_forbids_costs_its_record_and_stops_nothing(registry, known):
    schemas, state = registry
    state["forbidden"] |= {7, "Gone"}
    if known:
        schemas.plain(framed(1, avro("read")))
        state["subjects"] = []
    for number in (7, 6):
        with pytest.raises(DecodeError, match=f"the registry forbids to read schema {number}") as caught:
            schemas.plain(framed(number, b"xx"))
        assert caught.value.code == "unknown_schema"


@pytest.mark.parametrize("known", [True, False])
def test_a_registry_that_forbids_all_is_waited_for_and_costs_no_record(registry, known):
    schemas, state = registry
    if known:
        schemas.plain(framed(1, avro("read")))
    else:
        state["subjects"] = []
    state["forbidden"] = {1, 7}
    with pytest.raises(SchemaAway, match="it answered 403 for schema 7"):
        schemas.plain(framed(7, b"xx"))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_registry_on_this_machine_is_asked_past_the_environments_proxy(name, registry, monkeypatch):
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(DecodeError, match="the registry knows no schema 9"):
        registry[0].plain(framed(9, b"xx"))


def test_an_unknown_schema_is_asked_for_once_and_soon_again(registry):
    _, state = registry
    now = [0.0]
    schemas = SchemaRegistry(state["url"], {"max.retries": 0}, timer=lambda: now[0])
    for at, asked in ((0.0, 1), (1.9, 1), (2.0, 2)):
        now[0] = at
        with pytest.raises(DecodeError, match="the registry knows no schema 9"):
            schemas.plain(framed(9, b"xx"))
        assert len(state["asked"]) == asked


def test_no_number_of_unknown_schemas_is_remembered_without_a_bound(registry, monkeypatch):
    schemas, _ = registry
    monkeypatch.setattr(schema_registry, "_MOST_UNKNOWN", 3)
    for number in range(20, 30):
        with pytest.raises(DecodeError):
            schemas.plain(framed(number, b"xx"))
        assert len(schemas._unknown) <= 3


def test_a_fault_that_something_else_finds_in_the_registrys_place_is_waited_for(registry):
    schemas, state = registry
    state |= {"status": 400, "page": b"<html>a plain HTTP request was sent to an HTTPS port</html>"}
    with pytest.raises(SchemaAway):
        schemas.plain(framed(1, b"xx"))


def test_a_registry_that_is_away_is_waited_for_and_costs_no_record(registry):
    schemas, state = registry
    state["status"] = 503
    source = Unwrapping(GuardianDecisions(), schemas.plain)
    with pytest.raises(SchemaAway):
        source.read(Record("t", 0, 0, framed(1, avro("read"))))
    state["status"] = 200
    (refused,) = source.read(Record("t", 0, 0, framed(1, avro("read"))))
    assert refused.code == "unknown_schema"  # read by now; it is only no decision


def test_an_answer_in_drops_is_cut_off_and_the_registry_waited_for(monkeypatch):
    monkeypatch.setattr(schema_registry, "_ANSWERED_WITHIN_S", 0.2)
    with Dripping() as server:
        schemas = SchemaRegistry(f"http://127.0.0.1:{server.port}", {"max.retries": 0})
        with pytest.raises(SchemaAway, match="TimeoutError"):
            schemas.plain(framed(1, b"xx"))


def test_no_connection_outlives_its_question(registry):
    schemas, state = registry
    schemas.plain(framed(3, b"\x00"))
    assert len({each.caller for each in state["asked"]}) == len(state["asked"]) == 2


def test_records_behind_a_registry_are_read_like_any_others(registry):
    schemas, _ = registry
    event = {
        "schema": "guardian.decision/v1", "id": "d", "time": "2026-05-12T17:04:11Z", "gateway": "g",
        "envelope": {"delegator_id": "u", "tenant_id": "t", "session_id": "s"}, "action": {"tool": "x"},
        "decision": {"effect": "allow"},
    }  # fmt: skip
    (told,) = Unwrapping(GuardianDecisions(), schemas.plain).read(
        Record("t", 0, 0, framed(2, json.dumps(event).encode()))
    )
    assert told.event.id == "d"
    (bad,) = Unwrapping(GuardianDecisions(), schemas.plain).read(Record("t", 0, 0, framed(9, b"xx")))
    assert bad.code == "unknown_schema"
