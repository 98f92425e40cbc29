"""The facts that decision points outside this process are sent: one shape for all of them."""

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from guardian.policy.port import PolicyRequest
from guardian.wire.principal import EVERY_TENANT

_EXACT = 2**53 - 1  # beyond it, readers that know only floats would round


def facts(request: PolicyRequest) -> dict[str, Any]:
    """The request as AuthZEN 1.0 shapes it, in plain JSON: strings, booleans, lists, and integers, never floats.

    subject   type "principal", id; properties: role, tenants (sorted), every_tenant
    action    name; properties: target, the action that a propose or approve is about, only with those;
              whom, the kind of subject that revokeSubject and reinstateSubject are about, whom_registered and
              whom_delegated
    resource  type "session", "tenant" or "deployment" (id "guardian")
              The id of a session is its tenant, percent-encoded, a slash and its session id, because two tenants
              may use the same one. properties of sessions and tenants: tenant; of sessions also: session_id,
              protected, revoked, registered, delegator (null without one; where the session is not registered and
              its log names the subject, control asks a second time with that), purpose, data_classes,
              purpose_owners
    context   mode, in_canary, on_call (whether the subject is), solo, hour, weekday, and by the names of
              guardian.policy.port: evidence, budget, harm, act

    Numbers are clamped to what every JSON reader carries exactly, ±(2⁵³ - 1). Sets are sorted lists.
    """
    asker = request.asker
    action: dict[str, Any] = {"name": request.action}
    if request.target is not None:
        action["properties"] = {"target": request.target}
    if request.whom is not None:
        whom = request.whom
        told = {"whom": whom.kind, "whom_registered": whom.registered, "whom_delegated": whom.delegated}
        action["properties"] = {**action.get("properties", {}), **told}
    return {
        "subject": {
            "type": "principal",
            "id": asker.id,
            "properties": {
                "role": asker.role,
                "tenants": sorted(asker.tenants - {EVERY_TENANT}),
                "every_tenant": EVERY_TENANT in asker.tenants,
            },
        },
        "action": action,
        "resource": _resource(request),
        "context": {
            "mode": request.mode,
            "in_canary": request.in_canary,
            "on_call": asker.id in request.on_call,
            "solo": request.solo,
            "hour": request.hour,
            "weekday": request.weekday,
            "evidence": _plain(asdict(request.evidence)),
            "budget": _plain(asdict(request.budget)),
            "harm": _plain(asdict(request.harm)),
            "act": _plain(asdict(request.act)),
        },
    }


def _resource(request: PolicyRequest) -> dict[str, Any]:
    tenant, session = request.tenant_id, request.session
    if tenant is None:
        return {"type": "deployment", "id": "guardian"}
    if session is None:
        return {"type": "tenant", "id": tenant, "properties": {"tenant": tenant}}
    return {
        "type": "session",
        # a lone surrogate has no UTF-8; percent-encoded it stays a name of its own
        "id": f"{quote(tenant, safe='', errors='surrogatepass')}/{session.session_id}",
        "properties": {
            "tenant": tenant,
            "session_id": session.session_id,
            "protected": session.protected,
            "revoked": session.revoked,
            "registered": session.registered,
            "delegator": session.delegator_id,
            "purpose": session.purpose,
            "data_classes": sorted(session.data_classes),
            "purpose_owners": sorted(session.purpose_owners),
        },
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: Any) -> Any:
    match value:
        case bool() | str() | None:
            return value
        case int():
            return max(-_EXACT, min(_EXACT, value))
        case frozenset():
            return sorted(value)
        case _:
            raise TypeError(f"no fact is a {type(value).__name__}: {value!r}")
