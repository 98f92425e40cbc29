"""An agent cannot hide a call by what it puts into it, nor have another blamed for it."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.finding import OPERATORS
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.guardian import plugin
from guardian.sources.unread import SIGN, Unread, names_in, read_around, unread_in

ENVELOPE = {"delegator_id": "u", "tenant_id": "acme", "session_id": "s1", "allowed_tools": ["crm.read"]}
CALL = {
    "schema": "guardian.decision/v1", "id": "d1", "time": "2026-05-12T17:04:11Z", "gateway": "gw",
    "envelope": ENVELOPE, "action": {"tool": "payments.create", "arguments": {"to": "mallory", "x": "HERE"}},
    "decision": {"effect": "allow"}, "result": {"status": "ok"},
}  # fmt: skip
UNREADABLE = {
    "an integer beyond 64 bits": b"9" * 30,
    "a float beyond all floats": b"1e999",
    "not a number": b"NaN",
    "half a surrogate pair": b'"x \\ud800"',
    "half a surrogate pair as a key": b'{"\\udfff": 1}',
    "a byte that is not UTF-8": b'"x \xff"',
    "a byte that is not UTF-8 as a key": b'{"\xc3\x28": 1}',
    "a key twice": b'{"a": 1, "a": 2}',
    "a depth of 100": b"[" * 100 + b"]" * 100,
    "a depth of 100,000": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}
relaxed = {"deadline": None, "max_examples": 60}


def raw(value, place=b'"HERE"', **changes):
    return json.dumps(CALL | changes).encode().replace(place, value)


def read(value, **options):
    (told,) = plugin(**options).read(Record("t", 0, 0, value))
    return told


@pytest.mark.parametrize("name", UNREADABLE)
def test_the_call_is_told_with_all_that_can_be_read_and_the_reason_why_not_all_can(name):
    told = read(raw(UNREADABLE[name]))
    assert told.event.action.tool == "payments.create"
    assert told.event.action.arguments["to"] == "mallory"
    assert SIGN in json.dumps(told.event.action.arguments, ensure_ascii=False)
    assert told.unread.reason


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("place", ["envelope", "gateway", "decision", "tool"])
def test_what_says_who_acts_must_be_readable_whole(name, place):
    body = json.loads(json.dumps(CALL))
    if place in ("envelope", "decision"):
        body[place]["extra"] = "HERE"
    elif place == "tool":
        body["action"]["tool"] = "HERE"
    else:
        body[place] = "HERE"
    body["action"]["arguments"].pop("x")
    assert isinstance(read(json.dumps(body).encode().replace(b'"HERE"', UNREADABLE[name])), DecodeError)


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("place", ["id", "trace_id", "agent_version", "result", "user_agent"])
def test_what_a_gateway_tells_beside_it_and_nobody_needs_hides_no_call(name, place):
    told = read(
        raw(UNREADABLE[name], **{place: "HERE", "action": {"tool": "payments.create", "arguments": {"n": 1}}})
    )
    assert (told.event.action.arguments, told.event.key.session_id) == ({"n": 1}, "s1")
    assert told.unread.reason


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"action": {"tool": "crm.read", "resource": {"type": "doc", "id": "x" * 3000}}}, "resource"),
        ({"action": {"tool": "crm.read", "records": -1}}, "records"),
        ({"action": {"tool": "crm.read", "arguments": [1, 2]}}, "arguments"),
        ({"result": {"status": "x" * 300}}, "result"),
        ({"result": "done", "action": {"tool": "crm.read", "records": "7"}}, "records"),
        ({"trace_id": "x" * 600}, "trace_id"),
        ({"agent_version": "x" * 600}, "agent_version"),
        (
            {"decision": {"effect": "allow", "reason": "x" * 9000}, "result": {"status": 5, "records": -1}},
            "reason",
        ),
    ],
)
def test_a_part_of_the_wrong_shape_that_an_agent_may_bring_about_is_left_out(changes, lost):
    told = read(raw(b'"v"', **changes))
    assert lost in told.unread.reason
    assert lost in told.event.features_missing or not (told.event.agent_version or told.event.decision.reason)
    assert told.unread.code == "invalid"


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_reason_that_quotes_what_an_agent_chose_hides_no_call(name):
    told = read(
        raw(UNREADABLE[name], action={"tool": "payments.create"}, decision={"effect": "deny", "reason": "HERE"})
    )
    assert (told.event.decision.effect, told.event.decision.reason) == ("deny", "")
    assert told.unread.reason


def test_a_control_character_that_the_log_did_not_escape_hides_nothing():
    told = read(raw(b'"a\tb\x01"'))
    assert told.event.action.arguments["x"] == "a\tb\x01"
    assert isinstance(read(raw(b'"a\x01"', place=b'"u"')), DecodeError)


def test_nothing_that_is_read_around_holds_half_a_character():
    for value in (UNREADABLE["half a surrogate pair"], b'"\xed\xa0\x80"', b'{"\xf0\x9f": ["\x80\\udc80"]}'):
        json.dumps(plugin().parse_around(b"[" + value + b"]"), ensure_ascii=False).encode("utf-8")


def test_a_readable_call_has_nothing_unread():
    assert read(raw(b'"v"')).unread is None


def test_a_record_that_is_too_large_is_not_told_but_its_names_are():
    refused = read(raw(b'"' + b"x" * 5_000 + b'"'), max_bytes=4_096)
    assert (refused.code, refused.tenant_id, refused.session_id, refused.gateway) == (
        "too_large",
        "acme",
        "s1",
        "gw",
    )


def test_the_names_of_a_record_that_is_too_large_are_told_wherever_in_it_they_stand():
    much = {"x": "y" * 4_400_000}
    body = {**CALL, "action": {"tool": "crm.read", "arguments": much}, "result": {"status": "ok", **much}}
    refused = read(json.dumps(body, sort_keys=True).encode())
    assert (refused.code, refused.tenant_id, refused.session_id) == ("too_large", "acme", "s1")
    refused = read(json.dumps({**FORGED, **body, "jsonrpc": "2.0"}).encode())
    assert (refused.tenant_id, refused.session_id) == (OPERATORS, "t[0]")


FORGED = {"gateway": "gw-b", "tenant_id": "globex", "session_id": "victim", "envelope": {"tenant_id": "globex"}}


@pytest.mark.parametrize("broken", [b"", b"\xff", b'{"'])
def test_names_are_told_by_their_place_never_by_their_looks(broken):
    body = {"action": {"arguments": FORGED | {"x": json.dumps(FORGED)}, **FORGED}, "list": [FORGED], **CALL}
    body["action"] = CALL["action"] | {"arguments": FORGED}
    value = json.dumps(body, sort_keys=True).encode()[:-1] + broken
    refused = read(value)
    assert (refused.tenant_id, refused.session_id, refused.gateway) == ("acme", "s1", "gw")


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_whatever_the_arguments_hold_the_names_stay_those_of_the_record(value):
    body = {"a": value, "action": {"arguments": value}, **{k: v for k, v in CALL.items() if k != "action"}, "z": 1}
    for text in (json.dumps(body), json.dumps(body)[:-1], json.dumps(body, ensure_ascii=False)):
        names = names_in(text.encode("utf-8", "surrogatepass"))
        assert names[("envelope", "session_id")] == "s1"
        assert names[("gateway",)] == "gw"


@given(
    st.recursive(st.booleans() | st.text() | st.floats(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_what_can_be_read_is_read_as_ever(value):
    text = json.dumps(value)
    if "NaN" not in text and "Infinity" not in text and "\\ud" not in text and SIGN not in text:
        assert read_around(text, 64) == json.loads(text)
        assert not unread_in(read_around(text, 64))


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(value):
    names_in(value)
    names_in(b'{"gateway":' + value)


@pytest.mark.parametrize(
    "value", [b'"' + b'\\\\"' * 400_000, b'{"a": "' + b"deep_" * 100_000 + b'", "b": [[[1]]]}']
)
def test_no_text_takes_long(value):
    """A time that grew with the square of the length would end no test run."""
    names_in(b'{"gateway": "g", "x": ' + value)
    with contextlib.suppress(ValueError):
        read_around(value.decode(), 2)


def test_a_readable_name_with_a_replacement_character_is_a_name():
    body = json.loads(json.dumps(CALL))
    body["envelope"]["resource_constraints"] = {"k\ufffd": 1}
    told = read(json.dumps(body).encode().replace(b'"HERE"', b"9" * 30))
    assert told.event.envelope.resource_constraints == {"k\ufffd": 1}


def test_the_mark_of_what_is_too_deep_cannot_be_forged():
    assert read_around('{"a": "deep", "deep_": [[[1]]]}', 2) == {
        "a": "deep",
        "deep_": [Unread(f"{SIGN} nested too deep")],
    }
