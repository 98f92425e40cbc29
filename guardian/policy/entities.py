"""A policy request in Cedar's words: principal, action, resource, context, and the entities they stand for."""

from dataclasses import asdict
from typing import Any

from guardian.policy.port import PolicyRequest
from guardian.wire.principal import EVERY_TENANT

_LONG = 2**61  # Cedar's Long has 64 bits; staying well inside keeps sums and differences from overflowing


def question(request: PolicyRequest) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Cedar's request and its entities, as `config/policies/guardian.cedarschema` describes them."""
    asker, evidence, budget = request.asker, request.evidence, request.budget
    actor = _uid("Actor", asker.id)
    role = _uid("Role", asker.role)
    reach = [_uid("Tenant", tenant) for tenant in sorted(asker.tenants - {EVERY_TENANT})]
    entities: list[dict[str, Any]] = [
        {"uid": role, "attrs": {}, "parents": []},
        {
            "uid": actor,
            "attrs": {
                "tenants": [{"__entity": tenant} for tenant in reach],
                "everyTenant": EVERY_TENANT in asker.tenants,
            },
            "parents": [role],
        },
    ]
    if request.tenant_id is None:
        resource = _uid("Deployment", "guardian")
        entities.append({"uid": resource, "attrs": {}, "parents": []})
    else:
        tenant = resource = _uid("Tenant", request.tenant_id)
        entities.append({"uid": tenant, "attrs": {}, "parents": []})
        if request.session is not None:
            session = request.session
            # The tenant is part of the name: two tenants may use the same session id.
            resource = _uid("Session", f"{request.tenant_id}\x1f{session.session_id}")
            attributes: dict[str, Any] = {
                "protected": session.protected,
                "revoked": session.revoked,
                "registered": session.registered,
                "purpose": session.purpose,
                "dataClasses": sorted(session.data_classes),
                "purposeOwners": _people(session.purpose_owners),
            }
            if session.delegator_id is not None:
                attributes["delegator"] = {"__entity": _uid("Actor", session.delegator_id)}
            entities.append({"uid": resource, "attrs": attributes, "parents": [tenant]})
    context: dict[str, Any] = {
        "mode": request.mode,
        "inCanary": request.in_canary,
        "onCall": asker.id in request.on_call,
        "solo": request.solo,
        "hour": request.hour,
        "weekday": request.weekday,
        "act": {
            "own": request.act.own,
            "approved": request.act.approved,
            "denies": request.act.denies,
            "widens": request.act.widens,
            "breakGlass": request.act.break_glass,
        },
        "harm": {
            "registeredSessions": _long(request.harm.registered_sessions),
            "revokedPermille": _long(request.harm.revoked_permille),
            "breakerOpen": request.harm.breaker_open,
            "minutesSinceModelChange": _long(request.harm.minutes_since_model_change),
        },
        "evidence": {
            "oneIn": _long(evidence.one_in),
            "sessionEvidenceMilli": _long(evidence.session_evidence_milli),
            "scorePermille": _long(evidence.score_permille),
            "independentSignals": _long(evidence.independent_signals),
            "hardBreach": evidence.hard_breach,
            "breaches": sorted(evidence.breaches),
            "promised": evidence.promised,
        },
        "budget": {
            "total": _long(budget.total),
            "reserved": _long(budget.reserved),
            "used": _long(budget.used),
            "usedGeneral": _long(budget.used_general),
        },
    }
    if request.target is not None:
        context["target"] = request.target
    if request.whom is not None:
        context["whom"] = asdict(request.whom)
    action = _uid("Action", request.action)
    return {"principal": actor, "action": action, "resource": resource, "context": context}, entities


def _people(ids: frozenset[str]) -> list[dict[str, dict[str, str]]]:
    return [{"__entity": _uid("Actor", each)} for each in sorted(ids)]


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": f"Guardian::{kind}", "id": name}


def _long(number: int) -> int:
    return max(-_LONG, min(_LONG, number))
