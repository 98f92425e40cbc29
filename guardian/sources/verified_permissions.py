"""Cedar, as Amazon Verified Permissions logs it: CloudTrail data events of IsAuthorized and its other forms.

Source: Amazon Verified Permissions user guide, logging with CloudTrail. Data events are not logged by default. The
decision is in `additionalEventData`; there is no session, no arguments and no determining policy. CloudTrail is
minutes behind: for replay and backtests rather than for live use. Taken are single events and files of `Records`.
A request that failed, as with a token of the agent's making, has an error in place of the decision, and is a deny.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.event import UNTOLD, DecisionEvent
from guardian.sources.facts import Facts, at, effect_of, expected, mapping, moment, text, tool_of
from guardian.sources.lines import line
from guardian.sources.port import Format

_SOURCE = "verifiedpermissions.amazonaws.com"
_SINGLE = ("IsAuthorized", "IsAuthorizedWithToken")
_BATCH = ("BatchIsAuthorized", "BatchIsAuthorizedWithToken")
_AGENTS = ("agent", "client", "workload", "service")


@dataclass(frozen=True)
class VerifiedPermissions(Format):
    """Options: `tenants` maps a policy store's id to the tenant whose it is."""

    title: ClassVar[str] = "Cedar / Amazon Verified Permissions: CloudTrail data events"
    carries: ClassVar[frozenset[str]] = frozenset(
        ("id", "time", "gateway", "delegator", "agent", "tool", "arguments", "resource", "decision")
    )

    tenants: Mapping[str, str] | None = None

    def recognises(self, body: Any) -> bool:
        records = body.get("Records") if isinstance(body, Mapping) else None
        one = records[0] if isinstance(records, list) and records else body
        return isinstance(one, Mapping) and "eventSource" in one and "eventName" in one

    def entries(self, body: Any) -> Iterable[Any]:
        records = body.get("Records") if isinstance(body, Mapping) else None
        return _taken_apart(records if isinstance(records, list) else [body])

    def facts(self, entry: Any) -> Facts | None:
        if entry.get("eventSource") != _SOURCE or entry.get("eventName") not in (*_SINGLE, *_BATCH):
            if "eventSource" not in entry:
                raise expected("eventSource", f'a CloudTrail event of "{_SOURCE}"', entry.get("eventSource"))
            return None
        decision, failed = at(entry, "additionalEventData", "decision"), text(entry.get("errorCode"))
        asked = entry.get("requestParameters")
        where = "requestParameters"
        principal, resource = at(asked, "principal"), at(asked, "resource")
        kind = str(at(principal, "entityType") or "").rpartition("::")[2].lower()
        who = text(at(principal, "entityId"))
        store = text(at(asked, "policyStoreId"))
        return Facts(
            **tool_of(at(asked, "action", "actionId"), f"{where}.action.actionId"),
            effect="deny" if failed and decision is None else effect_of(decision, "additionalEventData.decision"),
            id=text(entry.get("eventID")),
            time=moment(entry.get("eventTime"), "eventTime"),
            gateway=store,
            tenant=(self.tenants or {}).get(store or ""),
            delegator=None if kind in _AGENTS else who,
            agent=who if kind in _AGENTS else text(at(asked, "context", "contextMap", "agent", "string")),
            arguments=_context(at(asked, "context")),
            resource_type=(text(at(resource, "entityType")) or "").rpartition("::")[2] or None,
            resource_id=text(at(resource, "entityId")),
            route=store,
        )

    def write(self, event: DecisionEvent) -> bytes:
        envelope, action = event.envelope, event.action
        person = envelope.delegator_id != UNTOLD
        who, kind = (envelope.delegator_id, "User") if person else (envelope.agent_id, "Agent")
        asked: dict[str, Any] = {
            "principal": {"entityType": f"Gateway::{kind}", "entityId": who},
            "action": {"actionType": "Gateway::Action", "actionId": action.tool},
            "policyStoreId": event.gateway,
        }
        if action.resource is not None:
            asked["resource"] = {
                "entityType": f"Gateway::{action.resource.type or 'Thing'}",
                "entityId": action.resource.id or "",
            }
        told = {
            name: {"string": value} for name, value in (action.arguments or {}).items() if isinstance(value, str)
        }
        if person and envelope.agent_id is not None:
            told["agent"] = {"string": envelope.agent_id}
        if told:
            asked["context"] = {"contextMap": told}
        body = {
            "eventVersion": "1.08", "eventTime": event.time.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "eventSource": _SOURCE, "eventName": "IsAuthorized", "requestParameters": asked,
            "responseElements": None,
            "additionalEventData": {"decision": event.decision.effect.upper()}, "eventID": event.id,
            "readOnly": True, "managementEvent": False, "eventCategory": "Data",
        }  # fmt: skip
        return line(body)


plugin = VerifiedPermissions


def _context(context: Any) -> dict[str, Any] | None:
    """Cedar's context as plain arguments, where the trail has it: values are wrapped in their type's name."""
    found = mapping(at(context, "contextMap"), "requestParameters.context.contextMap")
    if found is None:
        return None
    plain = {
        name: next(iter(value.values())) if isinstance(value, Mapping) and len(value) == 1 else value
        for name, value in found.items()
        if name != "agent"
    }
    return plain or None


def _taken_apart(records: list[Any]) -> Iterator[Any]:
    """One entry per decision: a batch call holds several."""
    for record in records:
        results = at(record, "additionalEventData", "results")
        if (
            not isinstance(record, Mapping)
            or record.get("eventName") not in _BATCH
            or not isinstance(results, list)
        ):
            yield record
            continue
        common = record.get("requestParameters")
        whole = {k: v for k, v in common.items() if k != "requests"} if isinstance(common, Mapping) else {}
        event_id = text(record.get("eventID"))
        for number, result in enumerate(results):
            asked, decision = at(result, "request"), at(result, "decision")
            yield {
                **record,
                "eventID": f"{event_id}/{number}" if event_id else None,
                "requestParameters": {**whole, **(asked if isinstance(asked, Mapping) else {})},
                "additionalEventData": {"decision": decision},
            }
