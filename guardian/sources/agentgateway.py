"""agentgateway access logs of MCP tool calls, as JSON lines or as OTLP log records.

Source: agentgateway, telemetry and CEL documentation (1.4) and source: flat dotted keys, a `reason` where a
request was not let through; method and tool had other names before they had OpenTelemetry's. Lines are text unless
`config.logging.format` is json. Arguments, user and purpose are in the log only where the operator adds them as
attributes (README.md here, 'Three gateways'): `gen_ai.tool.call.arguments`, `user`, `purpose`, `tenant`,
`agent`, `jwt.sid`. A session's id is its state in base64 (http/sessionpersistence.rs): sealed where there is a
session key, else JSON of which any client can make another id for the same session. Without sessions each request
had a UUID for one, "and logging it as such is wrong" (pull request 2743, July 2026). Both are claims here.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.event import DecisionEvent
from guardian.sources.facts import (
    OF_TRAFFIC,
    Effect,
    Facts,
    arguments_of,
    expected,
    first,
    first_there,
    moment,
    text,
    tool_of,
)
from guardian.sources.lines import delegator_of, line, without_nulls
from guardian.sources.mcp import messages
from guardian.sources.otlp import from_protobuf, records_of, time_in
from guardian.sources.port import Format

_REFUSALS = frozenset(
    {
        "Authorization", "ExtAuth", "Guardrail", "JwtAuth", "Oidc", "BasicAuth", "APIKeyAuth", "ExtProc",
        "RateLimit", "Overload",
    }
)  # fmt: skip
_STATUSES = ("http.status", "http.response.status_code")
"""What it calls the status, in its own names and in OpenTelemetry's: its newer OTLP logs and `preset: otel`."""
_METHODS = ("mcp.method.name", "mcp.method")
_TOOLS = ("gen_ai.tool.name", "mcp.resource.name")
"""What it calls the method and the tool of a call now, and what it did."""
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MCP_REFUSALS = ("mcp: Unknown ", "mcp: mcpGuardrails rejected")
"""How the error begins where the reason is MCP, as for any failure of MCP's: a tool that a rule forbids is
deliberately called unknown, with status 400."""


@dataclass(frozen=True)
class AgentGateway(Format):
    title: ClassVar[str] = "agentgateway access logs (JSON lines, OTLP logs)"
    carries: ClassVar[frozenset[str]] = OF_TRAFFIC

    def recognises(self, body: Any) -> bool:
        if not isinstance(body, Mapping):
            return False
        if "resourceLogs" in body:
            return True
        if "gateway" not in body or "route" not in body:
            return False
        return _METHODS[0] in body or (any(name in body for name in _STATUSES) and not messages(body))

    def opens(self, value: bytes) -> Any | None:
        return from_protobuf(value, "logs")

    def entries(self, body: Any) -> Iterable[Any]:
        if not isinstance(body, Mapping) or "resourceLogs" not in body:
            return (body,)
        return [
            {
                "time": time_in(each, "timeUnixNano", "observedTimeUnixNano"),
                "trace.id": each["trace"],
                "span.id": each["span"],
                "scope": each["scope"],
                **each["attributes"],
            }
            for each in records_of(body, "logs")
        ]

    def facts(self, entry: Any) -> Facts | None:
        method = first_there(*map(entry.get, _METHODS))
        if method is None and "gen_ai.tool.name" not in entry:
            if "gateway" not in entry and "scope" not in entry:  # it has other lines too, and so has OTLP
                raise expected("gateway", "a string, as in every agentgateway access log", entry.get("gateway"))
            return None
        if method is not None and method != "tools/call":
            return None
        effect, why = _decision(entry)
        trace, span = text(entry.get("trace.id")), text(entry.get("span.id"))
        session = text(entry.get("mcp.session.id"))
        failed = entry.get("error") is not None or entry.get("mcp.error.code") is not None
        return Facts(
            **tool_of(first_there(*map(entry.get, _TOOLS)), _TOOLS[0]),
            effect=effect,
            reason=why,
            id=first(entry.get("request.id"), f"{trace}:{span}" if trace and span else None),
            time=moment(first(entry.get("time"), entry.get("timestamp"), entry.get("ts")), "time"),
            gateway=text(entry.get("gateway")),
            tenant=first(entry.get("tenant"), entry.get("jwt.tenant")),
            session=session,
            token=first(entry.get("jwt.sid"), entry.get("jwt.jti")),
            trace=trace,
            # it goes on with the trace of the client's header
            claimed=frozenset({"trace"} if _sealed(session) else {"trace", "session"}),
            delegator=first(entry.get("user"), entry.get("jwt.sub")),
            agent=first(entry.get("agent"), entry.get("jwt.client_id"), entry.get("src.identity")),
            purpose=first(entry.get("purpose"), entry.get("jwt.purpose")),
            arguments=arguments_of(entry.get("gen_ai.tool.call.arguments")),
            server=text(entry.get("mcp.target")),
            route=text(entry.get("route")),
            status="error" if failed else "ok" if effect == "allow" else None,
        )

    def write(self, event: DecisionEvent) -> bytes:
        envelope, action, allowed = event.envelope, event.action, event.decision.effect == "allow"
        server, _, tool = action.tool.partition(".")
        body: dict[str, Any] = {
            "time": event.time.isoformat(), "level": "info", "scope": "request", "gateway": event.gateway,
            "listener": "mcp", "route": "default/mcp", "http.method": "POST", "http.path": "/mcp",
            "http.status": 200 if allowed else 403, "protocol": "mcp", "mcp.method.name": "tools/call",
            "mcp.target": server if tool else None, "mcp.resource.type": "tool",
            "gen_ai.tool.name": tool or server,
            "mcp.session.id": envelope.session_id, "trace.id": event.trace_id, "request.id": event.id,
            "jwt.sub": delegator_of(envelope),
            "agent": envelope.agent_id, "tenant": envelope.tenant_id,
            "gen_ai.tool.call.arguments": action.arguments, "reason": None if allowed else "Authorization",
            "error": None if allowed else event.decision.reason or None, "duration": "3ms",
        }  # fmt: skip
        return line(without_nulls(body))


plugin = AgentGateway


def _sealed(session: str | None) -> bool:
    """Whether it may be an id that agentgateway alone can make, and that comes again. JSON in base64 it takes from
    anybody, also with more in it that it passes over: bytes that are no text, numbers without end."""
    if session is None or _UUID.fullmatch(session):
        return False
    plain = session.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        state = base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8", "replace")
        return not isinstance(json.loads(state, parse_int=str, parse_float=str), (dict, list))
    except ValueError:
        return True
    except RecursionError:
        return False


def _decision(entry: Mapping[str, Any]) -> tuple[Effect, str]:
    reason, status = text(entry.get("reason")), first(*map(entry.get, _STATUSES))
    hidden = reason == "MCP" and (text(entry.get("error")) or "").startswith(_MCP_REFUSALS)
    if hidden or reason in _REFUSALS or (reason is None and status in ("401", "403")):
        return "deny", first(entry.get("error"), entry.get("mcp.error.message"), reason) or ""
    return "allow", ""
