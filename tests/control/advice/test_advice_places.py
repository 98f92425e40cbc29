"""What a question for advice says of the call, wherever that stands: the same as a log of it, or a refusal."""

import json

import pytest

from guardian.bootstrap.sources import formats_of
from guardian.control.advice.adviser import AdviceRule
from guardian.domain.record import Record
from guardian.sources.completing import Completion
from guardian.sources.reading import Reader
from guardian.sources.tool_names import ToolNames
from guardian.wire.advice import Weighing

STRONG = Weighing(score=0.98, session_evidence=5.0, one_in=50_000.0, promised=True, independent_signals=3)
ENVELOPE = {
    "delegator_id": "user_1", "tenant_id": "acme", "session_id": "s1", "purpose": "review", "agent_id": "agent_1",
    "allowed_tools": ["crm.export"],
}  # fmt: skip
A1, A2 = {"to": "a@x.example"}, {"to": "evil@y.example"}


class Strict:
    """Holds every call and keeps the lines that it was asked about."""

    def __init__(self):
        self.lines = []

    def weigh(self, line, timeout_s):
        self.lines.append(json.loads(line))
        return STRONG


@pytest.fixture
def adviser():
    return Strict()


@pytest.fixture
def stage(make_stage, adviser):
    named = ToolNames()
    rule = AdviceRule(budget_s=60, rename=named.of, of_server=lambda tool, server: named.of(tool, server=server))
    return make_stage(adviser=adviser, advice=rule, default_mode="enforce")


def question(*places, call=False):
    """A question with each value at its dotted place."""
    body = {
        "subject": {"type": "session", "id": "s1"},
        "action": {"name": "tools/call" if call else "crm.export"},
        "resource": {"type": "tool", "id": "crm.export"} if call else {"type": "customer", "id": "c1"},
        "context": {"envelope": ENVELOPE},
    }
    for place, value in places:
        *path, last = place.split(".")
        here = body
        for name in path:
            here = here.setdefault(name, {})
        here[last] = value
    return body


def ask(stage, body):
    return stage.call("POST", "/v1/advise", "gateway", json=body)


READ = (
    "context.arguments", "context.params.arguments", "action.properties.arguments"
)  # fmt: skip
BODIES = {
    **{place: question((place, A1)) for place in READ},
    **{f"call {place}": question((place, A1), call=True) for place in READ},
    "in two places": question((READ[0], A1), (READ[2], A1)),
    "as JSON in a string": question((READ[0], json.dumps(A1))),
    "a list": question((READ[0], [1, 2])),
    "a text": question((READ[0], "all of it")),
    "none": question(),
    "an envelope with its signature": question(("context.envelope_jws", "e30.e30.e30")),
    "records": question(("context.records", 9000), ("context.data_classes", ["pii"])),
    "records as digits": question(("context.records", "9000"), ("context.data_classes", "pii")),
    "records of the action": question(
        ("action.properties.records", 9000), ("action.properties.data_classes", ["pii"])
    ),
    "what a call touches": question(("context.resource", {"type": "customer", "id": 7}), call=True),
    "a server": question(("resource.id", "read"), ("resource.properties.server", "crm"), call=True),
    "a server in context": question(("resource.id", "read"), ("context.server", "crm"), call=True),
    "MCP's params": question(
        ("context.params", {"name": "crm.export", "arguments": A1, "_meta": {"progressToken": 1}}), call=True
    ),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_advice_is_about_the_action_that_a_log_of_the_same_question_tells(stage, adviser, body):
    assert ask(stage, body).json()["context"]["advice"] == "hold"
    logged = {"request": body, "response": {"decision": True}, "time": "2026-05-12T17:04:11Z", "id": "d1"}
    reader = Reader(formats_of("authzen", {}), Completion(gateway="gateway-1"))
    (told,) = reader.read(Record("t", 0, 0, json.dumps(logged).encode()))
    read = told.event.action.model_dump(mode="json")
    asked = {"arguments": None, "records": None, "data_classes": None, **adviser.lines[0]["action"]}
    assert asked == {name: value for name, value in read.items() if name in asked}


@pytest.mark.parametrize("call", [False, True])
@pytest.mark.parametrize(
    "place",
    [
        *READ, "context.args", "context.params", "context.params.params", "context.tool_input",
        "context.request.params", "context.calls", "resource.properties.to",
        "resource.properties.Arguments", "subject.properties.arguments",
        "action.properties.to", "action.properties.args", "context.toolArguments", "context.tool_args",
        "context.kwargs", "context.inputs", "context.server", "resource.properties.server",
        "action.arguments", "resource.arguments", "arguments",
        "subject.args", "params", "evaluations",
    ],
)  # fmt: skip
def test_a_yes_lets_no_call_through_with_other_arguments_wherever_they_stand(stage, place, call):
    def answer(told):
        value = (
            told["to"] if place.endswith(".to") else [{"arguments": told}] if place.endswith(".calls") else told
        )
        return ask(stage, question((place, [value] if place == "evaluations" else value), call=call))

    first = answer(A1)
    if first.status_code == 200:
        assert stage.decide(first.json()["context"]["approval"]["id"], "approve", "responder").status_code == 200
        other = answer(A2)
        assert (other.status_code, other.json()["decision"]) == (200, False)
        assert answer(A1).json()["decision"] is True
    else:
        assert (first.status_code, first.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize("name", ["args", "params", "Parameters", "tool_input", "toolArguments", "records"])
@pytest.mark.parametrize("part", ["subject", "action", "resource", "context.user", "context.batch"])
def test_what_is_the_calls_and_would_not_be_read_is_refused_by_its_place(stage, adviser, part, name):
    place = f"{part}.{name}"
    got = ask(stage, question((place, A1)))
    assert (got.status_code, got.json()["detail"].split(": ")[0]) == (422, place)
    assert adviser.lines == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            question(("context.arguments", A1), ("action.properties.arguments", A2)),
            "action.properties.arguments: it says something else than context.arguments",
        ),
        (
            question(("context.records", 1), ("action.properties.records", True)),
            "action.properties.records: it says something else than context.records",
        ),
        (
            question(("resource.properties.server", "a"), ("context.server", "b"), call=True),
            "context.server: it says something else than resource.properties.server",
        ),
        (
            question(("context.resource", {"type": "customer", "id": "c2"})),
            "context.resource: it says something else than resource",
        ),
        (
            question(("context.resource", "customer/c2"), call=True),
            "context.resource: an object with `type` and `id`",
        ),
        (
            question(("context.params", {"name": "mail.send", "arguments": A1}), call=True),
            "context.params: MCP's: `arguments`, and as `name` the tool that is asked about",
        ),
        (question(("evaluations", [{}])), "evaluations: ask about one call at a time"),
    ],
)
def test_a_question_that_says_two_things_is_refused(stage, adviser, body, said):
    got = ask(stage, body)
    assert (got.status_code, got.json()["detail"]) == (422, said)
    assert adviser.lines == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("records", -1), ("records", [3]), ("data_classes", ["pii", 1]), ("arguments", '{"n": 1e999}')],
)
def test_what_a_log_would_leave_out_reaches_the_adviser_as_it_was_sent(stage, adviser, name, value):
    ask(stage, question((f"context.{name}", value)))
    assert adviser.lines[0]["action"][name] == value


def test_a_property_that_is_deeper_than_anything_is_read_is_refused_or_passed_over_but_no_fault(stage):
    deep = json.loads("[" * 900 + "]" * 900)
    for place in ("context.odd", "odd", "subject.odd", "action.odd"):
        assert ask(stage, question((place, deep))).status_code in (200, 400, 422)


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (question(), None),
        (question(("action.properties.method", "GET")), "not shown: action.properties"),  # AuthZEN's own example
        (question(("resource.properties.amount", 10)), "not shown: resource.properties"),
        (question(("context.server", "crm")), "not shown: server"),
        (question(("context.server", "crm"), ("resource.id", "read"), call=True), None),  # its tool is `crm.read`
        (
            question(("context.resource", {"type": "customer", "id": "c2", "amount": 10}), call=True),
            "not shown: context.resource",
        ),
    ],
)
def test_who_is_asked_hears_that_the_call_has_more_than_is_shown(stage, body, more):
    held = ask(stage, body).json()["context"]["approval"]["id"]
    waits = stage.call("GET", f"/v1/approvals/{held}", "approver").json()
    assert waits["particulars"].get("more") == more


def test_a_property_of_what_is_touched_tells_one_call_from_another(stage):
    held = [
        ask(stage, question(("resource.properties.amount", amount))).json()["context"]["approval"]["id"]
        for amount in (10, 10_000, 10)
    ]
    assert held[0] == held[2] != held[1]
