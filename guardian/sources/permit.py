"""Permit.io PDP audit logs, also those of its MCP gateway: one entry for each `permit.check`.

Source: Permit's audit log model and the MCP gateway's documentation: user key `agent|<client id>`, action the
tool, resource `<server>` or `<server>:<server>`. There are no arguments and no session. Taken are API entries,
also a page of them (`{"data": […]}`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.event import DecisionEvent
from guardian.sources.facts import Facts, arguments_of, at, effect_of, first, moment, need, text, tool_of
from guardian.sources.lines import line, without_nulls
from guardian.sources.port import Format

_AGENT = "agent|"


@dataclass(frozen=True)
class Permit(Format):
    title: ClassVar[str] = "Permit.io PDP and MCP gateway audit logs"
    carries: ClassVar[frozenset[str]] = frozenset(
        ("id", "time", "gateway", "tenant", "delegator", "agent", "tool", "decision", "reason")
    )

    def recognises(self, body: Any) -> bool:
        page = body.get("data") if isinstance(body, Mapping) else None
        one = page[0] if isinstance(page, list) and page else body
        return (
            isinstance(one, Mapping)
            and "action" in one
            and "decision" in one
            and ("user_key" in one or "pdp_config_id" in one)
        )

    def entries(self, body: Any) -> Iterable[Any]:
        page = body.get("data")
        return page if isinstance(page, list) else (body,)

    def facts(self, entry: Any) -> Facts | None:
        user = need(entry.get("user_key"), "user_key")
        machine = user.startswith(_AGENT)
        server = (text(entry.get("resource_type")) or "").partition(":")[0] or None
        return Facts(
            **tool_of(entry.get("action"), "action"),
            effect=effect_of(entry.get("decision"), "decision"),
            id=text(entry.get("id")),
            time=moment(entry.get("timestamp"), "timestamp"),
            gateway=first(entry.get("pdp_config_id"), entry.get("env_id")),
            tenant=text(entry.get("tenant")),
            delegator=first(at(entry, "context", "user"), None if machine else user),
            agent=first(user.removeprefix(_AGENT) if machine else None, at(entry, "context", "agent")),
            session=text(at(entry, "context", "session_id")),
            purpose=text(at(entry, "context", "purpose")),
            arguments=arguments_of(at(entry, "context", "arguments")),
            server=server,
            reason=text(entry.get("reason")) or "",
        )

    def write(self, event: DecisionEvent) -> bytes:
        envelope = event.envelope
        server, _, tool = event.action.tool.partition(".")
        body = {
            "id": event.id, "timestamp": event.time.isoformat(), "tenant": envelope.tenant_id,
            "user_key": f"{_AGENT}{envelope.agent_id}" if envelope.agent_id else envelope.delegator_id,
            "action": tool or server, "resource_type": f"{server}:{server}" if tool else None,
            "decision": event.decision.effect == "allow", "reason": event.decision.reason or None,
            "pdp_config_id": event.gateway, "context": {"user": envelope.delegator_id},
        }  # fmt: skip
        return line(without_nulls(body))


plugin = Permit
