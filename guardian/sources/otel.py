"""OpenTelemetry GenAI: `execute_tool` spans, and MCP client or server spans of `tools/call`, in OTLP JSON or
protobuf.

Source: OpenTelemetry semantic conventions for generative AI (development status): operation, tool name, call id,
conversation, agent; arguments and result are opt-in and may be JSON within a string. Spans say what was done, not
what was decided: an error type of a refusal is a deny, anything else was let through. `guardian.*` attributes, or
`enduser.id` and `tenant.id`, are read where somebody sets them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, get_args

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
    text,
    tool_of,
)
from guardian.sources.lines import delegator_of, line
from guardian.sources.otlp import from_protobuf, hex_of, records_of, time_in
from guardian.sources.port import Format

_REFUSED = frozenset(
    {
        "permission_denied", "access_denied", "forbidden", "unauthorized", "authorization_denied", "guardrail",
        "403", "401",
    }
)  # fmt: skip
_ERROR = 2
SpanKind = Literal["internal", "server", "client"]
_KINDS = get_args(SpanKind)
"""The kinds of spans that tool calls have, in the order of OTLP's numbers from 1."""
_INWARDS = ("server", "internal", "client")
"""How the spans of one process lie in each other."""
_TENANT = ("guardian.tenant.id", "tenant.id")
_SESSION = ("mcp.session.id", "session.id")
_DELEGATOR = ("enduser.id", "user.id")
_WHOSE = (_TENANT, (*_SESSION, "gen_ai.conversation.id"), _DELEGATOR)


@dataclass(frozen=True)
class OtelGenAi(Format):
    """Options: `kinds` (server, client, internal), where given, are those of the spans that count, as where both
    ends of a call send their spans; one that says no kind counts all the same."""

    title: ClassVar[str] = "OpenTelemetry GenAI execute_tool spans (OTLP JSON or protobuf)"
    carries: ClassVar[frozenset[str]] = OF_TRAFFIC

    kinds: tuple[SpanKind, ...] = ()

    def recognises(self, body: Any) -> bool:
        return isinstance(body, Mapping) and "resourceSpans" in body

    def opens(self, value: bytes) -> Any | None:
        return from_protobuf(value, "spans")

    def entries(self, body: Any) -> Iterable[Any]:
        if not isinstance(body, Mapping) or not isinstance(body.get("resourceSpans"), list):
            raise expected(
                "resourceSpans", "an array", body.get("resourceSpans") if isinstance(body, Mapping) else body
            )
        return self._each(body)

    def facts(self, entry: Any) -> Facts | None:
        said, about = entry.get("attributes") or {}, entry.get("resource") or {}
        if not self._counts(entry):
            return None
        effect, reason = _decision(said, entry.get("status"))
        trace, span = text(entry.get("trace")), text(entry.get("span"))
        return Facts(
            **tool_of(said.get("gen_ai.tool.name"), "attributes.gen_ai.tool.name"),
            effect=effect,
            reason=reason,
            id=f"{trace}:{span}" if trace and span else None,  # the call's own id is the model's word
            time=moment(time_in(entry, "startTimeUnixNano"), "startTimeUnixNano"),
            gateway=text(about.get("service.name")),
            tenant=first(*map(said.get, _TENANT), about.get("tenant.id")),
            session=first(*map(said.get, _SESSION)),
            conversation=text(said.get("gen_ai.conversation.id")),
            trace=trace,
            delegator=first(*map(said.get, _DELEGATOR)),
            agent=first(said.get("gen_ai.agent.id"), said.get("gen_ai.agent.name")),
            agent_version=text(said.get("gen_ai.agent.version")),
            purpose=text(said.get("guardian.purpose")),
            arguments=_passed(entry),
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

    def _each(self, body: Any) -> Iterator[dict[str, Any]]:
        """The spans of a message, without those that tell again of a call that the span around them counts for,
        and have no arguments of their own, which would then be lost."""
        spans = [*records_of(body, "spans")]
        calls = {(each["trace"], each["span"]): each for each in spans if each["span"] and self._counts(each)}

        @cache  # once, however many spans lie in it
        def passed(name: tuple[str | None, str | None]) -> Mapping[str, Any] | None:
            return _passed(calls[name])

        for each in spans:
            name = each["trace"], hex_of(each.get("parentSpanId"), 8)
            again = name in calls and self._counts(each) and _lies_in(each, calls[name])
            if not again or _passed(each) not in (None, passed(name)):
                yield each

    def _counts(self, span: Mapping[str, Any]) -> bool:
        """Whether it is a tool call's, and of the kinds that count."""
        said = span.get("attributes") or {}
        call = said.get("gen_ai.operation.name") == "execute_tool" or said.get("mcp.method.name") == "tools/call"
        return call and (not self.kinds or _kind(span) in (None, *self.kinds))


plugin = OtelGenAi


def _lies_in(span: Mapping[str, Any], around: Mapping[str, Any]) -> bool:
    """Whether a span may tell of the same call as its parent: of the same tool and decision, of one process,
    further inside by what no caller chooses, and without saying whose it is where the parent does not."""
    kind, kind_around = _kind(span), _kind(around)
    if kind is None or kind_around is None or _INWARDS.index(kind) <= _INWARDS.index(kind_around):
        return False
    inner, outer = span["attributes"], around["attributes"]
    if inner.get("gen_ai.tool.name") != outer.get("gen_ai.tool.name") or _refusal(inner) != _refusal(outer):
        return False
    if any(first(*map(inner.get, who)) and not first(*map(outer.get, who)) for who in _WHOSE):
        return False
    return span["resource"] is around["resource"] or span["resource"] == around["resource"]


def _passed(span: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return arguments_of((span.get("attributes") or {}).get("gen_ai.tool.call.arguments"))


def _kind(span: Mapping[str, Any]) -> str | None:
    """The kind of a span that a tool call has; None for others and where it says none."""
    said = span.get("kind")
    return next((name for n, name in enumerate(_KINDS, 1) if said in (n, f"SPAN_KIND_{name.upper()}")), None)


def _refusal(said: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a span says of the decision."""
    kind = (text(said.get("error.type")) or "").lower()
    return said.get("guardian.decision"), said.get("authorization.decision"), kind if kind in _REFUSED else None


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
