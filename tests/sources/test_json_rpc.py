"""MCP calls and their answers are told however they travel: in batches, streams, strings and HTTP responses."""

import json
from dataclasses import replace

import pytest

from guardian.errors import DecodeError
from guardian.sources.completing import Completion

MINE = Completion(gateway="edge-1", tenant="acme")
LINE = {"timestamp": "2026-11-24T22:07:16Z", "session_id": "s-1", "user": "ann", "request_id": "r"}


def call(tool, own=1, **more):
    asked = {"jsonrpc": "2.0", "id": own, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    return {name: said for name, said in (asked | more).items() if said is not None}


def done(own=1):
    return {"jsonrpc": "2.0", "id": own, "result": {"content": []}}


def error(code, own=1):
    return {"jsonrpc": "2.0", "id": own, "error": {"code": code, "message": "no"}}


def streamed(*messages, end="\n"):
    return "".join(f"event: message{end}data: {json.dumps(each)}{end}{end}" for each in messages)


REFUSED, FAILED, DONE = error(-32003), error(-32000), done()
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "\u2028"}}


def verdict(event):
    """Effect; None where nothing says it."""
    return None if "decision" in event.features_missing else event.decision.effect


@pytest.mark.parametrize(
    "spelt",
    [
        lambda said: said,
        json.dumps,
        streamed,
        lambda said: streamed(said, end="\r\n"),
        lambda said: "\ufeff" + streamed(said),
        lambda said: streamed(PROGRESS, said, PROGRESS, end="\r"),
        lambda said: f": ping\n\nid: 7\nretry: 10\ndata: \n\n{streamed(said)}",
        lambda said: "data:" + json.dumps(said, indent=1).replace("\n", "\ndata:"),
        lambda said: [PROGRESS, said],
        lambda said: json.dumps([said]),
        lambda said: {"status": 200, "headers": {}, "body": said},
        lambda said: {"statusCode": 200, "body": json.dumps(said)},
        lambda said: {"status": 200, "body": streamed(PROGRESS, said)},
    ],
)
@pytest.mark.parametrize(
    ("said", "effect", "status"), [(REFUSED, "deny", "error"), (FAILED, None, "error"), (DONE, "allow", "ok")]
)
def test_an_answer_is_read_however_it_came(spelt, said, effect, status, make_reader, decisions):
    (event,) = decisions(make_reader("mcp", MINE), LINE | {"request": call("pay"), "response": spelt(said)})
    assert (verdict(event), event.result.status) == (effect, status)
    assert event.decision.reason == ("no" if effect == "deny" else "")


@pytest.mark.parametrize(
    ("response", "effect"),
    [
        (f"As you see:\n{streamed(REFUSED)}", None),
        (f"{streamed(REFUSED)}So it was.", None),
        ("data: refused", None),
        ("[" * 99, None),
        ([{"type": "text", "text": json.dumps(REFUSED)}], None),
        ({"status": 200, "body": "Access denied"}, "allow"),
        ({"status": 403, "body": DONE}, "deny"),
        ({"status": 200, "body": {"content": [], "status": 403}}, "allow"),
        ({**DONE, "body": REFUSED}, "allow"),
        ({"content": [], "body": json.dumps(REFUSED)}, "allow"),
        ({"structuredContent": {}, "body": REFUSED}, "allow"),
    ],
)
def test_what_a_tool_says_is_no_decision(response, effect, make_reader, decisions):
    (event,) = decisions(make_reader("mcp", MINE), LINE | {"request": call("pay"), "response": response})
    assert verdict(event) == effect


BATCH = [call("pay"), call("ping", 2, method="ping"), call("wipe", "3")]


@pytest.mark.parametrize("format_", ["mcp", "auto"])
@pytest.mark.parametrize("held", ["request", "message"])
@pytest.mark.parametrize(
    "spelt",
    [lambda said: said, json.dumps, lambda said: "\ufeff" + json.dumps(said)],
    ids=["JSON", "a string", "a string with a byte order mark"],
)
def test_each_call_of_a_batch_is_told_with_its_own_answer(spelt, held, format_, make_reader, decisions):
    reader = make_reader(format_, MINE)
    line = LINE | {held: spelt(BATCH), "response": [error(-32003, "3"), done(2), done(1)]}
    told = decisions(reader, line)
    assert [(each.id, each.action.tool, verdict(each)) for each in told] == [
        ("r/0", "pay", "allow"),
        ("r/2", "wipe", "deny"),
    ]
    assert {each.key.session_id for each in told} == {"s-1"}
    (alone,) = decisions(reader, LINE | {held: spelt(BATCH[:1])})
    assert (alone.id, verdict(alone)) == ("r/0", None)
    (single,) = decisions(reader, LINE | {held: spelt(BATCH[2]), "response": error(-32003, "3")})
    assert (single.id, single.action.tool, verdict(single)) == ("r", "wipe", "deny")


@pytest.mark.parametrize(
    ("response", "effects"),
    [
        (None, [None, None]),
        ("busy", [None, None]),
        (json.dumps([REFUSED, done(2)]), ["deny", "allow"]),
        (streamed(done(2), PROGRESS, REFUSED), ["deny", "allow"]),
        ({"status": 200, "body": [done(2), REFUSED]}, ["deny", "allow"]),
        ({"status": 200, "body": [REFUSED]}, ["deny", None]),
        ({"status": 200, "body": "cut o"}, ["allow", "allow"]),
        ({"status": 403}, ["deny", "deny"]),
        ({"status": 403, "body": [done(2)]}, ["deny", "deny"]),
        (REFUSED, ["deny", None]),
        (error(-32003, None), ["deny", "deny"]),
        ({"error": {"code": 403}}, ["deny", "deny"]),
        ([error(-32003, None)], [None, None]),
        ([{"id": 1, "error": {"code": 403}}, 5], ["deny", None]),
    ],
)
def test_what_came_back_for_a_batch_is_of_those_whose_it_is(response, effects, make_reader, decisions):
    line = LINE | {"request": [call("pay"), call("wipe", 2)], "response": response}
    assert [verdict(each) for each in decisions(make_reader("mcp", MINE), line)] == effects


@pytest.mark.parametrize(
    "other",
    [
        call("wipe"), call("wipe", "1"), call("wipe", 1.0), call("wipe", None), call("wipe", 2, Id=1),
        call("wipe", True),
    ],
)  # fmt: skip
def test_no_call_passes_for_denied_by_the_answer_to_another_of_its_batch(other, make_reader, decisions):
    line = LINE | {"status": 200, "request": [call("pay"), other], "response": [REFUSED]}
    found = decisions(make_reader("mcp", MINE), line)
    assert [verdict(each) for each in found if each.action.tool == "wipe"] == [None]


def test_an_id_that_two_answers_have_says_nothing_of_the_call_that_has_it(make_reader, decisions):
    """Read by JavaScript, these ids are one."""
    line = LINE | {
        "request": [call("pay", 2**53), call("wipe", 2**53 + 1)],
        "response": [done(2**53), error(403, 2**53)],
    }
    assert [verdict(each) for each in decisions(make_reader("mcp", MINE), line)] == [None, None]
    line |= {"request": [call("pay")], "response": [done(), REFUSED]}
    assert [verdict(each) for each in decisions(make_reader("mcp", MINE), line)] == [None]


def test_what_a_server_asks_meanwhile_is_no_answer(make_reader, decisions):
    asks = {"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}}
    line = LINE | {"request": [call("pay"), call("wipe", 2)], "response": streamed(REFUSED, asks, done(2))}
    assert [verdict(each) for each in decisions(make_reader("mcp", MINE), line)] == ["deny", "allow"]


@pytest.mark.parametrize("odd", [5, None, [call("wipe")], json.dumps([call("wipe")]), {"method": "tools/call"}])
def test_what_is_no_message_in_a_batch_is_refused_and_hides_no_other(odd, make_reader, told):
    first, refused = told(make_reader("mcp", MINE), LINE | {"request": [call("pay"), odd]})
    assert first.event.action.tool == "pay"
    assert isinstance(refused, DecodeError)
    assert refused.session_id == "s-1"


@pytest.mark.parametrize(
    "said", ["5", "null", '{"method": "tools/call"}', '{"jsonrpc": 1, "jsonrpc": 2}', '"[cut o"']
)
@pytest.mark.parametrize("whole", ["HERE", "[HERE]", json.dumps([call("pay"), "HERE"]).replace('"HERE"', "HERE")])
@pytest.mark.parametrize("held", ["request", "message"])
def test_what_an_agent_sends_as_no_message_is_its_sessions_and_speaks_against_no_gateway(
    held, whole, said, make_reader, told
):
    line = {"timestamp": LINE["timestamp"], "headers": {"mcp-session-id": "s-1"}, held: "HERE"}
    value = json.dumps(line).replace('"HERE"', whole.replace("HERE", said))
    *_, refused = told(make_reader("mcp", MINE), value.encode())
    assert (refused.code, refused.session_id) == ("no_tool", "s-1")


def test_calls_of_a_batch_without_an_id_are_told_apart_and_known_again(make_reader, decisions):
    line = {name: said for name, said in LINE.items() if name != "request_id"} | {"request": [call("pay")] * 2}
    one, other = ([each.id for each in decisions(make_reader("mcp", MINE), line)] for _ in range(2))
    assert len(set(one)) == 2
    assert one == other


@pytest.mark.parametrize("came", ["text", "another's", "each its own"])
def test_a_large_batch_is_read_within_bounds_whatever_came_back(came, make_reader, decisions):
    many, large = 300, {"content": [{"text": "x" * 100_000}]}
    asked = [call("pay", own) for own in range(many)]
    answers = {
        "text": large["content"][0]["text"],
        "another's": done(-1) | {"result": large},
        "each its own": [done(own) for own in range(many)],
    }
    value = json.dumps(LINE | {"request": asked, "response": answers[came]}).encode()
    bounded = replace(make_reader("mcp", MINE), max_unpacked=len(value))
    assert len(decisions(bounded, value)) == many


@pytest.mark.parametrize("bounds", [{"max_entries": 3}, {"max_unpacked": 3000}])
@pytest.mark.parametrize(
    "named", [{"headers": {"Mcp-Session-Id": "s-1"}}, {"session": "s-1"}, {"session": {"id": "s-1"}}]
)
def test_what_is_too_much_of_a_batch_is_refused_with_its_session(named, bounds, make_reader, told):
    """Else an agent would hide a call behind many messages that are none."""
    pings = [call("", own, method="ping", params=None) for own in range(20)]
    line = (
        {"headers": {"Mcp-Session-Id": "s-2"}} | named | {"x": "x" * 1000, "request": [*pings, call("wipe", -1)]}
    )
    (refused,) = told(replace(make_reader("mcp", MINE), **bounds), line)
    assert (refused.code, refused.tenant_id, refused.session_id) == ("too_large", "acme", "s-1")


def test_a_batch_inside_an_agents_own_message_is_none(make_reader, decisions):
    message = call("pay", request=[call("wipe")], message=[call("wipe")])
    event = {"specversion": "1.0", "id": "e", "source": "edge-1", "type": "t", "time": LINE["timestamp"],
             "sessionid": "s-1", "data": message}  # fmt: skip
    (found,) = decisions(make_reader("mcp", MINE), event)
    assert found.action.tool == "pay"
