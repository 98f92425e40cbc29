"""Cedar, as Amazon Verified Permissions logs it: CloudTrail data events of IsAuthorized and its other forms.

Source: Amazon Verified Permissions user guide, logging with CloudTrail. Data events are not logged by default. The
decision is in `additionalEventData`; there is no session, no arguments and no determining policy. CloudTrail is
minutes behind: for replay and backtests rather than for live use. Taken are single events and files of `Records`.
A request that failed, as with a token of the agent's making, has an error in place of the decision, and is a deny.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.envelope import UNTOLD
from guardian.domain.event import DecisionEvent
from guardian.errors import DecodeError
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
        told, masked = _context(at(asked, "context"))
        named = text(told.pop("agent", None))
        return Facts(
            **tool_of(at(asked, "action", "actionId"), f"{where}.action.actionId"),
            effect="deny" if failed and decision is None else effect_of(decision, "additionalEventData.decision"),
            id=text(entry.get("eventID")),
            time=moment(entry.get("eventTime"), "eventTime"),
            gateway=store,
            tenant=(self.tenants or {}).get(store or ""),
            delegator=None if kind in _AGENTS else who,
            agent=who if kind in _AGENTS else named,
            arguments=told or None,
            resource_type=(text(at(resource, "entityType")) or "").rpartition("::")[2] or None,
            resource_id=text(at(resource, "entityId")),
            route=store,
            masked=masked,
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


def _context(context: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Cedar's context as plain arguments, and the name of what the trail hides: then words stand in its place."""
    mapped = at(context, "contextMap")
    plain, told = (_cedar, at(context, "cedarJson")) if mapped is None else (_unwrapped, mapped)
    if not isinstance(context, str):
        with suppress(DecodeError):
            found = mapping(told, "requestParameters.context") or {}
            return {name: plain(value) for name, value in found.items()}, ()
    return {}, ("arguments_masked",)


def _unwrapped(value: Any) -> Any:
    """A value of a context map, where the name of each one's type is around it."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    match kind, inner:
        case "set", list():
            return [_unwrapped(item) for item in inner]
        case "record", dict():
            return {name: _unwrapped(item) for name, item in inner.items()}
        case "entityIdentifier", {"entityId": name}:
            return name
    return inner


def _cedar(value: Any) -> Any:
    """A value in Cedar's own JSON, where only entities and values of its extensions are wrapped. An agent's own
    object may look like one and hold more: that stays."""
    match value:
        case {"__entity": {"type": _, "id": name, **more}, **beside} if not (more or beside):
            return name
        case {"__extn": {"fn": _, "arg": said, **more}, **beside} if not (more or beside):
            return said
        case dict():
            return {name: _cedar(item) for name, item in value.items()}
        case list():
            return [_cedar(item) for item in value]
    return value


def _taken_apart(records: list[Any]) -> Iterator[Any]:
    """One entry per decision: a batch call holds several. One that failed has no results and denied all of it."""
    for record in records:
        results = at(record, "additionalEventData", "results")
        requests = at(record, "requestParameters", "requests")
        if results is None and text(at(record, "errorCode")) and isinstance(requests, list) and requests:
            results = [{"request": each} for each in requests]
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
