"""Cedar (cedarpolicy.com) in process, through cedarpy.

Policy texts are parsed and validated against the schema once. Three things about Cedar shape this module: it
skips a policy that errors and may then still say Allow, so any error is a denial; it names policies by their
position, so ids come from `@id`; and it has no floats, so facts are integers.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cedarpy

from guardian.errors import PolicyError
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.wire.principal import EVERY_TENANT

_LONG = 2**62  # Cedar's Long has 64 bits; staying well inside keeps sums from overflowing


@dataclass(frozen=True)
class CedarPolicies:
    """A validated policy set. Raises PolicyError when anything about it is wrong: better no start than a guess."""

    policies: str
    schema: str
    _set: Any = field(init=False, repr=False, compare=False)
    _schema: Any = field(init=False, repr=False, compare=False)
    _reasons: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _ids: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            parsed, schema = cedarpy.PolicySet.from_str(self.policies), cedarpy.Schema.from_str(self.schema)
        except ValueError as error:
            raise PolicyError(f"Cedar cannot parse the policies or their schema: {error}") from error
        result = cedarpy.validate_policies(self.policies, self.schema)
        if not result.validation_passed:
            names = result.id_annotations_by_policy_id
            first = result.errors[0]
            named = names.get(first.policy_id, first.policy_id)
            raise PolicyError(f"policy {named!r} does not fit the schema: {first.error}")
        annotations = _annotations(self.policies)
        object.__setattr__(self, "_set", parsed)
        object.__setattr__(self, "_schema", schema)
        object.__setattr__(self, "_ids", {position: each["id"] for position, each in annotations.items()})
        object.__setattr__(self, "_reasons", {each["id"]: each.get("why", "") for each in annotations.values()})

    @classmethod
    def from_folder(cls, folder: Path) -> "CedarPolicies":
        """Every `*.cedar` file of a folder, in the order of names, with its one `*.cedarschema`."""
        texts, schemas = sorted(folder.glob("*.cedar")), sorted(folder.glob("*.cedarschema"))
        if not texts or len(schemas) != 1:
            raise PolicyError(
                f"{folder} must hold *.cedar files and exactly one *.cedarschema; it holds {len(texts)} "
                f"and {len(schemas)}"
            )
        policies = "\n".join(file.read_text(encoding="utf-8") for file in texts)
        return cls(policies, schemas[0].read_text(encoding="utf-8"))

    @property
    def version(self) -> str:
        return hashlib.sha256(f"{self.policies}\x00{self.schema}".encode()).hexdigest()[:16]

    @property
    def policy_ids(self) -> frozenset[str]:
        return frozenset(self._reasons)

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        question, entities = _question(request)
        answer = cedarpy.is_authorized(question, self._set, json.dumps(entities), schema=self._schema)
        ids = tuple(sorted(self._ids.get(position, position) for position in answer.diagnostics.reasons))
        errors = tuple(str(error) for error in answer.diagnostics.errors)
        return PolicyDecision(
            allowed=answer.allowed and not errors,
            policy_ids=ids,
            reasons={name: self._reasons.get(name, "") for name in ids},
            errors=errors,
        )


plugin = CedarPolicies


def _annotations(policies: str) -> dict[str, dict[str, str]]:
    parsed = json.loads(cedarpy.policies_to_json_str(policies))
    if parsed.get("templates"):
        raise PolicyError("policy templates are not supported here: write each policy out")
    found: dict[str, dict[str, str]] = {}
    for position, policy in parsed["staticPolicies"].items():
        annotations = policy.get("annotations") or {}
        if not annotations.get("id"):
            raise PolicyError(f'{position} has no @id("…"): a decision must be able to name its policy')
        if annotations["id"] in {each["id"] for each in found.values()}:
            raise PolicyError(f"two policies are called {annotations['id']!r}: ids must be unique")
        found[position] = annotations
    return found


def _question(request: PolicyRequest) -> tuple[dict[str, Any], list[dict[str, Any]]]:
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
            "widens": request.act.widens,
            "breakGlass": request.act.break_glass,
        },
        "harm": {
            "activeSessions": _long(request.harm.active_sessions),
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
    action = _uid("Action", request.action)
    return {"principal": actor, "action": action, "resource": resource, "context": context}, entities


def _people(ids: frozenset[str]) -> list[dict[str, dict[str, str]]]:
    return [{"__entity": _uid("Actor", each)} for each in sorted(ids)]


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": f"Guardian::{kind}", "id": name}


def _long(number: int) -> int:
    return max(-_LONG, min(_LONG, number))
