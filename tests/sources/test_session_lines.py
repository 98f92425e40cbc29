import json

import pytest

from guardian.domain.record import Record
from guardian.sources.session_lines import ActionLine, LineError, is_session_line, read_session_lines


def _read(*lines):
    values = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return list(read_session_lines(Record("f", 0, n, value) for n, value in enumerate(values)))


def test_a_session_is_read_with_its_calls():
    (got,) = _read(
        {
            "session_id": "a/1", "purpose": "book a flight", "domain": "travel",
            "tools": [{"name": "book", "description": "Books."}, {"name": "find"}],
            "actions": [{"tool": "find", "args": {"to": "FRA"}}, {"tool": "book"}],
        }
    )  # fmt: skip
    assert got.actions == (ActionLine("find", {"to": "FRA"}), ActionLine("book", None))
    assert (got.line, got.session_id, got.purpose, got.domain) == (1, "a/1", "book a flight", "travel")


def test_labels_change_nothing():
    plain = {"session_id": "s", "purpose": "p", "actions": [{"tool": "t", "args": {}}]}
    labelled = {
        "session_id": "s", "purpose": "p", "meta": {"attacked": True},
        "actions": [{"tool": "t", "args": {}, "label": "drift", "conf": "high", "index": 0}],
    }  # fmt: skip
    assert _read(plain) == _read(labelled)


def test_a_domain_may_be_missing_and_a_catalogue_is_not_read():
    (got,) = _read({"session_id": "s", "purpose": "p", "actions": [], "tools": {"a": 1}})
    assert (got.domain, got.actions) == ("", ())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not_json"),
        (b"\xff", "not_utf8"),
        (b"[" * 10_000, "too_deep"),
        ([], "expected a JSON object"),
        ({"session_id": "s", "purpose": "p"}, "actions"),
        ({"purpose": "p", "actions": []}, "session_id"),
        ({"session_id": "s", "purpose": 3, "actions": []}, "purpose"),
        ({"session_id": "s", "actions": [{"args": {}}]}, "actions.0"),
        ({"session_id": "s", "actions": [{"tool": "t", "args": []}]}, "actions.0.args"),
        (
            {"session_id": "s", "purpos": "p", "actions": []},
            "it has no 'purpose', but 'purpos', which is not read",
        ),
        ({"session_id": "s", "purpose": "p", "Domain": "d", "actions": []}, "no 'domain', but 'Domain'"),
        ({"session_id": "s", "actions": [{"tool": "t"}, {"tool": "t", "params": {"a": 1}}]}, "actions.1: it has"),
        ({"session_id": "s", "actions": [{"tool": "t", "arguments": '{"a": 1}'}]}, "actions.0.args"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_the_others_are_read(line, reason):
    good = {"session_id": "s", "purpose": "p", "actions": []}
    first, bad, last = _read(good, line, good)
    assert isinstance(bad, LineError)
    assert bad.line == 2
    assert reason in bad.error
    assert (first.line, last.line) == (1, 3)


def test_arguments_are_read_under_the_name_that_they_have_in_guardians_own_log():
    calls = [
        {"tool": "t", "arguments": {"a": 1}},
        {"tool": "t", "args": {}, "arguments": {"a": 1}},
        {"tool": "t", "args": {"a": 1}, "arguments": None},
        {"tool": "t", "args": {"a": 1}, "arguments": {"a": 1}},
        {"tool": "t", "arguments": {}},
    ]
    (got,) = _read({"session_id": "s", "purpose": "p", "actions": calls})
    assert got.actions == (*[ActionLine("t", {"a": 1})] * 4, ActionLine("t", {}))


def test_two_names_for_a_calls_arguments_that_say_different_things_are_refused():
    call = {"tool": "t", "args": {"note": "x"}, "arguments": {"amount": 5000}}
    (got,) = _read({"session_id": "s", "purpose": "p", "actions": [call]})
    assert got == LineError(1, "invalid: actions.0: its 'args' and its 'arguments' say different things")


@pytest.mark.parametrize(
    "name",
    ["arg", "Args", "argument", "kwargs", "parameters", "tool_input", "functionArgs", "raw_args", "args_json"],
)
def test_what_must_be_the_arguments_is_not_read_as_a_call_without(name):
    (got,) = _read({"session_id": "s", "purpose": "p", "actions": [{"tool": "t", name: {"a": 1}}]})
    assert got == LineError(1, f"invalid: actions.0: it has no 'args', but {name!r}, which is not read")
    for call in ({"tool": "t", name: {}}, {"tool": "t", "args": {"b": 2}, name: {"a": 1}}):
        (got,) = _read({"session_id": "s", "purpose": "p", "actions": [call]})
        assert got.actions == (ActionLine("t", call.get("args")),)


@pytest.mark.parametrize("empty", ["args", "arguments"])
def test_nor_is_it_beside_arguments_that_are_empty(empty):
    call = {"tool": "t", empty: {}, "params": {"a": 1}}
    (got,) = _read({"session_id": "s", "purpose": "p", "actions": [call]})
    assert got == LineError(1, f"invalid: actions.0: it has nothing in {empty!r}, but 'params', which is not read")


def test_what_else_a_call_says_is_not_taken_for_its_arguments():
    more = {"time": "12:00", "target": "crm", "input_tokens": 7, "result": {"a": 1}, "label": "benign"}
    more |= {"args_hash": "5e", "arguments_sha256": "5e", "inputSchema": {"type": "object"}, "arg_names": ["a"]}
    line = {"session_id": "s", "purpose": "p", "domains": ["a.example"], "purposeful": []}
    (got,) = _read({**line, "actions": [{"tool": "t", **more}]})
    assert got.actions == (ActionLine("t", None),)


def test_blank_lines_are_skipped_but_counted():
    (got,) = _read(b"", b"  ", {"session_id": "s", "purpose": "p", "actions": []})
    assert got.line == 3


def test_sessions_and_decisions_are_told_apart():
    assert is_session_line(b'{"session_id": "s", "actions": []}')
    assert is_session_line(rb'{"session_id": "s", "\u0061ctions": []}')
    assert not is_session_line(b'{"schema": "guardian.decision/v1", "actions": []}')
    assert not is_session_line(b"nonsense")
