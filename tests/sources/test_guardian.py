"""The decision log is read from gateways that an attacker may have reached."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.guardian import plugin

SOURCE = plugin()


def event(**changes):
    envelope = {
        "delegator_id": "user_1", "tenant_id": "acme", "session_id": "s1", "purpose": "review_contract",
        "allowed_tools": ["contracts.read"], "resource_constraints": {"max_records": 25},
        "expires_at": "2026-05-12T18:30:00Z",
    }  # fmt: skip
    base = {
        "schema": "guardian.decision/v1", "id": "dec_1", "time": "2026-05-12T17:04:11.231Z", "gateway": "gw",
        "envelope": envelope | changes.pop("envelope", {}),
        "action": {"tool": "contracts.read", "arguments": {"contract_id": "c1"}, "records": 1},
        "decision": {"effect": "allow"},
    }  # fmt: skip
    return base | changes


def raw(**changes):
    return json.dumps(event(**changes)).encode()


def decode(value):
    return SOURCE.decode(Record("t", 0, 0, value))


def refusal(value):
    with pytest.raises(DecodeError) as caught:
        decode(value)
    return caught.value


def test_a_good_record_is_read_and_its_extra_fields_are_kept():
    got = decode(raw(novelty={"a": 1}))
    assert got.key == ("acme", "s1")
    assert got.model_extra == {"novelty": {"a": 1}}


GOOD = raw()
HOSTILE = {
    "truncated": (GOOD[:-7], "not_json"),
    "empty": (b"", "not_json"),
    "nul bytes": (b"\x00" * 64, "not_json"),
    "nul in a string": (GOOD.replace(b"review", b"re\x00view"), "not_json"),
    "nul escaped in an identifier": (GOOD.replace(b'"s1"', b'"s\\u00001"'), "invalid"),
    "invalid utf-8": (GOOD.replace(b"review", b"\xc3\x28"), "not_utf8"),
    "utf-16": (GOOD.decode().encode("utf-16"), "not_utf8"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, "not_json"),
    "half a surrogate pair": (GOOD.replace(b"review", b"\\ud800"), "not_utf8"),
    "nine megabytes": (b'{"a": "' + b"x" * 9_000_000 + b'"}', "too_large"),
    "ten thousand arrays": (b"[" * 10_000 + b"]" * 10_000, "too_deep"),
    "ten thousand objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    "open arrays only": (b"[" * 1_000_000, "too_deep"),
    "nested 65 deep": (GOOD.replace(b'"c1"', b"[" * 64 + b"]" * 64), "too_deep"),
    "NaN": (GOOD.replace(b'"records": 1', b'"records": NaN'), "not_json"),
    "Infinity": (GOOD.replace(b'"records": 1', b'"records": -Infinity'), "not_json"),
    "a float beyond all floats": (GOOD.replace(b'"records": 1', b'"records": 1e999'), "not_json"),
    "a number of 5,000 digits": (GOOD.replace(b'"records": 1', b'"records": ' + b"9" * 5000), "not_json"),
    "an integer beyond 64 bits": (GOOD.replace(b'"records": 1', b'"records": 18446744073709551616'), "not_json"),
    "two values": (GOOD + GOOD, "not_json"),
    "an array": (b"[]", "invalid"),
    "null": (b"null", "invalid"),
    "schema of tomorrow": (raw(schema="guardian.decision/v2"), "unknown_schema"),
    "schema of another type": (raw(schema=1), "unknown_schema"),
    "no schema": (b"{}", "unknown_schema"),
    "duplicate key": (GOOD.replace(b'"tool":', b'"tool": "email.send", "tool":'), "ambiguous"),
    "duplicate tenant": (GOOD.replace(b'"tenant_id":', b'"tenant_id": "other", "tenant_id":'), "ambiguous"),
    "wrong types": (raw(id=7, time=True, decision=[]), "invalid"),
    "a string where a number belongs": (raw(action={"tool": "x", "records": "1"}), "invalid"),
    "a time without a zone": (raw(time="2026-05-12T17:04:11"), "invalid"),
    "a time that is a number": (raw(time=1_760_000_000), "invalid"),
    "a purpose of 100 kB": (raw(envelope={"purpose": "x" * 100_000}), "invalid"),
    "an effect that is none": (raw(decision={"effect": "maybe"}), "invalid"),
    "negative records": (raw(action={"tool": "x", "records": -1}), "invalid"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_with_their_reason(name):
    value, code = HOSTILE[name]
    error = refusal(value)
    assert error.code == code
    assert error.reason
    assert len(error.reason) < 1000
    assert error.reason.isprintable()


def test_lines_in_utf_16_are_told_to_be_that():
    wide = GOOD.decode().encode("utf-16-le")
    for value in (GOOD.decode().encode("utf-16"), wide, b"\0" + wide[:-1]):  # the last: behind a line's end
        assert refusal(value).reason == "it looks like UTF-16: write it as UTF-8"
    for value in (b"\0" * 64, b"\0rubbish", b"r\0bbish"):
        assert "UTF-16" not in refusal(value).reason


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59-23:00"])
def test_future_and_ancient_times_are_read_because_the_clock_is_judged_later(time):
    assert isinstance(decode(raw(time=time)), DecisionEvent)


@pytest.mark.parametrize("number", [2**64 - 1, 2**63, -(2**63)])
def test_a_number_of_64_bits_is_read_with_or_without_a_sign(number):
    event = decode(raw(action={"tool": "x", "arguments": {"hash": number}}))
    assert event.action.arguments == {"hash": number}
    assert json.loads(event.model_dump_json())["action"]["arguments"] == {"hash": number}


def test_nesting_up_to_the_limit_is_read():
    assert decode(GOOD.replace(b'"c1"', b"[" * 61 + b"]" * 61)).key == ("acme", "s1")


def test_a_call_is_read_up_to_eight_megabytes_as_in_every_format():
    room = 8 * 1024 * 1024 - len(raw(action={"tool": "x", "arguments": {"body": ""}}))
    body = {"tool": "x", "arguments": {"body": "y" * room}}
    assert decode(raw(action=body)).action.arguments == body["arguments"]
    body["arguments"]["body"] += "y"
    assert refusal(raw(action=body)).code == "too_large"


def test_brackets_inside_strings_are_not_nesting():
    assert decode(raw(envelope={"purpose": '[{"' * 500 + "\\" * 3})).key == ("acme", "s1")


@pytest.mark.parametrize("name", ["truncated", "invalid utf-8", "NaN", "wrong types", "schema of tomorrow"])
def test_the_session_is_told_even_when_the_record_cannot_be_read(name):
    error = refusal(HOSTILE[name][0])
    assert (error.tenant_id, error.session_id) == ("acme", "s1")


def test_a_name_that_is_not_whole_is_not_taken_for_a_session():
    error = refusal(GOOD.replace(b'"s1"', b'"s\xff1"'))
    assert (error.tenant_id, error.session_id) == ("acme", None)


def test_a_refusal_names_the_path_and_the_types_but_never_the_value():
    error = refusal(raw(action={"tool": "x", "records": "AKIAIOSFODNN7EXAMPLE"}))
    assert "action.records" in error.reason
    assert "valid integer" in error.reason
    assert "a string of 20 characters" in error.reason
    assert "AKIA" not in error.reason


def test_an_unknown_schema_is_quoted_only_where_it_is_guardians_own():
    assert refusal(raw(schema="guardian.decision/v2")).reason.endswith("got 'guardian.decision/v2'")
    assert refusal(raw(schema="AKIAIOSFODNN7EXAMPLE")).reason.endswith("got a string of 20 characters")


def test_what_is_no_json_is_told_with_the_place():
    for text, told in ((b'{"a": "', "Unterminated string starting at position 6"), (b"{", "at position 1")):
        assert told in refusal(text).reason


def test_a_number_and_a_key_that_are_refused_are_told_by_their_length():
    assert "a number of 23 characters is" in refusal(GOOD.replace(b'"c1"', b"4" * 23)).reason
    assert "a key of 5 characters occurs" in refusal(GOOD.replace(b'"c1"', b'{"acc-1": 1, "acc-1": 2}')).reason


def test_many_mistakes_are_counted_and_only_the_first_are_spelt_out():
    error = refusal(b'{"schema": "guardian.decision/v1"}')
    assert error.reason.endswith("; and 3 more")


def test_of_a_list_in_which_all_is_wrong_one_item_is_told_and_the_call_is_judged():
    action = {"tool": "contracts.read", "data_classes": [0] * 1_000}
    (told,) = SOURCE.read(Record("t", 0, 0, raw(action=action)))
    assert told.unread.reason == "action.data_classes.0: Input should be a valid string, got a number"
    assert told.event.action.tool == "contracts.read"


@pytest.mark.parametrize("where", ["", "envelope"])
def test_a_record_that_lacks_several_fields_takes_no_more_memory_than_one_that_lacks_one(where):
    def peak(*lacking):
        body = event()
        inner = body[where] if where else body
        inner["more"] = [{"a": 0}] * 10_000
        for name in lacking:
            del inner[name]
        value = json.dumps(body).encode()
        tracemalloc.start()
        SOURCE.read(Record("t", 0, 0, value))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    first, *others = (
        ("delegator_id", "tenant_id", "session_id") if where else ("id", "time", "gateway", "decision")
    )
    assert peak(first, *others) < 1.2 * peak(first)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_but_a_decode_error(value):
    with pytest.raises(DecodeError):
        decode(value)


@given(st.data())
def test_a_damaged_good_record_is_read_or_refused_but_never_crashes(data):
    position = data.draw(st.integers(0, len(GOOD) - 1))
    junk = data.draw(st.binary(max_size=8))
    cut = data.draw(st.integers(0, 20))
    reason = ""
    try:
        decode(GOOD[:position] + junk + GOOD[position + cut :])
    except DecodeError as error:
        reason = error.reason
    assert reason.isprintable()


def test_a_key_twice_among_many_is_found_in_no_more_time_than_they_take():
    """A time that grew with the square of their number would end no test run."""
    keys = ",".join(f'"k{n}":1' for n in range(80_000))
    assert refusal(f'{{{keys},"last":1,"last":2}}'.encode()).code == "ambiguous"


def test_a_gateway_cannot_say_that_its_log_lacks_an_envelope():
    told = {"format": "opa", "session_from": "gateway", "absent": ["envelope"]}
    assert decode(raw(origin=told)).origin is None


@pytest.mark.parametrize("chosen", ['"' + "x" * 600 + '"', '"a\\u0001b"', '"\\ud800"', '""', "7"])
def test_an_id_that_no_event_can_hold_hides_no_call(chosen):
    def told(**changes):
        value = raw(id="ID", **changes).replace(b'"ID"', chosen.encode())
        (each,) = SOURCE.read(Record("t", 0, 0, value))
        return each

    first = told()
    assert first.event.id.startswith("sha256:")
    assert first.event.action.tool == "contracts.read"
    assert first.unread is not None, "the record is kept all the same"
    assert told().event.id == first.event.id, "what comes again is a redelivery"
    assert told(gateway="gw-2").event.id != first.event.id
    assert isinstance(told(decision={}), DecodeError), "only the id is the agent's"


def test_a_record_without_an_id_is_its_gateways_fault():
    body = event()
    del body["id"]
    (refused,) = SOURCE.read(Record("t", 0, 0, json.dumps(body).encode()))
    assert (refused.code, refused.session_id) == ("invalid", "s1")
