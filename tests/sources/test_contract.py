"""What holds for every log format, found by listing the folder: a new one is tested before it has a test."""

import copy
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.bootstrap import plugins
from guardian.bootstrap.sources import formats_of
from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.facts import CARRIED
from guardian.sources.port import Told
from guardian.sources.verified_permissions import _taken_apart

FORMATS = plugins.names("sources")
FOREIGN = tuple(name for name in FORMATS if name not in ("guardian", "cloudevents"))
EVENT = DecisionEvent.model_validate_json(
    json.dumps(
        {
            "schema": "guardian.decision/v1", "id": "dec_1", "time": "2026-05-12T17:04:11Z", "gateway": "gw-1",
            "envelope": {
                "delegator_id": "user_7", "tenant_id": "acme", "session_id": "s1", "purpose": "review contract",
                "allowed_tools": ["contracts.read"], "agent_id": "agent_x",
            },
            "action": {
                "tool": "contracts.read", "arguments": {"contract_id": "c1"},
                "resource": {"type": "contract", "id": "c1"}, "data_classes": ["terms"], "records": 1,
            },
            "decision": {"effect": "deny", "policy_ids": ["p1"], "reason": "because"},
            "result": {"status": "ok", "records": 1}, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }
    )
)  # fmt: skip
relaxed = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def carried(event: DecisionEvent) -> set[str]:
    """The facts that an event holds, by the names of `CARRIED`."""
    envelope, action, result = event.envelope, event.action, event.result
    named = (
        event.origin is None or event.origin.session_from == "gateway" or "session_id" not in event.origin.absent
    )
    found = {
        "id": not event.id.startswith("sha256:"), "time": event.time is not None, "gateway": bool(event.gateway),
        "tenant": envelope.tenant_id != "tenant_home", "session": named, "delegator": envelope.delegator_id != "-",
        "agent": envelope.agent_id is not None, "purpose": bool(envelope.purpose), "envelope": event.has_envelope,
        "tool": True, "arguments": action.arguments is not None, "resource": action.resource is not None,
        "decision": True, "policy_ids": bool(event.decision.policy_ids), "reason": bool(event.decision.reason),
        "result": result is not None, "records": action.records is not None,
        "data_classes": action.data_classes is not None, "trace": event.trace_id is not None,
    }  # fmt: skip
    assert set(found) == set(CARRIED)
    return {name for name, there in found.items() if there}


@pytest.mark.parametrize("name", FORMATS)
def test_every_sample_is_read_or_is_no_tool_call(name, make_reader, samples, told):
    decoded = 0
    for line in samples(name):
        found = told(make_reader(name), line, headers=(("gateway", b"home"),), timestamp=EVENT.time)
        assert not [str(each) for each in found if isinstance(each, DecodeError)]
        decoded += len(found)
    assert decoded >= 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_carries_exactly_what_it_says_it_can(name, make_reader, samples, told):
    format = plugins.find("sources", name)
    seen: set[str] = set()
    for line in [*samples(name), plugins.make("sources", name, {}).write(EVENT)]:
        for each in told(make_reader(name), line, timestamp=EVENT.time):
            if isinstance(each, Told):
                seen |= carried(each.event)
    if name in ("guardian", "cloudevents"):
        assert format.carries == set(CARRIED)
    else:
        assert seen == set(format.carries)
    assert format.title


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_writes_it_reads_again(name, make_reader, decisions):
    (event,) = decisions(make_reader(name), plugins.make("sources", name, {}).write(EVENT))
    assert event.action.tool == "contracts.read"
    assert event.decision.effect == "deny"
    assert event.time == EVENT.time
    assert event.gateway == "gw-1"
    assert event.envelope.agent_id == "agent_x"
    assert event.envelope.delegator_id == "user_7"
    if "session" in plugins.find("sources", name).carries:
        assert event.envelope.session_id == "s1"
    if "arguments" in plugins.find("sources", name).carries:
        assert event.action.arguments == {"contract_id": "c1"}


@pytest.mark.parametrize("name", FORMATS)
def test_its_records_are_recognised_as_its_own_and_as_no_others(name, samples):
    formats = {each: plugins.make("sources", each, {}) for each in FORMATS}
    formats["mapping"] = plugins.make(
        "sources",
        "mapping",
        {"when": "tool && decision && !labels && !event_type && !schema && !subject && !action"},
    )
    for line in [*samples(name), formats[name].write(EVENT)]:
        assert [each for each in FORMATS if formats[each].recognises(json.loads(line))] == [name]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_the_log_does_not_carry_is_named_as_missing(name, make_reader, decisions):
    (event,) = decisions(make_reader(name), plugins.make("sources", name, {}).write(EVENT))
    missing = set(event.features_missing)
    for fact, feature in (
        ("arguments", "arguments"), ("resource", "resource"), ("envelope", "envelope"), ("session", "session_id"),
        ("records", "records"), ("data_classes", "data_classes"), ("trace", "trace_id"), ("result", "result"),
    ):  # fmt: skip
        if fact not in plugins.find("sources", name).carries:
            assert feature in missing


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"17",
        b'"text"',
        b"\x1f\x8bjunk",
        b"[" * 5000,
        b'{"a": 1, "a": 2}',
        b"\n\x03ab",
    ],
)
def test_junk_is_refused_with_a_reason(name, junk, make_reader, told):
    (refused,) = told(make_reader(name), junk)
    assert isinstance(refused, DecodeError)
    assert refused.code
    assert refused.reason.isprintable()
    assert 0 < len(refused.reason) < 1000


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("body", [{}, {"hello": "world"}, {"level": "info", "msg": "started"}])
def test_objects_of_another_kind_are_refused_or_no_tool_calls_but_never_events(name, body, make_reader, told):
    assert not [each for each in told(make_reader(name), body) if isinstance(each, Told)]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_content_twice_is_the_same_decision(name, make_reader, told):
    line = plugins.make("sources", name, {}).write(EVENT)
    spaced = line if name == "guardian" else json.dumps(json.loads(line), indent=2).encode()
    (one,), (other,) = told(make_reader(name), line), told(make_reader(name), spaced)
    assert (one.event.id, one.digest) == (other.event.id, other.digest)


@pytest.mark.parametrize("name", FORMATS)
def test_compressed_batched_and_line_wise_records_hold_the_same_decisions(name, make_reader, decisions):
    line = plugins.make("sources", name, {}).write(EVENT)
    reader = make_reader("auto" if name == "guardian" else name)  # its own reader takes one decision a record
    (alone,) = decisions(reader, line)
    assert decisions(reader, gzip.compress(line)) == [alone]
    assert decisions(reader, b"[" + line + b"," + line + b"]") == [alone, alone]
    assert decisions(reader, line + b"\n" + line + b"\n") == [alone, alone]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["--5", "1e999", "0001-01-01T00:00:00+14:00", "\ud800", "x" * 600, "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a JSON value."""
    found = [at] if at else []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += places(value, (*at, key))
    return found


@pytest.mark.parametrize("name", FORMATS)
@relaxed
@given(data=st.data())
def test_variations_of_real_records_are_read_or_refused_but_never_crash(name, make_reader, samples, told, data):
    lines = samples(name)
    body = json.loads(lines[data.draw(st.integers(0, len(lines) - 1))])
    for _ in range(data.draw(st.integers(1, 3))):
        spots = places(body)
        if not spots:
            break
        *above, last = data.draw(st.sampled_from(spots))
        node = body
        for key in above:
            node = node[key]
        if data.draw(st.booleans()):
            del node[last]
        else:
            node[last] = copy.deepcopy(data.draw(values))
    now = datetime(2026, 5, 12, tzinfo=UTC)
    for each in told(make_reader(name), json.dumps(body).encode("utf-8", "surrogatepass"), timestamp=now):
        if isinstance(each, DecodeError):
            assert each.reason.isprintable()
        else:
            assert each.event.action.tool
            json.dumps(each.event.model_dump(mode="json"), ensure_ascii=False).encode()


SECRET = "40000100020003000455566"
QUOTABLE = [
    SECRET, f'"{SECRET}"', f'{{"{SECRET}": 1, "{SECRET}": 2}}', f'"\\ud800{SECRET}"', f'"{SECRET}-11-24T22:07Z"',
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_no_reason_quotes_what_the_record_holds(name, make_reader, told):
    """Neither redaction nor the credential scanner sees a reason."""
    line = plugins.make("sources", name, {}).write(EVENT)
    readers = [make_reader(name), make_reader("auto"), plugins.make("sources", "guardian", {})]
    for *above, last in places(json.loads(line)):
        body = json.loads(line)
        node = body
        for key in above:
            node = node[key]
        node[last] = "HERE"
        raws = [json.dumps(body).replace('"HERE"', value) for value in QUOTABLE]
        if isinstance(node, dict):
            node[SECRET] = node.pop(last)
            raws.append(json.dumps(body))
        for raw in raws:
            for each in (each for reader in readers for each in told(reader, raw.encode())):
                why = each if isinstance(each, DecodeError) else each.unread
                assert why is None or SECRET[:6] not in why.reason


@relaxed
@given(st.binary(max_size=200))
def test_no_bytes_make_the_detecting_reader_raise(value):
    from guardian.sources.reading import Reader

    for each in Reader(formats_of("auto", {})).read(Record("t", 0, 0, value)):
        assert isinstance(each, DecodeError)


def test_a_batch_whose_common_parameters_are_no_object_still_has_its_decisions() -> None:
    asked = {"principal": {"entityId": "a"}, "action": {"actionId": "read"}}
    results = [{"request": asked, "decision": "ALLOW"}]
    body = {
        "eventName": "BatchIsAuthorized",
        "requestParameters": True,
        "additionalEventData": {"results": results},
    }
    (entry,) = _taken_apart([body])
    assert entry["requestParameters"] == asked
