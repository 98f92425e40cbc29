"""What a gateway asked OPA: AuthZEN's shape, an MCP message, Envoy's ext_authz with such a body, or plain names.

Where the message, with its `jsonrpc`, is the whole input, what stands beside its method and params is the agent's
own, and identifies nobody; without `jsonrpc` the gateway put the input together. What a message claims is read as
in MCP's own log. The agent also chooses how a body is written: one that Envoy's plugin did not parse, or cut off,
and a batch are calls all the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from guardian.errors import DecodeError
from guardian.sources.authzen import sarc
from guardian.sources.facts import arguments_of, at, expected, first, mapping, over, text, tool_of
from guardian.sources.hostile import agents_own
from guardian.sources.http_bodies import hides_call, message_of
from guardian.sources.json_rpc import lower
from guardian.sources.lines import without_nulls
from guardian.sources.mcp import SESSION_HEADER, call_of, claims_of


def input_facts(told: Any, pointers: tuple[str, ...]) -> dict[str, Any] | None:
    """Facts from what the gateway asked; None where it did not ask about a tool call."""
    if not isinstance(told, Mapping):
        if told is None and any(each.rstrip("/") == "/input" for each in pointers):
            raise DecodeError(
                "invalid", "input: it was erased from the log as a whole; keep action and resource in it"
            )
        raise expected("input", "an object", told)
    if agents_own(told):
        return call_of(told, {})
    headers = lower(at(told, "attributes", "request", "http", "headers"))
    claims = claims_of(None, headers)
    if is_sarc(told):
        beside = _whose({name: value for name, value in told.items() if name != "subject"}, claims)
        user = first(told.get("user"), at(told, "user", "id"))
        asked = sarc(told, "input.", user=user, agent=beside["agent"])
        if asked is not None:
            found = over({"arguments": _arguments(told), **beside}, asked)
            verb = first(told["action"], at(told, "action", "name"))  # of a tool, where one is named beside it
            return found if verb == "tools/call" else found | without_nulls({"tool": _tool(told)})
    message = message_of(told)
    call = call_of(message, headers) if isinstance(message, Mapping) else None
    if call is not None:
        return _whose(told, call)
    if is_sarc(told):
        return None
    tool = _tool(told)
    if tool is not None:
        resource = told.get("resource")
        on = {"resource_type": text(at(resource, "type")), "resource_id": first(resource, at(resource, "id"))}
        return {"tool": tool, "arguments": _arguments(told), **on, **_whose(told, claims)}
    cut = told.get("truncated_body") is True or at(headers, "x-envoy-auth-partial-body") == "true"
    if cut and message is None:
        why = "input.parsed_body: Envoy cut it off; raise with_request_body.max_request_bytes of its ext_authz"
        return {"tool": "", "refused": DecodeError("too_large", why), **_whose(told, claims)}
    if hides_call(told):
        why = "input.attributes.request.http.body: it cannot be read as JSON, and may be a call"
        return {"tool": "", "refused": DecodeError("no_tool", why), **_whose(told, claims)}
    if message is not None or "attributes" in told:  # ext_authz about something else than a tool call
        return None
    if "tool" in told or "tool_name" in told:
        return {**tool_of(told.get("tool", told.get("tool_name")), "input.tool"), **_whose(told, claims)}
    raise expected("input", "AuthZEN's subject, action and resource, an MCP message, or a `tool`", told)


def is_sarc(told: Any) -> bool:
    """Whether it is AuthZEN's: without a subject, an input that names its tool has plain names."""
    if not isinstance(told, Mapping) or not isinstance(told.get("action"), (Mapping, str)):
        return False
    return "resource" in told and ("subject" in told or _tool(told) is None)


def _tool(told: Mapping[str, Any]) -> str | None:
    return first(told.get("tool"), at(told, "tool", "name"), told.get("tool_name"))


def _arguments(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    passed = ("arguments", "args", "params", "parameters")
    return arguments_of(next((told[name] for name in passed if name in told), None))


def messages_of(body: Mapping[str, Any], messages: list[Any]) -> Iterator[dict[str, Any]]:
    """One entry for each message of a batch."""
    told = {name: value for name, value in body["input"].items() if name not in ("attributes", "request")}
    http = {"headers": at(body, "input", "attributes", "request", "http", "headers")}
    own = text(body.get("decision_id"))
    for number, message in enumerate(messages):
        asked = {**told, "parsed_body": message, "attributes": {"request": {"http": http}}}
        yield {**body, "decision_id": f"{own}/{number}" if own else None, "input": asked}


def _whose(told: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
    """A client's claims, and over them the gateway's word. A session that is claimed stands in the headers; that
    of an envelope is another thing than a connection's there, and comes before it."""
    enveloped = at(told, "envelope", "session_id") or at(told, "context", "envelope", "session_id")
    return over(claims, names_of(told, checked=claims["session"] is None and not enveloped))


def names_of(told: Mapping[str, Any], *, checked: bool) -> dict[str, Any]:
    """Whose the call is by the gateway's word. `checked`: whether a server looks at the session in the headers."""
    headers = at(told, "attributes", "request", "http", "headers") if checked else None
    context = told.get("context") if isinstance(told.get("context"), Mapping) else {}
    return {
        "delegator": first(told.get("user"), at(told, "user", "id"), at(told, "subject", "id"),
                           at(told, "token", "sub")),
        "agent": first(told.get("agent"), at(told, "agent", "id"), told.get("client_id"),
                       at(told, "token", "client_id")),
        "session": first(told.get("session_id"), told.get("session"), at(told, "session", "id"),
                         at(headers, SESSION_HEADER), at(context, "session_id"), at(context, "session"),
                         at(context, "session", "id")),
        "token": first(at(told, "token", "sid"), at(told, "token", "jti")),
        "tenant": first(told.get("tenant_id"), told.get("tenant")),
        "purpose": first(told.get("purpose"), at(context, "purpose")),
        "envelope": mapping(told.get("envelope"), "input.envelope"),
        "envelope_jws": text(told.get("envelope_jws")),
        "server": first(told.get("server"), at(told, "tool", "server")),
    }  # fmt: skip
