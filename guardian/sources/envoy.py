"""Envoy JSON access logs with the MCP fields of Envoy AI Gateway.

Source: Envoy AI Gateway 1.1, access log configuration. Every key is the operator's to choose: `fields` says which
key of the log holds which fact; the defaults are the project's own names, also those that it documented first. A
call that RBAC, ext_authz or a rate limit of Envoy's refused is a deny; a 401, 403 or 429 that came from the
upstream is not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from guardian.domain.event import DecisionEvent
from guardian.errors import ConfigurationError
from guardian.sources.facts import (
    OF_TRAFFIC,
    Effect,
    Facts,
    arguments_of,
    expected,
    moment,
    text,
    tool_of,
    trace_of,
)
from guardian.sources.lines import delegator_of, line, without_nulls
from guardian.sources.mcp import messages
from guardian.sources.port import Format

FIELDS: Mapping[str, str] = {
    "tool": "mcp.tool.name", "method": "mcp.method.name", "session": "mcp.session.id",
    "conversation": "session.id", "arguments": "mcp.tool.arguments",
    "server": "mcp.provider.name", "time": "start_time", "id": "x-request-id", "status": "response_code",
    "details": "response_code_details", "flags": "response_flags", "gateway": "gateway", "route": "route_name",
    "tenant": "tenant", "delegator": "user", "agent": "agent", "purpose": "purpose",
    "traceparent": "traceparent", "token": "jwt.sid",
}  # fmt: skip
_EARLIER: Mapping[str, str] = {
    "tool": "mcp_tool_name", "method": "mcp_method", "session": "mcp_session_id", "server": "mcp_backend",
}  # fmt: skip
_REFUSALS = re.compile("rbac_access_denied|ext_authz_denied|rate_limited|rate_limiter_error")
_REFUSAL_FLAGS = re.compile(r"\b(?:UAEX|RL|RLSE)\b")


@dataclass(frozen=True)
class Envoy(Format):
    """Options: `fields`, the log's key for each fact where it is not the default, such as `{tool: mcp_tool}`."""

    title: ClassVar[str] = "Envoy JSON access logs with Envoy AI Gateway's MCP fields"
    carries: ClassVar[frozenset[str]] = OF_TRAFFIC

    fields: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.fields) - set(FIELDS))
        if unknown:
            raise ConfigurationError(f"fields.{unknown[0]}: no such fact; known ones: {', '.join(FIELDS)}")

    @cached_property
    def _keys(self) -> Mapping[str, str]:
        return {**FIELDS, **self.fields}

    def recognises(self, body: Any) -> bool:
        keys = self._keys
        if not isinstance(body, Mapping) or keys["status"] not in body:
            return False
        return keys["tool"] in body or (keys["time"] in body and not messages(body))

    def facts(self, entry: Any) -> Facts | None:
        keys = self._keys
        said = {fact: _said(entry.get(key)) for fact, key in keys.items()}
        for fact, key in _EARLIER.items():
            if fact not in self.fields and said[fact] is None:
                said[fact] = _said(entry.get(key))
        if said["tool"] is None and said["method"] != "tools/call":
            if keys["status"] not in entry:
                raise expected(keys["status"], "an HTTP status, as in every access log", None)
            return None
        if said["method"] not in (None, "tools/call"):
            return None
        effect, why = _decision(said)
        return Facts(
            **tool_of(said["tool"], keys["tool"]),
            effect=effect,
            reason=why,
            id=text(said["id"]),
            time=moment(said["time"], keys["time"]),
            gateway=text(said["gateway"]),
            tenant=text(said["tenant"]),
            session=text(said["session"]),
            token=text(said["token"]),
            conversation=text(said["conversation"]),
            trace=trace_of(said["traceparent"]),
            # Envoy goes on with the client's trace, and AI Gateway takes `session.id` from its message or headers
            claimed=frozenset({"conversation", "trace"} - self.fields.keys()),
            delegator=text(said["delegator"]),
            agent=text(said["agent"]),
            purpose=text(said["purpose"]),
            arguments=arguments_of(said["arguments"]),
            server=text(said["server"]),
            route=text(said["route"]),
            status=text(said["status"]),
        )

    def write(self, event: DecisionEvent) -> bytes:
        envelope, action, allowed = event.envelope, event.action, event.decision.effect == "allow"
        server, _, tool = action.tool.partition(".")
        trace, why = event.trace_id, event.decision.reason
        said: dict[str, Any] = {
            "tool": tool or server, "server": server if tool else None, "method": "tools/call",
            "session": envelope.session_id, "time": event.time.isoformat(), "id": event.id,
            "status": 200 if allowed else 403, "gateway": event.gateway, "tenant": envelope.tenant_id,
            "delegator": delegator_of(envelope),
            "agent": envelope.agent_id, "arguments": action.arguments,
            "details": "via_upstream" if allowed else f"rbac_access_denied_matched_policy[{why}]",
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01" if trace is not None and len(trace) == 32 else None,
        }  # fmt: skip
        keys = self._keys
        body = {keys[fact]: value for fact, value in without_nulls(said).items()}
        return line({**body, "method": "POST", "duration": 3})


plugin = Envoy


def _said(value: Any) -> Any:
    """Envoy writes "-" for what it does not know."""
    return None if value in ("-", "") else value


def _decision(said: Mapping[str, Any]) -> tuple[Effect, str]:
    details, flags, status = (str(said[name] or "") for name in ("details", "flags", "status"))
    refused = _REFUSALS.search(details) or _REFUSAL_FLAGS.search(flags)
    if refused or (status in ("401", "403") and details != "via_upstream"):
        return "deny", details
    return "allow", ""
