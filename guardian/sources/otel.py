"""OpenTelemetry GenAI: `execute_tool` spans, and MCP client or server spans of `tools/call`, in OTLP JSON or
protobuf.

Source: OpenTelemetry semantic conventions for generative AI (development status): operation, tool name, call id,
conversation, agent; arguments and result are opt-in and may be JSON within a string. Spans say what was done, not
what was decided: an error type of a refusal is a deny, anything else was let through. `guardian.*` attributes, or
`enduser.id` and `tenant.id`, are read where somebody sets them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.event import DecisionEvent
from guardian.sources.facts import (
    OF_TRAFFIC,
    Effect,
    Facts,
    arguments_of,
    effect_of,
    expected,
    first,
    moment,
    need,
    text,
)
from guardian.sources.lines import delegator_of, line
from guardian.sources.otlp import from_protobuf, records_of
from guardian.sources.port import Format

_REFUSED = frozenset(
    {
        "permission_denied", "access_denied", "forbidden", "unauthorized", "authorization_denied", "guardrail",
        "403", "401",
    }
)  # fmt: skip
_ERROR = 2


@dataclass(frozen=True)
class OtelGenAi(Format):
    title: ClassVar[str] = "OpenTelemetry GenAI execute_tool spans (OTLP JSON or protobuf)"
    carries: ClassVar[frozenset[str]] = OF_TRAFFIC

    def recognises(self, body: Any) -> bool:
        return isinstance(body, Mapping) and "resourceSpans" in body

    def opens(self, value: bytes) -> Any | None:
        body = from_protobuf(value)
        return body if body is not None and "resourceSpans" in body else None

    def entries(self, body: Any) -> Iterable[Any]:
        if not isinstance(body, Mapping) or not isinstance(body.get("resourceSpans"), list):
            raise expected(
                "resourceSpans", "an array", body.get("resourceSpans") if isinstance(body, Mapping) else body
            )
        return records_of(body, "spans")

    def facts(self, entry: Any) -> Facts | None:
        said, about = entry.get("attributes") or {}, entry.get("resource") or {}
        operation, method = said.get("gen_ai.operation.name"), said.get("mcp.method.name")
        if operation != "execute_tool" and method != "tools/call":
            return None
        effect, reason = _decision(said, entry.get("status"))
        start = entry.get("startTimeUnixNano")
        trace, span = text(entry.get("trace")), text(entry.get("span"))
        return Facts(
            tool=need(said.get("gen_ai.tool.name"), "attributes.gen_ai.tool.name"),
            effect=effect,
            reason=reason,
            id=f"{trace}:{span}" if trace and span else None,  # the call's own id is the model's word
            time=moment(start, "startTimeUnixNano"),
            gateway=text(about.get("service.name")),
            tenant=first(said.get("guardian.tenant.id"), said.get("tenant.id"), about.get("tenant.id")),
            session=first(said.get("mcp.session.id"), said.get("session.id")),
            conversation=text(said.get("gen_ai.conversation.id")),
            trace=trace,
            delegator=first(said.get("enduser.id"), said.get("user.id")),
            agent=first(said.get("gen_ai.agent.id"), said.get("gen_ai.agent.name")),
            agent_version=text(said.get("gen_ai.agent.version")),
            purpose=text(said.get("guardian.purpose")),
            arguments=arguments_of(said.get("gen_ai.tool.call.arguments")),
            server=text(said.get("mcp.server.name")),
            status="error" if _is_error(entry.get("status")) or "error.type" in said else "ok",
        )

    def write(self, event: DecisionEvent) -> bytes:
        envelope, action = event.envelope, event.action
        said: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": action.tool,
            "gen_ai.conversation.id": envelope.session_id, "gen_ai.agent.id": envelope.agent_id,
            "tenant.id": envelope.tenant_id,
            "enduser.id": delegator_of(envelope),
            "gen_ai.tool.call.arguments": None if action.arguments is None else json.dumps(action.arguments),
        }  # fmt: skip
        span: dict[str, Any] = {
            "traceId": event.trace_id, "spanId": _span_id(event), "name": f"execute_tool {action.tool}", "kind": 1,
            "startTimeUnixNano": str(int(event.time.timestamp() * 1e6) * 1000), "status": {},
        }  # fmt: skip
        if event.decision.effect == "deny":
            said["error.type"] = "permission_denied"
            span["status"] = {"code": _ERROR, "message": event.decision.reason}
        span["attributes"] = _pairs(said)
        resource = {"attributes": _pairs({"service.name": event.gateway})}
        body = {
            "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "mcp"}, "spans": [span]}]}]
        }
        return line(body)


plugin = OtelGenAi


def _decision(said: Mapping[str, Any], status: Any) -> tuple[Effect, str]:
    for name in ("guardian.decision", "authorization.decision"):
        if (told := said.get(name)) not in (None, ""):
            return effect_of(told, f"attributes.{name}"), ""
    kind = text(said.get("error.type"))
    if kind is not None and kind.lower() in _REFUSED:
        message = status.get("message") if isinstance(status, Mapping) else None
        return "deny", text(message) or kind
    return "allow", ""


def _is_error(status: Any) -> bool:
    return isinstance(status, Mapping) and status.get("code") in (_ERROR, "STATUS_CODE_ERROR")


def _pairs(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in said.items() if value is not None]


def _span_id(event: DecisionEvent) -> str:
    """Sixteen hex digits that are the decision's own."""
    return hashlib.sha256(event.id.encode()).hexdigest()[:16]
