"""Microsoft agent-governance-toolkit: audit entries of agent_os (JSON lines) and of agentmesh (hash-chained).

Source: agent-governance-toolkit 4.1, `AuditEntry` of both packages. Times may end in `+00:00Z`, which no standard
allows; they are read. Entries that are no tool call (policy evaluations, approvals, agent life cycle) are skipped;
those that `GovernanceAuditLogger.log_decision` writes are tool calls. `warn`, `log` and `audit` are documented to
let a call go on. agentmesh's engine in Python stops it after `warn` and `log` all the same; unless the outcome
says so, it is judged as a call that took place, since the other mistake would hide one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.event import DecisionEvent
from guardian.sources.facts import (
    OF_DECISIONS,
    Effect,
    Facts,
    arguments_of,
    at,
    effect_of,
    expected,
    first,
    first_there,
    moment,
    need,
    text,
    tool_of,
)
from guardian.sources.hostile import agents_own
from guardian.sources.lines import delegator_of, line, without_nulls
from guardian.sources.port import Format

_CALLS = ("tool", "action", "decision")
_WORDS: Mapping[str, Effect] = {"warn": "allow", "log": "allow", "audit": "allow", "require_approval": "deny"}
_EVENTS = "ai.agentmesh."
_IN_DATA = ("action", "resource", "outcome", "policy_decision", "matched_rule")
_OF_EVENTS = {"tool.invoked": "tool_invocation"}
"""Types of `export_cloudevents()` that are not the entry's with points for underscores."""


@dataclass(frozen=True)
class AgentGovernance(Format):
    """Options: `event_types` that are tool calls; by default any named after a tool, action or decision but an
    approval's. `govern()` writes `policy_evaluation` only."""

    title: ClassVar[str] = "Microsoft agent-governance-toolkit audit entries"
    carries: ClassVar[frozenset[str]] = OF_DECISIONS - {"envelope", "records", "data_classes"}

    event_types: tuple[str, ...] = ()

    def recognises(self, body: Any) -> bool:
        if not isinstance(body, Mapping) or "event_type" not in body or "action" not in body:
            return False
        return ("agent_did" in body and "outcome" in body) or ("agent_id" in body and "decision" in body)

    def of_event(self, attributes: Mapping[str, Any], data: Any) -> Mapping[str, Any] | None:
        kind = text(attributes.get("type")) or ""
        if not kind.startswith(_EVENTS) or not isinstance(data, Mapping):
            return None
        if "action" not in data or agents_own(data):
            return None
        kind = kind.removeprefix(_EVENTS)
        return {
            **{name: data.get(name) for name in _IN_DATA},
            "event_type": _OF_EVENTS.get(kind, kind.replace(".", "_")),
            "agent_did": attributes.get("source"),
            "session_id": attributes.get("sessionid"),
            "data": data,
        }

    def facts(self, entry: Any) -> Facts | None:
        kind = need(entry.get("event_type"), "event_type")
        if self.event_types:
            if kind not in self.event_types:
                return None
        elif kind.startswith("approval") or not any(word in kind for word in _CALLS):
            return None
        data = entry.get("data") if isinstance(entry.get("data"), Mapping) else entry.get("metadata")
        effect, why = _decision(entry)
        rule = text(entry.get("matched_rule"))
        hidden = entry.get("arguments_hash") is not None and at(data, "arguments") is None
        return Facts(
            **tool_of(first(at(data, "tool"), at(data, "tool_name"), entry.get("action")), "action"),
            effect=effect,
            reason=why,
            id=text(entry.get("entry_id")),
            time=moment(entry.get("timestamp"), "timestamp"),
            gateway=first(entry.get("environment"), entry.get("compute_driver")),
            tenant=first(at(data, "tenant_id"), at(data, "tenant")),
            session=first(entry.get("session_id"), at(data, "session_id")),
            trace=text(entry.get("trace_id")),
            delegator=first(at(data, "user_id"), at(data, "user"), at(data, "on_behalf_of")),
            agent=first(entry.get("agent_did"), entry.get("agent_id")),
            purpose=first(at(data, "purpose"), at(data, "intent")),
            arguments=arguments_of(first_there(at(data, "arguments"), at(data, "args"), at(data, "params"))),
            resource_id=text(entry.get("resource")),
            policy_ids=(rule,) if rule is not None else (),
            masked=("arguments_hashed",) if hidden else (),
        )

    def write(self, event: DecisionEvent) -> bytes:
        envelope, action, decision = event.envelope, event.action, event.decision
        data = {
            "arguments": action.arguments, "tenant_id": envelope.tenant_id,
            "user_id": delegator_of(envelope),
            "reason": decision.reason or None,
        }  # fmt: skip
        body = {
            "entry_id": event.id, "timestamp": event.time.isoformat() + "Z", "event_type": "tool_invoked",
            "agent_did": envelope.agent_id, "action": action.tool, "session_id": envelope.session_id,
            "resource": action.resource.id if action.resource is not None else None,
            "data": without_nulls(data),
            "outcome": "success" if decision.effect == "allow" else "denied", "policy_decision": decision.effect,
            "matched_rule": decision.policy_ids[0] if decision.policy_ids else None, "trace_id": event.trace_id,
            "environment": event.gateway, "previous_hash": "0" * 64, "entry_hash": "0" * 64,
        }  # fmt: skip
        return line(without_nulls(body))


plugin = AgentGovernance


def _decision(entry: Mapping[str, Any]) -> tuple[Effect, str]:
    why = first(entry.get("reason"), at(entry, "data", "reason")) or ""
    told = [each for name in ("policy_decision", "decision") if (each := entry.get(name)) not in (None, "")]
    outcome = entry.get("outcome")
    if told:
        noted = _WORDS.get(told[0].strip().lower()) if isinstance(told[0], str) else None
        if noted is not None:
            return ("deny" if outcome == "denied" else noted), why
        return effect_of(told[0], "policy_decision" if "policy_decision" in entry else "decision"), why
    if outcome == "denied":
        return "deny", why
    if outcome in ("success", "failure", "error"):
        return "allow", ""
    raise expected("outcome", "success, failure, denied or error, or a policy_decision", outcome)
