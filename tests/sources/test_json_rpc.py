"""MCP calls are told with what came back, however it travels: in streams, strings and HTTP responses."""

import json

import pytest

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
    ],
)
def test_what_a_tool_says_is_no_decision(response, effect, make_reader, decisions):
    (event,) = decisions(make_reader("mcp", MINE), LINE | {"request": call("pay"), "response": response})
    assert verdict(event) == effect
