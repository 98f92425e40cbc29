"""MCP traffic: JSON-RPC `tools/call` requests as a proxy logs them, with or without what came back.

Source: Model Context Protocol, revisions 2025-11-25 and 2026-07-28 (which has no protocol sessions; client and
trace travel in `_meta`). Taken are the bare request, and log lines that hold it as `request` or `message`, beside
`response`, `timestamp`, `session_id`, `headers`, `user`, `agent`; there it may be text, and a batch is taken
apart. A bare request is the agent's own as a whole: what it says about session, tenant, user or decision does not
count, and what its client calls itself is the agent only where the line names none. Nor does a message's `id`
count, but to find its answer in that to a batch: a decision is known by the line's `request_id`, or by its place.
In a line, too, the client's name and trace are the agent's claim, and so is the header `mcp-session-id` of a
request by a revision without sessions, whose servers ignore it.
Other methods, and responses on their own, are no tool calls. A logged request counts as let through unless the
line has a `decision` (or `allowed`) that denies it, another word that does, an HTTP status of 401 or 403, or an
error code of a refusal. Where it has nothing that says either (no such word, no result, no status below 400
without an error; another error may be the gateway's or the server's) `decision` is missing. What came back may be
a message, text or an event stream that holds one, or an HTTP response with such a `body`.
-32001 is no refusal: the SDKs use it for a call that took too long, which may well have been done.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from guardian.domain.event import DecisionEvent
from guardian.errors import DecodeError
from guardian.sources.facts import (
    OF_TRAFFIC,
    Effect,
    Facts,
    arguments_of,
    at,
    effect_of,
    expected,
    first,
    moment,
    nameable,
    over,
    text,
    tool_of,
    trace_of,
)
from guardian.sources.hostile import agents_own
from guardian.sources.json_rpc import (
    HTTP,
    RESULT,
    answer_in,
    apart,
    is_message,
    lower,
    members,
    messages_of,
    parsed,
)
from guardian.sources.lines import delegator_of, line, without_nulls
from guardian.sources.port import Format
from guardian.sources.unread import SESSION_NAMES

METHODS = frozenset(
    {
        "initialize", "ping", "server/discover", "logging/setLevel", "completion/complete", "roots/list",
        "tools/list", "prompts/list", "prompts/get", "resources/list", "resources/templates/list",
        "resources/read", "resources/subscribe", "resources/unsubscribe", "subscriptions/listen",
        "sampling/createMessage", "elicitation/create",
        "tasks/get", "tasks/result", "tasks/list", "tasks/update", "tasks/cancel",
        "notifications/initialized", "notifications/cancelled", "notifications/progress",
        "notifications/roots/list_changed",
    }
)  # fmt: skip
"""The protocol's own methods beside `tools/call`, of every revision: none of them calls a tool."""
_HOLD = ("request", "message")
"""In a log line: what holds the message."""
_REFUSALS = (-32003, 401, 403)
_SAY_SO = (*HTTP, "http_status", "http.status_code", "allowed", "verdict", "outcome")
"""Under which names proxies write what became of a request, as a word or as an HTTP status."""
_PARTS = [
    (part, name) for part in ("authz", "authorization", "policy") for name in ("allowed", "decision", "effect")
]
"""Where they write it, as a word or as true or false, in an object of its own."""
_NOES = ("blocked", "denied")
"""What they call a refusal; that there was none does not say that it was let through."""
_CONVERSATION = "gen_ai.conversation.id"
SESSION_HEADER = "mcp-session-id"
_WITH_SESSIONS = "2025-11-25"
"""The last revision of the protocol that has any."""
_META = "io.modelcontextprotocol/"


@dataclass(frozen=True)
class McpTraffic(Format):
    title: ClassVar[str] = "MCP traffic logs: JSON-RPC tools/call requests, with or without their responses"
    carries: ClassVar[frozenset[str]] = OF_TRAFFIC

    def recognises(self, body: Any) -> bool:
        return isinstance(body, Mapping) and (agents_own(body) or bool(messages(body)))

    def entries(self, body: Any) -> Iterable[Any]:
        said = None if agents_own(body) else next(filter(messages_of, _held(body)), None)
        return _each(body, said) if isinstance(said, list) else (body,)

    def facts(self, entry: Any) -> Facts | None:
        request = entry if agents_own(entry) else next(filter(is_message, _held(entry)), None)
        if request is entry:
            entry = {}
        answer, headers = answer_in(entry.get("response")), lower(entry.get("headers"))
        call = _no_message(entry, headers) if request is None else call_of(request, headers)
        if call is None:
            return None
        effect, reason, masked = _decision(entry, answer)
        named = (entry.get(name) for name in SESSION_NAMES if name != _CONVERSATION)
        of_server = None if call["session"] else headers.get(SESSION_HEADER)
        call["trace"] = call["trace"] or trace_of(headers.get("traceparent"))
        if (agent := first(entry.get("agent"), entry.get("agent_id"), entry.get("client_id"))) is not None:
            call["agent"] = None
        told = {
            "agent": _client_name(agent),
            "session": first(*named, at(entry, "session", "id"), of_server),
            "trace": text(entry.get("trace_id")),
        }
        return Facts(
            **over(call, told),
            effect=effect,
            reason=reason,
            id=text(entry.get("request_id")),
            time=moment(first(entry.get("timestamp"), entry.get("time"), entry.get("ts")), "timestamp"),
            gateway=first(entry.get("gateway"), entry.get("proxy")),
            tenant=first(entry.get("tenant_id"), entry.get("tenant")),
            token=first(entry.get("sid"), entry.get("jti")),
            conversation=text(entry.get(_CONVERSATION)),
            delegator=first(entry.get("user"), at(entry, "user", "id"), entry.get("user_id"), entry.get("sub")),
            purpose=text(entry.get("purpose")),
            server=text(entry.get("server")),
            status=_status(answer),
            masked=masked,
        )

    def write(self, event: DecisionEvent) -> bytes:
        envelope, allowed = event.envelope, event.decision.effect == "allow"
        meta: dict[str, Any] = {_META + "protocolVersion": "2026-07-28"}
        if envelope.agent_id is not None:
            meta[_META + "clientInfo"] = {"name": envelope.agent_id}
        if event.trace_id is not None and len(event.trace_id) == 32:
            meta["traceparent"] = f"00-{event.trace_id}-00f067aa0ba902b7-01"
        request = {
            "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": event.action.tool, "arguments": event.action.arguments, "_meta": meta},
        }  # fmt: skip
        refusal = {"code": 403, "message": event.decision.reason}
        answer = {"result": {"isError": False, "content": []}} if allowed else {"error": refusal}
        body = {
            "timestamp": event.time.isoformat(), "request_id": event.id, "gateway": event.gateway,
            "tenant_id": envelope.tenant_id, "session_id": envelope.session_id,
            "user": delegator_of(envelope),
            "request": request, "response": {"jsonrpc": "2.0", "id": 7, **answer},
        }  # fmt: skip
        return line(without_nulls(body))


plugin = McpTraffic


def call_of(message: Mapping[str, Any], headers: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tool and arguments of a `tools/call` request, and whose it claims to be; None for any other message.
    `headers`: those of its HTTP request, in lower case. `refused` where it names no tool, or where it depends on
    the parser which one."""
    methods, params = members(message, "method"), members(message, "params")
    if "tools/call" not in methods:
        return None
    told = params[0] if params else None
    names, arguments = members(told, "name"), members(told, "arguments")
    tool = tool_of(names[0] if names else None, "params.name")
    if max(map(len, (methods, params, names, arguments))) > 1:
        tool["refused"] = DecodeError(
            "no_tool", "a member is there more than once, in capitals and in small letters"
        )
    passed = arguments_of(arguments[0] if arguments else None)
    return {**tool, "arguments": passed, **claims_of(at(told, "_meta"), headers)}


def claims_of(meta: Any, headers: Mapping[str, Any]) -> dict[str, Any]:
    """Whose a call is by its client's word. `meta`: its message's, None where that cannot be read. The header that
    names the revision goes before the message: every server checks it."""
    client = at(meta, _META + "clientInfo")
    revision = first(headers.get("mcp-protocol-version"), at(meta, _META + "protocolVersion"))
    unchecked = revision is not None and revision > _WITH_SESSIONS
    return {
        "agent": _client_name(at(client, "name")),
        "agent_version": text(at(client, "version")),
        "session": text(headers.get(SESSION_HEADER)) if unchecked else None,
        "trace": trace_of(at(meta, "traceparent")),
        "claimed": frozenset({"agent", "session", "trace"}),
    }


def _no_message(entry: Mapping[str, Any], headers: Mapping[str, Any]) -> dict[str, Any]:
    """A call that names no tool: what a line holds as its request is the agent's, who may send anything."""
    held = next((name for name in _HOLD if name in entry), "")
    why = expected(held or _HOLD[0], "a JSON-RPC message", entry.get(held))
    if not held:
        raise why
    return {"tool": "", "refused": DecodeError("no_tool", why.reason), **claims_of(None, headers)}


def _client_name(said: Any) -> str | None:
    """What the client calls itself, or its id, which OAuth lets be a URL of its own; None where that is no valid
    name, so that it cannot hide the call."""
    name = text(said)
    return name if name is not None and nameable(name) else None


def messages(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The JSON-RPC messages that a log line holds."""
    return [each for held in _held(entry) for each in messages_of(held)]


def _held(entry: Mapping[str, Any]) -> Iterator[Any]:
    return (parsed(entry.get(name)) for name in _HOLD)


def _each(entry: Mapping[str, Any], batch: list[Any]) -> Iterator[dict[str, Any]]:
    """One line for each message of a batch."""
    rest = {name: value for name, value in entry.items() if name not in _HOLD}
    own = text(entry.get("request_id"))
    for number, (message, response) in enumerate(apart(batch, entry.get("response"))):
        part = f"{own}/{number}" if own else None
        yield {**rest, "request_id": part, "request": message, "response": response}


def _decision(entry: Mapping[str, Any], answer: Any) -> tuple[Effect, str, tuple[str, ...]]:
    """Effect, reason, and `decision` where the line does not say it."""
    response, error = entry.get("response"), at(answer, "error")
    why = first(entry.get("reason"), at(error, "message")) or ""
    if (told := entry.get("decision")) is not None:
        return effect_of(told, "decision"), why, ()
    if isinstance(told := entry.get("allowed"), bool):
        return effect_of(told, "allowed"), why, ()
    said = {_said(entry.get(name)) for name in _SAY_SO} | {_word(at(entry, *part)) for part in _PARTS}
    said |= {"deny" for name in _NOES if _word(entry.get(name)) == "allow"}
    if at(response, "jsonrpc") is None:  # the proxy wrote it, and no server; but a word in it may be a tool's
        said |= {_by_status(at(response, name)) for name in HTTP}
    if "deny" in said or at(error, "code") in _REFUSALS:
        return "deny", why, ()
    answered = any(at(answer, name) is not None for name in RESULT) or ("sent" in said and answer != [])
    done = answered and _status(answer) != "error"  # over HTTP an error has status 200, a refusal's too
    return "allow", "", () if done or "allow" in said else ("decision",)


def _said(value: Any) -> Effect | Literal["sent"] | None:
    """What a word or an HTTP status says of the decision; None for nothing."""
    said = text(value)
    return _word(said) or ("sent" if said in ("ok", "OK") else _by_status(value))


def _word(value: Any) -> Effect | None:
    """What a word, or true or false, says of the decision."""
    with suppress(DecodeError):
        return effect_of(value, "")
    return None


def _by_status(value: Any) -> Literal["deny", "sent"] | None:
    """What an HTTP status says, a number or one in quotes; a good one only that something came back."""
    said = text(value)
    if said in ("401", "403"):
        return "deny"
    return "sent" if said is not None and re.fullmatch("[123][0-9][0-9]", said) else None


def _status(response: Any) -> str | None:
    if not isinstance(response, Mapping):
        return None
    failed = at(response, "result", "isError") is True or response.get("isError") is True
    return "error" if "error" in response or failed else "ok"
