"""What each format's own records say, sample by sample."""

import base64
import dataclasses
import gzip
import hashlib
import json
from datetime import UTC, datetime

import pytest

from guardian.bootstrap.sources import formats_of
from guardian.domain.record import Record
from guardian.errors import ConfigurationError, DecodeError
from guardian.sources import facts
from guardian.sources.completing import Completion
from guardian.sources.mapping import plugin as Mapped
from guardian.sources.reading import Reader

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def sample(samples, make_reader, decisions, now):
    """The decisions of one line (from 0) of a format's samples."""

    def read(name, line, **options):
        headers = (("gateway", b"home"),)
        return decisions(make_reader(name, **options), samples(name)[line], headers=headers, timestamp=now)

    return read


@pytest.fixture
def now():
    return datetime(2026, 11, 24, 22, 8, tzinfo=UTC)


def test_opa_says_subject_tool_and_arguments_in_authzens_shape(sample):
    (event,) = sample("opa", 0)
    assert (event.id, event.action.tool) == ("4ca636c1-55e4-417a-b1d8-4aceb67960d1", "invoices.read")
    assert (event.envelope.agent_id, event.envelope.delegator_id) == ("invoice-bot", "maya")
    assert (event.envelope.tenant_id, event.envelope.session_id) == ("tenant_acme", "s-1")
    assert event.time.isoformat() == "2026-11-24T22:07:16.939402+00:00"  # nanoseconds are cut
    assert event.decision.policy_ids == ("mcp/authz/allow",)
    assert event.envelope.purpose == "match_supplier_invoices"


def test_opas_masked_and_erased_pointers_are_named_and_its_string_results_read(sample):
    (event,) = sample("opa", 1)
    assert event.decision.effect == "deny"
    assert event.decision.reason == "recipient outside"
    assert "arguments_masked" in event.features_missing


def test_opa_with_envoys_input_reads_the_json_rpc_body(sample):
    (event,) = sample("opa", 2)
    assert (event.action.tool, event.action.arguments) == ("crm.export", {"format": "csv"})
    assert (event.envelope.session_id, event.decision.effect) == ("s-9", "deny")


def test_an_undefined_result_of_opa_is_a_deny_and_an_erased_one_is_allowed_but_missing(
    sample, make_reader, decisions
):
    (event,) = sample("opa", 3)
    assert (event.decision.effect, event.decision.reason) == ("deny", "the result is undefined")
    erased = {"decision_id": "d", "labels": {"id": "b"}, "input": {"tool": "x", "session": "s"},
              "erased": ["/result"],
              "timestamp": "2026-11-24T22:07:19Z"}  # fmt: skip
    (event,) = decisions(make_reader("opa"), erased)
    assert event.decision.effect == "allow"
    assert "decision" in event.features_missing


@pytest.mark.parametrize(
    ("result", "effect"),
    [
        (True, "allow"), (False, "deny"), ("true", "allow"), ("DENY", "deny"), ({"allow": True}, "allow"),
        ({"decision": {"allow": False}}, "deny"), ({"allowed": "yes"}, "allow"), ({"effect": "permit"}, "allow"),
    ],
)  # fmt: skip
def test_a_result_of_opa_has_any_shape(result, effect, make_reader, decisions):
    body = {"decision_id": "d", "labels": {"id": "b"}, "input": {"tool": "x", "session": "s"}, "result": result,
            "timestamp": "2026-11-24T22:07:19Z"}  # fmt: skip
    (event,) = decisions(make_reader("opa"), body)
    assert event.decision.effect == effect


@pytest.mark.parametrize(
    ("path", "result", "effect", "reason"),
    [
        ("mcp/deny", True, "deny", ""), ("mcp/deny", False, "allow", ""),
        ("/mcp/denied/", ["no", "9"], "deny", "no; 9"),
        ("mcp/deny", [], "allow", ""), ("mcp/deny", None, "allow", ""),
        ("mcp/deny", "too many", "deny", "too many"),
        ("mcp/deny", {"too many": True}, "deny", "too many"), ("mcp/deny", {}, "allow", ""),
        ("mcp/deny", {"allow": False}, "deny", ""), ("mcp", {"allow": True, "deny": ["x"]}, "deny", "x"),
        ("mcp", {"allow": True, "deny": [], "denied": None}, "allow", ""), ("mcp", {"deny": []}, "allow", ""),
        ("mcp", {"allow": False, "deny": []}, "deny", ""), ("mcp", {"allow": True, "denied": "yes"}, "deny", ""),
        ("mcp", {"deny": ["x"], "reason": "y"}, "deny", "y"),
        ("mcp", {"decision": {"deny": [{"m": 1}]}}, "deny", ""),
    ],
)  # fmt: skip
def test_what_a_denial_of_opa_names_is_denied_and_an_empty_one_is_none(
    path, result, effect, reason, make_reader, decisions
):
    body = {"decision_id": "d", "labels": {"id": "b"}, "input": {"tool": "x", "session": "s"}, "path": path,
            "timestamp": "2026-11-24T22:07:19Z"}  # fmt: skip
    (event,) = decisions(make_reader("opa"), body if result is None else body | {"result": result})
    assert (event.decision.effect, event.decision.reason) == (effect, reason)


@pytest.mark.parametrize(
    ("path", "result", "unknown"),
    [
        ("mcp", {"deny": []}, True), ("mcp", {"denied": False}, True), ("mcp", {"result": {"deny": []}}, True),
        ("mcp", {"deny": ["no"]}, False), ("mcp", {"allow": True, "deny": []}, False),
        ("mcp", {"result": {"allow": True, "deny": []}}, False), ("mcp/deny", {"deny": []}, False),
        ("mcp/deny", [], False),
    ],
)  # fmt: skip
def test_of_a_package_that_says_only_that_nothing_is_denied_the_decision_is_missing(
    path, result, unknown, make_reader, decisions
):
    """Its `allow` may be undefined, and whoever reads that refused the call."""
    body = {"decision_id": "d", "path": path, "input": {"tool": "x", "session": "s"}, "result": result,
            "timestamp": "2026-11-24T22:07:16Z"}  # fmt: skip
    (event,) = decisions(make_reader("opa", Completion(gateway="g", tenant="acme")), body)
    assert ("decision" in event.features_missing) is unknown


def test_a_denial_of_opa_that_is_neither_is_refused(make_reader, told):
    body = {"decision_id": "d", "labels": {"id": "b"}, "input": {"tool": "x", "session": "s"}, "path": "mcp/deny",
            "timestamp": "2026-11-24T22:07:19Z", "result": 7}  # fmt: skip
    (refused,) = told(make_reader("opa"), body)
    assert refused.reason.startswith("result: expected true, false or a set of reasons, got a number; where OPA")


@pytest.mark.parametrize(
    ("asked", "tool", "agent", "delegator"),
    [
        ({"user": "mo", "action": "call", "resource": {"id": "c"}, "tool": "crm.read"}, "crm.read", None, "mo"),
        ({"user": "mo", "action": "crm.read", "resource": {"id": "c"}}, "crm.read", None, "mo"),
        (
            {"subject": {"type": "agent", "id": "bot"}, "action": "crm.read", "resource": {}},
            "crm.read",
            "bot",
            "-",
        ),
        ({"subject": "mo", "action": {"name": "run"}, "resource": {}, "tool": "crm.read"}, "crm.read", None, "mo"),
        ({"subject": "mo", "action": "run", "resource": {}, "tool_name": "crm.read"}, "crm.read", None, "mo"),
        ({"subject": {"id": "bot"}, "action": "crm.read", "resource": {}, "user": "mo"}, "crm.read", "bot", "mo"),
        (
            {"subject": "mo", "action": "crm.read", "resource": {}, "token": {"sub": "1", "client_id": "bot"}},
            "crm.read",
            "bot",
            "mo",
        ),
    ],
)
def test_names_beside_an_action_and_a_resource_count_for_opa(
    asked, tool, agent, delegator, make_reader, decisions
):
    told = {"session_id": "s-1", "arguments": {"n": 7}, **asked}
    body = {"decision_id": "d", "labels": {"id": "b"}, "input": told, "result": True,
            "timestamp": "2026-11-24T22:07:19Z"}  # fmt: skip
    (event,) = decisions(make_reader("opa"), body)
    assert event.action.arguments == {"n": 7}
    envelope = event.envelope
    assert (event.action.tool, envelope.session_id, envelope.agent_id) == (tool, "s-1", agent)
    assert envelope.delegator_id == delegator
    assert (event.action.resource.id if event.action.resource else None) == asked["resource"].get("id")


def test_of_an_mcp_call_that_opa_was_asked_about_the_resource_is_the_tool(make_reader, decisions):
    told = {"subject": "mo", "action": {"name": "tools/call"}, "resource": {"id": "crm.read"}, "tool": "x"}
    body = {"decision_id": "d", "labels": {"id": "b"}, "input": told | {"session_id": "s-1"}, "result": True,
            "timestamp": TICK}  # fmt: skip
    (event,) = decisions(make_reader("opa"), body)
    assert event.action.tool == "crm.read"


def test_opa_uploads_arrays_with_gzip_of_which_only_the_chosen_paths_decide_calls(make_reader, decisions):
    one = {"decision_id": "d", "labels": {"id": "b"}, "path": "/mcp/authz", "result": True,
           "input": {"tool": "x", "session": "s"}, "timestamp": "2026-11-24T22:07:19Z"}  # fmt: skip
    upload = gzip.compress(json.dumps([one, {**one, "decision_id": "e", "path": "system/health"}]).encode())
    assert len(decisions(make_reader("opa"), upload)) == 2
    assert [event.id for event in decisions(make_reader("opa", paths=("mcp/authz",)), upload)] == ["d"]


def test_authzens_batch_gives_one_decision_for_each_answered_part(sample):
    read, delete = sample("authzen", 2)
    assert (read.id, read.action.tool, read.decision.effect) == ("batch-1/0", "can_read", "allow")
    assert (delete.action.tool, delete.decision.effect, delete.decision.reason) == (
        "can_delete",
        "deny",
        "not the owner",
    )
    assert delete.action.resource is not None
    assert delete.action.resource.id == "subject-search.md"


def test_authzens_empty_batch_means_the_request_itself(samples, make_reader, decisions, now):
    body = json.loads(samples("authzen")[0])
    body["request"]["evaluations"] = []
    said = json.dumps(body).encode()
    (event,) = decisions(make_reader("authzen"), said, headers=(("gateway", b"home"),), timestamp=now)
    assert event.action.tool == "get_customer"


def test_authzens_mcp_profile_names_the_tool_as_the_resource(sample):
    (event,) = sample("authzen", 0)
    assert event.action.tool == "get_customer"
    assert event.envelope.agent_id == "http://agentprovider.com/agent-app-id"
    assert event.decision.policy_ids == ("guardian-revocations",)


@pytest.mark.parametrize("format_", ["authzen", "opa"])
@pytest.mark.parametrize(
    ("subject", "inside", "delegator", "agent"),
    [
        ({"type": "identity", "id": "u1"}, {}, "u1", None),
        ({"type": "identity", "id": "u1"}, {"agent": "bot"}, "u1", "bot"),
        ({"type": "identity", "id": "u1"}, {"agent": "bot", "user": "u1"}, "u1", "bot"),
        ({"type": "ai_agent", "id": "bot"}, {"user": "u1"}, "u1", "bot"),
        ({"type": "service_account", "id": "bot", "properties": {"delegator": "u1"}}, {}, "u1", "bot"),
        ({"type": "service_account", "id": "svc-9"}, {"user": {"id": "u1"}, "agent": "bot"}, "u1", "bot"),
        ({"type": "agent", "id": "bot"}, {"user": "u1"}, "u1", "bot"),
        ({"type": "agent", "id": "bot"}, {}, "-", "bot"),
        ({"type": "agent", "id": "bot"}, {"agent": "other", "user": "bot"}, "bot", "bot"),
        ({"type": "User", "id": "u1"}, {"user": "Maya"}, "u1", None),
        ({"type": "identity", "id": "u1"}, {"user": "maya@acme.example", "agent": "bot"}, "u1", "bot"),
        ({"type": "identity", "id": "u1"}, {"user": "whom the agent looks up"}, "u1", None),
        ("bot", {"user": "u1"}, "u1", "bot"),
        (None, {"user": "u1", "agent": "bot"}, "u1", "bot"),
    ],
)
def test_whoever_acts_for_a_named_user_is_the_agent(
    subject, inside, delegator, agent, format_, make_reader, decisions
):
    asked = {"subject": subject, "action": {"name": "crm.read"}, "resource": {"id": "c"},
             "context": {"session_id": "s", **inside}}  # fmt: skip
    body = {
        "authzen": {"request": asked, "response": {"decision": True}, "time": TICK},
        "opa": {"decision_id": "d", "labels": {"id": "b"}, "input": asked, "result": True, "timestamp": TICK},
    }[format_]
    (event,) = decisions(make_reader(format_), body, headers=(("gateway", b"home"),))
    assert (event.envelope.delegator_id, event.envelope.agent_id) == (delegator, agent)


@pytest.mark.parametrize("format_", ["authzen", "opa"])
@pytest.mark.parametrize(
    ("method", "resource", "inside", "called"),
    [
        ("initialize", {"type": "mcp_server", "id": "crm"}, {"protocol_version": "2025-11-25"}, False),
        ("tools/list", {"type": "server", "id": "crm"}, {}, False),
        ("resources/read", {"type": "resource", "id": "file:///x"}, {"params": {"uri": "file:///x"}}, False),
        ("prompts/get", {"type": "prompt", "id": "p"}, {"params": {"arguments": {"n": "1"}}}, False),
        ("tasks/get", {"type": "task", "id": "t-1"}, {"arguments": {}}, False),
        ("tasks/get", {"type": "task", "id": "t-1"}, {"arguments": {"id": "t-1"}}, True),  # a server of this name
        ("tools/list", {"type": "Tool", "id": "crm"}, {}, True),
        ("crm/read", {"type": "mcp_server", "id": "crm"}, {}, True),
        ("Initialize", {"type": "mcp_server", "id": "crm"}, {}, True),
    ],
)  # fmt: skip
def test_mcps_own_methods_which_a_pep_asks_about_too_are_no_tool_calls(
    method, resource, inside, called, format_, make_reader, decisions
):
    asked = {"subject": {"type": "identity", "id": "u"}, "action": {"name": method}, "resource": resource,
             "context": {"session_id": "s", **inside}}  # fmt: skip
    body = {
        "authzen": {"request": asked, "response": {"decision": True}, "time": TICK},
        "opa": {"decision_id": "d", "labels": {"id": "b"}, "input": asked, "result": True, "timestamp": TICK},
    }[format_]
    found = decisions(make_reader(format_), body, headers=(("gateway", b"home"),))
    assert [event.action.tool for event in found] == ([method.replace("/", ".")] if called else [])


def test_a_call_in_the_body_is_one_whatever_method_opa_was_asked_about(make_reader, decisions):
    asked = {
        "subject": {"id": "u"},
        "action": {"name": "tools/list"},
        "resource": {"type": "mcp_server", "id": "c"},
    }
    entry = {"decision_id": "d", "labels": {"id": "b"}, "input": {**asked, "session_id": "s", "parsed_body": PAYS},
             "result": True, "timestamp": TICK}  # fmt: skip
    (call,) = decisions(make_reader("opa"), entry)
    assert (call.action.tool, call.envelope.session_id) == ("pay", "s")


def test_a_cloudtrail_file_gives_only_the_decisions_of_verified_permissions(sample):
    (event,) = sample("verified_permissions", 0, tenants={"PSEXAMPLEabcdefg111111": "tenant_photo"})
    assert (event.action.tool, event.envelope.delegator_id) == ("ViewPhoto", "alice")
    assert event.envelope.tenant_id == "tenant_photo"
    assert event.envelope.session_id == "window:-|alice"
    assert event.origin is not None
    assert event.origin.session_from == "window"


def test_a_request_to_verified_permissions_that_failed_is_a_deny(samples, make_reader, told):
    failed = json.loads(samples("verified_permissions")[0])["Records"][0]
    failed |= {"errorCode": "ValidationException", "additionalEventData": None}
    unnamed = failed | {"requestParameters": None}
    denied, lost = told(make_reader("verified_permissions"), {"Records": [failed, unnamed]})
    assert denied.event.decision.effect == "deny"
    assert lost.code == "nobody"
    (undecided,) = told(make_reader("verified_permissions"), failed | {"errorCode": None})
    assert (undecided.code, undecided.reason[:28]) == ("invalid", "additionalEventData.decision")


CONTEXT = {
    "contract_id": "contract_9", "amount": 900, "urgent": True, "ids": ["a", "b"], "owner": "maya",
    "args": {"to": {"iban": "DE1"}, "fee": "1.5"},
}  # fmt: skip


@pytest.mark.parametrize(
    "context",
    [
        {"contextMap": {
            "agent": {"entityIdentifier": {"entityType": "Gateway::Agent", "entityId": "bot"}},
            "contract_id": {"string": "contract_9"}, "amount": {"long": 900}, "urgent": {"boolean": True},
            "ids": {"set": [{"string": "a"}, {"string": "b"}]},
            "owner": {"entityIdentifier": {"entityType": "Gateway::User", "entityId": "maya"}},
            "args": {"record": {"to": {"record": {"iban": {"string": "DE1"}}}, "fee": {"decimal": "1.5"}}},
        }},
        {"cedarJson": json.dumps({
            **CONTEXT, "agent": {"__entity": {"type": "Gateway::Agent", "id": "bot"}},
            "owner": {"__entity": {"type": "Gateway::User", "id": "maya"}},
            "args": {"to": {"iban": "DE1"}, "fee": {"__extn": {"fn": "decimal", "arg": "1.5"}}},
        })},
    ],
)  # fmt: skip
def test_verified_permissions_context_is_the_arguments_however_it_is_written(
    context, samples, make_reader, decisions
):
    asked = json.loads(samples("verified_permissions")[0])["Records"][0]
    asked["requestParameters"]["context"] = context
    (call,) = decisions(make_reader("verified_permissions"), asked)
    assert call.action.arguments == CONTEXT
    assert call.envelope.session_id == "window:bot|alice"
    assert "arguments_masked" not in call.features_missing


@pytest.mark.parametrize(
    "hide", [lambda said: said, lambda said: {"contextMap": said}, lambda said: {"cedarJson": said}]
)
def test_a_context_that_cloudtrail_hides_is_missing_and_hides_no_call(hide, samples, make_reader, decisions):
    asked = json.loads(samples("verified_permissions")[0])["Records"][0]
    asked["requestParameters"]["context"] = hide("HIDDEN_DUE_TO_SECURITY_REASONS")
    (call,) = decisions(make_reader("verified_permissions"), asked)
    assert (call.action.arguments, call.envelope.session_id) == (None, "window:-|alice")
    assert "arguments_masked" in call.features_missing


def test_a_batch_of_verified_permissions_is_taken_apart(sample):
    read, pay = sample("verified_permissions", 1)
    assert (read.id, read.decision.effect, pay.decision.effect) == ("batch-9/0", "allow", "deny")
    assert read.envelope.agent_id == "invoice-bot"
    assert read.action.arguments == {"invoice_id": "INV-7"}


def test_of_a_batch_of_verified_permissions_that_failed_all_is_denied(samples, make_reader, decisions, told):
    batch = json.loads(samples("verified_permissions")[1])
    asked = [each["request"] for each in batch["additionalEventData"]["results"]]
    failed = batch | {"errorCode": "ValidationException", "additionalEventData": None}
    failed["requestParameters"] = {"policyStoreId": "PSEXAMPLEabcdefg111111", "requests": asked}
    read, pay = decisions(make_reader("verified_permissions"), failed)
    assert (read.id, read.action.tool, pay.action.tool) == ("batch-9/0", "invoices.read", "payments.create")
    assert {each.decision.effect for each in (read, pay)} == {"deny"}
    assert {each.envelope.agent_id for each in (read, pay)} == {"invoice-bot"}
    (lost,) = told(make_reader("verified_permissions"), failed | {"requestParameters": {"requests": []}})
    assert lost.code == "nobody"


def test_permits_server_and_action_are_the_tool(sample):
    (event,) = sample("permit", 0)
    assert event.action.tool == "linear.create_issue"
    assert (event.envelope.agent_id, event.envelope.delegator_id) == ("cursor_abc123", "maya")
    assert event.action.arguments is None
    (refused,) = sample("permit", 1)
    assert refused.decision.effect == "deny"


def test_agentgateway_says_who_refused_and_only_tool_calls_count(sample):
    (echo,) = sample("agentgateway", 0)
    assert (echo.action.tool, echo.envelope.session_id) == ("everything.echo", "191c48")
    assert echo.action.arguments == {"message": "hi"}
    assert echo.id == f"{TRACE}:00f067aa0ba902b7"
    (refused,) = sample("agentgateway", 1)
    assert (refused.decision.effect, refused.decision.reason) == ("deny", "authorization failed")
    assert sample("agentgateway", 2) == []  # tools/list
    (hidden,) = sample("agentgateway", 4)
    assert (hidden.action.tool, hidden.decision.effect) == ("everything.close_all_incidents", "deny")
    assert hidden.decision.reason == "mcp: Unknown tool: close_all_incidents"


@pytest.mark.parametrize("format_", ["agentgateway", "auto"])
@pytest.mark.parametrize("kind", ["mcp.resource", "mcp.resource.type"])
def test_agentgateways_lines_from_before_it_took_opentelemetrys_names_are_read(
    format_, kind, make_reader, decisions, now
):
    line = {"level": "info", "time": TICK, "scope": "request", "gateway": "edge/tools", "listener": "http",
            "route": "edge/crm", "src.addr": "10.1.2.3:40112", "http.method": "POST", "http.host": "tools.example",
            "http.path": "/mcp", "http.version": "HTTP/1.1", "http.status": 200, "trace.id": TRACE,
            "span.id": "00f067aa0ba902b7", "protocol": "mcp", "mcp.method": "tools/call", "mcp.target": "crm",
            kind: "tool", "mcp.resource.name": "lookup", "mcp.session.id": "s-77", "duration": "4ms"}  # fmt: skip
    (call,) = decisions(make_reader(format_), line)
    assert (call.action.tool, call.envelope.session_id, call.decision.effect) == ("crm.lookup", "s-77", "allow")
    (refused,) = decisions(make_reader(format_), line | {"http.status": 403, "reason": "Authorization"})
    assert refused.decision.effect == "deny"
    listed = {**line, "mcp.method": "tools/list"}
    del listed["mcp.resource.name"]
    assert decisions(make_reader(format_), listed) == []


@pytest.mark.parametrize(
    ("said", "effect"),
    [
        ({"http.status": 400, "reason": "MCP", "error": "mcp: Unknown tool: crm_export"}, "deny"),
        ({"http.status": 500, "reason": "MCP", "error": "mcp: Unknown tool: crm_export"}, "deny"),
        ({"http.status": 200, "reason": "MCP", "error": "mcp: mcpGuardrails rejected: holds a card"}, "deny"),
        ({"http.status": 200, "reason": "MCP", "error": "mcp: mcpGuardrails rejected"}, "deny"),
        ({"http.status": 503, "reason": "Overload", "error": "request limit exceeded"}, "deny"),
        ({"http.status": 404, "reason": "MCP", "error": "mcp: session not found"}, "allow"),
        ({"http.status": 502, "reason": "MCP", "error": "mcp: upstream error: 502"}, "allow"),
        ({"http.status": 500, "reason": "MCP", "error": "mcp: failed to send message: Unknown tool"}, "allow"),
        ({"http.status": 500, "reason": "MCP", "error": ["mcp: Unknown "]}, "allow"),
        ({"http.status": 200, "mcp.error.code": -32602, "mcp.error.message": "Unknown tool: x"}, "allow"),
    ],
)
def test_agentgateway_hides_what_it_forbids_as_if_it_were_unknown(said, effect, samples, make_reader, decisions):
    """An upstream that knows no such tool, or fails, is an outcome."""
    allowed = {**json.loads(samples("agentgateway")[0]), **said}
    (call,) = decisions(make_reader("agentgateway"), allowed)
    assert call.decision.effect == effect
    assert call.result is not None
    assert call.result.status == "error"


def test_agentgateways_otlp_logs_say_the_same_as_its_lines(sample):
    (event,) = sample("agentgateway", 3)
    assert (event.action.tool, event.envelope.session_id) == ("everything.echo", "191c48")
    assert event.time.isoformat() == "2025-11-24T22:07:16.939402+00:00"


@pytest.mark.parametrize("format_", ["agentgateway", "auto"])
@pytest.mark.parametrize("name", ["http.status", "http.response.status_code"])
def test_agentgateways_status_has_its_own_name_or_opentelemetrys(name, format_, samples, make_reader, decisions):
    refused = json.loads(samples("agentgateway")[1])
    del refused["reason"], refused["http.status"]
    (call,) = decisions(make_reader(format_), refused | {name: 403})
    assert call.decision.effect == "deny"
    page = {key: refused[key] for key in ("time", "gateway", "route", "http.method")}
    assert decisions(make_reader(format_), page | {name: 200}) == []


OBSERVED = {"observedTimeUnixNano": "1764022036939402185"}


@pytest.mark.parametrize("said", [{}, {"timeUnixNano": "0"}, {"timeUnixNano": 0}, {"timeUnixNano": ""}])
def test_agentgateways_otlp_logs_are_as_old_as_they_were_observed(said, samples, make_reader, decisions, now):
    """It sets no time itself."""
    body = json.loads(samples("agentgateway")[3])
    (record,) = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    del record["timeUnixNano"]
    record |= said
    (unobserved,) = decisions(make_reader("agentgateway"), body, timestamp=now)
    assert unobserved.time == now
    record |= OBSERVED
    (observed,) = decisions(make_reader("agentgateway"), body, timestamp=now)
    assert observed.time.isoformat() == "2025-11-24T22:07:16.939402+00:00"
    record |= {"timeUnixNano": "1764022035000000000"}
    (told,) = decisions(make_reader("agentgateway"), body, timestamp=now)
    assert told.time.isoformat() == "2025-11-24T22:07:15+00:00"


def test_a_span_that_began_at_nought_says_no_time(samples, make_reader, decisions, now):
    body = json.loads(samples("otel")[0])
    span = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["startTimeUnixNano"] = "0"
    told = decisions(make_reader("otel"), body, headers=(("gateway", b"home"),), timestamp=now)
    assert told[0].time == now


def test_a_call_of_envoys_that_names_no_session_is_refused_without_one(make_reader, told):
    call = {"start_time": TICK, "response_code": 200, "mcp.tool.name": "pay", "mcp.session.id": "-"}
    (refused,) = told(make_reader("envoy"), call, headers=(("gateway", b"home"),))
    assert (refused.code, refused.tenant_id, refused.session_id) == ("no_session", "tenant_home", None)


def test_envoys_own_keys_can_be_named_and_a_dash_says_nothing(sample, make_reader, decisions):
    (event,) = sample("envoy", 0)
    assert (event.action.tool, event.envelope.session_id, event.trace_id) == ("weather.get_weather", "a7f3", TRACE)
    (refused,) = sample("envoy", 1)
    assert refused.decision.effect == "deny"
    assert refused.envelope.delegator_id == "-"
    assert "delegator_id" in refused.features_missing
    assert sample("envoy", 2) == []
    body = {"ts": "2026-11-24T22:07:16Z", "code": 200, "tool": "read", "sid": "s-1", "gateway": "g"}
    fields = {"time": "ts", "status": "code", "tool": "tool", "session": "sid"}
    (own,) = decisions(make_reader("envoy", fields=fields), body)
    assert (own.action.tool, own.envelope.session_id) == ("read", "s-1")


AI_GATEWAY = {
    "start_time": "2026-11-24T22:07:16Z", "method": "POST", "x-envoy-origin-path": "/mcp", "response_code": 200,
    "response_flags": "-", "response_code_details": "via_upstream", "bytes_received": 165, "duration": 65,
    "upstream_cluster": "httproute/default/crm/rule/0", "x-request-id": "r-1", "genai_model_name": None,
}  # fmt: skip


@pytest.mark.parametrize("format_", ["envoy", "auto"])
@pytest.mark.parametrize(
    ("method", "server", "session", "tool"),
    [
        ("mcp.method.name", "mcp.provider.name", "mcp.session.id", "mcp.tool.name"),
        ("mcp_method", "mcp_backend", "mcp_session_id", "mcp_tool_name"),
    ],
)
def test_a_call_under_either_names_that_envoy_ai_gateway_documented_is_never_passed_over(
    format_, method, server, session, tool, make_reader, decisions, told
):
    """Its documented templates log no tool."""
    headers = (("gateway", b"home"),)
    line = {**AI_GATEWAY, method: "tools/call", server: "crm", session: "s-5"}
    (call,) = decisions(make_reader(format_), {**line, tool: "lookup"}, headers=headers)
    assert (call.action.tool, call.envelope.session_id, call.id) == ("crm.lookup", "s-5", "r-1")
    (nameless,) = told(make_reader(format_), line, headers=headers)
    assert (nameless.code, nameless.session_id) == ("no_tool", "s-5")
    assert told(make_reader(format_), {**line, method: "tools/list"}, headers=headers) == []
    assert told(make_reader(format_), {**AI_GATEWAY, method: None}, headers=headers) == []


def test_what_an_operator_names_of_envoys_keys_outweighs_what_was_documented(make_reader, decisions):
    line = {**AI_GATEWAY, "mcp_method": "tools/call", "mcp_tool_name": "lookup", "mcp.session.id": "s"}
    reader = make_reader("envoy", fields={"method": "kind", "server": "to"})
    (call,) = decisions(reader, {**line, "kind": "tools/call", "to": "mail", "mcp_backend": "crm"},
                        headers=(("gateway", b"home"),))  # fmt: skip
    assert call.action.tool == "mail.lookup"
    assert decisions(reader, {**line, "kind": "tools/list"}, headers=(("gateway", b"home"),)) == []


@pytest.mark.parametrize("format_", ["authzen", "auto"])
def test_an_authzen_exchange_without_a_time_is_as_old_as_the_broker_says(
    format_, make_reader, decisions, told, now
):
    asked = {"subject": {"type": "user", "id": "ann@example.org"}, "action": {"name": "lookup"},
             "resource": {"type": "account", "id": "77"}, "context": {"session_id": "s-1"}}  # fmt: skip
    for body in ({"request": asked, "response": {"decision": True}}, {**asked, "decision": True}):
        (call,) = decisions(make_reader(format_), body, headers=(("gateway", b"home"),), timestamp=now)
        assert (call.time, call.action.tool, call.decision.effect) == (now, "lookup", "allow")
        (timeless,) = told(make_reader(format_), body, headers=(("gateway", b"home"),))
        assert timeless.reason.endswith("of a topic's records the broker does")


@pytest.mark.parametrize(
    ("said", "effect"),
    [
        ({"response_code": 429, "response_code_details": "local_rate_limited", "response_flags": "RL"}, "deny"),
        ({"response_code": 429, "response_code_details": "request_rate_limited"}, "deny"),
        ({"response_code": 429, "response_code_details": "-", "response_flags": ["DI", "RL"]}, "deny"),
        ({"response_code": 500, "response_code_details": "rate_limiter_error", "response_flags": "RLSE"}, "deny"),
        ({"response_code": 503, "response_code_details": "ext_authz_error", "response_flags": "UAEX"}, "deny"),
        ({"response_code": 429, "response_flags": "-"}, "allow"),  # the upstream's own, as any via_upstream
        ({"response_code": 403}, "allow"),
        ({"response_code": 503, "response_flags": "URX,UF"}, "allow"),
    ],
)
def test_what_envoy_itself_refused_is_a_deny_and_what_its_upstream_answered_an_outcome(
    said, effect, samples, make_reader, decisions
):
    (call,) = decisions(make_reader("envoy"), {**json.loads(samples("envoy")[0]), **said})
    assert (call.decision.effect, call.result.status) == (effect, str(said["response_code"]))


def test_otel_spans_of_tools_are_read_and_others_are_not(sample):
    search, book = sample("otel", 0)
    assert (search.action.tool, search.action.arguments) == ("search_flights", {"to": "FRA"})
    assert (search.envelope.session_id, search.envelope.agent_id) == ("conv_5j66", "travel")
    assert (book.decision.effect, book.decision.reason) == ("deny", "not allowed")
    assert book.envelope.session_id == "ms-1"


def spans(*told):
    """A message of spans `(own id, parent, kind, attributes)`."""
    known = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "pay", "mcp.session.id": "s"}
    made = [
        {
            "traceId": TRACE, "spanId": own * 16, "parentSpanId": parent * 16, "kind": kind,
            "startTimeUnixNano": "1764022036939402185",
            "attributes": [{"key": name, "value": {"stringValue": said}} for name, said in (known | more).items()],
        }
        for own, parent, kind, more in told
    ]  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}


SUM = {"gen_ai.tool.call.arguments": '{"order": "5512", "amount": 60}'}
SPELT = {"gen_ai.tool.call.arguments": '{"amount":60,"order":"5512"}'}


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        ([("a", "", 2, SUM), ("b", "a", 3, SUM)], "a"),
        ([("b", "a", 3, SPELT | {"mcp.session.id": "upstream"}), ("a", "", 2, SUM)], "a"),  # whichever ended first
        ([("a", "", "SPAN_KIND_SERVER", SUM), ("b", "a", "SPAN_KIND_CLIENT", {})], "a"),
        ([("a", "", 2, SUM), ("b", "a", 1, SUM), ("c", "b", 3, SUM), ("d", "c", 2, SUM)], "ad"),
        ([("a", "", 2, {}), ("b", "a", 3, {"error.type": "timeout"}), ("c", "a", 3, {})], "a"),  # tried again
        ([("a", "", 2, SUM), ("b", "a", 2, SUM)], "ab"),  # a caller says which span it comes from
        ([("a", "", 3, SUM), ("b", "a", 3, SUM)], "ab"),
        ([("a", "", 2, SUM), ("b", "a", 3, {"gen_ai.tool.name": "crm.read"})], "ab"),  # an agent called as a tool
        ([("a", "", 2, SUM), ("b", "a", 3, {"gen_ai.tool.call.arguments": '{"amount": 61}'})], "ab"),
        ([("a", "", 2, {}), ("b", "a", 3, SUM)], "ab"),
        ([("a", "", 2, {"error.type": "guardrail"}), ("b", "a", 3, {})], "ab"),  # refused when it was done
        ([("a", "", 2, SUM), ("b", "c", 3, SUM)], "ab"),
        ([("a", "a", 3, SUM)], "a"),
        ([("a", "", None, SUM), ("b", "a", 3, SUM)], "ab"),
        ([("a", "", 2, {"mcp.method.name": "tools/list"}), ("b", "a", 3, SUM)], "b"),
    ],
)  # fmt: skip
def test_a_gateways_inner_span_of_a_call_is_no_call_of_its_own(told, counted, make_reader, decisions):
    found = decisions(make_reader("otel"), spans(*told), headers=(("gateway", b"home"),))
    assert {event.id for event in found} == {f"{TRACE}:{own * 16}" for own in counted}


@pytest.mark.parametrize(
    ("outer", "inner", "counted"),
    [
        ({}, {"mcp.session.id": "m-1"}, {"m-1", TRACE}),  # an agent's own span of what its MCP client then does
        ({"mcp.session.id": " "}, {"session.id": "m-1"}, {"m-1", TRACE}),
        ({"gen_ai.conversation.id": "c-1"}, {"mcp.session.id": "m-1"}, {"c-1"}),
        ({"session.id": "s-1", "enduser.id": "u"}, {"user.id": "v"}, {"s-1"}),
        ({"session.id": "s-1"}, {"session.id": "s-2", "user.id": "v"}, {"s-1", "s-2"}),
        ({"session.id": "s-1"}, {"session.id": "s-2", "tenant.id": "t"}, {"s-1", "s-2"}),
    ],
)
def test_an_inner_span_that_alone_says_whose_it_is_counts(outer, inner, counted, make_reader, decisions):
    told = spans(("a", "", 1, {"mcp.session.id": "", **outer}), ("b", "a", 3, {"mcp.session.id": "", **inner}))
    found = decisions(make_reader("otel"), told, headers=(("gateway", b"home"),))
    assert {event.envelope.session_id for event in found} == counted


def test_the_arguments_of_a_span_are_parsed_once_however_many_lie_in_it(make_reader, decisions, monkeypatch):
    parsed = []

    def arguments_of(said):
        parsed.append(said)
        return facts.arguments_of(said)

    monkeypatch.setattr("guardian.sources.otel.arguments_of", arguments_of)
    told = spans(("a", "", 2, SUM), *[(own, "a", 3, SPELT) for own in "bcdef"])
    assert len(decisions(make_reader("otel"), told, headers=(("gateway", b"home"),))) == 1
    assert parsed.count(SUM["gen_ai.tool.call.arguments"]) == 2, "to compare, and as the call's own"


def test_spans_of_another_resource_are_calls_of_their_own(make_reader, decisions):
    both = spans(("a", "", 2, SUM)), spans(("b", "a", 3, SUM))
    groups = [body["resourceSpans"][0] for body in both]
    read = {"headers": (("gateway", b"home"),)}
    assert len(decisions(make_reader("otel"), {"resourceSpans": groups}, **read)) == 1
    groups[0]["resource"] = {"attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]}
    assert len(decisions(make_reader("otel"), {"resourceSpans": groups}, **read)) == 2


@pytest.mark.parametrize(("kinds", "counted"), [(("server",), "ad"), (("client",), "bd"), ((), "ad")])
def test_which_kinds_of_spans_count_may_be_said(kinds, counted, make_reader, decisions):
    told = spans(("a", "", 2, SUM), ("b", "a", 3, SUM), ("d", "", 0, SUM))
    found = decisions(make_reader("otel", kinds=kinds), told, headers=(("gateway", b"home"),))
    assert [event.id for event in found] == [f"{TRACE}:{own * 16}" for own in counted]


def test_otlp_in_protobuf_says_the_same_as_in_json(samples, make_reader, decisions):
    pb = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    from google.protobuf.json_format import Parse

    body = json.loads(samples("otel")[0])
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId"):  # what protobuf's own JSON wants
            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    raw = Parse(json.dumps(body), pb.TracesData()).SerializeToString()
    as_json = decisions(make_reader("otel"), samples("otel")[0])
    as_protobuf = decisions(make_reader("otel"), raw)
    assert [event.model_dump() for event in as_protobuf] == [event.model_dump() for event in as_json]


@pytest.mark.parametrize("letters", [14, 15])
def test_a_protobuf_message_of_any_length_is_read_and_so_is_json_after_white_space(
    letters, make_reader, decisions
):
    trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    message = trace_pb2.TracesData()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\x01" * 16, b"\x02" * 8, "x"
    span.start_time_unix_nano = 1764022036000000000
    for key, value in (("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "r" * letters)):
        attribute = span.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    raw = message.SerializeToString()
    assert raw.lstrip().startswith(b"{") == (
        letters == 14
    )  # 123 bytes: a line feed, and what looks like a bracket
    (call,) = decisions(make_reader("otel"), raw, headers=(("gateway", b"home"),))
    assert call.action.tool == "r" * letters
    line = b'\n {"id": "d", "tool": "pay", "decision": true, "session": "s", "time": 1764022036}'
    (call,) = decisions(make_reader("mapping"), line, headers=(("gateway", b"home"),))
    assert call.action.tool == "pay"


def test_mcp_requests_carry_client_and_trace_in_their_meta(sample):
    (bare,) = sample("mcp", 0)
    assert (bare.action.tool, bare.envelope.agent_id, bare.agent_version) == (
        "get_weather",
        "ExampleClient",
        "1.0.0",
    )
    assert bare.envelope.session_id == TRACE  # nothing better is there
    assert "decision" in bare.features_missing
    (answered,) = sample("mcp", 1)
    assert answered.result is not None
    assert answered.result.status == "ok"
    (refused,) = sample("mcp", 2)
    assert (refused.decision.effect, refused.envelope.session_id) == ("deny", "1868a90c")
    assert sample("mcp", 3) == []


@pytest.mark.parametrize(
    ("line", "agent"),
    [
        ({}, "export-bot"),
        ({"agent": "support-bot", "client_id": "c-1"}, "support-bot"),
        ({"agent": {"id": "f-1", "type": "filebeat"}}, "export-bot"),  # which ships the log
        ({"agent": " ", "agent_id": "support-bot"}, "support-bot"),
        ({"client_id": "support-bot"}, "support-bot"),
        ({"client_id": "https://bot.example/" + "x" * 512}, None),  # which hides no call
    ],
)
def test_whom_the_gateway_names_is_the_agent_whatever_its_client_calls_itself(line, agent, make_reader, decisions):
    meta = {"io.modelcontextprotocol/clientInfo": {"name": "export-bot", "version": "1"}}
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "crm.export", "_meta": meta}}
    body = {"timestamp": TICK, "session_id": "s", "request": call, **line}
    (event,) = decisions(make_reader("mcp"), body, headers=(("gateway", b"home"),))
    assert (event.envelope.agent_id, event.agent_version) == (agent, "1")


RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"content": []}}


def error(code: int) -> dict:
    return {"response": {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}}}


@pytest.mark.parametrize(
    ("said", "effect"),
    [
        ({"status": 403}, "deny"),
        ({"status": "403"}, "deny"),
        ({"http_status": "401", "status": "done"}, "deny"),
        ({"http_status": None, "status": 401}, "deny"),
        ({"status": "200"}, "allow"),
        ({"status": "ok"}, "allow"),
        ({"allowed": False, "policy": "deny-payments"}, "deny"),
        ({"allowed": False, "status": 200}, "deny"),
        ({"allowed": "false", "status": 200}, "deny"),
        ({"allowed": True, "status": 403}, "allow"),  # the server's, then
        ({"verdict": "blocked"}, "deny"),
        ({"outcome": "Denied", "response": {"status": 200}}, "deny"),
        ({"status": "denied"}, "deny"),
        ({"response": {"status": 403}}, "deny"),
        ({"status_code": 403}, "deny"),
        ({"statusCode": "401"}, "deny"),
        ({"http.status_code": 403}, "deny"),
        ({"response": {"statusCode": 403}}, "deny"),
        ({"blocked": True}, "deny"),
        ({"blocked": "true", "response": RESULT}, "deny"),
        ({"denied": True, "status": 200}, "deny"),
        ({"authz": {"allowed": False}}, "deny"),
        ({"authorization": {"decision": "deny"}, "status": 200}, "deny"),
        ({"policy": {"effect": "Deny"}}, "deny"),
        ({"response": json.dumps(error(-32003)["response"])}, "deny"),
        (error(-32003), "deny"),
        ({"decision": "allow"}, "allow"),
        ({"allowed": True}, "allow"),
        ({"verdict": "allowed"}, "allow"),
        ({"outcome": "success"}, "allow"),
        ({"response": {"status": 200}}, "allow"),
        ({"response": RESULT}, "allow"),
        ({"response": {**RESULT, "status": 403}}, "allow"),  # a server's message tells nobody's decision
        ({}, None),
        ({"allowed": "perhaps"}, None),
        ({"status": "queued"}, None),
        ({"verdict": "passed"}, None),
        ({"status": 429}, None),
        ({"response": {"status": 502}}, None),
        (error(-32602), None),
        ({"response": {**RESULT, "result": {"isError": True, "content": []}}}, None),
        ({"response": {"content": []}}, "allow"),
        ({"response": {"structuredContent": {}, "status": "rejected"}}, "allow"),  # the tool's word
        ({"status_code": 200}, "allow"),
        ({"authz": {"allowed": True}}, "allow"),
        ({"blocked": False, "response": RESULT}, "allow"),
        ({"response": json.dumps(RESULT)}, "allow"),
        ({"blocked": False}, None),
        ({"blocked": ["x"], "authz": "no", "policy": {"effect": 5}}, None),
        ({"response": json.dumps(error(-32000)["response"])}, None),
        ({"response": "Access denied"}, None),
        ({"response": json.dumps({"error": {"code": 403}})}, None),  # what the tool found, for all that is known
        ({"response": json.dumps({"status": 403, "url": "https://x"}), "status": 200}, "allow"),
        ({"status_code": 429}, None),
        ({"response": {"content": [], "isError": True}}, None),
        ({"status": 200, **error(-32000)}, None),  # so a refusal travels over HTTP
        ({"status": "ok", "response": {**RESULT, "result": {"isError": True, "content": []}}}, None),
        ({"verdict": "allowed", **error(-32000)}, "allow"),
    ],
)
def test_what_a_proxy_refused_is_a_deny_however_it_writes_it_and_what_it_does_not_say_is_missing(
    decisions, make_reader, said, effect
):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "crm.read", "arguments": {}}}
    line = {"request": message, "session_id": "s", "timestamp": "2026-05-12T17:04:11Z"} | said
    (call,) = decisions(make_reader("mcp"), line, headers=(("gateway", b"home"),))
    assert call.decision.effect == (effect or "allow")
    assert ("decision" in call.features_missing) is (effect is None)


FORGED = {
    "schema": "guardian.decision/v1", "id": "d", "time": "2026-11-24T22:07:16Z", "gateway": "home",
    "envelope": {"delegator_id": "u", "tenant_id": "tenant_home", "session_id": "victim", "purpose": "anything"},
    "action": {"tool": "safe.read"}, "decision": {"effect": "deny"},
}  # fmt: skip


@pytest.mark.parametrize(
    "beside",
    [
        {"session_id": "victim", "tenant_id": "tenant_other", "user": "eve", "decision": "deny", "status": 403},
        {"headers": {"mcp-session-id": "victim"}, "response": {"error": {"code": -32003}}},
        {**FORGED},
        {"specversion": "1.0", "data": FORGED},
        {
            "response_code": 403,
            "start_time": "2026-11-24T22:07:16Z",
            "mcp.tool.name": "x",
            "mcp.session.id": "victim",
        },
        {"decision_id": "d", "labels": {"id": "b"}, "input": {"tool": "safe.read", "session": "victim"}},
    ],
    ids=["names", "headers", "a whole decision", "a whole event", "a line of Envoy's", "an event of OPA's"],
)
@pytest.mark.parametrize("format_", ["mcp", "auto", "cloudevents"])
@pytest.mark.parametrize("spelt", [str, str.title, lambda name: name.replace("s", "\u017f")])
def test_what_an_agent_puts_beside_its_bare_request_says_nothing_of_who_it_is(
    beside, spelt, format_, make_reader, decisions, now
):
    call = {"method": "tools/call", "params": {"name": "crm.export", "arguments": {}}}
    message = {**beside, "id": 1, **{spelt(name): value for name, value in ({"jsonrpc": "2.0"} | call).items()}}
    event = {"specversion": "1.0", "id": "e", "source": "home", "type": "mcp", "sessionid": "s-1", "data": message}
    (found,) = decisions(make_reader(format_), event, headers=(("gateway", b"home"),), timestamp=now)
    assert (found.envelope.tenant_id, found.envelope.session_id) == ("tenant_home", "s-1")
    assert (found.action.tool, found.decision.effect, found.envelope.delegator_id) == ("crm.export", "allow", "-")


PAYS = {
    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
    "params": {"name": "pay", "_meta": {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}},
}  # fmt: skip
TICK = "2026-05-12T17:04:11Z"
SPAN = {
    "startTimeUnixNano": "1764022036939402185",
    "attributes": [
        {"key": name, "value": {"stringValue": value}}
        for name, value in {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "pay",
            "gen_ai.tool.call.id": "call_1",
            "mcp.session.id": "s",
        }.items()
    ],
}


@pytest.mark.parametrize(
    ("format_", "call"),
    [
        ("mcp", PAYS),
        ("mcp", {"request": PAYS, "session_id": "s", "timestamp": TICK}),
        ("envoy", {"start_time": TICK, "response_code": 200, "mcp.tool.name": "pay", "mcp.session.id": "s"}),
        ("otel", {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}),
    ],
)
def test_an_agent_that_says_the_same_again_in_a_log_without_ids_is_heard_again(
    make_reader, decisions, now, format_, call
):
    """Also within one tick of the log's clock, and with the id that it gave its message before."""
    came = {"headers": (("gateway", b"home"),), "timestamp": now}
    ids = [decisions(make_reader(format_), call, **came, offset=offset)[0].id for offset in (1, 2, 2)]
    assert ids[0] != ids[1]
    assert ids[1] == ids[2]  # delivered again
    assert decisions(make_reader(format_), call, **came, offset=2, partition=1)[0].id not in ids
    batch = [each.id for each in decisions(make_reader(format_), [call, call], **came)]
    assert len(set(batch)) == 2
    assert batch == [each.id for each in decisions(make_reader(format_), [call, call], **came)]


@pytest.mark.parametrize(
    "beside",
    [
        {"user": "eve", "session_id": "victim", "tenant": "tenant_other", "envelope": FORGED["envelope"]},
        {"action": "safe.read", "resource": {}, "context": {"session_id": "victim"}},
        {"parsed_body": {"method": "tools/call", "params": {"name": "safe.read"}}, "tool": "safe.read"},
    ],
)
@pytest.mark.parametrize("spelt", [str, str.title])
def test_where_an_agents_message_is_opas_whole_input_it_names_nobody(beside, spelt, make_reader, decisions, now):
    meta = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "crm.export", "_meta": meta}}
    message = {"id": 1, **{spelt(name): value for name, value in call.items()}}
    entry = {"decision_id": "d", "labels": {"id": "b"}, "input": {**beside, **message}, "result": True}
    (call,) = decisions(make_reader("opa"), entry, headers=(("gateway", b"home"),), timestamp=now)
    assert (call.action.tool, call.has_envelope) == ("crm.export", False)
    assert (call.envelope.tenant_id, call.envelope.session_id) == ("tenant_home", TRACE)


def test_of_a_record_with_too_many_entries_the_first_are_read_and_the_rest_is_refused_once(make_reader, told):
    reader = dataclasses.replace(make_reader("mcp"), max_entries=3)
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "t"}}
    known = {"session_id": "s", "user": "u", "tenant": "acme", "timestamp": "2026-05-12T17:04:11Z"}
    other = {"request": {**call, "method": "ping"}}
    entries = [{**known, "request_id": str(n), "request": call} for n in range(9)]
    headers = (("gateway", b"home"),)
    assert len(told(reader, entries[:3], headers=headers)) == 3
    *read, refused = told(reader, [other, *entries], headers=headers)
    assert [each.event.id for each in read] == ["0", "1"]
    assert (refused.code, refused.gateway, refused.session_id) == ("too_large", "home", "t[0]")


def test_of_a_record_no_more_is_read_than_is_asked_for(now):
    looked = []

    class Looking(Mapped):
        def facts(self, entry):
            looked.append(entry["id"])
            return super().facts(entry)

    entries = [{"id": str(n), "tool": "t", "decision": True, "session": "s", "gateway": "g"} for n in range(9)]
    reader = Reader({"mapping": Looking()}, Completion(tenant="acme"))
    found = reader.read(Record("t", 0, 0, json.dumps(entries).encode(), timestamp=now))
    assert next(iter(found)).event.id == "0"
    assert looked == ["0"]


def test_a_bare_request_that_cannot_be_read_accuses_no_session_that_it_names(make_reader, told):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}, "session_id": "victim"}
    (lost,) = told(make_reader("mcp"), message, headers=(("gateway", b"home"),))
    assert (lost.code, lost.session_id) == ("no_tool", None)


@pytest.mark.parametrize("format_", ["mcp", "auto"])
@pytest.mark.parametrize(
    "broken",
    [
        b'"jsonrpc": "2.0", "jsonrpc": "2.0"}',
        b'"jsonrpc": "2.0", "x": "\xff"}',
        b'"json\\u0072pc": "2.0", "params": {',
        b'"jsonrpc": NaN, "x": 1',
        b'"Jsonrpc": NaN, "x": 1',
    ],
)
def test_nor_does_one_that_is_no_json(broken, format_, make_reader, told):
    message = b'{"method": "tools/call", "session_id": "victim", "tenant_id": "tenant_other", ' + broken
    (lost,) = told(make_reader(format_), message, headers=(("gateway", b"home"),))
    assert (lost.session_id, lost.tenant_id) == (None, "tenant_home")


def test_a_log_line_that_is_no_json_and_holds_a_message_still_names_its_session(make_reader, told):
    line = b'{"session_id": "s1", "tenant_id": "tenant_home", "request": {"jsonrpc": "2.0", "method": "\xff"'
    (lost,) = told(make_reader("mcp"), line, headers=(("gateway", b"home"),))
    assert (lost.session_id, lost.tenant_id) == ("s1", "tenant_home")


def test_the_governance_toolkits_times_and_hashed_arguments_are_understood(sample):
    (call,) = sample("agent_governance", 0)
    assert call.time.isoformat() == "2026-11-24T22:07:16.939402+00:00"
    assert call.decision.policy_ids == ("invoice-readers",)
    (blocked,) = sample("agent_governance", 1)
    assert (blocked.decision.effect, "arguments_hashed" in blocked.features_missing) == ("deny", True)
    (plain,) = sample("agent_governance", 2)
    assert (plain.envelope.session_id, plain.action.arguments) == ("s-3", {"path": "/tmp/x"})
    assert sample("agent_governance", 3) == []


def test_a_cloudevent_adds_what_the_record_inside_does_not_say(sample):
    (event,) = sample("cloudevents", 1)
    assert (event.id, event.envelope.session_id) == ("evt-2", "s-1")
    assert event.time.isoformat() == "2026-11-24T22:07:17+00:00"


def test_a_binary_cloudevent_has_its_attributes_in_the_headers(make_reader, decisions, samples):
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"evt-9"), ("ce_source", b"//gw/eu-1"), ("ce_type", b"t"),
               ("ce_time", b"2026-11-24T22:07:16Z"), ("ce_sessionid", b"s-7"), ("ce_partitionkey", b"tenant_acme"),
               ("content-type", b"application/json")]  # fmt: skip
    body = {"subject": {"type": "user", "id": "alice"}, "action": {"name": "can_read"}, "resource": {"id": "x"},
            "decision": True}  # fmt: skip
    (event,) = decisions(make_reader("cloudevents"), body, headers=tuple(headers))
    assert (event.id, event.gateway, event.envelope.session_id) == ("evt-9", "//gw/eu-1", "s-7")


@pytest.mark.parametrize(
    ("inside", "session"),
    [({"conversation_id": "c-1"}, "c-1"), ({"trace_id": TRACE}, TRACE), ({"agent": "bot"}, "window:bot|alice")],
)
def test_a_key_that_shares_events_out_to_partitions_names_no_session(inside, session, make_reader, decisions):
    """Often it is the tenant, all of whose sessions would be one."""
    data = {"subject": {"type": "user", "id": "alice"}, "action": {"name": "can_read"}, "resource": {"id": "x"},
            "context": inside, "decision": True}  # fmt: skip
    event = {"specversion": "1.0", "id": "e", "source": "gw", "type": "t", "time": TICK, "partitionkey": "acme",
             "data": data}  # fmt: skip
    (call,) = decisions(make_reader("cloudevents"), event)
    assert call.envelope.session_id == session


def test_with_cloudevents_configured_what_is_none_is_refused(make_reader, told, samples):
    (refused,) = told(make_reader("cloudevents"), samples("guardian")[0])
    assert isinstance(refused, DecodeError)
    assert "expected a CloudEvent" in refused.reason


def test_mixed_formats_on_one_topic_are_told_apart_record_by_record(make_reader, samples, told, now):
    reader = make_reader("auto")
    for name in ("opa", "authzen", "guardian", "agentgateway", "envoy", "otel", "permit", "agent_governance"):
        for each in told(reader, samples(name)[0], headers=(("gateway", b"home"),), timestamp=now):
            assert not isinstance(each, DecodeError)
            assert each.event.origin is None if name == "guardian" else each.event.origin.format == name


@pytest.mark.parametrize("part", ["request", "message"])
@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"subject": {"id": "u"}},
        {"start_time": TICK, "response_code": 200},
        {"gateway": "g", "route": "r", "http.status": 200},
    ],
    ids=["AuthZEN inside", "AuthZEN", "Envoy", "agentgateway"],
)
@pytest.mark.parametrize("held", [dict, json.dumps, lambda message: [message]], ids=["alone", "text", "batch"])
def test_a_line_that_holds_a_message_is_mcps_whatever_keys_it_has_beside_it(
    held, beside, part, make_reader, decisions
):
    message = {"JsonRpc": "2.0", "subject": {}, **{name: said for name, said in PAYS.items() if name != "jsonrpc"}}
    line = {**beside, part: held(message), "session_id": "s", "decision": True, "timestamp": TICK}
    (call,) = decisions(make_reader("auto"), line, headers=(("gateway", b"home"),))
    assert (call.origin.format, call.action.tool, call.key.session_id) == ("mcp", "pay", "s")


@pytest.mark.parametrize("held", [dict, json.dumps, lambda message: [message]], ids=["alone", "text", "batch"])
def test_a_whole_question_of_authzens_is_one_whatever_message_stands_beside_it(held, make_reader, decisions):
    asked = {
        "subject": {"type": "user", "id": "maya"},
        "action": {"name": "read"},
        "resource": {"type": "t", "id": "i"},
    }
    line = {**asked, "decision": True, "time": TICK, "message": held(PAYS)}
    (call,) = decisions(make_reader("auto"), line, headers=(("gateway", b"home"),))
    assert (call.origin.format, call.action.tool) == ("authzen", "read")


def test_the_header_names_the_format_before_the_content_does(make_reader, decisions):
    body = {
        "tool": "crm.read",
        "decision": "allow",
        "time": "2026-11-24T22:07:16Z",
        "session": "s",
        "gateway": "g",
    }
    (event,) = decisions(make_reader("auto"), body, headers=(("guardian-format", b"mapping"),))
    assert event.origin.format == "mapping"


def test_a_record_of_no_known_format_is_refused_with_the_kind_of_it(make_reader, told):
    (refused,) = told(make_reader("auto"), {"hello": 1, "session_id": "s-4"})
    assert refused.code == "unknown_format"
    assert refused.reason.endswith("; got an object")
    assert (refused.tenant_id, refused.session_id) == ("tenant_home", "s-4")


def test_one_bad_entry_of_a_batch_leaves_the_others_readable(make_reader, told):
    good = {"decision_id": "d", "labels": {"id": "b"}, "input": {"tool": "x", "session": "s"}, "result": True,
            "timestamp": "2026-11-24T22:07:19Z"}  # fmt: skip
    bad = {**good, "decision_id": "e", "result": 7}
    first, refused, last = told(make_reader("opa"), [good, bad, {**good, "decision_id": "f"}])
    assert isinstance(refused, DecodeError)
    assert refused.reason.startswith("result: expected true, false or a word such as ALLOW or DENY, got a number")
    assert (first.event.id, last.event.id) == ("d", "f")


LINE = {"id": "d", "tool": "crm.read", "decision": True, "session": "s", "gateway": "g", "agent": "a",
        "time": "2026-05-12T17:00:00Z", "arguments": {"n": "HERE"}}  # fmt: skip


def lines(*ids, broken=()):
    told = [json.dumps({**LINE, "id": name}).encode() for name in ids]
    return b"\n".join(
        broken[0](line) if name in broken[1:] else line for name, line in zip(ids, told, strict=True)
    )


def found(told):
    return [each.code if isinstance(each, DecodeError) else each.event.id for each in told]


@pytest.mark.parametrize("which", ["a", "b", "c"])
@pytest.mark.parametrize(
    ("breaks", "code"),
    [(lambda line: line[:-3], "not_json"), (lambda line: line[:-1] + b',"id":"x"}', "ambiguous")],
)
def test_a_line_that_cannot_be_read_costs_that_line_alone(make_reader, told, which, breaks, code):
    value = lines("a", "b", "c", broken=(breaks, which))
    expected = [code if name == which else name for name in "abc"]
    if (which, code) == ("a", "not_json"):
        return  # what begins with no whole value is taken for one broken value
    assert found(told(make_reader("mapping"), value)) == expected


def test_every_member_of_a_gzip_is_read(make_reader, told):
    whole = gzip.compress(lines("a", "b") + b"\n") + gzip.compress(lines("c"))
    assert found(told(make_reader("mapping"), whole)) == ["a", "b", "c"]
    for rest, code in ((whole[:-4], "not_json"), (whole + b"x", "not_json"), (whole + b"\0\0", None)):
        assert found(told(make_reader("mapping"), rest)) == ([code] if code else ["a", "b", "c"])


def test_a_line_of_which_only_arguments_cannot_be_read_is_told_by_the_rest(make_reader, told):
    broken = (lambda line: line.replace(b'"HERE"', b"9" * 30), "a")
    told = told(make_reader("mapping"), lines("a", "b", broken=broken))
    assert found(told) == ["a", "b"]
    assert [each.unread is not None for each in told] == [True, False]


def test_who_sent_what_cannot_be_read_is_told_where_the_log_says_it(make_reader, told):
    body = {**LINE, "decision": 7}
    (refused,) = told(make_reader("mapping"), body)
    assert (refused.gateway, refused.session_id) == ("g", "s")


def test_white_space_before_a_value_makes_it_no_other_format(make_reader, told):
    assert found(told(make_reader("agentgateway"), b"\n [1]")) == ["invalid"]


@pytest.mark.parametrize("name", ["a\x00b", "s" * 600])
@pytest.mark.parametrize("format_", ["mapping", "authzen", "opa", "mcp"])
def test_what_cannot_be_read_is_told_of_the_hash_of_a_name_that_no_event_can_hold(
    name, format_, make_reader, told
):
    hashed = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    whose = {"session_id": name, "tenant_id": "acme"}
    line = {
        "mapping": {**LINE, "session": None, "who": {"sid": name}, "decision": 7},
        "authzen": {"subject": {"id": "u"}, "action": {"name": "x"}, "resource": {}, "decision": 7,
                    "context": {"session": {"id": name}}},
        "opa": {"decision_id": "d", "input": {"tool": "x", **whose}, "result": 7},
        "mcp": {**whose, "method": "tools/call", "params": {"name": "x"}, "timestamp": "soon"},
    }[format_]  # fmt: skip
    fields = {"tool": "tool", "decision": "decision", "session": "who.sid"}
    options = {"fields": fields} if format_ == "mapping" else {}
    (refused,) = told(make_reader(format_, Completion(gateway="g", tenant="acme"), **options), line)
    assert (refused.code, refused.session_id, refused.gateway) == ("invalid", hashed, "g")


def test_an_envelope_whose_session_no_event_can_hold_is_refused_and_told_of_its_hash(make_reader, told):
    envelope = {"session_id": "s" * 600, "delegator_id": "u", "tenant_id": "t"}
    (refused,) = told(make_reader("mapping"), {**LINE, "session": None, "agent": None, "envelope": envelope})
    assert (refused.code, refused.session_id) == ("invalid", f"sha256:{hashlib.sha256(b's' * 600).hexdigest()}")


@pytest.mark.parametrize(
    ("completion", "code", "hint"),
    [
        (Completion(tenant="t"), "no_gateway", "source.gateway"),
        (Completion(gateway="g"), "no_tenant", "source.tenant"),
        (Completion(gateway="g", tenant="t", session=("token",)), "no_session", "token"),
    ],
)
def test_what_nobody_says_is_refused_with_the_setting_that_can_say_it(completion, code, hint, make_reader, told):
    body = {"tool": "x", "decision": True, "time": "2026-11-24T22:07:19Z", "session": "s"}
    (refused,) = told(make_reader("mapping", completion), body)
    assert refused.code == code
    assert hint in refused.reason


def test_a_gateway_that_serves_one_tenant_says_whose_log_it_is(make_reader, decisions):
    body = {"tool": "x", "decision": True, "time": 1764022036, "session": "s"}
    (event,) = decisions(make_reader("mapping", Completion(gateway="g", tenants={"g": "acme"})), body)
    assert event.envelope.tenant_id == "acme"


def test_a_session_goes_by_the_first_name_of_the_documented_order(make_reader, decisions):
    body = {"tool": "x", "decision": True, "time": 1764022036, "gateway": "g"}
    ways = {"session": "s", "token": "jti", "conversation": "c", "trace": "t", "agent": "a"}
    expected = ["s", "jti", "c", "t", "window:a|-"]
    for name in expected:
        (event,) = decisions(make_reader("mapping"), {**body, **ways})
        assert event.envelope.session_id == name
        ways.pop(next(iter(ways)))


@pytest.mark.parametrize("odd", ["x" * 600, "a\tb"])
def test_a_name_that_no_event_can_hold_names_a_session_by_its_hash(odd, make_reader, decisions):
    """Passed over it would put all of an agent's sessions together, under a name that no gateway asks for."""
    line = {
        "start_time": "2026-05-12T17:04:11Z", "response_code": 200, "mcp.tool.name": "crm.export",
        "mcp.session.id": odd, "traceparent": f"00-{'4b' * 16}-00f067aa0ba902b7-01",
    }  # fmt: skip
    (event,) = decisions(make_reader("envoy", Completion(gateway="g", tenant="acme")), line)
    hashed = f"sha256:{hashlib.sha256(odd.encode()).hexdigest()}"
    assert (event.envelope.session_id, event.origin.session_from) == (hashed, "gateway")
    assert "session_id" not in event.features_missing


def test_a_name_that_cannot_be_read_hides_no_call(make_reader, told):
    """It may come out of a header that an agent sets: the next name that the log has for the session counts."""
    line = {
        "start_time": "2026-05-12T17:04:11Z", "response_code": 200, "mcp.tool.name": "crm.export",
        "mcp.session.id": "\ud800", "traceparent": f"00-{'4b' * 16}-00f067aa0ba902b7-01",
    }  # fmt: skip
    reader = make_reader("envoy", Completion(gateway="g", tenant="acme"))
    (found,) = told(reader, line)
    assert (found.event.envelope.session_id, found.event.origin.session_from) == ("4b" * 16, "trace")
    nobodys = {**line, "traceparent": "-"}
    for status, code in ((200, "no_session"), (403, "nobody")):
        (refused,) = told(reader, {**nobodys, "response_code": status})
        assert (refused.code, refused.session_id) == (code, None)
    (refused,) = told(make_reader("envoy", dataclasses.replace(reader.completion, session=("gateway",))), line)
    assert refused.code == "no_session"


def test_two_pairs_of_agent_and_user_never_make_one_session(make_reader, decisions):
    body = {"tool": "x", "decision": True, "time": 1764022036, "gateway": "g"}
    names = [
        decisions(make_reader("mapping"), {**body, "agent": agent, "delegator": user})[0].envelope.session_id
        for agent, user in (("a|b", "c"), ("a", "b|c"), ("a%7Cb", "c"))
    ]
    assert len(set(names)) == 3


def test_a_mapping_whose_when_fails_on_other_formats_records_hides_none_of_them(decisions):
    mapped = Mapped(fields={"tool": "tool", "decision": "verdict"}, when="starts_with(event, 'tool')")
    formats = {
        "mapping": mapped,
        **{name: each for name, each in formats_of("auto", {}).items() if name != "mapping"},
    }
    body = {
        "path": "mcp/authz",
        "input": {"tool": "crm.read", "session_id": "s"},
        "result": True,
        "decision_id": "1",
    }
    said = {"timestamp": "2026-05-12T17:04:11Z", "labels": {"app": "g"}}
    (call,) = decisions(Reader(formats, Completion(tenant="acme")), body | said)
    assert call.origin.format == "opa"


def test_a_mapping_says_which_line_is_wrong_before_anything_is_read(make_reader):
    for options, reason in (
        ({"fields": {"tool": "t", "decision": "d", "colour": "c"}}, "fields.colour: no such fact"),
        ({"fields": {"tool": "t"}}, "fields.decision is missing"),
        ({"fields": {"tool": "t[", "decision": "d"}}, "fields.tool: 't[' is no JMESPath"),
        ({"when": "a =="}, "when: 'a ==' is no JMESPath"),
        ({"when": "uper(a) == 'x'"}, "when: \"uper(a) == 'x'\": there is no function uper; known: abs, "),
        ({"when": "a || [?to_string(n, m) == '1']"}, "to_string takes 1, not 2"),
        ({"when": "starts_with(a)"}, "starts_with takes 2, not 1"),
        ({"when": "merge()"}, "merge takes 1 or more, not 0"),
        ({"when": 'event == "tool_call"'}, """"tool_call" is a field's name; a text is 'tool_call', and if the"""),
        ({"when": '!(m != "tools/call") && b'}, """if the field is meant: @."tools/call\""""),
        ({"when": 'a && contains(tags, "call")'}, """"call" is a field's name; a text is 'call', and if the"""),
        ({"when": '[?starts_with(m, "tools/")]'}, """if the field is meant: @."tools/\""""),
        ({"allow": ("passed", "logged"), "deny": ("logged",)}, "'logged' is in allow and in deny"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make_reader("mapping", **options)
        assert reason in str(caught.value)


@pytest.mark.parametrize(
    "when",
    [
        "event == 'call'",
        "'call' == \"event\"",
        "\"event\" == 'call'",
        'event == @."what kind"',
        'event == "what"."kind"',
        'event == "kinds"[0]',
        'event == `"call"`',
        'contains(kinds, @."event") && contains("kinds", event) && starts_with("event", \'call\')',
        '(event) && [event, "event"] && contains([no, "event"], event)',
        'contains([event], not_null(no, "event"))',
        "contains(['call'], event) && not_null(none, no, event) && merge(@, {a: 'b'}).a == 'b'",
        "sort_by(items, &n)[0].n == `1`",
    ],
)
def test_expressions_that_say_what_they_mean_are_taken(when, make_reader, decisions):
    body = {"event": "call", "what kind": "call", "what": {"kind": "call"}, "kinds": ["call"],
            "items": [{"n": 2}, {"n": 1}]}  # fmt: skip
    known = {"tool": "x", "decision": True, "time": TICK, "session": "s", "gateway": "g"}
    assert len(decisions(make_reader("mapping", when=when), body | known)) == 1


def test_a_mapping_takes_its_own_words_for_decisions_and_skips_what_is_no_call(make_reader, decisions, told):
    options = {
        "when": "event == 'call'", "allow": ("passed",), "deny": ("stopped",),
        "fields": {"tool": "what.name", "decision": "verdict", "time": "ts", "session": "who[0]",
                   "arguments": "what.in"},
    }  # fmt: skip
    reader = make_reader("mapping", Completion(gateway="g", tenant="t"), **options)
    body = {
        "event": "call",
        "what": {"name": "a__b", "in": [1]},
        "verdict": "passed",
        "ts": 1764022036,
        "who": ["s"],
    }
    (event,) = decisions(reader, body)
    assert (event.action.tool, event.action.arguments, event.decision.effect) == ("a__b", {"value": [1]}, "allow")
    assert decisions(reader, {**body, "event": "ping"}) == []
    (refused,) = told(reader, {**body, "verdict": "hm"})
    assert refused.reason.startswith("decision (verdict): expected")


def test_many_small_members_of_a_gzip_take_no_longer_than_their_bytes(make_reader, told):
    """A time that grew with the square of the members would end no test run."""
    whole = gzip.compress(b"") * 200_000 + gzip.compress(lines("a"))
    assert found(told(make_reader("mapping"), whole)) == ["a"]


def test_calls_of_batches_without_an_id_are_calls_of_their_own(make_reader, told):
    result = {"request": {"action": {"actionId": "read"}, "principal": {"entityType": "User", "entityId": "maya"}}}
    batch = {
        "eventSource": "verifiedpermissions.amazonaws.com", "eventName": "BatchIsAuthorized",
        "eventTime": "2026-11-24T22:08:00Z", "requestParameters": {"policyStoreId": "p"},
        "additionalEventData": {"results": [{**result, "decision": "ALLOW"}] * 2},
    }  # fmt: skip
    reader = make_reader("verified_permissions")
    found = [each.event.id for offset in (0, 1) for each in told(reader, batch, offset=offset)]
    assert len(set(found)) == 4
    named = told(reader, {**batch, "eventID": "e1"})
    assert [each.event.id for each in named] == ["e1/0", "e1/1"]


def test_control_tests_the_monitor_on_a_topic_of_any_format(make_reader, names, told, samples):
    body = {**json.loads(samples("guardian")[0]), "gateway": "self-test"}
    for name in names:
        if name != "guardian":
            (each,) = told(make_reader(name, Completion(planted=frozenset({"self-test"}))), body)
            assert each.event.gateway == "self-test", name
    for gateway in ("edge-1", ["self-test"]):
        (refused,) = told(make_reader("cloudevents", Completion()), {**body, "gateway": gateway})
        assert refused.code == "unknown_format"


def test_in_the_log_of_one_gateway_nobody_speaks_as_another(make_reader, told, samples):
    body = json.loads(samples("guardian")[0])
    pinned = Completion(gateway="edge-1", planted=frozenset({"self-test"}))
    for name in ("edge-1", "self-test"):
        (each,) = told(make_reader("mcp", pinned), {**body, "gateway": name})
        assert each.event.gateway == name
    (refused,) = told(make_reader("mcp", pinned), {**body, "gateway": "edge-2"})
    assert (refused.code, refused.gateway) == ("gateway_not_entitled", "edge-1")
    assert (refused.tenant_id, refused.session_id) == (
        body["envelope"]["tenant_id"],
        body["envelope"]["session_id"],
    )
    (each,) = told(make_reader("mcp"), {**body, "gateway": "edge-2"})
    assert each.event.gateway == "edge-2"
